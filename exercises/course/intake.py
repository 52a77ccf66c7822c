"""A folder, zip or tar of somebody's becomes the files that the steps name; safely.

Nothing is unpacked but regular files with the names that some step asks for. So links,
devices, `..`, absolute paths, configuration of tests and everything else stay where
they are; what could be meant as a trick is remarked. Sizes are counted while reading:
an archive may lie about them.

In an archive or folder the steps may lie at the top, or below one or more folders
(`alice-main/exercises/05_broadcast/mchat.py`); the shallowest one is taken. Where
nothing lies in a folder of a step, files that only one of the steps asks for are taken
for that one: a lone `mchat.py` is enough where one step is graded.
"""

import bz2
import gzip
import hashlib
import lzma
import os
import re
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from grading.steps import Step

MB = 1024 * 1024
FILE = 1 * MB  # bytes of one file that a step names; a program is far smaller
ENTRIES = 10_000  # that are looked at in one submission
ARCHIVE = 100 * MB  # bytes of a zip or tar as it lies there
UNPACKED = 500 * MB  # bytes of a compressed tar that are read past to find the files
DEPTH = 8  # folders

# What pytest or Python would take for its own if it lay in the wrong place.
HOOKS = {"conftest.py", "pytest.ini", "pytest.py", "tox.ini", "setup.cfg"}
HOOKS |= {"pyproject.toml", "sitecustomize.py", "usercustomize.py", "_pytest"}

BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip")


class Refused(Exception):
    """This submission cannot be taken in. str() says why, in a line."""


@dataclass
class Taken:
    """What was found in one submission."""

    files: dict[str, bytes] = field(
        default_factory=dict
    )  # "05_broadcast/mchat.py": ...
    remarks: list[str] = field(default_factory=list)
    newest: float | None = None  # when the newest of the files was changed

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


@dataclass(frozen=True)
class Entry:
    """One regular file, or what claims to be something else."""

    path: str  # with slashes
    file: IO[bytes] | None  # None: not a regular file
    kind: str = "a link"
    changed: float | None = None


