"""One program under test, as its own process: start, read, type, signal, stop.

Four threads per program (names begin with "grading"): two drain stdout and stderr, so
the program never blocks on a full pipe; one writes what is typed, so a program that
does not read its stdin cannot hang the test; one waits for the exit. `close` joins
them. They are daemons only so that a process nobody can kill cannot keep us alive.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Literal

import psutil

from grading.deadlines import EXIT, LINE, READY
from grading.mismatch import Mismatch, Wanted, described, matched
from grading.output import Output
from grading.processes import Family
from grading.transcript import LineCutter, ProgramState, Transcript

__tracebackhide__ = True  # pytest then shows the test's line, not ours

Address = tuple[str, int]
Stream = Literal["stdout", "stderr"]

READY_LINE = re.compile(r"listening on (localhost|[\d.]+|\[[\da-fA-F:.]+\]):(\d{1,5})")
PRINTED_EVENTS = 100  # lines of each stream that go into the transcript
REPORTED = 8192  # bytes of each stream that go into a report
LAST_WORDS = 0.5  # seconds after the exit for output that is still in the pipes

_OWN_GROUP: dict[str, Any]
if sys.platform == "win32":
    _OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    _INTERRUPT = signal.CTRL_BREAK_EVENT  # Ctrl-C cannot be sent to another group
else:
    _OWN_GROUP = {"start_new_session": True}
    _INTERRUPT = signal.SIGINT


class Program:
    """A running `python -E -u path args`, with pipes, in a process group of its own."""

    def __init__(
        self,
        path: str | Path,
        *args: object,
        transcript: Transcript,
        name: str = "",
        cwd: str | Path | None = None,
        python_args: Sequence[str] = (),
    ) -> None:
        """Start it; return at once. `close` it even if it never becomes ready.

        Our PYTHON* variables do not reach it. `name` is what the transcript calls it
        (default: the file's name without .py); `cwd` defaults to ours.
        """
        self.name = name or Path(path).stem
        self.address: Address | None = None  # known once it is ready
        self._transcript = transcript
        self._changed = threading.Condition()  # guards the next two; news of both
        self._outputs: dict[Stream, Output] = {"stdout": Output(), "stderr": Output()}
        self._exit_code: int | None = None
        self._typed: SimpleQueue[bytes | None] = SimpleQueue()  # None: end of stdin
        self._family = Family()

        options = ["-E", "-u", *python_args]
        words = [str(arg) for arg in args]
        self._command = " ".join(["python", *options, Path(path).name, *words])
        self._process = self._spawn([sys.executable, *options, str(path), *words], cwd)
        self._family.set_head(self.pid)
        transcript.record(self.name, "started", note=self._command)
        transcript.add_program(self.state)
        self._threads = list(self._start_threads())

    def _spawn(
        self, command: list[str], cwd: str | Path | None
    ) -> subprocess.Popen[bytes]:
        with sigint_not_ignored():
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=self._family.environment(),
                **_OWN_GROUP,
            )

    def _start_threads(self) -> Iterator[threading.Thread]:
        process = self._process
        jobs: list[tuple[Any, ...]] = [
            (self._drain, "stdout", process.stdout),
            (self._drain, "stderr", process.stderr),
            (self._write_typed, process.stdin),
            (self._await_exit,),
        ]
        for target, *args in jobs:
            name = f"grading {self.name} {target.__name__}"
            thread = threading.Thread(target=target, args=args, name=name, daemon=True)
            thread.start()
            yield thread

    # -- threads ----------------------------------------------------------------

    def _drain(self, stream: Stream, pipe: IO[bytes]) -> None:
        cutter = LineCutter()
        output = self._outputs[stream]
        with pipe:
            while data := os.read(pipe.fileno(), 65_536):
                if output.lines <= PRINTED_EVENTS:
                    self._record_printed(stream, cutter.cut(data))
                with self._changed:
                    output.add(data)
                    self._changed.notify_all()
        self._record_printed(stream, [rest] if (rest := cutter.rest()) else [])
        with self._changed:
            output.ended = True
            self._changed.notify_all()

    def _record_printed(self, stream: Stream, lines: list[bytes]) -> None:
        output = self._outputs[stream]
        for line in lines:
            output.lines += 1
            if output.lines > PRINTED_EVENTS:
                note = f"too many lines on {stream} to show all"
                self._transcript.record(self.name, "muted", note=note)
                return
            self._transcript.record(self.name, "printed", data=line, note=stream)

    def _write_typed(self, stdin: IO[bytes]) -> None:
        # OSError: the program is gone or has closed its stdin.
        with contextlib.suppress(OSError), stdin:
            for data in iter(self._typed.get, None):
                stdin.write(data)
                stdin.flush()

    def _await_exit(self) -> None:
        code = self._process.wait()
        with self._changed:
            # Another process may hold the pipes, so do not insist on their end.
            self._changed.wait_for(self._outputs_ended, LAST_WORDS)
        self._transcript.record(self.name, "exited", note=_ending(code))
        with self._changed:
            self._exit_code = code
            self._changed.notify_all()

    def _outputs_ended(self) -> bool:
        return all(output.ended for output in self._outputs.values())

    # -- reading ----------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def stdout(self) -> str:
        """What it has printed so far, lines ending in LF; the middle may be missing."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """The same for stderr: tracebacks and logs."""
        return self._text("stderr")

    def _text(self, stream: Stream) -> str:
        with self._changed:
            return self._outputs[stream].text().replace(os.linesep, "\n")

    def state(self, patience: float = 0.0) -> ProgramState:
        """Return what a report says about it; wait `patience` seconds for its end."""
        with self._changed:
            self._changed.wait_for(lambda: self._exit_code is not None, patience)
            code = self._exit_code
            out, err = (
                bytes(self._outputs[stream].kept[-REPORTED:])
                for stream in ("stdout", "stderr")
            )
        ending = "still running" if code is None else _ending(code)
        return ProgramState(self.name, self._command, ending, out, err)

    def expect_output(
        self, wanted: Wanted, stream: Stream = "stdout", timeout: float = LINE
    ) -> re.Match[str]:
        """Wait for a line it prints, skipping others; later calls look further on.

        `wanted` is a whole line without its end, or a regex for one. The match's [0]
        is the line. Raise Mismatch after `timeout` seconds, or once it has ended.
        """
        return self._expect_line(wanted, stream, timeout, described(wanted))

    def wait_ready(self, timeout: float = READY) -> Address:
        """Wait for `listening on HOST:PORT` on stdout; return where to connect to.

        That is always a loopback address, 127.0.0.1 for 0.0.0.0 and the like. Raise
        Mismatch, as `expect_output` does.
        """
        wording = 'the ready line "listening on HOST:PORT"'
        match = self._expect_line(READY_LINE, "stdout", timeout, wording)
        host, port = match[1].strip("[]"), int(match[2])
        self.address = (_reachable(host), port)
        return self.address

    def _expect_line(
        self, wanted: Wanted, stream: Stream, timeout: float, wording: str
    ) -> re.Match[str]:
        output = self._outputs[stream]

        def look() -> re.Match[str] | bool:
            while (line := output.next_line()) is not None:
                if match := matched(wanted, line):
                    return match
            return self._exit_code is not None  # nothing more can come

        with self._changed:
            found = self._changed.wait_for(look, timeout)
            code = self._exit_code
        if isinstance(found, re.Match):
            return found
        nothing = f"nothing like it within {timeout:g} s"
        got = nothing if code is None else f"its end first: {_ending(code)}"
        raise self._mismatch(f"to print {wording} on {stream}", got)

    def _mismatch(self, expected: str, got: str) -> Mismatch:
        return Mismatch("the test", f"{self.name} {expected}", got, self._transcript)

    # -- acting -----------------------------------------------------------------

    def type(self, line: str) -> None:
        """Give `line` and a line end to its stdin. Never blocks, never fails."""
        data = f"{line}{os.linesep}".encode()
        self._transcript.record(self.name, "typed", data=data)
        self._typed.put(data)

    def close_stdin(self) -> None:
        """End its stdin, once everything typed is written. Repeating it is harmless."""
        self._typed.put(None)

    def interrupt(self) -> None:
        """Do what Ctrl-C does: SIGINT; on Windows CTRL_BREAK_EVENT."""
        self._signal(_INTERRUPT)

    def terminate(self) -> None:
        """Ask it to stop: SIGTERM; on Windows this kills."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        self._transcript.record(self.name, "signalled", note=number.name)
        self._process.send_signal(number)

    def wait_exit(self, timeout: float = EXIT) -> int:
        """Wait for its end; return the exit code, or minus the signal's number.

        Afterwards `stdout` and `stderr` are complete. Raise Mismatch if it goes on.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._exit_code is not None, timeout)
            if self._exit_code is not None:
                return self._exit_code
        raise self._mismatch("to end", f"no end within {timeout:g} s")

    def descendants(self) -> list[psutil.Process]:
        """Return the living processes it started, also those that outlive it."""
        return self._family.descendants()

    def kill_tree(self) -> None:
        """Kill it and everything it started; return when all are dead, or after EXIT.

        Finds children that left the process group, and orphans; see `processes`.
        """
        family = self.descendants()
        with self._changed:
            running = self._exit_code is None
        if running or family:
            more = f", and processes it had started: {len(family)}" if family else ""
            self._transcript.record(self.name, "killed", note=f"by the test{more}")
        self._process.kill()
        self._family.kill_descendants(family)
        with self._changed:
            self._changed.wait_for(lambda: self._exit_code is not None, EXIT)

    def close(self) -> None:
        """Kill the tree, reap it, close the pipes, join the threads. Idempotent.

        Raise RuntimeError if that fails: then something has escaped us.
        """
        if _measured():
            self._stop_politely()
        self.kill_tree()
        self.close_stdin()
        for thread in self._threads:
            thread.join(EXIT)
        left = [thread.name for thread in self._threads if thread.is_alive()]
        left += [str(process) for process in self.descendants()]
        if left:
            raise RuntimeError(f"{self.name} cannot be stopped; left: {left}")

    def _stop_politely(self) -> None:
        self._process.send_signal(_INTERRUPT)
        with self._changed:
            self._changed.wait_for(lambda: self._exit_code is not None, EXIT)

    def __enter__(self) -> "Program":
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close it."""
        self.close()


def _ending(code: int) -> str:
    with contextlib.suppress(ValueError):
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _measured() -> bool:
    """Coverage is being measured in children; it is saved only in an orderly exit."""
    return any(name.startswith("COVERAGE_PROCESS_") for name in os.environ)


def _reachable(host: str) -> str:
    """Return an address of this machine, whatever a program claims to listen on."""
    if host in ("::", "::1"):
        return "::1" if _has_ipv6_loopback() else "127.0.0.1"
    return host if host.startswith("127.") else "127.0.0.1"


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def sigint_not_ignored() -> Iterator[None]:
    """Start children that react to SIGINT even if we were started to ignore it.

    `nohup` and `&` in scripts do that; an ignored signal is inherited. Only the main
    thread may change it.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
