"""How clients go: by which way soever, the others are told once, and nothing is lost.

Each test runs the real program. An end of stream without /quit takes a second, as the
manual says; so most people here leave in other ways, or several together.
"""

import re
from collections.abc import Callable

import pytest

from chatting import MCHAT, STOPPING, WELCOME, enter, gather, here, join
from grading.harness import Harness
from grading.people import Person
from grading.program import Program

Way = Callable[[Program, Person], None]


def quit_(_: Program, person: Person) -> None:
    """Type /quit, and wait for the end."""
    person.send("/quit")
    person.expect("* goodbye")
    assert person.expect_end() == "FIN"
    person.close()


def quit_and_reset(_: Program, person: Person) -> None:
    """Type /quit and be gone before the answer."""
    person.send("/quit")
    person.reset()


def kicked(server: Program, person: Person) -> None:
    """Be removed by the operator."""
    server.type(f"/kick {person.name}")
    person.expect("* you were removed by the operator")
    assert person.expect_end() == "FIN"
    person.close()


def kicked_while_leaving(server: Program, person: Person) -> None:
    """Be removed at the moment of leaving."""
    server.type(f"/kick {person.name}")
    person.send("/quit\n/quit")
    person.reset()
    server.expect_output(re.compile(r"\w+ was removed|nobody here is called .*"))


def reset(_: Program, person: Person) -> None:
    """Crash."""
    person.reset()


def reset_in_a_line(_: Program, person: Person) -> None:
    """Crash while typing: what was typed so far is not said."""
    person.send("half a li", end="")
    person.reset()


WAYS: list[Way] = [quit_, quit_and_reset, kicked, kicked_while_leaving, reset]
WAYS += [reset_in_a_line]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_leaving_is_told_once(harness: Harness, way: Way) -> None:
    """The others hear `left` and nothing else; the name is free at once."""
    server = harness.start(MCHAT, "--port", 0)
    bob, alice = gather(harness, server, "bob", "alice")
    way(server, alice)
    bob.expect("* alice left")
    bob.send("/nick alice")
    bob.expect("* you are now alice")
    bob.send("/nick bob")
    bob.expect("* you are now bob")
    bob.send("/who")
    bob.expect(here("bob"))
    bob.reset()
    server.type("exit")
    assert server.wait_exit() == 0
    assert server.stderr.count("alice left (") == 1


def test_end_of_what_one_says_is_leaving_too(harness: Harness) -> None:
    """After a second: half-closed, closed, or told so in telnet (as plink does)."""
    server = harness.start(MCHAT, "--port", 0)
    bob, nc, program, plink = gather(harness, server, "bob", "nc", "program", "plink")
    nc.half_close()
    program.close()
    plink.send_bytes(b"\xff\xec")
    left = {bob.expect(re.compile(r"\* (\w+) left"))[1] for _ in range(3)}
    assert left == {"nc", "program", "plink"}
    bob.send("/who")
    bob.expect(here("bob"))
    for person in (nc, plink):
        person.read_all()
        assert person.expect_end() == "FIN"


def test_all_leave_at_once(harness: Harness) -> None:
    """Sixty people in a hurry: each is told to have left once, and none stays."""
    server = harness.start(MCHAT, "--port", 0)
    bob = join(harness, server, "bob")
    people = [harness.connect(server, f"p{number}") for number in range(60)]
    for person in people:
        person.expect_eventually(WELCOME)
    for number, person in enumerate(people):
        if number % 3 == 0:
            person.send("/quit")
        if number % 3 == 1:
            person.send("unfinished", end="")
        person.reset()
    told: list[str] = []
    while len(told) < 60:
        told.append(bob.expect_eventually(re.compile(r"\* guest\d+ left"))[0])
    assert len(set(told)) == 60
    bob.send("/who")
    bob.expect(here("bob"))


