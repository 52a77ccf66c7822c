"""Frames out: one order for all, one send per recipient, and nobody waits.

Events (a client's lines, a join, a departure) are submitted by many threads. The
one that finds the room free runs the events of all: it takes the pending ones as
a batch, lets the room turn them into frames, and sends each recipient its part.
The others leave their event behind and go on reading. Under load the batches grow
by themselves; at rest a line is sent by the very thread that has read it.

    submit --> pending --> room --> batch --> outbox.send --> socket
       many threads  |    one thread at a time    |
                     |                            v
                     +------- Flusher <------- backlog

No send ever blocks. What a socket does not take waits in its client's outbox until
the flusher sees room in the socket again. A client that lets its outbox grow past
the limit is dropped.

Nothing here receives. Of ours it imports only `batch` and `room`.
"""

from __future__ import annotations

import logging
import selectors
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from batch import Batch
from room import Room

TYPE_CHECKING = False  # type checkers take it for True; spares importing typing
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

log = logging.getLogger("mchat")

#: Makes one send not block, on a socket that otherwise would. 0 where the system
#: has no such flag (Windows): there the sockets themselves are set not to block.
DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)

BATCH_SIZE = 256 * 1024  # bytes, so that one batch alone fills nobody's outbox
PENDING_LIMIT = 64  # events; past it, who submits waits instead of reading on
FAREWELL_TIME = 1.0  # seconds to take the last bytes and close, then it is cut off
TENURE = 0.1  # seconds for which one client's thread runs the events of others
PATIENCE = 1.0  # seconds that a flood waits for a client that has fallen behind
NEVER = float("-inf")  # a time

# Makes close() send a reset (socket(7), SO_LINGER): on, for 0 seconds.
LINGER_0 = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Latch:
    """What `threading.Event` does, once and for one waiter, with one lock.

    An Event takes 1.5 kB. Ten thousand clients have two each.
    """

    __slots__ = ("_lock", "is_open")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.is_open = False

    def open(self) -> None:
        """Let the waiter go, now and for ever. One thread at a time may call it."""
        if not self.is_open:
            self.is_open = True
            self._lock.release()

    def wait(self, timeout: float = -1) -> bool:
        """Block until it is open, at most `timeout` seconds; tell whether it is."""
        return self.is_open or self._lock.acquire(timeout=timeout)


