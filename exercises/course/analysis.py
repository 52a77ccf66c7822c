"""What a whole class shows: where it stops, which tests are hard, what to teach again.

Pure. A step counts as begun by those who handed it in, wrote something, and wrote it
themselves. Who passes all of a step and begins nothing from the next one on, has
stopped there: that is a sign of trouble with the next one, as a failed test is.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from course import results
from course.results import Outcome, Result
from course.scoring import Grade
from grading.steps import POINTS

FEW = 8  # students; of fewer, a correlation says nothing
RARE = 3  # who pass a test, or fail it; of fewer it says nothing either
TEACH = 2  # steps to teach again: a lesson has no room for more

Class = Sequence[tuple[Result, Grade]]


@dataclass(frozen=True)
class StepFacts:
    """How a class fares with one step. All but `share` are numbers of students."""

    step: str
    title: str
    students: int  # in the class
    handed_in: int
    untouched: int  # handed in as it was handed out
    copied: int  # not their own work
    begun: int
    complete: int  # of those who began
    stopped: int  # who begin nothing from here on, and have passed the step before
    share: float  # of its points, on the average of those who began

    @property
    def failing(self) -> int:
        """Who began it, and does not pass all of it."""
        return self.begun - self.complete

    @property
    def stuck(self) -> int:
        """Who has trouble with it, one way or the other."""
        return self.failing + self.stopped


@dataclass(frozen=True)
class ItemFacts:
    """How a class fares with one test."""

    step: str
    test: str
    title: str
    begun: int  # students who began its step
    passed: int  # each time
    flaky: int
    apart: float | None  # correlation with the share of other tests that one passes

    @property
    def share(self) -> float:
        """Of those who began the step, how many pass it: its difficulty, 1 is easy."""
        return self.passed / self.begun if self.begun else 0.0

    @property
    def says(self) -> str:
        """What that means for the teacher, in a sentence."""
        if not self.begun:
            return "Nobody has come here."
        if self.passed == self.begun:
            return "All pass it."
        if not self.passed:
            return "Nobody passes it: teach it, or see whether it is asked for clearly."
        if self.begun >= FEW and self.begun - self.passed < RARE:
            return "Nearly all pass it."
        if self.apart is None:
            return f"{self.begun - self.passed} of {self.begun} do not pass it."
        return _of_correlation(self.share, self.apart)


def _of_correlation(share: float, apart: float) -> str:
    if apart <= -0.2:
        return (
            "Those who pass other tests pass this one less often: look at it, and at"
            " what its step asks for."
        )
    if apart < 0.2:
        return "Passing it has little to do with passing the rest: a matter of its own."
    if share < 0.5:
        return "Hard: only those who pass most of the rest pass it."
    return "Those who do not pass it have trouble elsewhere, too."


@dataclass(frozen=True)
class Summary:
    """A class in numbers."""

    steps: tuple[StepFacts, ...]
    items: tuple[ItemFacts, ...]
    mean: float  # percent
    median: float
    bins: tuple[int, ...]  # students with 0 to 9 percent, 10 to 19, ..., 90 to 100
    above: int  # with more than 100

    def teach_again(self) -> list[StepFacts]:
        """Return the steps that most are stuck at, the worst first; in doubt, earlier.

        A step that nobody has handed in was not asked for yet.
        """
        stuck = [it for it in self.steps if it.stuck and it.handed_in]
        return sorted(stuck, key=lambda it: (-it.stuck, it.share))[:TEACH]

    def hardest(self, step: str) -> ItemFacts | None:
        """Return the test of a step that the fewest pass; None if all pass all."""
        failed = [it for it in self.items if it.step == step and it.passed < it.begun]
        return min(failed, key=lambda it: it.share, default=None)


def summary(graded: Class) -> Summary:
    """Return what a class shows. All results are of the same steps."""
    percents = [grade.percent for _, grade in graded]
    bins = [0] * 10
    for percent in percents:
        if percent <= 100:
            bins[min(9, int(percent // 10))] += 1
    first = graded[0][0].steps if graded else ()
    rests = [_share_of_tests(result) for result, _ in graded]
    return Summary(
        steps=tuple(_step(graded, place) for place in range(len(first))),
        items=tuple(
            _item(graded, place, number, rests)
            for place, step in enumerate(first)
            for number in range(len(step.tests))
        ),
        mean=statistics.fmean(percents) if percents else 0.0,
        median=statistics.median(percents) if percents else 0.0,
        bins=tuple(bins),
        above=sum(percent > 100 for percent in percents),
    )


# --------------------------------------------------------------------------- steps


def _written(result: Result, place: int) -> bool:
    """Whether there is something that is no starter."""
    step = result.steps[place]
    return step.handed_in and not step.untouched


def _begun(result: Result, grade: Grade, place: int) -> bool:
    return _written(result, place) and not grade.steps[place].copied


def _stopped(result: Result, grade: Grade) -> int | None:
    """Return the place of the step before which somebody has stopped, None if nobody.

    Who has trouble with the last step that was begun is stuck there, and not behind.
    """
    if not any(step.handed_in for step in result.steps):
        return None
    places = range(len(result.steps))
    last = max((place for place in places if _written(result, place)), default=-1)
    if last < 0:
        return 0
    done = result.steps[last].complete and not grade.steps[last].copied
    return last + 1 if done else None


def _step(graded: Class, place: int) -> StepFacts:
    first = graded[0][0].steps[place]
    outcomes = [result.steps[place] for result, _ in graded]
    began = [(r, g) for r, g in graded if _begun(r, g, place)]
    shares = [grade.steps[place].raw / POINTS for _, grade in began]
    return StepFacts(
        step=first.step,
        title=first.title,
        students=len(graded),
        handed_in=sum(it.handed_in for it in outcomes),
        untouched=sum(it.handed_in and it.untouched for it in outcomes),
        copied=sum(grade.steps[place].copied for _, grade in graded),
        begun=len(began),
        complete=sum(result.steps[place].complete for result, _ in began),
        stopped=sum(_stopped(*pair) == place for pair in graded),
        share=statistics.fmean(shares) if shares else 0.0,
    )


# --------------------------------------------------------------------------- tests


def _passed(test: Outcome) -> bool:
    return test.verdict == results.PASSED


def _share_of_tests(result: Result) -> tuple[int, int]:
    """Return how many tests a student passes, and of how many."""
    tests = [test for step in result.steps for test in step.tests]
    return sum(map(_passed, tests)), len(tests)


def _item(
    graded: Class, place: int, number: int, rests: Sequence[tuple[int, int]]
) -> ItemFacts:
    first = graded[0][0].steps[place]
    scores: list[int] = []
    others: list[float] = []
    flaky = 0
    for (result, grade), (passed, of) in zip(graded, rests, strict=True):
        if _begun(result, grade, place):
            test = result.steps[place].tests[number]
            scores.append(int(_passed(test)))
            others.append((passed - _passed(test)) / max(1, of - 1))
            flaky += test.verdict == results.FLAKY
    return ItemFacts(
        step=first.step,
        test=first.tests[number].test,
        title=first.tests[number].title,
        begun=len(scores),
        passed=sum(scores),
        flaky=flaky,
        apart=_correlation(scores, others),
    )


def _correlation(scores: Sequence[int], others: Sequence[float]) -> float | None:
    """Return how well one goes with the other, from -1 to 1; None if it is unknown."""
    rarer = min(scores.count(0), scores.count(1))
    if len(scores) < FEW or rarer < RARE or len(set(others)) < 2:
        return None
    return round(statistics.correlation(scores, others), 2) + 0.0  # never -0.0
