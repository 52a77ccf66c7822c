"""One client's thread, over a socket pair; in both ways of not blocking."""

import socket
import threading
from collections.abc import Iterator

import pytest

import delivery
import session
from delivery import Delivery, Outbox
from grading.deadlines import END
from grading.people import Person
from grading.transcript import Transcript
from room import Member, Room
from session import BURST, Allowance, Limits, Session


class Lobby:
    """A room that people enter through socket pairs."""

    def __init__(self, limits: Limits) -> None:
        """Begin with nobody."""
        self.post = Delivery(Room(), 1024 * 1024)
        self.post.start()
        self.sessions: list[Session] = []
        self.people: list[Person] = []
        self.gone: list[Session] = []
        self.limits = limits
        self.transcript = Transcript()

    def join(self, name: str = "somebody", first: bytes = b"") -> Person:
        """Connect, and say `first` before the session looks."""
        ours, theirs = socket.socketpair()
        person = Person(name, theirs, "server", self.transcript)
        self.people.append(person)
        if first:
            person.send_bytes(first)
        outbox = Outbox(ours, name, self.post)
        member = Member(f"guest{len(self.people)}", name, outbox)
        session = Session(ours, member, self.post, self.limits, self.gone.append)
        self.sessions.append(session)
        session.start()
        return person

    def close(self) -> None:
        """See everybody out; fail if a thread stays."""
        self.post.submit(self.post.room.close)
        for person in self.people:
            person.close()
        for thread in self.sessions:
            thread.join(END)
        assert not [thread for thread in self.sessions if thread.is_alive()]
        assert sorted(map(id, self.gone)) == sorted(map(id, self.sessions))
        self.post.close()


@pytest.fixture(params=["flag", "non-blocking sockets"])
def lobby(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lobby]:
    """A lobby, where the system has MSG_DONTWAIT and where it has not (Windows)."""
    if request.param == "flag" and not delivery.DONTWAIT:
        pytest.skip("this system has no MSG_DONTWAIT")
    if request.param != "flag":
        monkeypatch.setattr(delivery, "DONTWAIT", 0)
        monkeypatch.setattr(session, "TICK", 0.05)
    lobby = Lobby(Limits(rate=0))
    yield lobby
    lobby.close()


WELCOME = "* welcome, you are guest1; nobody else is here yet; /help lists the commands"


def test_silent_client_is_welcomed(lobby: Lobby) -> None:
    """Somebody who connects and waits is in."""
    lobby.join().expect(WELCOME)


def test_what_comes_with_the_connection_is_heard(lobby: Lobby) -> None:
    """And what comes later too."""
    ann = lobby.join(first=b"/wh")
    ann.expect(WELCOME)
    ann.send("o")
    ann.expect("* here (1): guest1")


def test_more_than_one_receive_takes(lobby: Lobby) -> None:
    """A lot of lines in one go all arrive, in order."""
    ann = lobby.join("ann")
    ann.expect(WELCOME)
    bob = lobby.join("bob")
    bob.expect(_joined("guest2"))
    lines = [f"line {number}" for number in range(20_000)]
    sender = threading.Thread(target=ann.send, args=("\n".join(lines),))
    sender.start()
    assert bob.expect_lines(len(lines)) == [f"[guest1] {line}" for line in lines]
    sender.join()


def _joined(name: str) -> str:
    return f"* welcome, you are {name}; here: guest1; /help lists the commands"


