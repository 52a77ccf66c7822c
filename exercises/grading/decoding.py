r"""What the tests of step 03 talk to: decoders, in a process of their own.

    decoder = decoders.new("decoder")
    decoder.feeds(b"hel", [])
    decoder.feeds(b"lo\n", ["hello"])

The student's module is never imported here. `drivers/protocol.py` imports it, in a
child process, and makes the calls that we send it. A call is a line of Python, and so
is what it returned: a person can type the one and see the other.
"""

import contextlib
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from grading.deadlines import GLANCE, LINE, READY, REST, SLOW_REST, Deadline
from grading.diagnosis import unhandled_errors
from grading.drivers.protocol import CHANNEL
from grading.grader import Grader
from grading.mismatch import Mismatch
from grading.program import Program
from grading.transcript import Kind

__tracebackhide__ = True  # pytest then shows the test's line, not ours

DRIVER = Path(__file__).with_name("drivers") / "protocol.py"
TOO_LONG = None  # stands for the student's TOO_LONG
FORGED = "something in protocol.py"
LAST_WORDS = 1.0  # seconds in which a dying program has ended
SHOWN = 120  # characters of an answer in a report, twice

FED, PIECE = 2 << 20, 64 << 10  # bytes without a line end, and in one call
MEMORY = 256 << 10  # bytes; much more than a line may have, much less than was fed

LINES = "(b'x' * 63 + b'\\n')"  # a line of 64 bytes; it is multiplied
MANY, FEW = 16_384, 64  # lines in one piece: 1 MiB and 4 KiB
FACTOR = 5  # what is more is no matter of chance
LEAST = 0.02  # seconds of processor time; some systems measure no finer
CERTAIN = 3 * FACTOR  # there is no need to look again
TRIES = 3

Answer = dict[str, Any]
Line = str | None


