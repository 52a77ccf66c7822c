"""The steps of the path: which folders they are, and what each one says of itself.

A step is a folder `NN_topic` beside this one, with a `step.toml`, a README.md, a
HINTS.md, the files to edit, and the grader `test_NN_topic.py`. Nothing else lists the
steps: a new folder is a new step.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings it along for Python 3.10
    import tomli as tomllib

__all__ = ["EXERCISES", "POINTS", "STARTERS", "Step", "all_steps", "load", "step_of"]
__all__ += ["tomllib"]  # for whoever reads TOML

EXERCISES = Path(__file__).resolve().parent.parent
STARTERS = EXERCISES / "grading" / "starters"  # the files to edit, as they were
POINTS = 10  # of every step


@dataclass(frozen=True)
class Step:
    """One step. `folder` is the kit's own, whoever is graded."""

    name: str  # of the folder: 05_broadcast
    title: str
    files: tuple[str, ...]  # the student's: graded, and never replaced by ours
    given: tuple[str, ...]  # ours, unless the student has a version too
    minutes: int
    folder: Path

    @property
    def number(self) -> str:
        """The two digits that the name begins with."""
        return self.name[:2]

    @property
    def grader(self) -> Path:
        """The file with the tests."""
        return self.folder / f"test_{self.name}.py"

    def hints(self) -> dict[int, list[str]]:
        """Return the hints of each TODO, from a nudge to nearly the answer."""
        path = self.folder / "HINTS.md"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        _, *parts = re.split(r"^## TODO (\d+).*$", text, flags=re.MULTILINE)
        return {
            int(number): _levels(body)
            for number, body in zip(parts[::2], parts[1::2], strict=True)
        }


def _levels(body: str) -> list[str]:
    """Return what stands under each `### ` heading of one TODO."""
    return [
        part.strip() for part in re.split(r"^### .*$", body, flags=re.MULTILINE)[1:]
    ]


def load(folder: Path) -> Step:
    """Read the step in `folder`. Raise ValueError if its step.toml will not do."""
    path = folder / "step.toml"
    try:
        with path.open("rb") as file:
            said = tomllib.load(file)
        return Step(
            name=folder.name,
            title=said["title"],
            files=tuple(said["files"]),
            given=tuple(said.get("given", ())),
            minutes=int(said["minutes"]),
            folder=folder,
        )
    except (KeyError, TypeError, tomllib.TOMLDecodeError) as exc:
        raise ValueError(f"{path}: {exc!r}; needed: title, files, minutes") from None


def all_steps() -> list[Step]:
    """Return every step, in order."""
    folders = sorted(EXERCISES.glob("[0-9][0-9]_*/step.toml"))
    return [load(path.parent) for path in folders]


def step_of(path: Path) -> Step | None:
    """Return the step whose grader `path` is, None if it is no grader."""
    is_grader = path.name == f"test_{path.parent.name}.py"
    if is_grader and (path.parent / "step.toml").exists():
        return load(path.parent)
    return None
