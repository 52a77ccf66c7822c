"""A correct echo server on asyncio: it serves many at once."""

import argparse
import asyncio
import contextlib


async def serve(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    options = parser.parse_args()
    server = await asyncio.start_server(serve, options.host, options.port)
    print("listening on {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    # Not serve_forever(): after Ctrl-C that waits until every client has left.
    await asyncio.Event().wait()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
