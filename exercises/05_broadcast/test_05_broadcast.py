"""Step 05: what one client says, everyone else hears."""

import pytest

from grading.grader import Grader

GUESTS = 12
LINES = 30


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_everyone_else_hears_it(grader: Grader) -> None:
    """What alice says, bob and carol hear, and what bob says, the other two."""
    alice, bob, carol = grader.join(grader.server(), "alice", "bob", "carol")
    first, second = grader.words(2)
    alice.send(first)
    bob.hears(first)
    carol.hears(first)
    bob.send(second, end="\r\n")
    alice.hears(second)
    carol.hears(second)


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_speaker_does_not_hear_itself(grader: Grader) -> None:
    """Alice does not get back what she says. Her screen shows it already."""
    alice, bob = grader.join(grader.server(), "alice", "bob")
    own, answer = grader.words(2)
    alice.send(own)
    bob.hears(own)  # so the server is done with it: no copy is still on its way
    alice.hears_nothing_before(answer, lambda: bob.send(answer))


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_only_whole_lines_are_passed_on(grader: Grader) -> None:
    """Half a line is kept until the rest comes, and two lines at once are two."""
    alice, bob, carol = grader.join(grader.server(), "alice", "bob", "carol")
    whole, one, two = grader.words(3)
    alice.send_bytes(whole[:4].encode())
    carol.send(one)
    bob.hears(one)  # and nothing of alice's, although she has sent something
    alice.send_bytes(f"{whole[4:]}\n{two}\n".encode())
    bob.hears(whole)
    bob.hears(two)


@pytest.mark.points(2)
@pytest.mark.hint(3)
def test_dead_listener_silences_nobody(grader: Grader) -> None:
    """When bob's computer crashes, alice can go on talking to carol.

    The system is a harsh one: bob's own thread is slow to notice that he is gone.
    """
    server = grader.server(harsh=True)
    alice, bob, carol = grader.join(server, "alice", "bob", "carol")
    by_bob, by_alice = grader.words(LINES), grader.words(LINES)
    bob.send("\n".join(by_bob))
    carol.hears(by_bob[0])  # so bob's thread is busy with the rest of his lines
    bob.reset()
    alice.send("\n".join(by_alice))
    for word in by_alice:
        carol.hears_at_last(word)


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_only_who_has_left_is_forgotten(grader: Grader) -> None:
    """When somebody leaves, those who stay go on hearing each other."""
    server = grader.server()
    (alice,) = grader.join(server, "alice")
    for number in range(5):
        guest, bob = grader.join(server, f"guest {number}", f"bob {number}")
        guest.close()
        for word in grader.words(3):
            alice.send(word)
            bob.hears(word)
        word = grader.word()
        bob.send(word)
        alice.hears(word)


@pytest.mark.points(2)
@pytest.mark.hint(4)
def test_nobody_misses_a_line_while_others_leave(grader: Grader) -> None:
    """Those who stay hear every line, although others leave in the middle of it.

    The system is a harsh one: it switches threads in the middle of your functions.
    """
    server = grader.server(harsh=True)
    leaving = grader.join(server, *(f"guest {n}" for n in range(GUESTS)))
    alice, bob, *others = grader.join(server, "alice", "bob", "carol", "dave", "erin")
    for guest in leaving:
        said = grader.words(6)
        alice.send("\n".join(said))
        bob.hears(said[0])  # so the server is in the middle of passing them on
        guest.close()
        for word in said[1:]:
            bob.hears(word)
        for listener in others:
            for word in said:
                listener.hears(word)


@pytest.mark.points(2)
@pytest.mark.hint(4)
def test_all_hear_the_lines_in_one_order(grader: Grader) -> None:
    """When alice and bob talk at once, carol and dave hear the same, in one order.

    The system is a harsh one: it switches threads in the middle of your functions.
    """
    server = grader.server(harsh=True)
    alice, bob, carol, dave = grader.join(server, "alice", "bob", "carol", "dave")
    by_alice, by_bob = grader.words(LINES), grader.words(LINES)
    alice.send("\n".join(by_alice))
    bob.send("\n".join(by_bob))
    for _ in range(2 * LINES):
        dave.hears_line(carol.hears_something(), "as carol did")
