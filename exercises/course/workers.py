"""The processes that grade: pytest with the kit's plugin, each time a new one.

The student's programs are its children, in sandboxes. On Linux it is forked from one
that has collected the tests already and waits, see `grading.serving`; such a server is
kept for who needs one next. Elsewhere each worker is started anew.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from grading import walls
from grading.deadlines import patient
from grading.orphans import ORPHANAGE
from grading.places import EXERCISES, KIT
from grading.processes import Family
from grading.serving import Request
from grading.steps import all_steps, load

EACH = patient(30.0)  # seconds for a test, on the average; most take one
START = patient(60.0)  # and for all that is before and after
FORKS = sys.platform == "linux"
DIED = "grading ended early"
NO_MORE_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


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
    server = _idle_server() or _Server(request.env, stop)
    died = "it was interrupted"
    try:
        if stop.is_set():
            raise Stopped
        died = server.grade(request, facts.fileno(), timeout)
    finally:
        if died:
            server.close()
        else:
            _idle.append(server)
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
    with contextlib.closing(_Worker(words, request.env, stop, descriptors)) as worker:
        return worker.ending(timeout)


_running: set["_Worker"] = set()  # changed in one step each, so no lock
_idle: list["_Server"] = []  # the same; those who wait for a request


def _idle_server() -> "_Server | None":
    with contextlib.suppress(IndexError):
        return _idle.pop()
    return None


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep processes for those who need one in this block; end them behind it."""
    try:
        yield
    finally:
        while server := _idle_server():
            server.close()


def kill_all() -> None:
    """Kill every grading process, so that those who wait for one need not."""
    for worker in list(_running):
        worker.process.kill()


class _Worker:
    """A grading process, from its start to its end."""

    def __init__(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        stop: threading.Event,
        descriptors: Sequence[int] = (),
    ) -> None:
        """Start it with these words on its command line, beside those for all."""
        self._family = Family()
        with ORPHANAGE.starting() as started:
            if stop.is_set():
                raise Stopped
            self.process = subprocess.Popen(
                _command(words),
                cwd=KIT,
                env=self._family.environment() | NO_MORE_PLUGINS | dict(env),
                stdin=subprocess.PIPE,  # its lifeline
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=descriptors,
            )
            started.add(self.process.pid)
        self._family.set_head(self.process.pid)
        self._output = _Last(self.process)
        _running.add(self)

    def ending(self, timeout: float) -> str:
        """Wait for its end; return how it died, if it did."""
        try:
            return self.verdict(self.process.wait(timeout))
        except subprocess.TimeoutExpired:
            return _took_more_than(timeout)

    def verdict(self, code: int) -> str:
        """Return what an exit code says: how it died, if it did."""
        return "" if code in (0, 1) else self.died(code)

    def died(self, code: int) -> str:
        """Return how it died, with its last words."""
        return f"{DIED} ({code}): {self._output.line()}"

    def tidy_up(self) -> None:
        """End all that a program has left, where no walls have done that."""
        if not walls.has_walls():
            self._family.kill_descendants(
                [*self._family.descendants(), *ORPHANAGE.orphans()]
            )

    def close(self) -> None:
        """End it, and all that comes from it."""
        known = self._family.descendants() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        self._family.kill_descendants([*known, *ORPHANAGE.orphans()])
        _running.discard(self)
        for pipe in filter(None, (self.process.stdin, self.process.stdout)):
            pipe.close()


class _Server(_Worker):
    """One that forks for each request. One thread at a time may use it."""

    def __init__(self, env: Mapping[str, str], stop: threading.Event) -> None:
        """Start it."""
        ours, theirs = socket.socketpair()
        words = [f"--serve={theirs.fileno()}"]
        words += [os.fspath(step.folder) for step in all_steps()]
        with theirs, contextlib.ExitStack() as undo:
            undo.enter_context(ours)
            super().__init__(words, env, stop, [theirs.fileno()])
            undo.pop_all()
        self._channel = ours

    def grade(self, request: Request, facts: int, timeout: float) -> str:
        """Ask for it and wait; return how that process died, if it did."""
        self._channel.settimeout(timeout)
        try:
            request.send(self._channel, facts)
            answer = self._channel.recv(100)
        except TimeoutError:
            return _took_more_than(timeout)
        except OSError:
            answer = b""
        if not answer:  # then it is not only the child that has died
            self.process.kill()
            return self.died(self.process.wait())
        died = self.verdict(int(answer))
        self.tidy_up()
        return died

    def close(self) -> None:
        """End it, and all that comes from it."""
        super().close()
        self._channel.close()


def _took_more_than(timeout: float) -> str:
    """Return that a grading process took too long."""
    return f"grading was stopped: it took more than {timeout:.0f} s"


def _command(words: Sequence[str]) -> list[str]:
    walled = walls.has_walls()
    command = [sys.executable, "-m", "pytest", "-q", "--no-summary"]
    command += ["-p", "no:cacheprovider"]
    command += ["-p", "pytest_timeout", "-c", os.fspath(KIT / "pyproject.toml")]
    command += ["--rootdir", os.fspath(KIT), "--confcutdir", os.fspath(KIT)]
    command += ["-s", "--lifeline", "--confine", "--walls", "yes" if walled else "no"]
    command += words
    return walls.in_private_network(command) if walled else command


class _Last:
    """Reads what a process prints, and remembers the end of it."""

    MOST = 10_000  # bytes

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout
        self._pipe = process.stdout
        self._last = b""
        self._thread = threading.Thread(target=self._drain, name="grading output")
        self._thread.daemon = True  # somebody else may hold the pipe
        self._thread.start()

    def _drain(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(self._pipe.fileno(), 65_536):
                self._last = (self._last + data)[-self.MOST :]

    def line(self) -> str:
        """Return the last line, or what pytest says of an error of ours."""
        self._thread.join(1.0)
        lines = self._last.decode(errors="replace").split("\n")
        told = [line for line in map(str.strip, lines) if line]
        errors = [line for line in told if line.startswith("INTERNALERROR>")]
        return (errors or told or ["it said nothing"])[-1]