def submissions(folder: Path) -> list[tuple[str, Path]]:
    """Return name and path of every submission in `folder`, sorted.

    A submission is a folder, or an archive; its name is that of the student. Raise
    Refused if two have the same name, or if there are none.
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
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return ""


def take(source: Path, steps: Sequence[Step]) -> Taken:
    """Return the files of `steps` that are in `source`; Refused if that is in vain."""
    wanted = {
        f"{step.name}/{name}" for step in steps for name in (*step.files, *step.given)
    }
    taken = Taken()
    depths: dict[str, int] = {}
    loose = Loose(steps, wanted)
    try:
        for count, entry in enumerate(_entries(source), 1):
            if count > ENTRIES:
                raise Refused(f"it has more than {ENTRIES} files")
            if not loose.take(entry):
                _take(entry, wanted, taken, depths)
    except (*BROKEN, EOFError) as exc:
        raise Refused(f"it cannot be unpacked: {exc or type(exc).__name__}") from None
    except (NotImplementedError, RuntimeError) as exc:  # methods, passwords
        raise Refused(f"it cannot be unpacked: {exc}") from None
    except OSError as exc:
        raise Refused(f"it cannot be read: {exc.strerror or exc}") from None
    loose.add_to(taken)
    return taken


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
        self._depths: dict[str, int] = {}

    def take(self, entry: Entry) -> bool:
        """Take a file whose step is clear without a folder; tell whether it is one."""
        parts = PurePosixPath(entry.path.replace("\\", "/")).parts
        if any(re.match(r"\d\d_\w", part) for part in parts[:-1]):
            self._some_in_place = True
        if len(parts) not in (1, 2) or self._some_in_place or entry.file is None:
            return False
        *above, name = parts
        if ".." in above or above == ["/"] or name not in self._names:
            return False
        if home := self._homes.get(name):
            path = "/".join((*above, home, name))
            _take(replace(entry, path=path), self._wanted, self._taken, self._depths)
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
            taken.newest = taken.newest or self._taken.newest


def _take(entry: Entry, wanted: set[str], taken: Taken, depths: dict[str, int]) -> None:
    parts = PurePosixPath(entry.path.replace("\\", "/")).parts
    name = "/".join(parts[-2:])
    if ".." in parts or (parts and parts[0] == "/"):
        taken.remarks.append(
            f"left aside: {_shown(entry.path)} leads out of its folder"
        )
    elif entry.file is None:
        if name in wanted or len(parts) < DEPTH:
            taken.remarks.append(f"left aside: {_shown(entry.path)} is {entry.kind}")
    elif parts[-1] in HOOKS or parts[-1].endswith(".pth"):
        taken.remarks.append(
            f"left aside: {_shown(entry.path)}, which is not asked for"
        )
    elif name in wanted and len(parts) <= depths.get(name, DEPTH):
        data = entry.file.read(FILE + 1)
        if len(data) > FILE:
            raise Refused(f"{_shown(entry.path)} is larger than {FILE // MB} MB")
        depths[name] = len(parts) - 1
        taken.files[name] = data
        if entry.changed is not None:
            taken.newest = max(taken.newest or 0.0, entry.changed)


def _shown(path: str) -> str:
    text = path if path.isprintable() else repr(path)
    return text if len(text) <= 80 else f"{text[:77]}..."


# ---------------------------------------------------------------- where they come from


def _entries(source: Path) -> Iterator[Entry]:
    if source.is_dir():
        return _in_folder(source)
    if source.stat().st_size > ARCHIVE:
        raise Refused(f"it is larger than {ARCHIVE // MB} MB")
    return _in_zip(source) if zipfile.is_zipfile(source) else _in_tar(source)


def _in_folder(source: Path) -> Iterator[Entry]:
    """Walk without following links, also if the folder itself is one."""
    if source.is_symlink():
        raise Refused("it is a link")
    for root, folders, files in os.walk(source):
        inside = Path(root).relative_to(source)
        if len(inside.parts) >= DEPTH:
            folders.clear()
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        for name in sorted([*files, *links]):
            path, shown = Path(root) / name, (inside / name).as_posix()
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                yield Entry(shown, None, _kind(status.st_mode))
                continue
            # Not following: it may have become a link, or a pipe, in between.
            flags = (
                os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            )
            with os.fdopen(
                os.open(path, flags | getattr(os, "O_NONBLOCK", 0)), "rb"
            ) as f:
                yield Entry(shown, f, changed=status.st_mtime)


def _kind(mode: int) -> str:
    return "a link" if stat.S_ISLNK(mode) else "no regular file"


def _in_zip(source: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(source) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            mode = info.external_attr >> 16
            if stat.S_ISLNK(mode):
                yield Entry(info.filename, None)
                continue
            with archive.open(info) as file:
                yield Entry(info.filename, file, changed=_zip_time(info))


def _zip_time(info: zipfile.ZipInfo) -> float | None:
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (OverflowError, ValueError):
        return None


class _Limited:
    """A file that ends with an error when too much was read from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = UNPACKED

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size if 0 <= size < 1 << 20 else 1 << 20)
        self._left -= len(data)
        if self._left < 0:
            raise Refused(f"unpacked it is larger than {UNPACKED // MB} MB")
        return data


def _in_tar(source: Path) -> Iterator[Entry]:
    with _unpacked(source) as plain:
        archive = tarfile.open(fileobj=_Limited(plain), mode="r|")  # type: ignore[call-overload]  # noqa: SIM115
        with archive:
            for member in archive:
                if member.isdir():
                    continue
                file = archive.extractfile(member) if member.isreg() else None
                kind = (
                    "a link" if member.issym() or member.islnk() else "no regular file"
                )
                yield Entry(member.name, file, kind, float(member.mtime))


def _unpacked(source: Path) -> IO[bytes]:
    with source.open("rb") as file:
        magic = file.read(6)
    opened: Any = source.open
    if magic.startswith(b"\x1f\x8b"):
        opened = partial(gzip.open, source)
    if magic.startswith(b"BZh"):
        opened = partial(bz2.open, source)
    if magic.startswith(b"\xfd7zXZ"):
        opened = partial(lzma.open, source)
    unpacked: IO[bytes] = opened("rb")
    return unpacked