def test_nothing_is_said_after_quit(harness: Harness) -> None:
    """The rest of what was sent is thrown away; goodbye arrives all the same.

    Closing with bytes unread would reset the connection, and lose the last line.
    """
    server = harness.start(MCHAT, "--port", 0)
    bob, alice = gather(harness, server, "bob", "alice")
    alice.send("before\n/QUIT now\nafter\n/me waves\n/msg bob psst\n" + "x\n" * 50_000)
    bob.expect("[alice] before")
    bob.expect("* alice left")
    alice.expect("* goodbye")
    assert alice.expect_end() == "FIN"
    bob.send("/who")
    bob.expect(here("bob"))


def test_last_line_without_an_end_counts(harness: Harness) -> None:
    """`printf hello | nc -N` says hello; so do a lone CR and a command."""
    server = harness.start(MCHAT, "--port", 0)
    bob = join(harness, server, "bob")
    people = [
        enter(harness, server, name) for name in ("alice", "carol", "dave", "eve")
    ]
    last = (b"one\r\ntwo", b"three\r", b"/me waves", b"caf\xe9")
    for person, data in zip(people, last, strict=True):
        person.send_bytes(data)
        person.half_close()
    heard = [line for line in bob.expect_lines(13) if not line.endswith("joined")]
    assert sorted(heard) == [
        "* guest2 left",
        "* guest3 left",
        "* guest4 left",
        "* guest4 waves",
        "* guest5 left",
        "[guest2] one",
        "[guest2] two",
        "[guest3] three",
        "[guest5] caf\ufffd",
    ]
    assert b"does not send UTF-8" in people[-1].read_all()


def test_half_closed_client_gets_its_answers(harness: Harness) -> None:
    """`printf '/who\\n' | nc -N`: all answers, what others say meanwhile, then the end.

    Even if the lines are more than it may say at once.
    """
    server = harness.start(MCHAT, "--port", 0)
    bob = join(harness, server, "bob")
    alice = harness.connect(server, "alice")
    alice.send("/msg bob x\n" * 100 + "/who\n/help\n/nick alice\n/frobnicate", end="")
    alice.half_close()
    bob.expect("* guest2 joined")
    assert bob.expect_lines(100) == ["[guest2 -> bob] x"] * 100
    bob.expect("* guest2 is now alice")
    bob.send("hello")  # within the second of grace
    alice.expect(WELCOME)
    alice.expect(here("bob", "guest2"))
    alice.expect_eventually("* you are now alice")
    rest = alice.expect_lines(2)
    assert "[bob] hello" in rest
    assert any(line.startswith("* unknown command /frobnicate;") for line in rest)
    assert alice.expect_end() == "FIN"
    bob.expect("* alice left")


def test_telnet_is_answered_and_never_offered_anything(harness: Harness) -> None:
    """Refusals only, each once, before and between and after the lines."""
    server = harness.start(MCHAT, "--port", 0)
    alice = harness.connect(server, "alice")
    alice.expect(WELCOME)
    alice.send_bytes(bytes.fromhex("fffb1f fffb20 fffd01 fffd03 fffd06 fffc01 fffe03"))
    refusals = bytes.fromhex("fffe1f fffe20 fffc01 fffc03 fffc06")
    assert alice.read_bytes(len(refusals)) == refusals
    alice.send_bytes(b"/w\xff\xfa\x18\x00xt\xff\xf0ho\r\n\xff\xf6/quit\r\n")
    assert alice.read_all().decode().splitlines() == [
        "* yes, the server is here",
        here("guest1"),
        "* goodbye",
    ]


def test_stopping_tells_nobody_that_others_left(harness: Harness) -> None:
    """One notice of the end is enough."""
    server = harness.start(MCHAT, "--port", 0)
    people = gather(harness, server, "alice", "bob", "carol")
    server.type("exit")
    for person in people:
        assert person.read_all().decode() == STOPPING + "\r\n"
        person.close()
    assert server.wait_exit() == 0
    assert " left (" not in server.stderr
