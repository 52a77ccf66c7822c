"""The programs people really join with, against the real server.

What each is expected to do is stated in `real_clients.py`. A meeting has `alice`, who
is guest1 and whose every byte is seen, and clients, the first of which is guest2.

A client that is not installed is skipped; where `CI=true`, it is a failure.
"""

import os
import re
import select
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from grading.deadlines import END, EXIT, LINE, READY, Deadline
from grading.harness import Harness
from grading.mismatch import Mismatch, Wanted, described, matched
from grading.people import ANY_LINE, Person
from grading.program import Program
from grading.ready import Address
from grading.spawning import sigint_not_ignored
from grading.transcript import LineCutter, Transcript
from real_clients import CLIENTS, Client, table

pytest.importorskip("termios", reason="needs a POSIX system")
pytest.importorskip("pyte")

from terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
MCHAT = ROOT / "server" / "mchat.py"
CHAT = ROOT / "client" / "chat.py"

# A terminal that gives every key at once, shows none, and takes LF for "one row down"
# and no more: a client that leaves it so sends keys one by one, backspace as a byte.
KEY_BY_KEY = ["/bin/sh", "-c", 'stty -icanon -echo -opost && exec "$@"', "sh"]

# Blanks before it: BusyBox telnet ends its own first line with LF alone.
WELCOME = re.compile(r" *\* welcome, you are (guest\d+); here: .*")
WHO = "* here (2): guest1, guest2"
ANY_WHO = re.compile(r"\* here \(\d+\): .*")
JOINED = re.compile(r"\* guest\d+ joined")
LEFT = re.compile(r"\* guest\d+ left")
NOT_UTF8 = re.compile(r"\* your client does not send UTF-8.*")
GOODBYE = "* goodbye"
STOPPING = "* the server is stopping, goodbye"

IAC, DONT, DO, WONT, WILL = 255, 254, 253, 252, 251


# --------------------------------------------------------------- the clients at work


class Seat(Terminal):
    """A client in a terminal: type lines and keys, look at the screen."""

    def __init__(self, name: str, command: Sequence[str], log: Transcript) -> None:
        """Start it; `name` is what the transcript calls it."""
        env = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
        super().__init__(list(command), env)
        self._name = name
        self._log = log
        log.record(name, "started", note=shlex.join(command))

    def enter(self, line: str) -> None:
        """Type a line and press Enter."""
        self.press(f"{line}\r".encode())

    def press(self, keys: bytes) -> None:
        """Press keys that send these bytes."""
        self._log.record(self._name, "typed", data=keys)
        os.write(self._keyboard, keys)

    def ctrl_c(self) -> None:
        """Press Ctrl-C."""
        self.press(b"\x03")

    def wait_idle(self) -> None:
        """Wait until the client sleeps; BusyBox misses a signal that comes earlier."""
        deadline = Deadline(LINE)
        process = psutil.Process(self._process.pid)
        while process.status() != psutil.STATUS_SLEEPING and deadline.left():
            self._look(0.001)

    def close_stdin(self) -> None:
        """Press Ctrl-D: the end of input, unless the client sees it otherwise."""
        self.press(b"\x04")

    def expect_row(self, wanted: Wanted, timeout: float = LINE) -> re.Match[str]:
        """Wait until `wanted` is a whole row of the screen; return the match."""
        deadline = Deadline(timeout)
        while True:
            for row in self.rows():
                if found := matched(wanted, row.encode()):
                    return found
            if not self._look(deadline.left()):
                shown = "\n    ".join(["on the screen there is only", *self.rows()])
                raise Mismatch(self._name, described(wanted), shown, self._log)


