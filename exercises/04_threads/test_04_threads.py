"""Step 04: many clients at once, and each one gets its own lines back."""

import contextlib

import psutil
import pytest

from grading.deadlines import LINE, Deadline, patient
from grading.grader import Grader, Member
from grading.program import Program

LONGEST = 4096  # bytes of a line that must be accepted
MUCH_LONGER = "é" * 2_500  # fewer letters than that, but more bytes
CROWD = 50  # clients at once
ROUNDS = 5
GUESTS = 5  # in each round
SETTLED = patient(0.5)  # seconds in which nothing moves: then no thread will end
LINES = 20
MANY = 200  # lines; the server is busy with them for a while


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_lines_come_back_whole(grader: Grader) -> None:
    """Alice gets her lines back, in whatever pieces they come, and the last one too.

    A line ends with "\\n" or "\\r\\n", and with nothing else. It may be empty, and it
    keeps its blanks. The last one has no end of its own: it is over when the stream
    is. It comes back with an end, like the others. The system is a harsh one: recv()
    returns few bytes at a time.
    """
    alice = enter(grader, grader.server(harsh=True), "alice")
    one, two, three, last = grader.words(4)
    for line in (one, "", f"  {two} \t", f"{three}\r{two}", "quit"):
        alice.send(line)
        alice.hears_line(line)
    alice.send_bytes(two[:5].encode())
    alice.send_bytes(f"{two[5:]}\r\n{three}\n{last}".encode())
    alice.half_close()
    for line in (two, three, last):
        alice.hears_line(line)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_too_long_line_is_refused(grader: Grader) -> None:
    """A line of 4096 bytes comes back, for a longer one there is a notice.

    Bytes count, not letters: an é has two. Then the server goes on as if nothing had
    happened: nothing is left of the long lines.
    """
    alice = enter(grader, grader.server(), "alice")
    longest, word = "x" * LONGEST, grader.word()
    alice.send(longest)
    alice.hears_line(longest)
    for longer in (longest + "y", MUCH_LONGER):
        alice.send(longer)
        alice.is_told(".*", 'to be told so, in a line that begins with "* "')
    alice.send(word)
    alice.hears_line(word)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_silent_client_keeps_nobody_waiting(grader: Grader) -> None:
    """Alice is there and says nothing. Bob and carol are served all the same.

    Meanwhile the server rests. And when alice has something to say at last, so is she.
    """
    server = grader.server()
    alice = enter(grader, server, "alice")
    grader.expect_rest(server)
    for name in ("bob", "carol"):
        talks(grader, enter(grader, server, name))
    talks(grader, alice)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_fifty_clients_at_once(grader: Grader) -> None:
    """Fifty clients come and stay. The last one is served, and so are all others."""
    server = grader.server()
    crowd = [enter(grader, server, f"guest {n}") for n in range(CROWD)]
    for guest in reversed(crowd):
        talks(grader, guest)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_ctrl_c_stops_it(grader: Grader) -> None:
    """Ctrl-C stops the server at once, although alice and bob are there."""
    server = grader.server()
    for name in ("alice", "bob"):
        talks(grader, enter(grader, server, name))
    server.interrupt()
    server.wait_exit()
    server.kill_tree()  # where clients have processes, not threads, those may go on
    grader.forgive()  # asyncio has tracebacks for its last words


