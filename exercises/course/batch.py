"""All submissions, several at a time: a result each, kept as soon as it is there.

A submission whose result is kept already is not graded again, if nothing has changed:
not what was handed in, not the grader, not the choices that matter. So a batch that was
interrupted goes on where it was, and the same submission has the same result. Nor are
the same files of a step graded again for another student.
"""

import contextlib
import hashlib
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import (
    CancelledError,
    Future,
    ThreadPoolExecutor,
    as_completed,
)
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from course import intake, results, running, servers, workers
from course.comparing import Comparer
from course.intake import Refused, Taken
from course.likeness import FINGERPRINTS, SERVER, SOLUTIONS
from course.pytests import DIED
from course.results import Outcome, Result, StepOutcome
from course.running import Place, Runners
from course.working import working_folder
from grading import walls
from grading.manifest import expected_tests
from grading.places import EXERCISES, KIT
from grading.steps import STARTERS, Step

KEPT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}")  # the same everywhere, and short
LAST = 3  # steps to each process: if fewer wait, the end of the batch has begun
PER_CORE = 8  # grading processes at a time: they wait more than they compute


@dataclass(frozen=True)
class Batch:
    """What is to be graded, and how."""

    submissions: Sequence[tuple[str, Path]]  # student, folder or archive
    steps: Sequence[Step]
    kept: Path  # the folder for the results
    repeats: int
    jobs: int = 0  # processes at a time; 0: as many as this machine can well do

    def grade(self, done: Callable[[Result], None]) -> list[Result]:
        """Grade all; call `done` in this thread after each. Return them in order.

        Raise Busy if another batch keeps its results here.
        """
        jobs = self.jobs or PER_CORE * (os.cpu_count() or 1)
        with (
            working_folder(self.kept) as temporary,
            servers.kept(),
            Comparer() as comparer,
            Runners(jobs) as runners,
            ThreadPoolExecutor(jobs, "step") as steps,
            ThreadPoolExecutor(jobs, "submission") as submissions,
        ):
            one = _One(self, temporary, comparer, steps, runners)
            one.waiting.update(student for student, _ in self.submissions)
            futures = [submissions.submit(one.grade, *it) for it in self.submissions]
            try:
                for future in as_completed(futures):
                    done(future.result())
            except BaseException:
                for pool in (submissions, steps, runners):
                    pool.shutdown(wait=False, cancel_futures=True)
                running.stop_all()
                raise
            return [future.result() for future in futures]


