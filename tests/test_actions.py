"""`python exercises actions`: the workflow, its steps run as GitHub runs them."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

import classes
import platforms
from course import actions, markdown, scoring
from course.results import Result, from_json

posix = pytest.mark.skipif(sys.platform == "win32", reason="steps for a POSIX shell")

COMMAND = re.compile(r"^::(error|notice)( [^:\r\n]*)?::[^\r\n]*$")
SPEAKS = """\
import sys

print("::error::I am a workflow")
print("::stop-commands::mine", file=sys.stderr)
print("::add-mask::0", flush=True)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder for a course of step 01."""
    out = tmp_path_factory.mktemp("actions") / "out"
    where = "networks/grader@0123456789abcdef0123456789abcdef01234567"
    platforms.command("actions", "--out", out, "--steps", "1", "--grader", where)
    return out


def steps_of(built: Path) -> dict[str, Any]:
    """Return the steps of the workflow by their names."""
    path = built / "student" / ".github" / "workflows" / "grade.yml"
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow[True]) == {"push", "workflow_dispatch"}  # YAML reads on as true
    (job,) = workflow["jobs"].values()
    assert job["timeout-minutes"] <= 60
    return {step["name"]: step for step in job["steps"]}


# ------------------------------------------------------------------- the workflow


def test_grader_comes_from_the_teacher(built: Path) -> None:
    """From a ref of another repository; no checkout leaves a token behind."""
    steps = steps_of(built)
    theirs, ours = steps["Get what was pushed"], steps["Get the grader"]
    assert theirs["with"] == {"path": "submission", "persist-credentials": False}
    assert ours["with"] == {
        "repository": "networks/grader",
        "ref": "0123456789abcdef0123456789abcdef01234567",
        "path": "grader",
        "persist-credentials": False,
    }
    assert steps["Keep the report"]["if"] == "always()"


def test_no_text_of_an_event_gets_into_a_shell(built: Path) -> None:
    """Names of branches and authors are for students to choose."""
    runs = [step["run"] for step in steps_of(built).values() if "run" in step]
    assert len(runs) == 2
    assert not any("${{" in run for run in runs)
    for run in runs:
        subprocess.run(["bash", "-n"], input=run, text=True, check=True)


def test_every_ref_but_the_graders_is_of_github(built: Path) -> None:
    """No actions of third parties, and each one with a version."""
    used = [step["uses"] for step in steps_of(built).values() if "uses" in step]
    assert len(used) == 4
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", it) for it in used)


def test_folders_have_no_answers(built: Path) -> None:
    """Students can read the repository of the grader."""
    files = [path for path in built.rglob("*") if path.is_file()]
    names = [path.relative_to(built).as_posix() for path in files]
    inside = [name.removeprefix("grader/") for name in names]
    platforms.no_answers(inside, [path.read_bytes() for path in files])
    assert not [name for name in names if name.endswith("02_echo/mchat.py")]


@pytest.mark.parametrize("where", ["", "grader", "a/b", "a/b@", "a/b@$(x)", "a b/c@d"])
def test_wrong_grader_is_wrong_usage(tmp_path: Path, where: str) -> None:
    """One line says what it must be."""
    why = platforms.refused("actions", "--out", tmp_path / "out", f"--grader={where}")
    assert why.startswith("--grader is OWNER/NAME@REF")


# -------------------------------------------------------------------------- a run


@pytest.fixture
def workspace(built: Path, tmp_path: Path) -> Path:
    """Give GITHUB_WORKSPACE after both checkouts."""
    folder = tmp_path / "workspace"
    shutil.copytree(built / "grader", folder / "grader")
    (folder / "submission" / "exercises").mkdir(parents=True)
    platforms.python(tmp_path / "bin" / "python", tmp_path / "log")
    return folder


def run(built: Path, workspace: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run a step of the workflow."""
    env = {
        "GITHUB_WORKSPACE": str(workspace),
        "GITHUB_STEP_SUMMARY": str(workspace.with_name("summary.md")),
        "GITHUB_REPOSITORY": "networks/alice",
    }
    script = workspace.with_name("step.sh")
    script.write_text(steps_of(built)[name]["run"], encoding="utf-8")
    command = ["bash", "-e", script]  # GitHub's, if a step names no shell
    return platforms.run(command, workspace, env, workspace.with_name("bin"))


def obeyed(output: str) -> Iterator[str]:
    """Yield the lines that GitHub takes for commands."""
    word = ""
    for line in output.splitlines():
        if word:
            word = "" if line.strip() == f"::{word}::" else word
        elif line.lstrip().startswith("::stop-commands::"):
            word = line.strip().removeprefix("::stop-commands::")
        elif line.lstrip().startswith("::"):
            yield line
    assert not word


@posix
def test_what_is_needed_is_installed(built: Path, workspace: Path) -> None:
    """The pinned packages, and bubblewrap where Ubuntu lets it work."""
    log = workspace.with_name("log")
    platforms.tools(workspace.with_name("bin"), log, "sudo")
    assert run(built, workspace, "Install what grading needs").returncode == 0
    said = log.read_text(encoding="utf-8")
    assert "bubblewrap" in said
    assert "apparmor_restrict_unprivileged_userns=0" in said
    assert "-r grader/requirements.txt" in said


