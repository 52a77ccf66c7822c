"""The graders are graded: starters get nothing, correct programs everything.

And each wrong program is caught, by the test that is meant for its mistake, with the
words that name it.
"""

from pathlib import Path

import pytest

import proofs
from proofs import Broken, Verdict

pytestmark = pytest.mark.proof

HURRIED = 0.2  # for programs that do nothing of what they should
IMPATIENT = 0.4  # for programs that are to fail: what never comes need not be awaited
SLOW = {"03_lines": 1.0}  # there some wrong programs are slow, and to be seen so


@pytest.mark.parametrize("step", proofs.STEPS)
def test_solution_gets_full_marks(tmp_path: Path, step: str) -> None:
    """The kit's own solution of a step passes all of its tests."""
    proofs.copy_solution(step, tmp_path)
    verdicts = proofs.grade(step, tmp_path)
    assert [verdict.report for verdict in verdicts.values() if verdict.report] == []
    assert sum(verdict.points for verdict in verdicts.values()) == 10


@pytest.mark.parametrize("step", proofs.STEPS)
def test_starter_gets_nothing_and_a_way_on(tmp_path: Path, step: str) -> None:
    """What a student begins with fails every test; the first tells what to do."""
    proofs.write_starter(step, tmp_path)
    verdicts = proofs.grade(step, tmp_path, patience=HURRIED)
    assert sum(verdict.points for verdict in verdicts.values()) == 0
    assert list(verdicts) == [test.test for test in proofs.expected(step)]
    first = verdicts[proofs.expected(step)[0].test].report
    assert "Hint (TODO 1)" in first
    assert "grading/" not in first  # no frame of ours


@pytest.mark.parametrize(
    ("step", "program"),
    proofs.correct_programs(),
    ids=[
        f"{step}-{program.stem if program else 'reference'}"
        for step, program in proofs.correct_programs()
    ],
)
def test_correct_program_is_accepted(
    tmp_path: Path, step: str, program: Path | None
) -> None:
    """However it is built, a program that does what the README says has full marks."""
    proofs.write_correct(step, program, tmp_path)
    verdicts = proofs.grade(step, tmp_path)
    assert [verdict.report for verdict in verdicts.values() if verdict.report] == []


@pytest.mark.parametrize(
    "broken",
    proofs.broken_programs(),
    ids=[f"{broken.step}-{broken.name}" for broken in proofs.broken_programs()],
)
def test_wrong_program_is_caught(tmp_path: Path, broken: Broken) -> None:
    """By the test that is meant for its mistake, in words that name it.

    Some mistakes are about who comes first, and a machine full of other tests may
    decide that for once: so there is a second try.
    """
    broken.write(tmp_path)
    if not is_caught(broken, tmp_path):
        verdict = graded(broken, tmp_path)
        assert verdict.points == 0
        assert " ".join(broken.says.split()) in verdict.normalised


def is_caught(broken: Broken, submission: Path) -> bool:
    """Grade a wrong program; tell whether it gets nothing, in the right words."""
    verdict = graded(broken, submission)
    said = " ".join(broken.says.split())
    return verdict.points == 0 and said in verdict.normalised


def graded(broken: Broken, submission: Path) -> Verdict:
    """Return what the test that is meant for a wrong program says of it."""
    patience = SLOW.get(broken.step, IMPATIENT)
    (verdict,) = proofs.grade(
        broken.step, submission, tests=[broken.test], patience=patience
    ).values()
    return verdict


@pytest.mark.parametrize("step", proofs.STEPS)
def test_every_test_catches_something(step: str) -> None:
    """A test that no wrong program needs would be a test too many."""
    needed = {broken.test for broken in proofs.broken_programs() if broken.step == step}
    assert needed == {test.test for test in proofs.expected(step)}
