"""The decoders of step 03: the solution and other correct ones, and their grader."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grading.calls import CALLS, to_type
from grading.transcript import Event

TESTS = Path(__file__).resolve().parent
SOLUTION = TESTS / "solutions" / "03_lines" / "protocol.py"
PROGRAMS = [SOLUTION, *sorted((TESTS / "correct" / "03_lines").glob("*.py"))]
LIMIT = 8

Line = str | None

# What matters is likely to occur, and to be cut in two.
WIRE = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b"a", b"1234567", b"\0", b"\x0c", b"\xff"])
    | st.sampled_from(["é".encode(), "😀".encode(), "\u2028".encode(), b"\xc3"])
    | st.binary(max_size=4),
    max_size=20,
).map(b"".join)


def load(path: Path) -> ModuleType:
    """Import a decoder that we have written ourselves."""
    spec = importlib.util.spec_from_file_location(f"lines_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULES = [load(path) for path in PROGRAMS]


def expected_lines(data: bytes) -> list[Line]:
    """Return the lines of a whole stream: what the README of the step says."""
    *ended, last = data.split(b"\n")
    raws = [raw.removesuffix(b"\r") for raw in [*ended, *([last] if last else [])]]
    return [r.decode(errors="replace") if len(r) <= LIMIT else None for r in raws]


def decoded(module: ModuleType, pieces: Sequence[bytes]) -> list[Line]:
    """Return the lines of a stream that comes in these pieces, None for TOO_LONG."""
    decoder = module.Decoder(max_line=LIMIT)
    lines = [line for piece in pieces for line in decoder.feed(piece)]
    lines += decoder.finish()
    assert decoder.finish() == []
    return [None if line is module.TOO_LONG else line for line in lines]


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Return `data` in pieces; some may be empty."""
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@pytest.mark.parametrize("module", MODULES, ids=[path.stem for path in PROGRAMS])
@given(data=WIRE, places=st.lists(st.integers(0, 200), max_size=8))
def test_lines_are_the_same_however_the_bytes_are_cut(
    module: ModuleType, data: bytes, places: list[int]
) -> None:
    """Whole, byte by byte, and in pieces of any size."""
    wanted = expected_lines(data)
    assert decoded(module, [data]) == wanted
    assert decoded(module, [data[n : n + 1] for n in range(len(data))]) == wanted
    assert decoded(module, cut(data, places)) == wanted


@pytest.mark.parametrize("module", MODULES, ids=[path.stem for path in PROGRAMS])
@given(line=st.text(st.characters(exclude_characters="\n", codec="utf-8")))
def test_line_comes_back_as_it_was_sent(module: ModuleType, line: str) -> None:
    """What `encode` makes of a line, a decoder makes a line of again."""
    decoder = module.Decoder()
    sent = line.removesuffix("\r")  # this one would be taken for a part of the end
    assert decoder.feed(module.encode(sent)) == [sent]


# -- calls to repeat by hand -------------------------------------------------------


def called(*notes: str) -> list[Event]:
    """Return the events of these calls."""
    return [Event(n, 0.0, "protocol", "called", note=s) for n, s in enumerate(notes)]


def test_only_the_decoders_that_were_called_last_are_told() -> None:
    """The others were right, or the test would have ended with them."""
    first = ["whole = Decoder()", r"whole.feed(b'a\n')"]
    last = ["bytewise = Decoder()", "bytewise.feed(b'a')"]
    assert to_type(called(*first, *last)) == last
    both = ["alice = Decoder()", "bob = Decoder()", "alice.feed(b'a')", "bob.finish()"]
    assert to_type(called(*first, *both)) == both


def test_many_calls_are_cut_off() -> None:
    """A beginning says enough."""
    lines = to_type(called("decoder = Decoder()", *["decoder.feed(b'x')"] * 50))
    assert len(lines) == CALLS + 1
    assert lines[-1] == "# and 31 more"


def test_nothing_is_told_of_other_steps() -> None:
    """They make no calls."""
    assert to_type([Event(1, 0.0, "mchat", "started", note="python mchat.py")]) == []