@posix
def test_solution_is_graded(built: Path, workspace: Path) -> None:
    """All points: a summary, one notice, and a report to keep."""
    platforms.lone_solution("01_connect", workspace / "submission" / "01_connect")
    ran = run(built, workspace, "Grade")
    assert ran.returncode == 0
    assert list(obeyed(ran.stdout)) == ["::notice::10 of 10 points"]
    summary = workspace.with_name("summary.md").read_text(encoding="utf-8")
    assert summary.startswith("## 10 of 10 points")
    report = workspace / "report"
    text = (report / "result.json").read_text(encoding="utf-8")
    assert from_json(text).student == "networks/alice"
    cases = ElementTree.parse(report / "junit.xml").findall(".//testcase")
    assert len(cases) == 9
    assert "</html>" in (report / "student.html").read_text(encoding="utf-8")


@posix
def test_program_cannot_speak_to_github(built: Path, workspace: Path) -> None:
    """Whatever it prints; the one error is ours, and tells the file."""
    path = workspace / "submission" / "exercises" / "01_connect" / "chat.py"
    path.parent.mkdir()
    path.write_text(SPEAKS, encoding="utf-8")
    ran = run(built, workspace, "Grade")
    assert ran.returncode == 0
    notice, error = obeyed(ran.stdout + ran.stderr)
    assert re.fullmatch("::notice::[01] of 10 points", notice)
    assert error.startswith("::error file=exercises/01_connect/chat.py,title=01.01 ")
    summary = workspace.with_name("summary.md").read_text(encoding="utf-8")
    assert "::error::I am a workflow" in summary


@posix
def test_nothing_is_obeyed_while_grading(built: Path, workspace: Path) -> None:
    """Even if a student could print what the job prints; nobody knows the word."""
    program = workspace / "grader" / "kit" / "exercises" / "course" / "actions_run.py"
    program.write_text(SPEAKS, encoding="utf-8")
    words = set()
    for _ in range(2):
        ran = run(built, workspace, "Grade")
        assert list(obeyed(ran.stdout)) == []
        assert "::error::I am a workflow" in ran.stdout
        words.add(ran.stdout.splitlines()[0])
    assert len(words) == 2


@posix
def test_grader_that_fails_is_a_red_step(built: Path, workspace: Path) -> None:
    """And commands are obeyed again after it."""
    shutil.rmtree(workspace / "grader" / "kit" / "exercises" / "course")
    ran = run(built, workspace, "Grade")
    assert ran.returncode != 0
    assert list(obeyed(ran.stdout)) == []


# ------------------------------------------------------------ summary, annotations


@pytest.mark.parametrize("result", classes.mixed(), ids=range(len(classes.mixed())))
def test_every_result_can_be_annotated(result: Result, tmp_path: Path) -> None:
    """Each line is a command, and there are few enough of them."""
    grade = scoring.grade(result, classes.CHOICES)
    lines = actions.annotations(result, grade, tmp_path).splitlines()
    assert all(COMMAND.match(line) for line in lines)
    assert 1 <= len(lines) <= 11
    summary = actions.summary(result, grade, classes.CHOICES)
    assert summary.startswith("## ")


def test_what_would_end_a_command_is_escaped(tmp_path: Path) -> None:
    """As GitHub's own toolkit does it."""
    step = classes.failing(classes.step("05"), 9)
    odd = [
        replace(test, shows="a:b, 100%\nc", reason="x\r\n::error::y 5%")
        for test in step.tests
    ]
    result = classes.result("bob", replace(step, tests=tuple(odd)))
    grade = scoring.grade(result, classes.CHOICES)
    _, error = actions.annotations(result, grade, tmp_path).splitlines()
    assert "title=05.01 a%3Ab%2C 100%25::" in error
    assert error.endswith("%0A::error::y 5%25")
    assert "\r" not in error


def test_summary_fits_into_a_step() -> None:
    """Of the largest results GitHub still shows the points and the first failures."""
    long = [
        replace(
            step,
            tests=tuple(
                replace(t, story=t.story and replace(t.story, hint="é" * 30_000))
                for t in step.tests
            ),
        )
        for step in (classes.failing(step, 20) for step in classes.STEPS)
    ]
    result = classes.result("bob", *long)
    grade = scoring.grade(result, classes.CHOICES)
    summary = actions.summary(result, grade, classes.CHOICES)
    assert 500_000 < len(summary.encode()) < 1024 * 1024
    assert summary.startswith(f"## 0 of {classes.MOST} points")
    assert "There is more" in summary


@pytest.mark.parametrize("text", ["a", "```", "x\n````\ny", "``"])
def test_text_cannot_end_its_block(text: str) -> None:
    """The fence is longer than any in it."""
    first, *_, last = markdown.fenced(text).splitlines()
    assert first == f"{last}text"
    assert last not in text
