"""Where the student is on the path, and what to do next."""

from pathlib import Path

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from grading import progress
from grading.kit import Kit
from grading.places import EXERCISES, KIT, grade, guide, python, shown
from grading.progress import Record
from grading.steps import POINTS, Step

STYLES = {"passed": "green", "begun": "yellow"}


def show(kit: Kit) -> None:
    """Print the path, the progress, and what is next."""
    records = kit.records()
    here = kit.current()
    kit.console.print(_path(kit, records, here))
    kit.console.print()
    _print_progress(kit, records)
    kit.console.print()
    if here is None:
        print_end(kit)
    else:
        print_step(kit, here)
        _print_last_result(kit, here, records[here.name])


def standing(kit: Kit, step: Step, record: Record) -> str:
    """Return one or two words on how a step stands, nothing if it is not begun."""
    if not record.digest:
        return "begun" if kit.edited(step) else ""
    word = "passed" if record.passed else "begun"
    changed = record.digest != progress.digest(step)
    return f"{word}, changed" if changed else word


def _path(kit: Kit, records: dict[str, Record], here: Step | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column()
    table.add_column("step", no_wrap=True)
    table.add_column("what you build", overflow="fold")
    table.add_column("minutes", justify="right")
    table.add_column("points", justify="right")
    table.add_column()
    for step in kit.steps:
        record = records[step.name]
        state = standing(kit, step, record)
        table.add_row(
            ">" if step is here else "",
            step.name,
            Text(step.title),
            str(step.minutes),
            f"{record.points}/{POINTS}" if record.digest else "",
            Text(state, style=STYLES.get(state.partition(",")[0], "")),
            style="bold" if step is here else "",
        )
    return table


def _print_progress(kit: Kit, records: dict[str, Record]) -> None:
    passed = [step for step in kit.steps if records[step.name].passed]
    points = sum(record.points for record in records.values())
    minutes = sum(step.minutes for step in kit.steps if step not in passed)
    if kit.console.is_terminal:
        bar = ProgressBar(len(kit.steps) * POINTS, points, width=40)
        kit.console.print(bar, "\n", sep="", end="")
    left = f"; {_time(minutes)} to go" if minutes else ""
    kit.console.print(
        f"{len(passed)} of {len(kit.steps)} steps passed,"
        f" {points} of {len(kit.steps) * POINTS} points{left}"
    )
    if any("changed" in standing(kit, s, records[s.name]) for s in kit.steps):
        kit.console.print("changed: since it was graded; grade it again to be sure")


def _time(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    words = [f"{hours} h"] if hours else []
    return "about " + " ".join([*words, f"{rest} min"] if rest or not hours else words)


def print_step(kit: Kit, step: Step) -> None:
    """Print what to read, edit and run in a step."""
    kit.console.print(Text(f"You are at {step.name}: {step.title}.", style="bold"))
    kit.console.print()
    print_row(kit, "read", shown(step.folder / "README.md"))
    for name in step.files:
        print_row(kit, "edit", shown(step.folder / name))
    print_row(kit, "grade", grade(step.folder))
    print_row(kit, "on save", guide("watch"))
    print_row(kit, "stuck?", guide("hint"))


def _print_last_result(kit: Kit, step: Step, record: Record) -> None:
    if record.first_failure:
        todo = f", about TODO {record.hint}" if record.hint else ""
        kit.console.print()
        kit.console.print(Text(f"The last run failed in {record.first_failure}{todo}."))


def print_end(kit: Kit) -> None:
    """Print what there is after the last step."""
    print_line(kit, "You have passed every step.", style="bold")
    kit.console.print("The chat server in the last folder is your own. There is more:")
    kit.console.print()
    if not (KIT / "server").is_dir():  # it is not handed out to students
        print_line(kit, "  the reference server, which your instructor has")
        return
    print_row(kit, "compare", shown(EXERCISES / "README.md"))
    print_row(kit, "read", shown(KIT / "server"))
    print_row(kit, "run", f"{python()} {shown(KIT / 'server' / 'mchat.py')}")
    if (bench := Path(KIT, "tests", "bench")).is_dir():
        print_row(kit, "measure", f"{python()} {shown(bench)}")


def print_row(kit: Kit, label: str, command: str) -> None:
    """Print something to paste, never broken into two lines."""
    print_line(kit, f"  {label:<10}", (command, "cyan"))


def print_line(kit: Kit, *parts: str | tuple[str, str], style: str = "") -> None:
    """Print text as it is: no markup, and the terminal itself wraps it."""
    kit.console.print(Text.assemble(*parts, style=style), soft_wrap=True)
