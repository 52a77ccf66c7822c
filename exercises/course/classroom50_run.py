"""What runs in Classroom 50: grades a checkout, writes result.json into it.

SUBMISSION is the folder of the checkout. A file of that name which lies there, or a
link, is replaced, not written to.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from course import choices, classroom50, results, single
from course.scoring import grade


def main(arguments: Sequence[str] | None = None) -> int:
    """Grade; return 0 if grading came to its end."""
    steps, settings = choices.parsed("autograder.py", arguments)
    if missing := [name for name in classroom50.NEEDED if not os.environ.get(name)]:
        print(f"Classroom 50 sets {', '.join(missing)}; here they are not set")
        return 2
    folder = Path(os.environ["SUBMISSION"])
    student = classroom50.owner(os.environ)
    when = _when(os.environ["SUBMISSION_TAG"])
    for graded in single.graded(student, folder, steps, settings.repeats):
        result = replace(graded, submitted=when)
        grades = grade(result, settings)
        said = classroom50.result_json(result, grades, os.environ)
        results.write(folder / "result.json", json.dumps(said, indent=1))
    body = classroom50.body(result, grades, settings, said)
    results.write(folder / "release-body.md", body)
    status, summary = classroom50.summary(said)
    if path := os.environ.get("GITHUB_OUTPUT"):
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"status={status}\nsummary={summary}\n")
    print(summary)
    return 0


def _when(tag: str) -> float | None:
    """Return when it was handed in, as submit/2026-06-01T14-32-05Z-a1b2c3d says."""
    found = re.fullmatch(r"submit/(\d+-\d+-\d+T\d+-\d+-\d+Z)-\w+", tag)
    if not found:
        return None
    when = datetime.strptime(found[1], "%Y-%m-%dT%H-%M-%SZ")
    return when.replace(tzinfo=timezone.utc).timestamp()


if __name__ == "__main__":
    sys.exit(main())
