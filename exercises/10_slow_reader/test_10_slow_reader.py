"""Step 10: nobody waits for a client that does not read, and nothing piles up."""

from collections.abc import Callable, Iterator

import pytest

from grading.grader import Grader, Member
from grading.program import Program
from grading.rendering import quoted

LEFT = r"(?i:.*\bleft\b.*)"
LINE_SIZE = 4000  # bytes; the server need not take lines of more than 4096
BURST = 10  # lines; who hears them waits for no more than 40 kB at any time
SMALL = 4096  # bytes of a receive buffer: the network holds little for this reader
OUTBOX = 100_000  # bytes; two bursts fit
ROOMY = 16_000_000  # bytes; all that is said in a test fits
MUCH = 600_000  # bytes; more than the buffers of the system take for one reader
TOO_MUCH = 4_000_000  # bytes; who is that far behind must have been dropped
STALLED = 8  # who read nothing at once: more than a small pool has threads
LATER = 2_000_000  # bytes said to who reads, when the others have gone
GUESTS = 3  # who are dropped; fewer of them left behind may be chance
VISITORS = 6  # who just leave; a thread of theirs may end by chance


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_everyone_hears_it_and_the_goodbye(grader: Grader) -> None:
    """Lines go through outboxes now. What people and the operator say still arrives.

    So does the goodbye when the operator types `exit`, before the end of the stream.
    """
    server = grader.server()
    alice, bob = grader.join(server, "alice", "bob")
    question, answer, both = grader.words(3)
    alice.send(question)
    bob.hears(question)
    bob.send(answer)
    alice.hears(answer)
    grader.expect_rest(server)  # whoever sends waits for something to send
    server.type(both)
    server.type("exit")
    for person in (alice, bob):
        person.hears(both)
        person.is_told(".*", 'to be told of the stop, in a line that begins with "* "')
        person.read_all()
        person.close()


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_lines_keep_their_order(grader: Grader) -> None:
    """What alice and bob say at once, carol and dave hear whole and in one order.

    The system is a harsh one: it switches threads in the middle of your functions.
    """
    server = grader.server(harsh=True)
    alice, bob, carol, dave = grader.join(server, "alice", "bob", "carol", "dave")
    by_alice, by_bob = grader.words(20), grader.words(20)
    alice.send("\n".join(by_alice))
    bob.send("\n".join(by_bob))
    heard = [carol.hears_something() for _ in by_alice + by_bob]
    for line in heard:
        dave.hears_line(line, "as carol did")
    for name, said in (("alice", by_alice), ("bob", by_bob)):
        check_order(carol, name, said, heard)


@pytest.mark.points(2)
@pytest.mark.hint(1)
def test_stalled_client_delays_nobody(grader: Grader) -> None:
    """Eight clients read nothing at all. Everybody else goes on talking and hearing.

    One of them ends its direction: it has left, and no socket goes on waiting for it.
    Nor do the others delay the end: `exit` ends the server. (The system
    is a hasty one: there a second of patience is soon over.)
    """
    server = grader.server("--outbox", ROOMY, hasty=True)
    alice, bob = grader.join(server, "alice", "bob")
    names = [f"guest {number}" for number in range(1, STALLED + 1)]
    *stalled, last = [grader.enter(server, name, SMALL) for name in names]
    for guest in (*stalled, last):
        guest.stall()
    files = server.open_files()
    for burst in talk(grader, MUCH):
        say(server, burst)
        hears_all(bob, burst)
    word = grader.word()
    bob.send(word)
    hears_at_last(alice, word)
    last.half_close()
    expect_back(server, server.open_files, files, "open files")
    server.type("exit")
    server.wait_exit()


