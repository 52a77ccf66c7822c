"""The folder for what a batch does not keep; and that there is one batch at a time.

A batch may be killed at any moment, and then nobody tidies up. So a file beside the
results says who works here, and where: the next batch removes what was left.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

NAME = ".working"
PREFIX = "class-"


class Busy(Exception):
    """Another batch works here. str() says which, in a line."""


@contextlib.contextmanager
def working_folder(kept: Path) -> Iterator[Path]:
    """Give an empty folder, and remove it in the end; Busy if another batch works."""
    kept.mkdir(parents=True, exist_ok=True)
    path = kept / NAME
    _tidy_up(path)
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        me = psutil.Process()
        said = {"pid": me.pid, "begun": me.create_time(), "folder": name}
        path.write_text(json.dumps(said), encoding="utf-8")
        try:
            yield Path(name)
        finally:
            path.unlink(missing_ok=True)


def _tidy_up(path: Path) -> None:
    """Remove what a batch has left that was killed."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        pid, begun, folder = int(said["pid"]), said["begun"], Path(said["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if _lives(pid, begun):
        raise Busy(f"process {pid} is grading here")
    for left in path.parent.glob(".*.json-*"):  # results that were being written
        left.unlink(missing_ok=True)
    if folder.name.startswith(PREFIX) and _is_ours(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int, begun: float) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(pid).create_time() == begun)
    return False


def _is_ours(folder: Path) -> bool:
    return (
        folder.parent == Path(tempfile.gettempdir())
        and folder.is_dir()
        and not folder.is_symlink()
        and (os.name != "posix" or folder.stat().st_uid == os.getuid())
    )
