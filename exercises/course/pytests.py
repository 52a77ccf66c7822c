"""pytest with the kit's plugin, as a process that grades; and the end of it.

The student's programs are its children, in sandboxes.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

import psutil

from grading import walls
from grading.deadlines import EXIT
from grading.orphans import ORPHANAGE
from grading.places import KIT
from grading.processes import Family

DIED = "grading ended early"
NO_MORE_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


class Worker:
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


class Started(Worker):
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
            return took_more_than(timeout)

    def bury(self) -> None:
        """Wait for the end of what was killed."""
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


def took_more_than(timeout: float) -> str:
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
