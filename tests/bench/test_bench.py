"""The benchmark counts right, and what it compares with are correct chat servers.

Nothing here asserts a time.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import table
from load import Failure, Load, shares
from scenarios import Flood, Metric, Outcome, Paced, quantile, run
from servers import SERVERS, Running, Server, running

TIMEOUT = 10.0  # seconds any single step may take
PEERS = [s for s in SERVERS if s.name in ("sendall", "queue", "asyncio")]
THE_PEERS = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: str(peer.name))


@contextlib.contextmanager
def hosted(server: Server) -> Iterator[Running]:
    """Run a server under this Python."""
    with running(server, 10, sys.executable) as host:
        yield host


class Person:
    """Somebody at a server who speaks and reads whole lines."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.lines = self.sock.makefile("rb")

    def say(self, line: bytes) -> None:
        """Send line, its terminator included."""
        self.sock.sendall(line)

    def hear(self) -> bytes:
        """Return the next line, its terminator included."""
        return self.lines.readline()

    def leave(self) -> None:
        """Close the connection."""
        self.lines.close()
        self.sock.close()


@contextlib.contextmanager
def people(port: int, count: int) -> Iterator[list[Person]]:
    """Yield so many persons who are all in: each has been heard by each other.

    The servers say nothing to a newcomer, so each one calls until all the others
    have answered nothing but their silence: having heard the call.
    """
    with contextlib.ExitStack() as stack:
        present: list[Person] = []
        for _ in range(count):
            person = Person(port)
            stack.callback(person.leave)
            for other in present:
                # A call may come before the newcomer is a member: call until heard.
                _call(other, person)
            present.append(person)
        for person in present:
            person.say(b"all in\n")
        for person in present:
            heard = 0
            while heard < count - 1:
                heard += person.hear().endswith(b" all in\r\n")
        yield present


def _call(speaker: Person, newcomer: Person) -> None:
    """Let speaker call until newcomer hears it."""
    newcomer.sock.settimeout(0.2)
    for _ in range(int(TIMEOUT / 0.2)):
        speaker.say(b"call\n")
        try:
            data = newcomer.sock.recv(1 << 16)
        except TimeoutError:
            continue
        assert data.endswith(b"\n"), data
        newcomer.sock.settimeout(TIMEOUT)
        return
    raise AssertionError("the newcomer hears nothing")


@pytest.mark.slow
@THE_PEERS
def test_peer_relays_each_line_to_all_others_and_not_to_the_speaker(
    peer: Server,
) -> None:
    """Lines ended by LF or CRLF reach the others in order; the next the speaker hears
    is somebody else's."""
    with hosted(peer) as host, people(host.port, 3) as (ann, bob, cyd):
        ann.say(b"one\ntwo\r\nthr")
        ann.say(b"ee\n")
        for other in (bob, cyd):
            heard = [other.hear() for _ in range(3)]
            assert heard == [b"[guest1] %s\r\n" % t for t in (b"one", b"two", b"three")]
        bob.say(b"fence\n")
        assert ann.hear() == cyd.hear() == b"[guest2] fence\r\n"


@pytest.mark.slow
@THE_PEERS
def test_peer_survives_a_client_that_is_reset(peer: Server) -> None:
    """The others go on talking after one vanished without a goodbye."""
    with hosted(peer) as host, people(host.port, 3) as (ann, bob, cyd):
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # on, 0 seconds: close() resets
        cyd.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        cyd.leave()
        for number in range(10):
            ann.say(b"%d\n" % number)
            assert bob.hear() == b"[guest1] %d\r\n" % number


def _naive_count(sock: socket.socket, counts: list[int]) -> None:
    """Append how many lines of a flood a plain reader finds, until the end."""
    with sock, sock.makefile("rb") as lines:
        counts.append(sum(b" flood " in line for line in lines))


@pytest.mark.slow
@THE_PEERS
def test_generator_counts_what_a_naive_reader_counts(peer: Server) -> None:
    """Lines said, as the generator tells, are the lines a plain client reads."""
    counts: list[int] = []
    with hosted(peer) as host:
        sock = socket.create_connection(("127.0.0.1", host.port), TIMEOUT)
        # Not a daemon: it ends with the server, and is joined.
        reader = threading.Thread(target=_naive_count, args=(sock, counts))
        reader.start()
        with Load(host.port, peer.wire, clients=5, speakers=2) as load:
            load.connect(TIMEOUT)
            load.calibrate()
            heard = load.flood(warm=0, seconds=0.2, nap=0.001)
            load.settle(TIMEOUT)
            said = sum(heard[0].said.values())
            frames = load.frames
    reader.join(TIMEOUT)
    assert said > 0
    assert [said] == counts
    # The naive reader is guest1, so the speakers are guest2 and guest3.
    assert set(frames.values()) == {len(b"[guest2] ") + 63 + len(b"\r\n")}
    # All said was delivered to 4; the window held all but what came after it.
    assert 0 < heard[0].units <= 4 * said * frames[0]


