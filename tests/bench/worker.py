"""A process of the load generator: many simulated clients behind one selector.

The process that measures (load.py) calls the methods of Worker through a pipe, one
at a time. Each ends by its own deadline, whatever the server does.
All times are of time.monotonic(), which on one machine all processes share.
"""

from __future__ import annotations

import contextlib
import re
import select
import selectors
import socket
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from virtual import Client, Speaker

TICK = 0.001  # seconds between two looks where it does not matter much
SPIN = 0.0003  # seconds to poll before a line is due: sleeping ends late by about that
SWEEP = 0.02  # seconds between two readings of the clients not sampled
STALL = 3.0  # seconds without any progress before a server counts as stuck
CONNECT_TIMEOUT = 10.0  # seconds
AHEAD = 2.0  # seconds; see Leash
FLOOR = 1000  # lines; see Leash
LOOK = 0.2  # seconds over which Leash takes the speed of the room
STAMP = re.compile(rb"t=(\d{19})")  # nanoseconds
NAME = re.compile(rb"calibrate-(\d+)")  # the number of the client who says it


@dataclass(frozen=True)
class Burst:
    """Speakers flat out: from `start`, `warm` seconds unmeasured, then `seconds`.

    The clients look for what has come every `nap` seconds.
    """

    lines: Mapping[int, bytes]  # speaker's number -> the line it says
    frames: Mapping[int, int]  # speaker's number -> units one line comes back as
    start: float
    warm: float
    seconds: float
    nap: float


@dataclass(frozen=True)
class Schedule:
    """Open loop: line k is due at `start + k / rate`, whether or not k - 1 got through.

    The first `skip` lines are warm-up and not timed. `halves` are the bytes before and
    after the stamp. Every `stride`-th client is an ear: the lines it hears are read and
    timed. The others only count.
    """

    speakers: Sequence[int]
    halves: tuple[bytes, bytes]
    start: float
    rate: float
    lines: int
    skip: int
    stride: int
    patience: float


@dataclass
class Heard:
    """What a worker tells about a burst or a schedule."""

    said: dict[int, int] = field(default_factory=dict)  # whole lines, by speaker
    units: int = 0  # heard inside the measured window
    seconds: float = 0.0  # true length of that window
    busy: float = 0.0  # share of one processor this process used
    delays: array[float] = field(default_factory=lambda: array("d"))  # seconds
    due: int = 0  # delays there would be, had everything come
    lags: list[float] = field(default_factory=list)  # seconds a line left late


@dataclass
class Settled:
    """How the clients of a worker stand once nothing more comes."""

    missing: int = 0  # units
    extra: int = 0  # units
    dropped: int = 0  # clients
    stuck: bool = False  # no progress at the end, as opposed to: out of time


class Leash:
    """How far the speakers may run ahead of the room.

    Without a leash megabytes lie in the buffers of a slow server when the speakers
    stop, and checking that all of it arrives takes minutes. With it, a backlog lasts
    about AHEAD seconds at the server's own speed. For a fast one that is more than
    the kernel's buffers hold, and the leash is never felt.
    """

    def __init__(self, heard: float) -> None:
        self._start = heard  # lines heard before the first was said
        self._heard = heard  # lines, when last looked
        self._since = time.monotonic()
        self._rate = 0.0  # lines a second

    def slack(self, said: float, heard: float) -> int:
        """Return how many more lines may be said, given those said and heard so far."""
        now = time.monotonic()
        if now - self._since > LOOK:
            self._rate = (heard - self._heard) / (now - self._since)
            self._heard, self._since = heard, now
        return int(max(FLOOR, AHEAD * self._rate) - (said - (heard - self._start)))


