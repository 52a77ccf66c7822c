"""A folder, zip or tar of somebody's becomes the files that the steps name; safely.

Nothing is unpacked but regular files with the names that some step asks for. So links,
devices, `..`, absolute paths, configuration of tests and everything else stay where
they are; what could be meant as a trick is remarked, if it is not as it was handed out.
Sizes are counted while reading: an archive may lie about them.

In an archive or folder the steps may lie at the top, or below one or more folders
(`alice-main/exercises/05_broadcast/mchat.py`); the shallowest one is taken. Where
nothing lies in a folder of a step, files that only one of the steps asks for are taken
for that one: a lone `mchat.py` is enough where one step is graded.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from course.archives import DEPTH, MB, Entry, Refused, entries
from course.pytest_settings import settings_of_pytest
from grading.places import KIT
from grading.steps import Step

__all__ = ["SUFFIXES", "Refused", "Taken", "submissions", "take"]

FILE = 1 * MB  # bytes of one file that a step names; a program is far smaller
ENTRIES = 10_000  # that are looked at in one submission
ALL_ENTRIES = 200_000  # with those that a tool has put there
REMARKS = 20  # on one submission; a person reads no more

# What pytest or Python would take for its own if it lay in the wrong place.
HOOKS = {"conftest.py", "pytest.ini", ".pytest.ini", "pytest.py", "tox.ini"}
HOOKS |= {"setup.cfg", "pyproject.toml", "sitecustomize.py", "usercustomize.py"}
HANDED_OUT = ("conftest.py", "pyproject.toml")
PACKAGES = {"pytest", "_pytest", "psutil"}  # in place of those that grading needs

# Where the kit itself keeps files of steps: who hands in all of it means others.
OURS = {("grading", "starters"), ("tests", "solutions")}

SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".tar", ".zip")
OTHERS = (".rar", ".7z", ".tar.zst", ".tar.lz", ".gz", ".bz2", ".xz", ".zst")


@dataclass
class Taken:
    """What was found in one submission."""

    files: dict[str, bytes] = field(
        default_factory=dict
    )  # "05_broadcast/mchat.py": ...
    remarks: list[str] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)  # of a step's newest file
    depths: dict[str, int] = field(default_factory=dict)  # of what was taken

    def consider(self, entry: Entry, wanted: set[str]) -> None:
        """Take a file if it is wanted; remark what is strange about it."""
        parts = entry.parts
        name = "/".join(parts[-2:])
        shown = _shown(entry.path)
        if ".." in parts or parts[0].startswith("/") or parts[0].endswith(":"):
            self.remarks.append(f"left aside: {shown} leads out of its folder")
        elif entry.open is None:
            if name in wanted or len(parts) < DEPTH:
                self.remarks.append(f"left aside: {shown} is {entry.kind}")
        elif _is_hook(entry):
            self.remarks.append(f"left aside: {shown}, which is not asked for")
        elif name in wanted and len(parts) <= DEPTH and parts[-4:-2] not in OURS:
            self._take(entry, name)

    def _take(self, entry: Entry, name: str) -> None:
        shown, depth = _shown(entry.path), len(entry.parts)
        before = self.depths.get(name, DEPTH + 1)
        if depth == before:
            self.remarks.append(f"left aside: {shown}, as there is another {name}")
        if depth >= before:
            return
        data = _read(entry)
        if data is None:
            self.remarks.append(f"left aside: {shown} cannot be read")
        elif len(data) > FILE:
            self.remarks.append(f"left aside: {shown} is larger than {FILE // MB} MB")
        else:
            self.depths[name] = depth
            self.files[name] = data
            if entry.changed is not None:
                step = name.partition("/")[0]
                self.times[step] = max(self.times.get(step, 0.0), entry.changed)

    @property
    def newest(self) -> float | None:
        """When the newest of the files was changed, if that is known."""
        return max(self.times.values(), default=None)

    def shorten(self) -> None:
        """Leave out what nobody would read."""
        more = len(self.remarks) - REMARKS
        if more > 0:
            self.remarks[REMARKS:] = [f"and {more} more remarks of this kind"]

    def digest(self) -> str:
        """Return what tells these files from others."""
        digest = hashlib.sha256()
        for name, data in sorted(self.files.items()):
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()

    def write(self, folder: Path) -> None:
        """Write the files into an empty folder, laid out like exercises/."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def submissions(folder: Path) -> list[tuple[str, Path]]:
    """Return name and path of every submission in `folder`, sorted.

    A submission is a folder, or an archive; its name is that of the student. Archives
    that nobody here can read count: `take` will say so. Raise Refused if two have the
    same name, or if there are none.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = _student(path)
        if not name:
            continue
        if name in found:
            raise Refused(f"{path.name} and {found[name].name} are both {name}'s")
        found[name] = path
    if not found:
        raise Refused(f"there is no submission in {folder}: a folder, zip or tar each")
    return sorted(found.items())


def _student(path: Path) -> str:
    if path.name.startswith((".", "__")):
        return ""
    if path.is_dir():
        return path.name
    for suffix in (*SUFFIXES, *OTHERS):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return ""


def take(source: Path, steps: Sequence[Step]) -> Taken:
    """Return the files of `steps` that are in `source`; Refused if that is in vain."""
    wanted = {
        f"{step.name}/{name}" for step in steps for name in (*step.files, *step.given)
    }
    if source.name.lower().endswith(OTHERS) and not _known(source):
        raise Refused(f"it is a {source.suffix}: hand in a folder, zip or tar")
    taken = Taken()
    loose = Loose(steps, wanted)
    for entry in _counted(entries(source)):
        if not entry.folder and entry.parts and not loose.take(entry):
            taken.consider(entry, wanted)
    loose.add_to(taken)
    taken.shorten()
    return taken


def _known(source: Path) -> bool:
    return source.is_dir() or source.name.lower().endswith(SUFFIXES)


def _counted(found: Iterator[Entry]) -> Iterator[Entry]:
    """Yield the entries that somebody may have written; refuse too many."""
    looked_at = 0
    for count, entry in enumerate(found, 1):
        looked_at += not entry.by_tool
        if looked_at > ENTRIES or count > ALL_ENTRIES:
            raise Refused(f"it has more than {min(looked_at, count) - 1} files")
        if not entry.by_tool:
            yield entry


class Loose:
    """Files that lie in no folder of a step. They count if no file lies in one."""

    def __init__(self, steps: Sequence[Step], wanted: set[str]) -> None:
        asked_for = [(name, step.name) for step in steps for name in step.files]
        names = [name for name, _ in asked_for]
        self._homes = {name: step for name, step in asked_for if names.count(name) == 1}
        self._names = set(names)
        self._wanted = wanted
        self._some_in_place = False
        self._taken = Taken()

    def take(self, entry: Entry) -> bool:
        """Take a file whose step is clear without a folder; tell whether it is one."""
        parts = entry.parts
        if any(re.match(r"\d\d_\w", part) for part in parts[:-1]):
            self._some_in_place = True
        if len(parts) not in (1, 2) or self._some_in_place or entry.open is None:
            return False
        *above, name = parts
        if ".." in above or above == ["/"] or name not in self._names:
            return False
        if home := self._homes.get(name):
            path = "/".join((*above, home, name))
            self._taken.consider(replace(entry, path=path), self._wanted)
            what = f"{name} lies in no folder of a step; taken for {home}"
        else:
            what = f"left aside: {name} lies in no folder of a step, so whose is it?"
        self._taken.remarks.append(what)
        return True

    def add_to(self, taken: Taken) -> None:
        """Add what counts."""
        if not self._some_in_place:
            taken.files.update(self._taken.files)
            taken.remarks.extend(self._taken.remarks)
            taken.times.update(self._taken.times)


def _is_hook(entry: Entry) -> bool:
    """Tell whether pytest or Python would take it for its own, and it is not ours."""
    name = entry.parts[-1]
    if name in HANDED_OUT and (_read(entry) or b"").split() in _handed_out():
        return False
    return name in HOOKS or name.endswith(".pth") or bool(PACKAGES & {*entry.parts})


def _read(entry: Entry) -> bytes | None:
    """Return what is in it, at most a byte too much; None if it cannot be read."""
    assert entry.open
    try:
        with entry.open() as file:
            return file.read(FILE + 1)
    except Refused:
        raise
    except Exception:  # an archive may be broken in more ways than we know
        return None


@cache
def _handed_out() -> list[list[bytes]]:
    """Return the words of the files that are ours, wherever they lie."""
    paths = [KIT / name for name in HANDED_OUT]
    ours = [path.read_bytes() for path in paths if path.is_file()]
    return [data.split() for data in (*ours, settings_of_pytest())]


def _shown(path: str) -> str:
    text = path if path.isprintable() else repr(path)
    return text if len(text) <= 80 else f"{text[:77]}..."