@pytest.mark.points(2)
@pytest.mark.hint(2)
def test_who_is_too_far_behind_is_dropped(grader: Grader) -> None:
    """When more waits for carol than the option --outbox allows, she is dropped.

    Bob is told that she left, and so is dave; neither misses a line. So what waits for
    her never fills the memory.
    """
    server = grader.server("--outbox", OUTBOX)
    (bob,) = grader.join(server, "bob")
    carol = grader.enter(server, "carol", SMALL)
    (dave,) = grader.join(server, "dave")
    carol.stall()
    before = server.memory()
    said = talk_until_left(grader, server, [bob, dave], 1)
    if bob.notices(LEFT) < 1:
        more = (server.memory() - before) // 1_000_000
        raise bob.mismatch(
            f"to be told that carol left: with --outbox {OUTBOX} she is too far behind",
            f"no such notice while {said // 1_000_000} MB were said, and mchat uses"
            f" {more} MB more memory than before",
        )


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_who_reads_is_not_dropped(grader: Grader) -> None:
    """Bob reads all the time. He may hear far more than --outbox allows to wait."""
    server = grader.server("--outbox", OUTBOX)
    alice, bob = grader.join(server, "alice", "bob")
    for burst in talk(grader, 10 * OUTBOX):
        say(server, burst)
        hears_all(bob, burst)
        hears_all(alice, burst)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_who_pauses_gets_all_of_it_later(grader: Grader) -> None:
    """Carol reads nothing for a while, but no more waits for her than is allowed.

    Then she reads on, and nothing is missing. (The system is a hasty one: to the
    program, her pause is half a minute long.)
    """
    server = grader.server("--outbox", ROOMY, hasty=True)
    (bob,) = grader.join(server, "bob")
    carol = grader.enter(server, "carol", SMALL)
    bursts = list(talk(grader, MUCH))
    for burst in bursts:
        say(server, burst)
        hears_all(bob, burst)
    grader.silence()
    for burst in bursts:
        hears_all(carol, burst)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_who_leaves_gets_what_still_waits(grader: Grader) -> None:
    """Carol has no more to say and ends her direction. Then she reads what waits.

    All that was said to her before arrives, and then the end of the stream.
    """
    server = grader.server("--outbox", ROOMY)
    (bob,) = grader.join(server, "bob")
    carol = grader.enter(server, "carol", SMALL)
    bursts = list(talk(grader, MUCH))
    for burst in bursts:
        say(server, burst)
        hears_all(bob, burst)
    carol.half_close()
    for word in grader.words(20):  # meanwhile the server has noticed
        server.type(word)
        bob.hears(word)
    for burst in bursts:
        hears_all(carol, burst)
    carol.read_all()


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_nothing_is_left_of_the_dropped(grader: Grader) -> None:
    """Who is dropped sees the end, and keeps neither a thread nor a socket busy.

    Three clients that read nothing are dropped, six others just leave. Then the
    program has no more threads and open files than before, and its memory stays as it
    is while the talk goes on.
    """
    server = grader.server("--outbox", OUTBOX)
    (bob,) = grader.join(server, "bob")
    threads, files = server.threads(), server.open_files()
    stalled = [grader.enter(server, f"guest {n}", SMALL) for n in range(1, GUESTS + 1)]
    for number in range(1, VISITORS + 1):
        grader.enter(server, f"visitor {number}").close()
    talk_until_left(grader, server, [bob], GUESTS + VISITORS)
    for guest in stalled:
        guest.read_all()
    before = server.memory()
    for burst in talk(grader, LATER):
        say(server, burst)
        hears_all(bob, burst)
    if (more := server.memory() - before) > LATER // 2:
        got = f"{more // 1_000_000} MB more, with nobody here who does not read"
        raise server.mismatch("to use no more memory than before", got)
    expect_back(server, server.threads, threads + GUESTS, "threads")
    expect_back(server, server.open_files, files + GUESTS, "open files")
    word = grader.word()
    server.type(word)
    bob.hears(word)
    if (told := bob.notices(LEFT)) != GUESTS + VISITORS:
        expected = f"to be told once of each of the {GUESTS + VISITORS} who left"
        raise bob.mismatch(expected, f"{told} such notices")


# ------------------------------------------------------------------------- helpers


def talk(grader: Grader, size: int) -> Iterator[list[str]]:
    """Yield bursts of long lines, `size` bytes altogether."""
    for _ in range(size // (BURST * LINE_SIZE)):
        yield [word.ljust(LINE_SIZE, ".") + "/" for word in grader.words(BURST)]


def say(server: Program, burst: list[str]) -> None:
    """Let the operator say it: a server may limit how fast clients talk."""
    server.type("\n".join(burst))


def hears_all(person: Member, lines: list[str]) -> None:
    """Expect these lines next. (A report leaves out what fills them up.)"""
    for line in lines:
        wording = f"to hear {short(line)} next"
        heard = person.hears_something(wording)
        if not heard.endswith(line):
            raise person.mismatch(wording, short(heard))


def hears_at_last(person: Member, word: str) -> None:
    """Expect that `word` is said after all the long lines."""
    while not (heard := person.hears_something()).endswith(word):
        if not heard.endswith("/"):
            raise person.mismatch(f"to hear {short(word)} next", short(heard))


def talk_until_left(
    grader: Grader, server: Program, listeners: list[Member], count: int
) -> int:
    """Talk until the first has been told that `count` people left; return bytes said.

    Give up when whoever did not read must have been dropped long since.
    """
    said = 0
    for burst in talk(grader, TOO_MUCH):
        if listeners[0].notices(LEFT) >= count:
            break
        say(server, burst)
        for person in listeners:
            hears_all(person, burst)
        said += BURST * LINE_SIZE
    return said


def check_order(listener: Member, name: str, said: list[str], heard: list[str]) -> None:
    """Expect what one person said in the order in which it was said."""
    mine = [line for line in heard if any(line.endswith(word) for word in said)]
    for word, line in zip(said, mine, strict=False):
        if not line.endswith(word):
            expected = f"to hear {short(word)} of {name}'s first"
            raise listener.mismatch(expected, short(line))


def expect_back(
    server: Program, count: Callable[[], int], limit: int, what: str
) -> None:
    """Expect the count of something to fall below the limit, soon."""
    if not server.becomes(lambda: count() < limit):
        expected = f"to have fewer than {limit} {what}, now that they have left"
        raise server.mismatch(expected, f"{count()}", hung=what == "threads")


def short(line: str) -> str:
    """Return a line as it goes into a report."""
    return quoted(line.partition("..")[0].rstrip("./").encode())
