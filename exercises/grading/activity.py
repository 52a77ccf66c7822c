"""Whether a program does anything, and how much: for waits that need not be long.

Over loopback whatever a program sends has arrived when its send returns. So a program
whose threads have all slept for a while, with nothing done in between, will not send
what we are waiting for. And a thread that never waits shows by the processor time.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator

import psutil

from grading.deadlines import GLANCE
from grading.processes import TICKS, descend, offspring, read, status_fields

LEAST = 0.3  # seconds; a shorter time says nothing about a share
MOMENT = 0.03  # seconds; a thread that waits for something rests at least that long
ROUNDS = 0.5  # seconds of processor time that tell as much as a second of rest
SLEEPING = b"SsTtZXI"  # states of a Linux thread in which it will not run by itself


class Activity:
    """Watches one process and its children, from now on."""

    def __init__(self, process: psutil.Process | None) -> None:
        """Begin to watch. A process that is gone already, None, counts as at rest."""
        self._process = process
        self._begun = self._changed = self._asked = time.monotonic()
        self._seen: object = None
        self._cpu = self._cpu_used()

    def resting(self) -> float:
        """Return for how many seconds nothing has run, as far as we looked.

        Look often: what happens between two looks shows only as that it happened.
        """
        seen = self._look()
        if seen is None or seen != self._seen:
            self._seen = seen
            self._changed = time.monotonic()
        return time.monotonic() - self._changed

    def stuck(self, rest: float) -> str:
        """Return what it does instead of what we wait for; "" if that may still come.

        It has been at rest for `rest` seconds; or it has gone round and round: see
        `spins`. Ask as often as you like: within GLANCE nobody looks again.
        """
        if time.monotonic() - self._asked < GLANCE:
            return ""
        rested, self._asked = self.resting(), time.monotonic()
        if rested >= rest:
            return "did nothing at all any more"
        if rested < MOMENT and self.spins(rest):
            return f"went round and round for {rest * ROUNDS:g} s of processor time"
        return ""

    def spins(self, rest: float) -> bool:
        """Tell whether it has worked so much since we began that nothing will come.

        Between two answers good programs need a fifth of that at most, whatever
        else runs beside them: this is no time on a clock.
        """
        return self._cpu_used() - self._cpu >= rest * ROUNDS

    def moves(self) -> bool:
        """Tell whether something runs again and again: in three moments in a row."""
        return all(self._moves_within(MOMENT) for _ in range(3))

    def _moves_within(self, seconds: float) -> bool:
        before = self._look()
        time.sleep(seconds)
        return before is None or self._look() != before

    def share(self) -> float:
        """Return the processor time used since we began, as a share of the time."""
        elapsed = time.monotonic() - self._begun
        return (self._cpu_used() - self._cpu) / elapsed if elapsed > LEAST else 0.0

    def _cpu_used(self) -> float:
        with contextlib.suppress(psutil.Error, OSError):
            if self._process and sys.platform == "linux":
                fields = status_fields(f"/proc/{self._process.pid}")
                return sum(map(int, fields[11:13])) / TICKS
            if self._process:
                times = self._process.cpu_times()
                return times.user + times.system
        return 0.0

    def _look(self) -> object:
        """Return what changes whenever a thread runs; None if one runs now."""
        if self._process is None:
            return "gone"
        try:
            looks = list(_looks(self._process))
        except (psutil.Error, OSError):
            return "gone"
        return None if None in looks else looks


def _looks(process: psutil.Process) -> Iterator[object]:
    """Look at it and at each of its children."""
    if sys.platform == "linux":
        yield _look_at_threads(process.pid)
        yield from map(_look_at_threads, descend(process.pid))
    else:
        for it in (process, *offspring(process)):
            yield it.num_ctx_switches(), it.cpu_times()


def _look_at_threads(pid: int) -> object:
    """Return how often each thread was switched; None if one wants to run."""
    looks = []
    for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - quicker
        with contextlib.suppress(OSError):  # this thread has just ended
            text = read(f"/proc/{pid}/task/{task}/status")
            state = text.partition(b"\nState:\t")[2][:1]
            if state not in SLEEPING:
                return None
            looks.append((task, text[text.find(b"voluntary_ctxt") :]))
    return sorted(looks)
