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
    add_choices(grade)
    grade.add_argument(
        "--jobs",
        type=positive,
        default=0,
        metavar="N",
        help="so many grading processes at a time",
    )
    grade.add_argument(
        "--resume", action="store_true", help="go on with what REPORT holds already"
    )
    grade.set_defaults(run="grade")

    handout = add("handout", help="for instructors: what students get, without answers")
    _out(handout, "DIR")
    add_choices(handout)
    handout.add_argument(
        "--with-server",
        action="store_true",
        help="the reference too: it gives away some of the answers",
    )
    handout.set_defaults(run="handout")

    gradescope = add("gradescope", help="for instructors: an autograder, a zip")
    _out(gradescope, "FILE.zip")
    add_choices(gradescope)
    gradescope.set_defaults(run="gradescope")

    classroom50 = add("classroom50", help="for instructors: an autograder, a folder")
    _out(classroom50, "DIR")
    add_choices(classroom50)
    classroom50.set_defaults(run="classroom50")

    actions = add("actions", help="for instructors: a workflow for GitHub Actions")
    _out(actions, "DIR")
    add_choices(actions)
    actions.add_argument(
        "--grader",
        default="YOUR-COURSE/grader@main",
        metavar="OWNER/NAME@REF",
        help="the repository that the grader will be in, and a commit of it",
    )
    actions.set_defaults(run="actions")


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Add what says which steps and what settings; see `choices`."""
    parser.add_argument(
        "--steps", metavar="STEP,STEP", help="only these (default: all of them)"
    )
    parser.add_argument(
        "--course", type=Path, metavar="FILE", help="your choices, a TOML file"
    )


def _out(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar=what, help="where to write to"
    )


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
    else:
        from course.making import make

        make(options)
