"""`python exercises grade`: grades a class and writes its reports.

What it prints is for the instructor at the terminal; what stays is in the folder of
the reports.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from course import intake, reports, settings
from course.batch import Batch, isolation
from course.intake import Refused
from course.results import Result
from course.scoring import Grade, grade
from course.settings import Settings, Wrong
from course.working import Busy
from grading.kit import Refusal
from grading.orphans import ORPHANAGE
from grading.steps import Step, all_steps

KEPT = "results"  # in the folder of the reports: what resuming needs
WORST = 10  # flags that are listed at the terminal


def run(options: argparse.Namespace) -> None:
    """Do it. Raise Refusal if it cannot be done."""
    steps = all_steps()
    choices = _choices(options, steps)
    kept = options.out / KEPT
    if not options.submissions.is_dir():
        raise Refusal(f"there is no folder {options.submissions}", 2)
    if kept.is_dir() and any(kept.iterdir()) and not options.resume:
        raise Refusal(
            f"{options.out} holds grades already: --resume goes on with them,"
            " or choose another folder",
            2,
        )
    try:
        submissions = intake.submissions(options.submissions)
    except Refused as refused:
        raise Refusal(str(refused), 2) from None
    batch = Batch(
        submissions=submissions,
        steps=[step for step in steps if step.name in choices.steps],
        kept=kept,
        repeats=choices.repeats,
        jobs=options.jobs,
    )
    if isolation():
        ORPHANAGE.open()
    try:
        results = _graded(batch, Console(stderr=True, highlight=False))
    except Busy as busy:
        raise Refusal(f"{options.out}: {busy}", 2) from None
    grades = [grade(result, choices) for result in results]
    page = reports.write(options.out, results, grades, choices)
    _tell(results, grades, page)


def _choices(options: argparse.Namespace, steps: Sequence[Step]) -> Settings:
    names = [step.name for step in steps]
    try:
        said = (
            settings.load(options.course, steps)
            if options.course
            else settings.default(steps)
        )
        if options.steps:
            return said.only(
                [settings.find_step(w, names) for w in options.steps.split(",")]
            )
    except Wrong as wrong:
        raise Refusal(str(wrong), 2) from None
    return said


def _graded(batch: Batch, console: Console) -> list[Result]:
    """Grade all, with a bar on a terminal and a line each in a pipe."""
    for sentence in isolation():
        console.print(sentence)
    columns = (TextColumn("grading"), BarColumn(), MofNCompleteColumn())
    total = len(batch.submissions)
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        auto_refresh=console.is_terminal,
        refresh_per_second=2,  # more would take what grading needs
    ) as progress:
        task = progress.add_task("grading", total=total)

        def done(result: Result) -> None:
            progress.advance(task)
            if not console.is_terminal:
                console.print(f"{result.student} is graded")

        return batch.grade(done)


def _tell(results: Sequence[Result], grades: Sequence[Grade], page: Path) -> None:
    refused = [result for result in results if result.refused]
    flags = [f"{grade.student}, {flag}" for grade in grades for flag in grade.flags]
    lines = [f"{len(results)} submissions are graded."]
    lines += [f"{it.student}: {it.refused}" for it in refused]
    if flags:
        lines += ["", f"To look at ({len(flags)}):", *flags[:WORST]]
    if len(flags) > WORST:
        lines.append(f"and {len(flags) - WORST} more, in flags.csv")
    lines += ["", f"The class: {os.fspath(page)}"]
    sys.stdout.write("\n".join(lines) + "\n")
