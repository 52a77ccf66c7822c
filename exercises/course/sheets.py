"""Tables for a spreadsheet or a campus system: CSV, in UTF-8.

A spreadsheet takes a cell that begins with = or the like for a formula, and runs it.
Names come from files that students have named: such a cell gets an apostrophe.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone

from course import results
from course.analysis import Class
from course.results import Result
from course.scoring import Grade
from course.telling import Flag, graded_steps, number, status

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# What a terminal obeys; and NUL, which the csv module of Python 3.10 refuses.
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
MARKS = {
    results.PASSED: "1",
    results.FAILED: "0",
    results.FLAKY: "F",
    results.ERROR: "E",
    results.NOT_RUN: "N",
}


def grades(graded: Class) -> str:
    """Return a row for each student; the first one has the points that can be had."""
    steps = graded[0][1].steps if graded else ()
    header = ["student", *(step.step for step in steps), "total", "max", "percent"]
    header += ["status", "steps graded", "late days", "submitted", "flags"]
    of = number(graded[0][1].of) if graded else "0"
    most = ["max points", *(number(step.of) for step in steps), of, of, "100"]
    most += [""] * (len(header) - len(most))
    return _table([header, most, *(_row(*pair) for pair in graded)])


def _row(result: Result, grade: Grade) -> list[str]:
    return [
        result.student,
        *(number(step.points) for step in grade.steps),
        number(grade.points),
        number(grade.of),
        f"{grade.percent:.1f}",
        status(result),
        str(graded_steps(result)),
        str(max((step.late_days for step in grade.steps), default=0)),
        _time(result.submitted),
        "; ".join(grade.flags),
    ]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    time = datetime.fromtimestamp(seconds, timezone.utc)
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def items(graded: Class) -> str:
    """Return students by tests: 1 passed, 0 failed, F flaky, E error, N not run."""
    steps = graded[0][0].steps if graded else ()
    tests = [f"{step.step}/{test.test}" for step in steps for test in step.tests]
    return _table([["student", *tests], *(_marks(result) for result, _ in graded)])


def _marks(result: Result) -> list[str]:
    tests = (test for step in result.steps for test in step.tests)
    return [result.student, *(MARKS[test.verdict] for test in tests)]


def flags(all_flags: Iterable[Flag], isolation: Sequence[str]) -> str:
    """Return what somebody should look at, one thing a row."""
    rows = [["student", "step", "kind", "what"]]
    rows += [["(everybody)", "", "isolation", sentence] for sentence in isolation]
    rows += [[flag.student, flag.step, flag.kind, flag.what] for flag in all_flags]
    return _table(rows)


def _table(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(map(_safe, rows))
    return text.getvalue()


def _safe(row: Iterable[str]) -> Iterator[str]:
    for cell in row:
        plain = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", cell)
        yield f"'{plain}" if plain.startswith(FORMULA) else plain
