"""All submissions, several at a time: a result each, kept as soon as it is there.

A submission whose result is kept already is not graded again, if nothing has changed:
not what was handed in, not the grader, not the choices that matter. So a batch that was
interrupted goes on where it was, and the same submission has the same result.
"""

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from course import intake, results, running
from course.intake import Refused, Taken
from course.likeness import Likeness, likeness
from course.results import Outcome, Result, StepOutcome
from grading import confinement
from grading.manifest import expected_tests
from grading.places import EXERCISES
from grading.steps import STARTERS, Step

PER_CORE = 4  # submissions at a time: grading waits more than it computes


@dataclass(frozen=True)
class Batch:
    """What is to be graded, and how."""

    submissions: Sequence[tuple[str, Path]]  # student, folder or archive
    steps: Sequence[Step]
    kept: Path  # the folder for the results
    repeats: int
    jobs: int = 0  # 0: as many as this machine can well do at a time

    def grade(self, done: Callable[[Result], None]) -> list[Result]:
        """Grade all; call `done` in this thread after each. Return them in order."""
        jobs = self.jobs or PER_CORE * (os.cpu_count() or 1)
        with ThreadPoolExecutor(jobs, "grading") as pool:
            futures = [pool.submit(self._grade, *it) for it in self.submissions]
            try:
                for future in as_completed(futures):
                    done(future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                running.stop_all()
                raise
        return [future.result() for future in futures]

    def _grade(self, student: str, source: Path) -> Result:
        path = self.kept / f"{student}.json"
        try:
            taken = intake.take(source, self.steps)
        except Refused as refusal:
            result = self._refused(student, str(refusal))
        else:
            digest = self._digest(taken)
            with contextlib.suppress(OSError, ValueError):
                kept = results.from_json(path.read_text(encoding="utf-8"))
                if kept.digest == digest:
                    return kept
            result = replace(self._graded(student, taken), digest=digest)
        results.write(path, results.to_json(result))
        return result

    def _digest(self, taken: Taken) -> str:
        names = " ".join(step.name for step in self.steps)
        walls = "".join(isolation())
        text = f"{taken.digest()} {grader_digest()} {names} {self.repeats} {walls}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _refused(self, student: str, why: str) -> Result:
        steps = tuple(nothing(step, f"not taken in: {why}") for step in self.steps)
        return Result(student=student, digest="", steps=steps, refused=why)

    def _graded(self, student: str, taken: Taken) -> Result:
        begun = time.monotonic()
        there = {name.partition("/")[0] for name in taken.files}
        chosen = [step for step in self.steps if step.name in there]
        with tempfile.TemporaryDirectory(prefix="submission-") as folder:
            taken.write(Path(folder))
            graded = running.grade_steps(chosen, Path(folder), self.repeats)
        found = {it.step: it for it in graded}
        steps = [found.get(step.name) or nothing(step) for step in self.steps]
        return Result(
            student=student,
            digest="",
            steps=tuple(map(_with_likeness(taken), self.steps, steps)),
            submitted=taken.newest,
            remarks=tuple(taken.remarks),
            isolation=isolation(),
            seconds=round(time.monotonic() - begun, 1),
        )


def _with_likeness(taken: Taken) -> Callable[[Step, StepOutcome], StepOutcome]:
    def look(step: Step, outcome: StepOutcome) -> StepOutcome:
        files = dict(_files_of(step, taken))
        outcome = replace(outcome, untouched=_untouched(step, files))
        found: Likeness | None = likeness(step, files) if files else None
        if not found:
            return outcome
        return replace(outcome, likeness=found.what, kin=found.kin)

    return look


def _untouched(step: Step, files: Mapping[str, bytes]) -> bool:
    """Whether they are the starter's, line ends and blanks aside."""
    return all(
        files.get(name, b"").split()
        == (STARTERS / step.name / name).read_bytes().split()
        for name in step.files
    )


def _files_of(step: Step, taken: Taken) -> Iterator[tuple[str, bytes]]:
    for name in step.files:
        if data := taken.files.get(f"{step.name}/{name}"):
            yield name, data


def nothing(step: Step, why: str = "not handed in") -> StepOutcome:
    """Return the outcome of a step in which there was nothing to grade."""
    tests = [
        Outcome(it.test, it.points, results.NOT_RUN, shows=it.shows, reason=why)
        for it in expected_tests(step)
    ]
    return StepOutcome(step.name, step.title, tuple(tests), handed_in=False, note=why)


@cache
def isolation() -> tuple[str, ...]:
    """Return which walls this system cannot build, in sentences."""
    if confinement.has_walls():
        return ()
    return (
        "Programs ran without walls (that needs Linux and bubblewrap): they could"
        " read other files of this machine, reach its network, and signal what runs.",
    )


@cache
def grader_digest() -> str:
    """Return what tells this grader from other versions of it."""
    digest = hashlib.sha256()
    for path in sorted(EXERCISES.rglob("*.py")):
        if "starters" not in path.parts and not path.parent.name[:2].isdigit():
            digest.update(path.read_bytes())
    for path in sorted(EXERCISES.glob("[0-9]*/test_*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
