"""What is in a folder, zip or tar of somebody's: entry by entry, and none followed.

Nothing is unpacked here: an entry is read only if somebody opens it. Archives may lie
about sizes, so what counts is what was read; and they may be made to exhaust whoever
reads them, so that is limited, too.
"""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

MB = 1024 * 1024
ARCHIVE = 100 * MB  # bytes of a zip or tar as it lies there
UNPACKED = 500 * MB  # bytes of a compressed tar that are read past to find the files
DIRECTORY = 16 * MB  # bytes of the list of files at the end of a zip
HEADER = 1 * MB  # bytes of what a tar says of one file
DEPTH = 8  # folders
LATEST = 1 << 33  # seconds since 1970: who says a later time, lies

# Folders that no student writes; a virtual environment has thousands of files.
TOOLS = {".git", ".venv", "venv", "__MACOSX", "__pycache__", "node_modules"}
TOOLS |= {".pytest_cache", ".mypy_cache", ".ruff_cache", "site-packages", ".idea"}

Opened = Callable[[], IO[bytes]]


class Refused(Exception):
    """This submission cannot be taken in. str() says why, in a line."""


@dataclass(frozen=True)
class Entry:
    """One regular file, or what claims to be something else."""

    path: str  # as it stands there
    open: Opened | None = None  # None: it is not a regular file
    kind: str = "a link"
    changed: float | None = None  # seconds since 1970
    folder: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the folders it is in, and its own; of "." none at all."""
        return PurePosixPath(self.path.replace("\\", "/").replace("\0", "?")).parts

    @property
    def by_tool(self) -> bool:
        """Whether it lies in a folder that no student writes."""
        return bool(TOOLS & set(self.parts[:-1]))


def entries(source: Path) -> Iterator[Entry]:
    """Yield all that is in `source`; Refused if it is too much, or cannot be read."""
    try:
        yield from _entries(source)
    except Refused:
        raise
    except OSError as exc:
        if isinstance(exc, gzip.BadGzipFile) or not exc.errno:
            raise Refused(f"it cannot be unpacked: {exc}") from None
        raise Refused(f"it cannot be read: {exc.strerror}") from None
    except Exception as exc:
        # Whatever else a parser dies of: struct.error, passwords, unknown methods,
        # memory. The archive is at fault, and one archive must not stop a class.
        what = str(exc) or type(exc).__name__
        what = what if what.isprintable() else repr(what)
        raise Refused(f"it cannot be unpacked: {what[:200]}") from None


def _entries(source: Path) -> Iterator[Entry]:
    status = source.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise Refused("it is a link")
    if stat.S_ISDIR(status.st_mode):
        return _in_folder(source)
    if not stat.S_ISREG(status.st_mode):
        raise Refused("it is neither a folder nor a file")
    if status.st_size > ARCHIVE:
        raise Refused(f"it is larger than {ARCHIVE // MB} MB")
    if not status.st_size:
        raise Refused("it is empty")
    return _in_zip(source) if zipfile.is_zipfile(source) else _in_tar(source)


def _time(seconds: float) -> float | None:
    return seconds if 0 < seconds < LATEST else None


# --------------------------------------------------------------------------- folders


def _in_folder(source: Path) -> Iterator[Entry]:
    """Walk without following links."""
    locked: list[OSError] = []
    for root, folders, files in os.walk(source, onerror=locked.append):
        inside = Path(root).relative_to(source)
        folders[:] = sorted(set(folders) - TOOLS)
        if len(inside.parts) >= DEPTH:
            folders.clear()
        for name in sorted([*files, *folders]):
            path = Path(root) / name
            yield _entry(path, (inside / name).as_posix())
    for error in locked:
        path = Path(error.filename)
        if path == source:
            raise error
        yield Entry(path.relative_to(source).as_posix(), kind="locked")


def _entry(path: Path, shown: str) -> Entry:
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        return Entry(shown, folder=True)
    if stat.S_ISREG(status.st_mode):
        return Entry(shown, partial(_opened, path), changed=_time(status.st_mtime))
    link = stat.S_ISLNK(status.st_mode)
    return Entry(shown, kind="a link" if link else "no regular file")


def _opened(path: Path) -> IO[bytes]:
    """Open it. It may have become a link, or a pipe, since we looked."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.fdopen(os.open(path, flags), "rb")


# ------------------------------------------------------------------------------- zip


class _InPieces:
    """A file of which nobody reads too much at once: a zip's list of files, say."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell
        self.seekable, self.close = file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY:
            raise Refused("it has too many files, or too long names of them")
        return self._file.read(min(size, DIRECTORY) if size >= 0 else DIRECTORY)


def _in_zip(source: Path) -> Iterator[Entry]:
    with source.open("rb") as file:
        pieces: Any = _InPieces(file)
        with zipfile.ZipFile(pieces) as archive:
            for info in archive.infolist():
                mode = info.external_attr >> 16
                if info.is_dir() or stat.S_ISLNK(mode):
                    yield Entry(info.filename, folder=info.is_dir())
                else:
                    opened = partial(archive.open, info)
                    yield Entry(info.filename, opened, changed=_zip_time(info))


def _zip_time(info: zipfile.ZipInfo) -> float | None:
    try:
        return _time(time.mktime((*info.date_time, 0, 0, -1)))
    except (OverflowError, ValueError):
        return None


# ------------------------------------------------------------------------------- tar


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


class _Header(tarfile.TarInfo):
    """What a tar says of one file. Long names are read at once, whatever their size."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> "_Header":
        found = super().frombuf(buf, encoding, errors)
        if not (found.isreg() or found.isdir()) and found.size > HEADER:
            raise Refused("it says too much of one of its files")
        return found


def _in_tar(source: Path) -> Iterator[Entry]:
    with _unpacked(source) as plain:
        limited: Any = _Limited(plain)
        with tarfile.open(fileobj=limited, mode="r|", tarinfo=_Header) as archive:
            remembered: Any = archive
            for member in archive:
                yield _of_tar(archive, member)
                remembered.members.clear()  # there may be very many


def _of_tar(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    opened: Any = partial(archive.extractfile, member) if member.isreg() else None
    link = member.issym() or member.islnk()
    return Entry(
        member.name,
        opened,
        "a link" if link else "no regular file",
        _time(float(member.mtime)),
        folder=member.isdir(),
    )


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
