"""What a student reads of one test, as plain text, wherever it is shown.

Every character is printable or the end of a line: what a student's program has printed
can do nothing to a terminal, a log or a page.
"""

from collections.abc import Sequence
from dataclasses import replace

from course import results
from course.results import Outcome, Result, StepOutcome
from course.scoring import Grade, StepGrade
from course.settings import Settings
from course.telling import at_home, number, of_step
from grading.rendering import visible
from grading.report import story_text, wrapped
from grading.steps import POINTS

REMARKS = 20  # on what was left aside
MOST = 20_000  # characters on one test; a report has about 4,000


def counts(earned: StepGrade, test: Outcome) -> bool:
    """Tell whether a test brings points."""
    return test.test in earned.counted and not _worthless(earned)


def _worthless(earned: StepGrade) -> bool:
    return earned.copied or bool(earned.raw and earned.of and not earned.points)


def on_test(step: StepOutcome, earned: StepGrade, test: Outcome) -> str:
    """Return the text; it is empty if there is nothing to say but that it passed."""
    parts = [wrapped(_verdict(test, counts=test.test in earned.counted))]
    if test.verdict == results.PASSED:
        parts = ["It passed."] if _worthless(earned) else []
    if _worthless(earned):
        parts.append(wrapped(f"{of_step(step, earned, extra=False)}."))
    if test.story:
        # Of a course's own points the story knows nothing: it has the kit's.
        worth, rest = divmod(test.points * earned.of, POINTS)
        story = replace(at_home(test.story), points=0 if rest else worth)
        parts.append(story_text(story))
    return shortened(printable("\n\n".join(filter(None, parts))))


def _verdict(test: Outcome, *, counts: bool) -> str:
    if test.verdict == results.FLAKY:
        counted = "as passed" if counts else "as failed"
        return (
            f"Flaky: it passed {test.passes} of {test.runs} times. It counts {counted}."
            " A program that works by chance has a mistake that shows by chance, too;"
            " this is what happened when it failed."
        )
    if test.verdict == results.NOT_RUN:
        return f"Not run: {test.reason}."
    if test.verdict == results.ERROR:
        return f"The grader could not tell: {test.reason}. Ask your instructor."
    if test.story or not test.reason:
        return ""
    return f"Failed: {test.reason}"


def on_whole(result: Result, grade: Grade, settings: Settings) -> str:
    """Return the points, and what is to be known of all that was handed in."""
    width = max(len(step.step) for step in grade.steps)
    rows = [_row(step.step, step.points, step.of, width) for step in grade.steps]
    rows.append(_row("total", grade.points, grade.of, width))
    said = [
        (step.step, of_step(step, earned, extra=step.step in settings.extra_credit))
        for step, earned in zip(result.steps, grade.steps, strict=True)
    ]
    notes = [f"{step}: {printable(words)}" for step, words in said if words]
    if result.refused:
        notes = [f"Nothing was graded: {printable(result.refused)}."]
    parts = ["\n".join(rows), "\n".join(notes)]
    remarks = [f"- {printable(it)}" for it in result.remarks[:REMARKS]]
    if more := len(result.remarks) - len(remarks):
        remarks.append(f"- and {more} more")
    parts.append("\n".join(remarks))
    parts.append("\n".join(map(wrapped, result.isolation)))
    return "\n\n".join(filter(None, parts))


def _row(name: str, points: float, of: int, width: int) -> str:
    return f"{name.ljust(width)}  {number(points):>5} of {of}"


def title(step: StepOutcome, test: Outcome) -> str:
    """Return the number and name of a test: 05.03 Alice does not get back what ..."""
    return f"{number_of(step, test)} {test.title or test.test}"


def number_of(step: StepOutcome, test: Outcome) -> str:
    """Return a number that sorts: 05.03."""
    return f"{step.step[:2]}.{step.tests.index(test) + 1:02}"


def printable(text: str) -> str:
    """Return `text` with all but ends of lines made visible."""
    return "\n".join(
        visible(line.encode("utf-8", "replace")) if not line.isprintable() else line
        for line in text.split("\n")
    )


def shortened(text: str, most: int = MOST) -> str:
    """Return the beginning and the end of a text that is too long."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} left out ...\n{text[-half:]}"


def apportioned(total: int, weights: Sequence[int]) -> list[int]:
    """Split a whole number in proportion to the weights, into whole numbers."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    shares = [divmod(total * weight, whole) for weight in weights]
    parts = [share for share, _ in shares]
    by_rest = sorted(range(len(weights)), key=lambda n: (-shares[n][1], n))
    for n in by_rest[: total - sum(parts)]:
        parts[n] += 1
    return parts
