"""`python exercises gradescope`: the zip, run as Gradescope runs it."""

import json
import math
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import classes
import platforms
from course import gradescope, gradescope_run, results, scoring, settings, single
from course.results import Outcome, Result

COURSE = """\
extra_credit = ["02"]
[points]
01 = 5
02 = 7
[deadlines]
03 = 2026-01-01T00:00:00Z
[late]
per_day = 0.1
"""
METADATA = (
    '{"created_at": "2026-01-02T14:22:32.365935-07:00", "users": [{"email": "a@b"}]}'
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="Gradescope runs Linux")


def shown(result: Result, course: str = "", folder: Path = Path()) -> dict[str, Any]:
    """Return what Gradescope gets of a result, checked against the schema."""
    choices = classes.CHOICES
    if course:
        (folder / "course.toml").write_text(course, encoding="utf-8")
        choices = settings.load(folder / "course.toml", classes.STEPS)
    grade = scoring.grade(result, choices)
    said = json.loads(gradescope.results_json(result, grade, choices))
    platforms.check(said, "gradescope_results")
    total = sum(test["score"] for test in said["tests"])
    assert math.isclose(total, said["score"], abs_tol=0.02)
    assert isinstance(said, dict)
    return said


# -------------------------------------------------------------------- results.json


@pytest.mark.parametrize("result", classes.mixed(), ids=range(len(classes.mixed())))
def test_every_result_can_be_shown(result: Result) -> None:
    """It fits the schema, and the tests add up to the score."""
    said = shown(result)
    assert len(said["tests"]) >= 80
    text = said["output"] + "".join(test["output"] for test in said["tests"])
    assert all(line.isprintable() for line in text.split("\n"))


def test_tests_are_in_order() -> None:
    """Their numbers say so, also when they are sorted as text."""
    numbers = [test["number"] for test in shown(classes.mixed()[0])["tests"]]
    assert numbers[0] == "01.01"
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == len(numbers)


def test_failure_is_told_in_words() -> None:
    """The whole report of it, with the commands as a student types them."""
    said = shown(classes.result("bob", classes.failing(classes.step("05"))))
    failed = next(test for test in said["tests"] if "What happened" in test["output"])
    assert (failed["status"], failed["score"], failed["visibility"]) == (
        "failed",
        0,
        "visible",
    )
    assert "alice expected to hear it" in failed["output"]
    assert "submission-x" not in failed["output"]
    assert failed["name"][0].isupper()
    assert failed["tags"] == ["05_broadcast"]


def test_points_are_the_instructors(tmp_path: Path) -> None:
    """5 points of the TOML are shared out; extra credit adds to the score alone."""
    one, two = classes.outcome(classes.step("01")), classes.outcome(classes.step("02"))
    said = shown(classes.result("bob", one, two), COURSE, tmp_path)
    worth = {"01": 0.0, "02": 0.0, "03": 0.0}
    most = dict(worth)
    for test in said["tests"]:
        if test["number"][:2] in worth:
            worth[test["number"][:2]] += test["score"]
            most[test["number"][:2]] += test["max_score"]
    assert (round(worth["01"], 6), most["01"]) == (5, 5)
    assert (round(worth["02"], 6), most["02"]) == (7, 0)
    assert said["score"] == 12


def test_late_work_costs_what_the_course_says(tmp_path: Path) -> None:
    """Two days begun: a fifth of each test, and the student is told."""
    done = classes.outcome(classes.step("03"))
    created = gradescope_run._created(json.loads(METADATA))
    result = replace(classes.result("bob", done), submitted=created)
    said = shown(result, COURSE, tmp_path)
    assert said["score"] == 8
    assert "2 days late" in said["output"]


def test_flaky_test_is_told_as_such() -> None:
    """How often it passed, whether it counts, and a tag."""
    said = shown(classes.mixed()[4])
    flaky = next(test for test in said["tests"] if "flaky" in test.get("tags", []))
    assert "passed 3 of 5 times" in flaky["output"]
    assert "counts as passed" in " ".join(flaky["output"].split())
    assert (flaky["status"], flaky["score"] > 0) == ("passed", True)
    assert flaky["extra_data"]["passes"] == 3


