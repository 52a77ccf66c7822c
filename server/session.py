"""One client: its thread, and its bytes in.

A session receives, decodes and submits; it never sends, nor closes the socket while
somebody else might use it (that is the outbox's part). Its thread blocks in recv(),
and in waits that end when the client's outbox ends.

Of ours it imports `delivery`, `protocol`, `room`.
"""

import logging
import select
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

import delivery
import protocol
from delivery import Delivery
from protocol import Line
from room import Member

log = logging.getLogger("mchat")

FIRST_LOOK = 0.02  # seconds; web browsers and the like speak at once, people do not
GRACE = 1.0  # seconds for which a client that has half-closed still hears the talk
SMALL, LARGE = 1024, 65536  # bytes asked of recv: one who types; one who pours
OPENING = 1024  # bytes in which another protocol would have shown itself
MUCH = 4096  # bytes received at once; people type less
LINES_AT_ONCE = 1000  # so that one client's lines are not too much for one batch
BURST = 100  # lines that may come at once before the rate limit is felt
LONG_TIME = 3600  # seconds; a lock cannot wait for just any time
TICK = 0.5  # seconds between looks, where recv() cannot be woken (see `_receive`)


class Limits:
    """What clients may do; the numbers come from the command line."""

    def __init__(
        self,
        *,
        max_clients: int = 1000,
        max_line: int = protocol.MAX_LINE,
        outbox: int = 1024 * 1024,
        rate: float = 20,
    ) -> None:
        self.max_clients = max_clients
        self.max_line = max_line  # bytes without the line end
        self.outbox = outbox  # bytes that may wait for one client
        self.rate = rate  # lines per second, after BURST; 0: no limit


class NotOurs(Exception):
    """The client speaks another protocol; the argument is its name."""


class Session(threading.Thread):
    """The thread of one client. Not a daemon: the server ends and joins it."""

    def __init__(
        self,
        sock: socket.socket,
        member: Member,
        post: Delivery,
        limits: Limits,
        on_end: Callable[["Session"], None],
    ) -> None:
        super().__init__(name=f"{member.name} {member.address}")
        self._sock = sock
        self.member = member
        self._outbox = member.outbox
        self._post = post
        self._decoder = protocol.Decoder(limits.max_line)
        self._allowance = Allowance(limits.rate)
        self._opening: bytes | None = b""  # what came before the first line end
        self._size = SMALL
        self._hinted = False
        self._on_end = on_end
        self._lingering = False  # the client has half-closed and only listens

    @property
    def is_leaving(self) -> bool:
        """Whether nothing more is to come from the client. Any thread may ask."""
        return self._lingering or self._outbox.ended.is_open

    def run(self) -> None:
        """Serve the client from its first byte to its last."""
        try:
            opening = self._first_look()
            self._check_opening(opening or b"")
            self._post.submit(self._post.room.join, self.member)
            self._listen(self._receive() if opening is None else opening)
        except NotOurs as exc:
            log.warning("%s speaks %s: turned away", self.member.address, exc)
            self._post.submit(self._outbox.send, protocol.FAREWELL[str(exc)])
        except OSError as exc:  # reset, or timed out: nothing more will come
            log.debug("%s: %s", self.member.address, exc)
        finally:
            self._finish()

    # ---------------------------------------------------------------- receiving

    def _first_look(self) -> bytes | None:
        """Return what comes at once, or None; b"" is an end of stream."""
        self._sock.settimeout(FIRST_LOOK)
        try:
            return self._sock.recv(self._size)
        except TimeoutError:
            return None
        finally:
            self._sock.settimeout(None if delivery.DONTWAIT else 0)

    def _listen(self, data: bytes) -> None:
        """Take what the client says, `data` first, until it has no more to say."""
        while data:
            self._take(data)
            if self._decoder.ended or self._outbox.ended.is_open:
                break
            data = self._receive()
            self._check_opening(data)
        self._hear(self._decoder.finish(), 0)
        self._hint()
        self._lingering = True
        self._outbox.ended.wait(GRACE)

    def _receive(self) -> bytes:
        """Block until bytes come; return b"" at the end of the stream."""
        if not delivery.DONTWAIT:
            # The socket does not block, and shutdown() in another thread does not
            # wake select() everywhere: so it looks up now and then.
            while not select.select([self._sock], [], [], TICK)[0]:
                if self._outbox.released.is_open:
                    return b""
        data = self._sock.recv(self._size)
        if len(data) == self._size:
            self._size = min(4 * self._size, LARGE)
        return data

    def _finish(self) -> None:
        """Leave, let the client take its last bytes, and close.

        What the client still sends is read and thrown away: closing a socket with
        bytes unread would reset the connection, and its last bytes with it.
        """
        self._post.submit(self._post.room.leave, self.member)
        self._post.submit(self._outbox.end)
        try:
            while self._receive():
                pass
        except OSError:
            pass  # reset by the client, or cut off by the outbox: over either way
        self._outbox.released.wait()
        self._post.submit(self._outbox.close)
        self._on_end(self)

    # ------------------------------------------------------------- what was said

    def _check_opening(self, data: bytes) -> None:
        """Raise NotOurs if the first line, of which `data` is more, tells so."""
        if self._opening is None:
            return
        self._opening += data
        if name := protocol.foreign(self._opening):
            raise NotOurs(name)
        if b"\n" in data or len(self._opening) > OPENING:
            self._opening = None

    def _take(self, data: bytes) -> None:
        lines, answer = self._decoder.feed(data)
        if answer:
            self._post.submit(self._outbox.send, answer)
        if lines:
            self._hear(lines, len(data))
        self._hint()

    def _hint(self) -> None:
        """Tell the client, once, that what it sends cannot be read."""
        if self._decoder.invalid and not self._hinted:
            self._hinted = True
            hint = "your client does not send UTF-8; what it meant could not be read"
            self._post.submit(self._post.room.tell, self.member, hint)

    def _hear(self, lines: list[Line], size: int) -> None:
        """Submit lines, of `size` bytes in all, as fast as the limits allow."""
        submit, hear = self._post.submit, self._post.room.hear
        if size > MUCH:
            submit = partial(self._post.pour, size)
        start = 0
        while start < len(lines) and not self._outbox.ended.is_open:
            wanted = min(len(lines) - start, LINES_AT_ONCE)
            end = start + self._allowance.take(wanted, time.monotonic())
            if end == start:
                self._outbox.ended.wait(min(self._allowance.delay, LONG_TIME))
            else:
                submit(hear, self.member, lines[start:end])
                start = end


class Allowance:
    """How many lines a client may say now: a bucket of BURST that fills at `rate`."""

    __slots__ = ("_rate", "_time", "_tokens")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = float(BURST)
        self._time = 0.0

    @property
    def delay(self) -> float:
        """Seconds until at least one more line is allowed."""
        return max(0.0, (1 - self._tokens) / self._rate)

    def take(self, wanted: int, now: float) -> int:
        """Return how many of `wanted` lines are allowed at `now` (seconds)."""
        if not self._rate:
            return wanted
        earned = (now - self._time) * self._rate
        self._tokens = min(BURST, self._tokens + earned)
        self._time = now
        granted = min(wanted, int(self._tokens))
        self._tokens -= granted
        return granted
