"""What is typed to a program arrives: at once, or in the order of typing."""

import os
from collections.abc import Iterator
from typing import IO

import pytest

from grading.deadlines import EXIT
from grading.keyboard import Keyboard

PIECES = [b"%d " % number * 1000 for number in range(100)]  # more than a pipe holds


@pytest.fixture
def pipe() -> Iterator[tuple[IO[bytes], Keyboard]]:
    """Give the program's end of a pipe, and a keyboard at the other."""
    reading, writing = (
        os.fdopen(fd, m) for fd, m in zip(os.pipe(), ("rb", "wb"), strict=True)
    )
    keyboard = Keyboard(writing, "typing")
    with reading:
        yield reading, keyboard
    keyboard.end()
    for thread in keyboard.threads:
        thread.join(EXIT)
        assert not thread.is_alive()


@pytest.mark.skipif(os.name != "posix", reason="there a thread writes all of it")
def test_it_is_there_when_type_returns(pipe: tuple[IO[bytes], Keyboard]) -> None:
    """No thread has to run for it, however busy the machine is."""
    program, keyboard = pipe
    os.set_blocking(program.fileno(), False)
    for line in (b"one\n", b"two\n"):
        keyboard.type(line)
        assert os.read(program.fileno(), 100) == line
    assert not keyboard.threads


def test_what_finds_no_room_follows_in_order(pipe: tuple[IO[bytes], Keyboard]) -> None:
    """And then the end of the input."""
    program, keyboard = pipe
    for piece in PIECES:
        keyboard.type(piece)
    keyboard.end()
    assert program.read() == b"".join(PIECES)


def test_typing_to_nobody_does_no_harm(pipe: tuple[IO[bytes], Keyboard]) -> None:
    """The program is gone; or its input was ended before."""
    program, keyboard = pipe
    program.close()
    for piece in (*PIECES, b""):
        keyboard.type(piece)
    for _ in range(2):
        keyboard.end()
        keyboard.type(b"more")
