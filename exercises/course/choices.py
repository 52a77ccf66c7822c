"""Which steps and what settings: --course and --steps, wherever grading is started."""

import argparse
from collections.abc import Sequence

from course import settings
from course.cli import add_choices
from course.settings import Settings, Wrong
from grading.steps import Step, all_steps


def made(options: argparse.Namespace) -> tuple[list[Step], Settings]:
    """Return what they say. Raise Wrong if it cannot be."""
    steps = all_steps()
    names = [step.name for step in steps]
    try:
        said = (
            settings.load(options.course, steps)
            if options.course
            else settings.default(steps)
        )
    except OSError as exc:
        raise Wrong(f"{options.course}: {exc.strerror or exc}") from None
    if options.steps:
        words = [word.strip() for word in options.steps.split(",")]
        said = said.only([settings.find_step(word, names) for word in words])
    return [step for step in steps if step.name in said.steps], said


def parsed(
    program: str, arguments: Sequence[str] | None
) -> tuple[list[Step], Settings]:
    """Return the same from a command line of its own; wrong usage ends with code 2."""
    parser = argparse.ArgumentParser(prog=program)
    add_choices(parser)
    options = parser.parse_args(arguments)
    try:
        return made(options)
    except Wrong as wrong:
        parser.error(str(wrong))
