"""Who runs the tests: a server that is kept if there can be one, or a new process."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import IO

from course import servers
from course.pytests import Started, Worker
from grading.deadlines import patient
from grading.places import EXERCISES
from grading.serving import Request
from grading.steps import load

EACH = patient(30.0)  # seconds for a test, on the average; most take one
START = patient(60.0)  # and for all that is before and after
FORKS = sys.platform == "linux"


class Stopped(Exception):
    """Grading was told to stop."""


def grade(request: Request, facts: IO[bytes], stop: threading.Event) -> str:
    """Run tests, and wait for that; return how the process died, if it did.

    What is found goes to the file `facts`. Raise Stopped if nothing is to be started
    any more.
    """
    timeout = START + EACH * len(request.tests)
    if not FORKS:
        return _grade_anew(request, facts, stop, timeout)
    server = servers.take(request.env)
    died = "it was interrupted"
    try:
        with _waiting_for(server, stop):
            died = server.grade(request, facts.fileno(), timeout)
    finally:
        if died:
            server.close()
        else:
            servers.give_back(server)
    return died


def _grade_anew(
    request: Request, facts: IO[bytes], stop: threading.Event, timeout: float
) -> str:
    posix = os.name == "posix"
    file = f"/dev/fd/{facts.fileno()}" if posix else facts.name
    grader = load(EXERCISES / request.step).grader
    words = [f"--submission={request.submission}", f"--facts={file}"]
    words += [f"{grader}::{test}" for test in request.tests]
    descriptors = [facts.fileno()] if posix else []
    worker = Started(words, request.env, descriptors)
    with contextlib.closing(worker), _waiting_for(worker, stop):
        return worker.ending(timeout)


_waited_for: set[Worker] = set()  # changed in one step each, so no lock


@contextlib.contextmanager
def _waiting_for(worker: Worker, stop: threading.Event) -> Iterator[None]:
    """Let `kill_all` find it in this block; Stopped if that has been called before."""
    _waited_for.add(worker)
    try:
        if stop.is_set():
            raise Stopped
        yield
    finally:
        _waited_for.discard(worker)


def kill_all() -> None:
    """Kill every grading process, so that those who wait for one need not."""
    for worker in list(_waited_for):
        worker.kill()
