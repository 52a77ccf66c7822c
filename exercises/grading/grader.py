"""What the tests of the exercises talk to: a harness that knows the step.

    def test_everyone_else_hears_it(grader):
        alice, bob = grader.join(grader.server(), "alice", "bob")
        alice.send("hello")
        bob.hears("hello")

Every program runs from a fresh copy of the student's files and nothing else. What the
step leaves open is left open here: line ends, any prefix before what somebody says,
and notices (lines that begin with "* ") at any time.
"""

import contextlib
import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import psutil

from grading.control import Control
from grading.deadlines import LINE, Deadline, patient
from grading.diagnosis import unhandled_errors
from grading.harness import Harness
from grading.mismatch import ANY_LINE, Mismatch, Wanted, matched
from grading.people import Listener, Person
from grading.processes import Family
from grading.program import Program
from grading.ready import Address
from grading.rendering import quoted
from grading.steps import Step

__tracebackhide__ = True  # pytest then shows the test's line, not ours

PREFIX = re.compile(r"(?:.*\W)?")  # before what somebody says
GREETING = re.compile(r"\* .*")
NOTICE = b"* "
HARSH = "runs on a harsh system: threads switch often, recv and send move few bytes"
HASTY = "runs on a hasty system: there a minute passes in less than a second"
LAST_WORDS = 0.3  # seconds that a program may take to say more
SILENCE = 0.35  # seconds; on a hasty system more than half a minute
STALLED = patient(1.0)  # seconds; then a program waits, unless it is very slow
LONG = patient(40.0)  # seconds; megabytes take fewer, even if sent byte by byte
MOMENT = 0.05  # seconds in which nothing moves
PAUSE = 0.3  # seconds within which such a moment should come
MEASURE = 0.1  # seconds of processor time that we burn to compare with
WORDS = ("amber", "birch", "coral", "ember", "flint", "grove", "heron", "lemon")


class Missing(AssertionError):
    """A file of the step was not handed in. str() is a line for its author."""

    def __init__(self, step: Step, name: str) -> None:
        super().__init__(f"{step.name}/{name} is missing, so there is nothing to grade")
        self.name = name


class Member(Person):
    """A person who knows what lines look like in these exercises."""

    def hears(self, text: str, timeout: float = LINE) -> str:
        """Expect the next thing said to be `text`, behind any prefix; return the line.

        Notices before it are skipped; `notices` counts them.
        """
        wording = f"to hear {quoted(text.encode())} next"
        return self._spoken(_behind_prefix(text), wording, timeout)

    def hears_nothing_before(self, text: str, say: Callable[[], object]) -> str:
        """Prove that nothing was said to this person: a fence, see `Person`.

        `say` must make the program send `text` on the path of the unwanted line.
        """
        say()
        wording = f"to hear nothing before {quoted(text.encode())}"
        return self._spoken(_behind_prefix(text), wording)

    def hears_at_last(self, text: str) -> str:
        """Expect that `text` is said sooner or later; return the line."""
        wording = f"to hear {quoted(text.encode())} sooner or later"
        return self.expect_eventually(_behind_prefix(text), wording=wording)[0]

    def hears_something(self, wording: str = "to hear something") -> str:
        """Expect that something is said; return the line."""
        return self._spoken(ANY_LINE, wording)

    def hears_line(self, line: str, why: str = "") -> str:
        """Expect the next thing said to be exactly this line, prefix and all."""
        wording = f"to hear {quoted(line.encode())} next{why and f', {why}'}"
        return self._spoken(line, wording)

    def _spoken(self, wanted: Wanted, wording: str, timeout: float = LINE) -> str:
        deadline = Deadline(timeout)
        while (line := self._line(deadline)) is not None and line.startswith(NOTICE):
            self._past.append(line)
            self._notices.append(line)
        if line is None:
            raise self.mismatch(wording, self._nothing(deadline))
        match = matched(wanted, line)
        if not match:
            raise self.mismatch(wording, quoted(line))
        self._past.append(line)
        return match[0]

    def is_told(
        self, pattern: str, wording: str, timeout: float = LINE
    ) -> re.Match[str]:
        """Expect a notice, a line that begins with "* ", like the regex `pattern`.

        Other notices before it are skipped; anything that is no notice is a mismatch.
        """
        deadline = Deadline(timeout)
        while (line := self._line(deadline)) is not None and line.startswith(NOTICE):
            self._past.append(line)
            self._notices.append(line)
            if match := matched(re.compile(rf"\* (?:{pattern})"), line):
                return match
        got = quoted(line) if line is not None else self._nothing(deadline)
        raise self.mismatch(wording, got)

    def notices(self, pattern: str) -> int:
        """Return how many notices so far were like the regex `pattern`."""
        wanted = re.compile(rf"\* (?:{pattern})")
        return sum(matched(wanted, line) is not None for line in self._notices)


