"""The family of a process: who belongs to it, and its end.

A program may start others, and those may hide: `setsid` leaves the process group, a
parent that exits leaves orphans. Two nets catch them: the tree of parents, and a mark
in the environment that children inherit. Only a program that does both things, wipes
its environment and orphans its child, slips through; that needs the system's help.
"""

import contextlib
import functools
import os
import py_compile
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import psutil

from grading.deadlines import EXIT, Deadline
from grading.spawning import Process, spawn

LAUNCHER = Path(__file__).with_name("launcher.py")
OPTIONS = ("-E", "-u")  # of Python, for programs
LISTEN = "0A"  # TCP_LISTEN of tcp_states.h
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100  # in a second
ROW = 150  # bytes; the system looks through all connections to read on for more
SOON = 0.02  # seconds; who is killed needs less, mostly
MARK = "GRADING_MARK_"  # begins the name of the variable that marks a family


def offspring(process: psutil.Process) -> list[psutil.Process]:
    """Return its living children and theirs; raise psutil.Error if it is gone.

    Linux keeps lists of children (proc_pid_task(5)): so we need not look at every
    process of the machine, as psutil must.
    """
    if sys.platform != "linux":
        return process.children(recursive=True)
    return living(descend(process.pid))


def living(pids: Iterable[int]) -> list[psutil.Process]:
    """Return the processes with these numbers, as far as they live."""
    found: list[psutil.Process] = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            found.append(psutil.Process(pid))
    return found


def descend(pid: int) -> Iterator[int]:
    """Yield the numbers of its children and theirs. (Linux only.)"""
    for child in _children(pid):
        yield child
        yield from descend(child)


def _children(pid: int) -> Iterator[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - quicker
        for task in tasks:
            yield from map(int, read(f"/proc/{pid}/task/{task}/children").split())
    except OSError:  # it is over
        return


def status_fields(proc: str) -> list[bytes]:
    """Return what proc_pid_stat(5) says of /proc/PID, from field 3 on: the state."""
    return read(f"{proc}/stat").rpartition(b")")[2].split()


def read(path: str) -> bytes:
    """Return what a file in /proc says, up to 64 KB. Quicker than open() is."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 65_536)
    finally:
        os.close(fd)


class Family:
    """The processes that come from one program. Make it before the program starts."""

    confined = False  # if so, what it takes is watched
    #: What the launcher limits before the program runs; see there.
    limits = "-"

    pause = 0.0  # seconds after which to ask again for its `excess`

    def excess(self) -> str:
        """Return what is more than it may have, "" if nothing is."""
        return ""

    def __init__(self) -> None:
        """Choose a mark."""
        self._mark = f"{MARK}{uuid.uuid4().hex}"
        self._older: frozenset[int] = frozenset()  # ran before, so cannot belong to it
        self.head: psutil.Process | None = None  # the program itself, once it runs

    def spawn(self, command: Sequence[str], cwd: str | os.PathLike[str]) -> Process:
        """Start the program, `command` in the folder `cwd`; return at once."""
        self._older = frozenset(psutil.pids())
        process = spawn(command, cwd, self.environment())
        self.set_head(process.pid)
        return process

    def launch(self, words: Sequence[str], cwd: str | os.PathLike[str]) -> Process:
        """Start a program by the launcher, which `words` are for; return at once."""
        return self.spawn([sys.executable, *OPTIONS, _launcher(), *words], cwd)

    def environment(self) -> dict[str, str]:
        """Return our environment for the program: marked, and without test settings.

        PYTHON* could change what the program does, PYTEST* names the running test.
        COVERAGE_* stays, so coverage can be measured in the program, and so do other
        marks: a grader may itself be a program under test.
        """
        hidden = ("PYTHON", "PYTEST")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        return kept | self.mark()

    def mark(self) -> dict[str, str]:
        """Return the part of the environment that tells it from others."""
        return {self._mark: "1"}

    def set_head(self, pid: int) -> None:
        """Say which process is the program itself. Call it as soon as it runs."""
        with contextlib.suppress(psutil.Error):  # over already
            self.head = psutil.Process(pid)

    def descendants(self) -> list[psutil.Process]:
        """Return the living processes that come from the program, without itself."""
        found = set(self._marked())
        if self.head:
            with contextlib.suppress(psutil.Error):
                found.update(offspring(self.head))
        return [p for p in found if p != self.head and _alive(p)]

    def _marked(self) -> Iterator[psutil.Process]:
        for pid in set(psutil.pids()) - self._older:
            with contextlib.suppress(psutil.Error, OSError):
                process = psutil.Process(pid)
                if self._mark in process.environ():
                    yield process

    def listens_on(self, port: int) -> bool:
        """Whether the program or a descendant listens on this TCP port."""
        if sys.platform == "linux":
            return any(_listens_on(port, it.pid) for it in self._all())
        return port in self.listening_ports()

    def _all(self) -> list[psutil.Process]:
        return [*([self.head] if self.head else []), *self.descendants()]

    def listening_ports(self) -> set[int]:
        """Return the TCP ports on which the program or a descendant listens."""
        found: set[int] = set()
        for process in self._all():
            with contextlib.suppress(psutil.Error):
                for connection in process.net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        found.add(connection.laddr.port)
        return found

    def kill_descendants(self, known: list[psutil.Process]) -> None:
        """Kill `known` and whatever else turns up, until none is left or EXIT passed.

        Call it after the program itself is dead, with those known before: the tree
        can be seen only while the parents live.
        """
        deadline = Deadline(EXIT)
        while deadline.left():
            family = {*filter(_alive, known), *self.descendants()}
            if not family:
                return
            for process in family:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            # A dead orphan may stay a zombie where nobody reaps: look again soon.
            psutil.wait_procs(family, timeout=min(SOON, deadline.left()))


def _listens_on(port: int, pid: int) -> bool:
    """Tell whether a process does. See proc_pid_net(5): those who listen come first.

    So we need not read on through thousands of connections, as psutil must.
    """
    owned = set()
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
            with contextlib.suppress(OSError):  # it has just been closed
                owned.add(os.readlink(f"/proc/{pid}/fd/{number}"))  # noqa: PTH115
        for table in ("tcp", "tcp6"):
            with open(f"/proc/{pid}/net/{table}", "rb", ROW) as rows:  # noqa: PTH123
                for row in rows:
                    _, local, _, state, *_, inode = row.decode().split()[:10]
                    if state == LISTEN and local.endswith(f":{port:04X}"):
                        if f"socket:[{inode}]" in owned:
                            return True
                    elif state not in (LISTEN, "st"):  # the latter: the heading
                        break
    return False


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@functools.cache
def _launcher() -> str:
    """Return the launcher, compiled: Python does that anew for each script it runs."""
    try:
        compiled = py_compile.compile(os.fspath(LAUNCHER), doraise=True)
        return compiled or os.fspath(LAUNCHER)
    except OSError:  # the kit lies where we may not write
        return os.fspath(LAUNCHER)
