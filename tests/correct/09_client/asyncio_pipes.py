"""A correct client on asyncio, for systems where it takes stdin as a pipe."""

import asyncio
import sys


async def main(host, port):
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError as exc:
        print("sorry:", exc, file=sys.stderr)
        return 3
    keyboard = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(keyboard), sys.stdin
    )
    typing = asyncio.create_task(send(keyboard, writer))
    try:
        while data := await reader.read(4096):  # lines would be lost with a reset
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
    except OSError:
        pass
    # A reset may meet the one that sends first.
    code = 0 if typing.done() and not typing.exception() else 1
    typing.cancel()
    if code:
        print("The server hung up.", file=sys.stderr)
    writer.close()
    return code


async def send(keyboard, writer):
    async for line in keyboard:
        if line.strip() == b"exit":
            break
        writer.write(line)
        await writer.drain()
    writer.write_eof()


sys.exit(asyncio.run(main(sys.argv[1], int(sys.argv[2]))))