@pytest.mark.parametrize("cut", [1, 5, 1000])
@pytest.mark.parametrize(
    ("opening", "answer"),
    [
        (b"GET /a/b HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", b"* this is a chat server"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\n\x03", b""),
    ],
    ids=["HTTP", "SSH", "TLS"],
)
def test_other_protocols_are_turned_away(
    lobby: Lobby, opening: bytes, answer: bytes, cut: int
) -> None:
    """In one piece or in several; nothing of them is said to the room."""
    ann = lobby.join("ann")
    ann.expect(WELCOME)
    stranger = lobby.join("stranger", first=opening[:cut])
    if opening[cut:]:
        stranger.send_bytes(opening[cut:])
    got = stranger.read_all()
    assert answer in got
    assert got.count(b"chat server") == (1 if answer else 0)
    stranger.close()
    for thread in lobby.sessions[1:]:
        thread.join(END)
    ann.send("/who")
    heard = ann.expect_eventually("* here (1): guest1")
    assert heard
    assert not [event for event in lobby.transcript.events() if b"[guest" in event.data]


def test_turned_away_at_once_was_never_here(lobby: Lobby) -> None:
    """The room is not even told of a web browser that speaks first."""
    ann = lobby.join("ann")
    ann.expect(WELCOME)
    lobby.join("browser", first=b"GET / HTTP/1.1\r\n\r\n").read_all()
    ann.expect_nothing_before("* here (1): guest1", lambda: ann.send("/who"))


def test_half_closed_client_still_hears(lobby: Lobby) -> None:
    """Its answers, and for a while what others say; then it is closed."""
    ann = lobby.join("ann")
    ann.expect(WELCOME)
    bob = lobby.join("bob", first=b"/who\nno line end")
    bob.half_close()
    bob.expect(_joined("guest2"))
    bob.expect("* here (2): guest1, guest2")
    ann.expect("* guest2 joined")
    ann.expect("[guest2] no line end")
    ann.send("still here?")
    bob.expect("[guest1] still here?")
    assert bob.expect_end() == "FIN"
    ann.expect("* guest2 left")


def test_end_of_file_by_telnet_is_a_half_close(lobby: Lobby) -> None:
    """plink -telnet does not close; it says that it will say no more."""
    ann = lobby.join("ann", first=b"/who\r\n\xff\xec")
    ann.expect(WELCOME)
    ann.expect("* here (1): guest1")
    assert ann.expect_end() == "FIN"


def test_reset_in_the_middle_of_a_line(lobby: Lobby) -> None:
    """Half a line is not said by one who is gone."""
    ann = lobby.join("ann")
    ann.expect(WELCOME)
    bob = lobby.join("bob")
    bob.expect(_joined("guest2"))
    ann.expect("* guest2 joined")
    bob.send_bytes(b"half a li")
    bob.close()  # a socket pair knows no reset, but bytes unread make one
    assert ann.expect_lines(2)[-1] == "* guest2 left"


def test_quit(lobby: Lobby) -> None:
    """The farewell comes, then the end, at once."""
    ann = lobby.join("ann")
    ann.expect(WELCOME)
    ann.send("/quit\nnot heard")
    ann.expect("* goodbye")
    assert ann.expect_end() == "FIN"


def test_one_hint_about_utf_8(lobby: Lobby) -> None:
    """Not one for each line."""
    ann = lobby.join("ann")
    ann.expect(WELCOME)
    for _ in range(3):
        ann.send_bytes(b"caf\xe9\n")
    ann.expect("* your client does not send UTF-8; what it meant could not be read")
    ann.expect_nothing_before("* here (1): guest1", lambda: ann.send("/who"))


def test_hint_about_the_last_line_too(lobby: Lobby) -> None:
    """Though it has no end."""
    ann = lobby.join("ann", first=b"caf\xe9")
    ann.half_close()
    ann.expect(WELCOME)
    ann.expect("* your client does not send UTF-8; what it meant could not be read")
    assert ann.expect_end() == "FIN"


def test_flood_is_slowed_and_nothing_is_lost(lobby: Lobby) -> None:
    """A burst at once, the rest at the rate."""
    lobby.limits = Limits(rate=100)
    ann = lobby.join("ann")
    ann.expect(WELCOME)
    bob = lobby.join("bob")
    bob.expect(_joined("guest2"))
    count = BURST + 30
    ann.send("\n".join(map(str, range(count))))
    assert bob.expect_lines(count) == [f"[guest1] {it}" for it in range(count)]


def test_flooder_can_be_removed_at_once(lobby: Lobby) -> None:
    """Its thread does not sleep through it."""
    lobby.limits = Limits(rate=0.001)
    ann = lobby.join("ann")
    ann.expect(WELCOME)
    ann.send("\n".join("/who" for _ in range(2 * BURST)))
    ann.expect_lines(BURST)
    (member,) = lobby.post.room.members.values()
    lobby.post.submit(lobby.post.room.leave, member, "enough")
    ann.expect("* enough")
    assert ann.expect_end() == "FIN"


# ------------------------------------------------------------------- the allowance


def test_allowance_is_a_burst_and_then_a_rate() -> None:
    """A line's worth comes back after 1/rate seconds, up to the burst."""
    allowance = Allowance(20)
    assert allowance.take(1000, 10.0) == BURST
    assert allowance.take(1, 10.0) == 0
    assert allowance.delay == pytest.approx(1 / 20)
    assert allowance.take(5, 10.125) == 2
    assert allowance.take(1, 10.126) == 0
    assert allowance.take(1000, 9999.0) == BURST


def test_no_limit() -> None:
    """A rate of 0 allows everything."""
    assert Allowance(0).take(10_000, 0.0) == 10_000
