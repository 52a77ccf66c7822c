"""Step 09: a client in which lines are typed and lines arrive, at the same time.

The test plays the server, and types.
"""

import pytest

from grading.grader import Grader
from grading.people import Person
from grading.program import Program
from grading.rendering import quoted

LETTERS = "äöü€ß€äöü"  # two bytes each, or three
TYPED = 20  # lines
MUCH = 16_000  # lines of 1000 letters: more than is on its way at any time


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_prints_lines_when_they_arrive(grader: Grader) -> None:
    """Each line that arrives is printed at once, although nobody types anything."""
    chat, server = start(grader)
    for word in grader.words(3):
        server.send(word, end="\r\n")
        chat.expect_output(word)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_lines_and_letters_stay_whole(grader: Grader) -> None:
    """A line is printed as one line, and every letter of it as it is.

    The system is a harsh one: recv() returns few bytes at a time, so a line comes in
    pieces, and even a letter that is two bytes long may come in two pieces.
    """
    chat, server = start(grader, harsh=True)
    for word in grader.words(20):
        line = f"{LETTERS} {word}"
        server.send(line)
        chat.expect_next(line)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_sends_lines_when_they_are_typed(grader: Grader) -> None:
    """Each line that is typed is sent at once, although the server says nothing.

    If two lines come at once, as when somebody pastes them, both are sent.
    """
    chat, server = start(grader)
    one, two, *pasted = grader.words(4)
    two = f"  {two} {LETTERS} "  # a line is what was typed, blanks and all
    pasted.insert(1, "")  # an empty line is one, too
    for word in (one, two):
        chat.type(word)
        server.expect(word)
    chat.type("\n".join(pasted))
    for word in pasted:
        server.expect(word)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_exit_leaves(grader: Grader) -> None:
    """A line that is `exit` leaves the chat. It is not sent.

    A line that only has the word in it is a line like any other.
    """
    chat, server = start(grader)
    word = grader.word()
    for line in (f"{word} exit", f"exit {word}", "Exit"):
        chat.type(line)
        server.expect(line)
    chat.type("exit")
    server.expect_end()
    server.close()
    chat.wait_exit()
    chat.expect_so_far("")


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_end_of_input_leaves(grader: Grader) -> None:
    """The end of input leaves the chat, once everything that was typed is sent.

    The system is a harsh one: it takes only a few bytes of a line at once.
    """
    chat, server = start(grader, harsh=True)
    typed = grader.words(TYPED)
    for word in typed:
        chat.type(word)
    last = grader.word()
    chat.type(last, end="")
    chat.close_stdin()
    for word in typed:
        server.expect(word)
    if (rest := server.read_all()).rstrip(b"\r\n") != last.encode():
        expected = f"the last line typed, {quoted(last.encode())}, and then the end"
        raise server.mismatch(expected, quoted(rest))
    server.close()
    chat.wait_exit()


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_hears_the_last_words(grader: Grader) -> None:
    """Who has left still hears what the server says until it ends the connection.

    Even if the very last line has no line end.
    """
    chat, server = start(grader)
    one, two = grader.words(2)
    chat.type("exit")
    server.expect_end()
    grader.expect_rest(chat)  # it waits for the last words, and does not end before
    server.send_bytes(f"{one}\n{two}".encode())
    server.close()
    chat.expect_output(one)
    chat.expect_output(two)
    chat.wait_exit()


@pytest.mark.points(2)
@pytest.mark.hint(4)
def test_ends_when_the_server_goes(grader: Grader) -> None:
    """When the server ends the connection the client ends, without a key pressed."""
    chat, server = start(grader)
    word = grader.word()
    server.send(word)
    chat.expect_output(word)
    server.close()
    chat.wait_exit()


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_says_that_the_connection_is_lost(grader: Grader) -> None:
    """When the server crashes the client says so in plain words, on stderr.

    On stdout there is only what the server has said.
    """
    chat, server = start(grader)
    word = grader.word()
    server.send(word)
    chat.expect_next(word)
    server.reset()
    grader.expect_remark(chat, "the connection is lost")
    chat.wait_exit()
    if chat.stdout != f"{word}\n":
        expected = "to have printed on stdout only what the server has said"
        raise chat.mismatch(expected, quoted(chat.stdout.encode()))
    chat, server = start(grader, harsh=True)
    chat.type("\n".join(["x" * 1000] * MUCH))
    server.read_bytes(5)
    server.reset()
    ends(chat, 1, "the server has gone")
    grader.expect_remark(chat, "the connection is lost")


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_exit_code_tells_how_it_ended(grader: Grader) -> None:
    """The exit code is 1 if the server has gone, 0 if we have left, 3 without one."""
    chat, server = start(grader)
    typed, *said = grader.words(6)
    chat.type(typed)
    server.expect(typed)
    for word in said:  # until then the keyboard's thread surely waits again
        server.send(word)
        chat.expect_output(word)
    server.close()
    ends(chat, 1, "the server has gone")
    chat, server = start(grader)
    chat.type("exit")
    chat.close_stdin()
    server.read_all()
    server.close()
    ends(chat, 0, "we have left")
    chat, server = start(grader, harsh=True)
    chat.type("exit")
    server.read_all()
    server.reset()
    ends(chat, 0, "we have left")
    chat = grader.client(grader.port_without_server())
    ends(chat, 3, "there is no server")


# ------------------------------------------------------------------ words of this step


def start(grader: Grader, *, harsh: bool = False) -> tuple[Program, Person]:
    """Start the client, and accept its connection as the server."""
    listener = grader.listen()
    chat = grader.client(listener, harsh=harsh)
    return chat, listener.accept(chat)


def ends(chat: Program, code: int, why: str) -> None:
    """Expect that it ends with this exit code."""
    if chat.wait_exit() != code:
        expected = f"to end with exit code {code}, as {why}"
        raise chat.mismatch(expected, chat.state().ending)
