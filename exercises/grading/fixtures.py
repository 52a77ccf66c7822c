"""The pytest side of the harness: `pytest_plugins = ["grading.fixtures"]`."""

import contextlib
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from grading.harness import Harness
from grading.mismatch import Mismatch


@contextlib.contextmanager
def no_threads_left() -> Iterator[None]:
    """Expect that the block ends every thread that it starts."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert not left, f"threads left running after the test: {left}"


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """Give a harness whose programs run in `tmp_path`; stop all, check for leaks.

    Processes that cannot be killed and threads that go on are errors; so are sockets
    nobody closed, if ResourceWarning is an error, as in this project.
    """
    with no_threads_left(), Harness(tmp_path) as harness:
        yield harness


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the conversation to a failure that does not tell it already."""
    report = yield
    harness = getattr(item, "funcargs", {}).get("harness")
    told = call.excinfo is not None and call.excinfo.errisinstance(Mismatch)
    if report.failed and not told and isinstance(harness, Harness):
        report.sections.append(("what happened", harness.report()))
    return report
