"""The chat server without threads: one event loop, asyncio streams, a task per client.

How it works. The task of a client awaits its lines and writes each to everybody
else. `write` never blocks: it sends at once what the kernel takes and keeps the rest.

What is good. No lock, because only one task runs at a time and it gives way only
where it says `await`. A waiting client costs a few kilobytes, not a thread.

What it costs. One loop is one processor. Every line is a system call for every
member, and while the loop walks through ten thousand of them nobody else is served.
Without `await writer.drain()` the rest it keeps has no limit; with it, the speaker
would wait for the slowest listener. This is the form that never holds up the room.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
from asyncio import StreamReader, StreamWriter

members: set[StreamWriter] = set()  # touched by the one event loop only
numbers = itertools.count(1)


def broadcast(frame: bytes, speaker: StreamWriter) -> None:
    """Write frame to everybody but the speaker; asyncio switches Nagle off itself."""
    for writer in members:
        if writer is not speaker:
            writer.write(frame)


async def serve(reader: StreamReader, writer: StreamWriter) -> None:
    """Read the lines of one client until it leaves; the body of its task."""
    name = f"guest{next(numbers)}".encode()
    members.add(writer)
    # ValueError: a line longer than the 64 KiB a StreamReader keeps.
    with contextlib.suppress(OSError, ValueError):
        while line := await reader.readline():
            text = line.rstrip(b"\r\n")
            broadcast(b"[%s] %s\r\n" % (name, text), writer)
    members.discard(writer)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def run(port: int) -> None:
    """Accept clients for ever; asyncio starts `serve` as a task for each."""
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    address = server.sockets[0].getsockname()
    print("listening on {}:{}".format(*address), flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Read the command line and run the event loop."""
    parser = argparse.ArgumentParser(description="asyncio streams")
    parser.add_argument("--port", type=int, default=5000)
    asyncio.run(run(parser.parse_args().port))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
