"""From results to grades: what counts, and how much. Pure.

A test earns its points if it passed each time it was run. One that is flaky (it both
failed and passed) counts as the instructor chose:

    once    as passed, but for one test of a submission only: the first one
    pass    as passed, always
    fail    as failed

A step that is the kit's own work in disguise is flagged. If it is the reference, or
reaches for it, it earns nothing; if it is our solution, that is up to the instructor.
Who has looked at such a step may accept it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from course import results
from course.likeness import REFERENCE, SOLUTION
from course.results import Outcome, Result, StepOutcome
from course.settings import Settings
from grading.steps import POINTS

DAY = 24 * 3600

# Whose work, as an instructor may choose, brings nothing.
WORTHLESS = {
    "reference": {REFERENCE},
    "all": {REFERENCE, SOLUTION},
    "none": set[str](),
}


@dataclass(frozen=True)
class StepGrade:
    """What one step brings."""

    step: str
    points: float  # in the instructor's points, after everything
    of: int
    raw: int  # of 10, before deadlines and copies
    late_days: int = 0
    flags: tuple[str, ...] = ()  # what somebody should look at, in lines
    counted: frozenset[str] = frozenset()  # the tests that count as passed
    copied: bool = False  # it brings nothing, as it is not the student's own work


@dataclass(frozen=True)
class Grade:
    """What a submission brings."""

    student: str
    steps: tuple[StepGrade, ...]
    points: float
    of: int  # without extra credit

    @property
    def percent(self) -> float:
        """Points in percent of what can be reached; extra credit may lead past 100."""
        return 100 * self.points / self.of if self.of else 0.0

    @property
    def flags(self) -> list[str]:
        """All that somebody should look at."""
        return [f"{it.step}: {flag}" for it in self.steps for flag in it.flags]


def grade(result: Result, settings: Settings) -> Grade:
    """Return what a result is worth."""
    allowance = {"once": 1, "pass": math.inf, "fail": 0}[settings.flaky]
    steps = []
    for step in result.steps:
        counted = _counted(step, allowance)
        earned = _step_grade(result, step, counted, settings)
        if not earned.copied:
            allowance -= sum(test.verdict == results.FLAKY for test in counted)
        steps.append(earned)
    return Grade(
        student=result.student,
        steps=tuple(steps),
        points=round(sum(step.points for step in steps), 2),
        of=sum(it.of for it in steps if it.step not in settings.extra_credit),
    )


def _counted(step: StepOutcome, allowance: float) -> list[Outcome]:
    """Return the tests that count as passed; so many flaky ones may be among them."""
    counted = []
    for test in step.tests:
        if test.verdict == results.FLAKY and allowance > 0:
            counted.append(test)
            allowance -= 1
        elif test.verdict == results.PASSED:
            counted.append(test)
    return counted


def _step_grade(
    result: Result, step: StepOutcome, counted: Sequence[Outcome], settings: Settings
) -> StepGrade:
    of = settings.points[step.step]
    raw = sum(test.points for test in counted)
    points = raw * of / POINTS
    flags = [_flaky(test) for test in step.tests if test.verdict == results.FLAKY]
    flags += [_error(test) for test in step.tests if test.verdict == results.ERROR]
    copied = False
    if step.likeness and f"{result.student}/{step.step}" not in settings.accepted:
        flags.append(step.likeness)
        copied = step.kin in WORTHLESS[settings.copied]
    if copied:
        points = 0.0
    late_days = _late_days(result, step, settings)
    if late_days:
        points *= 1 - min(settings.late_most, late_days * settings.late_per_day)
    return StepGrade(
        step=step.step,
        points=round(points, 2),
        of=of,
        raw=raw,
        late_days=late_days,
        flags=tuple(flags),
        counted=frozenset(test.test for test in counted),
        copied=copied,
    )


def _flaky(test: Outcome) -> str:
    return f"flaky: {test.test} passed {test.passes} of {test.runs} times"


def _error(test: Outcome) -> str:
    return f"the grader could not tell: {test.test}: {test.reason}"


def _late_days(result: Result, step: StepOutcome, settings: Settings) -> int:
    """Return how many days have begun between the deadline and handing in."""
    deadline = settings.deadlines.get(step.step)
    submitted = result.submitted if step.submitted is None else step.submitted
    if deadline is None or submitted is None or not step.handed_in:
        return 0
    return max(0, math.ceil((submitted - deadline.timestamp()) / DAY))
