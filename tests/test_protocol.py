"""Bytes to lines, text to frames; no sockets."""

import gc
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import protocol
from protocol import REPLACEMENT, TOO_LONG, Decoder, Line, clean, erase

# Bytes in which all that matters is likely to occur, and to be cut in two.
WIRE = st.lists(
    st.sampled_from([b"\n", b"\r", b"\0", b"\r\n", b"\r\0", b"\b", b"\x7f"])
    | st.sampled_from([b"\xff", b"\xff\xfd\x06", b"\x1b[2J", b"a", b"hello", b"/who"])
    | st.sampled_from(["é".encode(), "日本".encode(), "😀".encode(), b"\xc3"])
    | st.sampled_from([b"x" * 40, "e\u0301".encode() * 12])
    | st.binary(max_size=8),
    max_size=30,
)


def decode(*pieces: bytes, max_line: int = protocol.MAX_LINE) -> list[Line]:
    """Return all lines of a stream that comes in these pieces and then ends."""
    decoder = Decoder(max_line)
    lines = [line for piece in pieces for line in decoder.feed(piece)[0]]
    return lines + decoder.finish()


SAMPLES = [
    ("LF", b"hello\n", ["hello"]),
    ("CR LF", b"hello\r\n", ["hello"]),
    ("CR NUL, from a telnet in character mode", b"hello\r\0", ["hello"]),
    ("empty lines", b"\n\r\n\n", ["", "", ""]),
    ("several", b"a\nb\r\nc\r\0", ["a", "b", "c"]),
    ("other line separators end no line", "a\x0b\x0c\x1c\x85b\u2028c\n".encode(), None),
    ("CR alone ends no line", b"a\r[server] b\n", [f"a{REPLACEMENT}[server] b"]),
    ("UTF-8", "é你😀\n".encode(), ["é你😀"]),
    ("not UTF-8", b"caf\xe9\n", [f"caf{REPLACEMENT}"]),
    ("cut UTF-8 at the line end", b"\xc3\n\xa9\n", [REPLACEMENT, REPLACEMENT]),
    ("backspace and delete", b"hex\blo\x7flo\n", ["hello"]),
    ("erasing a character, not a byte", "é\x7fe\n".encode(), ["e"]),
    ("erasing nothing", b"\b\x7fa\n", ["a"]),
    ("telnet", b"he\xff\xfd\x06llo\n", ["hello"]),
    ("byte 255 from nc", b"a\xff\n", [f"a{REPLACEMENT}"]),
    ("byte 255 from telnet", b"a\xff\xff\n", [f"a{REPLACEMENT}"]),
    ("tab", b"a\tb\n", ["a b"]),
]


@pytest.mark.parametrize(
    ("data", "lines"),
    [sample[1:] for sample in SAMPLES],
    ids=[sample[0] for sample in SAMPLES],
)
def test_lines(data: bytes, lines: list[str] | None) -> None:
    """Whole, byte by byte, and with bytes after them."""
    if lines is None:
        assert len(decode(data)) == 1
        lines = [str(line) for line in decode(data)]
    assert decode(data) == lines
    assert decode(*(bytes([byte]) for byte in data)) == lines
    assert decode(data + b"tail") == [*lines, "tail"]


@given(WIRE, st.sampled_from([5, 60, 4096]))
@example([b"\r", b"\r", b"\n", b"\0"], 5)
@example([b"x" * 40, b"\r", b"\n", b"x" * 40, b"\n"], 39)
def test_pieces_do_not_matter(pieces: list[bytes], max_line: int) -> None:
    """However a stream is cut, its lines, answers and hints are the same."""
    whole, cut, bytewise = (Decoder(max_line) for _ in range(3))
    stream = b"".join(pieces)
    expected = whole.feed(stream)
    for decoder, parts in (
        (cut, pieces),
        (bytewise, [bytes([byte]) for byte in stream]),
    ):
        results = [decoder.feed(part) for part in parts]
        assert [line for lines, _ in results for line in lines] == expected[0]
        assert b"".join(answer for _, answer in results) == expected[1]
        assert decoder.ended == whole.ended
    assert whole.finish() == cut.finish() == bytewise.finish()
    assert whole.invalid == cut.invalid == bytewise.invalid


@given(WIRE)
def test_lines_are_fit_for_any_terminal(pieces: list[bytes]) -> None:
    """Whatever comes in, what comes out is printable, and valid UTF-8."""
    for line in decode(*pieces):
        assert line is TOO_LONG or line.isprintable()
        assert line is TOO_LONG or line.encode().decode() == line


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\0"])
def test_limit_counts_bytes_without_the_line_end(end: bytes) -> None:
    """A line of exactly the limit is a line; one byte more is too long."""
    fits, over = "é".encode() * 5, "é".encode() * 5 + b"x"
    assert decode(fits + end, b"ok\n", max_line=10) == ["é" * 5, "ok"]
    assert decode(over + end, b"ok\n", max_line=10) == [TOO_LONG, "ok"]
    assert decode(fits + end + over + end + fits, max_line=10)[1] is TOO_LONG


def test_too_long_is_reported_at_once_and_once() -> None:
    """Its sender hears of it before it ends, if it ever does."""
    decoder = Decoder(10)
    assert decoder.feed(b"x" * 11) == ([TOO_LONG], b"")
    assert decoder.feed(b"y" * 1000) == ([], b"")
    assert decoder.feed(b"\nok\n") == (["ok"], b"")


def test_nothing_beyond_the_limit_is_kept() -> None:
    """Memory does not grow with an endless line."""
    decoder = Decoder(100)
    gc.collect()
    for _ in range(100):
        decoder.feed(b"x" * 100_000)
    held = [len(it) for it in gc.get_referents(decoder) if isinstance(it, bytearray)]
    assert held
    assert max(held) <= 100


