"""The load generator as the scenarios see it: N clients, spread over processes.

Load starts the worker processes, asks them all the same thing at once, waits for
all answers with a deadline, and adds them up. Whatever goes wrong is a Failure
whose text fits into a cell of the table.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker import Burst, Heard, Schedule, Settled, serve

TEXT = 63  # bytes of a line, without what ends it
FILLER = "the quick brown fox jumps over the lazy dog and comes back again"
SOON = 0.1  # seconds until all workers are sure to be listening
SLACK = 10.0  # seconds a worker may answer later than its own deadline


class Failure(Exception):
    """The server under test did not do its work; the text says how, in two words."""


@dataclass(frozen=True)
class Wire:
    """What a server wants around a text, and how its deliveries are counted."""

    before: bytes = b""
    after: bytes = b"\n"
    by_lines: bool = False
    hello: str = ""  # said on connecting, {} being the client's number; LF ends lines

    def line(self, token: str) -> bytes:
        """Return the line, ready to send, whose text starts with token."""
        return self.before + f"{token} {FILLER}"[:TEXT].encode() + self.after

    def greeting(self, number: int) -> bytes:
        """Return what client `number` says first."""
        return self.hello.replace("{}", str(number)).encode()

    @property
    def halves(self) -> tuple[bytes, bytes]:
        """What goes before and after the 21 bytes of a stamp."""
        filler = f" {FILLER}"[: TEXT - 21].encode()
        return self.before, filler + self.after


class Behind(Failure):
    """The server is still at work after the time allowed."""

    def __init__(self) -> None:
        super().__init__("behind")


class Load:
    """N simulated clients at one server; a context manager that ends its processes.

    Clients 0 to `speakers` - 1 are those who may speak; they live in the first worker.
    """

    def __init__(
        self, port: int, wire: Wire, *, clients: int, speakers: int, workers: int = 1
    ) -> None:
        self.port = port
        self.wire = wire
        self.speakers = range(speakers)
        self.count = clients
        self.frames: dict[int, int] = {}  # speaker -> units of one line
        self.said: dict[int, int] = {}  # speaker -> lines since calibrate()
        self._shares = shares(clients, max(speakers, 2), workers)
        context = multiprocessing.get_context("spawn")
        self._pipes = []
        self._processes = []
        for _ in self._shares:
            ours, theirs = context.Pipe()
            # Daemon: should this process die, its generator has no one to ask it.
            process = context.Process(target=serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes and with them all connections."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self._pipes, self._processes = [], []

    def connect(self, patience: float) -> None:
        """Connect everybody, then wait until everybody hears everybody."""
        hellos = [{n: self.wire.greeting(n) for n in share} for share in self._shares]
        args = [(self.port, hello, self.wire.by_lines) for hello in hellos]
        deadline = time.monotonic() + patience
        self._ask("connect", args, patience)
        # Client 0 does not hear itself: the last word is client 1's.
        for number in (0, 1):
            wait = 0.5
            while self.shout(number, wait)[1]:
                if time.monotonic() > deadline:
                    raise Failure("not all got in")
                wait = min(2 * wait, max(1.0, deadline - time.monotonic()))

    def shout(self, number: int, patience: float) -> tuple[list[float], int]:
        """Let a client say one line; return the delays, and how many never got it."""
        at = time.monotonic() + SOON
        token = f"shout-{time.monotonic_ns()}"
        call = (number, self.wire.line(token), token.encode(), at, patience)
        answers = self._ask("shout", [call] * len(self._pipes), patience + SOON)
        delays = [arrival - at for answer in answers for arrival in answer]
        return delays, self.count - 1 - len(delays)

    def calibrate(self) -> None:
        """Learn how long a line of each speaker is when it is delivered."""
        self._ask_all("reset", (), 1)
        lines = {n: self.wire.line(f"calibrate-{n}") for n in self.speakers}
        answer = self._ask("calibrate", [(lines, 20.0)], 20, workers=1)[0]
        if len(answer) < len(lines):
            raise Failure(f"{len(lines) - len(answer)} not heard")
        self.frames = answer
        self.said = dict.fromkeys(lines, 1)

    def flood(self, *, warm: float, seconds: float, nap: float) -> list[Heard]:
        """Let the speakers speak flat out; the others look every `nap` seconds."""
        start = time.monotonic() + SOON
        line = self.wire.line("flood")
        calls = []
        for share in self._shares:
            lines = {n: line for n in self.speakers if n in share}
            calls.append((Burst(lines, self.frames, start, warm, seconds, nap),))
        return self._spoken(self._ask("flood", calls, SOON + warm + seconds))

    def paced(
        self, *, rate: int, warm: float, seconds: float, stride: int, patience: float
    ) -> list[Heard]:
        """Let the speakers take turns, `rate` lines a second in all, on schedule."""
        seconds += warm
        plan = Schedule(
            speakers=self.speakers,
            halves=self.wire.halves,
            start=time.monotonic() + SOON,
            rate=rate,
            lines=int(rate * seconds),
            skip=int(rate * warm),
            stride=stride,
            patience=patience,
        )
        return self._spoken(self._ask_all("paced", (plan,), SOON + seconds + patience))

    def settle(self, patience: float) -> float:
        """Check that everything said was heard by everyone; return the seconds taken.

        Raises Failure if not: "dropped" clients, "lost" lines, "froze"; and Behind if
        the server is still at work after `patience` seconds.
        """
        began = time.monotonic()
        units = {n: self.said[n] * self.frames[n] for n in self.said}
        call = (sum(units.values()), units, patience)
        answers: list[Settled] = self._ask_all("settle", call, patience)
        if dropped := sum(answer.dropped for answer in answers):
            raise Failure(f"dropped {dropped}")
        missing = sum(answer.missing for answer in answers)
        extra = sum(answer.extra for answer in answers)
        if missing and any(not answer.stuck for answer in answers):
            raise Behind
        if missing or extra:
            raise Failure(self._verdict(missing, extra))
        return time.monotonic() - began

    def _verdict(self, missing: int, extra: int) -> str:
        """Say in two words what became of the missing lines."""
        if not self.shout(0, 3.0)[0]:
            return "froze"
        frame = statistics.mean(self.frames.values())
        if missing > extra:
            return f"lost {round((missing - extra) / frame)}"
        return f"{round((extra - missing) / frame)} too many"

    def frame(self) -> float:
        """Return the units of a line, averaged over all the lines said."""
        units = sum(self.frames[n] * self.said[n] for n in self.said)
        return units / sum(self.said.values())

    def _spoken(self, answers: list[Heard]) -> list[Heard]:
        for answer in answers:
            for number, lines in answer.said.items():
                self.said[number] += lines
        return answers

    def _ask_all(self, method: str, args: tuple[Any, ...], seconds: float) -> list[Any]:
        return self._ask(method, [args] * len(self._pipes), seconds)

    def _ask(
        self,
        method: str,
        calls: Sequence[tuple[Any, ...]],
        seconds: float,
        *,
        workers: int | None = None,
    ) -> list[Any]:
        """Call a method of each worker at once; return the answers, in order."""
        pipes = self._pipes[:workers]
        for pipe, args in zip(pipes, calls, strict=True):
            pipe.send((method, args))
        deadline = time.monotonic() + seconds + SLACK
        answers = []
        for pipe in pipes:
            if not pipe.poll(max(0.0, deadline - time.monotonic())):
                raise Failure(f"{method}: no end")
            answers.append(pipe.recv())
        for answer in answers:
            if isinstance(answer, TimeoutError):
                raise Failure("froze")
            if isinstance(answer, Exception):
                raise Failure(f"{method}: {type(answer).__name__}")
        return answers


def shares(clients: int, first: int, workers: int) -> list[range]:
    """Split the clients among workers; the first takes at least `first` of them."""
    each = -(-clients // workers)
    bounds = [0, *range(max(first, each), clients, each), clients]
    return [range(low, high) for low, high in itertools.pairwise(bounds)]