class Outbox:
    """The way out to one client. It alone sends on, shuts down and closes `sock`.

    Every method is an event or is called by one (so by one thread at a time); none
    blocks. Only the two latches are for the thread that reads from the client.
    """

    __slots__ = (
        "_address",
        "_backlog",
        "_delivery",
        "_ending",
        "_sock",
        "_watched",
        "behind_since",
        "ended",
        "released",
    )

    def __init__(self, sock: socket.socket, address: str, delivery: Delivery) -> None:
        self._sock = sock
        self._address = address
        self._delivery = delivery
        self._backlog = bytearray()
        self._ending = False  # once the backlog is gone, tell the client: no more
        self._watched = False  # the flusher has the socket; it must not be closed
        #: When the backlog rose above a quarter of the limit; NEVER while it is below.
        self.behind_since = NEVER
        #: Opens when there is nothing more to hear from this client.
        self.ended = Latch()
        #: Opens when all is sent or given up: then `close` may be submitted.
        self.released = Latch()

    @property
    def queued(self) -> int:
        """Bytes that wait here (what the system has taken is not counted)."""
        return len(self._backlog)

    def send(self, data: bytes) -> None:
        """Send `data` after what waits already. Dropped once the client has ended.

        Sending nothing is worth it: it finds out about a connection that was reset.
        """
        if self.ended.is_open:
            return
        if not self._backlog:
            sent = self._offer(data)
            if sent == len(data):
                return
            data = data[sent:]
        self._backlog += data
        if self.queued > self._delivery.limit:
            log.warning("%s reads too slowly: dropped", self._address)
            self.abort()
        else:
            self._watch()

    def flush(self) -> None:
        """Send what waits. Called when the flusher has found room in the socket."""
        self._watched = False
        self._delivery.backlogged.discard(self)
        if self._backlog:
            del self._backlog[: self._offer(self._backlog)]
        if self._backlog:
            self._watch()
        else:
            self.behind_since = NEVER
        self._settle()

    def end(self) -> None:
        """Send what waits, then let the client know that no more will come."""
        if not self.ended.is_open:
            self._ending = True
            self.ended.open()
            self._delivery.flusher.expire(self)
        self._settle()

    def expire(self) -> None:
        """Cut off a client that has had its time to close, if it has not.

        By a reset: to Debian's nc the end of the stream alone means nothing, and
        its user would sit before a chat that is over.
        """
        with suppress(OSError):  # closed in good time
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            self.abort()

    def abort(self) -> None:
        """Give up on the client, here and now."""
        self._backlog.clear()
        self._ending = False
        self.ended.open()
        with suppress(OSError):  # it may be gone already
            # Not close: that would leave the reading thread blocked in recv().
            self._sock.shutdown(socket.SHUT_RDWR)
        self._settle()

    def close(self) -> None:
        """Close the socket; after `released`, when nobody receives any more."""
        self._sock.close()

    def _offer(self, data: bytes | bytearray) -> int:
        """Return how many bytes the socket has taken."""
        try:
            return self._sock.send(data, DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:  # reset, or timed out: its reader will find out too
            self.abort()
            return len(data)

    def _watch(self) -> None:
        if self.queued <= self._delivery.limit // 4:
            self.behind_since = NEVER
        elif self.behind_since == NEVER:
            self.behind_since = time.monotonic()
        if not self._watched:
            self._watched = True
            self._delivery.backlogged.add(self)
            self._delivery.flusher.watch(self._sock, self)

    def _settle(self) -> None:
        """Once there is nothing left to do here, say so."""
        if not self.ended.is_open or self._watched or self._backlog:
            return
        if self._ending:
            self._ending = False
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
        self.released.open()


class Delivery:
    """Runs events on the room, one after the other, and sends what comes of it."""

    def __init__(self, room: Room, limit: int) -> None:
        self.room = room
        self.limit = limit  # bytes in one outbox
        #: Outboxes that the flusher watches; changed by events only.
        self.backlogged: set[Outbox] = set()
        self._pending: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._running = threading.Lock()  # held by the one thread that runs events
        self._poured = 0  # bytes submitted by `pour` and not yet run
        self._calm = threading.Condition()  # guards _poured; news of room for more
        self.flusher = Flusher(self.submit)

    def start(self) -> None:
        """Start the flusher; `close` stops it."""
        self.flusher.start()

    def submit(self, event: Callable[..., object], *args: object) -> None:
        """Have `event(*args)` run in its turn, by this thread or by another.

        Any thread, but not from inside an event. Does not wait, unless events
        come in faster than they can be run.
        """
        self._pending.append((event, args))
        patient = len(self._pending) > PENDING_LIMIT
        enough = time.monotonic() + TENURE
        # Whoever runs events looks again after letting go of the lock, so an event
        # that came in just before is never left lying.
        while self._pending and self._running.acquire(blocking=patient):
            try:
                self._run_batch()
            finally:
                self._running.release()
            patient = False
            if time.monotonic() > enough:
                self.flusher.take_over()
                break

    def call(self, event: Callable[..., T], *args: object) -> T:
        """Have `event(*args)` run in its turn, wait for it, return its result."""
        done = threading.Event()
        results: list[T] = []

        def run() -> None:
            try:
                results.append(event(*args))
            finally:
                done.set()

        self.submit(run)
        done.wait()
        return results[0]

    def pour(self, size: int, event: Callable[..., object], *args: object) -> None:
        """Submit an event of many bytes: wait first, while others have to catch up.

        A flood can outrun any reader. So no more than a quarter of an outbox is on
        its way at a time; and a client that keeps reading gets PATIENCE to come
        below a quarter of its backlog. For one that does not, nobody waits longer
        than that, once: then it fills up and is dropped.
        """
        with self._calm:
            while not self._calm.wait_for(lambda: self._has_room(size), PATIENCE):
                pass  # looks again: patience may have ended, which wakes nobody
            self._poured += size
        self.submit(self._run_poured, size, event, args)

    def _has_room(self, size: int) -> bool:
        if self._poured and self._poured + size > self.limit // 4:
            return False
        fresh = time.monotonic() - PATIENCE
        return not any(it.behind_since > fresh for it in list(self.backlogged))

    def _run_poured(
        self, size: int, event: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        with self._calm:
            self._poured -= size
        event(*args)

    def close(self) -> None:
        """Stop the flusher. Every outbox must have been released."""
        self.flusher.stop()
        self.submit(_nothing)  # run what may have been left to the flusher

    def _run_batch(self) -> None:
        room, batch, pending = self.room, self.room.out, self._pending
        relieves = self._poured or self.backlogged
        while pending and batch.size < BATCH_SIZE:
            event, args = pending.popleft()
            try:
                event(*args)
            except Exception:  # a bug of ours must not take the others' events along
                log.exception("an event failed: %s", event)
        room.out = Batch()
        for member, parcel in batch.parcels(room.members.values()):
            member.outbox.send(parcel)
        for member in batch.departed:
            member.outbox.end()
        if relieves:
            with self._calm:
                self._calm.notify_all()


def _nothing() -> None:
    """The least of all events."""


class Flusher(threading.Thread):
    """Waits for sockets that were full, and for clients that are to close.

    Not a daemon: `stop` ends it. It only waits and submits; what is done about
    it is done by the events.
    """

    def __init__(self, submit: Callable[..., None]) -> None:
        super().__init__(name="flusher")
        self._submit = submit
        self._full: deque[tuple[socket.socket, Outbox]] = deque()
        self._expiring: deque[tuple[float, Outbox]] = deque()  # soonest first
        self._awake, self._waker = socket.socketpair()
        self._awake.setblocking(False)
        self._waker.setblocking(False)
        self._taking_over = False
        self._stopping = False

    def take_over(self) -> None:
        """Run the pending events, if nobody else does."""
        self._taking_over = True
        self._wake()

    def watch(self, sock: socket.socket, outbox: Outbox) -> None:
        """Submit `outbox.flush` as soon as `sock` has room, or is broken."""
        self._full.append((sock, outbox))
        self._wake()

    def expire(self, outbox: Outbox) -> None:
        """Submit `outbox.expire` after FAREWELL_TIME, whatever has become of it."""
        self._expiring.append((time.monotonic() + FAREWELL_TIME, outbox))
        self._wake()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping = True
        self._wake()
        self.join()
        self._awake.close()
        self._waker.close()

    def run(self) -> None:
        """Wait and submit, until `stop`."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._awake, selectors.EVENT_READ)
            while not self._stopping:
                for key, _ in selector.select(self._time_left()):
                    if key.data is None:
                        with suppress(BlockingIOError):
                            self._awake.recv(4096)
                    else:
                        selector.unregister(key.fileobj)
                        self._submit(key.data.flush)
                if self._taking_over:
                    self._taking_over = False
                    self._submit(_nothing)
                while self._full:
                    sock, outbox = self._full.popleft()
                    selector.register(sock, selectors.EVENT_WRITE, outbox)
                while self._expiring and not self._time_left():
                    self._submit(self._expiring.popleft()[1].expire)

    def _time_left(self) -> float | None:
        if not self._expiring:
            return None
        return max(0.0, self._expiring[0][0] - time.monotonic())

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # so many wake-ups wait that one more is none
            self._waker.send(b"\0")