def test_copy_earns_nothing_and_is_told_why() -> None:
    """Its tests count as failed, each with the reason."""
    said = shown(classes.mixed()[6])
    copied = [test for test in said["tests"] if test.get("tags") == ["05_broadcast"]]
    assert {(test["status"], test["score"]) for test in copied} == {("failed", 0)}
    assert all("reference server" in test["output"] for test in copied)
    (hidden,) = [test for test in said["tests"] if test["visibility"] == "hidden"]
    assert "reference server" in hidden["output"]


def test_missing_walls_are_told() -> None:
    """In what everybody sees, and to the instructor."""
    said = shown(classes.mixed()[9])
    assert "without walls" in said["output"]
    assert "without walls" in said["tests"][-1]["output"]


def test_many_remarks_are_cut_short() -> None:
    """An archive full of links does not fill the page."""
    links = tuple(f"left aside: {n} is a link" for n in range(5000))
    said = shown(replace(classes.result("bob"), remarks=links))
    assert "19 is a link\n- and 4980 more" in said["output"]


# ------------------------------------------------------------------------- the zip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a zip for step 01, with 5 points."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "mine.toml").write_text(COURSE, encoding="utf-8")
    out = folder / "autograder.zip"
    platforms.command(
        *("gradescope", "--out", out, "--course", folder / "mine.toml", "--steps", "1")
    )
    return out


def test_zip_holds_what_grading_needs_and_no_answers(built: Path) -> None:
    """Both scripts at its root, executable; pinned packages; of other steps nothing."""
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        data = [archive.read(name) for name in names]
        modes = {info.filename: info.external_attr >> 16 for info in archive.filelist}
        pinned = archive.read("requirements.txt").decode().splitlines()
    assert modes["setup.sh"] & modes["run_autograder"] & 0o111 == 0o111
    assert all("==" in line for line in pinned)
    assert len(pinned) >= 3
    platforms.no_answers(names, data)
    assert "kit/exercises/01_connect/test_01_connect.py" in names
    others = [n for n in names if "05_broadcast" in n]
    assert others == ["kit/exercises/05_broadcast/step.toml"]
    assert not [n for n in names if "__pycache__" in n or n.startswith("/")]


def test_same_kit_makes_same_zip(built: Path, tmp_path: Path) -> None:
    """Byte for byte, so that one can see whether anything has changed."""
    again = tmp_path / "again.zip"
    mine = built.with_name("mine.toml")
    platforms.command(*("gradescope", "--out", again, "--course", mine, "--steps", "1"))
    assert again.read_bytes() == built.read_bytes()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--steps", str(len(classes.STEPS) + 1)], "no step is called"),
        (["--course", "nowhere.toml"], "nowhere.toml"),
        (["--out", "."], "is a folder"),
    ],
)
def test_wrong_usage(tmp_path: Path, words: list[str], why: str) -> None:
    """One line says why; nothing is written."""
    out = tmp_path / "autograder.zip"
    assert why in platforms.refused("gradescope", "--out", out, *words)
    assert not out.exists()


# ------------------------------------------------------------------------- a run


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """Give /autograder as Gradescope makes it, before setup.sh."""
    root = tmp_path / "autograder"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(root / "source")
    for name in ("setup.sh", "run_autograder"):
        (root / "source" / name).chmod(0o755)
    shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
    (root / "submission").mkdir()
    (root / "submission_metadata.json").write_text(METADATA, encoding="utf-8")
    return root


def run(root: Path, program: str) -> str:
    """Run a script as Gradescope does; return what it printed."""
    env = {"AUTOGRADER_ROOT": str(root)}
    ran = platforms.run([root / program], root, env, root / "bin")
    return f"exit code {ran.returncode}\n{ran.stdout}{ran.stderr}"


def give_python(root: Path) -> None:
    """Put a Python into the environment that setup.sh would make."""
    platforms.python(root / "venv" / "bin" / "python", root / "log")


