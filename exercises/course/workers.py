"""The processes that grade: pytest with the kit's plugin, each time a new one.

The student's programs are its children, in sandboxes. On Linux it is forked by a server
that is kept for who needs one next; and servers are forked from one process that has
collected the tests, see `grading.serving`. Elsewhere each worker is started anew.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import psutil

from grading import messages, walls
from grading.deadlines import EXIT, patient
from grading.orphans import ORPHANAGE
from grading.places import EXERCISES, KIT
from grading.processes import Family
from grading.serving import Request, want_server
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
    server = _KEPT.idle_server() or _Server(request.env)
    died = "it was interrupted"
    try:
        with _waiting_for(server, stop):
            died = server.grade(request, facts.fileno(), timeout)
    finally:
        if died:
            server.close()
        else:
            _KEPT.idle.append(server)
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
    worker = _Started(words, request.env, descriptors)
    with contextlib.closing(worker), _waiting_for(worker, stop):
        return worker.ending(timeout)


_waited_for: set["_Worker"] = set()  # changed in one step each, so no lock


@contextlib.contextmanager
def _waiting_for(worker: "_Worker", stop: threading.Event) -> Iterator[None]:
    """Let `kill_all` find it in this block; Stopped if that has been called before."""
    _waited_for.add(worker)
    try:
        if stop.is_set():
            raise Stopped
        yield
    finally:
        _waited_for.discard(worker)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep processes for those who need one in this block; end them behind the last."""
    _KEPT.keepers.append(me := object())
    try:
        yield
    finally:
        _KEPT.keepers.remove(me)
        if not _KEPT.keepers:
            _KEPT.close()


def kill_all() -> None:
    """Kill every grading process, so that those who wait for one need not."""
    for worker in list(_waited_for):
        worker.kill()


class _Kept:
    """The processes that are kept; lists and sets are changed in one step each."""

    def __init__(self) -> None:
        self.idle: list[_Server] = []  # those who wait for a request
        self.keepers: list[object] = []  # who wants them to be kept
        self._lock = threading.Lock()  # guards the next
        self._first: _First | None = None

    def idle_server(self) -> "_Server | None":
        """Return one that is nobody else's from now on."""
        with contextlib.suppress(IndexError):
            return self.idle.pop()
        return None

    def wish(self, env: dict[str, str], channel: int, output: int) -> "_First":
        """Ask the first process for a server; start it if it is not there."""
        with self._lock:
            if self._first and not self._first.runs():
                self._close_first()
            self._first = self._first or _First()
            self._first.wish(env, channel, output)
            return self._first

    def close(self) -> None:
        """End them, all at once."""
        idle = [*self.idle]
        self.idle.clear()
        for server in idle:
            server.kill()
        for server in idle:
            server.close()
        with self._lock:
            self._close_first()

    def _close_first(self) -> None:
        if self._first:
            self._first.close()
        self._first = None


_KEPT = _Kept()


class _Worker:
    """A grading process, and all that comes from it."""

    def __init__(self, family: Family, output: IO[bytes]) -> None:
        """`output` is what it prints."""
        self._family = family
        self._output = _Last(output)

    def verdict(self, code: int) -> str:
        """Return what an exit code says: how it died, if it did."""
        return "" if code in (0, 1) else self.died(f" ({code})")

    def died(self, how: str = "") -> str:
        """Return how it died, with its last words."""
        return f"{DIED}{how}: {self.last_words() or 'it said nothing'}"

    def last_words(self) -> str:
        """Return the last line that it has printed; wait for that a little."""
        return self._output.line()

    def tidy_up(self) -> None:
        """End all that a program has left, where no walls have done that."""
        if not walls.has_walls():
            self._family.kill_descendants(
                [*self._family.descendants(), *ORPHANAGE.orphans()]
            )

    def kill(self) -> None:
        """Kill it, whoever waits for it."""
        if self._family.head:
            with contextlib.suppress(psutil.Error):  # over already
                self._family.head.kill()

    def close(self) -> None:
        """End it, and all that comes from it."""
        known = self._family.descendants()
        self.kill()
        self.bury()
        self._family.kill_descendants([*known, *ORPHANAGE.orphans()])
        self._output.close()

    def bury(self) -> None:
        """Wait for the end of what was killed."""
        if self._family.head:
            with contextlib.suppress(psutil.Error):
                self._family.head.wait(EXIT)


