"""One step of a submission through the grader, and once more where it fails.

Grading is done by processes of their own, see `workers`. They say what they find line
by line, so that nothing is lost if one dies. The verdicts start from the manifest:
what was not reported, is zero.
"""

import contextlib
import hashlib
import math
import os
import tempfile
import threading
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from course import results, workers
from course.results import Outcome, StepOutcome
from grading import facts
from grading.diagnosis import diagnose
from grading.manifest import Expected, expected_tests
from grading.serving import Request
from grading.steps import Step
from grading.story import Story

Facts = dict[str, Any]
Verdicts = dict[str, Outcome]  # of one step, by the name of the test

FEW = 3  # tests at a time in the end, when nobody should have to wait for many
REASON = 1000  # characters of one
TOO_LONG = "Timeout ("  # begins what pytest-timeout says


@dataclass(frozen=True, eq=False)
class Place:
    """Where one step of a submission is graded."""

    submission: Path  # the files of the student, laid out like exercises/
    temporary: Path | None = None  # the folder for all that does not stay
    stop: threading.Event = field(default_factory=threading.Event)  # start nothing more


_places: set[Place] = set()  # where grading goes on


@dataclass(frozen=True)
class Run:
    """What one grading process has found."""

    facts: Mapping[str, Facts]  # by the name of the test
    died: str = ""  # how it ended, if not in good order


class Runners(ThreadPoolExecutor):
    """Threads, each of which waits for one grading process at a time."""

    def __init__(self, most: int) -> None:
        """Start none yet; there will be `most` of them."""
        super().__init__(most, "grading")
        self.most = most
        self.ending = False  # there is little left to do
        self._pending: set[Future[Run]] = set()  # changed in one step each, so no lock

    def run(
        self, step: Step, place: Place, tests: Sequence[str], number: int = 0
    ) -> Run:
        """Run these tests, see `run`; side by side if there are threads to spare.

        So there are few processes while there is much to do, for each takes some time
        to start; and nobody waits long for the last steps of a class, or the only one.
        """
        idle = self.most - len(self._pending)
        least = math.ceil(len(tests) / FEW) if self.ending else 1
        parts = max(least, min(len(tests), idle))
        futures = []
        try:
            for first in range(parts):
                future = self.submit(run, step, place, tests[first::parts], number)
                self._pending.add(future)
                future.add_done_callback(self._pending.discard)
                futures.append(future)
        finally:
            settle(futures)
        runs = [future.result() for future in futures]
        found = ChainMap(*(dict(it.facts) for it in runs))
        return Run(found, next((it.died for it in runs if it.died), ""))


def settle(futures: Iterable[Future[Any]]) -> None:
    """Wait until each is done, in whatever way: none needs its folder any more."""
    for future in futures:
        with contextlib.suppress(CancelledError):  # wait() would not see that
            future.exception()


def grade_step(step: Step, place: Place, repeats: int, runners: Runners) -> StepOutcome:
    """Grade a step of what lies in `place`; repeat what fails, see `_repeat`."""
    _places.add(place)
    try:
        first = runners.run(step, place, [it.test for it in expected_tests(step)])
        verdicts = {it.test: _verdict(it, first) for it in expected_tests(step)}
        _repeat(step, place, repeats, verdicts, runners)
    finally:
        _places.discard(place)
    missing = {f["missing"] for f in first.facts.values() if f["missing"]}
    note = f"{', '.join(sorted(missing))} is missing" if missing else first.died
    tests = tuple(verdicts.values())
    return StepOutcome(step=step.name, title=step.title, tests=tests, note=note)


def _repeat(
    step: Step, place: Place, repeats: int, verdicts: Verdicts, runners: Runners
) -> None:
    """Run the tests that failed again; what passes then is flaky.

    Each repetition is a new process with other words and other chances. A first one
    tells nearly always; what passes there is repeated to the end, to say how often it
    does. Nothing is repeated of a step of which no test passes: that is no chance. Nor
    is it if a program went round and round, or was stopped for what it took.
    """
    doubtful = _doubtful(verdicts)
    for number in range(1, repeats + 1):
        if not doubtful:
            return
        facts = runners.run(step, place, doubtful, number).facts
        for test in doubtful:
            passed = bool(facts.get(test, {}).get("earned"))
            verdicts[test] = _counted(verdicts[test], passed)
        doubtful = [test for test in doubtful if verdicts[test].passes]


