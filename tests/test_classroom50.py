"""`python exercises classroom50`: the folder, run as Classroom 50 runs it."""

import re
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import classes
import platforms
from course import classroom50, feedback, scoring
from course.results import Result, StepOutcome
from course.settings import Settings
from grading.places import REQUIREMENTS
from grading.steps import Step

ENV = {
    "CLASSROOM": "networks",
    "ASSIGNMENT": "echo",
    "ASSIGNMENT_TYPE": "individual",
    "USERNAME": "alice",
    "OWNER": "alice",
    "SUBMISSION_TAG": "submit/2026-06-01T14-32-05Z-a1b2c3d",
    "COMMIT_URL": "https://example.org/commit",
    "RELEASE_URL": "https://example.org/release",
    "REVIEW_URL": "https://example.org/compare",
    "RUNNER_ENVIRONMENT": "self-hosted",
}


def said_of(result: Result, choices: Settings = classes.CHOICES) -> dict[str, Any]:
    """Return what Classroom 50 gets of a result, checked as it checks that."""
    grade = scoring.grade(result, choices)
    said = classroom50.result_json(result, grade, ENV)
    platforms.check(said, "classroom50_result_v1")
    assert said["score"] <= said["max-score"]
    assert all(test["score"] <= test["max-score"] for test in said["tests"])
    return said


# --------------------------------------------------------------------- result.json


@pytest.mark.parametrize("result", classes.mixed(), ids=range(len(classes.mixed())))
def test_every_result_fits_the_contract(result: Result) -> None:
    """And its points are the grade's, down to the last one."""
    said = said_of(result)
    grade = scoring.grade(result, classes.CHOICES)
    assert said["score"] == sum(test["score"] for test in said["tests"])
    assert abs(said["score"] - grade.points) < 1
    assert said["max-score"] == grade.of
    status, summary = classroom50.summary(said)
    assert status == ("success" if grade.points == grade.of else "failure")
    assert "\n" not in summary


def test_identity_is_what_the_environment_says() -> None:
    """Nothing of it comes from the submission; the review falls back to the commit."""
    said = said_of(classes.mixed()[0])
    assert (said["classroom"], said["owner"]) == ("networks", "alice")
    assert said["review"] == ENV["REVIEW_URL"]
    grade = scoring.grade(classes.mixed()[0], classes.CHOICES)
    without = ENV | {"REVIEW_URL": "", "ASSIGNMENT_TYPE": ""}
    said = classroom50.result_json(classes.mixed()[0], grade, without)
    assert said["review"] == ENV["COMMIT_URL"]
    platforms.check(said, "classroom50_result_v1")


def failing(step: Step, missed: int) -> StepOutcome:
    """Return a step in which so many tests have failed."""
    return classes.failing(step, missed) if missed else classes.outcome(step)


@pytest.mark.parametrize("points", [0, 1, 5, 7, 10, 13, 1000])
@pytest.mark.parametrize("missed", [0, 1, 5])
def test_points_are_whole_and_add_up(points: int, missed: int) -> None:
    """However they are shared out: all tests together are worth what the step is."""
    step = classes.step("05")
    choices = replace(
        classes.CHOICES, points=dict(classes.CHOICES.points) | {step.name: points}
    )
    said = said_of(classes.result("bob", failing(step, missed)), choices)
    of_step = [test for test in said["tests"] if test["test-name"].startswith("05")]
    assert sum(test["max-score"] for test in of_step) == points
    if not missed:
        assert said["score"] == points


@pytest.mark.parametrize("late", [0.25, 0.5, 1.0])
def test_late_work_costs_points_of_its_tests(late: float) -> None:
    """Rounded down, never below zero; without any points nothing counts as passed."""
    step = classes.step("05")
    done = classes.result("bob", classes.outcome(step))
    choices = replace(
        classes.CHOICES,
        deadlines={step.name: datetime.fromtimestamp(1.8e9 - 1, timezone.utc)},
        late_per_day=late,
    )
    said = said_of(done, choices)
    assert said["score"] == int(10 * (1 - late))
    assert any(test["passed"] for test in said["tests"]) == (late < 1)


def test_extra_credit_never_leads_past_the_most() -> None:
    """The contract knows no more than all."""
    extra = frozenset({classes.step("10").name})
    all_of_it = classes.mixed()[0]
    said = said_of(all_of_it, replace(classes.CHOICES, extra_credit=extra))
    assert said["score"] == said["max-score"] == classes.MOST - 10


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1, 1, 2], [3, 2, 5]),
        (7, [1, 2, 3, 4], [1, 1, 2, 3]),
        (0, [1, 2], [0, 0]),
        (5, [], []),
        (5, [0, 0], [0, 0]),
    ],
)
def test_shares(total: int, weights: list[int], parts: list[int]) -> None:
    """Whole numbers in proportion; what is left goes to the largest rests."""
    assert feedback.apportioned(total, weights) == parts


# ------------------------------------------------------------------ the release body


def body_of(result: Result) -> str:
    """Return the Markdown of a result."""
    grade = scoring.grade(result, classes.CHOICES)
    said = classroom50.result_json(result, grade, ENV)
    return classroom50.body(result, grade, classes.CHOICES, said)


