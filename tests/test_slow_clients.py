"""Clients that do not read, or too slowly: nobody waits for them, nothing is lost.

The other people talk in step with each other, so they are never in arrears. How much
a system buffers is not ours to know: so they talk until the server says that enough
waits for the slow one, or that it has been dropped.
"""

import re
from collections.abc import Iterator

import pytest

import delivery
import session
from chatting import (
    MCHAT,
    STOPPING,
    ServerHere,
    enter,
    gather,
    here,
    join,
    numbered,
    queued,
    talk_until_behind,
)
from grading.deadlines import END
from grading.harness import Harness
from grading.people import Person
from grading.program import Program
from grading.ready import Address
from session import Limits

ANYTHING = re.compile(".*")
PLENTY = 40_000  # lines; 40 MB is more than any system buffers for one connection


@pytest.fixture(params=["program", "here, without MSG_DONTWAIT"])
def small_outbox(
    request: pytest.FixtureRequest, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program | Address]:
    """Give a server that lets 100 kB wait; the real one, and as it is on Windows."""
    if request.param == "program":
        yield harness.start(MCHAT, "--port", 0, "--outbox", 100_000, "--rate", 0)
        return
    monkeypatch.setattr(delivery, "DONTWAIT", 0)
    monkeypatch.setattr(session, "TICK", 0.05)
    with ServerHere(Limits(outbox=100_000, rate=0)) as server:
        yield server.address


def talk_until_told(speaker: Person, listener: Person, *notices: str) -> int:
    """Let `speaker` talk until `listener` has got all notices; return the lines."""
    awaited = set(notices)
    for number in range(PLENTY):
        line = f"[{speaker.name}] {numbered(number)}"
        speaker.send(numbered(number))
        while (heard := listener.expect(ANYTHING)[0]) != line:
            awaited.remove(heard)
        if not awaited:
            return number + 1
    raise AssertionError(f"{PLENTY} lines did not do it")


def test_who_does_not_read_is_dropped(
    harness: Harness, small_outbox: Program | Address
) -> None:
    """Past its limit it is out, which is told once; the others miss nothing."""
    alice, bob = gather(harness, small_outbox, "alice", "bob")
    for name in ("first", "second"):
        enter(harness, small_outbox, name, receive_buffer=4096).stall()
    assert bob.expect_lines(2) == ["* guest3 joined", "* guest4 joined"]
    assert talk_until_told(alice, bob, "* guest3 left", "* guest4 left") > 100
    bob.send("/who")
    bob.expect(here("alice", "bob"))
    for person in (alice, bob):
        person.send("/quit")
        person.expect_eventually("* goodbye")
        person.close()


@pytest.fixture
def patient_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerHere]:
    """Give a server that lets 100 MB wait, and cuts nobody off after a second."""
    monkeypatch.setattr(delivery, "FAREWELL_TIME", END)
    with ServerHere(Limits(outbox=100_000_000, rate=0)) as server:
        yield server


def in_arrears(
    harness: Harness, server: ServerHere, amount: int = 500_000
) -> tuple[Person, list[str]]:
    """Let somebody fall behind; return it and what it should get, if it reads."""
    alice, bob = gather(harness, server.address, "alice", "bob")
    sloth = enter(harness, server.address, "sloth", receive_buffer=4096)
    bob.expect("* guest3 joined")
    count = talk_until_behind(lambda: server.queued("guest3"), alice, bob, amount)
    for person in (alice, bob):
        person.send("/quit")
        person.expect_eventually("* goodbye")
        person.close()
    lines = [f"[alice] {numbered(number)}" for number in range(count)]
    return sloth, [*lines, "* alice left", "* bob left"]


def test_who_reads_late_gets_everything(
    harness: Harness, patient_server: ServerHere
) -> None:
    """What waits is sent as soon as there is room, in order, and the outbox empties."""
    sloth, lines = in_arrears(harness, patient_server, 3_000_000)
    assert sloth.expect_lines(len(lines)) == lines
    sloth.send("/who")
    sloth.expect(here("guest3"))
    assert patient_server.queued("guest3") == 0
    sloth.reset()


def test_stopping_sends_what_waits(
    harness: Harness, patient_server: ServerHere
) -> None:
    """A client in arrears that reads on gets every line, the last one too."""
    sloth, lines = in_arrears(harness, patient_server)
    patient_server.stop.ask()
    got = sloth.read_all().decode().splitlines()
    assert got == [*lines, STOPPING]
    sloth.close()


def test_who_quits_gets_what_waits(
    harness: Harness, patient_server: ServerHere
) -> None:
    """Even if it goes on sending: bytes left unread would reset the connection."""
    sloth, lines = in_arrears(harness, patient_server)
    bob = join(harness, patient_server.address, "bob")
    sloth.send("/quit\n" + "x\n" * 100_000)
    bob.expect("* guest3 left")
    bob.reset()
    got = sloth.read_all().decode().splitlines()
    assert got == [*lines, "* guest4 joined", "* guest4 is now bob", "* goodbye"]
    sloth.close()


@pytest.mark.parametrize("way", ["reset", "kick"])
def test_who_has_much_unread_leaves_at_once(harness: Harness, way: str) -> None:
    """It is told at once, and once, however much waits."""
    server = harness.start(MCHAT, "--port", 0, "--outbox", 100_000_000, "--rate", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    sloth = enter(harness, server, "sloth", receive_buffer=4096)
    bob.expect("* guest3 joined")
    talk_until_behind(lambda: queued(server, "guest3"), alice, bob)
    if way == "reset":
        sloth.reset()
    else:
        server.type("/kick guest3 reading too little")
    bob.expect("* guest3 left")
    bob.send("/who")
    bob.expect(here("alice", "bob"))
    assert "too slowly" not in server.stderr


def test_smallest_outbox_is_enough_for_who_reads(harness: Harness) -> None:
    """What the system takes at once needs no outbox."""
    server = harness.start(MCHAT, "--port", 0, "--outbox", 1, "--rate", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    for number in range(80):
        alice.send(numbered(number))
        bob.expect(f"[alice] {numbered(number)}")
        bob.send("/help")
        bob.expect_eventually(re.compile("//TEXT.*|.*  say /TEXT to everyone"))


def test_by_default_a_megabyte_may_wait(harness: Harness) -> None:
    """Nearly as much has been seen waiting, and never more."""
    server = harness.start(MCHAT, "--port", 0, "--rate", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    enter(harness, server, "sloth", receive_buffer=4096)
    bob.expect("* guest3 joined")
    talk_until_behind(lambda: queued(server, "guest3"), alice, bob)
    most = 0
    while (waiting := queued(server, "guest3")) is not None:
        most = max(most, waiting)
        alice.send_bytes(f"{numbered(0)}\n".encode() * 50 + b"now\n")
        bob.expect_eventually("[alice] now")
    assert 900_000 < most <= 1024 * 1024
