"""Step 06: who is here, however they come and go."""

import re
import sys
from collections.abc import Callable

import pytest

from grading.grader import GREETING, Grader, Member
from grading.program import Program
from grading.rendering import quoted

JOINED = r"(?i:.*\bjoined\b.*)"
LEFT = r"(?i:.*\bleft\b.*)"
CROWD = 10
STAY = ("dora", "erin", "fay", "gina", "hanna", "ivy")
TALK = 20  # lines
WORDS = 8  # lines
TOO_LONG = 100_000  # bytes
QUESTIONS = 10  # of one client, one after the other
CRASHES = 8 if sys.platform == "linux" else 0  # elsewhere accept() may fail for them
GUESTS = 5  # who leave in the same way, one after the other
SPARE = 3  # descriptors that a program may open meanwhile for purposes of its own


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_others_are_told_who_joins(grader: Grader) -> None:
    """When bob, carol and dave join, all who are here are told so, once for each."""
    server = grader.server()
    here = grader.join(server, "alice")
    for name in ("bob", "carol", "dave"):
        (guest,) = grader.join(server, name)
        for person in here:
            told(person, "joined", f"that {name} joined")
        here.append(guest)
    say_and_hear(grader, here[-1], here[:-1])
    for later, person in enumerate(reversed(here[:-1]), 1):
        expect_joined(person, later)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_others_are_told_who_leaves(grader: Grader) -> None:
    """When bob closes his window, alice and carol are told that it is bob who left.

    His name is the one he joined with and talked under. Dave, who comes later, does not
    get the name of carol, who is still here.
    """
    server = grader.server()
    (alice,) = grader.join(server, "alice")
    (bob,) = grader.join(server, "bob")
    bobs_words = told(alice, "joined", "that bob joined")
    (carol,) = grader.join(server, "carol")
    carols_words = told(alice, "joined", "that carol joined")
    bobs_name = bobs_words - carols_words
    word = grader.word()
    bob.send(word)
    line = alice.hears(word)
    carol.hears(word)
    expect_name(alice, bobs_name, words_of(line.removesuffix(word)), "hear bob talk")
    bob.half_close()  # what the others see of it is the same as with close()
    for person in (alice, carol):
        words = told(person, "left", "that bob left")
        expect_name(person, bobs_name, words, "be told that bob left,")
    grader.join(server, "dave")
    if not told(alice, "joined", "that dave joined") - carols_words:
        expected = "to be told that dave joined, by a name that nobody has who is here"
        raise alice.mismatch(expected, "the name of carol")


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_who_tells_the_asker_alone(grader: Grader) -> None:
    """Alice says /who: she alone is told how many are here, once; then one fewer.

    A line that only has /who in it, or begins like it, asks for nothing.
    """
    alice, bob, carol = grader.join(grader.server(), "alice", "bob", "carol")
    say_and_hear(grader, carol, [alice, bob], "say /who: ")  # that is talk
    carol.send("/whoever")
    expect_no_answer(alice, hear_said(grader, carol, alice))
    ask_who(alice, 3, end="\r\n")
    word = grader.word()
    alice.send(word)  # this comes after what /who caused
    for listener in (bob, carol):
        expect_no_answer(listener, hear_until_said(listener, word))
    carol.half_close()
    expect_no_answer(alice, hear_of_leaving(alice, "carol", set())[:-1])
    ask_who(alice, 2)


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_quit_is_the_end(grader: Grader) -> None:
    """Bob says /quit: his connection ends. Alice is told that he left, bob is not.

    Nothing else ends it: neither a line that is empty or too long, nor one that has
    /quit in it or begins like it. What he says before his /quit is heard, what he asks
    is answered. Carol's /quit has no line end. Dave's is not the last thing he says.
    """
    server = grader.server()
    alice, bob = grader.join(server, "alice", "bob")
    talk, word = grader.words(2)
    for line in ("", "x" * TOO_LONG, "/quitter", f"we can /quit: {talk}"):
        bob.send(line)
    alice.hears_at_last(f"we can /quit: {talk}")
    bob.send(f"{word}\n/who\n/quit")
    alice.hears(word)
    told(alice, "left", "that bob left, and not to hear his /quit")
    expect_answer(bob, 2)
    expect_end_of_leaver(bob)
    (carol,) = grader.join(server, "carol")
    carol.send_bytes(b"/quit")
    carol.half_close()
    told(alice, "left", "that carol left, and not to hear her /quit")
    (dave,) = grader.join(server, "dave")
    dave.send(f"/quit\n{talk}")
    told(alice, "left", "that dave left, and not to hear what follows his /quit")
    (erin,) = grader.join(server, "erin")
    say_and_hear(grader, erin, [alice])


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_half_closed_gets_its_answer(grader: Grader) -> None:
    """Bob asks /who and has no more to say, but he reads: the answer, then the end.

    This is what `printf '/who\\n' | nc -N 127.0.0.1 5000` does. The others ask
    ten times, the last time without a line end, and get ten answers. The system is a
    harsh one: it moves few bytes at a time.
    """
    server = grader.server(harsh=True)
    (alice,) = grader.join(server, "alice")
    many = b"\n".join([b"/who"] * QUESTIONS)
    for name in ("bob", "carol", "dave", "erin"):
        (guest,) = grader.join(server, name)
        guest.send_bytes(asked := b"/who\n" if name == "bob" else many)
        guest.half_close()
        for _ in range(asked.count(b"/who")):
            expect_answer(guest, 2)
        told(alice, "left", f"that {name} left")
        expect_end_of_leaver(guest)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_last_line_counts_without_its_end(grader: Grader) -> None:
    """Bob's stream ends in the middle of a line: the line counts, then he has left.

    And when it is a command that has no end, as carol's /who, it is obeyed. When it is
    too long, as dave's, he has left all the same.
    """
    server = grader.server()
    alice, bob = grader.join(server, "alice", "bob")
    word = grader.word()
    bob.send_bytes(word.encode())
    bob.half_close()
    alice.hears(word)
    if alice.notices(LEFT):
        expected = "the last words of bob, and then that he left"
        raise alice.mismatch(expected, "first that he left")
    told(alice, "left", "that bob left")
    (carol,) = grader.join(server, "carol")
    carol.send_bytes(b"/who")
    carol.half_close()
    expect_answer(carol, 2)
    told(alice, "left", "that carol left, and not to hear her /who")
    (dave,) = grader.join(server, "dave")
    dave.send_bytes(b"x" * TOO_LONG)
    dave.half_close()
    for line in hear_of_leaving(alice, "dave", set()):
        if not line.startswith("* ") and not line.endswith("x" * TOO_LONG):
            expected = "to hear nothing of a line that is too long, or the whole of it"
            raise alice.mismatch(expected, quoted(line.encode()))
    grader.settle(server)  # if that was too much for it, it has said so by now


