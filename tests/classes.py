"""Classes for tests of reports: results as they would come from grading, made up."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from course import results, scoring, settings
from course.analysis import Class
from course.results import Outcome, Result, StepOutcome
from grading.manifest import Expected, expected_tests
from grading.steps import Step, all_steps
from grading.story import Story
from told import SERVER, failed, told

STEPS = all_steps()
CHOICES = settings.default(STEPS)
MOST = sum(CHOICES.points.values())  # points, of all steps together
WORST_NAME = '=<b>&"Zoë"\t\u202e\'\x1b[31m\udcff</b>'


def step(name: str) -> Step:
    """Return the step with the number or topic that `name` ends with."""
    return next(it for it in STEPS if name in it.name)


@cache
def manifest(step: Step) -> list[Expected]:
    """Return the tests of a step; they are read once."""
    return expected_tests(step)


def story(step: str, test: str, expected: str = "to hear it", got: str = "no") -> Story:
    """Return a story that has some of everything."""
    return Story(
        who="alice",
        expected=expected,
        got=got,
        events=told(
            SERVER,
            ("alice", "connected", "mchat"),
            ("alice", "got", "mchat", b"<b>\x1b[31mred</b>\x00\r\n"),
            failed("alice", expected, got),
        ),
        step=step,
        test=test,
        shows="It <works>.",
        points=1,
        folder="../../tmp/submission-x/" + step,
        hint="See `recv`:\n\n```python\nsock.recv(4096)\n```",
        todo=1,
    )


def outcome(step: Step, verdicts: Mapping[str, str] = {}) -> StepOutcome:
    """Return a step of which all tests have passed but those in `verdicts`."""
    tests = []
    for it in manifest(step):
        verdict = verdicts.get(it.test, results.PASSED)
        bad = verdict in (results.FAILED, results.FLAKY)
        passes = {results.PASSED: 1, results.FLAKY: 3}.get(verdict, 0)
        tests.append(
            Outcome(
                test=it.test,
                points=it.points,
                verdict=verdict,
                passes=passes,
                runs=5 if bad else passes,
                shows=it.shows,
                reason="" if verdict == results.PASSED else "what <came>\x00 was odd",
                seconds=0.25,
                story=story(step.name, it.test) if bad else None,
            )
        )
    return StepOutcome(step.name, step.title, tuple(tests))


def absent(step: Step, why: str = "not handed in") -> StepOutcome:
    """Return a step in which there was nothing to grade."""
    tests = [
        Outcome(it.test, it.points, results.NOT_RUN, shows=it.shows, reason=why)
        for it in manifest(step)
    ]
    return StepOutcome(step.name, step.title, tuple(tests), handed_in=False, note=why)


def failing(step: Step, count: int = 1, verdict: str = results.FAILED) -> StepOutcome:
    """Return a step whose last `count` tests have not passed."""
    tests = [it.test for it in manifest(step)]
    return outcome(step, dict.fromkeys(tests[-count:], verdict))


def result(student: str, *steps: StepOutcome) -> Result:
    """Return the result of somebody who handed in `steps`, and nothing else."""
    found = {it.step: it for it in steps}
    whole = [found.get(step.name) or absent(step) for step in STEPS]
    return Result(student=student, digest="", steps=tuple(whole), submitted=1.8e9)


def refused(student: str, why: str) -> Result:
    """Return the result of a submission that could not be taken in."""
    steps = tuple(absent(step, f"not taken in: {why}") for step in STEPS)
    return Result(student=student, digest="", steps=steps, refused=why)


def graded(*found: Result) -> Class:
    """Return results with their grades."""
    return [(it, scoring.grade(it, CHOICES)) for it in found]


def mixed() -> list[Result]:
    """Return a class in which everything occurs, and step 05 is the hard one."""
    first, second, broadcast = step("01"), step("02"), step("05")
    known = [outcome(it) for it in STEPS[:4]]
    likeness = "it is the reference server, in a disguise"
    disguised = replace(outcome(broadcast), likeness=likeness, kin="reference")
    return [
        result("alice", *(outcome(it) for it in STEPS)),
        result("bob", *known, failing(broadcast, 3)),
        result("carol", *known, failing(broadcast, 1)),
        result("dave", *known, failing(broadcast, 7)),
        result("erin", outcome(first), failing(second, 1, results.FLAKY)),
        result("frank", outcome(first), failing(second, 1, results.ERROR)),
        result("../grace", *known, disguised),
        result("heidi"),
        refused("ivan", "it cannot be unpacked: <bad>"),
        replace(
            result(WORST_NAME, *known, replace(failing(broadcast, 7), untouched=True)),
            remarks=("left aside: conftest.py, which is not asked for",),
            isolation=("Programs ran without walls.",),
        ),
    ]
