"""One order, one send per recipient, nobody waits: over real sockets."""

import logging
import socket
import threading
from collections.abc import Iterator

import pytest

import delivery
from delivery import Delivery, Latch, Outbox
from grading.deadlines import LINE
from room import Member, Room

FULL = b"x" * (16 * 1024 * 1024)  # more than any pair of sockets holds


class Hub:
    """A delivery and socket pairs, closed when the test is over."""

    def __init__(self, limit: int) -> None:
        """Start the flusher; `limit` is for each outbox, in bytes."""
        self.room = Room()
        self.post = Delivery(self.room, limit)
        self.post.start()
        self._ours: list[tuple[Outbox, socket.socket]] = []
        self._theirs: list[socket.socket] = []

    def outbox(self) -> tuple[Outbox, socket.socket]:
        """Return a way out, and the socket at its other end."""
        ours, theirs = socket.socketpair()
        theirs.settimeout(LINE)
        outbox = Outbox(ours, "somewhere", self.post)
        self._ours.append((outbox, ours))
        self._theirs.append(theirs)
        return outbox, theirs

    def join(self) -> tuple[Member, socket.socket]:
        """Let somebody in, and read its welcome."""
        outbox, sock = self.outbox()
        member = Member(f"guest{len(self._ours)}", "somewhere", outbox)
        self.post.call(self.room.join, member)
        read_lines(sock, 1)
        return member, sock

    def close(self) -> None:
        """Release everything and stop."""
        for outbox, _ in self._ours:
            self.post.submit(outbox.abort)
            assert outbox.released.wait(LINE)
            self.post.call(outbox.close)
        self.post.close()
        for sock in self._theirs:
            sock.close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub with outboxes of 1 MiB."""
    hub = Hub(1024 * 1024)
    yield hub
    hub.close()


def read_lines(sock: socket.socket, count: int) -> bytes:
    """Read until `count` lines have come, and not more."""
    data = b""
    while data.count(b"\n") < count:
        data += sock.recv(1)
    return data


def read_bytes(sock: socket.socket, count: int) -> bytes:
    """Read `count` bytes."""
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(min(1 << 20, count - len(data)))
        assert piece, f"the end after {len(data)} bytes of {count}"
        data += piece
    return bytes(data)


# ------------------------------------------------------------------------ the latch


def test_latch() -> None:
    """Opens once and stays open, for whoever waits, and however long."""
    latch = Latch()
    assert not latch.wait(0)
    assert not latch.is_open
    latch.open()
    latch.open()
    assert latch.is_open
    assert latch.wait()
    assert latch.wait(0)


def test_latch_wakes_its_waiter() -> None:
    """From another thread."""
    latch = Latch()
    thread = threading.Thread(target=latch.wait)
    thread.start()
    latch.open()
    thread.join(LINE)
    assert not thread.is_alive()


# ----------------------------------------------------------------------- the outbox


def test_send_does_not_block_and_loses_nothing(hub: Hub) -> None:
    """What the socket does not take waits, and goes out as room is made."""
    hub.post.limit = 2 * len(FULL)
    outbox, sock = hub.outbox()
    hub.post.submit(outbox.send, FULL)
    hub.post.submit(outbox.send, b"last")
    assert hub.post.call(lambda: outbox.queued) > 0
    assert read_bytes(sock, len(FULL) + 4) == FULL + b"last"
    hub.post.submit(outbox.end)
    assert outbox.released.wait(LINE)
    assert outbox.queued == 0
    assert not hub.post.backlogged


def test_client_that_does_not_read_is_dropped_at_its_limit(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    """Its memory is given back, its socket is shut down, and the log says why."""
    outbox, sock = hub.outbox()
    with caplog.at_level(logging.WARNING):
        hub.post.submit(outbox.send, FULL)
    assert outbox.ended.wait(LINE)
    assert outbox.queued == 0
    assert "somewhere reads too slowly" in caplog.text
    hub.post.submit(outbox.send, b"not sent")
    received = b""
    while data := sock.recv(1 << 20):
        received += data
    assert FULL.startswith(received)


def test_end_sends_what_waits_first(hub: Hub) -> None:
    """The last words are not lost; then the client sees the end."""
    hub.post.limit = 2 * len(FULL)
    outbox, sock = hub.outbox()
    hub.post.submit(outbox.send, FULL)
    hub.post.submit(outbox.end)
    assert not hub.post.call(lambda: outbox.released.is_open)
    assert read_bytes(sock, len(FULL)) == FULL
    assert sock.recv(1) == b""
    assert outbox.released.wait(LINE)


def test_end_does_not_wait_for_ever(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not take its last bytes is cut off."""
    monkeypatch.setattr(delivery, "FAREWELL_TIME", 0.01)
    hub.post.limit = 2 * len(FULL)
    outbox, _ = hub.outbox()
    hub.post.submit(outbox.send, FULL)
    hub.post.submit(outbox.end)
    assert outbox.released.wait(LINE)