@pytest.mark.points(2)
@pytest.mark.hint(2)
def test_left_is_told_once_however_they_leave(grader: Grader) -> None:
    """A crash, a closed window, /quit, half a line: each time alice is told once.

    The system is a harsh one: it switches threads in the middle of your functions.
    """
    server = grader.server(harsh=True)
    (alice,) = grader.join(server, "alice")
    bob, heard = enter_before(grader, server, "bob", alice)
    known = words_of(heard[-1])
    for leave, name in {crash_in_talk: "cyril", **NAMES}.items():
        guest, lines = enter_before(grader, server, name, alice)
        leave(guest)
        if leave is crash_in_talk:
            bob.send("\n".join(grader.words(TALK)))
        lines += hear_of_leaving(alice, name, words_of(lines[-1]) - known)
        heard += lines + hear_said(grader, bob, alice)
    lefts = [line for line in heard if re.fullmatch(rf"\* {LEFT}", line)]
    if len(lefts) != (wanted := 1 + len(NAMES)):
        expected = f"to be told once of each of the {wanted} who left"
        raise alice.mismatch(expected, f"{len(lefts)} such notices")


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_crowd_leaves_no_ghosts(grader: Grader) -> None:
    """Ten guests leave at the same moment. Alice is told of each, and is alone then.

    So she is after others have connected and crashed at once. Ten more leave while ivy
    talks, and bob and carol join: all who stay hear ivy and are told of these two. The
    system is a harsh one: it switches threads in the middle of your functions.
    """
    server = grader.server(harsh=True)
    (alice,) = leave_before(grader, server, "alice")
    for number in range(CROWD):
        told(alice, "left", f"that {CROWD} guests left (so far {number})")
    ask_who(alice, 1)
    for number in range(CRASHES):
        grader.connect(server, f"visitor {number}").reset()
    grader.settle(server)  # so it has noticed all that
    ask_who(alice, 1)
    expect_as_many_left(alice, CROWD)
    said = grader.words(WORDS)
    *stay, ivy = leave_before(grader, server, *STAY, talk="\n".join(said))
    _, carol = grader.join(server, "bob", "carol")
    for person in stay:
        for word in said:
            person.hears(word)
    say_and_hear(grader, carol, [*stay, ivy])
    for number, person in enumerate(reversed([*stay, ivy]), 1):
        expect_joined(person, 2 * number)  # as many pairs have joined since


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_nothing_stays_open(grader: Grader) -> None:
    """Whoever leaves, in whatever way: the server closes the socket that it had.

    Alice, who says nothing for half a minute, has not left. On this hasty system that
    is soon over. When she has left too, and nobody is here, bob can still come.
    """
    server = grader.server(hasty=True)
    (alice,) = grader.join(server, "alice")
    come_and_go(grader, server, alice, list(NAMES))
    before = server.open_files()  # so what it opens once and for all is open by now
    for leave in NAMES:
        come_and_go(grader, server, alice, [leave] * GUESTS)
        expect_files(server, before, leave)
    grader.silence()
    ask_who(alice, 1)
    quit_chat(alice)
    alice.read_all()
    (bob,) = grader.join(server, "bob")
    ask_who(bob, 1)


