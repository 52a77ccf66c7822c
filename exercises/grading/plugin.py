"""The grader as a pytest plugin: options, points, reports, and the memory of them.

    pytest exercises/05_broadcast        one step, in place
    pytest exercises                     all steps
    pytest exercises --submission DIR    the same for a folder laid out like exercises/
    pytest exercises --solutions         the kit's own solutions
    pytest exercises --confine           with the programs in a sandbox
    pytest exercises --report DIR        a page and pictures besides

What is here only connects: `manifest` knows the tests, `grader` runs them, `report`
tells failures, `points` counts, `progress` remembers.
"""

import os
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from grading import network, progress
from grading.confinement import Confined, Walled
from grading.facts import as_line
from grading.fixtures import no_threads_left
from grading.grader import Grader, Missing
from grading.lifeline import hold_on
from grading.manifest import Expected, expected_tests
from grading.mismatch import Mismatch
from grading.orphans import ORPHANAGE
from grading.points import StepResult, TestResult, points_table, step_result
from grading.processes import Family
from grading.report import story_text
from grading.serving import Request, be_server, leave, next_request
from grading.steps import EXERCISES, Step, all_steps, step_of
from grading.story import Story
from grading.walls import Walls, has_walls

SOLUTIONS = EXERCISES.parent / "tests" / "solutions"

_step_key = pytest.StashKey[Step]()
_expected_key = pytest.StashKey[Expected]()  # what is known of the test
_walls_key = pytest.StashKey[Walls]()


# ------------------------------------------------------------------------- options


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the grader."""
    group = parser.getgroup("exercises", "grading the exercises")
    group.addoption(
        "--submission",
        metavar="DIR",
        help="grade the files in DIR, laid out like exercises/, instead of your own",
    )
    group.addoption(
        "--solutions", action="store_true", help="grade the kit's own solutions"
    )
    group.addoption(
        "--confine",
        action="store_true",
        help="let the programs see, reach and use little: for those of strangers",
    )
    group.addoption(
        "--walls",
        choices=("yes", "no"),
        default="",
        help="with --confine: insist on a sandbox, or do without",
    )
    group.addoption(
        "--lifeline",
        action="store_true",
        help="end at the end of stdin, with all programs; needs -s",
    )
    group.addoption(
        "--facts",
        metavar="FILE",
        help="also write what is found, a line of JSON as each test ends",
    )
    group.addoption(
        "--serve", metavar="FD", type=int, help="wait for requests; see grading.serving"
    )
    group.addoption(
        "--report", metavar="DIR", help="also write an HTML page and pictures to DIR"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known, and collect results in the process that reports."""
    for line in ("points(n): what a test is worth", "hint(n): the TODO it is about"):
        config.addinivalue_line("markers", line)
    if not hasattr(config, "workerinput"):  # that is: not in a worker of xdist
        config.pluginmanager.register(Scoreboard(config), "scoreboard")
    _prepare(config)


def _prepare(config: pytest.Config) -> None:
    """Make this process one that can run programs."""
    if config.getoption("walls") == "no":
        ORPHANAGE.open()
    elif config.getoption("confine") and (config.getoption("walls") or has_walls()):
        walls = config.stash.get(_walls_key, None)
        if not (walls and walls.fit()):
            config.stash[_walls_key] = Walls()
    if config.getoption("lifeline") and config.getoption("serve") is None:
        hold_on()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Pull down what was built."""
    if walls := config.stash.get(_walls_key, None):
        walls.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Spare who waits for a verdict the import of all of hypothesis, for a summary."""
    manager = session.config.pluginmanager
    if "hypothesis" not in sys.modules and manager.has_plugin("hypothesispytest"):
        manager.unregister(name="hypothesispytest")


def source_of(config: pytest.Config) -> Path:
    """Return the folder that holds the graded files of all steps."""
    said = config.getoption("submission")
    if config.getoption("solutions"):
        if said:
            raise pytest.UsageError("--solutions and --submission exclude each other")
        said = os.fspath(SOLUTIONS)
    if not said:
        return EXERCISES
    folder: Path = config.invocation_params.dir / said
    if not folder.is_dir():
        raise pytest.UsageError(f"there is no folder {said} to grade")
    return folder


def pytest_collection(session: pytest.Session) -> None:
    """Refuse wrong options before anything runs."""
    source_of(session.config)


# ------------------------------------------------------------------------ the tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note which tests belong to a step, and what is known of them."""
    known: dict[Path, tuple[Step | None, dict[str, Expected]]] = {}
    for item in items:
        if item.path not in known:
            step = step_of(item.path)
            tests = expected_tests(step) if step else []
            known[item.path] = step, {it.test: it for it in tests}
        step, expected = known[item.path]
        if step:
            item.stash[_step_key] = step
            item.stash[_expected_key] = expected[item.name]
            _ = item.location  # computed once, here: forks need not


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With --serve, run in a child process what is asked for; see `serving`."""
    config = session.config
    if (number := config.getoption("serve")) is None:
        return None
    if (channel := be_server(number)) is None:
        return True
    if _walls_key in config.stash:
        network.leave_all_others()
    _prepare(config)
    walls = config.stash.get(_walls_key, None)
    if (asked := next_request(channel, walls.build if walls else lambda: None)) is None:
        return True
    config.add_cleanup(lambda: leave(session.exitstatus))
    request, facts = asked
    config.option.serve = None
    config.option.submission = request.submission
    config.option.facts = f"/dev/fd/{facts}"
    _prepare(config)
    session.items[:] = [it for it in session.items if _is_asked_for(it, request)]
    return None  # so pytest goes on, with these


def _is_asked_for(item: pytest.Item, request: Request) -> bool:
    step = item.stash.get(_step_key, None)
    return bool(step and step.name == request.step and item.name in request.tests)


@pytest.fixture
def grader(request: pytest.FixtureRequest) -> Iterator[Grader]:
    """Give a harness that runs the student's programs, and leaves nothing behind."""
    step = request.node.stash[_step_key]
    source = source_of(request.config) / step.name
    new_family = _new_family(request.config)
    seed = _seed(request.node.nodeid)
    with no_threads_left(), Grader(step, source, seed, new_family) as grader:
        yield grader