def test_body_has_points_and_failures() -> None:
    """A heading, a row for each test, and what happened."""
    body = body_of(classes.result("bob", classes.failing(classes.step("05"))))
    assert body.startswith(f"## 8 of {classes.MOST} points")
    assert "| 05.01 " in body
    assert "What happened" in body


@pytest.mark.parametrize("result", classes.mixed(), ids=range(len(classes.mixed())))
def test_nothing_of_a_student_is_markdown(result: Result) -> None:
    """What programs print stands in blocks of code, which it cannot end."""
    body = body_of(result)
    outside = re.sub(r"^(```+)text\n.*?^\1$", "", body, flags=re.DOTALL | re.MULTILINE)
    assert "<b>" not in outside
    assert "```" not in outside


def test_body_fits_into_a_release() -> None:
    """It is cut between failures, and says so."""
    everything = [classes.failing(step, 20) for step in classes.STEPS]
    long = [
        replace(
            step,
            tests=tuple(
                replace(t, story=t.story and replace(t.story, hint="long " * 1000))
                for t in step.tests
            ),
        )
        for step in everything
    ]
    body = body_of(classes.result("bob", *long))
    assert 90_000 < len(body.encode()) < 125_000
    assert "There is more" in body
    assert body.count("```") % 2 == 0


# -------------------------------------------------------------------------- a run


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder for an assignment of step 01."""
    out = tmp_path_factory.mktemp("classroom50") / "out"
    platforms.command("classroom50", "--out", out, "--steps", "1")
    return out


def test_folder_has_no_answers(built: Path) -> None:
    """It is published; of other steps there is not even a starter."""
    files = [path for path in built.rglob("*") if path.is_file()]
    names = [path.relative_to(built).as_posix() for path in files]
    platforms.no_answers(names, [path.read_bytes() for path in files])
    assert [name for name in names if "02_echo" in name] == [
        "kit/exercises/02_echo/step.toml"
    ]
    pinned = (built / "requirements.txt").read_text(encoding="utf-8").splitlines()
    known = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    assert set(pinned) <= set(known)
    assert sum(path.stat().st_size for path in files) < 1_000_000  # it takes 10 MB


def test_folder_can_be_written_again(built: Path, tmp_path: Path) -> None:
    """Over itself, but over nothing else."""
    platforms.command("classroom50", "--out", built, "--steps", "1")
    (tmp_path / "mine.txt").touch()
    assert "not empty" in platforms.refused("classroom50", "--out", tmp_path)
    assert "not empty" in platforms.refused("handout", "--out", built)


def test_names_of_students_are_not_published(tmp_path: Path) -> None:
    """The folder is for all to read, so a course that names somebody is refused."""
    course = tmp_path / "course.toml"
    course.write_text('[copied]\naccepted = ["alice/05_broadcast"]', encoding="utf-8")
    for name in ("classroom50", "actions"):
        why = platforms.refused(name, "--out", tmp_path / name, "--course", course)
        assert "names students" in why
        assert not (tmp_path / name).exists()
    platforms.command("gradescope", "--out", tmp_path / "a.zip", "--course", course)


def grade(built: Path, checkout: Path, **env: str) -> tuple[int, str, str]:
    """Run the autograder in a checkout; return code, prints, and its outputs."""
    output = checkout.with_name("output")
    ran = platforms.run(
        [sys.executable, built / "autograder.py"],
        checkout,
        ENV | {"GITHUB_OUTPUT": str(output)} | env,
        checkout.with_name("bin"),
    )
    told = output.read_text(encoding="utf-8") if output.exists() else ""
    return ran.returncode, ran.stdout + ran.stderr, told


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give an empty checkout of a student's."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    return folder


def test_run_writes_all_there_is_to_write(built: Path, checkout: Path) -> None:
    """A result, a body, and what the workflow asks for; a planted link is replaced."""
    platforms.lone_solution("01_connect", checkout / "01_connect")
    elsewhere = checkout.with_name("elsewhere")
    elsewhere.write_text("untouched", encoding="utf-8")
    (checkout / "result.json").symlink_to(elsewhere)
    (checkout / "course").mkdir()  # no module of theirs is taken for one of ours
    for name in ("course/__init__.py", "pytest.py", "psutil.py", "sitecustomize.py"):
        (checkout / name).write_text("raise SystemExit(7)", encoding="utf-8")
    code, _, told = grade(built, checkout)
    assert code == 0
    said = platforms.loaded(checkout / "result.json")
    platforms.check(said, "classroom50_result_v1")
    assert (said["score"], said["max-score"]) == (10, 10)
    assert elsewhere.read_text(encoding="utf-8") == "untouched"
    assert told == "status=success\nsummary=10 of 10 points, 9 of 9 tests passed\n"
    body = (checkout / "release-body.md").read_text(encoding="utf-8")
    assert body.startswith("## 10 of 10 points")


def test_failing_tests_are_no_error(built: Path, checkout: Path) -> None:
    """The exit code is 0, the status is failure."""
    code, _, told = grade(built, checkout)
    assert code == 0
    assert told.startswith("status=failure\nsummary=0 of 10 points")


def test_elsewhere_it_says_what_is_missing(built: Path, checkout: Path) -> None:
    """In a line, with a code that is not 0."""
    code, said, _ = grade(built, checkout, CLASSROOM="")
    assert code == 2
    assert "Classroom 50 sets CLASSROOM" in said
    assert not (checkout / "result.json").exists()