def test_broken_socket_ends_the_outbox(hub: Hub) -> None:
    """Whether it breaks in a send or while the flusher has it."""
    hub.post.limit = 2 * len(FULL)
    outbox, sock = hub.outbox()
    sock.close()
    hub.post.submit(outbox.send, b"x")
    hub.post.submit(outbox.send, b"x")
    assert outbox.released.wait(LINE)
    outbox, sock = hub.outbox()
    hub.post.submit(outbox.send, FULL)
    sock.close()
    assert outbox.released.wait(LINE)


def test_everything_twice_is_harmless(hub: Hub) -> None:
    """An end after an abort, an abort after a close."""
    outbox, _ = hub.outbox()
    for event in (outbox.end, outbox.end, outbox.abort, outbox.abort, outbox.close):
        hub.post.submit(event)
    for event in (outbox.abort, outbox.end, outbox.close):
        hub.post.call(event)
    hub.post.call(outbox.send, b"x")


# --------------------------------------------------------------------- the delivery


def test_one_order_for_all_and_everything_arrives(hub: Hub) -> None:
    """Many threads submit; all members see the same lines in the same order."""
    people = [hub.join() for _ in range(8)]
    for _, sock in people:
        hub.post.call(lambda: None)
        sock.settimeout(LINE)
    watcher, watching = hub.join()
    for number, (_, sock) in enumerate(people):
        read_lines(sock, len(people) - number)  # the others joined

    def speak(member: Member) -> None:
        for number in range(50):
            hub.post.submit(hub.room.hear, member, [f"line {number}"])

    threads = [threading.Thread(target=speak, args=(member,)) for member, _ in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LINE)
    everything = read_lines(watching, 8 * 50).decode().splitlines()
    for member, sock in people:
        own = f"[{member.name}] "
        others = [line for line in everything if not line.startswith(own)]
        assert read_lines(sock, 7 * 50).decode().splitlines() == others
        mine = [line for line in everything if line.startswith(own)]
        assert mine == [f"{own}line {number}" for number in range(50)]
    assert watcher.outbox.queued == 0


def test_bug_in_one_event_does_not_take_others_along(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback, and the next event runs."""

    def broken() -> None:
        raise ZeroDivisionError("ours")

    hub.post.submit(broken)
    assert hub.post.call(lambda: 42) == 42
    assert "ZeroDivisionError: ours" in caplog.text


def test_no_event_is_left_lying(hub: Hub) -> None:
    """One that comes in while the last batch ends is run all the same."""
    counted: list[int] = []

    def submit_many() -> None:
        for number in range(2000):
            hub.post.submit(counted.append, number)

    threads = [threading.Thread(target=submit_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LINE)
    assert len(counted) == 8000  # at once: whoever returns last has run the last


def test_no_thread_works_for_others_for_ever(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its tenure it leaves the rest to the flusher, and that is run too."""
    monkeypatch.setattr(delivery, "TENURE", -1)
    monkeypatch.setattr(delivery, "BATCH_SIZE", 1)
    _, sock = hub.join()
    ran_by: list[str] = []

    def event() -> None:
        ran_by.append(threading.current_thread().name)
        hub.room.announce("x")

    with hub.post._running:  # as if another thread ran events at this moment
        for _ in range(5):
            hub.post.submit(event)
    hub.post.submit(event)
    read_lines(sock, 6)
    assert ran_by == [threading.current_thread().name] + 5 * ["flusher"]


def test_flood_waits_for_one_that_reads(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on as soon as that one has caught up."""
    monkeypatch.setattr(delivery, "PATIENCE", 3600)
    hub.post.limit = 2 * len(FULL)
    outbox, sock = hub.outbox()
    hub.post.call(outbox.send, FULL)
    assert outbox.behind_since > delivery.NEVER
    poured = threading.Event()
    speaker = threading.Thread(target=hub.post.pour, args=(1, poured.set))
    speaker.start()
    hub.post.call(lambda: None)
    assert not poured.is_set()
    read_bytes(sock, len(FULL))
    assert poured.wait(LINE)  # the flusher may be the one that runs it
    speaker.join()


def test_flood_does_not_wait_for_one_that_does_not_read(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not beyond its patience, and then no more."""
    hub.post.limit = 2 * len(FULL)
    outbox, _ = hub.outbox()
    monkeypatch.setattr(delivery, "PATIENCE", 0.01)
    hub.post.call(outbox.send, FULL)
    poured = threading.Event()
    hub.post.pour(1, poured.set)
    assert poured.is_set()
    monkeypatch.setattr(delivery, "PATIENCE", 3600)
    outbox.behind_since -= 3600
    hub.post.pour(1, poured.clear)
    assert not poured.is_set()


def test_only_so_much_is_on_its_way(hub: Hub) -> None:
    """More waits until what came before has been run, however large it is."""
    hub.post.limit = 40
    ran: list[int] = []

    def pour(size: int) -> threading.Thread:
        thread = threading.Thread(target=hub.post.pour, args=(size, ran.append, size))
        thread.start()
        return thread

    with hub.post._running:  # as if another thread ran events, and for long
        first = pour(1000)
        first.join(LINE)
        second = pour(1)
        while not hub.post._calm._waiters:  # type: ignore[attr-defined]
            assert second.is_alive()
        assert len(hub.post._pending) == 1
    hub.post.submit(int)
    second.join(LINE)
    assert ran == [1000, 1]
