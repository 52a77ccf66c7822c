"""One step of a submission through the grader, and once more where it fails.

Grading is done by processes of their own, see `workers`. They say what they find line
by line, so that nothing is lost if one dies. The verdicts start from the manifest:
what was not reported, is zero.
"""

import contextlib
import hashlib
import os
import tempfile
import threading
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
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

PARTS = 3  # what failed has mostly waited in vain: it is repeated side by side
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


def grade_step(step: Step, place: Place, repeats: int, runs: Executor) -> StepOutcome:
    """Grade a step of what lies in `place`; repeat what fails, see `_repeat`.

    Grading processes are waited for in the threads of `runs`.
    """
    _places.add(place)
    try:
        first = runs.submit(run, step, place).result()
        verdicts = {it.test: _verdict(it, first) for it in expected_tests(step)}
        _repeat(step, place, repeats, verdicts, runs)
    finally:
        _places.discard(place)
    missing = {f["missing"] for f in first.facts.values() if f["missing"]}
    note = f"{', '.join(sorted(missing))} is missing" if missing else first.died
    tests = tuple(verdicts.values())
    return StepOutcome(step=step.name, title=step.title, tests=tests, note=note)


def _repeat(
    step: Step, place: Place, repeats: int, verdicts: Verdicts, runs: Executor
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
        parts = [doubtful[first::PARTS] for first in range(min(PARTS, len(doubtful)))]
        again = [runs.submit(run, step, place, part, number) for part in parts]
        facts = ChainMap(*(dict(future.result().facts) for future in again))
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


def run(step: Step, place: Place, tests: Sequence[str] = (), number: int = 0) -> Run:
    """Grade `step`, or only these tests of it, in a new process; wait for its end.

    Each `number` stands for other words and other chances. Raise Stopped if nothing
    is to be started any more.
    """
    chosen = tests or [expected.test for expected in expected_tests(step)]
    env = {"GRADING_SEED": f"{_digest(place.submission)} {number}"}
    if place.temporary:
        env |= dict.fromkeys(TEMPORARY, os.fspath(place.temporary))
    with (
        tempfile.TemporaryDirectory(prefix="facts-", dir=place.temporary) as folder,
        _nameless(folder) as file,
    ):
        request = Request(step.name, chosen, os.fspath(place.submission), env)
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


def _digest(submission: Path) -> str:
    """Return what no file of the submission can contain: a number that it decides.

    From that come the words that people say in the tests. So they are the same
    whenever this is graded, but a program cannot know them by heart.
    """
    digest = hashlib.sha256()
    for path in sorted(submission.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(submission).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


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