LIAR = """
import socket, threading
def serve(sock, others):
    for number, line in enumerate(sock.makefile("rb")):
        if LOSES and line.startswith(b"flood") and number % 7 == 0: continue
        for other in list(others):
            if other is not sock: other.sendall(b"[x] " + line)
        if FREEZES and line.startswith(b"flood"): threading.Event().wait()
listener = socket.create_server(("127.0.0.1", 0))
print("listening on %s:%s" % listener.getsockname(), flush=True)
others = []
while True:
    sock, _ = listener.accept()
    others.append(sock)
    threading.Thread(target=serve, args=(sock, others), daemon=True).start()
"""


def liar(path: Path, *, loses: bool = False, freezes: bool = False) -> Server:
    """Return a server that does not deliver all."""
    path.write_text(f"LOSES, FREEZES = {loses}, {freezes}\n{LIAR}")
    return Server("liar", "", lambda plan: [plan.python, str(path)])


@pytest.mark.slow
def test_a_server_that_loses_lines_gets_no_figure(tmp_path: Path) -> None:
    """Deliveries count only when all that was said arrived."""
    flood = Flood("tiny", 4, 1, warm=0.1, seconds=0.2)
    outcome = run(flood, liar(tmp_path / "liar.py", loses=True), sys.executable)
    assert outcome.failure.startswith("lost ")
    assert not outcome.values


@pytest.mark.slow
def test_a_server_that_freezes_is_called_frozen(tmp_path: Path) -> None:
    """A server that stops answering ends the run in time, and is said to be frozen."""
    flood = Flood("tiny", 4, 1, warm=0.1, seconds=0.2)
    outcome = run(flood, liar(tmp_path / "liar.py", freezes=True), sys.executable)
    assert outcome.failure == "froze"


def test_a_program_that_does_not_start_is_told(tmp_path: Path) -> None:
    """The last line the program wrote is the reason given."""
    path = tmp_path / "broken.py"
    path.write_text("raise SystemExit('port in use')")
    broken = Server("broken", "", lambda plan: [plan.python, str(path)])
    with pytest.raises(Failure, match="no start: port in use"), hosted(broken):
        pass


@pytest.mark.slow
def test_every_line_of_a_schedule_is_timed() -> None:
    """Each line is timed at each listener but its speaker, and none is negative."""
    paced = Paced("tiny", 4, 100, warm=0.1, seconds=0.3)
    outcome = run(paced, PEERS[0], sys.executable)
    assert not outcome.failure
    assert 0 < outcome.values["p50"] <= outcome.values["p99"]


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    """One command, one table, all figures in the file."""
    report = tmp_path / "report.json"
    command = [sys.executable, str(Path(__file__).parent), "--servers=asyncio,sendall"]
    command += ["--scenarios=calm", "--seconds=0.3", "--quick", f"--json={report}"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True
    )
    assert "calm: 10 clients, 100 lines/s in all" in done.stdout
    outcomes = json.loads(report.read_text())["outcomes"]
    assert [o["server"] for o in outcomes] == ["asyncio", "sendall"]


def test_lines_that_never_came_are_infinitely_late() -> None:
    """A quantile is over what was due, not over what came."""
    assert quantile([0.1, 0.2, 0.3], 4, 0.5) == pytest.approx(0.2)
    assert quantile([0.1, 0.2, 0.3], 4, 0.99) == float("inf")


@pytest.mark.parametrize(
    ("clients", "first", "workers", "sizes"),
    [(50, 10, 1, [50]), (100, 2, 2, [50, 50]), (10, 8, 2, [8, 2]), (4, 4, 3, [4])],
)
def test_clients_are_shared_out_and_speakers_stay_together(
    clients: int, first: int, workers: int, sizes: list[int]
) -> None:
    """Every client is in one share; the first share holds all speakers."""
    assert [len(share) for share in shares(clients, first, workers)] == sizes


def test_a_failure_takes_the_place_of_a_figure() -> None:
    """A figure is shown with its ratio; a failed run with its reason."""
    flood = Flood("x", 2, 1)
    outcomes = [
        Outcome("sendall", "x", {"rate": 2e6}),
        Outcome("queue", "x", {"rate": 1e6}),
        Outcome("asyncio", "x", failure="dropped 3"),
    ]
    text = table.render(flood, PEERS, outcomes)
    rows = [line.split() for line in text.splitlines()]
    assert ["queue", "1.00", "M/s", "0.5x"] in rows
    assert ["asyncio", "dropped", "3"] in rows


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (21.04e6, "/s", "21.0 M/s"),
        (0.000123, "s", "0.123 ms"),
        (0.0449, "s", "44.9 ms"),
        (1.116, "s", "1116 ms"),
        (230e6, "B", "230 MB"),
        (float("inf"), "s", "> 10 s"),
    ],
)
def test_figures_have_the_digits_that_count(value: float, unit: str, text: str) -> None:
    """Three digits, and a unit a person reads."""
    assert table.figure(value, Metric("k", "t", unit).unit) == text
