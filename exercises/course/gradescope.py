"""Gradescope: what it shows a student, and the zip that it builds an autograder from.

The fields of results.json are those of its "Autograder Specifications". A test's points
are those it has in the course's TOML, and they add up to the score. `gradescope_run` is
what runs there.
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from course import bundle, feedback, results
from course.results import Outcome, Result, StepOutcome
from course.scoring import Grade, StepGrade
from course.settings import Settings
from grading.report import wrapped
from grading.steps import POINTS, Step

TEMPLATES = bundle.TEMPLATES / "gradescope"


def build(
    out: Path, steps: Sequence[Step], chosen: str | None, course: Path | None
) -> None:
    """Write the zip. `chosen` is what --steps said, `course` a file that is checked."""
    options = bundle.options(chosen, course)
    run = (TEMPLATES / "run_autograder").read_text(encoding="utf-8")
    files = {
        "setup.sh": (TEMPLATES / "setup.sh").read_bytes(),
        "run_autograder": run.replace("OPTIONS", shlex.join(options)).encode(),
    }
    bundle.write_zip(out, files | bundle.grader(steps, course))


# -------------------------------------------------------------------- results.json


def results_json(result: Result, grade: Grade, settings: Settings) -> str:
    """Return what Gradescope reads."""
    steps = list(zip(result.steps, grade.steps, strict=True))
    tests = [
        _test(step, earned, test, settings)
        for step, earned in steps
        for test in step.tests
    ]
    whole = {
        "score": grade.points,
        "execution_time": result.seconds,
        "output": feedback.on_whole(result, grade, settings),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "stdout_visibility": "hidden",
        "tests": [*tests, *_for_instructors(result, grade)],
        "extra_data": {
            "percent": round(grade.percent, 2),
            "isolation": list(result.isolation),
            "flags": grade.flags,
            "steps": {earned.step: earned.points for _, earned in steps},
        },
    }
    return json.dumps(whole, indent=1)


def _test(
    step: StepOutcome, earned: StepGrade, test: Outcome, settings: Settings
) -> dict[str, Any]:
    counts = feedback.counts(earned, test)
    worth = test.points * earned.of / POINTS
    # What a deadline or a copy costs is taken from each test, so that the sum is right.
    share = earned.points / (earned.raw * earned.of / POINTS) if earned.points else 0.0
    extra = earned.step in settings.extra_credit
    return {
        "number": feedback.number_of(step, test),
        "name": test.title or test.test,
        "score": round(worth * share, 4) if counts else 0.0,
        "max_score": 0.0 if extra else round(worth, 4),
        "status": "passed" if counts else "failed",
        "output": feedback.on_test(step, earned, test) or wrapped(test.shows),
        "output_format": "text",
        "visibility": "visible",
        "tags": [step.step, *_tags(test, extra=extra)],
        "extra_data": {
            "test": test.test,
            "verdict": test.verdict,
            "passes": test.passes,
            "runs": test.runs,
        },
    }


def _tags(test: Outcome, *, extra: bool) -> Iterator[str]:
    if extra:
        yield "extra credit"
    if test.verdict in (results.FLAKY, results.NOT_RUN):
        yield test.verdict


def _for_instructors(result: Result, grade: Grade) -> Iterator[dict[str, Any]]:
    """Yield what somebody should look at; students never see a hidden test."""
    lines = [*grade.flags, *result.isolation]
    if lines:
        yield {
            "number": "99",
            "name": "For the instructor",
            "score": 0.0,
            "max_score": 0.0,
            "output": "\n".join(map(feedback.printable, lines)),
            "output_format": "text",
            "visibility": "hidden",
        }
