"""A correct chat server, with asyncio and one thread for all."""

import argparse
import asyncio
import contextlib
import itertools
import signal
import sys
import threading

import protocol


class Client:
    def __init__(self, name, writer):
        self.name = name
        self.writer = writer
        self.here = True

    def send(self, line):
        self.writer.write(protocol.encode(line))
        if self.writer.transport.get_write_buffer_size() > limit:
            self.writer.transport.abort()


clients = []
limit = 0


def say(line, but=None):
    for client in clients:
        if client is not but:
            client.send(line)


def leave(client):
    if client in clients:
        clients.remove(client)
        say(f"* {client.name} left")


def hear(client, line):
    if line is protocol.TOO_LONG:
        client.send("* too long")
    elif line == "/who":
        client.send(f"* here ({len(clients)}): {', '.join(c.name for c in clients)}")
    elif line == "/quit":
        client.here = False
    else:
        say(f"<{client.name}> {line}", client)


async def serve(name, reader, writer):
    client = Client(name, writer)
    decoder = protocol.Decoder()
    say(f"* {name} joined")
    clients.append(client)
    client.send(f"* hello, you are {name}")
    with contextlib.suppress(OSError):
        while client.here and (data := await reader.read(1000)):
            for line in decoder.feed(data):
                hear(client, line)
                if not client.here:
                    break
        for line in decoder.finish() if client.here else []:
            hear(client, line)
    leave(client)
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), 1)
    except (TimeoutError, asyncio.TimeoutError):
        writer.transport.abort()
    except OSError:
        pass


def read_console(loop, stop):
    for line in sys.stdin:
        if line.strip() == "exit":
            loop.call_soon_threadsafe(stop.set)
        else:
            loop.call_soon_threadsafe(say, f"(operator) {line.rstrip()}")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--outbox", type=int, default=1024 * 1024)
    options = parser.parse_args()
    global limit
    limit = options.outbox
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(
                getattr(signal, name), lambda *_: loop.call_soon_threadsafe(stop.set)
            )
    numbers = itertools.count(1)
    tasks = set()

    def accept(reader, writer):
        task = asyncio.create_task(serve(f"user{next(numbers)}", reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, options.host, options.port)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)
    threading.Thread(target=read_console, args=[loop, stop], daemon=True).start()
    await stop.wait()
    server.close()
    say("* goodbye")
    for client in clients:
        with contextlib.suppress(OSError):
            client.writer.write_eof()
    clients.clear()
    if tasks:
        await asyncio.wait(tasks, timeout=1)
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


asyncio.run(main())
