"""Processes that lose their parents become ours, where the system can do that: Linux.

A program may wipe its environment and leave a child behind, so that neither its mark
nor its parents tell where it comes from. If we are a subreaper (prctl(2)) the system
gives such a child to us. Then each child of ours that we have not started is one.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator

import psutil

from grading.processes import offspring

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36  # of prctl.h


class Orphanage:
    """Knows which children are our own, and so which ones are not."""

    def __init__(self) -> None:
        """Adopt nobody yet."""
        self._lock = (
            threading.Lock()
        )  # held from the start of a child until it is known
        self._own: set[psutil.Process] = set()
        self.adopts = False  # whether nobody can hide from `orphans`

    def open(self) -> None:
        """Adopt from now on; and let nobody of the same user look into this process.

        What we hold open (verdicts) others could write to otherwise, through /proc.
        """
        if sys.platform == "linux":
            import ctypes

            prctl = ctypes.CDLL(None).prctl
            prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
            self.adopts = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

    @contextlib.contextmanager
    def starting(self) -> Iterator[set[int]]:
        """Start children of our own in this block; add their process ids to the set."""
        with self._lock:
            pids: set[int] = set()
            yield pids
            for pid in pids:
                with contextlib.suppress(psutil.Error):  # over already
                    self._own.add(psutil.Process(pid))

    def orphans(self) -> list[psutil.Process]:
        """Return those who live, and what comes from them."""
        if not self.adopts:
            return []
        with self._lock:
            self._own = {process for process in self._own if process.is_running()}
            children = set(psutil.Process(os.getpid()).children()) - self._own
        return [*_living(children)]


def _living(children: Iterable[psutil.Process]) -> Iterator[psutil.Process]:
    """Yield them and what comes from them; reap the dead ones: it is up to us."""
    for orphan in children:
        with contextlib.suppress(psutil.Error):
            if orphan.status() == psutil.STATUS_ZOMBIE:
                orphan.wait(0)
            else:
                yield orphan
                yield from offspring(orphan)


ORPHANAGE = Orphanage()  # of this process
