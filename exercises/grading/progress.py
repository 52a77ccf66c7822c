"""What a student has reached: the last result of every test, kept in a file.

`pytest exercises/...` writes it when it grades the student's own folder; the guide
reads it. It is only a memory: nobody is graded by it, and it can be deleted.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grading.points import TestResult
from grading.steps import EXERCISES, POINTS, Step

FILE = EXERCISES / ".progress.json"


@dataclass
class Record:
    """What is known of one step. Points count for the files they were given for."""

    digest: str = ""  # of the files when they were graded
    earned: dict[str, int] = field(default_factory=dict)  # test name -> points
    first_failure: str = ""  # the name of the first test that failed, in file order
    hint: int = 0  # the TODO that this failure is about
    hints_shown: dict[str, int] = field(default_factory=dict)  # TODO -> how many

    @property
    def points(self) -> int:
        """The sum of what was earned."""
        return sum(self.earned.values())

    @property
    def passed(self) -> bool:
        """Whether nothing is left to earn."""
        return self.points >= POINTS


def digest(step: Step) -> str:
    """Return a fingerprint of the student's files of a step."""
    whole = hashlib.sha256()
    for name in (*step.files, *step.given):
        path = step.folder / name
        content = path.read_bytes() if path.is_file() else b"(missing)"
        whole.update(f"{name} {len(content)}\n".encode() + content)
    return whole.hexdigest()


def load(path: Path = FILE) -> dict[str, Record]:
    """Return the records by step name; nothing is known if the file is damaged."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {name: Record(**fields) for name, fields in known.items()}
    return {}


def save(records: Mapping[str, Record], path: Path = FILE) -> None:
    """Replace the file, in one go. A folder that cannot be written to is no error."""
    text = json.dumps(
        {name: vars(record) for name, record in records.items()}, indent=1
    )
    part = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        part.write_text(text, encoding="utf-8")
        part.replace(path)


def update(results: Mapping[Step, Sequence[TestResult]], path: Path = FILE) -> None:
    """Remember the results of a run; tests that did not run keep their last one."""
    records = load(path)
    for step, tests in results.items():
        ran = [test for test in tests if test.ran]
        if not ran:
            continue
        record = records.setdefault(step.name, Record())
        if record.digest != digest(step):
            record.digest, record.earned = digest(step), {}
        record.earned |= {test.test: test.earned for test in ran}
        failed = [test for test in ran if not test.passed]
        record.first_failure = failed[0].test if failed else ""
        record.hint = failed[0].todo if failed else 0
        if record.hint:  # the report of that failure shows the first hint
            record.hints_shown.setdefault(str(record.hint), 1)
    save(records, path)