def test_work_is_linear() -> None:
    """Four times the bytes take about four times as long, whole or one at a time.

    Quadratic work would take sixteen times; half of that is the mark.
    """

    def seconds(stream: bytes, step: int) -> float:
        decoder = Decoder(1 << 30)
        start = time.process_time()
        for position in range(0, len(stream), step):
            decoder.feed(stream[position : position + step])
        return time.process_time() - start

    for unit, step in ((b"x", 1), (b"\xff\xfa", 1 << 30), (b"a\n", 1 << 30)):
        small = unit * (10_000 if step == 1 else 100_000)
        ratios = [
            seconds(small * 4, step) / max(seconds(small, step), 0.001)
            for _ in range(3)
        ]
        assert min(ratios) < 8


def test_invalid_is_noted() -> None:
    """So that the sender can be told."""
    decoder = Decoder()
    decoder.feed("fine é \ufffd\n".encode())
    assert not decoder.invalid
    decoder.feed(b"\xe9\n")
    assert decoder.invalid


# ---------------------------------------------------------------------- cleaning

HOSTILE = {
    "escape": "\x1b[2J",
    "C1 control": "\x9b2J",
    "bell": "\a",
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "zero width space": "\u200b",
    "byte order mark": "\ufeff",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "next line": "\x85",
    "vertical tab": "\v",
    "soft hyphen": "\u00ad",
    "tag": "\U000e0041",
    "private use": "\ue000",
    "unassigned": "\U0003fffe",
    "Hangul filler": "\u3164",
    "halfwidth Hangul filler": "\uffa0",
    "Braille blank": "\u2800",
    "grapheme joiner": "\u034f",
    "variation selector": "\ufe0f",
    "supplementary variation selector": "\U000e0100",
    "carriage return": "\r",
    "NUL": "\0",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_characters_are_replaced(name: str) -> None:
    """None gets through, in whatever surroundings."""
    for text in (HOSTILE[name], f"a{HOSTILE[name]}é", HOSTILE[name] * 3):
        cleaned = clean(text)
        assert not set(HOSTILE[name]) & set(cleaned) - set("[2J")
        assert REPLACEMENT in cleaned


@pytest.mark.parametrize(
    "text", ["plain", "Grüße", "日本語", "שלום", "👍🏽 ❤️", "ਗੁਰਮੁਖੀ", "ไทยี่", "e\u0301"]
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """In any script."""
    assert clean(text) == text


def test_spaces_become_a_space() -> None:
    """A no-break space is nothing to be warned of."""
    assert clean("a\u00a0b\u3000c\td") == "a b c d"


def test_combining_flood_is_thinned() -> None:
    """Marks that would climb over the lines above are cut down to four."""
    flood = clean("z" + "\u0301\u0489" * 50 + "a")
    assert flood == "z" + "\u0301\u0489" * 2 + REPLACEMENT + "a"


@given(st.text())
def test_clean_twice_is_clean_once(text: str) -> None:
    """So the client may clean again what the server has cleaned."""
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert cleaned.isprintable()
    run = 0
    for char in cleaned:
        run = run + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        assert run <= 4


@given(st.text(alphabet="ab\b\x7f"))
def test_erase_is_what_a_terminal_does(text: str) -> None:
    """Compared with the obvious way."""
    kept = ""
    for char in text:
        kept = kept[:-1] if char in "\b\x7f" else kept + char
    assert erase(text) == kept


# ------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["a", "A-1_b", "x" * 16, "-", "007"])
def test_names(name: str) -> None:
    """1 to 16 of A-Z a-z 0-9 _ -."""
    assert protocol.is_name(name)


@pytest.mark.parametrize(
    "name", ["", "x" * 17, "a b", "é", "a\n", "[a]", "a:", "\u3164", "①", "*", "а"]
)
def test_no_names(name: str) -> None:
    """Nor anything that only looks like it: the last is Cyrillic."""
    assert not protocol.is_name(name)


@pytest.mark.parametrize("name", ["server", "SERVER", "everyone", "Guest7", "guest"])
def test_reserved_names(name: str) -> None:
    """In any case."""
    assert protocol.is_reserved(name)


@pytest.mark.parametrize("name", ["alice", "guests", "guest7x", "servers"])
def test_names_that_only_resemble_reserved_ones(name: str) -> None:
    """Are free."""
    assert not protocol.is_reserved(name)


# ------------------------------------------------------------------------ frames


def test_frames() -> None:
    """The forms of the wire, each ended by CR LF."""
    assert (
        protocol.speech("alice", ["hi", "é"]) == "[alice] hi\r\n[alice] é\r\n".encode()
    )
    assert protocol.notice("hi") == b"* hi\r\n"
    assert protocol.operator_speech("hi") == b"[server] hi\r\n"
    assert protocol.private("alice", "bob", "hi") == b"[alice -> bob] hi\r\n"


@given(st.binary())
def test_no_text_can_start_a_line_in_another_form(data: bytes) -> None:
    """Every line that comes of what a member says starts with the member's name."""
    lines = [line for line in decode(data) if line]
    if lines:
        frames = protocol.speech("eve", lines).decode()
        assert all(
            frame.startswith("[eve] ")
            for frame in frames.removesuffix("\r\n").split("\n")
        )


@pytest.mark.parametrize(
    ("opening", "name"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n", "HTTP"),
        (b"OPTIONS * HTTP/1.0\r\n", "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", "TLS"),
        (b"GET your coat\n", None),
        (b"hello\n", None),
        (b"", None),
    ],
)
def test_foreign_protocols_are_recognised(opening: bytes, name: str | None) -> None:
    """By how they begin; people are not taken for them."""
    assert protocol.foreign(opening) == name
