"""The page for a student: what brought points, and all there is to know of what failed.

It is to be handed out: it has the student's own programs, transcripts and hints, and
nothing that gives answers away. Suspicions are for the instructor (`telling.flags`);
here stands only what has cost points.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from course import results
from course.markup import page
from course.results import Outcome, Result, StepOutcome
from course.scoring import Grade, StepGrade
from course.settings import Settings
from course.telling import at_home, number, of_step, of_test, shown
from grading.pages import Failure, failures_of
from grading.steps import POINTS

MARKS = {
    results.PASSED: "✓",
    results.FAILED: "✗",
    results.FLAKY: "≈",
    results.ERROR: "?",
    results.NOT_RUN: "–",
}


@dataclass(frozen=True)
class TestRow:
    """One test, as it stands on the page."""

    __test__ = False  # for pytest: no test itself

    title: str
    mark: str
    counts: bool
    points: str
    of: str
    small: str  # what else to say
    link: str  # the place of its failure on the page, if there is one


@dataclass(frozen=True)
class StepPart:
    """One step, as it stands on the page."""

    name: str
    title: str
    handed_in: bool
    full: bool
    points: str
    of: str
    passed: int
    note: str
    tests: list[TestRow]
    failures: list[Failure]


def student_page(result: Result, grade: Grade, settings: Settings) -> str:
    """Return the page as HTML."""
    failures = failures_of(at_home(story) for story in result.stories())
    failed = [(s.step, t.test) for s in result.steps for t in s.tests if t.story]
    by_test = dict(zip(failed, failures, strict=True))
    return page(
        "student.html.j2",
        title=settings.title,
        name=shown(result.student),
        refused=result.refused,
        points=number(grade.points),
        of=number(grade.of),
        percent=number(round(grade.percent, 1)),
        steps=[
            _part(outcome, step, by_test, settings)
            for outcome, step in zip(result.steps, grade.steps, strict=True)
        ],
        remarks=[shown(remark) for remark in result.remarks],
        isolation=result.isolation,
        level=3,
    )


Failures = Mapping[tuple[str, str], Failure]


def _part(
    outcome: StepOutcome, grade: StepGrade, failures: Failures, settings: Settings
) -> StepPart:
    extra = outcome.step in settings.extra_credit
    mine = {
        test.test: failures[outcome.step, test.test]
        for test in outcome.tests
        if (outcome.step, test.test) in failures
    }
    return StepPart(
        name=outcome.step,
        title=outcome.title,
        handed_in=outcome.handed_in,
        full=grade.points >= grade.of,
        points=number(grade.points),
        of=number(grade.of),
        passed=sum(test.verdict == results.PASSED for test in outcome.tests),
        note=of_step(outcome, grade, extra=extra),
        tests=[_row(test, grade, mine.get(test.test)) for test in outcome.tests],
        failures=list(mine.values()),
    )


def _row(test: Outcome, grade: StepGrade, failure: Failure | None) -> TestRow:
    counts = test.test in grade.counted
    worth = test.points * grade.of / POINTS
    return TestRow(
        title=test.title or test.test,
        mark=MARKS[test.verdict],
        counts=counts,
        points=number(worth if counts else 0),
        of=number(worth),
        small=_small(test, counts=counts),
        link=failure.name if failure else "",
    )


def _small(test: Outcome, *, counts: bool) -> str:
    if test.verdict == results.PASSED:
        return ""
    said = of_test(test)
    if test.verdict == results.FLAKY:
        counted = "it counts as passed" if counts else "it counts as failed"
        return f"{said}: so it depends on chance, which is a mistake; {counted}"
    if test.verdict == results.FAILED and test.runs > 1:
        return f"{said}, {test.runs} times of {test.runs}"
    return said if test.story or not test.reason else f"{said}: {shown(test.reason)}"
