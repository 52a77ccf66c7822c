"""The states of both ends of a TCP connection, as the system reports them, and drawn.

    film = Film(port, "alice", "mchat")
    film.shot("connected", "ESTABLISHED", "ESTABLISHED")
    alice.close()
    film.shot("alice hangs up", "FIN_WAIT2", "CLOSE_WAIT")
    film.draw(axes)

A film is made of shots; what is predicted for a shot is only waited for. What it keeps
is what the system says.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

import kit
from grading.deadlines import LINE, Deadline
from grading.program import Program

T = TypeVar("T")

GONE = "(gone)"  # the system does not know this end, or does not know it any more
LOOK = 0.01  # seconds between looks
STILL = 0.1  # seconds without a change, to call something settled

# linux/net/tcp_states.h; the numbers in /proc/net/tcp
_NAMES = "- ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSED"
NAMES = [*_NAMES.split(), "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING"]
TIMERS = ["", "retransmit", "keepalive", "time-wait", "window probe"]

FIN_CAME = {
    ("ESTABLISHED", "CLOSE_WAIT"),
    ("FIN_WAIT1", "CLOSING"),
    ("FIN_WAIT1", "TIME_WAIT"),
    ("FIN_WAIT2", "TIME_WAIT"),
}


@dataclass(frozen=True)
class End:
    """One end of a connection. Only Linux tells the last four."""

    port: int
    peer: int  # the other end's port
    state: str
    unsent: int = 0  # bytes that the peer's system has not acknowledged
    unread: int = 0  # bytes that the program has not received
    timer: str = ""  # what the system waits for
    seconds: float = 0.0  # until it no longer does


def ends(port: int) -> list[End]:
    """Return the ends of all connections to or from a port of this machine."""
    if kit.LINUX:
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        found = [_end(line.split()) for line in lines]
    else:
        found = [
            End(at.laddr.port, at.raddr.port if at.raddr else 0, at.status)
            for at in _reported()
        ]
    return [end for end in found if end.peer and port in (end.port, end.peer)]


def _end(fields: list[str]) -> End:
    """Read one line of /proc/net/tcp (proc_net_tcp in Linux' documentation)."""
    port, peer = (int(address.split(":")[1], 16) for address in fields[1:3])
    unsent, unread = (int(count, 16) for count in fields[4].split(":"))
    timer, ticks = (int(number, 16) for number in fields[5].split(":"))
    state = NAMES[int(fields[3], 16)]
    return End(port, peer, state, unsent, unread, TIMERS[timer], ticks / 100)


def _reported() -> list[Any]:
    """Ask psutil. Some systems show ordinary people only what is their own."""
    try:
        return list(psutil.net_connections("tcp"))
    except psutil.AccessDenied:
        own = psutil.Process()
        family = [own, *own.children(recursive=True)]
        return [at for process in family for at in process.net_connections("tcp")]


def watch(port: int) -> Callable[[], list[End]]:
    """Return a function that returns the ends of connections that begin from now on.

    The system may still have notes of older ones, of others who had the port before.
    """
    older = {(end.port, end.peer) for end in ends(port)}
    return lambda: [end for end in ends(port) if (end.port, end.peer) not in older]


def settled(look: Callable[[], T]) -> T:
    """Return what `look` returns once that has not changed for a while."""
    deadline = Deadline(LINE)
    seen, since = look(), time.monotonic()
    while time.monotonic() - since < STILL and deadline.left():
        time.sleep(LOOK)
        if (now := look()) != seen:
            seen, since = now, time.monotonic()
    return seen


@contextlib.contextmanager
def frozen(program: Program) -> Iterator[None]:
    """Stop a program in its tracks for a while. Its system goes on."""
    process = psutil.Process(program.pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


class Film:
    """The states of the two ends of one connection, shot by shot."""

    def __init__(self, port: int, left: str, right: str) -> None:
        """Look at the only connection of ours to `port`, the port of `right`."""
        self.names = (left, right)
        self.shots: list[tuple[str, tuple[str, str]]] = []
        (other,) = (
            at.laddr.port
            for at in psutil.Process().net_connections("tcp")
            if at.raddr and at.raddr.port == port
        )
        self._ports = (other, port)

    def look(self) -> tuple[str, str]:
        """Return the state of the left and of the right end, now."""
        found = {(end.port, end.peer): end.state for end in ends(self._ports[1])}
        left, right = self._ports
        return found.get((left, right), GONE), found.get((right, left), GONE)

    def shot(self, what: str, *predicted: str) -> None:
        """Wait until the system says what is predicted, but not for ever; note it."""
        deadline = Deadline(LINE)
        while (seen := self.look()) != predicted and deadline.left():
            time.sleep(LOOK)
        self.shots.append((what, seen))
        words = [f"{who} {s}" for who, s in zip(self.names, seen, strict=True)]
        wrong = "" if seen == predicted else f"  (predicted: {', '.join(predicted)})"
        print(f"{' '.join(what.split()):32}{words[0]:20}{words[1]}{wrong}")

    def changes(self) -> Iterator[tuple[str, str]]:
        """Yield each change of a state, of either end."""
        for side in (0, 1):
            states = [seen[side] for _, seen in self.shots]
            yield from (pair for pair in itertools.pairwise(states) if len({*pair}) > 1)

    def draw(self, axes: Any, rows: int = 0) -> None:
        """Draw both ends, time downwards; the arrows are concluded from the states.

        Films side by side look best if `rows` is the number of shots of the longest.
        """
        axes.axis("off")
        axes.set_xlim(-0.36, 1.36)
        axes.set_ylim(0.4 - max(rows, len(self.shots)), 1)
        before = ("", "")
        for row, (what, seen) in enumerate(self.shots):
            axes.text(0.5, 0.14 - row, what, ha="center", va="bottom")
            self._draw_arrow(axes, -row, before, seen)
            for side, state in enumerate(seen):
                if row and not state == before[side] == GONE:
                    axes.plot([side] * 2, [1 - row, -row], "-", color=kit.GREY)
                if state != before[side]:
                    _box(axes, side, -row, state)
            before = seen
        for side, name in enumerate(self.names):
            axes.text(side, 0.55, name, ha="center", size=12, weight="bold")

    def _draw_arrow(
        self, axes: Any, y: int, before: tuple[str, str], seen: tuple[str, str]
    ) -> None:
        cut_off = seen == (GONE, GONE) and "ESTABLISHED" in before
        arrived = [change in FIN_CAME for change in zip(before, seen, strict=True)]
        if not cut_off and not any(arrived):
            return
        left, right = (0.34, y), (0.66, y)
        tail, head = (right, left) if arrived[0] else (left, right)
        axes.annotate("", head, tail, arrowprops=ARROW)
        name = "RST" if cut_off else "FIN"
        axes.text(0.5, y - 0.08, name, ha="center", va="top", weight="bold")


ARROW = {"arrowstyle": "-|>", "color": kit.INK, "lw": 1.8, "mutation_scale": 14}
TINTS = {  # of the inside and of the border
    "ESTABLISHED": ("#BFE6DA", kit.GREEN),
    "TIME_WAIT": (kit.BLUE, kit.BLUE),
    GONE: (kit.PAPER, kit.GREY),
}
TINTS |= dict.fromkeys(("FIN_WAIT1", "FIN_WAIT2", "CLOSING"), ("#BBD9EC", kit.BLUE))
TINTS |= dict.fromkeys(("CLOSE_WAIT", "LAST_ACK"), ("#F6DDA5", "#8A5F00"))


def _box(axes: Any, x: float, y: float, state: str) -> None:
    inside, border = TINTS.get(state, TINTS[GONE])
    look = {"boxstyle": "round,pad=0.35", "facecolor": inside, "edgecolor": border}
    if state == GONE:
        look["linestyle"] = "--"
    colour = kit.PAPER if state == "TIME_WAIT" else kit.INK
    text = axes.text(x, y, state, ha="center", va="center", size=10, color=colour)
    text.set(bbox=look, zorder=3)


# Where the states stand in the diagram, and what happens between them.
PLACES = {
    "ESTABLISHED": (1.6, 4),
    "FIN_WAIT1": (0.75, 3),
    "FIN_WAIT2": (-0.3, 1.7),
    "CLOSING": (1.4, 1.7),
    "TIME_WAIT": (0.75, 0.4),
    "CLOSE_WAIT": (3.1, 3),
    "LAST_ACK": (3.1, 1.7),
    GONE: (3.1, 0.4),
}
HAPPENS = {  # what, and where it is written
    ("ESTABLISHED", "FIN_WAIT1"): ("hangs up", 1.0, 3.58, "right"),
    ("ESTABLISHED", "CLOSE_WAIT"): ("FIN came", 2.55, 3.6, "left"),
    ("ESTABLISHED", GONE): ("RST", 2.16, 2.2, "right"),
    ("FIN_WAIT1", "FIN_WAIT2"): ("ACK came", 0.22, 2.52, "right"),
    ("FIN_WAIT1", "CLOSING"): ("FIN came", 1.16, 2.5, "left"),
    ("FIN_WAIT2", "TIME_WAIT"): ("FIN came", 0.12, 0.98, "right"),
    ("CLOSING", "TIME_WAIT"): ("ACK came", 1.16, 0.98, "left"),
    ("CLOSE_WAIT", "LAST_ACK"): ("hangs up", 3.18, 2.4, "left"),
    ("LAST_ACK", GONE): ("ACK came", 3.18, 1.1, "left"),
    ("TIME_WAIT", GONE): ("a minute later", 1.95, 0.46, "center"),
}
TOO_QUICK = {  # changes in which a state between could not be seen
    ("ESTABLISHED", "FIN_WAIT2"): 0.62,
    ("CLOSE_WAIT", GONE): -1.1,
}


def draw_diagram(axes: Any, films: Iterable[Film]) -> None:
    """Draw the states, and an arrow for each change that is in one of the films.

    Dotted: nobody waited for it. Dashed: a state in between was too short to be seen.
    """
    axes.axis("off")
    axes.set_xlim(-1.0, 4.4)
    axes.set_ylim(0.1, 4.25)
    seen = {change for film in films for change in film.changes()}
    for change in sorted(seen | {("TIME_WAIT", GONE)}):
        look = ARROW | {"shrinkA": 16, "shrinkB": 16}
        if bend := TOO_QUICK.get(change):
            look |= {"connectionstyle": f"arc3,rad={bend}", "color": kit.GREY}
            look |= {"linestyle": "--", "lw": 1.2}
        if change not in seen:
            look |= {"color": kit.GREY, "linestyle": ":", "shrinkA": 36, "shrinkB": 24}
        old, new = change
        axes.annotate("", PLACES[new], PLACES[old], arrowprops=look)
        if change in HAPPENS:
            text, x, y, side = HAPPENS[change]
            va = "bottom" if side == "center" else "center"
            axes.text(x, y, text, ha=side, va=va)
    for state, place in PLACES.items():
        _box(axes, *place, state)
