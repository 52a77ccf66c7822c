"""Step 05: what one client says, everyone else hears."""

import re
from collections.abc import Callable
from itertools import combinations

import pytest

from grading.grader import GREETING, Grader, Member
from grading.program import Program
from grading.rendering import quoted

CROWD = 40  # people
LINES = 30
PASTED = 80  # lines; a server need not take many more from one client at once
LONGEST = 4000  # bytes
TOO_LONG = 100_000  # bytes
GUESTS = 4  # pairs of people who leave in the same way
CRASHES = 8  # of people who have just come
ROUNDS = 6  # in each of them somebody leaves, and somebody comes
SPARE = 3  # files and threads that a program may have meanwhile for other purposes


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_everyone_else_hears_it(grader: Grader) -> None:
    """What alice says, bob and carol hear, and what bob says, the other two.

    Before, alice was alone for a while and talked to nobody: that does no harm. Later
    forty more people come, and the last of them is heard by all the others.
    """
    server = grader.server()
    (alice,) = grader.join(server, "alice")
    alone, first, second, third = grader.words(4)
    alice.send(alone)
    grader.settle(server)  # so it has dealt with that
    bob, carol = grader.join(server, "bob", "carol")
    alice.send(first)
    bob.hears_at_last(first)
    carol.hears_at_last(first)
    bob.send(second, end="\r\n")
    alice.hears(second)
    carol.hears(second)
    *crowd, last = grader.join(server, *(f"guest {n}" for n in range(CROWD)))
    last.send(third)
    for listener in (alice, bob, carol, *crowd):
        listener.hears(third)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_speaker_does_not_hear_itself(grader: Grader) -> None:
    """Alice does not get back what she says, nor does bob. Their screens show it."""
    alice, bob = grader.join(grader.server(), "alice", "bob")
    own, answer, again = grader.words(3)
    alice.send(own)
    bob.hears(own)  # so the server is done with it: no copy is still on its way
    alice.hears_nothing_before(answer, lambda: bob.send(answer))
    bob.hears_nothing_before(again, lambda: alice.send(again))


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_listeners_can_tell_who_says_it(grader: Grader) -> None:
    """In front of each line dave sees who says it: alice, bob, or carol.

    That stays so when somebody has left, and carol has come.
    """
    server = grader.server()
    guest, dave, alice, bob = grader.join(server, "guest", "dave", "alice", "bob")
    said = {person: [say_to(grader, person, dave)] for person in (alice, bob)}
    guest.close()
    grader.settle(server)  # so it has forgotten the guest
    (carol,) = grader.join(server, "carol")
    said[carol] = [say_to(grader, carol, dave)]
    for person in (alice, bob, carol):
        said[person].append(say_to(grader, person, dave))
    for one, other in combinations(said, 2):
        expect_different_fronts(dave, (one, *said[one]), (other, *said[other]))


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_only_whole_lines_are_passed_on(grader: Grader) -> None:
    """Half a line is kept until the rest comes, and many lines at once are many.

    Alice's first line is cut in the middle of a letter: é is two bytes. Another one is
    too long: if the server does not refuse it, it passes on the whole of it. One is no
    text. After each of them alice is heard as before.
    """
    server = grader.server()
    alice, bob, carol = grader.join(server, "alice", "bob", "carol")
    one, two, *many = grader.words(PASTED)
    whole = f"{two} in the  ☕ café"
    many[0] = many[0].ljust(LONGEST, ".")
    data = f"{whole}\n".encode()
    alice.send_bytes(data[:-2])
    grader.settle(server)  # so it has read that, and does not get the letter whole
    carol.send(one)
    bob.hears(one)  # and nothing of alice's, although she has sent something
    alice.send_bytes(data[-2:] + "".join(f"{line}\n" for line in many).encode())
    for line in (whole, *many):
        bob.hears(line)
    alice.send("x" * TOO_LONG)
    alice.send(one)
    hears_whole_lines(bob, "x" * TOO_LONG, one)
    alice.send(f"{one}\v{two}")  # one line, though not for splitlines()
    alice.send(one)
    bob.hears_something("to hear a line with a vertical tab in it")
    bob.hears(one)
    alice.send_bytes(b"\xff\xfe\n")
    hears_from(grader, bob, alice)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_dead_listener_silences_nobody(grader: Grader) -> None:
    """When bob's computer crashes, alice can go on talking to carol.

    Others crash as soon as they are connected. Then dave, erin and frank can come, and
    from the greeting on they hear what carol says. The system is a harsh one: bob's own
    thread is slow to notice that he is gone.
    """
    server = grader.server(harsh=True)
    alice, bob, carol = grader.join(server, "alice", "bob", "carol")
    by_bob, by_alice, last = grader.words(LINES), grader.words(LINES), grader.word()
    bob.send("\n".join(by_bob))
    carol.hears(by_bob[0])  # so bob's thread is busy with the rest of his lines
    bob.reset()
    with server.paused():  # so this one has crashed before the server takes it in
        grader.connect(server, "guest 0").reset()
    for number in range(1, CRASHES):
        grader.connect(server, f"guest {number}").reset()
    alice.send("\n".join(by_alice))
    for word in by_alice:
        carol.hears_at_last(word)
    for name in ("dave", "erin", "frank"):
        carol.send_bytes(last.encode())
        (newcomer,) = grader.join(server, name)
        carol.send_bytes(b"\n")  # at once, and it has nothing else to do
        newcomer.hears_at_last(last)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_only_who_has_left_is_forgotten(grader: Grader) -> None:
    """When somebody leaves, those who stay go on hearing each other.

    Nothing stays open of those who left, by closing their windows or by a crash. To
    say nothing for a while is not leaving, nor is an empty line. Even when all have
    left, others can come. On this hasty system half a minute is soon over.
    """
    server = grader.server(hasty=True)
    alice, silent = grader.join(server, "alice", "silent")
    come_and_go(grader, server, alice)
    files, threads = server.open_files(), server.threads()
    for _ in range(GUESTS):
        come_and_go(grader, server, alice)
    grader.silence()
    expect_forgotten(server, server.open_files, files, "open files")
    expect_forgotten(server, server.threads, threads, "threads")
    alice.send("")
    hears_from(grader, silent, alice)
    hears_from(grader, alice, silent)
    for person in (alice, silent):
        person.close()
    grader.settle(server)  # so it has noticed that
    erin, frank = grader.join(server, "erin", "frank")
    hears_from(grader, frank, erin)


