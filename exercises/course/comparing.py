"""Asks `likeness` in a process of its own, which may die of what it reads.

Python's compiler is not made for text of strangers: a few kilobytes can crash it, or
keep it busy. So a helper reads them, and is replaced when that happens. It reads one
request a line from stdin, and ends with that.
"""

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from course.likeness import UNKNOWN, Likeness, likeness
from grading.deadlines import patient
from grading.orphans import ORPHANAGE
from grading.places import EXERCISES
from grading.steps import Step, load

TIME = patient(30.0)  # seconds; it takes a tenth of one
COMMAND = [sys.executable, "-m", "course.comparing"]
UNREADABLE = Likeness(
    "it cannot be compared with the kit's own programs: Python dies of reading it",
    UNKNOWN,
)


class Comparer:
    """One helper at a time, started when it is needed. Any thread may ask."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._lock = threading.Lock()  # one question at a time
        self._helper: subprocess.Popen[bytes] | None = None

    def likeness(self, step: Step, files: Mapping[str, bytes]) -> Likeness | None:
        """Return what `likeness` does, or that it cannot be told."""
        encoded = {
            name: base64.b64encode(data).decode() for name, data in files.items()
        }
        request = json.dumps({"step": str(step.folder), "files": encoded})
        with self._lock:
            answer = self._ask(request.encode() + b"\n")
        if not answer.endswith(b"\n"):
            return UNREADABLE
        found = json.loads(answer)
        return Likeness(**found) if found else None

    def _ask(self, request: bytes) -> bytes:
        """Return the answer, b"" if the helper has died of it."""
        helper = self._helper = self._helper or _started()
        timer = threading.Timer(TIME, helper.kill)
        timer.start()
        try:
            assert helper.stdin
            assert helper.stdout
            helper.stdin.write(request)
            helper.stdin.flush()
            answer = helper.stdout.readline()
        except OSError:
            answer = b""
        finally:
            timer.cancel()
            timer.join()
        if not answer:
            self._end()
        return answer

    def _end(self) -> None:
        if helper := self._helper:
            helper.kill()
            helper.communicate()
            self._helper = None

    def close(self) -> None:
        """End the helper. Idempotent."""
        with self._lock:
            self._end()

    def __enter__(self) -> "Comparer":
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()


def _started() -> "subprocess.Popen[bytes]":
    with ORPHANAGE.starting() as started:
        helper = subprocess.Popen(
            COMMAND,
            cwd=EXERCISES,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us to handle
        )
        started.add(helper.pid)
    return helper


def main() -> None:
    """Answer requests."""
    from pathlib import Path

    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        step = load(Path(request["step"]))
        files = {
            name: base64.b64decode(data) for name, data in request["files"].items()
        }
        found = likeness(step, files)
        print(json.dumps(asdict(found) if found else None), flush=True)


if __name__ == "__main__":
    main()
