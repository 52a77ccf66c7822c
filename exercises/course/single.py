"""One submission, graded where somebody's platform runs us: results that grow.

A platform may end us at any time. So there is a result from the first moment on, and a
better one after each step.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from course import intake, running, servers
from course.batch import Batch, isolation, nothing
from course.intake import Refused
from course.results import Result, StepOutcome
from grading.steps import Step

AT_A_TIME = 4  # steps; grading waits more than it computes
NOT_YET = "grading ended before it"


def graded(
    student: str, source: Path, steps: Sequence[Step], repeats: int
) -> Iterator[Result]:
    """Yield what is known: nothing at first, and at last all of it.

    `source` is a folder or an archive, as `intake` takes it; or a folder that holds
    nothing but an archive.
    """
    begun = time.monotonic()
    result = _result(student, steps, NOT_YET)
    yield result
    try:
        taken = intake.take(_only_archive(source) or source, steps)
    except Refused as refusal:
        why = f"not taken in: {refusal}"
        yield replace(_result(student, steps, why), refused=str(refusal))
        return
    result = replace(result, remarks=tuple(taken.remarks), submitted=taken.newest)
    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        taken.write(Path(folder))
        outcomes = {step.step: step for step in result.steps}
        for outcome in _outcomes(Path(folder), steps, repeats):
            outcomes[outcome.step] = outcome
            seconds = round(time.monotonic() - begun, 1)
            yield replace(result, steps=tuple(outcomes.values()), seconds=seconds)


def _result(student: str, steps: Sequence[Step], why: str) -> Result:
    return Result(
        student=student,
        digest="",
        steps=tuple(nothing(step, why) for step in steps),
        isolation=isolation(),
    )


def _only_archive(source: Path) -> Path | None:
    if not source.is_dir() or source.is_symlink():
        return None
    there = [path for path in source.iterdir() if not path.name.startswith((".", "__"))]
    archives = [path for path in there if path.name.lower().endswith(intake.SUFFIXES)]
    return archives[0] if there == archives and len(there) == 1 else None


def _outcomes(
    source: Path, steps: Sequence[Step], repeats: int
) -> Iterator[StepOutcome]:
    """Yield each step as soon as it is graded; several are at a time.

    If the grader itself fails with one, the others come first, and then its error.
    """
    broken: BaseException | None = None
    with (
        tempfile.TemporaryDirectory(prefix="results-") as kept,
        servers.kept(),
        ThreadPoolExecutor(AT_A_TIME, "grading") as pool,
    ):
        futures = {
            pool.submit(_graded, source, step, repeats, Path(kept)): step
            for step in steps
        }
        try:
            for future in as_completed(futures):
                if exc := future.exception():
                    yield nothing(futures[future], "the grader itself failed")
                    broken = exc
                else:
                    yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            running.stop_all()
            raise
    if broken:
        raise broken


def _graded(source: Path, step: Step, repeats: int, kept: Path) -> StepOutcome:
    batch = Batch(
        submissions=[(step.name, source)],
        steps=[step],
        kept=kept / step.name,
        repeats=repeats,
        jobs=1,
    )
    outcome = batch.grade(lambda result: None)[0].steps[0]
    return replace(outcome, submitted=None)  # the platform knows better
