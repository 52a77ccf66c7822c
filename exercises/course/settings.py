"""What an instructor chooses: steps, points, deadlines, and what counts. One TOML file.

    title = "Networks, winter term"
    steps = ["01", "02", "05"]         # default: all of them
    extra_credit = ["05"]              # adds points, but not to what can be reached

    [points]                           # default: 10 each
    05 = 20

    [deadlines]                        # default: none
    05 = 2026-12-01T23:59:00+01:00

    [late]                             # what is handed in after its deadline
    per_day = 0.10                     # of its points are lost for each day begun
    most = 0.50                        # but never more than this

    [flaky]
    repeats = 4                        # how often a test that fails is run again
    counts = "once"                    # once, pass, fail: see `scoring`

    [copied]
    counts = "reference"               # what brings nothing: reference, all, none
    accepted = ["alice/05_broadcast"]  # looked at, and found to be their own work

Steps may be named as everywhere in the guide: 5, 05, broadcast, 05_broadcast.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from grading.steps import POINTS, Step, tomllib

_T = TypeVar("_T")

FLAKY = ("once", "pass", "fail")
COPIED = ("reference", "all", "none")
REPEATS = 4
MOST_REPEATS = 50  # each takes seconds


@dataclass(frozen=True)
class Settings:
    """Everything an instructor chose, checked. Steps are called by their full names."""

    title: str = "The class"
    steps: tuple[
        str, ...
    ] = ()  # in order; never empty once made by `load` or `default`
    points: Mapping[str, int] = field(default_factory=dict)  # of every step
    extra_credit: frozenset[str] = frozenset()
    deadlines: Mapping[str, datetime.datetime] = field(default_factory=dict)
    late_per_day: float = 0.0
    late_most: float = 1.0
    repeats: int = REPEATS
    flaky: str = "once"
    copied: str = "reference"
    accepted: frozenset[str] = frozenset()  # STUDENT/STEP

    def only(self, steps: Sequence[str]) -> "Settings":
        """Return the same for `steps` alone."""
        return replace(self, steps=tuple(n for n in self.points if n in steps))


class Wrong(ValueError):
    """The file says something that cannot be. str() is a line for its author."""


def default(steps: Sequence[Step]) -> Settings:
    """Return the settings of an empty file."""
    return _settings({}, steps)


def load(path: Path, steps: Sequence[Step]) -> Settings:
    """Read the file; raise Wrong if it will not do, OSError if it cannot be read."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        return _settings(said, steps)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, Wrong) as exc:
        raise Wrong(f"{path}: {exc}") from None


def _settings(said: dict[str, Any], steps: Sequence[Step]) -> Settings:
    names = [step.name for step in steps]
    known = {"title", "steps", "extra_credit", "points", "deadlines"}
    _only(said, known | {"late", "flaky", "copied"}, "the file")
    late = _table(said, "late", {"per_day", "most"})
    flaky = _table(said, "flaky", {"repeats", "counts"})
    copied = _table(said, "copied", {"counts", "accepted"})
    chosen = {_step(word, names) for word in _list(said, "steps")} or set(names)
    points = _by_step(said, "points", names, _points)
    return Settings(
        title=str(said.get("title", Settings.title)),
        steps=tuple(name for name in names if name in chosen),
        points={name: points.get(name, POINTS) for name in names},
        extra_credit=frozenset(
            _step(word, names) for word in _list(said, "extra_credit")
        ),
        deadlines=_by_step(said, "deadlines", names, _deadline),
        late_per_day=_share(late, "per_day", 0.0),
        late_most=_share(late, "most", 1.0),
        repeats=_count(flaky, "repeats", REPEATS),
        flaky=_one_of(flaky, "counts", FLAKY),
        copied=_one_of(copied, "counts", COPIED),
        accepted=frozenset(_accepted(it, names) for it in _list(copied, "accepted")),
    )


def _accepted(word: object, names: Sequence[str]) -> str:
    """Return STUDENT/STEP with the full name of the step."""
    student, _, step = str(word).rpartition("/")
    if not student:
        raise Wrong(f"copied.accepted has {word!r}; it should be STUDENT/STEP")
    return f"{student}/{_step(step, names)}"


def find_step(word: str, names: Sequence[str]) -> str:
    """Return the full name of the step that `word` means; raise Wrong if none is."""
    return _step(word, names)


def _step(word: object, names: Sequence[str]) -> str:
    text = str(word)
    if text.isdecimal():
        text = f"{int(text):02}_"
    found = [n for n in names if n.startswith(text) or n[3:].startswith(text)]
    if len(found) != 1 or not text:
        raise Wrong(f"no step is called {word!r}; there are {', '.join(names)}")
    return found[0]


def _only(table: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(table.keys() - known):
        there = ", ".join(sorted(known))
        raise Wrong(
            f"{where} has {unknown[0]!r}, which means nothing; there are {there}"
        )


def _table(said: dict[str, Any], name: str, known: set[str]) -> dict[str, Any]:
    table = said.get(name, {})
    if not isinstance(table, dict):
        raise Wrong(f"{name} must be a table, [{name}]")
    _only(table, known, f"[{name}]")
    return table


def _list(table: Mapping[str, Any], name: str) -> list[Any]:
    value = table.get(name, [])
    if not isinstance(value, list):
        raise Wrong(f"{name} must be a list")
    return value


def _by_step(
    said: dict[str, Any],
    name: str,
    names: Sequence[str],
    checked: Callable[[str, Any], _T],
) -> dict[str, _T]:
    table = said.get(name, {})
    if not isinstance(table, dict):
        raise Wrong(f"{name} must be a table, [{name}]")
    found = {}
    for word, value in table.items():
        step = _step(word, names)
        if step in found:
            raise Wrong(f"{name} has {step} twice")
        found[step] = checked(f"{name}.{word}", value)
    return found


def _points(where: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Wrong(f"{where} must be a whole number, 0 or more, not {value!r}")
    return value


def _deadline(where: str, value: Any) -> datetime.datetime:
    if not isinstance(value, datetime.datetime):
        raise Wrong(f"{where} must be a date and time, such as 2026-12-01T23:59:00Z")
    return value if value.tzinfo else value.astimezone()


def _share(table: Mapping[str, Any], name: str, default: float) -> float:
    value = table.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Wrong(f"{name} must be a share from 0 to 1, not {value!r}")
    if not 0 <= value <= 1:
        raise Wrong(f"{name} must be a share from 0 to 1, not {value!r}")
    return float(value)


def _count(table: Mapping[str, Any], name: str, default: int) -> int:
    value = table.get(name, default)
    if type(value) is not int or not 0 <= value <= MOST_REPEATS:
        raise Wrong(
            f"{name} must be a whole number from 0 to {MOST_REPEATS}, not {value!r}"
        )
    return value


def _one_of(table: Mapping[str, Any], name: str, known: Sequence[str]) -> str:
    value = table.get(name, known[0])
    if value not in known:
        raise Wrong(f"{name} must be one of {', '.join(known)}, not {value!r}")
    return str(value)
