"""What happened in one test, as a list of events. No rendering, no sockets.

Everything a report shows (text, a sequence diagram, JSON) is made from this list, so
an event is data, never a sentence. Any thread may record.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    # of a program
    "started",  # note: the command
    "printed",  # data: a line with its end; note: "stdout" or "stderr"
    "muted",  # prints more than a transcript should hold; note: which stream
    "typed",  # data: a line given to its stdin
    "input-ended",  # nothing more will be typed
    "signalled",  # note: the signal's name
    "killed",  # note: by whom, and what else was killed
    "exited",  # note: "exit code 0", "killed by SIGKILL"
    "called",  # note: a call of the student's function, as Python
    "returned",  # note: what it returned, as Python shows it
    "noted",  # note: what else to know, such as that the system is a harsh one
    # of a person, towards a peer
    "connected",
    "accepted",
    "sent",  # data
    "got",  # data: a line with its end, or what came without one
    "ended",  # the peer ended the connection; note: "FIN" or "RST"
    "half-closed",  # ended our sending side, still reads
    "closed",
    "reset",
    "stalled",  # reads nothing from here on
    # of either
    "expected",  # an expectation that failed; note: what was expected and what came
]

HEAD, TAIL = 300, 100  # bytes kept of long data: a few terminal lines
EVENTS = 1000  # events kept from the beginning, and as many from the end
LINE_LIMIT = 65_536  # bytes without a line end that are recorded as one piece


@dataclass(frozen=True)
class Event:
    """One thing that happened. Numbers count from 1; a gap means events left out."""

    number: int
    seconds: float  # since the transcript was begun
    actor: str  # the name of the program or person it is about
    kind: Kind
    peer: str = ""  # the other end of the connection, if there is one
    data: bytes = b""  # if long: the first HEAD and the last TAIL bytes
    left_out: int = 0  # how many bytes between these two were not kept
    note: str = ""


@dataclass(frozen=True)
class Call:
    """One line of a stack: where a function stands."""

    file: str  # as it is called in the exercise: mchat.py
    line: int
    function: str
    source: str  # the line itself, without the blanks around it


@dataclass(frozen=True)
class ThreadState:
    """Where one thread of a program stands; the innermost call is the last."""

    name: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class ProgramState:
    """What a program has printed so far and how it fares."""

    name: str
    command: str  # as typed by a person: no folders
    ending: (
        str  # "still running", "exit code 1", "killed by SIGKILL", "stopped for ..."
    )
    stdout: bytes  # the last part of it
    stderr: bytes
    printed: int = 0  # bytes on both streams, all in all
    address: str = ""  # HOST:PORT of its ready line
    busy: bool = False  # it uses a processor core for itself
    spins: bool = False  # it has done so for long, and nothing has come of it
    moves: bool = False  # something in it runs again and again
    threads: tuple[ThreadState, ...] = ()  # if it was asked where they stand
    children: int = 0  # processes that it has started, and that live

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.ending == "still running"

    @property
    def took_too_much(self) -> str:
        """What it took too much of, so that the grader had to stop it."""
        _, stopped, what = self.ending.partition("stopped for ")
        return what if stopped else ""


def shortened(data: bytes) -> tuple[bytes, int]:
    """Return `data`, or if long its two ends, and how many bytes are left out."""
    left_out = len(data) - HEAD - TAIL
    return (data[:HEAD] + data[-TAIL:], left_out) if left_out > 0 else (data, 0)


class Transcript:
    """An append-only, bounded list of events, and the programs they are about."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin now. `clock` returns seconds and never goes backwards."""
        self._clock = clock
        self._begun = clock()
        self._lock = threading.Lock()  # guards the four below
        self._count = 0
        # The fields of events: most are never told, and tuples are made more quickly.
        self._first: list[tuple[Any, ...]] = []
        self._last: deque[tuple[Any, ...]] = deque(maxlen=EVENTS)
        self._programs: list[Callable[[float, bool], ProgramState]] = []

    def record(
        self, actor: str, kind: Kind, peer: str = "", data: bytes = b"", note: str = ""
    ) -> None:
        """Append one event, stamped with the time. `data` of any length is welcome."""
        data, left_out = shortened(data)
        with self._lock:
            self._count += 1
            seconds = self._clock() - self._begun
            kept = self._first if len(self._first) < EVENTS else self._last
            number = self._count
            kept.append((number, seconds, actor, kind, peer, data, left_out, note))

    def events(self) -> list[Event]:
        """Return what is kept, oldest first; of very many, the middle is left out."""
        with self._lock:
            kept = [*self._first, *self._last]
        return [Event(*fields) for fields in kept]

    def add_program(self, state: Callable[[float, bool], ProgramState]) -> None:
        """Let reports ask a program how it fares, as `Program.state` tells it."""
        with self._lock:
            self._programs.append(state)

    def programs(
        self, patience: float = 0.0, *, stacks: bool = False
    ) -> list[ProgramState]:
        """Ask every program how it fares, in the order they were started.

        One that still runs is given `patience` seconds to end and print last words.
        With `stacks` it is also asked where its threads stand.
        """
        with self._lock:
            states = list(self._programs)
        return [state(patience, stacks) for state in states]


class LineCutter:
    r"""Cuts bytes that come in arbitrary pieces into lines ending in b"\n"."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rest = bytearray()

    def cut(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, with their ends; keep the rest."""
        *lines, rest = data.split(b"\n")
        complete = [line + b"\n" for line in lines]
        if complete:
            complete[0] = self.rest() + complete[0]
        self._rest += rest
        if len(self._rest) > LINE_LIMIT:
            complete.append(self.rest())
        return complete

    def rest(self) -> bytes:
        """Return and forget what has come since the last line end."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest
