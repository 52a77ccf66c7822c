"""Step 04: many clients at once, and each one gets its own lines back."""

import contextlib
import sys
from collections.abc import Callable

import psutil
import pytest

from grading.deadlines import LINE, Deadline, patient
from grading.grader import Grader, Member
from grading.program import Program
from grading.rendering import quoted

LONGEST = 4096  # bytes of a line that must be accepted
MUCH_LONGER = "é" * 2_500  # fewer letters than that, but more bytes
FAR_TOO_LONG = "x" * 100_000
CROWD = 50  # clients at once
ROUNDS = 3  # for each way of leaving
GUESTS = 5  # in each round
SETTLED = patient(0.5)  # seconds in which nothing moves: then no thread will end
LINES = 60
MANY = 200  # lines; the server is busy with them for a while
SMALL = 4096  # bytes of the receive buffer of somebody who reads late, or never
FLOOD = 120  # lines of 4 kB; more than the system keeps for such a reader
PART = 150_000  # bytes; then there is room for some more, but not for the rest
# Windows may tell accept() of a crash; other systems tell recv().
LEAVES_AT_ONCE = Member.close if sys.platform == "win32" else Member.reset


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
    for line in (one, "", f"  {two} \t", f"{three}\r{two}", "quit", "exit", "/quit"):
        alice.send(line)
        alice.hears_line(line)
    alice.send("", end="\r\n")
    alice.hears_line("")
    alice.send_bytes(two[:5].encode())
    alice.send_bytes(f"{two[5:]}\r\n{three}\n{last}".encode())
    alice.half_close()
    for line in (two, three, last):
        alice.hears_line(line)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_too_long_line_is_refused(grader: Grader) -> None:
    """A line of 4096 bytes comes back, for a longer one there is one notice.

    Bytes count, not letters: an é has two. The end of the line does not count. The
    lines before it and after it come back as if nothing had happened: nothing is left
    of the long ones, also of one in two pieces. The last one is over with the stream.
    """
    server = grader.server()
    alice = enter(grader, server, "alice")
    longest = "x" * LONGEST
    for end in ("\n", "\r\n"):
        alice.send(longest, end)
        alice.hears_line(longest)
    for longer in (longest + "y", FAR_TOO_LONG):
        alice.send(longer)
        hears_of_it_once(grader, alice)
    before, after = grader.words(2)
    alice.send(f"{before}\n{MUCH_LONGER}\n{after}")
    alice.hears_line(before)
    hears_of_it_once(grader, alice, after)
    alice.send(MUCH_LONGER, end="")
    grader.settle(server)  # so it has read that
    alice.send(f"and its rest\n{after}")
    hears_of_it_once(grader, alice, after)
    alice.send(longest + "y", end="")
    alice.half_close()
    hears_of_it(alice)
    hears_the_end(alice)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_silent_client_keeps_nobody_waiting(grader: Grader) -> None:
    """Alice is there and says nothing. Bob and carol are served all the same.

    Dave is silent in the middle of a line. So it goes on for half a minute, and
    meanwhile the server rests. When alice and dave have something to say at last, they
    are served, too. (The system is a hasty one: time passes quickly there.)
    """
    server = grader.server(hasty=True)
    alice, dave = enter(grader, server, "alice"), enter(grader, server, "dave")
    word = grader.word()
    dave.send(word, end="")
    for name in ("bob", "carol"):
        talks(grader, enter(grader, server, name))
    grader.silence()
    grader.expect_rest(server)
    talks(grader, alice, "after half a minute of silence")
    dave.send(" at last")
    dave.hears_line(f"{word} at last", "after half a minute of silence")


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_who_does_not_read_keeps_nobody_waiting(grader: Grader) -> None:
    """Carol sends half a million bytes and reads no answer. Alice and bob are served.

    At last carol reads, with a pause in between: each of her lines is there, in order,
    and then the end. (The system is a hasty one: time passes quickly there.)
    """
    server = grader.server(hasty=True)
    alice, carol = enter(grader, server, "alice"), enter(grader, server, "carol", SMALL)
    lines = [word.ljust(LONGEST, ".") for word in grader.words(FLOOD)]
    with grader.flooded(server, carol, "\n".join(lines).encode()):
        bob = enter(grader, server, "bob")
        for person in (alice, bob):
            talks(grader, person, "although carol does not read")
        expect_all(carol, lines, grader.read_with_a_pause(server, carol, PART))


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
    """Ctrl-C stops the server at once, although alice, bob and carol are there.

    Carol has sent half a million bytes and reads no answer.
    """
    server = grader.server()
    for name in ("alice", "bob"):
        talks(grader, enter(grader, server, name))
    carol = enter(grader, server, "carol", SMALL)
    with grader.flooded(server, carol, (b"." * LONGEST + b"\n") * FLOOD):
        server.interrupt()
        server.wait_exit()
        server.kill_tree()  # where clients have processes, not threads, those may go on
    grader.forgive()  # asyncio has tracebacks for its last words


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_lines_of_two_clients_do_not_meet(grader: Grader) -> None:
    """Alice and bob each send half a line, then the rest. Each gets the own line back.

    Carl was there before them, and crashed in the middle of a line; dave and bob take
    his place. Alice's half ends in the middle of a letter: an é is two bytes. Bob's
    ends in the middle of "\\r\\n". Then they talk at the same time. The system is a
    harsh one: it switches threads in the middle of your functions.
    """
    server = grader.server(harsh=True)
    carl, alice = enter(grader, server, "carl"), enter(grader, server, "alice")
    by_alice, by_bob, by_carl = grader.words(3)
    carl.send_bytes(f"{by_carl}\nhalf a line".encode())
    carl.hears_line(by_carl)
    talks(grader, alice)
    by_alice += " café"
    data = f"{by_alice}\n".encode()
    alice.send_bytes(data[:-2])
    carl.reset()
    grader.settle(server)  # so it has noticed that
    talks(grader, enter(grader, server, "dave"))
    bob = enter(grader, server, "bob")
    bob.send_bytes(by_bob[:5].encode())
    bob.send(by_bob[5:])
    bob.hears_line(by_bob)
    bob.send_bytes(f"{by_carl}\r".encode())
    grader.settle(server)  # so it has read the halves
    alice.send_bytes(data[-2:])
    bob.send_bytes(b"\n")
    alice.hears_line(by_alice)
    bob.hears_line(by_carl)
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

    So it goes with carol, who has said nothing at all. Nobody connects after them: the
    server must not wait for that.
    """
    server = grader.server()
    alice, bob = enter(grader, server, "alice"), enter(grader, server, "bob")
    carol = enter(grader, server, "carol")
    last = grader.word()
    bob.send(last)
    bob.half_close()
    bob.hears_line(last)
    carol.half_close()
    for person in (bob, carol):
        hears_the_end(person)
    talks(grader, alice)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_error_of_one_client_is_nobody_elses(grader: Grader) -> None:
    """Clients crash, within a line or while lines come back; one sends what is no text.

    Five more crash as soon as they are there. Alice, who is there, is served as before,
    and so is dave, who comes afterwards, and erin, after a line that is no text. The
    system is a harsh one, so that the server is still busy with those who crash.
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
    with server.paused():  # so this one has crashed before the server takes it in
        LEAVES_AT_ONCE(enter(grader, server, "frank 1"))
    for number in range(2, GUESTS + 1):
        LEAVES_AT_ONCE(enter(grader, server, f"frank {number}"))
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
    """Clients come and go all day. In the evening no thread and no socket is left over.

    Alice stays. Others come, five at a time, and leave: by the end of their stream, by
    a crash in the middle of a line, or by one while their lines come back.
    """
    server = grader.server()
    alice = enter(grader, server, "alice")
    for leave in WAYS:
        come_and_go(grader, server, leave)
    for leave in WAYS:
        before, files = threads(server), server.open_files()
        for _ in range(ROUNDS):
            come_and_go(grader, server, leave)
        expect_no_more(server, lambda: threads(server), before, "threads", leave)
        expect_no_more(server, server.open_files, files, "open files", leave)
    talks(grader, alice)


# ------------------------------------------------------------- the ways of leaving


def end_stream(guest: Member) -> None:
    """Leave in good order."""
    guest.half_close()
    hears_the_end(guest)


def crash(guest: Member) -> None:
    """Leave as a computer does that crashes, in the middle of a line."""
    guest.send("half a line", end="")
    guest.reset()


def crash_in_talk(guest: Member) -> None:
    """Crash while there is much to read, and much that comes back."""
    guest.send("\n".join(f"and {number}" for number in range(MANY)))
    guest.reset()


WAYS: list[Callable[[Member], None]] = [end_stream, crash, crash_in_talk]


# --------------------------------------------------------------------------- words


def enter(
    grader: Grader, server: Program, name: str, receive_buffer: int = 0
) -> Member:
    """Connect one person. In this step nobody is greeted."""
    person = grader.connect(server, name, receive_buffer)
    assert isinstance(person, Member)
    return person


def talks(grader: Grader, person: Member, why: str = "") -> None:
    """Say something, and get it back."""
    word = grader.word()
    person.send(word)
    person.hears_line(word, why)


def hears_of_it(person: Member) -> None:
    """Expect a notice that a line was too long."""
    person.is_told(".*", 'to be told so, in a line that begins with "* "')


def hears_of_it_once(grader: Grader, person: Member, after: str = "") -> None:
    """Expect one notice that a line was too long, then the line `after`, if any."""
    before = person.notices(".*")
    hears_of_it(person)
    if after:
        person.hears_line(after)
    talks(grader, person)
    if (told := person.notices(".*") - before) > 1:
        expected = 'one line that begins with "* " instead of a line that was too long'
        raise person.mismatch(expected, f"{told} such lines")


def hears_the_end(person: Member) -> None:
    """Expect the end of the connection, in good order."""
    rest = person.read_all().splitlines()
    if said := [line for line in rest if not line.startswith(b"* ")]:
        raise person.mismatch("the end of the connection", quoted(said[0]))
    if person.was_reset():
        got = "a reset (RST): what is on its way is lost"
        raise person.mismatch("an orderly end of the connection (FIN)", got)


def expect_all(person: Member, lines: list[str], data: bytes) -> None:
    """Expect that `data` is these lines. (Quicker than to hear one by one.)"""
    text = data.decode(errors="replace").replace("\r\n", "\n")
    came = [line for line in text.split("\n") if not line.startswith("* ")]
    pairs = zip(lines, [*came, ""], strict=False)  # at the end there is nothing more
    for number, (line, got) in enumerate(pairs, 1):
        if got != line:
            expected = f"line {number} of {len(lines)}, {quoted(line.encode())}"
            what = quoted(got.encode()) if got else "the end of the connection"
            raise person.mismatch(expected, what)


def come_and_go(
    grader: Grader, server: Program, leave: Callable[[Member], None]
) -> None:
    """Let people come, talk and leave."""
    guests = [enter(grader, server, f"guest {n}") for n in range(GUESTS)]
    for guest in guests:
        talks(grader, guest)
    for guest in guests:
        leave(guest)


def threads(program: Program) -> int:
    """Return how many threads a program has, and whatever it has started."""
    count = 0
    for process in [psutil.Process(program.pid), *program.descendants()]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            count += process.num_threads()
    return count


def expect_no_more(
    server: Program,
    count: Callable[[], int],
    before: int,
    what: str,
    leave: Callable[[Member], None],
) -> None:
    """Expect the count of something to be about what it was, now or soon."""
    came = ROUNDS * GUESTS
    most = before + came // 2  # a pool may make some threads more, for the next clients
    watch = server.watch_activity()
    deadline = Deadline(LINE)
    while count() > most and watch.resting() < SETTLED and deadline.left():
        pass  # some of them are about to end
    if (now := count()) > most:
        way = leave.__name__.replace("_", " ")
        expected = f"to have about as many {what} as before ({before})"
        expected += f", now that {came} more clients have come and gone (by: {way})"
        raise server.mismatch(expected, f"{now} {what}", hung=what == "threads")
