"""A correct echo server: one thread, one selector, sockets that never block."""

import argparse
import selectors
import socket

MOST = 65536  # bytes that wait for one client; then it is not read any more

parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=5000)
options = parser.parse_args()
selector = selectors.DefaultSelector()


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.waiting = bytearray()
        self.ended = False
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ, self)

    def handle(self, events):
        try:
            if events & selectors.EVENT_READ:
                data = self.sock.recv(MOST)
                self.waiting += data
                self.ended = not data
            if self.waiting:
                del self.waiting[: self.sock.send(self.waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
            self.waiting.clear()
        self.watch()

    def watch(self):
        if self.ended and not self.waiting:
            selector.unregister(self.sock)
            self.sock.close()
            return
        reads = not self.ended and len(self.waiting) < MOST
        events = selectors.EVENT_READ if reads else 0
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