def _new_family(config: pytest.Config) -> Callable[[], Family]:
    """Return what makes the family of one program."""
    if not config.getoption("confine"):
        return Family
    walls = config.stash.get(_walls_key, None)
    return partial(Walled, walls) if walls else Confined


def _seed(test: str) -> int:
    """Return a number that differs from test to test, and by GRADING_SEED."""
    return zlib.crc32(f"{test} {os.environ.get('GRADING_SEED', '')}".encode())


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Let a test fail whose program failed without the test noticing."""
    result = yield
    if isinstance(grader := pyfuncitem.funcargs.get("grader"), Grader):
        grader.finish()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say in the report what was earned; replace a failure by the story of it."""
    step = item.stash.get(_step_key, None)
    if step is None:
        return (yield)
    expected = item.stash[_expected_key]
    error = call.excinfo.value if call.excinfo else None
    story = None
    told = str(error) if isinstance(error, Missing) else ""
    if isinstance(error, Mismatch):
        story = _complete(error.story, step, expected, item.config)
        shown = not item.config.getoption("no_summary")
        told = story_text(story) if shown else story.sentence
    if error and told:
        # Now pytest need not read through the source for the place where it failed.
        failure = pytest.fail.Exception(told, pytrace=False)
        failure.with_traceback(error.__traceback__)
        call.excinfo = pytest.ExceptionInfo.from_exception(failure)
    report = yield
    if report.when != "call" and not report.failed:
        return report
    # A plain dictionary: so it survives the way from a worker of xdist to us.
    facts: dict[str, Any] = {
        "step": step.name,
        "test": item.name,
        "missing": error.name if isinstance(error, Missing) else "",
        "earned": expected.points if report.passed else 0,
        "seconds": round(call.duration, 3),
        "error": "",
    }
    if told:
        report.longrepr = told
    if story:
        facts["story"] = story.to_dict()
    elif error:
        facts["error"] = str(error) or type(error).__name__
    report.__dict__["grading"] = facts
    # For JUnit, which takes them from the report of the teardown that follows.
    item.user_properties[:] = [
        ("points", facts["earned"]),
        ("max_points", expected.points),
    ]
    return report


def _complete(
    story: Story, step: Step, expected: Expected, config: pytest.Config
) -> Story:
    """Add what is known of the test."""
    levels = step.hints().get(expected.todo, [])
    folder = os.path.relpath(
        source_of(config) / step.name, config.invocation_params.dir
    )
    return replace(
        story,
        step=step.name,
        test=expected.test,
        shows=expected.shows,
        points=expected.points,
        folder=folder,
        hint=levels[0] if levels else "",
        todo=expected.todo,
    )


# ---------------------------------------------------------------------- the results


class Scoreboard:
    """Collects what was earned, wherever it ran, and tells it at the end."""

    def __init__(self, config: pytest.Config) -> None:
        """Know nothing yet."""
        self._config = config
        self._facts: dict[tuple[str, str], dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the last word on each test: an error afterwards takes it back."""
        if facts := getattr(report, "grading", None):
            self._facts[facts["step"], facts["test"]] = facts
            if path := self._config.getoption("facts"):
                with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
                    file.write(as_line(facts))

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """Print the table of points; write the page, if one is wanted."""
        folder = self._config.getoption("report")
        shown = not self._config.getoption("no_summary")
        results = self._step_results() if shown or folder else []
        if not results:
            return
        if shown:
            terminalreporter.section("points")
            terminalreporter.write_line(points_table(results))
        if folder:
            from grading import pages

            page = pages.write(
                self._config.invocation_params.dir / folder, results, self._stories()
            )
            terminalreporter.write_line(f"\nThe report is in {page}")

    def pytest_sessionfinish(self) -> None:
        """Remember what was reached, if it is the student's own folder."""
        if self._facts and source_of(self._config) == EXERCISES:
            progress.update(self._results())

    def _results(self) -> dict[Step, list[TestResult]]:
        """Return a verdict for each expected test of the steps that were asked for."""
        return {
            step: [self._result(step, expected) for expected in expected_tests(step)]
            for step in _asked_for(self._config)
        }

    def _result(self, step: Step, expected: Expected) -> TestResult:
        facts = self._facts.get((step.name, expected.test))
        return TestResult(
            step=step.name,
            test=expected.test,
            points=expected.points,
            passed=bool(facts and facts["earned"]),
            ran=facts is not None,
            missing=facts["missing"] if facts else "",
            todo=expected.todo,
        )

    def _step_results(self) -> list[StepResult]:
        return [step_result(step, tests) for step, tests in self._results().items()]

    def _stories(self) -> list[Story]:
        found = sorted(self._facts.items())
        return [Story.from_dict(f["story"]) for _, f in found if "story" in f]


def _asked_for(config: pytest.Config) -> list[Step]:
    """Return the steps that the command line names, by file or by folder."""
    here = config.invocation_params.dir
    named = [(here / word.partition("::")[0]).resolve() for word in config.args]
    return [
        step
        for step in all_steps()
        if any(path == step.grader or path in step.grader.parents for path in named)
    ]
