"""Everything a test needs, in one object, and torn down in the right order.

    with Harness(folder) as harness:
        server = harness.start("mchat.py", "--port", 0)
        alice = harness.connect(server, "alice")
        alice.send("hello")

What was started last is stopped first: people leave, then their server ends.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from grading.control import Control
from grading.people import Listener, Person, connect
from grading.processes import Family
from grading.program import Program
from grading.ready import Address
from grading.report import happened_text
from grading.transcript import Transcript

_Self = TypeVar("_Self", bound="Harness")

__tracebackhide__ = True  # pytest then shows the test's line, not ours


class Harness:
    """Programs, people and listeners of one test, with one transcript."""

    person = Person  # what `connect` makes

    def __init__(self, cwd: str | Path | None = None) -> None:
        """Begin the transcript. Programs run in the folder `cwd` (default: ours)."""
        self.transcript = Transcript()
        self._cwd = cwd
        self._names: list[str] = []
        self._cleanup = contextlib.ExitStack()

    def start(
        self,
        path: str | Path,
        *args: object,
        name: str = "",
        ready: bool = True,
        python_args: Sequence[str] = (),
        control: Control | None = None,
        family: Family | None = None,
    ) -> Program:
        """Start a Python program; wait for its ready line unless `ready` is false.

        A relative `path` starts from the folder programs run in.
        A second program from the same file is called mchat-2 in the transcript.
        For the other arguments see `Program`.
        """
        program = Program(
            path,
            *args,
            transcript=self.transcript,
            name=self._unique(name or Path(path).stem),
            cwd=self._cwd,
            python_args=python_args,
            control=control,
            family=family,
        )
        self._cleanup.callback(program.close)  # before anything else can fail
        if ready:
            program.wait_ready()
        return program

    def connect(
        self, to: Program | Address, name: str, receive_buffer: int = 0
    ) -> Person:
        """Connect a person to a program that is ready, or to an address.

        A `receive_buffer` of a few kB makes a reader who is soon in arrears.
        """
        address = to.address if isinstance(to, Program) else to
        if address is None:
            raise ValueError(f"{to} is not ready: call wait_ready() first")
        peer = to if isinstance(to, Program) else f"port {address[1]}"
        person = connect(
            name,
            address,
            peer,
            self.transcript,
            receive_buffer=receive_buffer,
            person_class=self.person,
        )
        self._cleanup.callback(person.close)
        return person

    def listen(self, name: str = "server", receive_buffer: int = 0) -> Listener:
        """Listen, so that the test can play the server of a client program.

        `receive_buffer` in bytes, if given, is for those who are accepted.
        """
        listener = Listener(name, self.transcript, receive_buffer)
        self._cleanup.callback(listener.close)
        return listener

    def report(self) -> str:
        """Return the conversation so far and the programs' output, as plain text."""
        return happened_text(self.transcript.events(), self.transcript.programs())

    def close(self) -> None:
        """Close all, even if some of it fails. Idempotent.

        Raise RuntimeError if a process or thread has escaped.
        """
        self._cleanup.close()

    def _unique(self, name: str) -> str:
        self._names.append(name)
        count = self._names.count(name)
        return name if count == 1 else f"{name}-{count}"

    def __enter__(self: _Self) -> _Self:
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()
