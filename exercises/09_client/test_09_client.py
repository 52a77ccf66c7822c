"""Step 09: a client in which lines are typed and lines arrive, at the same time.

The test plays the server, and types.
"""

import pytest

from grading.grader import Grader
from grading.people import Person
from grading.program import Program
from grading.rendering import quoted

LETTERS = "äöü€ß€äöü"  # two bytes each, or three
NO_LETTERS = b"caf\xe9"  # no UTF-8
NO_END = "\u2028"  # for Unicode a line may end there; in a chat it does not
TYPED = 20  # lines
LONG = 5000  # letters in a line that arrives
LONGER = "ü" * 30_000  # a line that is typed
MUCH = [LONGER] * 12  # lines: more than the system keeps for a slow server
SMALL = 4096  # bytes of the receive buffer of such a server
UNKNOWN = "::1%nowhere"  # no network card is called so; no name server is asked


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_prints_lines_when_they_arrive(grader: Grader) -> None:
    """Each line that arrives is printed at once, although nobody types anything.

    Several lines may arrive together. A line may be a long one, may be empty, may be
    `exit`, or have something in it that is no letter: the client prints on.
    """
    chat, server = start(grader)
    for word in grader.words(3):
        server.send(word, end="\r\n")
        chat.expect_next(word)
    together = ["", "exit", "x" * LONG, *grader.words(3)]
    server.send("\n".join(together))
    for line in together:
        chat.expect_next(line)
    server.send_bytes(NO_LETTERS + b"\r\n")
    last = grader.word()
    server.send(last)
    chat.expect_output(last)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_lines_and_letters_stay_whole(grader: Grader) -> None:
    """A line is printed as one line, and every letter of it as it is.

    The system is a harsh one: recv() returns few bytes at a time, so a line comes in
    pieces, and even a letter that is two bytes long may come in two pieces.
    """
    chat, server = start(grader, harsh=True)
    for word in grader.words(20):
        line = f"  {LETTERS}{NO_END}{word} "
        server.send(line)
        chat.expect_next(line)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_sends_lines_when_they_are_typed(grader: Grader) -> None:
    """Each line that is typed is sent at once, although the server says nothing.

    If two lines come at once, as when somebody pastes them, both are sent. While a
    line is being typed, what arrives is printed.
    """
    chat, server = start(grader)
    one, two, half, arriving, *pasted = grader.words(6)
    two = f"  {two} {LETTERS}{NO_END} "  # a line is what was typed, blanks and all
    pasted.insert(1, "")  # an empty line is one, too
    for word in (one, two):
        chat.type(word)
        server.expect(word)
    chat.type("\n".join(pasted))
    for word in pasted:
        server.expect(word)
    chat.type(half, end="")
    grader.settle(chat)  # then it has seen that
    server.send(arriving)
    chat.expect_output(arriving)
    chat.type(LONGER)
    server.expect(half + LONGER)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_exit_leaves(grader: Grader) -> None:
    """A line that is `exit`, with or without blanks, leaves the chat. It is not sent.

    What was typed before it is sent, what is typed behind it is not. A line that only
    has the word in it is a line like any other. (The system is a harsh one: it sends
    few bytes at once.)
    """
    chat, server = start(grader, harsh=True)
    before, behind, *pasted = grader.words(8)
    for line in (f"{before} exit", f"exit {before}", "Exit", "quit", "/exit"):
        chat.type(line)
        server.expect(line)
    chat.type("\n".join([*pasted, "  exit ", behind]))
    for line in pasted:
        server.expect(line)
    server.expect_end()
    server.close()
    ends(chat, 0, "we have left")
    chat.expect_so_far("")


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_end_of_input_leaves(grader: Grader) -> None:
    """The end of input leaves the chat, once everything that was typed is sent.

    The first system is a harsh one: it takes only a few bytes of a line at once. Then
    very much is pasted, and the server does not read it for a while. What arrives
    meanwhile is printed all the same.
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
    ends(chat, 0, "we have left")
    chat, server = start(grader, receive_buffer=SMALL)
    chat.type("\n".join(MUCH))
    chat.close_stdin()
    for word in grader.words(2):
        # Then it cannot send more. (A word from us may make room for a bit.)
        grader.settle(chat)
        server.send(word)
        chat.expect_output(word)
    for line in MUCH:
        server.expect(line)
    server.expect_end()
    server.close()
    ends(chat, 0, "we have left")


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_hears_the_last_words(grader: Grader) -> None:
    """Who has left still hears what the server says until it ends the connection.

    Even if the very last line has no line end.
    """
    chat, server = start(grader)
    *lines, last = grader.words(4)
    chat.type("exit")
    server.expect_end()
    grader.expect_rest(chat)  # it waits for the last words, and does not end before
    for line in lines:
        server.send(line)
        chat.expect_output(line)
    server.send(last, end="")
    server.close()
    chat.expect_output(last)
    chat.wait_exit()


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_silence_is_no_end(grader: Grader) -> None:
    """However long nobody says anything, the client waits, before and after `exit`.

    The system is a hasty one: half a minute of silence is soon over there.
    """
    chat, server = start(grader, hasty=True)
    chat_2, leaving = start(grader, hasty=True)
    chat_2.type("exit")
    leaving.expect_end()
    grader.silence()
    heard, said = grader.words(2)
    server.send(heard)
    chat.expect_output(heard)
    chat.type(said)
    server.expect(said)
    leaving.send(heard)
    chat_2.expect_output(heard)


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_ends_when_the_server_goes(grader: Grader) -> None:
    """When the server ends the connection the client says so on stderr, and ends.

    Nobody has to press a key for that.
    """
    chat, server = start(grader)
    word = grader.word()
    server.send(word)
    chat.expect_output(word)
    server.close()
    chat.wait_exit()
    grader.expect_remark(chat, "the connection is lost")


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_says_that_the_connection_is_lost(grader: Grader) -> None:
    """When the server crashes the client says so in plain words, on stderr.

    On stdout there is only what the server has said, to its last word.
    """
    chat, server = start(grader)
    word, last = grader.words(2)
    server.send(word)
    chat.expect_next(word)
    server.send(last, end="")
    grader.settle(chat)  # a reset may destroy what is not read yet
    server.reset()
    grader.expect_remark(chat, "the connection is lost")
    ends(chat, 1, "the server has gone")
    if chat.stdout.rstrip("\n") != f"{word}\n{last}":
        expected = "to have printed on stdout what the server has said, and no more"
        raise chat.mismatch(expected, quoted(chat.stdout.encode()))
    chat, server = start(grader, receive_buffer=SMALL, harsh=True)
    chat.type("\n".join(MUCH))
    server.read_bytes(5)
    server.send("\n".join([LETTERS * 50] * 10))  # it still reads when it cannot send
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
    chat.type("exit", end="")
    chat.close_stdin()
    server.expect_end()
    server.close()
    ends(chat, 0, "we have left")
    chat, server = start(grader, harsh=True)
    chat.type("exit")
    server.read_all()
    server.reset()
    ends(chat, 0, "we have left")
    here, port = grader.port_without_server()
    ends(grader.client((here, port)), 3, "there is no server")
    ends(grader.client((UNKNOWN, port)), 3, "there is no such host")


# ------------------------------------------------------------------ words of this step


def start(
    grader: Grader,
    *,
    receive_buffer: int = 0,
    harsh: bool = False,
    hasty: bool = False,
) -> tuple[Program, Person]:
    """Start the client, and accept its connection as the server."""
    listener = grader.listen(receive_buffer=receive_buffer)
    chat = grader.client(listener, harsh=harsh, hasty=hasty)
    return chat, listener.accept(chat)


def ends(chat: Program, code: int, why: str) -> None:
    """Expect that it ends with this exit code."""
    if chat.wait_exit() != code:
        expected = f"to end with exit code {code}, as {why}"
        raise chat.mismatch(expected, chat.state().ending)
