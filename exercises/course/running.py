"""One submission through the grader, and once more where it fails.

Grading is a process of its own, pytest with the kit's plugin; the student's programs
are its children, in sandboxes. It says what it finds line by line, so that nothing is
lost if it dies. The verdicts start from the manifest: what was not reported, is zero.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from course import results
from course.results import Outcome, StepOutcome
from grading import confinement, facts
from grading.deadlines import patient
from grading.manifest import Expected, expected_tests
from grading.places import KIT
from grading.processes import Family
from grading.steps import Step
from grading.story import Story

EACH = patient(30.0)  # seconds for a test, on the average; most take one
START = patient(60.0)  # and for all that is before and after

Facts = dict[str, Any]

_running: set["subprocess.Popen[bytes]"] = set()  # changed in one step each, so no lock


@dataclass(frozen=True)
class Run:
    """What one grading process has found."""

    facts: Mapping[str, Facts]  # by the name of the test; of one step
    died: str = ""  # how it ended, if not in good order


def grade_step(
    step: Step, submission: Path, repeats: int, spoilt: Sequence[str] = ()
) -> StepOutcome:
    """Grade one step of what lies in `submission`; repeat what fails.

    Each repetition is a new process with other words and other chances. It goes on
    until something else comes out, `repeats` times at most; and not at all if no test
    passes: that is no matter of chance.
    """
    return grade_steps([step], submission, repeats)[0]


def grade_steps(
    steps: Sequence[Step], submission: Path, repeats: int
) -> list[StepOutcome]:
    """Do that for several steps."""
    first = run(steps, submission)
    return [_outcome(step, submission, repeats, first[step.name]) for step in steps]


def _outcome(step: Step, submission: Path, repeats: int, first: Run) -> StepOutcome:
    manifest = expected_tests(step)
    verdicts = {test.test: _verdict(test, first) for test in manifest}
    if any(it.verdict == results.PASSED for it in verdicts.values()):
        _repeat(step, submission, repeats, verdicts)
    missing = {f["missing"] for f in first.facts.values() if f["missing"]}
    note = f"{', '.join(sorted(missing))} is missing" if missing else first.died
    return StepOutcome(
        step=step.name, title=step.title, tests=tuple(verdicts.values()), note=note
    )


def _repeat(
    step: Step, submission: Path, repeats: int, verdicts: dict[str, Outcome]
) -> None:
    """Run the tests that failed again and again, until they pass: then they are flaky.

    A first repetition tells nearly always; what passes there is repeated to the end,
    to say how often it does.
    """
    doubtful = [it.test for it in verdicts.values() if it.verdict == results.FAILED]
    for number in range(1, repeats + 1):
        if not doubtful:
            return
        again = run([step], submission, doubtful, seed=number)[step.name]
        for test in doubtful:
            passed = bool(again.facts.get(test, {}).get("earned"))
            verdicts[test] = _counted(verdicts[test], passed)
        doubtful = [test for test in doubtful if verdicts[test].passes]


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
    return replace(
        outcome,
        verdict=results.FAILED if story else results.ERROR,
        runs=1,
        reason=found["error"].partition("\n")[0],
        seconds=seconds,
        story=story,
    )


# --------------------------------------------------------------------- the process


def run(
    steps: Sequence[Step], submission: Path, tests: Sequence[str] = (), seed: int = 0
) -> dict[str, Run]:
    """Grade `steps`, or of the only one `tests`, in a new process; wait for its end."""
    with tempfile.TemporaryDirectory(prefix="facts-") as folder:
        path = Path(folder) / "facts"
        died = _grade(_command(steps, submission, tests, path), seed, _time(steps))
        found = list(_read(path))
    return {
        step.name: Run({f["test"]: f for f in found if f["step"] == step.name}, died)
        for step in steps
    }


def _time(steps: Sequence[Step]) -> float:
    return START + EACH * sum(len(expected_tests(step)) for step in steps)


def _command(
    steps: Sequence[Step], submission: Path, tests: Sequence[str], path: Path
) -> list[str]:
    what = [os.fspath(step.folder) for step in steps]
    if tests:
        what = [f"{steps[0].grader}::{test}" for test in tests]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "pytest_timeout", "-c", os.fspath(KIT / "pyproject.toml")]
    command += ["--rootdir", os.fspath(KIT), "--confcutdir", os.fspath(KIT)]
    command += ["--confine", f"--submission={submission}", f"--facts={path}", *what]
    return (
        confinement.in_private_network(command) if confinement.has_walls() else command
    )


def _grade(command: list[str], seed: int, timeout: float) -> str:
    """Run it; return how it died, if it did."""
    family = Family()
    env = family.environment() | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "GRADING_SEED": str(seed or ""),
    }
    process = subprocess.Popen(
        command,
        cwd=KIT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    family.set_head(process.pid)
    _running.add(process)
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return f"grading was stopped: it took more than {timeout:.0f} s"
    finally:
        known = family.descendants() if process.poll() is None else []
        process.kill()
        process.wait()
        family.kill_descendants(known)
        _running.discard(process)
        if process.stdout:
            process.stdout.close()
    if process.returncode in (0, 1):
        return ""
    last = output.decode(errors="replace").strip().rpartition("\n")[2]
    return f"grading ended early ({process.returncode}): {last}"


def stop_all() -> None:
    """Kill every grading process, so that those who wait for one need not."""
    for process in list(_running):
        process.kill()


def _read(path: Path) -> Iterator[Facts]:
    """Yield what was found; a last line that was cut off does not count."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            with contextlib.suppress(ValueError):
                if line.endswith("\n"):
                    yield facts.from_json(line)
