"""What runs in Classroom 50: grades a checkout, writes result.json into it.

SUBMISSION is the folder of the checkout. A file of that name which lies there, or a
link, is replaced, not written to.
"""

import json
import os
import sys
from collections.abc import Sequence
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
    for result in single.graded(student, folder, steps, settings.repeats):
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


if __name__ == "__main__":
    sys.exit(main())