@dataclass(frozen=True)
class _One:
    """Grades one submission of a batch. Whatever that leads to, it is a result."""

    batch: Batch
    temporary: Path
    comparer: Comparer
    pool: ThreadPoolExecutor  # a thread for each step: it mostly waits
    runners: Runners  # for the processes that grade it
    begun: dict[str, Future[StepOutcome]] = field(default_factory=dict)  # by the files
    lock: threading.Lock = field(default_factory=threading.Lock)  # guards that
    waiting: set[str] = field(default_factory=set)  # students and steps, not begun yet

    def grade(self, student: str, source: Path) -> Result:
        """Grade it, unless its result is kept. Keep its result."""
        self.waiting.discard(student)
        try:
            result = self._result(student, source)
        except (workers.Stopped, CancelledError):
            raise
        except Exception as exc:
            # A mistake of ours, or of this machine: it is told, and the others go on.
            return self._broken(student, f"the grader itself failed: {exc!r}")
        return result

    def _result(self, student: str, source: Path) -> Result:
        path = self.batch.kept / kept_name(student)
        try:
            taken = intake.take(source, self.batch.steps)
        except Refused as refusal:
            result = self._refused(student, str(refusal))
        else:
            digest = self._digest(taken)
            result = _kept(path, student, digest) or replace(
                self._graded(student, taken), digest=digest
            )
            result = _with_times(result, taken)
        results.write(path, results.to_json(result))
        return result

    def _digest(self, taken: Taken) -> str:
        names = " ".join(step.name for step in self.batch.steps)
        lacking = "".join(isolation())
        text = (
            f"{taken.digest()} {grader_digest()} {names} {self.batch.repeats} {lacking}"
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def _refused(self, student: str, why: str) -> Result:
        steps = [nothing(step, f"not taken in: {why}") for step in self.batch.steps]
        return Result(student=student, digest="", steps=tuple(steps), refused=why)

    def _broken(self, student: str, why: str) -> Result:
        """Return a result that nobody takes for a verdict; it is not kept."""
        steps = [failed(step, why) for step in self.batch.steps]
        return Result(student=student, digest="", steps=tuple(steps))

    def _graded(self, student: str, taken: Taken) -> Result:
        begun = time.monotonic()
        there = {name.partition("/")[0] for name in taken.files}
        given = [step for step in self.batch.steps if step.name in there]
        # What was handed out earns nothing in any test: no need to see that again.
        same = [it for it in given if _untouched(it, dict(_files_of(it, taken)))]
        chosen = [step for step in given if step not in same]
        with tempfile.TemporaryDirectory(dir=self.temporary) as folder:
            taken.write(Path(folder))
            futures = [
                self._begin(step, Path(folder))
                for step in reversed(chosen)  # later ones take longer: at once, then
            ]
            running.settle(futures)
            found = {it.result().step: it.result() for it in futures}
        found |= {step.name: _not_begun(step) for step in same}
        steps = [found.get(step.name) or nothing(step) for step in self.batch.steps]
        look = _with_likeness(taken, self.comparer)
        return Result(
            student=student,
            digest="",
            steps=tuple(map(look, self.batch.steps, steps)),
            isolation=isolation(),
            seconds=round(time.monotonic() - begun, 1),
        )

    def _begin(self, step: Step, submission: Path) -> Future[StepOutcome]:
        """Begin to grade a step, unless somebody else has handed in the same files."""
        digest = running.digest(step, submission)
        with self.lock:
            if digest not in self.begun:
                self.waiting.add(digest)
                future = self.pool.submit(self._grade_step, step, submission, digest)
                self.begun[digest] = future
            return self.begun[digest]

    def _grade_step(self, step: Step, submission: Path, digest: str) -> StepOutcome:
        self.waiting.discard(digest)
        self.runners.ending = len(self.waiting) < LAST * self.runners.most
        with tempfile.TemporaryDirectory(dir=self.temporary) as scratch:
            place = Place(submission, Path(scratch))
            return running.grade_step(step, place, self.batch.repeats, self.runners)


def _with_times(result: Result, taken: Taken) -> Result:
    """Add what may change though the files do not."""
    steps = [replace(it, submitted=taken.times.get(it.step)) for it in result.steps]
    return replace(
        result,
        steps=tuple(steps),
        remarks=tuple(taken.remarks),
        submitted=taken.newest,
    )


def _kept(path: Path, student: str, digest: str) -> Result | None:
    """Return the result that is kept, if it is whole, about the same, and a verdict."""
    with contextlib.suppress(OSError, ValueError):
        kept = results.from_json(path.read_text(encoding="utf-8"))
        if (kept.digest, kept.student) == (digest, student) and _is_settled(kept):
            return kept
    return None


def _is_settled(result: Result) -> bool:
    """Tell whether nothing of it is our own failure, which may be a passing one."""
    died = any(step.note.startswith(DIED) for step in result.steps)
    tests = [test for step in result.steps for test in step.tests]
    return not died and all(test.verdict != results.ERROR for test in tests)


def kept_name(student: str) -> str:
    """Return the name of a student's file: no two are the same on any system."""
    if KEPT_NAME.fullmatch(student):
        return f"{student}.json"
    digest = hashlib.sha256(student.encode("utf-8", "surrogateescape")).hexdigest()
    stem = re.sub(r"[^a-z0-9_-]", "_", student.lower())[:40]
    return f"{stem}.{digest[:16]}.json"


def _with_likeness(
    taken: Taken, comparer: Comparer
) -> Callable[[Step, StepOutcome], StepOutcome]:
    def look(step: Step, outcome: StepOutcome) -> StepOutcome:
        files = dict(_files_of(step, taken))
        found = comparer.likeness(step, files) if files else None
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


def _not_begun(step: Step) -> StepOutcome:
    outcome = nothing(step, "the files are as they were handed out")
    return replace(outcome, handed_in=True, untouched=True, note="")


def failed(step: Step, why: str) -> StepOutcome:
    """Return the outcome of a step of which the grader could not tell anything."""
    tests = [
        Outcome(it.test, it.points, results.ERROR, shows=it.shows, reason=why)
        for it in expected_tests(step)
    ]
    return StepOutcome(step.name, step.title, tuple(tests), note=why)


@cache
def isolation() -> tuple[str, ...]:
    """Return which walls this system cannot build, in sentences."""
    if walls.has_walls():
        return ()
    ours = ", the kit's solutions among them" if SOLUTIONS.is_dir() else ""
    return (
        "Programs ran without walls (that needs Linux and bubblewrap): they could"
        f" read other files of this machine{ours}, reach its network, and signal what"
        " runs. Limits and clean copies held.",
    )


@cache
def grader_digest() -> str:
    """Return what tells this grader, and what it compares with, from other versions."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(path for path in _grader_files() if path.is_file()):
        data = path.read_bytes()
        digest.update(
            f"{path.relative_to(KIT).as_posix()} {len(data)} ".encode() + data
        )
    return digest.hexdigest()


def _grader_files() -> Iterator[Path]:
    """Yield the files that a verdict, or what is told of it, depends on."""
    for package in ("grading", "course"):
        yield from (EXERCISES / package).rglob("*.py")
    yield from (FINGERPRINTS, KIT / "pyproject.toml")
    for folder in EXERCISES.glob("[0-9][0-9]_*"):
        yield from folder.glob("test_*.py")
        yield from (folder / "step.toml", folder / "HINTS.md")
    for folder, files in ((SERVER, "*.py"), (SOLUTIONS, "*/*.py")):
        yield from folder.glob(files)