# ------------------------------------------------------------- the ways of leaving


def crash(guest: Member) -> None:
    """Leave as a computer does that crashes."""
    guest.reset()


def crash_in_talk(guest: Member) -> None:
    """Crash after a long talk: the server has much to read before it can notice."""
    guest.send("\n".join(f"and {number}" for number in range(TALK)))
    guest.reset()


def close_window(guest: Member) -> None:
    """Leave as `nc` does when its window is closed."""
    guest.close()


def quit_chat(guest: Member) -> None:
    """Leave in good manners, from a terminal that ends its lines with CR LF."""
    guest.send("/quit", end="\r\n")


def break_off(guest: Member) -> None:
    """Leave in the middle of a line."""
    guest.send_bytes(b"and anoth")
    guest.half_close()


Way = Callable[[Member], None]
NAMES: dict[Way, str] = {
    crash: "carl",
    close_window: "clara",
    quit_chat: "quin",
    break_off: "brian",
}


def leave_before(
    grader: Grader, server: Program, *names: str, talk: str = ""
) -> list[Member]:
    """Let a crowd join, and others, and let the crowd leave; return the others.

    In front of each of the others in the list, if it is one, is somebody who leaves.
    The last of them talks meanwhile.
    """
    guests = join_at_once(grader, server, CROWD - len(names))
    others = []
    for name in names:
        guest, other = grader.join(server, f"{name}'s guest", name)
        guests.append(guest)
        others.append(other)
    if talk:
        others[-1].send(talk)
    for number, guest in enumerate(guests):
        (crash, close_window, quit_chat)[number % 3](guest)
    return others


def join_at_once(grader: Grader, server: Program, count: int) -> list[Member]:
    """Let guests connect, and only then wait until they are greeted."""
    guests = [grader.connect(server, f"guest {number}") for number in range(count)]
    for guest in guests:
        greeting = 'a greeting, a line that begins with "* "'
        guest.expect_eventually(GREETING, wording=greeting)
    return [guest for guest in guests if isinstance(guest, Member)]


def come_and_go(
    grader: Grader, server: Program, alice: Member, ways: list[Way]
) -> None:
    """Let guests come, and leave in these ways; alice is told of each."""
    guests = grader.join(server, *(NAMES[leave] for leave in ways))
    for leave, guest in zip(ways, guests, strict=True):
        leave(guest)
    for guest in guests:
        hear_of_leaving(alice, guest.name, set())
        guest.close()


# -------------------------------------------------------------------- expectations


NOTICE_OF = {"joined": JOINED, "left": LEFT}
COUNT = r".*\(\d+\).*"


def told(person: Member, word: str, what: str) -> set[str]:
    """Expect a notice with that word in it; return the words of the notice."""
    wording = f'to be told {what}: a line with "* " and "{word}"'
    return words_of(person.is_told(NOTICE_OF[word], wording)[0])


def words_of(line: str) -> set[str]:
    """Return what could be a name, or a part of one."""
    return set(re.findall(r"[\w-]+", line))


def enter_before(
    grader: Grader, server: Program, name: str, alice: Member
) -> tuple[Member, list[str]]:
    """Let somebody join; return what alice hears, to the notice of it."""
    (guest,) = grader.join(server, name)
    wording = f'to be told that {name} joined: a line with "* " and "joined"'
    return guest, hear_until(alice, rf"\* {JOINED}", wording)


