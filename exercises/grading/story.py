"""The report model: everything that can be told of one failed expectation.

It is data, so that text, HTML and pictures are made from the same thing, and plain
(strings, bytes, numbers), so that it can travel between processes.
"""

from dataclasses import asdict, dataclass
from typing import Any

from grading.transcript import Call, Event, ProgramState, ThreadState


@dataclass(frozen=True)
class Story:
    """Who expected what and what came, and all that led there."""

    who: str  # a person, or "the test"
    expected: str  # completes "alice expected ..."
    got: str  # completes "but got ..."
    events: tuple[Event, ...] = ()
    programs: tuple[ProgramState, ...] = ()
    received: tuple[bytes, ...] = ()  # the last lines that the person got before
    # Of the exercise; empty elsewhere.
    step: str = ""  # 05_broadcast
    test: str = ""  # test_speaker_does_not_hear_itself
    shows: str = ""  # what the test shows, a sentence
    points: int = 0  # that it is worth
    folder: str = ""  # where the graded files are, as a person types it
    hint: str = ""
    todo: int = 0  # the TODO that the hint is about

    @property
    def sentence(self) -> str:
        """Who expected what, and what came instead."""
        return f"{self.who} expected {self.expected}, but got {self.got}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as dictionaries, lists, strings, bytes and numbers."""
        # Not asdict(), which would copy each of thousands of strings and numbers.
        programs = [asdict(program) for program in self.programs]
        events = [vars(event) for event in self.events]
        return vars(self) | {"programs": programs, "events": events}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Story":
        """Undo `to_dict`."""
        programs = tuple(_program(program) for program in fields["programs"])
        events = tuple(Event(**event) for event in fields["events"])
        received = tuple(fields["received"])
        changed = {"programs": programs, "events": events, "received": received}
        return cls(**(fields | changed))


def _program(fields: dict[str, Any]) -> ProgramState:
    threads = tuple(
        ThreadState(thread["name"], tuple(Call(**call) for call in thread["calls"]))
        for thread in fields["threads"]
    )
    return ProgramState(**(fields | {"threads": threads}))
