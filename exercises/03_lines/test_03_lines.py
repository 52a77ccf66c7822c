"""Step 03: a decoder, from bytes in any pieces to lines."""

from collections.abc import Iterator, Sequence

import pytest

from grading.decoding import TOO_LONG, Decoding
from grading.grader import Grader


@pytest.fixture
def decoders(grader: Grader) -> Iterator[Decoding]:
    """Make decoders out of the student's protocol.py, in a process of its own."""
    with Decoding(grader) as decoders:
        yield decoders


def in_any_pieces(decoders: Decoding, data: bytes, lines: Sequence[str | None]) -> None:
    """Expect `lines` of `data`: whole, byte by byte, and with more bytes after it."""
    every_byte = [data[n : n + 1] for n in range(len(data))]
    decoders.new("whole").feeds_in_all([data], lines)
    decoders.new("bytewise").feeds_in_all(every_byte, lines)
    decoders.new("longer").feeds_in_all([data + b"mo", b"re\n"], [*lines, "more"])


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_pieces_become_lines(decoders: Decoding) -> None:
    """A line is returned once its end has come, whatever the pieces are.

    A piece may hold one line, or two, or only a part of one.
    """
    decoder = decoders.new("decoder")
    decoder.feeds(b"hello\n", ["hello"])
    decoder.feeds(b"one\ntwo\n\n", ["one", "two", ""])
    decoder.feeds(b"hel", [])
    decoder.feeds(b"lo\nwor", ["hello"])
    decoder.feeds(b"l", [])
    decoder.feeds(b"", [])
    decoder.feeds(b"d\n", ["world"])


@pytest.mark.points(1)
@pytest.mark.hint(2)
def test_last_line_needs_no_end(decoders: Decoding) -> None:
    """When the stream ends in the middle of a line, that is the last line.

    It is returned by finish(), once. If nothing has been begun, there is none.
    """
    decoder = decoders.new("decoder")
    decoder.feeds(b"one\ntw", ["one"])
    decoder.feeds(b"o", [])
    decoder.finishes(["two"])
    decoder.finishes([])
    ended = decoders.new("ended")
    ended.feeds(b"one\n", ["one"])
    ended.finishes([])
    decoders.new("silent").finishes([])
    decoders.new("wrong").feeds_in_all([b"caf\xe9"], ["caf\ufffd"], ends=True)


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_cr_before_lf_belongs_to_the_end(decoders: Decoding) -> None:
    r"""Lines may end with \n or with \r\n, and \r\n may be cut in two.

    A \r that stands elsewhere is a part of the line.
    """
    decoder = decoders.new("decoder")
    decoder.feeds(b"hello\r\n\r\n", ["hello", ""])
    decoder.feeds(b"wor\rld\r", [])
    decoder.feeds(b"\n", ["wor\rld"])
    in_any_pieces(decoders, b"a\r\nb\n\rc\nd\r\r\n", ["a", "b", "\rc", "d\r"])


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_nothing_else_ends_a_line(decoders: Decoding) -> None:
    r"""Blanks at the ends of a line stay, and only \n ends one.

    There are more characters that other programs take for line ends.
    """
    in_any_pieces(decoders, b"  a \t\n", ["  a \t"])
    in_any_pieces(decoders, b"\xef\xbb\xbfa\n", ["\ufeffa"])
    in_any_pieces(decoders, b"a\x0bb\x0cc\x1cd\x00e\n", ["a\x0bb\x0cc\x1cd\x00e"])
    separators = "a\x85b\u2028c\u2029d"
    in_any_pieces(decoders, f"{separators}\n".encode(), [separators])


@pytest.mark.points(1)
@pytest.mark.hint(3)
def test_letter_may_be_cut_in_two(decoders: Decoding) -> None:
    """One letter may be several bytes, and these may come in two pieces.

    Lines that have ended before it are returned all the same. A byte that is no UTF-8
    becomes U+FFFD, a question mark in a box.
    """
    decoder = decoders.new("decoder")
    decoder.feeds(b"caf\xc3", [])
    decoder.feeds(b"\xa9\nth\xc3", ["café"])
    decoder.feeds(b"\xa9\n", ["thé"])
    in_any_pieces(decoders, "é 你 😀\n".encode(), ["é 你 😀"])
    in_any_pieces(decoders, b"caf\xe9 au lait\n", ["caf\ufffd au lait"])
    in_any_pieces(decoders, b"caf\xc3\nth\xff\n", ["caf\ufffd", "th\ufffd"])


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_each_decoder_keeps_its_own(decoders: Decoding) -> None:
    """What alice's decoder keeps does not get into a line of bob's."""
    alice, bob = decoders.new("alice"), decoders.new("bob")
    alice.feeds(b"hel", [])
    bob.feeds(b"wor", [])
    alice.feeds(b"lo\n", ["hello"])
    bob.feeds(b"ld\nby", ["world"])
    alice.feeds(b"\n", [""])
    bob.feeds(b"e\n", ["bye"])


@pytest.mark.points(2)
@pytest.mark.hint(4)
def test_line_over_the_limit_is_too_long(decoders: Decoding) -> None:
    """A line of more bytes than max_line is TOO_LONG, and all others are returned.

    The end of a line does not count, and a letter may be more than one byte. If
    nothing else is said, the limit is 4096.
    """
    exact = decoders.new("exact", max_line=8)
    exact.feeds(b"12345678\r", [])
    exact.feeds(b"\n", ["12345678"])
    exact.feeds(b"1234567\xff\n", ["1234567\ufffd"])
    for line in (b"123456789", "1234567é".encode(), b"123456789" * 5):
        pieces = [line[n : n + 4] for n in range(0, len(line), 4)]
        pieces += [b"\n", b"ne", b"xt\n"]
        decoders.new("pieces", max_line=8).feeds_in_all(pieces, [TOO_LONG, "next"])
        whole = b"one\n" + line + b"\r\n" + line + b"\ntwo\nthree\n"
        wanted = ["one", TOO_LONG, TOO_LONG, "two", "three"]
        decoders.new("whole", max_line=8).feeds_in_all([whole], wanted)
        last = decoders.new("last", max_line=8)
        last.feeds_in_all([line], [TOO_LONG], ends=True)
        last.finishes([])
    usual = decoders.new("usual")
    usual.feeds_in_all([b"x" * 4096, b"\n"], ["x" * 4096])
    usual.feeds_in_all([b"x" * 4097, b"\n"], [TOO_LONG])


@pytest.mark.points(1)
@pytest.mark.hint(4)
def test_line_without_end_is_not_kept(decoders: Decoding) -> None:
    """A client that never ends its line does not fill the memory.

    2 MiB come without a line end. Of a line that is too long nothing must be kept.
    """
    decoder = decoders.new("decoder")
    decoder.feeds(b"hello\n", ["hello"])
    decoder.forgets_what_is_too_long()


@pytest.mark.points(1)
@pytest.mark.hint(1)
def test_many_lines_at_once_take_no_longer(decoders: Decoding) -> None:
    """A megabyte of short lines is as quick in one piece as in small ones.

    If all that is left is copied for each line, it takes very much longer.
    """
    decoder = decoders.new("decoder")
    decoder.feeds(b"hello\n", ["hello"])
    decoder.is_as_quick_with_large_pieces()
