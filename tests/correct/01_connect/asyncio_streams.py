"""A correct client on asyncio, slow to start."""

import asyncio
import sys
import time


async def talk(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    line = await asyncio.to_thread(sys.stdin.readline)
    writer.write(line.encode())
    await writer.drain()
    while not reader.at_eof():
        sys.stdout.buffer.write(await reader.read(2**16))
        sys.stdout.buffer.flush()
    writer.close()
    await writer.wait_closed()


time.sleep(0.2)
try:
    asyncio.run(talk(*sys.argv[1:3]))
except OSError as exc:
    print("asyncio says:", exc, file=sys.stderr)
    sys.exit(1)
