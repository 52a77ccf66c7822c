"""A correct line server on asyncio, with one thread for all."""

import argparse
import asyncio
import contextlib

import protocol


async def serve(reader, writer):
    decoder = protocol.Decoder()
    with contextlib.suppress(OSError):
        while data := await reader.read(1000):
            await answer(writer, decoder.feed(data))
        await answer(writer, decoder.finish())
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def answer(writer, lines):
    for line in lines:
        writer.write(protocol.encode("* too long" if line is None else line))
        await writer.drain()


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
