"""`python exercises handout`, `gradescope`, `classroom50`, `actions`: what they say."""

import argparse

from course import actions, choices, classroom50, gradescope, handout
from course.bundle import Occupied
from course.settings import Settings, Wrong
from grading.kit import Refusal
from grading.places import shown
from grading.steps import Step


def make(options: argparse.Namespace) -> None:
    """Make it, and say what to do with it. Raise Refusal if it cannot be done."""
    try:
        steps, settings = choices.made(options)
        if not steps:
            raise Wrong("no step is chosen")
        what = _made(options, steps, settings)
    except (Wrong, Occupied) as refused:
        raise Refusal(str(refused), 2) from None
    print(f"{shown(options.out)} {what}")


def _made(options: argparse.Namespace, steps: list[Step], settings: Settings) -> str:
    out, chosen, course = options.out, options.steps, options.course
    graded = [step.name for step in steps if step.name not in settings.extra_credit]
    points = sum(settings.points[name] for name in graded)
    if options.run == "handout":
        handout.build(out, steps, server=options.with_server)
        return "is what students get. Its README.md tells them how to begin."
    if options.run == "gradescope":
        if out.is_dir():
            raise Wrong(f"{out} is a folder; --out names the zip to write")
        gradescope.build(out, steps, chosen, course)
        return f"is an autograder for {points} points: upload it to Gradescope."
    if settings.accepted:
        raise Wrong(
            f"{course} names students, under [copied], and all of it would be"
            " published: leave accepted out of what you give here"
        )
    if options.run == "classroom50":
        classroom50.build(out, steps, chosen, course)
        return f"grades {points} points. Its README.md tells where to put it."
    if not actions.GRADER.fullmatch(options.grader):
        raise Wrong(f"--grader is OWNER/NAME@REF, not {options.grader!r}")
    actions.build(out, steps, chosen, course, options.grader)
    return f"grades {points} points. Its README.md tells what to put where."
