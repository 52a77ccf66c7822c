"""One program under test, as its own process: start, read, type, signal, stop.

Four threads per program (names begin with "grading"): two drain stdout and stderr, so
the program never blocks on a full pipe; one writes what is typed, so a program that
does not read its stdin cannot hang the test; one waits for the exit. Of a confined
program a fifth watches how much it takes. `close` joins them. They are daemons only so
that a process nobody can kill cannot keep us alive.
"""

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import psutil

from grading import ready
from grading.activity import Activity
from grading.control import Control
from grading.deadlines import EXIT, GLANCE, LINE, READY, REST, SLOW_REST, Deadline
from grading.keyboard import Keyboard
from grading.mismatch import ANY_LINE, Mismatch, Wanted, described, matched
from grading.output import Output
from grading.processes import OPTIONS, Family
from grading.ready import Address
from grading.rendering import quoted
from grading.spawning import INTERRUPT
from grading.transcript import LineCutter, ProgramState, Transcript

__tracebackhide__ = True  # pytest then shows the test's line, not ours

_T = TypeVar("_T")
Stream = Literal["stdout", "stderr"]

PRINTED_EVENTS = 100  # lines of each stream that go into the transcript
REPORTED = 8192  # bytes of each stream that go into a report
BUSY = 0.2  # of a processor core; a program that waits uses next to nothing
LAST_WORDS = 0.5  # seconds after the exit for output that is still in the pipes


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
        control: Control | None = None,
        family: Family | None = None,
    ) -> None:
        """Start it; return at once. `close` it even if it never becomes ready.

        Our PYTHON* variables do not reach it. `name` is what the transcript calls it
        (default: the file's name without .py); `cwd` defaults to ours. With `control`
        the launcher runs it. `family` says how it is started, and ended.
        """
        self.name = name or Path(path).stem
        self._folder = Path(cwd or Path.cwd())
        self._control = control
        self.address: Address | None = None  # known once it is ready
        self._transcript = transcript
        self._changed = threading.Condition()  # guards the next two; news of both
        self._outputs: dict[Stream, Output] = {"stdout": Output(), "stderr": Output()}
        self._exit_code: int | None = None
        self._stopped_for = ""  # what it took too much of
        self._closing = threading.Event()
        self._input_ended = False  # it is told so
        self._family = family or Family()

        words = [str(arg) for arg in args]
        options = [] if control else [*OPTIONS, *python_args]
        self._command = " ".join(["python", *options, Path(path).name, *words])
        if control:
            told = [*control.words, self._family.limits, str(path), *words]
            self._process = self._family.launch(told, self._folder)
        else:
            command = [sys.executable, *options, str(path), *words]
            self._process = self._family.spawn(command, self._folder)
        assert self._process.stdin
        self._keyboard = Keyboard(self._process.stdin, f"grading {self.name} stdin")
        transcript.record(self.name, "started", note=self._command)
        self.watch = self.watch_activity()
        transcript.add_program(self.state)
        self._threads = list(self._start_threads())

    def _start_threads(self) -> Iterator[threading.Thread]:
        process = self._process
        jobs: list[tuple[Any, ...]] = [
            (self._drain, "stdout", process.stdout),
            (self._drain, "stderr", process.stderr),
            (self._await_exit,),
        ]
        if self._family.confined:
            jobs.append((self._watch_excess,))
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

    def _await_exit(self) -> None:
        code = self._process.wait()
        with self._changed:
            # Another process may hold the pipes, so do not insist on their end.
            self._changed.wait_for(self._outputs_ended, LAST_WORDS)
        self._transcript.record(self.name, "exited", note=self._ending(code))
        with self._changed:
            self._exit_code = code
            self._changed.notify_all()

    def _watch_excess(self) -> None:
        while not self._closing.wait(self._family.pause):
            if excess := self._family.excess():
                self._stopped_for = excess
                self._transcript.record(self.name, "killed", note=f"for {excess}")
                known = self.descendants()
                self._process.kill()
                self._family.kill_descendants(known)
                return

    def _outputs_ended(self) -> bool:
        return all(output.ended for output in self._outputs.values())

    # -- reading ----------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def launched(self) -> bool:
        """Whether the launcher runs it, so that it can be watched and asked."""
        return self._control is not None

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

    def state(self, patience: float = 0.0, stacks: bool = False) -> ProgramState:
        """Return what a report says about it; wait `patience` seconds for its end.

        With `stacks`, ask a launched program where its threads stand: up to 1 s more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._exit_code is not None, patience)
            code = self._exit_code
            printed = sum(output.size for output in self._outputs.values())
            out, err = (self._reported(stream) for stream in ("stdout", "stderr"))
        running = code is None
        asked = self._control if running and stacks else None
        hasty = self._control is not None and self._control.hasty
        return ProgramState(
            name=self.name,
            command=self._command,
            ending=self._ending(code),
            stdout=out,
            stderr=err,
            printed=printed,
            address=f"{self.address[0]}:{self.address[1]}" if self.address else "",
            busy=running and stacks and self.watch.share() > BUSY,
            spins=running and stacks and self.watch.spins(REST),
            moves=running and stacks and not hasty and self.watch.moves(),
            threads=asked.ask(self._folder) if asked else (),
            children=len(self.descendants()) if stacks else 0,
        )

    def _ending(self, code: int | None) -> str:
        if self._stopped_for:
            return f"stopped for {self._stopped_for}"
        return "still running" if code is None else _ending(code)

    def _reported(self, stream: Stream) -> bytes:
        """Return the end of what it printed; its own files without their folder."""
        kept = bytes(self._outputs[stream].kept[-REPORTED:])
        return kept.replace(os.fsencode(self._folder) + os.sep.encode(), b"")

    def watch_activity(self) -> Activity:
        """Watch, from now on, whether it does anything."""
        self.watch = Activity(self._family.head)
        return self.watch

    def expect_output(
        self, wanted: Wanted, stream: Stream = "stdout", timeout: float = LINE
    ) -> re.Match[str]:
        """Wait for a line it prints, skipping others; later calls look further on.

        `wanted` is a whole line without its end, or a regex for one. The match's [0]
        is the line. Raise Mismatch after `timeout` seconds, or once it has ended.
        """
        return self._expect_line(wanted, stream, timeout, described(wanted), REST)

    def expect_next(self, line: str) -> None:
        """Expect the next line on stdout, after those expected before, to be `line`."""
        wording = described(line)
        got = self._expect_line(ANY_LINE, "stdout", LINE, f"{wording} next", REST)[0]
        if got != line:
            what = quoted(got.encode(errors="backslashreplace"))
            raise self.mismatch(f"to print {wording} next on stdout", what)

    def expect_so_far(self, text: str) -> None:
        """Expect that what it has printed on stdout is `text`, all in all, now or soon.

        Bytes are compared: line ends are what the program made them.
        """
        output = self._outputs["stdout"]
        wanted = text.encode()

        def done() -> bool:
            return output.kept == wanted or self._exit_code is not None

        found, why = self._await(done, LINE, REST)
        if (printed := bytes(output.kept)) != wanted:
            expected = f"to have printed {quoted(wanted)} on stdout, and nothing else"
            got = quoted(printed) + (", and its end" if found else why)
            raise self.mismatch(expected, got, hung=not found)

    def wait_ready(self, timeout: float = READY) -> Address:
        """Wait for `listening on HOST:PORT` on stdout; return where to connect to.

        That is always a loopback address, 127.0.0.1 for 0.0.0.0 and the like. Raise
        Mismatch, as `expect_output` does.
        """
        wording = 'the ready line "listening on HOST:PORT"'
        match = self._expect_line(ready.LINE, "stdout", timeout, wording, SLOW_REST)
        self.address = ready.address(match)
        return self.address

    def _expect_line(
        self, wanted: Wanted, stream: Stream, timeout: float, wording: str, rest: float
    ) -> re.Match[str]:
        output = self._outputs[stream]

        def look() -> re.Match[str] | bool:
            while (line := output.next_line()) is not None:
                if match := matched(wanted, line):
                    return match
            return self._exit_code is not None  # nothing more can come

        found, why = self._await(look, timeout, rest)
        if isinstance(found, re.Match):
            return found
        with self._changed:
            code = self._exit_code
        got = f"nothing like it{why}" if code is None else f"its end: {_ending(code)}"
        expected = f"to print {wording} on {stream}"
        raise self.mismatch(expected, got, hung=code is None)

    def _await(
        self, look: Callable[[], _T], timeout: float, rest: float
    ) -> tuple[_T, str]:
        """Wait until `look()` is true; else return why we gave up.

        That is after `timeout`, or once it is stuck; see `Activity`.
        """
        deadline = Deadline(timeout)
        with self._changed:
            found = look()
            watch = None if found else self.watch_activity()
            while not found and deadline.left():
                if watch and self._control and (stuck := watch.stuck(rest)):
                    return found, f", and it {stuck}"
                self._changed.wait(min(GLANCE, deadline.left()))
                found = look()
        return found, f" within {timeout:g} s"

    def mismatch(self, expected: str, got: str, *, hung: bool = False) -> Mismatch:
        """Return the error "the test expected NAME `expected`, but got `got`"."""
        expected = f"{self.name} {expected}"
        return Mismatch("the test", expected, got, self._transcript, hung=hung)

    # -- acting -----------------------------------------------------------------

    def type(self, line: str, end: str = os.linesep) -> None:
        """Give `line` and a line end to its stdin. Never blocks, never fails.

        With another `end`, such as none, the line is what a file may end with.
        """
        data = f"{line}{end}".encode()
        self._transcript.record(self.name, "typed", data=data)
        self._keyboard.type(data)

    def close_stdin(self, *, told: bool = True) -> None:
        """End its stdin, once everything typed is written. Repeating it is harmless.

        A report tells of it, unless it is of no interest there.
        """
        if told and not self._input_ended and self._exit_code is None:
            self._input_ended = True
            self._transcript.record(self.name, "input-ended")
        self._keyboard.end()

    def interrupt(self) -> None:
        """Do what Ctrl-C does: SIGINT; on Windows CTRL_BREAK_EVENT."""
        self._signal(INTERRUPT)

    def terminate(self) -> None:
        """Ask it to stop: SIGTERM; on Windows this kills."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        self._transcript.record(self.name, "signalled", note=number.name)
        self._process.send_signal(number)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let it do nothing in this block; who connects meanwhile has to wait."""
        with contextlib.suppress(psutil.Error):  # over already
            psutil.Process(self.pid).suspend()
        try:
            yield
        finally:
            with contextlib.suppress(psutil.Error):
                psutil.Process(self.pid).resume()

    def wait_exit(self, timeout: float = EXIT) -> int:
        """Wait for its end; return the exit code, or minus the signal's number.

        Afterwards `stdout` and `stderr` are complete. Raise Mismatch if it goes on.
        """
        _, why = self._await(lambda: self._exit_code is not None, timeout, SLOW_REST)
        with self._changed:
            if self._exit_code is not None:
                return self._exit_code
        raise self.mismatch("to end", f"no end{why}", hung=True)

    def has_ended(self) -> bool:
        """Whether the process itself is over; its children may hold on to its pipes."""
        return self._process.poll() is not None

    def threads(self) -> int:
        """Return how many threads it has."""
        return int(psutil.Process(self.pid).num_threads())

    def open_files(self) -> int:
        """Return how many files and sockets it has open."""
        process = psutil.Process(self.pid)
        count = process.num_fds if psutil.POSIX else process.num_handles  # type: ignore[attr-defined,unused-ignore]
        return int(count())

    def memory(self) -> int:
        """Return how many bytes of memory it uses (resident)."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def becomes(self, state: Callable[[], bool]) -> bool:
        """Wait until `state()` is true; tell whether it is, in the end."""
        return self._await(state, LINE, REST)[0]

    def rests(self, moment: float, within: float) -> bool:
        """Tell whether nothing in it moves for `moment` seconds, some time soon."""
        watch, deadline = self.watch_activity(), Deadline(within)
        while (rested := watch.resting()) < moment and deadline.left():
            self._closing.wait(moment / 3)
        return rested >= moment

    def listens_on(self, port: int) -> bool:
        """Whether it, or what it has started, listens on this TCP port."""
        return self._family.listens_on(port)

    def listening_ports(self) -> set[int]:
        """Return the TCP ports on which it, or what it has started, listens."""
        return self._family.listening_ports()

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
        self._closing.set()
        self.kill_tree()
        self.close_stdin()
        if self._control:
            self._control.close()
        threads = [*self._threads, *self._keyboard.threads]
        for thread in threads:
            thread.join(EXIT)
        left = [thread.name for thread in threads if thread.is_alive()]
        left += [str(process) for process in self.descendants()]
        if left:
            raise RuntimeError(f"{self.name} cannot be stopped; left: {left}")

    def _stop_politely(self) -> None:
        self._process.send_signal(INTERRUPT)
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
