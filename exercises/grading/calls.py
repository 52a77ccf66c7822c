"""Which calls of a test a person repeats to see it by hand. Pure.

A test may make many decoders, one after the other. What failed is about those that
were called last, so only what was done with them is told.
"""

import re
from collections.abc import Iterable

from grading.transcript import Event

CALLS = 20  # at most; of more, the beginning

_NAME = re.compile(r"(\w+)(?: = |\.)")  # of `decoder = Decoder()`, `decoder.feed(...)`


def to_type(events: Iterable[Event]) -> list[str]:
    """Return lines for a Python in which the student's module is open."""
    calls = [event.note for event in events if event.kind == "called"]
    made = [number for number, call in enumerate(calls) if " = " in call]
    wanted = {_name(call) for call in calls[made[-1] :]} if made else set()
    lines = [call for call in calls if _name(call) in wanted]
    more = len(lines) - CALLS
    return [*lines[:CALLS], f"# and {more} more"] if more > 0 else lines


def _name(call: str) -> str:
    match = _NAME.search(call)
    return match[1] if match else ""
