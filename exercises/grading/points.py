"""Points: what was earned in each step. No pytest, no output."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grading.steps import POINTS, Step


@dataclass(frozen=True)
class TestResult:
    """The verdict on one test. Only `passed` earns points, whatever else happened."""

    __test__ = False  # for pytest: no test itself

    step: str
    test: str
    points: int
    passed: bool
    ran: bool = True  # not: skipped, deselected, or cut off by an earlier end
    missing: str = ""  # the file that was not handed in
    todo: int = 0  # the TODO that its hint is about

    @property
    def earned(self) -> int:
        """The points it brings."""
        return self.points if self.passed else 0


@dataclass(frozen=True)
class StepResult:
    """One row of the table."""

    step: str
    title: str
    points: int
    of: int
    passed: int
    tests: int
    note: str = ""


def step_result(step: Step, results: Iterable[TestResult]) -> StepResult:
    """Sum up one step; tests that did not run earn nothing, and are named."""
    results = list(results)
    ran = [result for result in results if result.ran]
    missing = {result.missing for result in results if result.missing}
    note = ""
    if missing:
        note = f"{', '.join(sorted(missing))} is missing"
    elif len(ran) < len(results):
        note = f"{len(results) - len(ran)} not run"
    return StepResult(
        step=step.name,
        title=step.title,
        points=sum(result.earned for result in results),
        of=POINTS,
        passed=sum(result.passed for result in results),
        tests=len(results),
        note=note,
    )


def points_table(results: Sequence[StepResult]) -> str:
    """Return a row for each step, and the sum."""
    width = max(len(result.step) for result in results)
    rows = [f"{'step'.ljust(width)}  points   tests passed"]
    rows += [_row(result, width) for result in results]
    if len(results) > 1:
        earned = f"{sum(result.points for result in results)}"
        of = sum(result.of for result in results)
        rows.append(f"{'total'.ljust(width)}  {earned:>3}/{of}")
    return "\n".join(rows)


def _row(result: StepResult, width: int) -> str:
    points = f"{result.points:>3}/{result.of:<3}"
    tests = f"{result.passed:>4}/{result.tests:<3}"
    return f"{result.step.ljust(width)}  {points} {tests}  {result.note}".rstrip()
