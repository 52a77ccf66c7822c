"""Programs that cheat, and accidents: nothing earned, a reason, and nobody harmed."""

import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

import proofs
from cheating import Cheat, cheats
from course import results, running
from course.batch import Batch
from course.results import Result, StepOutcome
from course.running import Place, Run
from course.scoring import grade
from course.settings import default
from grading.deadlines import EXIT, Deadline
from grading.manifest import expected_tests
from grading.report import story_text
from grading.steps import Step
from grading.walls import has_walls

CHEATS = cheats()
THEMES = sorted({cheat.name.partition("/")[0] for cheat in CHEATS})
HONEST = "honest"
FEW = 3  # tests of a step that a cheat is run through

pytestmark = pytest.mark.skipif(os.name != "posix", reason="they use POSIX calls")
needs_walls = pytest.mark.skipif(not has_walls(), reason="needs Linux and bubblewrap")


def test_corpus_is_large_enough() -> None:
    """And each of it is named once."""
    assert len({cheat.name for cheat in CHEATS}) == len(CHEATS) >= 40


@needs_walls
def test_some_cheats_earn_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few of them, quickly: the others take longer."""
    names = ("endings/os_exit", "pytest/conftest", "processes/lies_about_its_end")
    chosen = [cheat for cheat in CHEATS if cheat.name in names]
    expect_nothing_earned(chosen, graded_class(chosen, tmp_path, monkeypatch))


@pytest.mark.slow
@needs_walls
@pytest.mark.parametrize("theme", THEMES)
def test_cheats_earn_nothing(
    theme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with a reason; an honest program beside them is graded as ever."""
    chosen = [cheat for cheat in CHEATS if cheat.name.startswith(f"{theme}/")]
    expect_nothing_earned(chosen, graded_class(chosen, tmp_path, monkeypatch))


def expect_nothing_earned(chosen: list[Cheat], graded: dict[str, Result]) -> None:
    """Look at all of them before failing, and at the honest program."""
    wrong = [line for cheat in chosen for line in complaints(cheat, graded)]
    assert not wrong, "\n\n".join(wrong)
    assert points(graded[HONEST], "02_echo") == 10


def graded_class(
    chosen: list[Cheat], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Result]:
    """Grade them in one batch with an honest program; expect that nothing is left."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(running, "run", run_a_few)
    monkeypatch.setenv("GRADING_PATIENCE", "0.5")
    mark = f"mark-{tmp_path.name}"
    stranger = socket.create_server(("127.0.0.1", 0))  # whoever listens here
    port = stranger.getsockname()[1]
    for cheat in chosen:
        cheat.write(tmp_path / "class" / cheat.name.replace("/", "."), mark, port)
    proofs.copy_solution("02_echo", tmp_path / "class" / HONEST)
    submissions = [(it.name, it) for it in sorted((tmp_path / "class").iterdir())]
    steps = {cheat.step for cheat in chosen} | {"02_echo"}
    batch = Batch(
        submissions=submissions,
        steps=[step for name, step in proofs.STEPS.items() if name in steps],
        kept=tmp_path / "kept",
        repeats=0,
        jobs=8,
    )
    with stranger:
        found = batch.grade(lambda result: None)
    assert list(temporary.iterdir()) == []
    assert left_over(mark, temporary) == []
    return {result.student: result for result in found}


real_run = running.run


def run_a_few(step: Step, place: Place, tests: Sequence[str], number: int) -> Run:
    """Run all tests of the honest program, and of the cheats a few: they take long."""
    name = step.files[0]
    source = (place.submission / step.name / name).read_bytes()
    if source != (proofs.SOLUTIONS / step.name / name).read_bytes():
        few = [test for cheat in CHEATS for test in cheat.zero]
        few += [it.test for it in expected_tests(step)][:FEW]
        tests = [test for test in tests if test in few]
    return real_run(step, place, tests, number) if tests else Run({})


def left_over(mark: str, folder: Path) -> list[str]:
    """Return the processes that still come from a program of this test, in the end."""
    deadline = Deadline(EXIT)
    while found := [str(it) for it in psutil.process_iter() if is_of(it, mark, folder)]:
        if not deadline.left():
            return found
    return []


def is_of(process: psutil.Process, mark: str, folder: Path) -> bool:
    """Tell whether a process is a student's, or runs in a folder of ours."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return mark in process.cmdline() or str(folder) in process.cwd()
    except psutil.Error:
        return False


def complaints(cheat: Cheat, graded: dict[str, Result]) -> list[str]:
    """Return what is wrong with the result of a cheat, in lines."""
    result = graded[cheat.name.replace("/", ".")]
    (step,) = (it for it in result.steps if it.step == cheat.step)
    passed = {test.test for test in step.tests if test.verdict == results.PASSED}
    unknown = {test.test for test in step.tests if test.verdict == results.ERROR}
    told = told_of(result, step)
    found = [] if any(it.runs for it in step.tests) else ["it was never run"]
    if cheat.harmless:
        wanted = {test.test for test in step.tests if test.runs} - {*cheat.zero}
        if passed != wanted:
            found.append(f"it earns {sorted(passed)}, not {sorted(wanted)}")
    elif earned := passed & {*(cheat.zero or passed)}:
        found.append(f"it earns {sorted(earned)}")
    if unknown:
        found.append(f"the grader could not tell: {sorted(unknown)}")
    if not re.search(cheat.says, told):
        found.append(f"nobody is told {cheat.says!r}, but {told[:3000]}")
    if cheat.never and re.search(cheat.never, told):
        found.append(f"told: {cheat.never}")
    return [f"{cheat.name}: {what}" for what in found]


def told_of(result: Result, step: StepOutcome) -> str:
    """Return all that a person can read of it."""
    parts = [result.refused, *result.remarks, step.note, step.likeness]
    for test in step.tests:
        parts += [test.reason, story_text(test.story) if test.story else ""]
    return "\n".join(parts)


def points(result: Result, step: str) -> float:
    """Return what a step brings, of 10."""
    earned = grade(result, default(list(proofs.STEPS.values())).only([step]))
    return next(it.points for it in earned.steps if it.step == step)
