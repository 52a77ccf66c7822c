"""What runs on Gradescope: grades /autograder/submission, writes results.json.

AUTOGRADER_ROOT names another folder than /autograder, to try it out.
"""

import datetime
import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from course import choices, gradescope, results, single
from course.results import Result
from course.scoring import grade


def main(arguments: Sequence[str] | None = None) -> int:
    """Grade; return 0 if what is written is all of it."""
    root = Path(os.environ.get("AUTOGRADER_ROOT", "/autograder"))
    try:
        _grade(root, arguments)
    except Exception:  # whatever it is: what has been written until now stays
        traceback.print_exc()
        _confess(root / "results" / "results.json")
        return 1
    return 0


def _grade(root: Path, arguments: Sequence[str] | None) -> None:
    steps, settings = choices.parsed("run_autograder", arguments)
    about = _metadata(root / "submission_metadata.json")
    student, created = _student(about), _created(about)
    source = root / "submission"
    for result in single.graded(student, source, steps, settings.repeats):
        dated: Result = replace(result, submitted=created)
        text = gradescope.results_json(dated, grade(dated, settings), settings)
        results.write(root / "results" / "results.json", text)
    print(f"graded {student or 'a submission'}: {grade(dated, settings).points} points")


def _confess(path: Path) -> None:
    """Say in what is written already that there is more to come."""
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    why = "The autograder broke down before the end. Please tell your instructor."
    said["output"] = f"{why}\n\n{said['output']}" if said.get("tests") else why
    results.write(path, json.dumps(said, indent=1))


def _metadata(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _student(about: dict[str, Any]) -> str:
    """Return who it is as [copied] accepted has it: the e-mail address."""
    try:
        return str(about["users"][0]["email"])
    except (KeyError, IndexError, TypeError):
        return ""


def _created(about: dict[str, Any]) -> float | None:
    """Return when it was handed in; without that, nothing is late."""
    try:
        created = datetime.datetime.fromisoformat(
            about["created_at"].replace("Z", "+00:00")  # which 3.10 does not know
        )
    except (KeyError, AttributeError, TypeError, ValueError):
        return None
    return created.timestamp()


if __name__ == "__main__":
    sys.exit(main())
