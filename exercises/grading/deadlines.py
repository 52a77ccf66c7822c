"""How long to wait for what: every deadline of the harness, in one place.

They are generous. Waiting ends as soon as the awaited thing happens, so a long
deadline costs nothing when a program works and forgives a busy machine. On a
machine that is slower still, set GRADING_PATIENCE=4.
"""

import os
import time


def patient(seconds: float) -> float:
    """Return `seconds` times the environment variable GRADING_PATIENCE (default 1)."""
    given = os.environ.get("GRADING_PATIENCE", "1")
    try:
        patience = float(given)
    except ValueError:
        patience = 0.0
    if not 0 < patience < float("inf"):
        raise ValueError(f"GRADING_PATIENCE must be a number above 0, not {given!r}")
    return seconds * patience


READY = patient(10.0)  # an interpreter starts and the program says it is listening
LINE = patient(5.0)  # a line or some bytes arrive, or are taken off our hands
END = patient(5.0)  # a stream ends
EXIT = patient(5.0)  # a process ends

# A program in which nothing has moved for so long will not send what we wait for.
# Longer than the second that a server may give to clients before it ends something.
REST = patient(1.4)
GLANCE = 0.2  # between looks whether it moves
SLOW_REST = patient(3.0)  # the same at its start and at its end: people pause there


class Deadline:
    """A point in time: one timeout shared by several waits."""

    def __init__(self, timeout: float) -> None:
        """Start now; `timeout` is in seconds."""
        self.timeout = timeout
        self._at = time.monotonic() + timeout

    def left(self) -> float:
        """Return the seconds left, 0.0 once the deadline has passed."""
        return max(0.0, self._at - time.monotonic())
