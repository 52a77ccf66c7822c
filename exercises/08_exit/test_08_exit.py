"""Step 08: the server stops when it is told to, and everybody is seen out."""

import random
import socket
import sys

import pytest

from grading.grader import Grader, Member
from grading.mismatch import Mismatch
from grading.program import Program

TOLD = 'to be told of the stop, in a line that begins with "* "'
IDLE = 12  # clients; who waits a second for each of them is much too late
PORTS = range(20_000, 30_000)  # no system gives these to who asks for any port
MOMENT = 0.3  # seconds that alice takes to close; she has half a second at least
SOME = 120  # lines; a harsh system takes a while to pass them on
CHATTER = 12_000  # bytes; a harsh system takes a while to receive them


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_exit_ends_the_server(grader: Grader) -> None:
    """When the operator types `exit`, the program ends, with exit code 0.

    Nobody is connected, and nobody else has to connect for that.
    """
    server = grader.server()
    server.type("exit")
    expect_good_ending(server)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_only_the_operators_exit_counts(grader: Grader) -> None:
    """A client that says `exit` stops nothing. It is a line like any other.

    Nor does a line of the operator's that only has the word in it. Blanks around the
    word do not matter, nor whether its line has an end.
    """
    server = grader.server()
    alice, bob = grader.join(server, "alice", "bob")
    alice.send("exit")
    bob.hears("exit")
    for line in ("the exit is on the left", "exit is what we need", "exits", "no exit"):
        server.type(line)
        alice.hears(line)
        bob.hears(line)
    for person in (alice, bob):
        person.close()
    server.type(" exit ", end="")
    server.close_stdin()
    expect_good_ending(server)


@pytest.mark.points(2)
@pytest.mark.hint(2)
def test_everyone_is_told(grader: Grader) -> None:
    """All hear what was said before, are told about the stop, and see the end.

    They are told in a line that begins with "* ". The end is the end of the stream:
    their recv() returns b"". Then they close, and the server ends with exit code 0.
    """
    server = grader.server()
    people = grader.join(server, "alice", "bob", "carol")
    words = grader.words(5)
    for word in words:
        server.type(word)
    server.type("exit")
    for person in people:
        for word in words:
            person.hears(word)
        is_told_goodbye(person)
        sees_the_end(person)
    for person in people:
        person.close()
    expect_good_ending(server)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_its_port_is_free_at_once(grader: Grader) -> None:
    """Right after its end, the server can be started again on the same port.

    Although people were connected, and the server was the first one to hang up.
    """
    port = quiet_port()
    server = grader.server(port=port)
    (alice,) = grader.join(server, "alice")
    server.type("exit")
    alice.read_all()
    alice.close()
    server.wait_exit()
    again = grader.server(port=port)
    grader.join(again, "bob")


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_ctrl_c_is_a_wish_to_stop(grader: Grader) -> None:
    """Ctrl-C (the signal SIGINT) stops the server in the same good order.

    Also while alice and bob talk. The system is a harsh one: the signal comes in the
    middle of your functions.
    """
    server = grader.server(harsh=True)
    alice, bob = grader.join(server, "alice", "bob")
    by_alice, by_bob = grader.words(SOME), grader.words(SOME)
    alice.send("\n".join(by_alice))
    bob.send("\n".join(by_bob))
    bob.hears(by_alice[0])
    alice.hears(by_bob[0])
    server.interrupt()
    for person in (alice, bob):
        lines = person.read_all().splitlines()
        if not any(line.startswith(b"* ") for line in lines):
            got = "the end of the connection, without such a line"
            raise person.mismatch(TOLD, got)
        expect_no_reset(person)
        person.close()
    expect_good_ending(server)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_server_in_the_background_stops_on_sigterm(grader: Grader) -> None:
    """A server without a console goes on, until the system sends it SIGTERM.

    Its standard input is at its end. On Windows, which has no SIGTERM, it gets what
    Ctrl-Break sends.
    """
    server = grader.server()
    alice, bob = grader.join(server, "alice", "bob")
    server.close_stdin()
    grader.expect_rest(server)  # and meanwhile it has noticed
    question, answer = grader.words(2)
    alice.send(question)
    bob.hears(question)
    bob.send(answer)
    alice.hears(answer)
    if sys.platform == "win32":
        server.interrupt()
    else:
        server.terminate()
    for person in (alice, bob):
        is_told_goodbye(person)
        sees_the_end(person)
        person.close()
    expect_good_ending(server)


