"""One simulated client: a non-blocking socket that counts what it hears.

Counting must cost less than any server's sending, or the benchmark measures itself.
So nothing is parsed here, and on Linux the bytes are not even copied: recv() with
MSG_TRUNC drops them in the kernel and says how many they were (tcp(7)).
"""

from __future__ import annotations

import contextlib
import socket
import sys

SINK = bytearray(4 << 20)  # bytes; as much as one recv() may swallow, never looked at
COUNT_ONLY = socket.MSG_TRUNC if sys.platform == "linux" else 0
BLOCK = 256 << 10  # bytes a flat-out speaker may hand over in one send()


class Client:
    """A connection of the generator.

    `heard` is in units: bytes, or whole lines if `by_lines` (for a server whose
    frames have no fixed length).
    """

    def __init__(self, number: int, sock: socket.socket, *, by_lines: bool) -> None:
        self.number = number
        self.sock = sock
        self.by_lines = by_lines
        self.heard = 0
        self.open = True
        self._unsent = b""

    def hear(self) -> None:
        """Count and drop what has come."""
        flags = 0 if self.by_lines else COUNT_ONLY
        size = 0
        with contextlib.suppress(ConnectionError):
            try:
                size = self.sock.recv_into(SINK, 0, flags)
            except BlockingIOError:
                return
        self.open = size > 0
        self.heard += SINK.count(b"\n", 0, size) if self.by_lines else size

    def read(self) -> bytes:
        """Count what has come and return it; b"" if nothing has."""
        data = b""
        with contextlib.suppress(ConnectionError):
            try:
                data = self.sock.recv(1 << 16)
            except BlockingIOError:
                return b""
        self.open = bool(data)
        self.heard += data.count(b"\n") if self.by_lines else len(data)
        return data

    def say(self, line: bytes) -> None:
        """Send line, a whole frame; what the kernel does not take waits for flush()."""
        self._unsent += line
        self.flush()

    def flush(self) -> None:
        """Send as much of what waits as the kernel takes."""
        if self._unsent:
            sent = self.send(memoryview(self._unsent))
            self._unsent = self._unsent[sent:]

    def send(self, data: memoryview) -> int:
        """Return how many bytes of data the kernel took; 0 if the peer is gone."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.open = False
            return 0


class Speaker:
    """A client saying the same line over and over, as fast as it is allowed to."""

    def __init__(self, client: Client, line: bytes) -> None:
        self.client = client
        self.size = len(line)
        self._sent = 0  # bytes
        self._block = memoryview(line * (BLOCK // len(line)))

    @property
    def said(self) -> int:
        """Whole lines the kernel has taken."""
        return self._sent // self.size

    def push(self, lines: int) -> None:
        """Say up to so many more lines; never blocks."""
        start = self._sent % self.size
        chunk = self._block[start : lines * self.size]
        self._sent += self.client.send(chunk)

    def finish(self) -> bool:
        """Complete a line that was cut; True when the last one is whole."""
        rest = -self._sent % self.size
        if rest:
            start = self.size - rest
            self._sent += self.client.send(self._block[start : self.size])
        return self._sent % self.size == 0 or not self.client.open
