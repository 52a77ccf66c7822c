"""Events for tests of reports, told as rows (who, what, to whom, data, note)."""

from itertools import count
from typing import Any

from grading.transcript import Event, Transcript

Row = tuple[Any, ...]  # what Transcript.record takes, as far as it is wanted

SERVER: Row = ("mchat", "started", "", b"", "python mchat.py --port 0")
READY: Row = ("mchat", "printed", "", b"listening on 127.0.0.1:1\n", "stdout")
CLIENT: Row = ("chat", "started", "", b"", "python chat.py 127.0.0.1 43211")


def told(*rows: Row) -> tuple[Event, ...]:
    """Return the events of a transcript in which all that has happened."""
    ticks = count()
    transcript = Transcript(clock=lambda: next(ticks) / 100)
    for row in rows:
        transcript.record(*row)
    return tuple(transcript.events())


def failed(who: str, expected: str, got: str) -> Row:
    """Return the row of a failed expectation."""
    return (who, "expected", "", b"", f"{expected}, but got {got}")
