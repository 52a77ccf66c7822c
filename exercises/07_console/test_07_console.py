"""Step 07: what the operator types, everyone hears."""

import sys

import pytest

from grading.grader import Grader, Member
from grading.rendering import quoted

TALK = 30  # lines
BETWEEN = 8  # people: the way through the list is long enough to be overtaken on

# A pipe on Windows has an encoding of its own, which is not that of a terminal.
ABROAD = "" if sys.platform == "win32" else "Grüße,  ☕ is ready: "
LONG = ("x" if sys.platform == "win32" else "☕") * 4000  # a letter of three bytes


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_everyone_hears_the_operator(grader: Grader) -> None:
    """What is typed on the server is heard, although no client says a word."""
    server = grader.server()
    (alice,) = grader.join(server, "alice")
    first, second = grader.words(2)
    server.type(first)
    alice.hears(first)
    (bob,) = grader.join(server, "bob")
    server.type(second)
    alice.hears(second)
    bob.hears(second)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_line_is_heard_as_it_was_typed(grader: Grader) -> None:
    """It is one line with all its letters, and after it comes no empty line.

    However long it is, and also if another program types it, half a line at a time.
    """
    server = grader.server()
    (alice,) = grader.join(server, "alice")
    for text in map(str.__add__, (ABROAD, ABROAD, LONG), grader.words(3)):
        server.type(text)
        expect_prefix(alice, alice.hears(text), text)
    first, second = grader.words(2)
    server.type(first, end="")
    grader.expect_rest(server)  # so it has seen that this is no line yet
    server.type(second)
    alice.hears(first + second)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_several_lines_at_once_are_all_heard(grader: Grader) -> None:
    """The operator pastes three lines: all three are heard, each as a line."""
    server = grader.server()
    (alice,) = grader.join(server, "alice")
    words = grader.words(3)
    server.type("\n".join(words))
    for word in words:
        expect_prefix(alice, alice.hears_at_last(word), word)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_empty_line_ends_nothing(grader: Grader) -> None:
    """The operator presses Enter, again and again; what is typed next is heard."""
    server = grader.server()
    (alice,) = grader.join(server, "alice")
    word = grader.word()
    for blank in ("", "", "  "):
        server.type(blank)
    server.type(word)
    alice.hears_at_last(word)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_talking_to_nobody_does_no_harm(grader: Grader) -> None:
    """The operator types when nobody is here. Who comes later hears what follows."""
    server = grader.server()
    early, first, unheard, last = grader.words(4)
    server.type(early)
    grader.expect_rest(server)  # so it has dealt with that
    (alice,) = grader.join(server, "alice")
    server.type(first)
    alice.hears(first)
    alice.send("/quit")
    alice.read_all()
    server.type(unheard)
    grader.expect_rest(server)
    (bob,) = grader.join(server, "bob")
    server.type(last)
    bob.hears_at_last(last)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_clients_come_while_nobody_types(grader: Grader) -> None:
    """Clients come, talk, and crash, whether the operator types or not.

    The system is a harsh one: bob's own thread is slow to notice that he is gone.
    """
    server = grader.server(harsh=True)
    alice, bob, carol = grader.join(server, "alice", "bob", "carol")
    said, typed = grader.words(TALK), grader.words(TALK)
    bob.send("\n".join(said))
    alice.hears(said[0])
    carol.hears(said[0])  # so bob's thread is busy with the rest of his lines
    bob.reset()
    server.type("\n".join(typed))
    for word in typed:
        carol.hears_at_last(word)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_ctrl_c_ends_the_server(grader: Grader) -> None:
    """Ctrl-C still ends the program, although more could be typed.

    So it does when nothing more can be typed.
    """
    server, other = grader.server(), grader.server()
    other.close_stdin()
    (alice,) = grader.join(server, "alice")
    typed = grader.word()
    server.type(typed)
    alice.hears_at_last(typed)
    for program in (server, other):
        grader.expect_rest(program)  # so the console waits for more, or has ended
        program.interrupt()
        program.wait_exit()
    grader.forgive()  # to end in good order is step 08


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_end_of_input_ends_nothing(grader: Grader) -> None:
    """After the end of what is typed, or with no input at all, the chat goes on."""
    server = grader.server()
    alice, bob = grader.join(server, "alice", "bob")
    typed, said, word = grader.words(3)
    server.type(typed, end="")  # a last line without an end, as a file may have
    server.close_stdin()
    alice.hears(typed)
    bob.hears(typed)
    bob.send(said)
    alice.hears(said)
    grader.expect_rest(server)  # and meanwhile it has noticed the end
    (carol,) = grader.join(server, "carol")
    carol.send(word)
    alice.hears(word)
    background = grader.server()
    background.close_stdin()
    grader.expect_rest(background)
    dave, erin = grader.join(background, "dave", "erin")
    dave.send(word)
    erin.hears(word)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_server_rests_after_the_end_of_input(grader: Grader) -> None:
    """When nothing can be typed any more, the server does not go round in circles."""
    server = grader.server()
    (alice,) = grader.join(server, "alice")
    typed = grader.word()
    server.type(typed)
    alice.hears_at_last(typed)
    server.close_stdin()
    (bob,) = grader.join(server, "bob")
    bob.send(typed)
    alice.hears_at_last(typed)
    grader.expect_rest(server)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_operator_is_part_of_the_one_order(grader: Grader) -> None:
    """Alice and the operator talk at once: bob and carol hear it in the same order.

    The system is a harsh one: it switches threads in the middle of your functions.
    """
    server = grader.server(harsh=True)
    others = (f"guest {number}" for number in range(BETWEEN))
    alice, bob, *_, carol = grader.join(server, "alice", "bob", *others, "carol")
    alice.send("\n".join(grader.words(TALK)))
    first = bob.hears_something()  # so the server is in the middle of her lines
    server.type("\n".join(grader.words(TALK)))
    carol.hears_line(first, "as bob did")
    for _ in range(2 * TALK - 1):
        carol.hears_line(bob.hears_something(), "as bob did")


# -------------------------------------------------------------------- expectations


def expect_prefix(person: Member, line: str, text: str) -> None:
    """Expect something before the text, that tells who says it."""
    if line == text:
        shown = quoted(text.encode())
        expected = f"something before {shown} that tells who says it"
        raise person.mismatch(expected, f"{shown} alone")
