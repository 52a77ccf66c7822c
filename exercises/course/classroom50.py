"""Classroom 50: its result.json, the body of its release, and the folder for a teacher.

The fields are those of "The result.json contract", classroom50/result/v1. Points are
whole numbers there, and a score is never more than what can be reached.
`classroom50_run` is what runs there.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from course import bundle, feedback, markdown
from course.feedback import apportioned
from course.results import Result, StepOutcome
from course.scoring import Grade, StepGrade
from course.settings import Settings
from grading.steps import POINTS, Step

TEMPLATES = bundle.TEMPLATES / "classroom50"
KIND = "autograder for Classroom 50"
SCHEMA = "classroom50/result/v1"
NEEDED = ("CLASSROOM", "ASSIGNMENT", "SUBMISSION_TAG", "COMMIT_URL", "RELEASE_URL")
BODY = 100_000  # characters; GitHub takes 125,000 in a release


def build(
    out: Path, steps: Sequence[Step], chosen: str | None, course: Path | None
) -> None:
    """Write the folder. `chosen` is what --steps said, `course` a checked file."""
    options = bundle.options(chosen, course)
    program = (TEMPLATES / "autograder.py").read_text(encoding="utf-8")
    empty = "OPTIONS: list[str] = []"
    assert empty in program
    files = {
        name: (TEMPLATES / name).read_bytes() for name in ("README.md", "runtime.json")
    }
    files["autograder.py"] = program.replace(
        empty, f"OPTIONS: list[str] = {json.dumps(options)}"
    ).encode()
    bundle.write_folder(out, files | bundle.grader(steps, course), KIND)


# --------------------------------------------------------------------- result.json


def result_json(result: Result, grade: Grade, env: Mapping[str, str]) -> dict[str, Any]:
    """Return what Classroom 50 reads. `env` says whose it is: NEEDED must be there."""
    tests = [
        test
        for step, earned in zip(result.steps, grade.steps, strict=True)
        for test in _tests(step, earned)
    ]
    score = sum(test["score"] for test in tests)
    return {
        "schema": SCHEMA,
        "classroom": env["CLASSROOM"],
        "assignment": env["ASSIGNMENT"],
        "assignment_type": env.get("ASSIGNMENT_TYPE") or "individual",
        "owner": owner(env),
        "submission": env["SUBMISSION_TAG"],
        "commit": env["COMMIT_URL"],
        "release": env["RELEASE_URL"],
        "review": env.get("REVIEW_URL") or env["COMMIT_URL"],
        "datetime": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": min(score, grade.of),
        "max-score": grade.of,
        "tests": tests,
    }


def owner(env: Mapping[str, str]) -> str:
    """Return whose repository it is."""
    return env.get("OWNER") or env.get("USERNAME") or "unknown"


def _tests(step: StepOutcome, earned: StepGrade) -> list[dict[str, Any]]:
    most = apportioned(earned.of, [test.points for test in step.tests])
    counts = [feedback.counts(earned, test) for test in step.tests]
    scores = [points * counted for points, counted in zip(most, counts, strict=True)]
    full = earned.raw * earned.of / POINTS
    if earned.points < full:  # late, or a copy
        scores = apportioned(int(sum(scores) * earned.points / full), scores)
    return [
        {
            "test-name": feedback.printable(feedback.title(step, test)),
            "passed": counted,
            "score": score,
            "max-score": points,
            "message": test.verdict,
            "output": feedback.on_test(step, earned, test),
        }
        for test, points, counted, score in zip(
            step.tests, most, counts, scores, strict=True
        )
    ]


# ------------------------------------------------------------------- what is shown


def summary(said: Mapping[str, Any]) -> tuple[str, str]:
    """Return the status, success or failure, and a line."""
    passed = sum(test["passed"] for test in said["tests"])
    count = len(said["tests"])
    status = "success" if passed == count else "failure"
    points = f"{said['score']} of {said['max-score']} points"
    return status, f"{points}, {passed} of {count} tests passed"


def body(
    result: Result, grade: Grade, settings: Settings, said: Mapping[str, Any]
) -> str:
    """Return the Markdown of the release: a table, and each failure in full."""
    rows = []
    failures = []
    for test in said["tests"]:
        points = f"{test['score']} of {test['max-score']}"
        rows.append((test["test-name"], _word(test["passed"]), points))
        if test["output"]:
            failures.append(
                f"### {test['test-name']}\n\n{markdown.fenced(test['output'])}"
            )
    parts = [
        f"## {summary(said)[1]}",
        markdown.fenced(feedback.on_whole(result, grade, settings)),
    ]
    return markdown.cut(
        [*parts, markdown.table(("test", "", "points"), rows), *failures], BODY
    )


def _word(passed: bool) -> str:
    return "passed" if passed else "**failed**"
