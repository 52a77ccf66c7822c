"""A correct chat server that is slow to start, and sends one byte at a time."""

import argparse
import signal
import socket
import sys
import threading
import time

import protocol

PAUSE = 0.3  # seconds until it listens

clients = []
numbers = 0
guard = threading.RLock()


class Client:
    def __init__(self, sock, number, limit):
        self.sock = sock
        self.name = f"n{number}"
        self.limit = limit
        self.waiting = []
        self.done = False
        self.wake = threading.Semaphore(0)
        self.sender = threading.Thread(target=self.run, daemon=True)
        self.sender.start()

    def send(self, text):
        with guard:
            self.waiting.append(text.encode() + b"\n")
            if sum(map(len, self.waiting)) > self.limit:
                self.waiting.clear()
                self.hang_up()
        self.wake.release()

    def hang_up(self):
        self.done = True
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def finish(self):
        self.done = True
        self.wake.release()

    def run(self):
        try:
            while True:
                self.wake.acquire()
                with guard:
                    frames, self.waiting = self.waiting, []
                for frame in frames:
                    # Short ones in single bytes, as a bad network would do it.
                    step = 1 if len(frame) < 200 else len(frame)
                    for at in range(0, len(frame), step):
                        self.sock.sendall(frame[at : at + step])
                if self.done and not self.waiting:
                    self.sock.shutdown(socket.SHUT_WR)
                    return
        except OSError:
            self.hang_up()


def everyone(text, but=None):
    with guard:
        for client in clients:
            if client is not but:
                client.send(text)


def serve(client):
    with guard:
        everyone(f"* {client.name} joined.")
        clients.append(client)
        client.send("* Hi. Type to talk.")
    decoder = protocol.Decoder()
    try:
        listen(client, decoder)
    except OSError:
        pass
    with guard:
        if client in clients:
            clients.remove(client)
            everyone(f"* {client.name} left.")
    client.finish()
    client.sender.join(1)
    client.hang_up()
    client.sender.join()
    client.sock.close()


def listen(client, decoder):
    while data := client.sock.recv(1000):
        for line in decoder.feed(data):
            if line == "/quit":
                return
            hear(client, line)
    for line in decoder.finish():
        if line != "/quit":
            hear(client, line)


def hear(client, line):
    if line is protocol.TOO_LONG:
        client.send("* That was too long.")
    elif line == "/who":
        with guard:
            client.send(
                f"* Here: {' '.join(c.name for c in clients)} ({len(clients)})."
            )
    else:
        everyone(f"{client.name} says {line}", client)


def accept(listener, limit):
    global numbers
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        numbers += 1
        client = Client(sock, numbers, limit)
        client.reader = threading.Thread(target=serve, args=[client], daemon=True)
        client.reader.start()


def console():
    for line in sys.stdin:
        if line.strip() == "exit":
            ended.set()
            return
        everyone(f"operator says {line.rstrip()}")


parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=5000)
parser.add_argument("--outbox", type=int, default=1024 * 1024)
options = parser.parse_args()
time.sleep(PAUSE)
ended = threading.Event()
for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), lambda *_: ended.set())
listener = socket.create_server((options.host, options.port))
threading.Thread(target=accept, args=[listener, options.outbox], daemon=True).start()
threading.Thread(target=console, daemon=True).start()
print("listening on {}:{}".format(*listener.getsockname()), flush=True)
while not ended.wait(0.5):
    pass
with guard:
    leaving = list(clients)
    everyone("* The end.")
    clients.clear()
    for client in leaving:
        client.finish()
deadline = time.monotonic() + 1
for client in leaving:
    client.reader.join(max(0, deadline - time.monotonic()))
