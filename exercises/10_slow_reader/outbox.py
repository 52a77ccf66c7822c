"""What waits to be sent to one client: bounded, and sent by a thread of its own.

Whoever has a line for a client puts it into its outbox and goes on. Only the
outbox's own thread waits when the client does not read.
"""

import socket
import threading


class Outbox:
    """The way out to one client. `put`, `end` and `drop` never wait for the client."""

    def __init__(self, sock, limit):
        self._sock = sock
        self._limit = limit  # bytes that may wait
        self._changed = threading.Condition()  # its lock guards the next two
        self._waiting = bytearray()
        self._ended = False  # nothing more will be put in
        self.thread = threading.Thread(target=self._run, daemon=True)

    def put(self, data):
        """Add bytes to send. If too many wait already, give the client up."""
        # TODO 1: unless `_ended`, add `data` to `_waiting`, and wake up the thread that
        # waits for it in `_take`. Both while you hold the lock of `_changed`.
        # TODO 2: if more than `_limit` bytes wait now, call `drop` instead. It takes
        # the same lock by itself, so call it when you no longer hold it.

    def end(self):
        """Let what waits be sent, and then the end of the stream."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def drop(self):
        """Throw away what waits, and cut the connection.

        Both threads of the client wake up: the one in recv(), the one in sendall().
        """
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify()
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it was cut already

    def _run(self):
        """Send what is put in, in that order, until the end."""
        try:
            while data := self._take():
                self._sock.sendall(data)
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop()

    def _take(self):
        """Wait until something is there; return all of it, b"" at the end."""
        # TODO 1: wait until something is in `_waiting`, or `_ended` is true. Then take
        # all of it out, as `bytes`, and return it. All while you hold the lock.
        return b""