def expect_joined(person: Member, count: int) -> None:
    """Expect that this person was told of so many who joined."""
    if (found := person.notices(JOINED)) != count:
        expected = f"to be told once of each who joined later, so {count} times"
        raise person.mismatch(expected, f'{found} notices with the word "joined"')


def say_and_hear(
    grader: Grader, speaker: Member, listeners: list[Member], before: str = ""
) -> None:
    """Let somebody say something that the others hear: a fence."""
    word = before + grader.word()
    speaker.send(word)
    for listener in listeners:
        listener.hears(word)


def hear_said(grader: Grader, speaker: Member, listener: Member) -> list[str]:
    """Let somebody say something; return what the listener hears, up to that."""
    word = grader.word()
    speaker.send(word)
    return hear_until_said(listener, word)


def hear_until_said(listener: Member, word: str) -> list[str]:
    """Return what the listener hears, up to this word."""
    return hear_until(listener, rf".*{word}", f'to hear "{word}" sooner or later')


def ask_who(person: Member, count: int, end: str = "\n") -> None:
    """Let a person ask who is here, and expect the answer."""
    person.send("/who", end)
    expect_answer(person, count)


def expect_no_answer(person: Member, heard: list[str]) -> None:
    """Expect no answer to /who in this, nor the question."""
    if asked := [line for line in heard if line.endswith("/who")]:
        raise person.mismatch("not to hear /who", quoted(asked[0].encode()))
    if any(re.fullmatch(rf"\* {COUNT}", line) for line in heard):
        expected = "to be told nothing, as only alice asked, and that only once"
        raise person.mismatch(expected, "an answer to /who")


def expect_name(person: Member, name: set[str], words: set[str], what: str) -> None:
    """Expect some of what could be the name among these words."""
    if not words & name:
        shown = quoted(" ".join(sorted(name)).encode())
        expected = f"to {what} by the name he joined with, {shown}"
        raise person.mismatch(expected, "another name")


def expect_as_many_left(person: Member, before: int) -> None:
    """Expect that all have left who joined later, and those who were here before."""
    joined, left = person.notices(JOINED), person.notices(LEFT)
    if left != before + joined:
        expected = "to be told that all left who joined later,"
        expected += f" and {before} who were here before"
        got = f'{joined} notices with the word "joined" and {left} with "left"'
        raise person.mismatch(expected, got)


def expect_answer(person: Member, count: int) -> None:
    """Expect the answer to /who: a notice with a number in parentheses."""
    form = f'a line with "* " and "({count})", as {count} are here'
    wording = f"the answer to /who: {form}"
    answer = person.is_told(COUNT, wording)[0]
    if f"({count})" not in answer:
        raise person.mismatch(wording, quoted(answer.encode()))


def expect_end_of_leaver(person: Member) -> None:
    """Expect an orderly end, and no notice to this person that this person left."""
    rest = person.read_all()
    if b"left" in rest:
        raise person.mismatch("no news of leaving, as it left itself", quoted(rest))
    if (end := person.expect_end()) != "FIN":
        expected = "an orderly end of the connection (FIN)"
        raise person.mismatch(expected, f"a connection that is cut off ({end})")


def hear_of_leaving(person: Member, name: str, words: set[str]) -> list[str]:
    """Expect a notice that somebody left, with a word of `words` in it, if any.

    Return the lines up to it, whatever they are.
    """
    wording = f'to be told that {name} left: a line with "* " and "left"'
    heard = hear_until(person, rf"\* {LEFT}", wording)
    while words and not words & words_of(heard[-1]):
        heard += hear_until(person, rf"\* {LEFT}", wording)
    return heard


def hear_until(person: Member, pattern: str, wording: str) -> list[str]:
    """Return the lines up to one that is like `pattern`, whatever they are."""
    lines = [""]
    while not re.fullmatch(pattern, lines[-1]):
        lines.append(person.expect(re.compile(".*"), wording=wording)[0])
    return lines[1:]


def expect_files(program: Program, before: int, leave: Way) -> None:
    """Expect that it has, now or soon, about as many files and sockets open."""
    if not program.becomes(lambda: program.open_files() <= before + SPARE):
        more = program.open_files() - before
        way = leave.__name__.replace("_", " ")
        expected = f"to have closed the sockets of {GUESTS} who left (by: {way})"
        raise program.mismatch(expected, f"{more} more that are open")