@pytest.mark.points(2)
@pytest.mark.hint(1)
def test_lines_of_two_clients_do_not_meet(grader: Grader) -> None:
    """Alice and bob each send half a line, then the rest. Each gets the own line back.

    Hers ends in the middle of a letter: an é is two bytes. Then they talk at the same
    time. The system is a harsh one: it switches threads in the middle of your
    functions.
    """
    server = grader.server(harsh=True)
    alice, bob = enter(grader, server, "alice"), enter(grader, server, "bob")
    by_alice, by_bob = grader.words(2)
    by_alice += " café"
    data = f"{by_alice}\n".encode()
    alice.send_bytes(data[:-2])
    bob.send_bytes(by_bob[:5].encode())
    bob.send(by_bob[5:])
    bob.hears_line(by_bob)
    grader.settle(server)
    alice.send_bytes(data[-2:])
    alice.hears_line(by_alice)
    many = {person: grader.words(LINES) for person in (alice, bob)}
    for person, lines in many.items():
        person.send("\n".join(lines))
    for person, lines in many.items():
        for line in lines:
            person.hears_line(line)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_connection_ends_when_its_client_does(grader: Grader) -> None:
    """Bob ends his stream: he gets his last line, then the end. Alice stays.

    Nobody connects after bob: the server must not wait for that.
    """
    server = grader.server()
    alice, bob = enter(grader, server, "alice"), enter(grader, server, "bob")
    last = grader.word()
    bob.send(last)
    bob.half_close()
    bob.hears_line(last)
    bob.expect_end()
    talks(grader, alice)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_error_of_one_client_is_nobody_elses(grader: Grader) -> None:
    """Clients crash, within a line or while lines come back; one sends what is no text.

    Alice, who is there, is served as before, and so is dave, who comes afterwards, and
    erin, after a line that is no text. The system is a harsh one, so that the server
    is still busy with those who crash.
    """
    server = grader.server(harsh=True)
    alice, bob = enter(grader, server, "alice"), enter(grader, server, "bob")
    word = grader.word()
    bob.send_bytes(f"{word}\nhalf a line".encode())
    bob.hears_line(word)
    bob.reset()
    for name in ("carol", "carl"):
        guest = enter(grader, server, name)
        lines = grader.words(MANY)
        guest.send("\n".join(lines))
        guest.hears_line(lines[0])  # so the server is busy with the others
        if name == "carl":
            guest.half_close()
        guest.reset()
    grader.settle(server)  # so it has noticed all that
    erin, word = enter(grader, server, "erin"), grader.word()
    erin.send_bytes(b"\xff\xfe no text\n")
    erin.send(word)
    erin.hears_at_last(word)
    talks(grader, alice)
    talks(grader, enter(grader, server, "dave"))


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_threads_end_with_their_clients(grader: Grader) -> None:
    """Clients come and go all day. The server has no more threads in the evening.

    Alice stays. Others come, five at a time, and leave: by the end of their stream,
    or by a crash.
    """
    server = grader.server()
    alice = enter(grader, server, "alice")
    come_and_go(grader, server)
    before = threads(server)
    for _ in range(ROUNDS - 1):
        come_and_go(grader, server)
    came = (ROUNDS - 1) * GUESTS
    most = before + came // 2  # a pool may make some threads more, for the next clients
    watch = server.watch_activity()
    deadline = Deadline(LINE)
    while threads(server) > most and watch.resting() < SETTLED and deadline.left():
        pass  # some of them are about to end
    if (now := threads(server)) > most:
        expected = f"to have about as many threads as before ({before})"
        expected += f", now that {came} more clients have come and gone"
        raise server.mismatch(expected, f"{now} threads", hung=True)
    talks(grader, alice)


# --------------------------------------------------------------------------- words


def enter(grader: Grader, server: Program, name: str) -> Member:
    """Connect one person. In this step nobody is greeted."""
    person = grader.connect(server, name)
    assert isinstance(person, Member)
    return person


def talks(grader: Grader, person: Member) -> None:
    """Say something, and get it back."""
    word = grader.word()
    person.send(word)
    person.hears_line(word)


def come_and_go(grader: Grader, server: Program) -> None:
    """Let people come, talk and leave; return when the server has let them go."""
    guests = [enter(grader, server, f"guest {n}") for n in range(GUESTS)]
    for guest in guests:
        talks(grader, guest)
    for number, guest in enumerate(guests):
        if number % 2:
            guest.reset()
        else:
            guest.half_close()
            guest.expect_end()


def threads(program: Program) -> int:
    """Return how many threads a program has, and whatever it has started."""
    count = 0
    for process in [psutil.Process(program.pid), *program.descendants()]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            count += process.num_threads()
    return count