class _Started(_Worker):
    """One that is started anew."""

    def __init__(
        self, words: Sequence[str], env: Mapping[str, str], descriptors: Sequence[int]
    ) -> None:
        """Start it with these words on its command line, beside those for all."""
        family = Family()
        with ORPHANAGE.starting() as started:
            self._process = subprocess.Popen(
                _command(words),
                cwd=KIT,
                env=family.environment() | NO_MORE_PLUGINS | dict(env),
                stdin=subprocess.PIPE,  # its lifeline
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=descriptors,
            )
            started.add(self._process.pid)
        family.set_head(self._process.pid)
        assert self._process.stdout
        super().__init__(family, self._process.stdout)

    def runs(self) -> bool:
        """Tell whether it does."""
        return self._process.poll() is None

    def ending(self, timeout: float) -> str:
        """Wait for its end; return how it died, if it did."""
        try:
            return self.verdict(self._process.wait(timeout))
        except subprocess.TimeoutExpired:
            return _took_more_than(timeout)

    def bury(self) -> None:
        """Wait for the end of what was killed."""
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


class _First(_Started):
    """The one from which servers are forked."""

    def __init__(self) -> None:
        """Start it."""
        ours, theirs = messages.channel()
        words = [f"--serve={theirs.fileno()}"]
        words += [os.fspath(step.folder) for step in all_steps()]
        with theirs, contextlib.ExitStack() as undo:
            undo.enter_context(ours)
            super().__init__(words, {}, [theirs.fileno()])
            undo.pop_all()
        self._entrance = ours

    def wish(self, env: dict[str, str], channel: int, output: int) -> None:
        """Ask for a server; if it is not there any more, that will show."""
        with contextlib.suppress(OSError):
            want_server(self._entrance, env, channel, output)

    def close(self) -> None:
        """End it, and what comes from it."""
        super().close()
        self._entrance.close()


class _Server(_Worker):
    """One that forks for each request. One thread at a time may use it."""

    def __init__(self, env: dict[str, str]) -> None:
        """Let it be forked; that may take a while, and shows when it is used."""
        family = Family()
        self._channel, theirs = messages.channel()
        reading, writing = os.pipe()
        super().__init__(family, os.fdopen(reading, "rb"))
        with theirs, os.fdopen(writing, "wb"):
            self._first = _KEPT.wish(family.mark() | env, theirs.fileno(), writing)

    def grade(self, request: Request, facts: int, timeout: float) -> str:
        """Ask for it and wait; return how that process died, if it did."""
        self._channel.settimeout(timeout)
        try:
            if not self._family.head:
                self._family.set_head(int(self._channel.recv(100)))
            request.send(self._channel, facts)
            answer = self._channel.recv(100)
        except TimeoutError:
            return _took_more_than(timeout)
        except (OSError, ValueError):
            answer = b""
        if not answer:  # then it is not only the child that has died
            return self.died()
        died = self.verdict(int(answer))
        self.tidy_up()
        return died

    def last_words(self) -> str:
        """Return its own; or those of who should have forked it, if that has died."""
        said = super().last_words()
        return said if said or self._first.runs() else self._first.last_words()

    def kill(self) -> None:
        """Kill it, whoever waits for it."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        super().kill()

    def close(self) -> None:
        """End it, and all that comes from it."""
        super().close()
        self._channel.close()


def _took_more_than(timeout: float) -> str:
    """Return that a grading process took too long."""
    return f"grading was stopped: it took more than {timeout:.0f} s"


def _command(words: Sequence[str]) -> list[str]:
    walled = "yes" if walls.has_walls() else "no"
    command = [sys.executable, "-m", "pytest", "-q", "--no-summary"]
    command += ["-p", "no:cacheprovider"]
    command += ["-p", "pytest_timeout", "-c", os.fspath(KIT / "pyproject.toml")]
    command += ["--rootdir", os.fspath(KIT), "--confcutdir", os.fspath(KIT)]
    return [*command, "-s", "--lifeline", "--confine", "--walls", walled, *words]


class _Last:
    """Reads what a process prints, and remembers the end of it."""

    MOST = 10_000  # bytes

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
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
        return (errors or told or [""])[-1]

    def close(self) -> None:
        """Read no more."""
        self._thread.join(1.0)
        self._pipe.close()