@posix
def test_setup_installs_what_is_needed(root: Path) -> None:
    """A Python, bubblewrap, and the pinned packages; nobody else may read the kit."""
    log = root / "log"
    platforms.tools(root / "bin", log, "apt-get")
    platforms.script(
        root / "bin" / "python3",
        f'mkdir -p "$3/bin"\nprintf \'#!/bin/sh\\necho "$@" >>"{log}"\\n\''
        ' >"$3/bin/python"\nchmod +x "$3/bin/python"',
    )
    assert run(root, "source/setup.sh").startswith("exit code 0")
    said = log.read_text(encoding="utf-8")
    assert "bubblewrap" in said
    assert f"-m pip install --requirement {root}/source/requirements.txt" in said
    assert (root / "source" / "kit").stat().st_mode & 0o077 == 0


@posix
def test_lone_file_is_graded(root: Path) -> None:
    """Its step is clear, as there is one only; all points, and the time it took."""
    give_python(root)
    platforms.lone_solution("01_connect", root / "submission")
    assert run(root, "run_autograder").startswith("exit code 0")
    said = platforms.loaded(root / "results" / "results.json")
    platforms.check(said, "gradescope_results")
    assert said["score"] == 5
    assert {test["status"] for test in said["tests"][:9]} == {"passed"}
    assert "taken for 01_connect" in said["output"]
    assert said["execution_time"] > 0
    (hidden,) = [test for test in said["tests"] if test["visibility"] == "hidden"]
    assert "word for word" in hidden["output"]  # told by its fingerprint


@posix
@pytest.mark.parametrize("what", ["nothing", "broken zip", "a zip with nothing in it"])
def test_nothing_to_grade_has_a_result(root: Path, what: str) -> None:
    """Zero points, and why."""
    give_python(root)
    if what == "broken zip":
        (root / "submission" / "mine.zip").write_bytes(b"PK\3\4 no zip")
    elif what != "nothing":
        zipfile.ZipFile(root / "submission" / "mine.zip", "w").close()
    assert run(root, "run_autograder").startswith("exit code 0")
    said = platforms.loaded(root / "results" / "results.json")
    platforms.check(said, "gradescope_results")
    assert said["score"] == 0
    assert len(said["tests"]) == 9
    why = "cannot be unpacked" if what == "broken zip" else "not handed in"
    assert why in said["output"]
    assert why in said["tests"][0]["output"]


@posix
def test_autograder_that_cannot_begin_has_a_result(root: Path) -> None:
    """A student reads what to do, whatever was wrong with setup.sh."""
    platforms.script(root / "venv" / "bin" / "python", "exit 1")
    run(root, "run_autograder")
    said = platforms.loaded(root / "results" / "results.json")
    platforms.check(said, "gradescope_results")
    assert "tell your instructor" in said["output"]


def test_partial_result_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the grader breaks down, what it has found until then counts."""
    monkeypatch.setenv("AUTOGRADER_ROOT", str(root))
    platforms.lone_solution("01_connect", root / "submission")
    passed = classes.outcome(classes.step("01"))

    def breaks_down(*_: object) -> Any:
        yield passed
        raise OSError("no space left")

    monkeypatch.setattr(single, "_outcomes", breaks_down)
    assert gradescope_run.main(["--steps", "1,2"]) == 1
    said = platforms.loaded(root / "results" / "results.json")
    platforms.check(said, "gradescope_results")
    assert said["score"] == 10
    assert "broke down" in said["output"]
    assert "grading ended before it" in said["tests"][-1]["output"]
    assert "no space left" in capsys.readouterr().err


def test_each_step_is_written_when_it_is_done(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a valid file from the first moment on, should we be killed."""
    seen: list[float] = []

    def look(*_: object) -> Any:
        for step in ("01", "02"):
            path = root / "results" / "results.json"
            platforms.check(platforms.loaded(path), "gradescope_results")
            seen.append(platforms.loaded(path)["score"])
            yield classes.outcome(classes.step(step))

    monkeypatch.setenv("AUTOGRADER_ROOT", str(root))
    monkeypatch.setattr(single, "_outcomes", look)
    assert gradescope_run.main(["--steps", "1,2"]) == 0
    assert seen == [0, 10]


def test_verdicts_of_a_step_not_run_are_no_pass() -> None:
    """A test that nobody has seen earns nothing."""
    unknown = Outcome("test_it", 10, results.NOT_RUN, reason="grading ended before it")
    step = replace(classes.outcome(classes.step("01")), tests=(unknown,))
    said = shown(Result("bob", "", (step,)))
    assert said["tests"][0]["status"] == "failed"
