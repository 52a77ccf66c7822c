"""The instructor's commands of `python exercises`: what they take, and who does it.

Nothing is imported before it is needed: a student's `python exercises` stays quick.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Add = Callable[..., argparse.ArgumentParser]


def add_commands(add: Add) -> None:
    """Add the commands to the guide's, with its `add_parser`."""
    grade = add("grade", help="for instructors: grade the submissions of a class")
    grade.add_argument(
        "submissions",
        type=Path,
        metavar="SUBMISSIONS",
        help="a folder in which each student has a folder, zip or tar",
    )
    grade.add_argument(
        "--out", type=Path, required=True, metavar="REPORT", help="where to write to"
    )
    grade.add_argument(
        "--steps", metavar="STEP,STEP", help="only these (default: all of them)"
    )
    grade.add_argument(
        "--course", type=Path, metavar="FILE", help="your choices, a TOML file"
    )
    grade.add_argument(
        "--jobs", type=positive, default=0, metavar="N", help="so many at a time"
    )
    grade.add_argument(
        "--resume", action="store_true", help="go on with what REPORT holds already"
    )
    grade.set_defaults(run="grade")


def positive(word: str) -> int:
    """Return a number, 1 or more."""
    number = int(word)
    if number < 1:
        raise ValueError
    return number


def run(options: argparse.Namespace) -> Any:
    """Do what one of these commands says. Raise Refusal if it cannot be done."""
    if options.run == "grade":
        from course.command import run

        run(options)
