"""Step 02: whatever a client sends comes back to it, one client after the other."""

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from grading.deadlines import patient
from grading.grader import Grader
from grading.mismatch import Mismatch
from grading.people import Person
from grading.program import Program

# Another address of this same machine; not every system has one.
HOST = "127.0.0.2" if sys.platform in ("linux", "win32") else "127.0.0.1"
PIECE = 4096  # bytes; just as many as most programs ask recv() for
MANY = 1_048_576  # bytes; much more than fits into one recv()
LONG = patient(30.0)  # seconds; even a server that sends byte by byte needs fewer
FEW = 6_000  # bytes, for a system that moves few at a time
SOME = 64_000  # bytes; such a system is busy with them for a while


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_says_where_it_listens(grader: Grader) -> None:
    """The server says where it listens before any client comes, and that is true.

    It is started with --port 0, so the system has chosen a port for it. The host is
    the one that --host says. (0.0.0.0 means all addresses of a machine.)
    """
    server = grader.server("--host", HOST, ready=False)
    host, port = server.wait_ready()
    if port == 0:
        expected = "to say which port the system has chosen for it"
        raise server.mismatch(expected, f'"listening on {host}:0", the port asked for')
    if host != HOST:
        expected = f"to say that it listens on {HOST}, the host that --host says"
        raise server.mismatch(expected, f'"{server.stdout.strip()}"')
    really = listeners(server)  # none if it has ended: TODO 2 may not be done yet
    if really and f"{HOST}:{port}" not in really:
        expected = f"to listen on {HOST}:{port}, as it said"
        raise server.mismatch(expected, f"a listener on {' and '.join(really)}")


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
    """Half a letter, bytes that are no text, "quit", a few bytes without a line end.

    The server does not ask what bytes mean. It sends back whatever has come.
    """
    alice = grader.connect(grader.server(), "alice")
    pieces = [b"caf\xc3", b"\xa9\n", b"\xff\x00\xfe", b"\r\n", b"\n", b"quit\n"]
    for piece in (*pieces, b"exit\n", b"no line end"):
        alice.send_bytes(piece)
        expect_back(alice, piece, alice.read_bytes(len(piece)))


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_a_megabyte_comes_back_whole(grader: Grader) -> None:
    """Alice sends 4096 bytes, then a million more. Each byte comes back, in order."""
    alice = grader.connect(grader.server(), "alice")
    for size in (PIECE, MANY):
        exchange(alice, numbers(size))


@pytest.mark.points(2)
@pytest.mark.hint(2)
def test_all_comes_back_before_the_end(grader: Grader) -> None:
    """Alice sends 6 kB and ends her stream. She gets every byte, and then the end.

    Nobody else connects: the server must not wait for that. The system is a harsh
    one, where send() may take only a part of what it is given.
    """
    alice = grader.connect(grader.server(harsh=True), "alice")
    data = numbers(FEW)
    alice.send_bytes(data)
    alice.half_close()
    expect_back(alice, data, alice.read_all(LONG))
    if alice.was_reset():
        got = "a reset (RST): what alice has not read by then is lost"
        raise alice.mismatch("an orderly end of the connection (FIN)", got)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_next_client_is_served(grader: Grader) -> None:
    """When a client has left, the next one is served, also one that came earlier.

    Carl leaves again without having said anything.
    """
    server = grader.server()
    for name in ("alice", "bob", "carol"):
        visit(grader, server, name)
    grader.connect(server, "carl").close()
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
    visit(grader, server, "the one after alice")
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
    """The server uses no processor time while alice is silent, or when she has left.

    And it does not lose its patience: alice is silent for half a minute, and a second
    server has nobody to serve for as long. Then both are needed. (The system is a
    hasty one: time passes quickly there.)
    """
    server, other = grader.server(hasty=True), grader.server(hasty=True)
    alice = grader.connect(server, "alice")
    talk(grader, alice)
    grader.silence()
    grader.expect_rest(server)
    grader.expect_rest(other)
    visit(grader, other, "bob")
    talk(grader, alice, ", after half a minute of silence")
    alice.close()
    grader.expect_rest(server)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_can_be_started_again_at_once(grader: Grader) -> None:
    """Ctrl-C stops the server while alice is there. It is started again on its port.

    The system keeps the remains of their connection for a minute. The new server
    must get the port all the same.
    """
    try:
        start_twice(grader)
    except Mismatch as failure:
        # Another program may have taken the port in between: once, but not again.
        try:
            start_twice(grader)
        except Mismatch:
            raise failure from None
        grader.forgive()  # if they failed, it was not their fault


# --------------------------------------------------------------------------- words


def visit(grader: Grader, server: Program, name: str, ends: str = "close") -> None:
    """Let somebody come, say a word, get it back, and leave."""
    guest = grader.connect(server, name)
    talk(grader, guest)
    if ends == "reset":
        guest.reset()
    else:
        guest.close()


def talk(grader: Grader, person: Person, why: str = "") -> None:
    """Say a word, and get it back."""
    word = grader.word()
    person.send(word)
    person.expect(word, wording=f'the line "{word}" next{why}')


def listeners(server: Program) -> list[str]:
    """Return where it, or what it has started, listens, as HOST:PORT."""
    try:
        family = [psutil.Process(server.pid), *server.descendants()]
        sockets = [sock for one in family for sock in one.net_connections("tcp")]
    except psutil.Error:  # it has just ended
        return []
    listening = [sock.laddr for sock in sockets if sock.status == psutil.CONN_LISTEN]
    return [f"{address.ip}:{address.port}" for address in listening]


def start_twice(grader: Grader) -> None:
    """Stop a server while somebody is there; start another one on its port."""
    server = grader.server(ready=False)
    _, port = server.wait_ready()
    alice = grader.connect(server, "alice")
    talk(grader, alice)
    server.interrupt()
    server.wait_exit()
    server.kill_tree()  # where clients have processes, those may go on
    grader.forgive()  # asyncio has tracebacks for its last words
    alice.expect_end()  # so the server's side is the first to end the connection
    alice.close()
    visit(grader, grader.server(port=port), "bob")


def exchange(person: Person, data: bytes) -> None:
    """Send `data`, and meanwhile expect it back.

    Both at once: a server that can send no more stops reading, and rightly so.
    """
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(person.send_bytes, data, LONG)
        try:
            for at in range(0, len(data), PIECE):
                piece = data[at : at + PIECE]
                expect_back(person, piece, person.read_bytes(len(piece)), at)
        except Mismatch:
            with contextlib.suppress(Mismatch):
                person.half_close()  # so that the sending ends too
            raise
        sending.result()


def expect_back(person: Person, data: bytes, got: bytes, before: int = 0) -> None:
    """Expect that `got` is `data`; show where it begins to differ.

    `before` counts the bytes that have come back before.
    """
    if got == data:
        return
    pairs = enumerate(zip(data, got, strict=False))
    place = next((n for n, (one, two) in pairs if one != two), min(len(data), len(got)))
    there, here = data[place : place + 20], got[place : place + 20]
    expected = f"to get back {shown(there)} after {before + place} bytes"
    raise person.mismatch(expected, shown(here))


def shown(data: bytes) -> str:
    """Return bytes as they are written in a program; if there are none, say so."""
    return f'"{repr(data)[2:-1]}"' if data else "the end of the connection"


def numbers(size: int) -> bytes:
    """Return `size` bytes in which no two places look alike."""
    return b"".join(b"%07d " % n for n in range(size // 8))
