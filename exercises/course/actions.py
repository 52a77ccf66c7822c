"""GitHub Actions: a plain workflow, the summary of a step, and annotations.

A job of Actions obeys lines that begin with two colons, whoever printed them. What we
print ourselves is escaped as its toolkit does. `actions_run` is what runs there.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from course import bundle, feedback, markdown, results
from course.results import Result, StepOutcome
from course.scoring import Grade, StepGrade
from course.settings import Settings
from course.telling import number
from grading.steps import Step

TEMPLATES = bundle.TEMPLATES / "actions"
KIND = "grader for GitHub Actions"
GRADER = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<ref>[\w./-]+)")
SUMMARY = 900_000  # bytes; GitHub takes 1 MiB of a step, and drops what is larger
ANNOTATIONS = 10  # of a kind, of a step; GitHub drops the others
LINE = 200  # characters of an annotation


def build(
    out: Path,
    steps: Sequence[Step],
    chosen: str | None,
    course: Path | None,
    grader: str,
) -> None:
    """Write both folders. `grader` is a repository and ref of it, OWNER/NAME@REF."""
    options = bundle.options(chosen, course)
    named = GRADER.fullmatch(grader)
    assert named
    workflow = (TEMPLATES / "grade.yml").read_text(encoding="utf-8")
    for old, new in (
        ("repository: GRADER", f"repository: {named['name']}"),
        ("ref: GRADER_REF", f'ref: "{named["ref"]}"'),
        ("actions_run OPTIONS", " ".join(["actions_run", shlex.join(options)]).strip()),
    ):
        workflow = workflow.replace(old, new)
    files = {
        "README.md": (TEMPLATES / "README.md").read_bytes(),
        "student/.github/workflows/grade.yml": workflow.encode(),
    }
    for name, data in bundle.grader(steps, course).items():
        files[f"grader/{name}"] = data
    bundle.write_folder(out, files, KIND)


# ------------------------------------------------------------------------ summary


def summary(result: Result, grade: Grade, settings: Settings) -> str:
    """Return the Markdown of a step summary; it always fits in."""
    points = f"{number(grade.points)} of {number(grade.of)} points"
    steps = list(zip(result.steps, grade.steps, strict=True))
    parts = [
        f"## {points}",
        markdown.fenced(feedback.on_whole(result, grade, settings)),
        markdown.table(("step", "", "tests passed", "points"), map(_row, steps)),
    ]
    for step, earned in steps:
        parts += _failures(step, earned)
    return markdown.cut(parts, SUMMARY)


def _row(both: tuple[StepOutcome, StepGrade]) -> Sequence[str]:
    step, earned = both
    tests = f"{len(earned.counted)} of {len(step.tests)}"
    points = f"{number(earned.points)} of {number(earned.of)}"
    return step.step, step.title, tests, points


def _failures(step: StepOutcome, earned: StepGrade) -> Iterator[str]:
    for test in step.tests:
        text = feedback.on_test(step, earned, test)
        if text and test.verdict != results.NOT_RUN:
            yield f"### {feedback.title(step, test)}\n\n{markdown.fenced(text)}"


# -------------------------------------------------------------------- annotations


def annotations(result: Result, grade: Grade, submission: Path) -> str:
    """Return commands that show the points, and each step's first failure."""
    lines = [_command("notice", {}, f"{number(grade.points)} of {grade.of} points")]
    errors = [
        _first_failure(step, earned, submission)
        for step, earned in zip(result.steps, grade.steps, strict=True)
        if step.handed_in and len(earned.counted) < len(step.tests)
    ]
    lines += errors[:ANNOTATIONS]
    return "".join(f"{line}\n" for line in lines)


def _first_failure(step: StepOutcome, earned: StepGrade, submission: Path) -> str:
    test = next(test for test in step.tests if test.test not in earned.counted)
    said = feedback.printable(test.reason or test.verdict)[:LINE]
    properties = {"title": feedback.title(step, test)}
    if path := _where(step, submission):
        properties = {"file": path} | properties
    return _command("error", properties, said)


def _where(step: StepOutcome, submission: Path) -> str:
    """Return the path of a file of the step's in the repository, if it is clear."""
    for folder in (f"exercises/{step.step}", step.step):
        for path in sorted((submission / folder).glob("*.py")):
            if not path.name.startswith("test_") and path.name != "protocol.py":
                return f"{folder}/{path.name}"
    return ""


def _command(name: str, properties: dict[str, str], message: str) -> str:
    shown = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name}{' ' if shown else ''}{shown}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
