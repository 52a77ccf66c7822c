"""A correct chat server on socketserver, with a queue and a sender for each client."""

import argparse
import itertools
import queue
import signal
import socket
import socketserver
import sys
import threading
import time

import protocol

lock = threading.Lock()
here = {}  # handler -> name
numbers = itertools.count(1)
LINES = 2000  # that may wait for one client, whatever --outbox says, of 1 kB or so


class Handler(socketserver.BaseRequestHandler):
    def setup(self):
        self.reader = threading.current_thread()
        self.queue = queue.Queue(options.outbox // 500)
        self.sender = threading.Thread(target=self.run_sender, daemon=True)
        self.sender.start()
        self.name = f"guest{next(numbers)}"
        with lock:
            tell(f"* {self.name} joined")
            here[self] = self.name
            self.send(f"* welcome {self.name}")

    def handle(self):
        decoder = protocol.Decoder()
        try:
            while data := self.request.recv(2048):
                for line in decoder.feed(data):
                    if line == "/quit":
                        return
                    self.hear(line)
            for line in decoder.finish():
                if line != "/quit":
                    self.hear(line)
        except OSError:
            pass

    def hear(self, line):
        with lock:
            if line is protocol.TOO_LONG:
                self.send("* too long")
            elif line == "/who":
                self.send(f"* who is here ({len(here)}): {', '.join(here.values())}")
            else:
                tell(f"[{self.name}] {line}", self)

    def finish(self):
        with lock:
            if here.pop(self, None):
                tell(f"* {self.name} left")
        try:
            self.queue.put(None, timeout=1)
        except queue.Full:
            self.cut()
        self.sender.join(1)
        self.cut()
        self.sender.join()

    def cut(self):
        try:
            self.request.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def send(self, line):
        try:
            self.queue.put_nowait(line)
        except queue.Full:
            self.cut()

    def run_sender(self):
        try:
            while (line := self.queue.get()) is not None:
                self.request.sendall(protocol.encode(line))
            self.request.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = sys.platform != "win32"
    daemon_threads = True
    request_queue_size = 100

    def shutdown_request(self, request):
        request.close()


def tell(line, but=None):
    for handler in here:
        if handler is not but:
            handler.send(line)


def read_console():
    for line in sys.stdin:
        if line.strip() == "exit":
            stop.set()
            return
        with lock:
            tell(f"[operator] {line.strip()}")


parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=5000)
parser.add_argument("--outbox", type=int, default=1024 * 1024)
options = parser.parse_args()
stop = threading.Event()
for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), lambda *_: stop.set())
with Server((options.host, options.port), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=read_console, daemon=True).start()
    print("listening on {}:{}".format(*server.server_address), flush=True)
    while not stop.wait(0.3):
        pass
    server.shutdown()
    with lock:
        leaving = list(here)
        here.clear()
        for handler in leaving:
            handler.send("* bye")
            handler.send(None)
    deadline = time.monotonic() + 1
    for handler in leaving:
        handler.sender.join(max(0, deadline - time.monotonic()))
        handler.reader.join(max(0, deadline - time.monotonic()))
