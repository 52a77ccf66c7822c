"""Step 01: a client that sends one line and prints all that comes back.

The test plays the server.
"""

import pytest

from grading.grader import Grader
from grading.people import Person
from grading.program import Program

LONG = 3000  # characters; more than one send() takes on a harsh system
NOWHERE = "ff01::1"  # RFC 4291: never leaves this machine; TCP refuses it at once
LETTERS = "aäöüß€"  # one byte, two bytes, three bytes


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_connects(grader: Grader) -> None:
    """The client connects to the host and the port that it is told."""
    start(grader)
    grader.forgive()


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_sends_the_line(grader: Grader) -> None:
    """The server gets the line that was typed, with its line end."""
    line = f"  {grader.word()} {LETTERS} "
    _, server = start(grader, line)
    server.expect(line)
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
    """An answer may come in several pieces. Each is printed before the next comes."""
    chat, server = start(grader, ends=False)
    said = ""
    for word in grader.words(3):
        for piece in (word, "\n"):
            server.send(piece, end="")
            said += piece
            chat.expect_so_far(said)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_prints_every_byte_until_the_end(grader: Grader) -> None:
    """A long answer is printed whole, and nothing is put in between.

    The system is a harsh one: recv() returns few bytes at a time, so even a letter
    that is two bytes long may come in two pieces.
    """
    chat, server = start(grader, harsh=True)
    answers = [f"{word} {LETTERS * 10}" for word in grader.words(30)]
    server.send("\n".join(answers))
    server.half_close()
    for answer in answers:
        chat.expect_next(answer)
    grader.forgive()


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_ends_when_the_server_ends(grader: Grader) -> None:
    """Once the server has ended the connection, the client ends, too."""
    chat, server = start(grader)
    answer = grader.word()
    server.send(f"{answer}\r\n\n{answer}", end="")
    server.half_close()
    chat.wait_exit()
    chat.expect_so_far(f"{answer}\r\n\n{answer}")


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_long_line_is_sent_whole(grader: Grader) -> None:
    """A line that is 3000 letters long arrives whole.

    The system is a harsh one: it takes only a part of a long line at once.
    """
    line = grader.word() + LETTERS * (LONG // len(LETTERS))
    _, server = start(grader, line, harsh=True)
    server.expect(line)
    grader.forgive()


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_says_that_it_cannot_connect(grader: Grader) -> None:
    """If there is no server, the client says so in plain words on stderr."""
    chat = grader.client(grader.port_without_server())
    say(chat, grader.word())
    chat.wait_exit()
    grader.expect_remark(chat, "it cannot connect")
    # Somebody listens on this port of 127.0.0.1, but that host is not the one said.
    chat = grader.client((NOWHERE, grader.listen().address[1]))
    say(chat, grader.word())
    chat.wait_exit()
    grader.expect_remark(chat, f"it cannot connect to {NOWHERE}")


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_exit_code_tells_how_it_went(grader: Grader) -> None:
    """The exit code is 0 if all went well, and not 0 if there is no server."""
    chat, server = start(grader)
    server.send(grader.word())
    server.half_close()
    if chat.wait_exit() != 0:
        raise chat.mismatch("to end with exit code 0, as all went well", ending(chat))
    chat = grader.client(grader.port_without_server())
    say(chat, grader.word())
    if chat.wait_exit() == 0:
        expected = "to end with an exit code other than 0, as there is no server"
        raise chat.mismatch(expected, ending(chat))


# ------------------------------------------------------------------ words of this step


def start(
    grader: Grader, line: str = "hello", *, harsh: bool = False, ends: bool = True
) -> tuple[Program, Person]:
    """Start the client, type a line, and accept its connection as the server.

    The input ends after the line, unless `ends` is false: a person at a terminal goes
    on sitting there.
    """
    listener = grader.listen()
    chat = grader.client(listener, harsh=harsh)
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