def _behind_prefix(text: str) -> Callable[[str], bool]:
    """Return what tells whether a line is `text` behind any prefix.

    (A regex for each line that is said would take longer than all else.)
    """
    return lambda line: (
        line.endswith(text) and bool(PREFIX.fullmatch(line, 0, len(line) - len(text)))
    )


class Grader(Harness):
    """A harness whose programs are those of one submission for one step."""

    person = Member

    def __init__(
        self, step: Step, source: Path, seed: int, new_family: Callable[[], Family]
    ) -> None:
        """Copy the files of `step` from `source`, the folder of the submission.

        `seed` chooses the words people say, and what happens on a harsh system.
        `new_family` is called for each program: it says how that is confined.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="grading-")).resolve()
        super().__init__(self.folder)
        self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._step = step
        self._source = source
        self._random = Random(seed)
        self._new_family = new_family
        self._programs: list[Program] = []
        self._copied = False

    # -- programs ---------------------------------------------------------------

    def server(
        self,
        *args: object,
        port: int = 0,
        ready: bool = True,
        harsh: bool = False,
        hasty: bool = False,
    ) -> Program:
        """Start `mchat.py --port PORT`; wait until it is ready, unless told not to."""
        program = self.run("mchat.py", "--port", port, *args, harsh=harsh, hasty=hasty)
        if ready:
            program.wait_ready()
            self._check_ready_line(program, port)
        return program

    def client(
        self, to: Listener | Address, *, harsh: bool = False, hasty: bool = False
    ) -> Program:
        """Start `chat.py HOST PORT`; do not wait for anything."""
        address = to.address if isinstance(to, Listener) else to
        return self.run("chat.py", *address, harsh=harsh, hasty=hasty)

    def run(
        self, name: str, *args: object, harsh: bool = False, hasty: bool = False
    ) -> Program:
        """Start a program of the student's; raise Missing if it was not handed in.

        It may run on a harsh system, or on a hasty one; see `systems`.
        """
        self._copy_files()
        seed = self._random.randrange(1, 2**31)
        control = Control(f"harsh={seed}" if harsh else "hasty" if hasty else "small")
        self._cleanup.callback(control.close)
        family = self._new_family()
        program = self.start(name, *args, ready=False, control=control, family=family)
        for note in [HARSH] * harsh + [HASTY] * hasty:
            self.transcript.record(program.name, "noted", note=note)
        self._programs.append(program)
        return program

    def _copy_files(self) -> None:
        if self._copied:
            return
        for name in self._step.files:
            if not (self._source / name).is_file():
                raise Missing(self._step, name)
            shutil.copyfile(self._source / name, self.folder / name)
        for name in self._step.given:
            theirs = self._source / name
            ours = self._step.folder / name
            shutil.copyfile(theirs if theirs.is_file() else ours, self.folder / name)
        self._copied = True

    def _check_ready_line(self, program: Program, wanted: int) -> None:
        """Expect that it really listens there, and where it was told to."""
        assert program.address is not None
        port = program.address[1]
        if wanted not in (0, port):
            expected = f"to listen on the port that --port says, {wanted}"
            raise program.mismatch(expected, f"port {port}")
        if not program.listens_on(port):
            ports = sorted(program.listening_ports())
            got = f"a listener on port {ports}" if ports else "no listener at all"
            raise program.mismatch(f"to listen on port {port}, as it said", got)

    # -- people -----------------------------------------------------------------

    def join(self, server: Program, *names: str) -> list[Member]:
        """Connect people who are greeted: from then on each one hears everything."""
        return [self.enter(server, name) for name in names]

    def enter(self, server: Program, name: str, receive_buffer: int = 0) -> Member:
        """Connect one person and expect a greeting, a line that begins with "* "."""
        person = self.connect(server, name, receive_buffer)
        assert isinstance(person, Member)
        person.expect(GREETING, wording='a greeting, a line that begins with "* "')
        return person

    def words(self, count: int) -> list[str]:
        """Return things to say that differ from each other, and from run to run."""
        return [
            f"{self._random.choice(WORDS)} {self._random.randrange(1000)} {number}"
            for number in range(count)
        ]

    def word(self) -> str:
        """Return something to say."""
        return f"{self._random.choice(WORDS)} {self._random.randrange(100_000)}"

    # -- expectations about programs --------------------------------------------

    def port_without_server(self) -> Address:
        """Return an address to which nobody can connect, until the test is over."""
        sock = socket.socket()
        self._cleanup.callback(sock.close)
        sock.bind(("127.0.0.1", 0))  # taken, but nobody listens
        address: Address = sock.getsockname()
        return address

    def expect_remark(self, program: Program, about: str) -> None:
        """Expect that it says something on stderr, and that it is not a traceback."""
        program.becomes(lambda: bool(program.stderr) or program.has_ended())
        if errors := list(unhandled_errors(program.state(LAST_WORDS))):
            raise program.mismatch("to catch its errors", errors[0])
        if not program.stderr.strip():
            expected = f"to say on stderr, in a line, that {about}"
            raise program.mismatch(expected, "nothing on stderr")

    def expect_rest(self, program: Program) -> None:
        """Expect that it waits, now that nothing happens, instead of going round.

        A moment in which nothing in it moves is enough. If none comes, we burn some
        processor time ourselves: on a machine however busy, a loop that never waits
        gets about as much meanwhile, and a program that waits gets little.
        """
        if program.rests(MOMENT, PAUSE):
            return
        before = _cpu_time(program)
        begun = time.process_time()
        while time.process_time() - begun < MEASURE:
            sum(range(10_000))
        used = _cpu_time(program) - before
        if used > MEASURE / 3:
            expected = "to wait, as nothing happens"
            raise program.mismatch(expected, "a loop that never waits", hung=True)

    def settle(self, program: Program, within: float = LINE) -> None:
        """Wait until it has dealt with all that was sent to it, as far as it does that.

        That is when nothing in it has moved for a moment; or when time is over.
        """
        program.rests(MOMENT, within)

    @contextlib.contextmanager
    def flooded(self, server: Program, person: Person, data: bytes) -> Iterator[None]:
        """Let somebody send megabytes, end the stream, and read nothing meanwhile.

        In the block the server can do no more for this person, unless it is very slow.
        """

        def send() -> None:
            person.send_bytes(data, LONG)
            person.half_close()

        with ThreadPoolExecutor(1) as pool:
            # A server that can send no more stops reading, and rightly so.
            pool.submit(send)
            try:
                self.settle(server, STALLED)
                yield
            except Mismatch:
                with contextlib.suppress(Mismatch):
                    person.half_close()  # so that the sending ends too
                raise

    def read_with_a_pause(self, server: Program, person: Person, part: int) -> bytes:
        """Return all that comes, up to the end; take a break after `part` bytes."""
        first = b""
        with contextlib.suppress(Mismatch):  # `read_all` tells better what is wrong
            first = person.read_bytes(part, LONG)
        self.settle(server, STALLED)
        return first + person.read_all(LONG)

    def silence(self) -> None:
        """Let nothing happen for half a minute, as programs on a hasty system see it.

        Timeouts are a favourite way out for beginners: a program must not lose its
        patience by then.
        """
        threading.Event().wait(SILENCE)

    def forgive(self) -> None:
        """Do not judge in `finish` what becomes of the programs so far.

        For a test that ends while they go on: whether an error that is still to come
        would be seen in time is a matter of luck, and other tests look at it.
        """
        self._programs.clear()

    def finish(self) -> None:
        """Expect that no program has failed unnoticed, or left something behind."""
        for program in self._programs:
            if errors := list(unhandled_errors(program.state())):
                raise program.mismatch("to catch its errors", errors[0])
            if program.descendants():  # then it may be just about to leave them
                program.state(LAST_WORDS)
            family = program.descendants() if program.has_ended() else []
            if family:
                got = f"its end, with {len(family)} processes left behind"
                raise program.mismatch("to end with all that it has started", got)


def _cpu_time(program: Program) -> float:
    try:
        times = psutil.Process(program.pid).cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system
