"""The grader as pytest users see it: options, exit codes, -k, -x, -n, reports."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import proofs
from grading import progress
from grading.manifest import expected_tests
from grading.points import StepResult, TestResult, points_table, step_result

STEP = proofs.STEPS["05_broadcast"]
SECOND = "test_speaker_does_not_hear_itself"


def run(
    *words: object, cwd: Path = proofs.ROOT, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest on the exercises; all plugins are there, as for a student.

    `more` is added to the environment.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    env |= {"GRADING_PATIENCE": "0.3", "NO_COLOR": "1"} | more
    env.pop("CI", None)  # with it, pytest tells everything twice
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, words)],
        cwd=cwd,
        env=env,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def points(output: str) -> dict[str, str]:
    """Return the rows of the table of points."""
    table = output.partition(" points ==")[2]
    return dict(re.findall(r"^(\w+) +(\d+/\d+.*?)$", table, re.MULTILINE))


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """Give a submission of step 05 whose speakers hear themselves."""
    (broken,) = (
        b for b in proofs.broken_programs() if b.name == "heard_by_the_speaker"
    )
    broken.write(tmp_path)
    return tmp_path


def test_nothing_is_imported_that_a_step_does_not_use() -> None:
    """Students run a step again and again, and wait for the verdict."""
    words = ("exercises/03_lines", "--solutions", "-k", "pieces", "-q")
    ran = run(*words, PYTHONPROFILEIMPORTTIME="1")
    assert ran.returncode == 0
    imported = re.findall(r"\| +([\w.]+)$", ran.stderr, re.MULTILINE)
    assert "pytest" in imported
    assert not {"hypothesis", "anyio"} & set(imported)


def test_some_steps_handed_in(wrong: Path) -> None:
    """What is missing is named and gets nothing; the rest is graded all the same."""
    ran = run("exercises/04_threads", "exercises/05_broadcast", "-q", "-n2",
              f"--submission={wrong}")  # fmt: skip
    assert ran.returncode == 1
    rows = points(ran.stdout)
    assert re.fullmatch(r"0/10 +0/\d+ +mchat.py is missing", rows["04_threads"])
    assert not rows["05_broadcast"].startswith(("0/", "10/"))
    assert "04_threads/mchat.py is missing, so there is nothing to grade" in ran.stdout
    assert "total" in rows


def test_chosen_tests_and_the_first_failure(wrong: Path) -> None:
    """-k and -x do what they always do; what did not run earns nothing."""
    ran = run(STEP.folder, "-k", "speaker", f"--submission={wrong}")
    assert ran.returncode == 1
    count = len(expected_tests(STEP))
    assert points(ran.stdout)[STEP.name].split() == [
        "0/10", f"0/{count}", f"{count - 1}", "not", "run"
    ]  # fmt: skip
    ran = run(STEP.folder, "-x", f"--submission={wrong}")
    assert f"{count - 1} not run" in points(ran.stdout)[STEP.name]
    assert ran.stdout.count("What this test shows") == 1


def test_failure_is_told_without_pytest(wrong: Path) -> None:
    """No frame, no assert and no file of ours is in what a beginner reads."""
    ran = run(f"{STEP.grader}::{SECOND}", f"--submission={wrong}")
    report = ran.stdout.partition(f"{SECOND} ___")[2].partition("== points ==")[0]
    assert "alice expected to hear nothing before" in report
    for word in ("Traceback", "assert", "_pytest", "def test_", "grading/"):
        assert word not in report


def test_junit_has_points_and_reports(wrong: Path) -> None:
    """Also with xdist, whose workers are other processes."""
    results = wrong / "junit.xml"
    run(STEP.folder, "-n2", f"--submission={wrong}", f"--junitxml={results}")
    cases = {c.attrib["name"]: c for c in ElementTree.parse(results).iter("testcase")}
    assert sorted(cases) == sorted(t.test for t in expected_tests(STEP))
    failed = cases[SECOND]
    values = {p.attrib["name"]: p.attrib["value"] for p in failed.iter("property")}
    assert values["points"] == "0"
    assert int(values["max_points"]) > 0
    (failure,) = failed.iter("failure")
    assert "What happened" in (failure.text or "")


def test_page_and_pictures(wrong: Path) -> None:
    """--report writes a page with every failure, and a picture of each."""
    page = wrong / "out" / "index.html"
    ran = run(STEP.folder, "-n2", f"--submission={wrong}", "--report=out", cwd=wrong)
    assert f"The report is in {page}" in ran.stdout
    text = page.read_text(encoding="utf-8")
    assert "alice expected to hear nothing before" in text
    assert "<svg" in text
    assert (page.parent / f"{STEP.name}.{SECOND}.svg").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--submission=nowhere"], "there is no folder nowhere to grade"),
        (["--submission=.", "--solutions"], "exclude each other"),
    ],
)
def test_wrong_usage(words: list[str], why: str) -> None:
    """Is told in one line, with pytest's own exit code for it."""
    ran = run(STEP.folder, *words)
    assert ran.returncode == 4
    assert why in ran.stderr
    assert "Traceback" not in ran.stderr + ran.stdout


