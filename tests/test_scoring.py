"""From results to grades."""

import datetime
from dataclasses import replace

import pytest

import proofs
from course import results, settings
from course.likeness import PERHAPS, REFERENCE, SOLUTION, UNKNOWN
from course.results import Outcome, Result, StepOutcome
from course.scoring import Grade, grade
from course.settings import Settings

STEPS = list(proofs.STEPS.values())
CHOICES = settings.default(STEPS).only(["02_echo", "05_broadcast"])
NOON = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.timezone.utc)
HOUR, DAY = 3600, 24 * 3600


def outcome(step: str, verdicts: str, **fields: object) -> StepOutcome:
    """Return a step of as many tests as there are letters, two points each."""
    tests = [
        Outcome(f"test_{n}", 2, WORDS[it], *RUNS[it]) for n, it in enumerate(verdicts)
    ]
    return replace(StepOutcome(step, step, tuple(tests)), **fields)  # type: ignore[arg-type]


WORDS = {"p": results.PASSED, "f": results.FAILED, "k": results.FLAKY}
WORDS |= {"n": results.NOT_RUN, "e": results.ERROR}
RUNS = {"p": (1, 1), "f": (0, 5), "k": (3, 5), "n": (0, 0), "e": (0, 1)}


def result(*steps: StepOutcome, submitted: float | None = None) -> Result:
    """Return a submission."""
    return Result(student="ann", digest="", steps=steps, submitted=submitted)


def points(graded: Grade) -> list[float]:
    """Return those of each step."""
    return [step.points for step in graded.steps]


def chosen(**fields: object) -> Settings:
    """Return other choices."""
    return replace(CHOICES, **fields)  # type: ignore[arg-type]


def test_only_what_passed_counts() -> None:
    """Not what failed, was not run, or could not be told."""
    graded = grade(result(outcome("02_echo", "pfpne")), CHOICES)
    assert points(graded) == [4]
    assert graded.flags == ["02_echo: the grader could not tell: test_4: "]


@pytest.mark.parametrize(("counts", "worth"), [("once", 2), ("pass", 6), ("fail", 0)])
def test_flaky_counts_as_chosen(counts: str, worth: float) -> None:
    """Once means one test of a submission; and each is flagged, with n of k."""
    given = result(outcome("02_echo", "kf"), outcome("05_broadcast", "kk"))
    graded = grade(given, chosen(flaky=counts))
    assert graded.points == worth
    assert graded.flags[0] == "02_echo: flaky: test_0 passed 3 of 5 times"
    assert len(graded.flags) == 3


def test_copied_step_does_not_use_up_the_allowance() -> None:
    """It brings nothing anyhow."""
    copied = outcome("02_echo", "k", likeness="the reference", kin=REFERENCE)
    graded = grade(result(copied, outcome("05_broadcast", "k")), CHOICES)
    assert points(graded) == [0, 2]


@pytest.mark.parametrize(
    ("kin", "counts", "worth"),
    [
        (REFERENCE, "reference", 0),
        (SOLUTION, "reference", 2),
        (REFERENCE, "all", 0),
        (SOLUTION, "all", 0),
        (PERHAPS, "all", 2),
        (UNKNOWN, "all", 2),
        (REFERENCE, "none", 2),
    ],
)
def test_copies_are_flagged_and_count_as_chosen(
    kin: str, counts: str, worth: float
) -> None:
    """What may be an accident is flagged, and no more."""
    step = outcome("02_echo", "p", likeness="it is another's", kin=kin)
    graded = grade(result(step), chosen(copied=counts))
    assert (graded.points, graded.steps[0].raw) == (worth, 2)
    assert graded.flags == ["02_echo: it is another's"]


def test_copy_that_was_accepted_counts() -> None:
    """Somebody has looked at it; there is nothing to look at any more."""
    step = outcome("02_echo", "p", likeness="it is another's", kin=REFERENCE)
    graded = grade(result(step), chosen(accepted=frozenset({"ann/02_echo"})))
    assert (graded.points, graded.flags) == (2, [])


def test_points_of_a_course_and_extra_credit() -> None:
    """Extra credit adds to the points, but not to what can be reached."""
    given = result(outcome("02_echo", "ppppp"), outcome("05_broadcast", "pffff"))
    own = {**CHOICES.points, "02_echo": 25, "05_broadcast": 3}
    extra = chosen(points=own, extra_credit=frozenset({"05_broadcast"}))
    graded = grade(given, extra)
    assert points(graded) == [25, 0.6]
    assert (graded.points, graded.of, graded.percent) == (25.6, 25, 102.4)


def test_nothing_to_reach_is_no_division_by_zero() -> None:
    """A course may give no points at all."""
    none = dict.fromkeys(CHOICES.points, 0)
    assert grade(result(outcome("02_echo", "p")), chosen(points=none)).percent == 0


@pytest.mark.parametrize(
    ("late", "days", "worth"),
    [
        (-1, 0, 10),
        (0, 0, 10),
        (1, 1, 9),
        (DAY, 1, 9),
        (DAY + 1, 2, 8),
        (99 * DAY, 99, 5),
    ],
)
def test_each_day_begun_costs_its_share(late: float, days: int, worth: float) -> None:
    """But never more than was chosen."""
    choices = chosen(deadlines={"02_echo": NOON}, late_per_day=0.1, late_most=0.5)
    given = result(outcome("02_echo", "ppppp"), submitted=NOON.timestamp() + late)
    (step,) = grade(given, choices).steps
    assert (step.late_days, step.points) == (days, worth)


def test_each_step_has_its_own_time() -> None:
    """Who works on at a later step is not late for an earlier one."""
    choices = chosen(deadlines={"02_echo": NOON}, late_per_day=1.0)
    early = outcome("02_echo", "p", submitted=NOON.timestamp() - HOUR)
    later = outcome("05_broadcast", "p", submitted=NOON.timestamp() + DAY)
    given = result(early, later, submitted=NOON.timestamp() + DAY)
    assert grade(given, choices).points == 4


def test_unknown_time_is_not_late() -> None:
    """Nor is what was not handed in."""
    choices = chosen(deadlines={"02_echo": NOON}, late_per_day=1.0)
    assert grade(result(outcome("02_echo", "p")), choices).points == 2
    missing = outcome("02_echo", "n", handed_in=False)
    (step,) = grade(result(missing, submitted=2e9), choices).steps
    assert step.late_days == 0
