"""What helps when stuck: a hint, a fresh start, the kit's own solution."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.markdown import Markdown
from rich.syntax import Syntax

from grading import progress
from grading.kit import Kit, Refusal
from grading.overview import print_line, print_row
from grading.places import grade, guide, shown
from grading.progress import Record
from grading.steps import Step

WIDTH = 80  # columns of running text; longer lines are hard to read
COLOURS = "ansi_dark"  # the terminal's own, on its own background


# --------------------------------------------------------------------------- hint


def hint(kit: Kit, step: Step, *, everything: bool) -> None:
    """Print the next hint for the step's current failure, or all there are for it."""
    record = kit.records()[step.name]
    todo = record.hint or 1
    levels = step.hints().get(todo, [])
    if not levels:
        raise Refusal(f"{step.name} has no hint for TODO {todo}")
    seen = min(record.hints_shown.get(str(todo), 0), len(levels))
    first, last = (0, len(levels)) if everything else (seen, seen + 1)
    for number, text in list(enumerate(levels, 1))[first:last]:
        title = f"{step.name}, TODO {todo}: hint {number} of {len(levels)}"
        print_line(kit, title, style="bold")
        kit.console.print()
        _print_markdown(kit, text)
        kit.console.print()
    _remember_hints(kit, step, todo, max(seen, min(last, len(levels))))
    _print_more(kit, step, record, left=len(levels) - last)


def _print_markdown(kit: Kit, text: str) -> None:
    if not kit.console.is_terminal:
        print_line(kit, text)
        return
    markdown = Markdown(text, code_theme=COLOURS, hyperlinks=False)
    kit.console.print(markdown, width=min(WIDTH, kit.console.width))


def _remember_hints(kit: Kit, step: Step, todo: int, count: int) -> None:
    records = progress.load(kit.progress)
    record = records.setdefault(step.name, Record())
    record.hints_shown[str(todo)] = count
    progress.save(records, kit.progress)


def _print_more(kit: Kit, step: Step, record: Record, left: int) -> None:
    if left > 0:
        print_row(kit, "more", guide("hint", step.number))
    elif left == 0:
        kit.console.print("That was the last hint.")
    else:
        kit.console.print("You have seen all of its hints.")
        print_row(kit, "again", guide("hint", step.number, "--all"))
        if kit.solutions.is_dir():
            print_row(kit, "solution", guide("show", step.number, "--spoil"))
    if not record.digest:
        kit.console.print("Not graded yet. Grade it, and the hint is about what fails:")
        print_row(kit, "grade", grade(step.folder))


# -------------------------------------------------------------------------- reset


def reset(kit: Kit, step: Step, *, ask: bool) -> None:
    """Put the starter's files back, keep copies of the student's, forget the points."""
    missing = [n for n in step.files if not (kit.starters / step.name / n).is_file()]
    if missing:
        raise Refusal(f"this kit has no starter for {', '.join(missing)}")
    edited = kit.edited(step)
    if not edited:
        print_line(kit, f"{step.name} is as it was in the beginning.")
        return
    if ask and not _confirmed(kit, step, edited):
        kit.console.print("Nothing was changed.")
        return
    for name in edited:
        _keep_copy(kit, step.folder / name)
        starter = kit.starters / step.name / name
        (step.folder / name).write_bytes(starter.read_bytes())
    records = progress.load(kit.progress)
    records.pop(step.name, None)
    progress.save(records, kit.progress)
    print_line(kit, f"{step.name} is as it was in the beginning.")


def _confirmed(kit: Kit, step: Step, edited: Sequence[str]) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        why = f"nobody can be asked here; --yes resets {step.name} without asking"
        raise Refusal(why, 2)
    print_line(kit, f"The starter's {', '.join(edited)} will replace yours.")
    print_line(kit, "A copy of yours is kept beside it.")
    try:
        answer = kit.console.input(f"Begin {step.name} anew? y/N ")
    except EOFError:
        kit.console.print()
        return False
    return answer.strip().lower() in ("y", "yes")


def _keep_copy(kit: Kit, path: Path) -> None:
    """Copy mchat.py to mchat.before-reset-1.py, or the first number that is free."""
    if not path.is_file():
        return
    number = 1
    while (copy := _copy_name(path, number)).exists():
        number += 1
    with copy.open("xb") as file:
        file.write(path.read_bytes())
    print_line(kit, f"Your {path.name} is kept: {shown(copy)}")


def _copy_name(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.before-reset-{number}{path.suffix}")


# --------------------------------------------------------------------------- show


def show(kit: Kit, step: Step, file: str | None, *, spoil: bool) -> None:
    """Print the solution of a step, all files or one."""
    if file is not None and file not in step.files:
        raise Refusal(f"{step.name} has {', '.join(step.files)}, not {file}", 2)
    paths = [kit.solutions / step.name / name for name in step.files]
    if not all(path.is_file() for path in paths):
        why = "solutions are not part of it; your instructor has them"
        raise Refusal(f"the solution of {step.name} is not in this kit: {why}")
    if not (spoil or kit.records()[step.name].passed):
        command = guide("show", step.number, "--spoil")
        raise Refusal(f"{step.name} is not passed yet; to see it anyway: {command}")
    paths = [path for path in paths if file in (None, path.name)]
    for path in paths:
        if len(paths) > 1:
            print_line(kit, f"# ---- {path.name} ----", style="bold")
        _print_python(kit, path.read_text(encoding="utf-8"))


def _print_python(kit: Kit, source: str) -> None:
    """Print it so that it can be copied: no numbers, no padding, nothing cut off."""
    colours = Syntax("", "python", theme=COLOURS)
    text = colours.highlight(source)
    text.rstrip()
    kit.console.print(text, soft_wrap=True)