class Pipe:
    """A client with pipes for stdin and stdout; what it says on stderr comes along."""

    def __init__(self, name: str, command: Sequence[str], log: Transcript) -> None:
        """Start it; `name` is what the transcript calls it."""
        self._name = name
        self._log = log
        self._printed = LineCutter()
        self._lines: list[bytes] = []  # printed and not asked for yet
        self._process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.record(name, "started", note=shlex.join(command))

    def enter(self, line: str) -> None:
        """Write a line with its end to stdin."""
        self.write(f"{line}\n")

    def write(self, text: str) -> None:
        """Write to stdin."""
        self._log.record(self._name, "typed", data=text.encode())
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())

    def close_stdin(self) -> None:
        """End stdin."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def expect(self, wanted: Wanted, timeout: float = LINE) -> list[str]:
        """Wait for a line it prints; return the lines before it."""
        deadline = Deadline(timeout)
        before: list[str] = []
        while self._lines or self._read(deadline):
            while self._lines:
                line = self._lines.pop(0)
                if matched(wanted, line):
                    return before
                before.append(line.decode(errors="backslashreplace"))
        got = "\n    ".join(["only", *before])
        raise Mismatch(self._name, described(wanted), got, self._log)

    def wait_exit(self) -> int:
        """Wait for its end; return the exit code. Raises TimeoutExpired."""
        deadline = Deadline(EXIT)
        while self._read(deadline):
            pass
        return self._process.wait(deadline.left())

    def close(self) -> None:
        """Kill, reap, close."""
        self._process.kill()
        with self._process:  # waits, and closes the pipes
            pass

    def _read(self, deadline: Deadline) -> bool:
        """Wait for output; False at its end, or if there is none in time."""
        out = self._process.stdout
        assert out is not None
        if not select.select([out], [], [], deadline.left())[0]:
            return False
        data = os.read(out.fileno(), 65_536)
        lines = self._printed.cut(data)
        if not data and (rest := self._printed.rest()):
            lines = [rest]
        for line in lines:
            self._log.record(self._name, "printed", data=line, note="stdout")
        self._lines += lines
        return bool(data)


class Meeting:
    """A server with alice in it; clients join."""

    def __init__(self, harness: Harness) -> None:
        """Start the server, let alice in."""
        self._harness = harness
        self._open: list[Seat | Pipe] = []
        self.server: Program = harness.start(MCHAT, "--host", "127.0.0.1", "--port", 0)
        self.alice: Person = harness.connect(self.server, "alice")
        self.alice.expect(re.compile(r"\* welcome, you are guest1; .*"))

    def sit(self, client: Client, prefix: Sequence[str] = ()) -> Seat:
        """Let a client join from a terminal; return once it is welcome."""
        seat = self.terminal(client, prefix)
        name = seat.expect_row(WELCOME, READY)[1]
        self.alice.expect(f"* {name} joined")
        return seat

    def terminal(
        self, client: Client, prefix: Sequence[str] = (), to: Address | None = None
    ) -> Seat:
        """Start a client in a terminal, by default for our server."""
        command = [*prefix, *self._command(client, to or self.server.address)]
        with sigint_not_ignored():
            seat = Seat(client.name, command, self._harness.transcript)
        self._open.append(seat)
        return seat

    def pipe(self, client: Client) -> Pipe:
        """Start a client in pipes."""
        command = self._command(client, self.server.address)
        pipe = Pipe(client.name, command, self._harness.transcript)
        self._open.append(pipe)
        return pipe

    def _command(self, client: Client, address: Address | None) -> list[str]:
        assert address is not None
        host, port = address
        command = client.command.replace("HOST", host).replace("PORT", str(port))
        own = {"client/chat.py": str(CHAT)}
        return [program_of(client), *(own.get(w, w) for w in command.split()[1:])]

    def expect_left(self, count: int = 1, stay: int = 0) -> None:
        """Wait until alice is told, once for each, that so many clients have left.

        One that half-closes could still listen, so that it has left is told when the
        time of grace is over, or when what alice says cannot reach it any more.
        """
        told: set[str] = set()
        for text in ("anybody there?", "nobody?"):
            self.alice.send(text)
            self.who()
            told |= self._told_until(ANY_WHO)
        while len(told) < count:
            told.add(self.alice.expect(LEFT, END)[0])
        self.alice.expect_nothing_before(here(1 + stay), self.who)
        assert len(told) == count

    def _told_until(self, wanted: re.Pattern[str]) -> set[str]:
        told: list[str] = []
        while not wanted.fullmatch(line := self.alice.expect(ANY_LINE)[0]):
            assert LEFT.fullmatch(line)
            told.append(line)
        assert len(set(told)) == len(told)
        return set(told)

    def who(self) -> None:
        """Let alice ask who is here."""
        self.alice.send("/who")

    def close(self) -> None:
        """End the clients."""
        for client in self._open:
            client.close()


def here(count: int) -> re.Pattern[str]:
    """Return what the answer to /who looks like when so many are here."""
    return re.compile(rf"\* here \({count}\): .*")


def program_of(client: Client) -> str:
    """Return the program to start, or skip the test, or fail it: here is decided."""
    if not client.package:
        return sys.executable
    if found := next(filter(None, map(shutil.which, client.programs)), None):
        return found
    reason = f"{client.programs[0]} is not installed (Debian: {client.package})"
    if os.environ.get("CI") == "true" and sys.platform == "linux":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def meeting(harness: Harness) -> Iterator[Meeting]:
    """Give a meeting."""
    meeting = Meeting(harness)
    yield meeting
    meeting.close()


def stating(**facts: object) -> list[Client]:
    """Return the clients of which all these things are stated."""
    return [c for c in CLIENTS if all(getattr(c, k) == v for k, v in facts.items())]


def each(clients: list[Client]) -> pytest.MarkDecorator:
    """Run a test once with each of these clients."""
    return pytest.mark.parametrize("client", clients, ids=lambda client: client.name)


def installed(clients: list[Client]) -> Iterator[Client]:
    """Yield those that are installed: for tests that wait for many at the same time."""
    for client in clients:
        with suppress(pytest.skip.Exception):
            program_of(client)
            yield client


# ----------------------------------------------------------------------- on a terminal


@each(CLIENTS)
def test_lines_come_and_go_on_a_terminal(meeting: Meeting, client: Client) -> None:
    """Whole and exact in both directions; nobody hears what they say themselves.

    A byte that is not UTF-8 is replaced: 255, which telnet clients double.
    """
    seat = meeting.sit(client)
    seat.press("hex\x7fllo é你😀\r".encode())
    meeting.alice.expect("[guest2] hello é你😀")
    meeting.alice.send("hé 你😀")
    seat.expect_row("[guest1] hé 你😀")
    seat.press(b"one\xfftwo\r")
    meeting.alice.expect("[guest2] one\ufffdtwo")
    seat.expect_row(NOT_UTF8)
    seat.enter("/who")
    seat.expect_row(WHO)
    assert "[guest2]" not in "".join(seat.rows())


@each(stating(own_modes=False))
def test_terminal_in_character_mode(meeting: Meeting, client: Client) -> None:
    """Backspace, in either form, erases a whole character; lines are no staircase."""
    seat = meeting.sit(client, KEY_BY_KEY)
    for byte in "hé\x7felp\blo\r".encode():
        seat.press(bytes([byte]))
    meeting.alice.expect("[guest2] hello")
    meeting.alice.send("one\ntwo")
    seat.expect_row("[guest1] one")
    seat.expect_row("[guest1] two")


@each(CLIENTS)
def test_quit_ends_the_client(meeting: Meeting, client: Client) -> None:
    """At once, or as soon as it has no more input either."""
    seat = meeting.sit(client)
    seat.enter("/quit")
    seat.expect_row(GOODBYE)
    meeting.expect_left()
    if client.waits:
        seat.close_stdin()
    assert seat.wait_exit() == client.closed


def test_quit_ends_in_time_a_client_that_does_not_see_the_end(meeting: Meeting) -> None:
    """For the end of the stream alone means nothing to it, but a reset does."""
    clients = list(installed(stating(reset_ends=True)))
    seats = [meeting.sit(client) for client in clients]
    for seat in seats:
        seat.enter("/quit")
    for client, seat in zip(clients, seats, strict=True):
        seat.expect_row(GOODBYE)
        assert seat.wait_exit() == client.closed


@each(CLIENTS)
def test_server_that_stops_ends_the_client(meeting: Meeting, client: Client) -> None:
    """It shows the last words; the server need not be killed."""
    seat = meeting.sit(client)
    meeting.server.type("exit")
    seat.expect_row(STOPPING)
    if client.waits:
        seat.close_stdin()
    assert seat.wait_exit() == client.stopped
    meeting.alice.expect(STOPPING)
    meeting.alice.close()
    assert meeting.server.wait_exit() == 0


# --------------------------------------------------------------------------- leaving


@each(stating(ctrl_c="leaves"))
def test_ctrl_c_leaves(meeting: Meeting, client: Client) -> None:
    """The others are told, once."""
    seat = meeting.sit(client)
    seat.ctrl_c()
    assert seat.wait_exit() == client.interrupted
    meeting.expect_left()


@each(stating(ctrl_d="leaves"))
def test_ctrl_d_leaves(meeting: Meeting, client: Client) -> None:
    """The others are told, once."""
    seat = meeting.sit(client)
    seat.close_stdin()
    assert seat.wait_exit() == 0
    meeting.expect_left()


def test_ctrl_d_half_closes_or_is_not_seen(meeting: Meeting) -> None:
    """Both kinds go on listening; a second later only the other kind is there."""
    leaving = [meeting.sit(c) for c in installed(stating(ctrl_d="half-closes"))]
    staying = [meeting.sit(c) for c in installed(stating(ctrl_d="stays"))]
    for seat in leaving + staying:
        seat.close_stdin()
    meeting.alice.send("still there?")
    for seat in leaving + staying:
        seat.expect_row("[guest1] still there?")
    for seat in leaving:
        assert seat.wait_exit() == 0
    told = [meeting.alice.expect(LEFT, END)[0] for _ in leaving]
    assert len(set(told)) == len(leaving)
    meeting.alice.send("still there now?")
    for seat in staying:
        seat.expect_row("[guest1] still there now?")
    meeting.alice.expect_nothing_before(here(1 + len(staying)), meeting.who)


# ------------------------------------------------------------------------- in a pipe


@each(CLIENTS)
def test_pipe_that_is_kept_open(meeting: Meeting, client: Client) -> None:
    """A script can talk, and leave with /quit."""
    pipe = meeting.pipe(client)
    pipe.expect(WELCOME, READY)
    meeting.alice.expect("* guest2 joined")
    pipe.enter("hé 你")  # not 😀, see what is noted about telnet
    meeting.alice.expect("[guest2] hé 你")
    meeting.alice.send("hé 你😀")
    assert pipe.expect("[guest1] hé 你😀") == []
    pipe.enter("/who")
    assert pipe.expect(WHO) == []
    pipe.enter("/quit")
    assert pipe.expect(GOODBYE) == []
    meeting.expect_left()
    if client.waits:
        pipe.close_stdin()
    assert pipe.wait_exit() == client.closed


@each(stating(pipe_end="half-closes"))
def test_printf_gets_its_answer(meeting: Meeting, client: Client) -> None:
    r"""`printf '/who\nbye' | client`: and the last line counts without its end."""
    pipe = meeting.pipe(client)
    pipe.write("/who\nbye")
    pipe.close_stdin()
    meeting.alice.expect("* guest2 joined")
    meeting.alice.expect("[guest2] bye")
    pipe.expect(WHO)


@each(stating(pipe_end="stays"))
def test_printf_gets_its_answer_but_no_end(meeting: Meeting, client: Client) -> None:
    """As the client does not tell the server of its end of input."""
    pipe = meeting.pipe(client)
    pipe.write("/who\nbye")
    pipe.close_stdin()
    meeting.alice.expect("* guest2 joined")
    pipe.expect(WHO)
    meeting.alice.send("still there?")
    pipe.expect("[guest1] still there?")


@each(stating(pipe_end="leaves"))
def test_end_of_input_leaves(meeting: Meeting, client: Client) -> None:
    """The others are told, once."""
    pipe = meeting.pipe(client)
    pipe.expect(WELCOME, READY)
    meeting.alice.expect("* guest2 joined")
    pipe.close_stdin()
    assert pipe.wait_exit() == 0
    meeting.expect_left()


def test_end_of_input_half_closes_or_is_not_seen(meeting: Meeting) -> None:
    """Those that half-close are let go after the time of grace, and end."""
    leaving = [meeting.pipe(c) for c in installed(stating(pipe_end="half-closes"))]
    staying = [meeting.pipe(c) for c in installed(stating(pipe_end="stays"))]
    for pipe in leaving + staying:
        pipe.close_stdin()
    for pipe in leaving + staying:
        pipe.expect(WELCOME, READY)
        meeting.alice.expect_eventually(JOINED)
    for pipe in leaving:
        assert pipe.wait_exit() == 0
    meeting.alice.send("still there?")
    for pipe in staying:
        pipe.expect("[guest1] still there?")
    meeting.expect_left(len(leaving), stay=len(staying))


def test_server_that_stops_ends_clients_in_pipes(meeting: Meeting) -> None:
    """They pass on its last words."""
    clients = list(installed(CLIENTS))
    pipes = [meeting.pipe(client) for client in clients]
    for pipe in pipes:
        pipe.expect(WELCOME, READY)
    meeting.server.type("exit")
    for client, pipe in zip(clients, pipes, strict=True):
        pipe.expect(STOPPING)
        if client.waits:
            pipe.close_stdin()
        assert pipe.wait_exit() == client.stopped
    meeting.alice.close()
    assert meeting.server.wait_exit() == 0


# ------------------------------------------------------------------- clients of telnet

TELNET = next(c for c in CLIENTS if "inetutils-telnet" in c.command)
BUSYBOX_TELNET = next(c for c in CLIENTS if "busybox telnet" in c.command)
PLINK_TELNET = next(c for c in CLIENTS if "plink -telnet" in c.command)


@pytest.mark.parametrize("key", [b"\x03", b"\x1c"], ids=["Ctrl-C", "Ctrl-backslash"])
@each([TELNET])
def test_telnet_screen_is_not_dead_after(
    meeting: Meeting, client: Client, key: bytes
) -> None:
    """It asks DO TIMING-MARK, throws away what comes before the answer, and goes on."""
    seat = meeting.sit(client)
    seat.press(key)
    seat.enter("hello")
    meeting.alice.expect("[guest2] hello")
    meeting.alice.send("still there?")
    seat.expect_row("[guest1] still there?")


@each([TELNET])
def test_telnet_is_told_that_the_server_is_here(
    meeting: Meeting, client: Client
) -> None:
    """AYT, are you there: Ctrl-] and `send ayt`."""
    seat = meeting.sit(client)
    seat.press(b"\x1d")
    seat.expect_row(re.compile(r".*telnet>"))
    seat.enter("send ayt")
    seat.expect_row("* yes, the server is here")
    seat.enter("good")
    meeting.alice.expect("[guest2] good")


@each([TELNET])
def test_telnet_quits(meeting: Meeting, client: Client) -> None:
    """Ctrl-] and `quit`."""
    seat = meeting.sit(client)
    seat.press(b"\x1d")
    seat.expect_row(re.compile(r".*telnet>"))
    seat.enter("quit")
    assert seat.wait_exit() == 0
    meeting.expect_left()


@each([TELNET])
def test_telnet_cannot_have_character_mode(meeting: Meeting, client: Client) -> None:
    """It asks for it, DO ECHO and DO SGA, is refused, and goes on line by line."""
    seat = meeting.sit(client)
    seat.press(b"\x1d")
    seat.expect_row(re.compile(r".*telnet>"))
    seat.enter("mode character")
    seat.press(b"hex\x7fllo\r")
    meeting.alice.expect("[guest2] hello")


@each([BUSYBOX_TELNET])
def test_busybox_telnet_cannot_have_character_mode(
    meeting: Meeting, client: Client
) -> None:
    """The same, from its menu."""
    seat = meeting.sit(client)
    seat.wait_idle()
    seat.ctrl_c()
    seat.expect_row("Console escape. Commands are:")
    seat.press(b"c")
    seat.expect_row("Entering line mode")
    seat.press(b"hex\x7fllo\r")
    meeting.alice.expect("[guest2] hello")


@each([BUSYBOX_TELNET])
def test_busybox_telnet_goes_on_after_its_menu(
    meeting: Meeting, client: Client
) -> None:
    """What is said meanwhile is not lost; and the menu has a way out."""
    seat = meeting.sit(client)
    seat.wait_idle()
    seat.ctrl_c()
    seat.expect_row("Console escape. Commands are:")
    meeting.alice.send("still there?")
    seat.press(b"l")
    seat.expect_row("[guest1] still there?")
    seat.enter("yes")
    meeting.alice.expect("[guest2] yes")
    seat.wait_idle()
    seat.ctrl_c()
    seat.press(b"e")
    assert seat.wait_exit() == 0
    meeting.expect_left()


@each([PLINK_TELNET])
def test_what_plink_offers_is_refused(
    meeting: Meeting, harness: Harness, client: Client
) -> None:
    """All of it, byte by byte, and before anything else is said."""
    listener = harness.listen()
    meeting.terminal(client, to=listener.address)
    opening = listener.accept("plink").read_bytes(7 * 3)
    assert set(opening[0::3]) == {IAC}
    assert set(opening[1::3]) == {DO, WILL}
    refusal = opening.translate(bytes.maketrans(bytes([DO, WILL]), bytes([WONT, DONT])))
    bob = harness.connect(meeting.server, "bob")
    bob.send_bytes(opening)
    bob.expect(WELCOME)
    assert bob.read_bytes(len(refusal)) == refusal
    bob.send("hello")
    meeting.alice.expect("* guest2 joined")
    meeting.alice.expect("[guest2] hello")


# ------------------------------------------------------------------------- the table


def test_table_has_a_row_for_each_client() -> None:
    """With as many cells as its head has."""
    rows = [re.findall(r"(?<!\\)\|", line) for line in table().splitlines()]
    assert len(rows) == 2 + len(CLIENTS)
    assert len({len(row) for row in rows}) == 1
