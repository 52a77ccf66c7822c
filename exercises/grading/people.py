"""The people in a test: one TCP connection each, and the words to tell the story.

Nothing reads in the background. What a person has not asked for stays in the socket,
so not reading is how to play a stalled client. One thread per person at a time.
"""

import contextlib
import re
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from typing import Literal

from grading.activity import Activity
from grading.deadlines import END, GLANCE, LINE, READY, REST, SLOW_REST, Deadline
from grading.mismatch import ANY_LINE, Mismatch, Wanted, described, matched
from grading.program import Program
from grading.ready import Address
from grading.rendering import quoted
from grading.transcript import Kind, LineCutter, Transcript

__tracebackhide__ = True  # pytest then shows the test's line, not ours

End = Literal["FIN", "RST"]  # an orderly end, or a reset: pending data may be lost

LINE_LIMIT = 1_048_576  # bytes; a longer line is a mismatch, not a memory problem
READ_LIMIT = 67_108_864  # bytes that read_all takes before it gives up
REMEMBERED = 5  # lines of the past that a report repeats

# struct linger: on, 0 seconds. Then close() sends RST (socket(7)).
_LINGER_0 = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Person:
    """One connected socket with a name. Failed expectations raise Mismatch."""

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        peer: str | Program,
        transcript: Transcript,
    ) -> None:
        """Take over a connected socket; `peer` is the other end, or its name.

        A launched program is watched: there is no need to wait for one that sleeps.
        """
        self.name = name
        self.peer = peer if isinstance(peer, str) else peer.name
        self._program = peer if isinstance(peer, Program) and peer.launched else None
        self._hung = False  # nothing came although something should
        self._stuck = ""  # why we gave up before it was time
        self._sock = sock
        self._transcript = transcript
        self._buffer = bytearray()  # received, not yet asked for
        self._cutter = LineCutter()  # what is received, for the transcript
        self._past: deque[bytes] = deque(maxlen=REMEMBERED)
        self._notices: list[bytes] = []  # lines that a subclass has passed over
        self._end: End | None = None
        # Each send becomes a packet of its own: pieces stay pieces.
        with contextlib.suppress(OSError):  # macOS, if the peer has left already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # -- sending ----------------------------------------------------------------

    def send(self, text: str, end: str = "\n") -> None:
        """Send `text` as UTF-8, followed by `end`."""
        self.send_bytes((text + end).encode())

    def send_bytes(self, data: bytes, timeout: float = LINE) -> None:
        """Send exactly these bytes; block while the peer does not read."""
        self._record("sent", data=data)
        self._sock.settimeout(timeout)
        try:
            self._sock.sendall(data)
        except TimeoutError:
            got = f"no room in its receive buffer for {timeout:g} s"
            raise self.mismatch(f"{self.peer} to read what is sent", got) from None
        except OSError as exc:
            raise self.mismatch(f"to send {quoted(data)}", _reason(exc)) from None

    def was_reset(self) -> bool:
        """Tell whether a reset has come since the last read, even behind the end."""
        error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return self._end == "RST" or error != 0

    def half_close(self) -> None:
        """End the sending side (FIN); go on reading."""
        self._record("half-closed")
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as exc:
            raise self.mismatch("to end the sending side", _reason(exc)) from None

    def stall(self) -> None:
        """Note that this person reads nothing from here on. (Nothing else to do.)"""
        self._record("stalled")

    def close(self) -> None:
        """Leave. Sends FIN, or RST if received bytes are unread. Idempotent."""
        if self._open():
            self._record("closed")
            self._sock.close()

    def reset(self) -> None:
        """Leave with RST, as a program does that crashes or is in a hurry."""
        self._record("reset")
        with contextlib.suppress(OSError):  # macOS, if the peer was faster
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self._sock.close()

    # -- expecting --------------------------------------------------------------

    def expect(
        self, wanted: Wanted, timeout: float = LINE, wording: str = ""
    ) -> re.Match[str]:
        """Expect the next line to be `wanted`; return the match, [0] is the line.

        `wanted` is the whole line without its end (LF or CR LF), or a compiled regex
        which must match all of it; `wording` says it better than a regex can.
        """
        wording = wording or f"{described(wanted)} next"
        return self._expect(wanted, Deadline(timeout), wording)

    def expect_eventually(
        self, wanted: Wanted, timeout: float = LINE, wording: str = ""
    ) -> re.Match[str]:
        """Expect a line to be `wanted` sooner or later; skip the lines before it."""
        deadline = Deadline(timeout)
        skipped = 0
        while (line := self._line(deadline)) is not None:
            self._past.append(line)
            if match := matched(wanted, line):
                return match
            skipped += 1
        expected = wording or f"{described(wanted)} sooner or later"
        got = f"{skipped} other lines, then {self._nothing(deadline)}"
        raise self.mismatch(expected, got)

    def expect_lines(self, count: int, timeout: float = LINE) -> list[str]:
        """Expect `count` lines within `timeout`; return them without their ends."""
        deadline = Deadline(timeout)
        return [
            self._expect(ANY_LINE, deadline, f"{count} lines, now number {number}")[0]
            for number in range(1, count + 1)
        ]

    def expect_nothing_before(
        self, answer: Wanted, ask: Callable[[], object], timeout: float = LINE
    ) -> re.Match[str]:
        """Prove that nothing was sent to this person: a fence, not a wait.

        `ask` must make the server send `answer` on the path where the unwanted line
        would have come: from the same sender to this person. As lines keep their
        order on a path, `answer` must be the next line.
        """
        ask()
        wording = f"nothing before {described(answer)}"
        return self._expect(answer, Deadline(timeout), wording)

    def expect_end(self, timeout: float = END) -> End:
        """Expect the peer to end the connection with nothing more to read; say how."""
        deadline = Deadline(timeout)
        while not self._buffer and self._receive(deadline):
            pass
        if self._end and not self._buffer:
            return self._end
        got = quoted(bytes(self._buffer)) if self._buffer else self._nothing(deadline)
        raise self.mismatch("the end of the connection", got)

    # -- reading ----------------------------------------------------------------

    def read_bytes(self, count: int, timeout: float = LINE) -> bytes:
        """Return exactly the next `count` bytes, whatever they are."""
        deadline = Deadline(timeout)
        while len(self._buffer) < count:
            if not self._receive(deadline):
                raise self.mismatch(f"{count} bytes", self._nothing(deadline))
        self._record_rest()
        return self._take(count)

    def read_all(self, timeout: float = END) -> bytes:
        """Return everything up to the end of the connection (FIN or RST)."""
        deadline = Deadline(timeout)
        while len(self._buffer) <= READ_LIMIT and self._receive(deadline):
            pass
        if not self._end:
            raise self.mismatch("the end of the connection", self._nothing(deadline))
        return self._take(len(self._buffer))

    # -- helpers ----------------------------------------------------------------

    def _expect(
        self, wanted: Wanted, deadline: Deadline, wording: str
    ) -> re.Match[str]:
        line = self._line(deadline)
        if line is None:
            raise self.mismatch(wording, self._nothing(deadline))
        match = matched(wanted, line)
        if not match:
            raise self.mismatch(wording, quoted(line))
        self._past.append(line)
        return match

    def _line(self, deadline: Deadline) -> bytes | None:
        """Take the next line with its end; None if there is none in time."""
        while not (end := self._buffer.find(b"\n") + 1):
            if len(self._buffer) > LINE_LIMIT or not self._receive(deadline):
                return None
        return self._take(end)

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _receive(self, deadline: Deadline) -> bool:
        """Wait for bytes; False if the deadline or the end comes first, or never."""
        watch: Activity | None = None
        while (left := deadline.left()) and not self._end:
            if self._receive_within(min(left, GLANCE) if self._program else left):
                return True
            if self._program:
                watch = watch or self._program.watch_activity()
                self._stuck = watch.stuck(REST)
            if self._stuck:
                return False
        return False

    def _receive_within(self, seconds: float) -> bool:
        if self._end:
            return False
        self._sock.settimeout(seconds)
        try:
            data = self._sock.recv(65_536)
        except (TimeoutError, BlockingIOError):  # the latter if seconds == 0
            return False
        except ConnectionError:
            data, self._end = b"", "RST"
        self._buffer += data
        for line in self._cutter.cut(data):
            self._record("got", data=line)
        if not data:
            self._end = self._end or "FIN"  # recv() returning b"" means FIN
            self._record_rest()
            self._record("ended", note=self._end)
        return bool(data)

    def _open(self) -> bool:
        return self._sock.fileno() >= 0

    def _record(self, kind: Kind, data: bytes = b"", note: str = "") -> None:
        self._transcript.record(self.name, kind, self.peer, data, note)

    def _record_rest(self) -> None:
        if rest := self._cutter.rest():
            self._record("got", data=rest)

    def _nothing(self, deadline: Deadline) -> str:
        """Say what came instead of what was awaited until the deadline."""
        if len(self._buffer) > LINE_LIMIT:
            return f"{len(self._buffer)} bytes and still no end"
        came, more = "", ""
        if self._buffer:
            ended = "" if b"\n" in self._buffer else " without a line end"
            came, more = f"{quoted(bytes(self._buffer))}{ended}, then ", " more"
        if self._end:
            return f"{came}the end of the connection ({self._end})"
        self._hung = True
        if self._stuck:
            return f"{came}nothing{more}, and {self.peer} {self._stuck}"
        return f"{came}nothing{more} within {deadline.timeout:g} s"

    def mismatch(self, expected: str, got: str) -> Mismatch:
        """Return the error "NAME expected `expected`, but got `got`".

        If nothing came in time, the report tells what the program is waiting for.
        """
        if self._open():
            self._receive_within(0)  # what has come meanwhile belongs into the report
            self._record_rest()
        return Mismatch(
            self.name,
            expected,
            got,
            self._transcript,
            self._past,
            hung=self._hung,
        )