class Worker:
    """The clients of one process, by number."""

    def __init__(self) -> None:
        self.clients: dict[int, Client] = {}
        self.dropped = 0
        self._selector = selectors.DefaultSelector()

    # Coming in.

    def connect(self, port: int, hellos: Mapping[int, bytes], by_lines: bool) -> None:
        """Connect a client for each number and say its hello; raises OSError."""
        for count, (number, hello) in enumerate(hellos.items()):
            sock = socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            client = Client(number, sock, by_lines=by_lines)
            self.clients[number] = client
            self._selector.register(sock, selectors.EVENT_READ, client)
            client.say(hello)
            if count % 50 == 0:  # Join notices must not pile up in the server.
                self._listen(0)

    def shout(
        self, number: int, line: bytes, token: bytes, at: float, patience: float
    ) -> array[float]:
        """Let client `number` say line at a time; return when each other one had it.

        Those who never got it within `patience` seconds are not in the result.
        """
        waiting = set(self.clients) - {number}
        tails: dict[int, bytes] = {}
        arrivals = array("d")
        pending = number in self.clients
        while waiting and time.monotonic() < at + patience:
            if pending and time.monotonic() >= at:
                pending = False
                self.clients[number].say(line)
            self._wait_until(at if pending else at + patience)
            for client in self._ready(0):
                data = tails.get(client.number, b"") + client.read()
                found = data.find(token)
                tails[client.number] = data[-1024:]
                if found >= 0 and data.find(b"\n", found) > 0:
                    arrivals.append(time.monotonic())
                    waiting.discard(client.number)
            waiting &= self.clients.keys()
        return arrivals

    def reset(self) -> None:
        """Start counting from zero."""
        for client in self.clients.values():
            client.heard = 0

    def calibrate(self, lines: Mapping[int, bytes], patience: float) -> dict[int, int]:
        """Let each speaker say one line; return the units it is for a listener.

        Clients 0 and 1 read: two, because nobody hears himself.
        Each line holds "calibrate-NUMBER". Speakers not heard are missing.
        """
        ears = [self.clients[number] for number in (0, 1)]
        for number, line in lines.items():
            self.clients[number].say(line)
        text = dict.fromkeys(ears, b"")
        frames: dict[int, int] = {}
        deadline = time.monotonic() + patience
        while len(frames) < len(lines) and time.monotonic() < deadline:
            time.sleep(TICK)
            for client in self.clients.values():
                client.flush()
            for ear in ears:
                text[ear] += ear.read()
            frames = _measure(text.values())
        if ears[0].by_lines:
            return dict.fromkeys(frames, 1)
        return frames

    # Measuring.

    def flood(self, burst: Burst) -> Heard:
        """Speak flat out until the end of the burst and count what is heard."""
        speakers = [Speaker(self.clients[n], line) for n, line in burst.lines.items()]
        self._flood_until(burst.start, burst, [], Leash(0))
        leash = Leash(self._lines(burst))
        marks = []
        for moment in (burst.warm, burst.warm + burst.seconds):
            self._flood_until(burst.start + moment, burst, speakers, leash)
            marks.append((time.monotonic(), self._heard(), time.process_time()))
        self._finish(speakers)
        (began, before, cpu_before), (ended, after, cpu_after) = marks
        return Heard(
            said={s.client.number: s.said for s in speakers},
            units=after - before,
            seconds=ended - began,
            busy=(cpu_after - cpu_before) / (ended - began),
        )

    def _flood_until(
        self, until: float, burst: Burst, speakers: Sequence[Speaker], leash: Leash
    ) -> None:
        """Speak as far as the leash allows, and hear, until a time."""
        while time.monotonic() < until:
            self._listen(0)
            said = sum(speaker.said for speaker in speakers)
            slack = leash.slack(said, self._lines(burst))
            if slack > 0:
                share = -(-slack // max(1, len(speakers)))  # rounded up: all get some
                for speaker in speakers:
                    speaker.push(share)
            time.sleep(burst.nap)

    def _lines(self, burst: Burst) -> float:
        """Return how many lines the room has heard so far, an average over clients."""
        frame = sum(burst.frames.values()) / len(burst.frames)
        return self._heard() / frame / max(1, len(self.clients) - 1)

    def _finish(self, speakers: Sequence[Speaker]) -> None:
        """Complete the lines that were cut when time was up."""
        deadline = time.monotonic() + STALL
        while time.monotonic() < deadline:
            if not [speaker for speaker in speakers if not speaker.finish()]:
                return
            self._listen(TICK)

    def paced(self, plan: Schedule) -> Heard:
        """Say lines on schedule and time them at the ears, until all have come."""
        ears = [c for n, c in self.clients.items() if n % plan.stride == 0]
        crowd = [c for n, c in self.clients.items() if n % plan.stride]
        for client in crowd:
            self._selector.unregister(client.sock)
        report = Heard(due=sum(_due(plan, ear.number) for ear in ears))
        cpu, began = time.process_time(), time.monotonic()
        self._pace(plan, report, crowd)
        report.seconds = time.monotonic() - began
        report.busy = (time.process_time() - cpu) / report.seconds
        for client in crowd:
            self._selector.register(client.sock, selectors.EVENT_READ, client)
        return report

    def _pace(self, plan: Schedule, report: Heard, crowd: Sequence[Client]) -> None:
        """Speak, time the ears and sweep the crowd, each when it is due."""
        timed_from = plan.start + plan.skip / plan.rate
        tails: dict[int, bytes] = {}
        said, sweep = 0, plan.start
        spin = min(SPIN, 0.03 / plan.rate)  # at most 3 % of the time
        deadline = plan.start + plan.lines / plan.rate + plan.patience
        while time.monotonic() < deadline and len(report.delays) < report.due:
            line = plan.start + said / plan.rate if said < plan.lines else deadline
            self._wait_until(min(line - spin, sweep))
            if time.monotonic() >= line:
                self._speak(plan, said, report)
                said += 1
            for ear in self._ready(0):
                data = tails.get(ear.number, b"") + ear.read()
                delays, tails[ear.number] = _times(data, timed_from)
                report.delays.extend(delays)
            if time.monotonic() >= sweep:
                self._sweep(crowd)
                sweep = time.monotonic() + SWEEP

    def _speak(self, plan: Schedule, index: int, report: Heard) -> None:
        """Say line `index` of a schedule, stamped with the time it is due."""
        number = plan.speakers[index % len(plan.speakers)]
        due = plan.start + index / plan.rate
        before, after = plan.halves
        if client := self.clients.get(number):
            client.say(before + b"t=%019d" % int(due * 1e9) + after)
            report.said[number] = report.said.get(number, 0) + 1
            report.lags.append(time.monotonic() - due)

    def settle(self, total: int, own: Mapping[int, int], patience: float) -> Settled:
        """Hear on until each client has `total` units less those it said itself."""
        deadline = time.monotonic() + patience
        expected = {n: total - own.get(n, 0) for n in self.clients}
        heard, moved = -1, time.monotonic()
        while time.monotonic() < deadline:
            if heard != (heard := self._heard()):
                moved = time.monotonic()
            open_gaps = any(c.heard < expected[n] for n, c in self.clients.items())
            if not open_gaps or time.monotonic() - moved > STALL:
                break
            for client in self.clients.values():
                client.flush()
            self._listen(TICK)
            time.sleep(TICK)
        gaps = [expected[n] - c.heard for n, c in self.clients.items()]
        return Settled(
            missing=sum(gap for gap in gaps if gap > 0),
            extra=-sum(gap for gap in gaps if gap < 0),
            dropped=self.dropped,
            stuck=time.monotonic() - moved > STALL,
        )

    # The selector.

    def _heard(self) -> int:
        return sum(client.heard for client in self.clients.values())

    def _ready(self, timeout: float) -> list[Client]:
        """Return the clients with something to read; forget those that are closed."""
        ready = [key.data for key, _ in self._selector.select(timeout)]
        for client in ready:
            if not client.open:
                self._forget(client)
        return [client for client in ready if client.open]

    def _listen(self, timeout: float) -> None:
        for client in self._ready(timeout):
            client.hear()

    def _sweep(self, crowd: Sequence[Client]) -> None:
        for client in crowd:
            if client.open:
                client.flush()
                client.hear()

    def _wait_until(self, until: float) -> None:
        """Wait for input or a time; epoll would round it up to a millisecond."""
        left = max(0.0, until - time.monotonic())
        select.select([self._selector], [], [], left)

    def _forget(self, client: Client) -> None:
        self._selector.unregister(client.sock)
        client.sock.close()
        del self.clients[client.number]
        self.dropped += 1


def serve(pipe: Connection) -> None:
    """Answer calls from the pipe until it closes; the body of a worker process."""
    worker = Worker()
    while True:
        try:
            method, args = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        answer: Any
        try:
            answer = getattr(worker, method)(*args)
        except OSError as exc:
            answer = exc
        with contextlib.suppress(BrokenPipeError):  # Nobody waits for it any more.
            pipe.send(answer)


def _measure(texts: Iterable[bytes]) -> dict[int, int]:
    """Return the length of the whole line that holds each speaker's number."""
    lines = [line for text in texts for line in text.split(b"\n")[:-1]]
    named = [(NAME.search(line), line) for line in lines]
    return {int(found[1]): len(line) + 1 for found, line in named if found}


def _due(plan: Schedule, number: int) -> int:
    """Return how many lines are to be timed at a client: all but its own."""
    lines = range(plan.skip, plan.lines)
    own = (k for k in lines if plan.speakers[k % len(plan.speakers)] == number)
    return len(lines) - sum(1 for _ in own)


def _times(data: bytes, since: float) -> tuple[list[float], bytes]:
    """Return the delays of the whole lines in data, and the unfinished rest."""
    now = time.monotonic()
    whole, _, rest = data.rpartition(b"\n")
    stamps = [int(stamp) / 1e9 for stamp in STAMP.findall(whole)]
    return [now - stamp for stamp in stamps if stamp >= since - 1e-6], rest