@pytest.mark.points(2)
@pytest.mark.hint(4)
def test_nobody_misses_a_line_while_others_come_and_go(grader: Grader) -> None:
    """Those who stay hear every line, although others leave in the middle of it.

    And whoever comes in the middle of it hears all that is said after the greeting.
    The system is a harsh one: it switches threads in the middle of your functions.
    """
    server = grader.server(harsh=True)
    names = (*(f"guest {n}" for n in range(ROUNDS)), "alice", "bob", "carol", "dave")
    *leaving, alice, bob, carol, dave = greeted(grader, server, *names)
    others = (carol, dave, *grader.join(server, "erin"))
    newcomers: list[Member] = []
    answered: list[str] = []
    for number, guest in enumerate(leaving):
        said, answers = grader.words(7), grader.words(len(others))
        for person, answer in zip(others, answers, strict=True):
            person.send_bytes(answer.encode())  # its line end comes later
        alice.send("\n".join(said))
        bob.hears_at_last(said[0])  # so the server is in the middle of passing them on
        guest.close()
        (newcomer,) = greeted(grader, server, f"newcomer {number}")
        for person in others:
            person.send_bytes(b"\n")
        hears_all(newcomer, answers)
        answered += answers
        hears_all(bob, said[1:] + answers)
        for listener in (*others, *newcomers):
            hears_all(listener, said)
        newcomers.append(newcomer)
    hears_all(alice, answered)


@pytest.mark.points(2)
@pytest.mark.hint(4)
def test_all_hear_the_lines_in_one_order(grader: Grader) -> None:
    """When alice and bob talk at once, carol and dave hear the same, in one order.

    Each of them hears all that the two have said, and nothing twice. The system is a
    harsh one: it switches threads in the middle of your functions.
    """
    server = grader.server(harsh=True)
    alice, bob, carol, dave = grader.join(server, "alice", "bob", "carol", "dave")
    by_alice, by_bob = grader.words(LINES), grader.words(LINES)
    alice.send("\n".join(by_alice))
    bob.send("\n".join(by_bob))
    heard = [carol.hears_something() for _ in by_alice + by_bob]
    for line in heard:
        dave.hears_line(line, "as carol did")
    expect_in_order(carol, "alice", by_alice, heard)
    expect_in_order(carol, "bob", by_bob, heard)