class Decoding:
    """The student's module, imported in a child process, and our line to it.

    The child is started by the first `new`. Use it in a `with` block.
    """

    def __init__(self, grader: Grader) -> None:
        """Start nothing yet."""
        self._grader = grader
        self._program: Program | None = None
        self._sock: socket.socket | None = None
        self._received = b""

    def new(self, name: str, **limits: int) -> "Decoder":
        """Make a decoder in the child, and call it `name` there."""
        arguments = ", ".join(f"{key}={value}" for key, value in limits.items())
        self.call(f"Decoder({arguments})", keep=name)
        return Decoder(self, name)

    def call(self, call: str, *, keep: str = "", trace: bool = False) -> Answer:
        """Let the child evaluate `call`; return what came of it.

        `keep` is a name for what it returns; with `trace` its memory is measured.
        """
        if self._program is None:
            self._start()
        self._record("called", f"{keep} = {call}" if keep else call)
        request = json.dumps({"call": call, "keep": keep, "trace": trace})
        sock = self._connected()
        sock.settimeout(LINE)
        sock.sendall(request.encode() + b"\n")
        answer = self._answer(sock, call)
        if not keep:
            self._record("returned", _returned(answer))
        return answer

    def mismatch(self, expected: str, got: str, *, hung: bool = False) -> Mismatch:
        """Return the error "the test expected `expected`, but got `got`"."""
        transcript = self._grader.transcript
        return Mismatch("the test", expected, got, transcript, hung=hung)

    # -- the child --------------------------------------------------------------

    def _start(self) -> None:
        """Start the child, and wait until it has imported the student's module."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            folder = self._grader.folder
            channel = {"port": listener.getsockname()[1], "folder": str(folder)}
            (folder / CHANNEL).write_text(json.dumps(channel), encoding="utf-8")
            self._program = self._grader.run(str(DRIVER))
            # Whoever reads its input is not kept waiting.
            self._program.close_stdin(told=False)
            self._sock = self._accepted(listener)

    def _accepted(self, listener: socket.socket) -> socket.socket:
        listener.settimeout(GLANCE)
        deadline = Deadline(READY)
        while self._may_come(deadline, SLOW_REST):
            with contextlib.suppress(TimeoutError):
                return listener.accept()[0]
        raise self._nothing("protocol.py to be imported")

    def _answer(self, sock: socket.socket, call: str) -> Answer:
        """Wait for the child's answer; raise Mismatch if it dies, or goes on and on."""
        sock.settimeout(GLANCE)
        deadline = Deadline(LINE)
        self._running().watch_activity()
        while b"\n" not in self._received and self._may_come(deadline, REST):
            try:
                data = sock.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                break
            if not data:
                break
            self._received += data
        line, end, self._received = self._received.partition(b"\n")
        if not end:
            raise self._nothing(f"{call} to return")
        if answer := _understood(line):
            return answer
        raise self.mismatch(f"{call} to return", f"{FORGED} has answered instead")

    def _may_come(self, deadline: Deadline, rest: float) -> bool:
        program = self._running()
        return (
            deadline.left() > 0
            and not program.has_ended()
            and program.watch.resting() < rest
        )

    def _nothing(self, expected: str) -> Mismatch:
        """Return the error for an answer that does not come."""
        state = self._running().state(LAST_WORDS if self._hung_up() else 0.0)
        if state.running:
            return self.mismatch(expected, "no answer", hung=True)
        errors = list(unhandled_errors(state))
        got = "an error" if errors else f"the end of the program: {state.ending}"
        return self.mismatch(expected, got)

    def _hung_up(self) -> bool:
        """Whether the child has closed its end, which only its end does."""
        if self._sock is None:
            return False
        try:
            return self._sock.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    # -- small things -----------------------------------------------------------

    def processor_time(self) -> float:
        """Return the seconds that the child has used, seen from outside."""
        times = psutil.Process(self._running().pid).cpu_times()
        return float(times.user + times.system)

    def _running(self) -> Program:
        assert self._program
        return self._program

    def _connected(self) -> socket.socket:
        assert self._sock
        return self._sock

    def _record(self, kind: Kind, note: str) -> None:
        self._grader.transcript.record(self._running().name, kind, note=note)

    def close(self) -> None:
        """Hang up. Idempotent."""
        if self._sock:
            self._sock.close()

    def __enter__(self) -> "Decoding":
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Hang up; the grader ends the child."""
        self.close()


class Decoder:
    """One decoder of the student's."""

    def __init__(self, decoding: Decoding, name: str) -> None:
        """Speak for the decoder that the child knows as `name`."""
        self._decoding = decoding
        self._name = name

    def feeds(self, data: bytes, lines: Sequence[Line]) -> None:
        """Feed `data`; expect exactly these lines in return."""
        self._expect(f"feed({data!r})", lines)

    def finishes(self, lines: Sequence[Line]) -> None:
        """Let the stream end; expect exactly these lines in return."""
        self._expect("finish()", lines)

    def feeds_in_all(
        self, pieces: Sequence[bytes], lines: Sequence[Line], *, ends: bool = False
    ) -> None:
        """Feed the pieces; expect these lines, all in all.

        For what leaves open with which call a line is returned. With `ends` the stream
        ends after the pieces.
        """
        calls = [f"feed({piece!r})" for piece in pieces] + ["finish()"] * ends
        came = [line for call in calls for line in self._lines(self._call(call))]
        if (wanted := _shown(lines)) != came:
            expected = f"{self._name} to return, all in all, {_list(wanted)}"
            raise self._decoding.mismatch(expected, _list(came))

    def forgets_what_is_too_long(self) -> None:
        """Feed megabytes without a line end; expect that they are not kept.

        The memory is what Python says that objects made meanwhile still use.
        """
        pieces = f"[{self._name}.feed(b'x' * {PIECE}) for _ in range({FED // PIECE})]"
        answer = self._decoding.call(f"sum({pieces}, [])", trace=True)
        if answer["memory"] > MEMORY:
            expected = f"{self._name} to forget a line that is too long"
            got = f"{answer['memory']:,} bytes in memory of {FED:,} that were fed"
            raise self._decoding.mismatch(expected, got)
        self._expect_true_measure()

    def _expect_true_measure(self) -> None:
        """Expect that what says how much memory is used has not been tampered with."""
        hold = f"globals().setdefault('held', bytearray({FED})) is None"
        if (memory := self._decoding.call(hold, trace=True)["memory"]) < FED:
            expected = f"Python to see {FED:,} bytes that the test itself has put there"
            got = f"{memory:,}: {FORGED} measures instead"
            raise self._decoding.mismatch(expected, got)

    def is_as_quick_with_large_pieces(self) -> None:
        """Feed many short lines, in one piece and in small ones; compare the times.

        It is processor time, in one process, shortly after each other: what else the
        machine does has little part in it. The smallest of a few ratios counts.
        """
        ratios: list[float] = []
        while not ratios or (FACTOR < ratios[-1] < CERTAIN and len(ratios) < TRIES):
            small = self._seconds(FEW, MANY // FEW)
            ratios.append(self._seconds(MANY, 1) / max(small, LEAST))
        if min(ratios) > FACTOR:
            what = f"{MANY:,} lines in one piece"
            expected = f"{self._name} to be as quick with {what} as with small pieces"
            got = f"{min(ratios):.0f} times the time"
            raise self._decoding.mismatch(expected, got)

    def _seconds(self, count: int, pieces: int) -> float:
        """Feed pieces of `count` lines; return the processor time it takes."""
        feed = f"{self._name}.feed({LINES} * {count})"
        call = f"sum(len({feed}) for _ in range({pieces}))"
        before = self._decoding.processor_time()
        answer = self._decoding.call(call)
        outside = self._decoding.processor_time() - before
        if answer.get("instead") != str(count * pieces):
            expected = f"{count * pieces:,} lines, for as many that were fed"
            raise self._decoding.mismatch(expected, _returned(answer))
        # From outside it is less exact; but inside somebody may have turned the clock.
        return min(max(float(answer["seconds"]), outside - LEAST), outside + LEAST)

    # -- calls ------------------------------------------------------------------

    def _call(self, call: str) -> Answer:
        return self._decoding.call(f"{self._name}.{call}")

    def _expect(self, call: str, lines: Sequence[Line]) -> None:
        came = self._lines(self._call(call))
        if (wanted := _shown(lines)) != came:
            expected = f"{self._name}.{call} to return {_list(wanted)}"
            raise self._decoding.mismatch(expected, _list(came))

    def _lines(self, answer: Answer) -> list[str]:
        """Return the lines of an answer; expect that it is a list."""
        if "instead" in answer:
            got = _short(answer["instead"])
            raise self._decoding.mismatch(f"{self._name} to return a list", got)
        lines: list[str] = answer["lines"]
        return lines


def _understood(line: bytes) -> Answer | None:
    """Return what the driver says; None if it cannot have come from the driver."""
    try:
        answer: Answer = {"memory": 0} | json.loads(line, parse_constant=_no_number)
        numbers = [answer["seconds"], answer["memory"]]
        lines = answer.setdefault("lines", []) if "instead" not in answer else []
        texts = [*lines, answer.get("instead", "")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    good = all(type(number) in (int, float) for number in numbers)
    good = good and type(lines) is list and all(type(text) is str for text in texts)
    return answer if good else None


def _no_number(word: str) -> float:
    raise ValueError(word)


def _returned(answer: Answer) -> str:
    return _list(answer["lines"]) if "lines" in answer else _short(answer["instead"])


def _shown(lines: Sequence[Line]) -> list[str]:
    """Return lines as the child shows them."""
    return ["TOO_LONG" if line is TOO_LONG else repr(line) for line in lines]


def _list(shown: Sequence[str]) -> str:
    return _short(f"[{', '.join(shown)}]")


def _short(text: str) -> str:
    """Return `text`, if it is very long without its middle."""
    left_out = len(text) - 2 * SHOWN
    if left_out <= 0:
        return text
    return f"{text[:SHOWN]} ... {left_out} characters left out ... {text[-SHOWN:]}"