def test_nothing_of_the_submission_runs_in_the_grader(wrong: Path) -> None:
    """Neither its conftest.py nor its settings, nor modules with our names."""
    bad = "raise SystemExit('mine')\n"
    for name in ("conftest.py", "pytest.py", "sitecustomize.py", "grading.py"):
        (wrong / name).write_text(bad, encoding="utf-8")
        (wrong / STEP.name / name).write_text(bad, encoding="utf-8")
    for folder in (wrong, wrong / STEP.name):
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    ran = run(STEP.folder, "-q", f"--submission={wrong}")
    assert "mine" not in ran.stdout + ran.stderr
    assert not points(ran.stdout)[STEP.name].startswith("0/")


def test_progress_is_remembered_in_place_only(tmp_path: Path) -> None:
    """Grading the own folder leaves a memory; grading another one does not."""
    kit = tmp_path / "kit"
    shutil.copytree(
        proofs.ROOT / "exercises",
        kit / "exercises",
        ignore=shutil.ignore_patterns("__pycache__", ".progress*"),
    )
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(proofs.ROOT / name, kit / name)
    proofs.copy_solution(STEP.name, tmp_path / "mine")
    step = kit / "exercises" / STEP.name
    memory = kit / "exercises" / ".progress.json"
    run(step, f"--submission={tmp_path / 'mine'}", cwd=kit)
    assert not memory.exists()

    shutil.copy(proofs.SOLUTIONS / STEP.name / "mchat.py", step / "mchat.py")
    run(step, "-k", "speaker", cwd=kit)
    known = json.loads(memory.read_text(encoding="utf-8"))[STEP.name]
    assert known["earned"] == {SECOND: 1}
    run(step, cwd=kit)
    known = json.loads(memory.read_text(encoding="utf-8"))[STEP.name]
    assert sum(known["earned"].values()) == 10
    assert known["first_failure"] == ""


# ----------------------------------------------------------------- without processes


def result(
    test: str, *, passed: bool, ran: bool = True, missing: str = ""
) -> TestResult:
    """Return the result of a test that is worth 5 points and is about TODO 2."""
    return TestResult(STEP.name, test, 5, passed, ran, missing, todo=2)


def test_only_a_pass_earns_points() -> None:
    """Not running is no pass, and neither is a missing file."""
    assert step_result(STEP, [result("a", passed=True), result("b", passed=False)]) == (
        StepResult(STEP.name, STEP.title, 5, 10, 1, 2)
    )
    some = step_result(
        STEP, [result("a", passed=True), result("b", passed=False, ran=False)]
    )
    assert (some.points, some.note) == (5, "1 not run")
    none = step_result(STEP, [result("a", passed=False, missing="mchat.py")])
    assert (none.points, none.note) == (0, "mchat.py is missing")


def test_table_sums_up_steps() -> None:
    """One row a step, and a total if there are several."""
    row = StepResult(STEP.name, STEP.title, 5, 10, 1, 2)
    assert "total" not in points_table([row])
    assert points_table([row, row]).splitlines()[-1].split() == ["total", "10/20"]


def test_progress_counts_for_the_files_it_was_earned_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of the file makes old points invalid, a partial run does not."""
    memory = tmp_path / "memory.json"
    digest = "one"
    monkeypatch.setattr(progress, "digest", lambda _: digest)
    both = [result("a", passed=True), result("b", passed=False)]
    progress.update({STEP: both}, memory)
    record = progress.load(memory)[STEP.name]
    assert (record.points, record.first_failure, record.hint) == (5, "b", 2)
    assert record.hints_shown == {"2": 1}  # the report shows the first one
    later = [result("a", passed=False, ran=False), result("b", passed=True)]
    progress.update({STEP: later}, memory)
    assert progress.load(memory)[STEP.name].passed
    digest = "two"
    progress.update({STEP: later}, memory)
    assert progress.load(memory)[STEP.name].points == 5


def test_damaged_memory_is_forgotten(tmp_path: Path) -> None:
    """It is only a memory."""
    for text in ("", "{", "[]", '{"05_broadcast": {"unknown": 1}}'):
        (tmp_path / "memory.json").write_text(text, encoding="utf-8")
        assert progress.load(tmp_path / "memory.json") == {}
