"""What the notebooks share: where things are, programs, connections, pictures.

    with Harness() as harness:
        server = harness.start(*kit.MCHAT)
        alice, bob = kit.join(harness, server, "alice", "bob")

Programs run in the kit's own harness, on free ports of this machine, and are gone at
the end of the `with` block.
"""

import base64
import contextlib
import io
import itertools
import re
import socket
import sys
import tempfile
import textwrap
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("server", "client", "exercises", "tests", "tests/bench")
sys.path += [str(ROOT / name) for name in FOLDERS if str(ROOT / name) not in sys.path]

import matplotlib as mpl
from cycler import cycler
from IPython.display import display
from matplotlib.figure import Figure

import proofs
from grading.control import Control
from grading.deadlines import LINE, Deadline
from grading.grader import Member
from grading.harness import Harness
from grading.mismatch import ANY_LINE
from grading.people import Person
from grading.program import Program

__all__ = ["ANY_LINE"]  # besides what is defined here
LINUX = sys.platform == "linux"

# ----------------------------------------------------------------------- programs

# What to give to `Harness.start`: the program, and arguments for loopback alone.
MCHAT: tuple[Any, ...] = (ROOT / "server" / "mchat.py", "--host", "127.0.0.1")
MCHAT += ("--port", 0)
PEERS: dict[str, tuple[Any, ...]] = {
    "sendall": (ROOT / "tests" / "bench" / "peers" / "threads_sendall.py", "--port", 0),
    "queue": (ROOT / "tests" / "bench" / "peers" / "threads_queue.py", "--port", 0),
    "asyncio": (ROOT / "tests" / "bench" / "peers" / "asyncio_streams.py", "--port", 0),
}


def join(
    harness: Harness, server: Program, *names: str, receive_buffer: int = 0
) -> list[Person]:
    """Connect people to a server that greets; from then on each hears everything.

    A `receive_buffer` of a few kB makes readers who are soon in arrears.
    """
    people = [harness.connect(server, name, receive_buffer) for name in names]
    for person in people:
        person.expect(re.compile(r"\* .*"), wording="a greeting")
    return people


def await_rest(program: Program, seconds: float = 0.1) -> None:
    """Wait until nothing in a program has run for a while: it has done what it can."""
    deadline = Deadline(LINE)
    watch = program.watch_activity()
    while watch.resting() < seconds and deadline.left():
        time.sleep(seconds / 10)


def mistakes(step: str) -> list[proofs.Broken]:
    """Return the known wrong programs of a step."""
    return [broken for broken in proofs.broken_programs() if broken.step == step]


@contextlib.contextmanager
def submission(step: str, mistake: str = "") -> Iterator[Path]:
    """Make a folder with the files of a step: our solution, or one with a mistake.

    The mistakes are those of tests/broken/, by their names.
    """
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        if mistake:
            known = {broken.name: broken for broken in mistakes(step)}
            known[mistake].write(Path(folder))
        else:
            proofs.copy_solution(step, Path(folder))
        yield Path(folder, step)


class Stage(Harness):
    """A harness for the server of one submission, with people who know the exercises.

    The graders have more to tell, but also copy and confine what they run.
    """

    person = Member

    def __init__(self, folder: Path, seed: int) -> None:
        """Run what is in `folder`; `seed` decides what happens on a harsh system."""
        super().__init__(folder)
        self._seed = seed

    def server(self, *args: object, harsh: bool = False) -> Program:
        """Start `mchat.py`; if `harsh`, threads are switched in mid-function."""
        control = Control(f"harsh={self._seed}") if harsh else None
        return self.start("mchat.py", "--port", 0, *args, control=control)

    def join(self, server: Program, *names: str, **options: int) -> list[Any]:
        """Connect people who are greeted."""
        return join(self, server, *names, **options)


@contextlib.contextmanager
def student(step: str, mistake: str = "", seed: int = 1) -> Iterator[Stage]:
    """Yield a stage for a submission: `server(harsh=True)`, `join(...)`, and so on."""
    with submission(step, mistake) as folder, Stage(folder, seed) as stage:
        yield stage


# -------------------------------------------------------------------- connections


