"""A correct client in one thread, for systems whose selectors take files, too."""

import os
import selectors
import socket
import sys

import protocol

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
KEYBOARD = 0
MUCH = 2**16  # bytes unsent: then the keyboard has to wait


class Chat:
    def __init__(self, sock):
        self.sock = sock
        self.typed, self.arriving = protocol.Decoder(2**20), protocol.Decoder(2**20)
        self.unsent = b""
        self.typing = True  # more may be typed
        self.left = self.gone = False

    def run(self):
        self.sock.setblocking(False)
        with self.sock, selectors.DefaultSelector() as self.selector:
            self.selector.register(self.sock, READ)
            while True:
                self.wait_for(self.sock, READ | WRITE if self.unsent else READ)
                more = self.typing and len(self.unsent) < MUCH
                self.wait_for(KEYBOARD, READ if more else 0)
                ready = {key.fileobj: events for key, events in self.selector.select()}
                if KEYBOARD in ready:
                    self.take(os.read(KEYBOARD, 4096))
                self.send()
                if ready.get(self.sock, 0) & READ and not self.show():
                    return

    def wait_for(self, what, events):
        if what in self.selector.get_map():
            self.selector.unregister(what)
        if events:
            self.selector.register(what, events)

    def take(self, data):
        for line in self.typed.feed(data) if data else self.typed.finish():
            if line.strip() == "exit":
                data = b""
                break
            self.unsent += protocol.encode(line)
        self.typing = bool(data)

    def send(self):
        try:
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
            if not (self.typing or self.left or self.gone):
                self.left = True
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass  # later
        except OSError:
            self.unsent, self.typing = b"", False
            self.gone = True  # nobody is there to send to

    def show(self):
        """Print what arrives; return whether there may be more."""
        try:
            data = self.sock.recv(4096)
        except OSError:
            data = b""
        for line in self.arriving.feed(data) if data else self.arriving.finish():
            print(line)
        return bool(data)


def main():
    try:
        sock = socket.create_connection((sys.argv[1], sys.argv[2]))
    except OSError:
        sys.stderr.write("no connection\n")
        return 3
    chat = Chat(sock)
    chat.run()
    if chat.left:
        return 0
    sys.stderr.write("*** the server went away\n")
    return 1


sys.exit(main())
