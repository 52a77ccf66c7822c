"""The kit as the guide sees it: the steps, what was reached, and where things are.

It prints nothing and changes nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.theme import Theme

from grading import progress, steps
from grading.places import KIT
from grading.progress import Record
from grading.steps import Step

THEME = Theme({"markdown.code": "bold cyan"})  # on the terminal's own background


class Refusal(Exception):
    """What was asked for cannot be done. str() says why, in one line."""

    def __init__(self, why: str, exit_code: int = 1) -> None:
        super().__init__(why)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Kit:
    """Everything the commands need. Tests make one in a folder of their own."""

    steps: list[Step]
    progress: Path  # the memory of what was reached
    starters: Path  # has a folder for each step, with the files to edit as they were
    solutions: Path  # the same with the kit's own solutions; may be missing
    console: Console

    @classmethod
    def here(cls) -> "Kit":
        """Return the kit that this file belongs to."""
        try:
            found = steps.all_steps()
        except ValueError as exc:
            raise Refusal(str(exc)) from None
        if not found:
            raise Refusal(f"there are no steps in {steps.EXERCISES}")
        return cls(
            steps=found,
            progress=progress.FILE,
            starters=steps.STARTERS,
            solutions=KIT / "tests" / "solutions",
            console=Console(highlight=False, theme=THEME),
        )

    def find(self, said: str) -> Step:
        """Return the step that somebody means; also by a path to its folder."""
        word = Path(said).resolve().name if Path(said).is_dir() else said
        if word.isdecimal():
            word = f"{int(word):02}_"
        found = [
            step
            for step in self.steps
            if step.name.startswith(word) or step.name[3:].startswith(word)
        ]
        if len(found) != 1:
            names = ", ".join(step.name for step in self.steps)
            raise Refusal(f"no step is called {said!r}; there are {names}", 2)
        return found[0]

    def records(self) -> dict[str, Record]:
        """Return what is known of every step, an empty record where nothing is."""
        known = progress.load(self.progress)
        return {step.name: known.get(step.name, Record()) for step in self.steps}

    def current(self) -> Step | None:
        """Return the first step that is not passed, None if all are."""
        records = self.records()
        return next((s for s in self.steps if not records[s.name].passed), None)

    def edited(self, step: Step) -> list[str]:
        """Return which of a step's files differ from the starter's."""
        return [
            name
            for name in step.files
            if (starter := self.starters / step.name / name).is_file()
            and not _same(step.folder / name, starter)
        ]


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()
