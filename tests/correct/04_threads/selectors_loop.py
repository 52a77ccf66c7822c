"""A correct line server: one thread, one selector. It greets, and answers with LF."""

import argparse
import selectors
import socket

import protocol

parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=5000)
options = parser.parse_args()
selector = selectors.DefaultSelector()


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.decoder = protocol.Decoder()
        self.waiting = bytearray(b"* hello\n")
        self.ended = False
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ, self)
        self.handle(0)

    def handle(self, events):
        try:
            if events & selectors.EVENT_READ:
                self.hear(self.sock.recv(4096))
            if self.waiting:
                del self.waiting[: self.sock.send(self.waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
            self.waiting.clear()
        self.watch()

    def hear(self, data):
        self.ended = not data
        for line in self.decoder.feed(data) if data else self.decoder.finish():
            reply = "* a line must be shorter" if line is protocol.TOO_LONG else line
            self.waiting += reply.encode() + b"\n"

    def watch(self):
        if self.ended and not self.waiting:
            selector.unregister(self.sock)
            self.sock.close()
            return
        events = 0 if self.ended else selectors.EVENT_READ
        events |= selectors.EVENT_WRITE if self.waiting else 0
        selector.modify(self.sock, events, self)


listener = socket.create_server((options.host, options.port))
selector.register(listener, selectors.EVENT_READ)
print("listening on {}:{}".format(*listener.getsockname()), flush=True)
try:
    while True:
        for key, events in selector.select():
            if key.data:
                key.data.handle(events)
            else:
                Client(listener.accept()[0])
except KeyboardInterrupt:
    pass
