"""What became of one submission: the model that all reports are made from.

It is data, and it is kept as JSON. Nothing in it was written by a student's program:
the grading process saw it happen from outside.
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grading import facts
from grading.story import Story

SUM = ', "sum": "'  # before the sum of all that comes before
FORMAT = 2

PASSED = "passed"
FAILED = "failed"
FLAKY = "flaky"  # it failed, and passed when it was repeated, or the other way round
NOT_RUN = "not run"  # there was nothing to grade, or grading ended before
ERROR = "error"  # the grader could not tell


@dataclass(frozen=True)
class Outcome:
    """The verdict on one test of the manifest."""

    test: str  # test_speaker_does_not_hear_itself
    points: int  # what it is worth, of the 10 of its step
    verdict: str  # one of the words above
    passes: int = 0  # how often it passed
    runs: int = 0  # of so many times
    shows: str = ""  # what it shows: sentences, the first one is a title
    reason: str = ""  # why not, in a line
    seconds: float = 0.0  # of the first run
    story: Story | None = None  # of the first failure

    @property
    def title(self) -> str:
        """What it shows, in a line."""
        return self.shows.partition("\n")[0].rstrip(".")


@dataclass(frozen=True)
class StepOutcome:
    """What became of one step."""

    step: str
    title: str
    tests: tuple[Outcome, ...]
    handed_in: bool = True
    untouched: bool = False  # the files are as they were handed out
    note: str = ""  # why there is nothing to grade, or that grading ended early
    likeness: str = ""  # that it is a program of the kit's in disguise
    kin: str = ""  # which one: a word of `likeness`
    submitted: float | None = None  # seconds since 1970, if this step has its own time

    @property
    def complete(self) -> bool:
        """Whether every test has passed, each time."""
        return all(test.verdict == PASSED for test in self.tests)


@dataclass(frozen=True)
class Result:
    """One submission, graded."""

    student: str
    digest: str  # of what was handed in, of the grader, and of the choices that count
    steps: tuple[StepOutcome, ...]
    submitted: float | None = None  # seconds since 1970, if it is known
    refused: str = ""  # why the whole of it could not be taken in
    remarks: tuple[str, ...] = ()  # on files that were left aside, and the like
    isolation: tuple[str, ...] = ()  # walls that this system could not build
    seconds: float = field(default=0.0, compare=False)

    def stories(self) -> list[Story]:
        """Return what is to be told of its failures."""
        return [test.story for step in self.steps for test in step.tests if test.story]


def to_json(result: Result) -> str:
    """Return it as JSON text, with a sum of all that is in it."""
    text = facts.to_json({"format": FORMAT} | vars(result)).removesuffix("}")
    return f"{text}{SUM}{_sum(text)}"


def _sum(text: str) -> str:
    """Return the end of a result that begins so."""
    return f'{hashlib.sha256(text.encode()).hexdigest()}"}}\n'


def from_json(text: str) -> Result:
    """Undo `to_json`. Raise ValueError if it is not such a text, or a damaged one."""
    try:
        text, _, end = text.rpartition(SUM)
        if end != _sum(text):
            raise ValueError("a damaged result")
        fields = facts.from_json(text + "}")
        if fields.pop("format") != FORMAT:
            raise ValueError("a result of another version")
        fields["steps"] = tuple(_step(step) for step in fields["steps"])
        for name in ("remarks", "isolation"):
            fields[name] = tuple(fields[name])
        return Result(**fields)
    except (TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise ValueError(f"not a result: {exc!r}") from None


def _step(fields: dict[str, Any]) -> StepOutcome:
    tests = tuple(_outcome(test) for test in fields.pop("tests"))
    return StepOutcome(**fields, tests=tests)


def _outcome(fields: dict[str, Any]) -> Outcome:
    story = fields.pop("story")
    return Outcome(**fields, story=Story.from_dict(story) if story else None)


def write(path: Path, text: str) -> None:
    """Write a file so that it is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(name, 0o644)  # noqa: PTH101
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise


def load(folder: Path) -> list[Result]:
    """Return all results that are kept in `folder`, in order of their names."""
    return [
        from_json(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    ]
