"""Step 02: whatever a client sends comes back to it, one client after the other."""

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from grading.grader import Grader
from grading.mismatch import Mismatch
from grading.people import Person
from grading.program import Program

PIECE = 4096  # bytes; just as many as most programs ask recv() for
MANY = 1_048_576  # bytes; much more than fits into one recv()
SOME = 24_000  # bytes, for a system that moves few at a time
TRIES = 3  # to start again on a port that nobody else has taken meanwhile


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_says_where_it_listens(grader: Grader) -> None:
    """The server says on which port it listens before any client comes.

    It is started with --port 0, so the system has chosen a port for it.
    """
    server = grader.server(ready=False)
    host, port = server.wait_ready()
    if port == 0:
        expected = "to say which port the system has chosen for it"
        raise server.mismatch(expected, f'"listening on {host}:0", the port asked for')


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_what_is_sent_comes_back(grader: Grader) -> None:
    """Alice sends three lines, one at a time, and each one comes back to her."""
    alice = grader.connect(grader.server(), "alice")
    for word in grader.words(3):
        alice.send(word)
        alice.expect(word)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_any_bytes_come_back_at_once(grader: Grader) -> None:
    """Half a letter, bytes that are no text, a few bytes without a line end.

    The server does not ask what bytes mean. It sends back whatever has come.
    """
    alice = grader.connect(grader.server(), "alice")
    for piece in (b"\xc3", b"\xa9\n", b"\xff\x00\xfe", b"\r", b"no line end"):
        alice.send_bytes(piece)
        expect_back(alice, piece, alice.read_bytes(len(piece)))


@pytest.mark.points(2)
@pytest.mark.hint(2)
def test_long_data_comes_back_whole(grader: Grader) -> None:
    """Alice sends 4 kB and 1 MB, bob 24 kB; each byte comes back, once and in order.

    Bob's server runs on a harsh system, where a send() may take only a part of what
    it is given. That may happen on any system.
    """
    alice = grader.connect(grader.server(), "alice")
    for size in (PIECE, MANY):
        exchange(alice, numbers(size))
    bob = grader.connect(grader.server(harsh=True), "bob")
    exchange(bob, numbers(SOME))


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_connection_ends_after_the_last_byte(grader: Grader) -> None:
    """Alice ends her stream. She gets all that she sent, then the end of the server's.

    Nobody else connects meanwhile: the server must not wait for the next client first.
    """
    alice = grader.connect(grader.server(), "alice")
    data = "\n".join(grader.words(3)).encode()
    alice.send_bytes(data)
    alice.half_close()
    expect_back(alice, data, alice.read_all())


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_next_client_is_served(grader: Grader) -> None:
    """When a client has left, the next one is served, also one that came earlier."""
    server = grader.server()
    for name in ("alice", "bob", "carol"):
        visit(grader, server, name)
    dave, erin = grader.connect(server, "dave"), grader.connect(server, "erin")
    word, other = grader.words(2)
    erin.send(other)  # she may have to wait for her answer until dave has left
    dave.send(word)
    dave.expect(word)
    dave.close()
    erin.expect(other)


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_reset_does_not_stop_the_server(grader: Grader) -> None:
    """Clients crash: one while nothing happens, two while data comes back to them.

    The system is a harsh one, so that the server is still busy with their data.
    """
    server = grader.server(harsh=True)
    visit(grader, server, "alice", ends="reset")
    for name in ("bob", "carol"):
        guest = grader.connect(server, name)
        data = numbers(SOME)
        guest.send_bytes(data)
        expect_back(guest, data[:8], guest.read_bytes(8))
        if name == "carol":
            guest.half_close()
        guest.reset()
        visit(grader, server, f"the one after {name}")


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_rests_while_nothing_happens(grader: Grader) -> None:
    """The server uses no processor time while alice is silent, or when she has left."""
    server = grader.server()
    alice = grader.connect(server, "alice")
    word = grader.word()
    alice.send(word)
    alice.expect(word)
    grader.expect_rest(server)
    alice.close()
    grader.expect_rest(server)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_can_be_started_again_at_once(grader: Grader) -> None:
    """The server is stopped while alice is there, and started again on the same port.

    The system keeps the remains of their connection for a minute. The new server
    must get the port all the same.
    """
    for _ in range(TRIES):
        server = grader.server(ready=False)
        _, port = server.wait_ready()
        alice = grader.connect(server, "alice")
        server.kill_tree()  # so the server's side is the first to end the connection
        alice.expect_end()
        alice.close()
        again = grader.server(port=port, ready=False)
        try:
            again.wait_ready()
        except Mismatch:
            if is_free(port):  # then it is the server's own fault
                raise
            forget(grader, again)
        else:
            visit(grader, again, "bob")
            return
    pytest.fail("other programs have taken the port, three times: please try again")


# --------------------------------------------------------------------------- words


def visit(grader: Grader, server: Program, name: str, ends: str = "close") -> None:
    """Let somebody come, say a word, get it back, and leave."""
    guest = grader.connect(server, name)
    word = grader.word()
    guest.send(word)
    guest.expect(word)
    if ends == "reset":
        guest.reset()
    else:
        guest.close()


def exchange(person: Person, data: bytes) -> None:
    """Send `data`, and meanwhile expect it back.

    Both at once: a server that can send no more stops reading, and rightly so.
    """
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(person.send_bytes, data)
        try:
            got = person.read_bytes(len(data))
        except Mismatch:
            with contextlib.suppress(Mismatch):
                person.half_close()  # so that the sending ends too
            raise
        sending.result()
    expect_back(person, data, got)


def expect_back(person: Person, data: bytes, got: bytes) -> None:
    """Expect that `got` is `data`; show where it begins to differ."""
    if got == data:
        return
    pairs = enumerate(zip(data, got, strict=False))
    place = next((n for n, (one, two) in pairs if one != two), min(len(data), len(got)))
    there, here = data[place : place + 20], got[place : place + 20]
    where = f"after {place} bytes" if place else "at first"
    raise person.mismatch(f"{where} to get back {shown(there)}", shown(here))


def shown(data: bytes) -> str:
    """Return bytes as they are written in a program, or what it is if there is none."""
    return f'"{repr(data)[2:-1]}"' if data else "the end of the connection"


def numbers(size: int) -> bytes:
    """Return `size` bytes in which no two places look alike."""
    return b"".join(b"%07d " % n for n in range(size // 8))


def is_free(port: int) -> bool:
    """Whether a server that does it right could listen on this port now."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def forget(grader: Grader, program: Program) -> None:
    """Judge a program no more: what it failed of was not its fault."""
    # To be a method of Grader.
    grader._programs.remove(program)
