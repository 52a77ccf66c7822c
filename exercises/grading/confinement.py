"""Confines a program: it sees little, reaches nobody, and nothing of it stays.

Everywhere it gets a clean environment and limits. On Linux with bubblewrap it gets
walls besides, see `walls`.
"""

import contextlib
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from grading import limits
from grading.deadlines import EXIT, patient
from grading.orphans import ORPHANAGE
from grading.processes import (
    MARK,
    TICKS,
    Family,
    descend,
    living,
    offspring,
    status_fields,
)
from grading.spawning import Process
from grading.walls import Inside, Walls

# What a program needs of our environment to be itself, on some system or other.
NEEDED = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LANG", "LC_ALL", "PREFIX")
PROGRAM = "2"  # its number within walls: there they are counted from 1


@dataclass
class Usage:
    """What a program and all that it has started take, together."""

    processes: int = 0
    threads: int = 0
    memory: int = 0  # bytes
    entries: int = 0  # files and folders that it has made
    seconds: float = 0.0  # of processor time

    def excess(self) -> str:
        """Return what is more than it may have, "" if nothing is."""
        if self.processes > limits.PROCESSES:
            return f"more than {limits.PROCESSES} processes"
        if self.threads > limits.THREADS:
            return f"more than {limits.THREADS} threads"
        if self.memory > limits.MEMORY:
            return f"more than {limits.MEMORY // limits.MB} MB of memory"
        if self.entries > limits.ENTRIES:
            return f"more than {limits.ENTRIES} files"
        if self.seconds > patient(limits.SECONDS):
            return f"more than {patient(limits.SECONDS):.0f} seconds of processor time"
        return ""


class Confined(Family):
    """Starts a program with a clean environment and limits."""

    confined = True
    pause = limits.LOOK
    limits = limits.TO_SET if os.name == "posix" else "-"
    _last = Usage()

    def spawn(self, command: Sequence[str], cwd: str | os.PathLike[str]) -> Process:
        """Start it."""
        with ORPHANAGE.starting() as started:
            process = super().spawn(command, cwd)
            started.add(process.pid)
        return process

    def environment(self) -> dict[str, str]:
        """Return what a program may know of ours, and the marks."""
        ours = super().environment()
        marks = [name for name in ours if name.startswith(MARK)]
        return {name: ours[name] for name in (*NEEDED, *marks) if name in ours}

    def excess(self) -> str:
        """Return what is more than it may have, "" if nothing is."""
        usage = self._usage()
        self.pause = limits.LOOK_AGAIN if usage == self._last else limits.LOOK
        self._last = usage
        return usage.excess()

    def descendants(self) -> list[psutil.Process]:
        """Return the living processes that come from the program, without itself.

        Also those that have wiped their mark and lost their parents.
        """
        return [*{*super().descendants(), *ORPHANAGE.orphans()}]

    def _offspring(self) -> Collection[psutil.Process]:
        """Return the same, quickly where that can be: it is asked many times."""
        if not ORPHANAGE.adopts:
            return self.descendants()
        found = set(ORPHANAGE.orphans())
        with contextlib.suppress(psutil.Error):
            found.update(offspring(self.head) if self.head else ())
        return found

    def _usage(self) -> Usage:
        usage = Usage()
        for process in [*filter(None, [self.head]), *self._offspring()]:
            with contextlib.suppress(psutil.Error), process.oneshot():
                usage.processes += 1
                usage.threads += process.num_threads()
                usage.memory += process.memory_info().rss
                times = process.cpu_times()
                usage.seconds += times.user + times.system
                usage.seconds += times.children_user + times.children_system
        return usage


class Walled(Confined):
    """The same, within walls."""

    def __init__(self, walls: Walls) -> None:
        """Start nothing yet."""
        super().__init__()
        self._walls = walls
        self._inside: Inside | None = None

    def spawn(self, command: Sequence[str], cwd: str | os.PathLike[str]) -> Process:
        """Refuse: within walls the launcher runs all programs."""
        raise NotImplementedError

    def launch(self, words: Sequence[str], cwd: str | os.PathLike[str]) -> Process:
        """Start it; raise RuntimeError if the walls cannot be built."""
        self._inside = self._walls.start(Path(cwd), words)
        self.set_head(self._inside.pid)
        return self._inside

    def descendants(self) -> list[psutil.Process]:
        """Return the living processes that come from the program, without itself."""
        if not self._inside or self._numbers() <= {PROGRAM}:  # so it is mostly
            return []
        numbers = descend(self._inside.first.pid)
        return living(pid for pid in numbers if pid != self._inside.pid)

    def _numbers(self) -> set[str]:
        """Return the numbers, in there, of all but process 1, which is ours."""
        with contextlib.suppress(OSError):
            names = os.listdir(f"{self._root()}/proc")  # noqa: PTH208 - quicker
            return set(filter(str.isdigit, names)) - {"1"}
        return set()

    def _root(self) -> str:
        """Return where its file system, with its own /proc, is seen from here."""
        assert self._inside
        return f"/proc/{self._inside.first.pid}/root"

    def kill_descendants(self, known: list[psutil.Process]) -> None:
        """Pull down the walls: the system ends all that is within."""
        if self._inside:
            self._inside.pull_down()
            psutil.wait_procs(known, EXIT)

    def _usage(self) -> Usage:
        """Look through its own /proc: there are few processes in it."""
        usage = Usage()
        if self._inside is None:
            return usage
        root = self._root()
        unnamed: dict[int, int] = {}  # files without a name, by number: their bytes
        with contextlib.suppress(OSError):
            usage.entries = sum(
                _entries(f"{root}{path}") for path in self._walls.writable
            )
            procs = [f"{root}/proc/{number}" for number in self._numbers()]
            for proc in procs:
                _add_process(proc, usage, unnamed)
            if usage.memory > limits.MEMORY:  # forks share much of it: look closely
                usage.memory = sum(map(_share, procs))
        usage.memory += sum(unnamed.values())
        return usage


def _add_process(proc: str, usage: Usage, unnamed: dict[int, int]) -> None:
    """Add what one process takes; it may end meanwhile. See proc_pid_stat(5)."""
    with contextlib.suppress(OSError):
        fields = status_fields(proc)
        usage.processes += 1
        usage.threads += int(fields[17])
        usage.memory += int(fields[21]) * _PAGE
        # Its own, and that of children that are over.
        usage.seconds += sum(map(int, fields[11:15])) / TICKS
        # Memory that lies in files without a name (memfd_create(2)) is nobody's.
        for number in os.listdir(f"{proc}/fd"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                status = os.stat(f"{proc}/fd/{number}")  # noqa: PTH116
                if stat.S_ISREG(status.st_mode) and not status.st_nlink:
                    unnamed[status.st_ino] = status.st_blocks * 512


def _share(proc: str) -> int:
    """Return a process's share of its memory, in bytes: Pss of proc_pid_smaps(5)."""
    with contextlib.suppress(OSError):
        with open(f"{proc}/smaps_rollup", "rb") as file:  # noqa: PTH123
            return 1024 * int(file.read().partition(b"\nPss:")[2].split()[0])
    return 0


def _entries(path: str) -> int:
    """Return how many files and folders there are in a file system of its own."""
    there = os.statvfs(path)
    return there.f_files - there.f_ffree


_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