def _doubtful(verdicts: Verdicts) -> list[str]:
    if all(it.verdict != results.PASSED for it in verdicts.values()):
        return []
    failed = [it for it in verdicts.values() if it.verdict == results.FAILED]
    return [it.test for it in failed if not (it.story and _is_no_chance(it.story))]


def _is_no_chance(story: Story) -> bool:
    return any(program.took_too_much or program.spins for program in story.programs)


def _counted(outcome: Outcome, passed: bool) -> Outcome:
    passes, runs = outcome.passes + passed, outcome.runs + 1
    verdict = results.FLAKY if passes else outcome.verdict
    return replace(outcome, passes=passes, runs=runs, verdict=verdict)


def _verdict(expected: Expected, run: Run) -> Outcome:
    """Return what the first run says of one test."""
    outcome = Outcome(
        test=expected.test,
        points=expected.points,
        shows=expected.shows,
        verdict=results.NOT_RUN,
        reason=run.died or "grading ended before it",
    )
    found = run.facts.get(expected.test)
    if found is None:
        return outcome
    seconds = float(found["seconds"])
    if found["earned"]:
        return replace(
            outcome,
            verdict=results.PASSED,
            passes=1,
            runs=1,
            reason="",
            seconds=seconds,
        )
    if found["missing"]:
        return replace(outcome, reason=found["error"])
    story = Story.from_dict(found["story"]) if "story" in found else None
    too_long = found["error"].startswith(TOO_LONG)
    return replace(
        outcome,
        verdict=results.FAILED if story or too_long else results.ERROR,
        runs=1,
        reason=_reason(found["error"], story),
        seconds=seconds,
        story=story,
    )


def _reason(error: str, story: Story | None) -> str:
    """Return why a test failed, in a line."""
    if story:
        return next(iter(diagnose(story)), story.sentence)[:REASON]
    if error.startswith(TOO_LONG):
        return (
            "the program kept the test waiting until it was stopped: it took too long"
        )
    return error.partition("\n")[0][:REASON]


# --------------------------------------------------------------------- the process


def run(step: Step, place: Place, tests: Sequence[str], number: int = 0) -> Run:
    """Run these tests of `step` in a new process; wait for its end.

    Each `number` stands for other words and other chances. Raise Stopped if nothing
    is to be started any more.
    """
    env = {"GRADING_SEED": f"{digest(step, place.submission)} {number}"}
    if place.temporary:
        env |= dict.fromkeys(TEMPORARY, os.fspath(place.temporary))
    with (
        tempfile.TemporaryDirectory(prefix="facts-", dir=place.temporary) as folder,
        _nameless(folder) as file,
    ):
        request = Request(step.name, tests, os.fspath(place.submission), env)
        died = workers.grade(request, file, place.stop)
        file.seek(0)
        return Run({found["test"]: found for found in _read(file)}, died)


TEMPORARY = ("TMPDIR", "TEMP", "TMP")  # what says where temporary files belong


def _nameless(folder: str) -> IO[bytes]:
    """Return a new file for the verdicts. Where it can be, it has no name.

    So nobody but the grading process can write to it: a program that runs without
    walls would have to look into that process, which `orphans` forbids.
    """
    return tempfile.TemporaryFile(dir=folder) if os.name == "posix" else _named(folder)


def _named(folder: str) -> IO[bytes]:
    return Path(folder, "facts").open("w+b")


def digest(step: Step, submission: Path) -> str:
    """Return what no file of the step can contain: a number that they decide.

    From that come the words that people say in the tests. So they are the same
    whenever these files are graded, but a program cannot know them by heart.
    """
    together = hashlib.sha256(step.name.encode())
    for name in (*step.files, *step.given):
        path = submission / step.name / name
        if path.is_file():
            together.update(name.encode() + b"\0")
            together.update(hashlib.sha256(path.read_bytes()).digest())
    return together.hexdigest()


def stop_all() -> None:
    """Kill every grading process, so that those who wait for one need not."""
    for place in list(_places):
        place.stop.set()
    workers.kill_all()


def _read(file: IO[bytes]) -> Iterator[Facts]:
    """Yield what was found; a last line that was cut off does not count."""
    for line in file:
        with contextlib.suppress(ValueError):
            if line.endswith(b"\n"):
                yield facts.from_json(line.decode())