@contextlib.contextmanager
def connection(
    receive_buffer: int = 0,
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Open a TCP connection within this program; yield its two ends.

    A `receive_buffer` of a few kB is for the second end, which is soon in arrears.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if receive_buffer:  # before the connection: it decides the window (tcp(7))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        with socket.create_connection(listener.getsockname(), LINE) as one:
            other, _ = listener.accept()
            with other:
                other.settimeout(LINE)
                for sock in (one, other):  # each send a packet of its own, at once
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield one, other


def await_bytes(sock: socket.socket, count: int) -> None:
    """Wait until `count` bytes can be received at once; receive none of them."""
    deadline = Deadline(LINE)
    while len(sock.recv(count, socket.MSG_PEEK)) < count:
        if not deadline.left():
            raise TimeoutError(f"{count} bytes have not come")


# ----------------------------------------------------------------------- pictures

# Okabe and Ito's colours: every kind of eye tells them apart. So that a grey print
# does too, give lines other dashes and markers; `cycler` below does it by itself.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY, INK = "#A85688", "#56B4E9", "#767676", "#222222"
PAPER = "#FCFCFA"  # opaque: a card in dark mode
COLOURS = [BLUE, RED, GREEN, PURPLE, ORANGE, SKY]
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P"]

mpl.rcParams.update(
    {
        "axes.edgecolor": GREY,
        "axes.facecolor": PAPER,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.labelcolor": INK,
        "axes.labelsize": 11,
        "axes.prop_cycle": cycler(color=COLOURS, linestyle=DASHES, marker=MARKERS),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "figure.facecolor": PAPER,
        "font.family": "DejaVu Sans",  # comes with matplotlib
        "font.size": 10.5,
        "grid.color": "#E4E4E0",
        "hatch.linewidth": 0.8,
        "lines.linewidth": 2,
        "lines.markersize": 5,
        "text.color": INK,
        "xtick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.color": GREY,
        "ytick.labelcolor": INK,
    }
)


@contextlib.contextmanager
def picture(
    title: str, *, height: float = 4.2, rows: int = 1, columns: int = 1, **options: Any
) -> Iterator[Any]:
    """Yield axes, or an array of them; show them at the end of the block.

    `title` is the point that the picture makes, a sentence. `options` are those of
    `Figure.subplots`, such as sharey=True.
    """
    figure = Figure(figsize=(8, height), dpi=110, layout="constrained")
    axes = figure.subplots(rows, columns, **options)
    text = textwrap.fill(title, 72)
    figure.suptitle(text, x=0.01, ha="left", size=13, weight="bold")
    yield axes
    show(figure, title)


def show(figure: Figure, title: str) -> None:
    """Show a picture under the cell, with its title for those who cannot see it.

    Once more for the same figure: show in its place how it looks by now.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    data = {"image/png": base64.b64encode(file.getvalue()).decode()}
    data["text/plain"] = f"[picture: {title}]"
    texts = {"image/png": {"alt": title}}
    again = figure.get_gid() is not None
    figure.set_gid(figure.get_gid() or uuid.uuid4().hex)
    place = {"display_id": figure.get_gid(), "update": again}
    display(data, raw=True, metadata=texts, **place)  # type: ignore[no-untyped-call]


def label(axes: Any, x: float, y: float, text: str, **options: Any) -> None:
    """Write right of a point, in place of a legend; `ha`, `va`, `color` and so on."""
    at = {"right": -6, "center": 0}.get(options.get("ha", "left"), 6)
    options = {"va": "center", "xytext": (at, 0), "weight": "bold"} | options
    axes.annotate(text, (x, y), textcoords="offset points", **options)


def label_ends(axes: Any, room: float = 0.16) -> None:
    """Write its label right of each line, moved apart where they would meet.

    Call it when all is drawn and the scales are chosen. The axes are made longer, so
    that this part of their width is there for the labels.
    """
    lines = [line for line in axes.lines if not line.get_label().startswith("_")]
    begin, _ = axes.get_xlim()
    end = max(line.get_xdata()[-1] for line in lines)
    left, right = (axes.transScale.transform((x, 1))[0] for x in (begin, end))
    right = left + (right - left) / (1 - room)
    axes.set_xlim(begin, axes.transScale.inverted().transform((right, 1))[0])

    to_axes = axes.transScale + axes.transLimits
    places = [to_axes.transform(line.get_xydata()[-1])[1] for line in lines]
    order = sorted(range(len(lines)), key=places.__getitem__)
    rows = axes.get_gridspec().nrows
    gap = 0.26 * rows / axes.figure.get_figheight()  # of the axes: a line of text
    for _ in range(50):  # neighbours push each other away until there is room
        for low, high in itertools.pairwise(order):
            if (short := gap - (places[high] - places[low])) > 0:
                places[low] -= short / 2
                places[high] += short / 2
        places[order[0]] = max(places[order[0]], gap / 2)  # not below the axes
        places[order[-1]] = min(places[order[-1]], 1 - gap / 2)  # nor above
    for line, place in zip(lines, places, strict=True):
        axes.annotate(
            line.get_label(), (line.get_xdata()[-1], place), (8, 0),
            xycoords=("data", "axes fraction"), textcoords="offset points",
            va="center", weight="bold", color=line.get_color(),
        ).set_in_layout(False)  # fmt: skip
