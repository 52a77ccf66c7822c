"""The telnet filter: commands leave the text, and are answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telnet import I_AM_HERE, SUBNEGOTIATION_LIMIT, TelnetFilter

# Sent by inetutils telnet after Ctrl-C: interrupt process, do timing mark.
CTRL_C = b"\xff\xf4\xff\xfd\x06"
# Sent by PuTTY's plink -telnet as soon as it is connected.
PUTTY = bytes.fromhex("ff fb 1f ff fb 20 ff fb 18 ff fb 27 ff fd 01 ff fb 03 ff fd 03")

SAMPLES = [
    ("plain text", b"hello\r\n", b"hello\r\n", b""),
    ("timing mark", CTRL_C, b"", b"\xff\xfc\x06"),
    (
        "PuTTY's offers",
        PUTTY,
        b"",
        bytes.fromhex("fffe1f fffe20 fffe18 fffe27 fffc01 fffe03 fffc03"),
    ),
    ("refusals are not answered", b"a\xff\xfc\x01\xff\xfe\x03b", b"ab", b""),
    ("doubled 255", b"a\xff\xffb", b"a\xffb", b""),
    ("are you there", b"a\xff\xf6b", b"ab", I_AM_HERE),
    ("no-operation, data mark, break", b"\xff\xf1\xff\xf2\xff\xf3x", b"x", b""),
    ("subnegotiation", b"a\xff\xfa\x18\0xterm\xff\xf0b", b"ab", b""),
    ("doubled 255 in one", b"\xff\xfa\x18\xff\xff\xf0\xff\xf0b", b"b", b""),
    ("255 from somebody without telnet", b"\xff\nb", b"\xff\nb", b""),
]


@pytest.mark.parametrize(
    ("data", "text", "answer"),
    [sample[1:] for sample in SAMPLES],
    ids=[sample[0] for sample in SAMPLES],
)
def test_command_is_removed_and_answered(
    data: bytes, text: bytes, answer: bytes
) -> None:
    """Whole, byte by byte, and with bytes after it."""
    assert TelnetFilter().feed(data) == (text, answer)
    assert feed_pieces([bytes([byte]) for byte in data]) == (text, answer)
    assert TelnetFilter().feed(data + b"more") == (text + b"more", answer)


@given(st.lists(st.binary(max_size=20) | st.just(b"\xff") | st.just(b"\xff\xfa")))
def test_pieces_do_not_matter(pieces: list[bytes]) -> None:
    """However the bytes are cut, text and answers are the same."""
    assert feed_pieces(pieces) == TelnetFilter().feed(b"".join(pieces))


def test_endless_subnegotiation_is_given_up() -> None:
    """It swallows a bounded number of bytes, not all that will ever be said."""
    data = b"\xff\xfa" + b"x" * SUBNEGOTIATION_LIMIT + b"heard"
    assert TelnetFilter().feed(data) == (b"heard", b"")


def test_end_of_file_command_is_noted() -> None:
    """plink -telnet sends it at the end of a pipe instead of closing."""
    telnet = TelnetFilter()
    assert not telnet.ended
    telnet.feed(b"bye\n\xff\xec")
    assert telnet.ended


def feed_pieces(pieces: list[bytes]) -> tuple[bytes, bytes]:
    """Feed one filter with the pieces; return all text and all answers."""
    telnet = TelnetFilter()
    results = [telnet.feed(piece) for piece in pieces]
    return (
        b"".join(text for text, _ in results),
        b"".join(answer for _, answer in results),
    )
