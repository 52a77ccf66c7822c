"""A correct chat server: everything that happens goes through the queue of one room.

Receiving threads put events into it; the room's thread alone knows who is here.
"""

import argparse
import collections
import itertools
import os
import queue
import signal
import socket
import sys
import threading
import time

import protocol

events = queue.SimpleQueue()


class Client:
    def __init__(self, sock, name, limit):
        self.sock = sock
        self.name = name
        self.limit = limit
        self.frames = collections.deque()
        self.size = 0
        self.over = False
        self.changed = threading.Condition()
        self.threads = [
            threading.Thread(target=run, daemon=True)
            for run in (self.receive, self.deliver)
        ]

    def receive(self):
        decoder = protocol.Decoder()
        try:
            while data := self.sock.recv(65536):
                events.put((hear, self, decoder.feed(data)))
            events.put((hear, self, decoder.finish()))
        except OSError:
            pass
        events.put((leave, self))

    def send(self, line):
        with self.changed:
            self.frames.append(protocol.encode(line))
            self.size += len(self.frames[-1])
            if self.size > self.limit:
                self.cut()
            self.changed.notify()

    def cut(self):
        self.over = True
        self.frames.clear()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def end(self):
        with self.changed:
            self.over = True
            self.changed.notify()

    def deliver(self):
        try:
            while True:
                with self.changed:
                    self.changed.wait_for(lambda: self.frames or self.over)
                    if not self.frames:
                        break
                    frame = self.frames.popleft()
                self.sock.sendall(frame)
                with self.changed:
                    self.size -= len(frame)
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            with self.changed:
                self.cut()


members = {}  # client -> name; only the room's thread touches it


def tell(line, but=None):
    for member in members:
        if member is not but:
            member.send(line)


def join(client):
    members[client] = client.name
    client.send(f"* here you are, {client.name}")
    tell(f"* {client.name} joined us", client)
    for thread in client.threads:
        thread.start()


def leave(client):
    if members.pop(client, None):
        tell(f"* {client.name} left us")
        client.end()
        threading.Thread(target=bury, args=[client], daemon=True).start()


def bury(client):
    client.threads[1].join(1)
    with client.changed:
        client.cut()
    for thread in client.threads:
        thread.join()
    client.sock.close()


def hear(client, lines):
    for line in lines:
        if client not in members:
            return
        if line is protocol.TOO_LONG:
            client.send("* too much for one line")
        elif line == "/quit":
            leave(client)
        elif line == "/who":
            client.send(f"* {', '.join(members.values())} ({len(members)})")
        else:
            tell(f"{client.name}> {line}", client)


def operate(line):
    tell(f"[the operator] {line}")


def close():
    tell("* closing, goodbye")
    leaving = list(members)
    members.clear()
    for client in leaving:
        client.end()
    deadline = time.monotonic() + 1
    for number in (1, 0):
        for client in leaving:
            client.threads[number].join(max(0, deadline - time.monotonic()))
    os._exit(0)


def run_room():
    while True:
        function, *arguments = events.get()
        function(*arguments)


def accept(listener, limit):
    for number in itertools.count(1):
        sock, _ = listener.accept()
        events.put((join, Client(sock, f"guest{number}", limit)))


def read_console():
    for line in sys.stdin:
        if line.strip() == "exit":
            events.put((close,))
        else:
            events.put((operate, line.strip()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--outbox", type=int, default=1024 * 1024)
    options = parser.parse_args()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: events.put((close,)))
    listener = socket.create_server((options.host, options.port))
    print("listening on {}:{}".format(*listener.getsockname()), flush=True)
    threading.Thread(target=read_console, daemon=True).start()
    accepting = threading.Thread(
        target=accept, args=[listener, options.outbox], daemon=True
    )
    accepting.start()
    threading.Thread(target=run_room, daemon=True).start()
    while True:
        threading.Event().wait(0.5)


main()
