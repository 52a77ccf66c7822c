"""A correct chat server: one thread, one selector, sockets that never block."""

import argparse
import itertools
import selectors
import signal
import socket
import sys
import threading
import time
from collections import deque

import protocol

parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=5000)
parser.add_argument("--outbox", type=int, default=1024 * 1024)
options = parser.parse_args()

selector = selectors.DefaultSelector()
clients = {}  # by socket
numbers = itertools.count(1)
typed = deque()  # from the console's thread; None is the wish to stop
wake, waker = socket.socketpair()
for end in (wake, waker):
    end.setblocking(False)


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.name = f"guest{next(numbers)}"
        self.decoder = protocol.Decoder()
        self.outbox = bytearray()
        self.ending = False  # close once the outbox is empty
        self.deadline = None  # or by then

    def send(self, line):
        if self.ending:
            return
        self.outbox += protocol.encode(line).replace(b"\r\n", b"\n")
        self.flush()

    def flush(self):
        try:
            while self.outbox:
                del self.outbox[: self.sock.send(self.outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self.ending = True
            self.outbox.clear()
        if len(self.outbox) > options.outbox:
            self.ending = True
            self.outbox.clear()

    def events(self):
        reading = 0 if self.ending else selectors.EVENT_READ
        return reading | (selectors.EVENT_WRITE if self.outbox else 0)


def say(line, but=None):
    for client in list(clients.values()):
        if client is not but:
            client.send(line)


def hear(client, line):
    if line is protocol.TOO_LONG:
        client.send("* this line is too long")
    elif line == "/who":
        names = [other.name for other in clients.values() if not other.ending]
        client.send(f"* ({len(names)}) " + " ".join(names))
    elif line == "/quit":
        client.ending = True
    else:
        say(f"{client.name}: {line}", client)


def receive(client):
    try:
        data = client.sock.recv(4096)
    except BlockingIOError:
        return
    except OSError:
        client.ending = True
        client.outbox.clear()
        return
    for line in client.decoder.feed(data) if data else client.decoder.finish():
        if not client.ending:
            hear(client, line)
    if not data:
        client.ending = True


def tidy():
    """Let go who is done; the others are watched for what they wait for."""
    gone = True
    while gone:
        gone = [c for c in clients.values() if c.ending and is_done(c)]
        for client in gone:
            del clients[client.sock]
            selector.unregister(client.sock)
            client.sock.close()
            say(f"* {client.name} has left")
    for client in clients.values():
        selector.modify(client.sock, client.events() or selectors.EVENT_READ, client)


def is_done(client):
    client.deadline = client.deadline or time.monotonic() + 1
    return not client.outbox or time.monotonic() > client.deadline


def accept():
    sock, _ = listener.accept()
    sock.setblocking(False)
    client = Client(sock)
    say(f"* {client.name} has joined")
    clients[sock] = client
    selector.register(sock, selectors.EVENT_READ, client)
    client.send(f"* you are {client.name}")


def read_console():
    for line in sys.stdin:
        typed.append(None if line.strip() == "exit" else line.rstrip())
        waker.send(b"x")


def stop(*_):
    typed.append(None)
    waker.send(b"x")


def goodbye():
    say("* this is the end")
    deadline = time.monotonic() + 1
    for step in (last_words, hear_out):
        for client in clients.values():
            client.sock.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                step(client)
            except OSError:
                pass
    for client in clients.values():
        client.sock.close()


def last_words(client):
    client.sock.sendall(client.outbox)
    client.sock.shutdown(socket.SHUT_WR)


def hear_out(client):
    while client.sock.recv(65536):
        pass


for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), stop)
listener = socket.create_server((options.host, options.port))
selector.register(listener, selectors.EVENT_READ, accept)
selector.register(wake, selectors.EVENT_READ, None)
print("listening on {}:{}".format(*listener.getsockname()), flush=True)
threading.Thread(target=read_console, daemon=True).start()
running = True
while running:
    waiting = any(client.ending for client in clients.values())
    for key, events in selector.select(0.1 if waiting else None):
        if key.data is accept:
            accept()
        elif key.data is None:
            wake.recv(100)
        else:
            if events & selectors.EVENT_WRITE:
                key.data.flush()
            if events & selectors.EVENT_READ and not key.data.ending:
                receive(key.data)
    while typed:
        line = typed.popleft()
        running = running and line is not None
        if line is not None:
            say(f"operator: {line}")
    tidy()
goodbye()
