"""Step 02: whatever a client sends comes back to it, one client after the other."""

import contextlib
import socket
import struct
import sys
from collections.abc import Callable

import psutil
import pytest

from grading.deadlines import LINE, patient
from grading.grader import LONG, Grader
from grading.mismatch import Mismatch
from grading.people import Person
from grading.program import Program

# Another address of this same machine; not every system has one.
HOST = "127.0.0.2" if sys.platform in ("linux", "win32") else "127.0.0.1"
PIECE = 4096  # bytes; just as many as most programs ask recv() for
MANY = 500_000  # bytes; more than the system keeps for a reader who is late
PART = 150_000  # bytes; then there is room for some more, but not for the rest
SMALL = 4096  # bytes of the receive buffer of such a reader
FEW = 6_000  # bytes, for a system that moves few at a time
SOME = 64_000  # bytes; such a system is busy with them for a while
CROWD = 450  # clients, one after the other; more than a small system has calls
SPARE = 50  # files and threads; some programs keep a few for the next clients
# Windows may tell accept() of a crash; other systems tell recv().
LEAVES_IN_THE_QUEUE = Person.close if sys.platform == "win32" else Person.reset
LINGER_0 = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


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

    Then every byte that there is, from 0 to 255, and one alone.

    The server does not ask what bytes mean. It sends back whatever has come.
    """
    alice = grader.connect(grader.server(), "alice")
    pieces = [b"caf\xc3", b"\xa9\n", b"\xff\x00\xfe", b"\r\n", b"\n", b"quit\n"]
    pieces += [b"exit\n", b"/quit\n", b"bye\n", b"no line end"]
    for piece in (*pieces, bytes(range(256)), b"\x04"):
        alice.send_bytes(piece)
        expect_back(alice, piece, alice.read_bytes(len(piece)))


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_all_of_much_comes_back(grader: Grader) -> None:
    """Alice sends 4096 bytes, then half a million more, and ends her stream.

    She reads late: not before the server can do no more than wait for her. And she
    makes a pause in between. Each byte comes back, in order, and after them the end.
    (The system is a hasty one: time passes quickly there.)
    """
    server = grader.server(hasty=True)
    alice = grader.connect(server, "alice", SMALL)
    few = numbers(PIECE)
    alice.send_bytes(few)
    expect_back(alice, few, alice.read_bytes(len(few)))
    many = numbers(MANY)
    with grader.flooded(server, alice, many):
        expect_back(alice, many, grader.read_with_a_pause(server, alice, PART))


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_all_comes_back_before_the_end(grader: Grader) -> None:
    """Alice sends 6 kB and ends her stream. She gets every byte, and then the end.

    So does bob, who has come right after her. Nobody connects after him: the server
    must not wait for that. The system is a harsh one, where send() may take only a
    part of what it is given.
    """
    server = grader.server(harsh=True)
    alice, bob = grader.connect(server, "alice"), grader.connect(server, "bob")
    data = numbers(2 * FEW)
    parts = {alice: data[:FEW], bob: data[FEW:]}
    for person, part in parts.items():
        person.send_bytes(part)
        person.half_close()
    for person, part in parts.items():
        expect_back(person, part, person.read_all(LONG))
        if person.was_reset():
            got = f"a reset (RST): what {person.name} has not read by then is lost"
            raise person.mismatch("an orderly end of the connection (FIN)", got)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_next_client_is_served(grader: Grader) -> None:
    """When a client has left, the next one is served, also one that came earlier.

    Carl and carla leave again without having said anything. Erin has said all that
    she has to say, and ended her stream, while dave is still being served.
    """
    server = grader.server()
    for name in ("alice", "bob", "carol"):
        visit(grader, server, name)
    carl = grader.connect(server, "carl")
    carl.half_close()
    carl.expect_end()
    grader.connect(server, "carla").close()
    dave, erin = grader.connect(server, "dave"), grader.connect(server, "erin")
    word, other = grader.words(2)
    erin.send(other)  # she may have to wait for her answer until dave has left
    erin.half_close()
    dave.send(word)
    dave.expect(word)
    dave.close()
    erin.expect(other)
    erin.expect_end()
    if (said := server.stdout.count("listening on ")) > 1:
        raise server.mismatch("to say once where it listens", f"{said} such lines")


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_hundreds_of_clients_leave_nothing_open(grader: Grader) -> None:
    """Hundreds of clients come and go. The last one is served like the first.

    Then the server has about as many open files and threads as before. (To the system
    a socket is a file, too.)
    """
    server = grader.server()
    visit(grader, server, "alice")
    files, threads = server.open_files(), server.threads()
    for number in range(1, CROWD + 1):
        if not is_served(server, crashes=number % 10 != 0):
            visit(grader, server, f"guest {number}")  # mostly tells what is wrong
            expected = f"to serve guest {number} like those before"
            raise server.mismatch(expected, "no answer", hung=True)
    visit(grader, server, "the last one")
    expect_no_more(server, server.open_files, files, "open files")
    expect_no_more(server, server.threads, threads, "threads")


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_reset_does_not_stop_the_server(grader: Grader) -> None:
    """Clients crash: one while nothing happens, two while data comes back to them.

    Two more are gone before it is their turn. The system is a harsh one, so that the
    server is still busy with their data.
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
    dave = grader.connect(server, "dave")
    talk(grader, dave)
    for name, leave in (("erin", Person.close), ("frank", LEAVES_IN_THE_QUEUE)):
        guest = grader.connect(server, name)
        guest.send_bytes(numbers(PIECE))
        leave(guest)
    talk(grader, dave)
    dave.close()
    visit(grader, server, "the one after frank")


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_rests_while_nothing_happens(grader: Grader) -> None:
    """The server uses no processor time while alice is silent, or when she has left.

    And it does not lose its patience: alice is silent for half a minute while carol
    waits for her turn, and a second server has nobody to serve for as long. Then all
    are needed. (The system is a hasty one: time passes quickly there.)
    """
    server, other = grader.server(hasty=True), grader.server(hasty=True)
    alice, carol = grader.connect(server, "alice"), grader.connect(server, "carol")
    talk(grader, alice)
    grader.silence()
    grader.expect_rest(server)
    grader.expect_rest(other)
    visit(grader, other, "bob")
    talk(grader, alice, ", after half a minute of silence")
    alice.close()
    grader.expect_rest(server)
    talk(grader, carol, ", after half a minute of silence")
    carol.reset()
    grader.expect_rest(server)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_can_be_started_again_at_once(grader: Grader) -> None:
    """Ctrl-C stops the server while alice is there. It is started again on its port.

    The system keeps the remains of their connection for a minute. The new server
    must get the port all the same. Ctrl-C stops that one as well, with nobody there.
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
    again = grader.server(port=port)
    visit(grader, again, "bob")
    grader.settle(again)  # so it has noticed that bob has left
    again.interrupt()
    again.wait_exit()


def is_served(server: Program, *, crashes: bool) -> bool:
    """Let a client come, get a line back and leave; tell whether it does.

    It is no `Person`: hundreds of them would take long, and fill a report.
    """
    assert server.address is not None
    try:
        with socket.create_connection(server.address, LINE) as sock:
            sock.sendall(b"x\n")
            came = sock.recv(2) or b"nothing"
            if len(came) == 1:  # some servers send byte by byte
                came += sock.recv(1)
            if crashes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            return came == b"x\n"
    except OSError:
        return False


def expect_no_more(
    server: Program, count: Callable[[], int], before: int, what: str
) -> None:
    """Expect the count of something to be about what it was, now or soon."""
    if not server.becomes(lambda: count() <= before + SPARE):
        expected = f"to have about as many {what} as before"
        expected += f", now that {CROWD} more clients have come and gone"
        got = f"{count()} {what} instead of {before}"
        raise server.mismatch(expected, got, hung=what == "threads")


def expect_back(person: Person, data: bytes, got: bytes) -> None:
    """Expect that `got` is `data`; show where it begins to differ."""
    if got == data:
        return
    pairs = enumerate(zip(data, got, strict=False))
    place = next((n for n, (one, two) in pairs if one != two), min(len(data), len(got)))
    there, here = data[place : place + 20], got[place : place + 20]
    expected = f"to get back {shown(there)} after {place} bytes"
    raise person.mismatch(expected, shown(here))


def shown(data: bytes) -> str:
    """Return bytes as they are written in a program; if there are none, say so."""
    return f'"{repr(data)[2:-1]}"' if data else "the end of the connection"


def numbers(size: int) -> bytes:
    """Return `size` bytes in which no two places look alike."""
    return b"".join(b"%015d " % n for n in range(size // 16))
