"""Who sent and received what, and when; as a list, and as a picture."""

import itertools
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kit import COLOURS, DASHES, INK


@dataclass(frozen=True)
class Moment:
    """Something that somebody did with a socket."""

    seconds: float  # since the tape began
    who: str
    what: str  # "sent" or "got"
    data: bytes  # got b"": the end


class Tape:
    """What happened, and when. Any thread may record."""

    def __init__(self) -> None:
        """Begin now."""
        self.moments: list[Moment] = []  # guarded by the lock
        self._lock = threading.Lock()
        self._begun = time.perf_counter()

    def record(self, who: str, what: str, data: bytes) -> None:
        """Write down one moment."""
        with self._lock:
            seconds = time.perf_counter() - self._begun
            self.moments.append(Moment(seconds, who, what, data))

    def pieces(self, what: str) -> list[Moment]:
        """Return what was "sent", or "got", oldest first."""
        return [moment for moment in self.moments if moment.what == what]


class Recorded:
    """A socket that writes down what it sends and receives."""

    def __init__(self, sock: socket.socket, who: str, tape: Tape) -> None:
        """Let `who` use a connected socket."""
        self._sock, self._who, self._tape = sock, who, tape

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        self._tape.record(self._who, "sent", data)
        self._sock.sendall(data)

    def recv(self, size: int = 65_536) -> bytes:
        """Wait for something, and return it."""
        data = self._sock.recv(size)
        self._tape.record(self._who, "got", data)
        return data


def written(data: bytes) -> str:
    r"""Return bytes as in Python, without the quotes: hello\n."""
    return repr(data)[2:-1]


def spans(pieces: Iterable[bytes]) -> list[tuple[int, int]]:
    """Return where in the stream each piece begins and ends, in bytes."""
    ends = [0]
    for piece in pieces:
        ends.append(ends[-1] + len(piece))
    return [*itertools.pairwise(ends)]


def timeline(axes: Any, tape: Tape, names: Sequence[str] = ("alice", "bob")) -> None:
    """Draw what the first of `names` sent and the second got, and what came where."""
    sent, got = tape.pieces("sent"), tape.pieces("got")
    after = spans(moment.data for moment in got)
    for number, (moment, span) in enumerate(
        zip(sent, spans(moment.data for moment in sent), strict=True)
    ):
        style = {"color": COLOURS[number % 6], "linestyle": DASHES[number % 6]}
        for other, (begin, end) in zip(got, after, strict=True):
            if begin < span[1] and span[0] < end:
                times = [moment.seconds, other.seconds]
                axes.plot(times, [1, 0], marker="", **style)
    for row, moments, marker, va in ((1, sent, "v", "bottom"), (0, got, "o", "top")):
        for number, moment in enumerate(moments):
            axes.plot(moment.seconds, row, marker=marker, color=INK, markersize=7)
            away = 9 + 16 * (number % 2)  # so that neighbours do not overlap
            axes.annotate(
                written(moment.data) or "the end",
                (moment.seconds, row),
                (0, away if row else -away),
                textcoords="offset points",
                ha="center",
                va=va,
                family="monospace",
            )
    axes.set_yticks([1, 0], [f"{names[0]} sends", f"{names[1]} gets"])
    axes.set_ylim(-0.55, 1.55)
    axes.margins(x=0.1)
    axes.set_xlabel("time (s)")
    axes.grid(visible=False)