# ------------------------------------------------------------------ talk in short


def greeted(grader: Grader, server: Program, *names: str) -> list[Member]:
    """Connect people, all at once; talk may come before the greeting."""
    people = [grader.connect(server, name) for name in names]
    for person in people:
        wording = 'a greeting, a line that begins with "* "'
        person.expect_eventually(GREETING, wording=wording)
    return [person for person in people if isinstance(person, Member)]


def come_and_go(grader: Grader, server: Program, alice: Member) -> None:
    """Let people come, talk with alice, and leave."""
    for leave in (Member.close, Member.reset):
        guest, bob = grader.join(server, "guest", "bob")
        leave(guest)
        for word in grader.words(2):
            alice.send(word)
            bob.hears(word)
        hears_from(grader, alice, bob)
        leave(bob)


def hears_from(grader: Grader, listener: Member, speaker: Member) -> None:
    """Let somebody say something that the listener hears sooner or later."""
    word = grader.word()
    speaker.send(word)
    listener.hears_at_last(word)


def say_to(grader: Grader, speaker: Member, listener: Member) -> tuple[str, set[str]]:
    """Let somebody say something; return what is heard, and what is in front of it."""
    word = grader.word()
    speaker.send(word)
    line = listener.hears(word)
    return line, set(re.findall(r"[\w-]+|\S", line.removesuffix(word)))


# -------------------------------------------------------------------- expectations

Said = tuple[Member, tuple[str, set[str]], tuple[str, set[str]]]


def expect_different_fronts(listener: Member, one: Said, other: Said) -> None:
    """Expect that what is in front of the lines tells these two speakers apart.

    There may be more than a name, such as the time; what counts is what stays.
    """
    (a, (a1, front_a1), (a2, front_a2)), (b, (b1, front_b1), (b2, front_b2)) = (
        one,
        other,
    )
    if front_a1 & front_a2 == front_b1 & front_b2:
        expected = f"to see by what is in front of a line if {a.name} or {b.name}"
        got = f"{in_words(a1, a2)} of {a.name}, and {in_words(b1, b2)} of {b.name}"
        raise listener.mismatch(f"{expected} says it", got)


def in_words(*lines: str) -> str:
    """Return lines as they go into a report."""
    return " and ".join(quoted(line.encode()) for line in lines)


def hears_whole_lines(listener: Member, too_long: str, then: str) -> None:
    """Expect the next line, and before it, if anything, the whole of the long one."""
    wording = f'to hear {in_words(then)} next, or before it the whole line of "xxx..."'
    heard = listener.hears_something(wording)
    if heard.endswith(too_long):
        heard = listener.hears_something(wording)
    if not heard.endswith(then):
        raise listener.mismatch(wording, in_words(heard))


def hears_all(listener: Member, words: list[str]) -> None:
    """Expect to hear all of this, whatever else comes in between."""
    missing = list(words)
    while missing:
        wording = f"to hear {in_words(missing[0])} sooner or later"
        heard = listener.hears_something(wording)
        missing = [word for word in missing if not heard.endswith(word)]


def expect_in_order(
    listener: Member, name: str, said: list[str], heard: list[str]
) -> None:
    """Expect that what one person said was heard, each line once."""
    found = [word for line in heard for word in said if line.endswith(f" {word}")]
    for number, word in enumerate(said):
        if found[number : number + 1] != [word]:
            expected = f"to hear {in_words(word)} as line {number + 1} of {name}"
            raise listener.mismatch(expected, in_words(*found[number : number + 1]))


def expect_forgotten(
    server: Program, count: Callable[[], int], before: int, what: str
) -> None:
    """Expect about as many files or threads as before those came who have left."""
    if not server.becomes(lambda: count() <= before + SPARE):
        more = count() - before
        expected = f"to have forgotten the {4 * GUESTS} who came and left"
        raise server.mismatch(expected, f"{more} {what} more than before they came")
