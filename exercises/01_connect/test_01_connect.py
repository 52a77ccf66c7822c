"""Step 01: a client that sends one line and prints all that comes back.

The test plays the server.
"""

import pytest

from grading.grader import Grader
from grading.people import Person
from grading.program import Program
from grading.rendering import quoted

LONG = 3000  # characters; more than one send() takes on a harsh system
LONGER = 100_000  # characters; more than a pipe or a buffer holds
NOWHERE = "ff01::1"  # RFC 4291: never leaves this machine; TCP refuses it at once
UNKNOWN = "::1%nowhere"  # no network card is called so; no name server is asked
LETTERS = "aäöüß€"  # one byte, two bytes, three bytes
NO_LETTERS = b"\xff\xc3\x00"  # no UTF-8


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_connects(grader: Grader) -> None:
    """The client connects to the host and the port that it is told."""
    start(grader)
    grader.forgive()


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_sends_the_line(grader: Grader) -> None:
    """The server gets the line that was typed, with its line end, and no more.

    A second line is not sent. An empty line is one, too.
    """
    line = f"  {grader.word()} {LETTERS} "
    _, server = start(grader, f"{line}\n{grader.word()}")
    server.expect(line)
    _, other = start(grader, "")
    other.expect("")
    for person in (server, other):
        person.half_close()
        if rest := person.read_all():
            raise person.mismatch("nothing behind that one line", quoted(rest))
    grader.forgive()


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_prints_the_answer(grader: Grader) -> None:
    """What the server answers is printed, as it is."""
    chat, server = start(grader)
    answer = grader.word()
    server.send(answer)
    server.half_close()
    chat.expect_next(answer)
    grader.forgive()


@pytest.mark.points(2)
@pytest.mark.hint(3)
def test_prints_each_piece_when_it_comes(grader: Grader) -> None:
    """An answer may come in several pieces. Each is printed before the next comes.

    The server may take its time: before the first piece, and between two of them. The
    system is a hasty one: half a minute of silence is soon over there.
    """
    chat, server = start(grader, ends=False, hasty=True)
    chat_2, thinker = start(grader, ends=False, hasty=True)
    said = ""
    for word in grader.words(3):
        for piece in (word, "\n"):
            server.send(piece, end="")
            said += piece
            chat.expect_so_far(said)
    grader.silence()
    late = grader.word()
    server.send(late, end="")
    chat.expect_so_far(said + late)
    thinker.send(late, end="")
    chat_2.expect_so_far(late)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_prints_every_byte_until_the_end(grader: Grader) -> None:
    """A long answer is printed whole, and nothing is put in between.

    The system is a harsh one: recv() returns few bytes at a time, so even a letter
    that is two bytes long may come in two pieces. And some bytes are no letters at all.
    """
    chat, server = start(grader, harsh=True)
    answers = [f"{word} {LETTERS * 10}".encode() for word in grader.words(30)]
    answers[-1] += NO_LETTERS
    server.send_bytes(b"\n".join(answers))
    server.half_close()
    for answer in answers:
        chat.expect_next(answer.decode(errors="backslashreplace"))
    grader.forgive()


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_ends_when_the_server_ends(grader: Grader) -> None:
    """Once the server has ended the connection, the client ends, too.

    It does not wait for more to be typed.
    """
    chat, server = start(grader, ends=False)
    answer = grader.word()
    server.send(f"{answer}\r\n\n{answer}", end="")
    server.half_close()
    chat.wait_exit()
    chat.expect_so_far(f"{answer}\r\n\n{answer}")


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_long_line_is_sent_whole(grader: Grader) -> None:
    """A line that is 3000 letters long arrives whole, and so does a longer one.

    The first system is a harsh one: it takes only a part of a long line at once.
    """
    for length, harsh in ((LONG, True), (LONGER, False)):
        line = grader.word() + LETTERS * (length // len(LETTERS))
        _, server = start(grader, line, harsh=harsh)
        server.expect(line)
    grader.forgive()


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_says_that_it_cannot_connect(grader: Grader) -> None:
    """If it cannot connect, the client says so on stderr, in one line of plain words.

    There may be no server on that port, no way to that host, or no such host at all.
    """
    # Somebody listens on this port of 127.0.0.1, but that host is not the one said.
    port = grader.listen().address[1]
    for address in (grader.port_without_server(), (NOWHERE, port), (UNKNOWN, port)):
        chat = grader.client(address)
        say(chat, grader.word())
        chat.wait_exit()
        about = f"it cannot connect to {address[0]}"
        grader.expect_remark(chat, about)
        if "\n" in chat.stderr.strip():
            expected = f"to say in one line on stderr that {about}"
            raise chat.mismatch(expected, quoted(chat.stderr.encode()))
        chat.expect_so_far("")


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_exit_code_tells_how_it_went(grader: Grader) -> None:
    """The exit code is 0 if all went well, and not 0 if it could not connect.

    All has gone well, too, if the server ends the connection without an answer.
    """
    for answer in (grader.word(), ""):
        chat, server = start(grader)
        if answer:
            server.send(answer)
        server.half_close()
        if chat.wait_exit() != 0:
            expected = "to end with exit code 0, as all went well"
            raise chat.mismatch(expected, ending(chat))
    here, port = grader.port_without_server()
    for host in (here, UNKNOWN):
        chat = grader.client((host, port))
        say(chat, grader.word())
        if chat.wait_exit() == 0:
            expected = "to end with an exit code other than 0, as it cannot connect"
            raise chat.mismatch(expected, ending(chat))


# ------------------------------------------------------------------ words of this step


def start(
    grader: Grader,
    line: str = "hello",
    *,
    harsh: bool = False,
    hasty: bool = False,
    ends: bool = True,
) -> tuple[Program, Person]:
    """Start the client, type a line, and accept its connection as the server.

    The input ends after the line, unless `ends` is false: a person at a terminal goes
    on sitting there.
    """
    listener = grader.listen()
    chat = grader.client(listener, harsh=harsh, hasty=hasty)
    chat.type(line)
    if ends:
        chat.close_stdin()
    return chat, listener.accept(chat)


def say(chat: Program, line: str) -> None:
    """Type a line and end the input, for clients that wait for either."""
    chat.type(line)
    chat.close_stdin()


def ending(chat: Program) -> str:
    """Return how it ended: with which exit code, or killed by which signal."""
    return chat.state().ending