def connect(
    name: str,
    address: Address,
    peer: str | Program,
    transcript: Transcript,
    *,
    receive_buffer: int = 0,
    person_class: type[Person] = Person,
) -> Person:
    """Connect a person called `name` to the program `peer`, or called `peer`.

    `receive_buffer` in bytes, if given, makes a reader whose buffer is soon full.
    Raise Mismatch if nobody accepts.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if receive_buffer:  # before connect: it decides the window offered (tcp(7))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(LINE)
        sock.connect(address)
        person = person_class(name, sock, peer, transcript)
        transcript.record(name, "connected", person.peer)
        return person
    except (OSError, OverflowError) as exc:  # the latter: port 65536 and above
        sock.close()
        called = peer if isinstance(peer, str) else peer.name
        expected = f"to connect to {called} at {address[0]} port {address[1]}"
        raise Mismatch(name, expected, _reason(exc), transcript) from None


def _reason(exc: Exception) -> str:
    return f"an error: {getattr(exc, 'strerror', None) or exc}"


class Listener:
    """A listening socket of the test, for client programs to connect to."""

    def __init__(
        self, name: str, transcript: Transcript, receive_buffer: int = 0
    ) -> None:
        """Listen on 127.0.0.1 and a free port; `name` is whom the test plays.

        A connection has a `receive_buffer` of so many bytes, if it is given.
        """
        self.name = name
        self._transcript = transcript
        self._sock = socket.create_server(("127.0.0.1", 0))
        if receive_buffer:  # what is accepted inherits it, see tcp(7)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._accepted: list[Person] = []
        self.address: Address = self._sock.getsockname()

    def accept(self, peer: str | Program, timeout: float = READY) -> Person:
        """Wait for the next connection, made by the program `peer`, or called so."""
        deadline = Deadline(timeout)
        called = peer if isinstance(peer, str) else peer.name
        program = peer if isinstance(peer, Program) else None
        watch = program.watch_activity() if program and program.launched else None
        while not (sock := self._next(min(GLANCE, deadline.left()))):
            if ended := program is not None and program.has_ended():
                got = "its end"
            elif stuck := watch.stuck(SLOW_REST) if watch else "":
                got = f"nobody, and {called} {stuck}"
            elif deadline.left():
                continue
            else:
                got = f"nobody within {timeout:g} s"
            expected = f"{called} to connect"
            raise Mismatch(self.name, expected, got, self._transcript, hung=not ended)
        self._transcript.record(self.name, "accepted", called)
        person = Person(self.name, sock, peer, self._transcript)
        self._accepted.append(person)
        return person

    def _next(self, seconds: float) -> socket.socket | None:
        self._sock.settimeout(seconds)
        try:
            return self._sock.accept()[0]
        except (TimeoutError, BlockingIOError):  # the latter if seconds == 0
            return None

    def close(self) -> None:
        """Stop listening and close what was accepted. Idempotent."""
        self._sock.close()
        for person in self._accepted:
            person.close()
