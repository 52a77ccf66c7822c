"""What runs in GitHub Actions: grades a checkout, writes a folder with the report."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from course import actions, choices, results, single
from course.cli import add_choices
from course.junit import junit
from course.scoring import grade
from course.settings import Wrong
from course.student_page import student_page


def main(arguments: Sequence[str] | None = None) -> int:
    """Grade; return 0 if grading came to its end, whatever the points are."""
    parser = argparse.ArgumentParser(prog="actions_run")
    add_choices(parser)
    parser.add_argument("submission", type=Path)
    parser.add_argument("report", type=Path)
    options = parser.parse_args(arguments)
    try:
        steps, settings = choices.made(options)
    except Wrong as wrong:
        parser.error(str(wrong))
    student = os.environ.get("GITHUB_REPOSITORY", "") or options.submission.name
    out = options.report
    source = options.submission
    for graded in single.graded(student, source, steps, settings.repeats):
        result = replace(graded, submitted=None)  # of a checkout, files are all new
        grades = grade(result, settings)
        results.write(out / "result.json", results.to_json(result))
        results.write(out / "summary.md", actions.summary(result, grades, settings))
    marks = actions.annotations(result, grades, options.submission)
    results.write(out / "annotations.txt", marks)
    results.write(out / "junit.xml", junit([(result, grades)]))
    results.write(out / "student.html", student_page(result, grades, settings))
    print(f"{grades.points} of {grades.of} points")
    return 0


if __name__ == "__main__":
    sys.exit(main())