@pytest.mark.points(2)
@pytest.mark.hint(4)
def test_nobody_is_cut_off_in_the_middle_of_talking(grader: Grader) -> None:
    """Who has just said a lot sees an orderly end, too, and so do the listeners.

    What alice says is still on its way when the server stops. If the program ends with
    bytes that it has not received, the system resets the connection, and what alice
    has not read yet may be lost. Dave has just crashed: that is no reason to forget
    the others. The system is a harsh one: receiving takes its time.
    """
    server = grader.server(harsh=True)
    carol, alice, bob, dave = grader.join(server, "carol", "alice", "bob", "dave")
    first = grader.word()
    alice.send(f"{first}\n{chatter(CHATTER)}")
    bob.hears(first)
    dave.reset()
    server.type("exit")
    for person in (bob, carol):
        person.read_all()
        person.close()
    try:
        alice.send(grader.word())  # she has not seen the end yet, so she may
    except Mismatch:  # there is nobody any more who takes it
        raise cut_off(alice) from None
    server.state(patience=MOMENT)  # one that does not wait for alice ends meanwhile
    alice.read_all()
    expect_no_reset(alice)
    alice.close()
    expect_good_ending(server)


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_clients_that_do_not_close_hold_up_nothing(grader: Grader) -> None:
    """The server ends within a few seconds, although twelve clients stay connected.

    They are told and see the end like all others, but none of them closes.
    """
    server = grader.server()
    idle = grader.join(server, *(f"guest {n}" for n in range(1, IDLE + 1)))
    word = grader.word()
    server.type(word)
    server.type("exit")
    expect_good_ending(server)
    for guest in idle:
        guest.hears(word)
        is_told_goodbye(guest)
        guest.read_all()  # to the end; who did not close in time may have been reset


# ------------------------------------------------------------------------- helpers


def expect_good_ending(server: Program) -> None:
    """Expect that it ends by itself, with exit code 0."""
    if server.wait_exit() != 0:
        raise server.mismatch("to end with exit code 0", server.state().ending)


def is_told_goodbye(person: Member) -> None:
    """Expect one notice at least. Those from before must have been heard already."""
    person.is_told(".*", TOLD)


def sees_the_end(person: Member) -> None:
    """Expect notices at most, and then the end of the stream."""
    for line in person.read_all().splitlines():
        if not line.startswith(b"* "):
            got = f'"{line.decode(errors="replace")}"'
            raise person.mismatch("the end of the stream, or one more notice", got)
    expect_no_reset(person)


def expect_no_reset(person: Member) -> None:
    """Expect that the connection has come to an orderly end, and to no other since.

    A reset may come right behind the end of the stream. A reader in time does not see
    it, a later one loses what it has not read yet.
    """
    person.expect_end()
    if person.was_reset():
        raise cut_off(person)


def cut_off(person: Member) -> Mismatch:
    """Return the error that the connection of this person was reset."""
    got = f"a reset (RST): what {person.name} has not read by then is lost"
    return person.mismatch("an orderly end of the connection (FIN)", got)


def chatter(size: int) -> str:
    """Return lines of about `size` bytes altogether, of 100 bytes each."""
    return "blah " * 20 + "\n" + (("blah " * 20 + "\n") * (size // 101))


def quiet_port() -> int:
    """Return a port that is free, and that nobody gets who asks for any port."""
    while True:
        with socket.socket() as sock:
            port = random.choice(PORTS)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
