"""How a result is put into words: for its student, and for the instructor. Pure.

Names of students come from names of files: they may hold anything.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from course import results
from course.results import Outcome, Result, StepOutcome
from course.scoring import Grade, StepGrade
from grading.story import Story

NAME_BYTES = 100  # of the name of a page; a file system takes 255, a zip may not
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # Windows

# What turns the direction of a text, or ends a line; a joiner in a name is welcome.
_UNRULY = re.compile("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


# What there may be to look at, the gravest first.
KINDS = ("refused", "likeness", "error", "note", "flaky", "left aside")


@dataclass(frozen=True)
class Flag:
    """What somebody should look at, in a line."""

    student: str
    step: str  # "": it is about the whole submission
    kind: str  # one of the words above
    what: str


def flags(result: Result, grade: Grade) -> list[Flag]:
    """Return all of a submission, the gravest first."""
    found = [Flag(result.student, *flag) for flag in _flags(result, grade)]
    return sorted(found, key=lambda flag: KINDS.index(flag.kind))


def _flags(result: Result, grade: Grade) -> Iterator[tuple[str, str, str]]:
    if result.refused:
        yield "", "refused", f"not taken in: {result.refused}"
    for outcome, step in zip(result.steps, grade.steps, strict=True):
        if outcome.handed_in and outcome.note:
            yield step.step, "note", outcome.note
        for flag in step.flags:
            yield step.step, _kind(flag, outcome), flag
    for remark in result.remarks:
        yield "", "left aside", remark


def _kind(flag: str, outcome: StepOutcome) -> str:
    if flag == outcome.likeness:
        return "likeness"
    return "flaky" if flag.startswith("flaky") else "error"


def status(result: Result) -> str:
    """Return in a word or three whether it could be graded."""
    handed_in = [step for step in result.steps if step.handed_in]
    if result.refused:
        return "not taken in"
    if not handed_in:
        return "nothing handed in"
    begun = [step for step in handed_in if not step.untouched]
    unknown = (test for step in begun for test in step.tests if _unknown(test))
    return "incomplete" if any(unknown) else "graded"


def _unknown(test: Outcome) -> bool:
    return test.verdict in (results.ERROR, results.NOT_RUN)


def graded_steps(result: Result) -> int:
    """Return how many steps there was something to grade in."""
    return sum(step.handed_in for step in result.steps)


def of_test(test: Outcome) -> str:
    """Return what became of a test, in words."""
    if test.verdict == results.FLAKY:
        return f"passed {test.passes} of {test.runs} times"
    return "could not be told" if test.verdict == results.ERROR else test.verdict


def of_step(outcome: StepOutcome, grade: StepGrade, *, extra: bool) -> str:
    """Return what there is to say of a step beside its points."""
    said = ["extra credit"] if extra else []
    if not outcome.handed_in:
        return "; ".join([*said, outcome.note])
    if outcome.note:
        said.append(outcome.note)
    if outcome.complete:
        said.append("all passed")
    if outcome.untouched:
        said.append("the files are as they were handed out")
    if grade.copied:
        said.append(f"earns nothing: {outcome.likeness}")
    elif grade.late_days:
        days = f"{grade.late_days} day{'' if grade.late_days == 1 else 's'}"
        said.append(f"{days} late: worth {number(grade.points)} of {_in_time(grade)}")
    return "; ".join(said)


def _in_time(grade: StepGrade) -> str:
    return number(grade.raw * grade.of / 10)


def at_home(story: Story) -> Story:
    """Return the story with its commands as they are typed in a student's kit."""
    return replace(story, folder=f"exercises/{story.step}")


def number(value: float) -> str:
    """Return points as they are written: 7, 7.5, 7.25."""
    return f"{round(value, 2):g}" if abs(value) < 100_000 else f"{round(value)}"


def shown(name: str) -> str:
    """Return a name for a page: nothing in it moves or hides what stands around it."""
    return "".join(
        char if _fit(char) else char.encode("unicode_escape").decode() for char in name
    )


def _fit(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cs") and not _UNRULY.match(char)


def page_names(names: Iterable[str]) -> dict[str, str]:
    """Return for each name that of a file: for every file system, and only its own."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        stem = _stem(name)
        free, count = stem, 1
        while _folded(free) in taken:
            count += 1
            free = f"{stem}-{count}"
        taken.add(_folded(free))
        found[name] = f"{free}.html"
    return found


def _folded(stem: str) -> str:
    """Return what is the same for names that some file system cannot tell apart."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", stem).casefold())


def _stem(name: str) -> str:
    text = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name))
    text = text.strip("._-") or "student"
    while len(text.encode()) > NAME_BYTES:
        text = text[:-1]
    return f"_{text}" if RESERVED.match(text) else text
