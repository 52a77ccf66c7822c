"""The sequence diagram: what is shown, where it stands, and how it is drawn."""

from collections.abc import Sequence
from typing import get_args
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grading.diagram import LANES, ROWS, WIDTH, as_text, lay_out
from grading.drawing import as_svg
from grading.transcript import Event, Kind
from told import READY, SERVER, Row, failed, told

SVG = "{http://www.w3.org/2000/svg}"


def text(*rows: Row) -> str:
    """Return the diagram of `rows` as text, with a line end before it."""
    return "\n" + as_text(lay_out(told(*rows))) + "\n"


def names(events: Sequence[Event]) -> list[str]:
    """Return the lanes from left to right."""
    return [lane.name for lane in lay_out(events).lanes]


# -- what is drawn ----------------------------------------------------------------


def test_line_relayed_is_two_arrows_and_the_failure_is_marked() -> None:
    """The program stands amid its people; the last row is a cross with the words."""
    assert text(
        SERVER,
        READY,
        ("alice", "connected", "mchat"),
        ("bob", "connected", "mchat"),
        ("alice", "sent", "mchat", b"hello\n"),
        ("bob", "got", "mchat", b"[alice] hello\r\n"),
        ("alice", "got", "mchat", b"[alice] hello\r\n"),
        failed("alice", 'nothing before the line "bye"', r'"[alice] hello\r\n"'),
    ) == (
        r"""
   alice                    mchat                     bob
2    |                        * prints "listening on 127.0.0.1:1"
3    |------- connects ------>|                        |
4    |                        |<------ connects -------|
5    |------ "hello\n" ------>|                        |
6    |                        |- "[alice] hello\r\n" ->|
7    |<- "[alice] hello\r\n" -|                        |
8    X expected nothing before the line "bye"          |
     | but got "[alice] hello\r\n"                     |
"""
    )


def test_every_way_of_leaving_and_the_end_of_the_program() -> None:
    """FIN, half-close, reset; what is typed, signalled, printed, and the exit code."""
    assert text(
        SERVER,
        ("alice", "half-closed", "mchat"),
        ("alice", "ended", "mchat", b"", "FIN"),
        ("bob", "closed", "mchat"),
        ("bob", "reset", "mchat"),
        ("bob", "stalled", "mchat"),
        ("mchat", "typed", "", b"exit\n"),
        ("mchat", "signalled", "", b"", "SIGINT"),
        ("mchat", "printed", "", b"Traceback:\n", "stderr"),
        ("mchat", "killed", "", b"", "by the test"),
        ("mchat", "exited", "", b"", "exit code 1"),
        failed("the test", "mchat to end", "no end within 5 s"),
    ) == (
        r"""
    alice                  mchat              bob
 2    |- half-closes (FIN) ->|                 |
 3    |<---- ends (FIN) -----|                 |
 4    |                      |<---- closes ----|
 5    |                      |<- resets (RST) -|
 6    |                      |                 * reads no more
 7    |                      * is told "exit"  |
 8    |                      * SIGINT          |
 9    |                      * prints on stderr "Traceback:"
10    |                      * killed by the test
11    |                      * exit code 1     |
12    |                      X the test expected mchat to end
      |                      | but got no end within 5 s
"""
    )


def test_client_program_and_the_server_that_the_test_plays() -> None:
    """Who connects is at the tail of the arrow, though the other one tells it."""
    assert text(
        ("chat", "started", "", b"", "python chat.py"),
        ("server", "accepted", "chat"),
        ("server", "sent", "chat", b"50 %"),
        ("server", "got", "chat", "é 你e\u0301\n".encode()),
    ) == (
        r"""
   server                    chat
2     |<------ connects -------|
3     |-------- "50 %" ------->|
4     |<- "é \u4f60e\u0301\n" -|
"""
    )


def test_many_of_one_kind_are_the_first_and_the_last() -> None:
    """A traceback of twenty lines does not fill the picture."""
    lines = [f"line {n}\n".encode() for n in range(20)]
    assert text(
        SERVER,
        *[("mchat", "printed", "", line, "stderr") for line in lines],
    ) == (
        r"""
    mchat
 2    * prints on stderr "line 0"
      | ... 18 more ...
21    * prints on stderr "line 19"
"""
    )


# -- what fits --------------------------------------------------------------------


def test_the_newest_rows_are_shown_and_the_others_counted() -> None:
    """At most twenty, with the numbers they have in the conversation."""
    speakers = ["alice", "bob"] * 20
    rows: list[Row] = [(who, "sent", "mchat", b"x\n") for who in speakers]
    diagram = lay_out(told(SERVER, *rows))
    assert len(diagram.rows) == ROWS
    assert [row.number for row in diagram.rows] == list(range(22, 42))
    assert as_text(diagram).startswith("(20 other events are not shown)\n")
    assert lay_out(told(*rows), last=39).remark == "(1 other event is not shown)"


def test_only_those_who_occur_in_the_rows_have_a_lane() -> None:
    """Somebody who was busy long ago is not in the way."""
    events = told(
        ("zoe", "connected", "mchat"),
        ("alice", "connected", "mchat"),
        ("bob", "connected", "mchat"),
    )
    assert names(events) == ["zoe", "alice", "mchat", "bob"]
    assert [lane.name for lane in lay_out(events, last=2).lanes] == [
        "alice",
        "mchat",
        "bob",
    ]


def test_of_very_many_people_who_failed_and_who_spoke_have_lanes() -> None:
    """The others, who only listen, make room for them."""
    crowd = [f"p{n}" for n in range(12)]
    events = told(
        ("alice", "sent", "mchat", b"hello\n"),
        ("bob", "connected", "mchat"),
        *[(who, "got", "mchat", b"hello\n") for who in crowd],
        failed("bob", "a line", "nothing"),
        *[(who, "got", "mchat", b"more\n") for who in crowd[:4]],
    )
    shown = names(events)
    assert len(shown) == LANES
    assert {"alice", "bob", "mchat"} <= set(shown)


def test_each_program_stands_amid_its_own_people() -> None:
    """So arrows stay short with two servers as well."""
    events = told(
        ("mchat", "started"),
        ("alice", "connected", "mchat"),
        ("mchat-2", "started"),
        ("bob", "connected", "mchat-2"),
        ("carol", "connected", "mchat"),
        ("dave", "connected", "mchat-2"),
    )
    assert names(events) == ["alice", "mchat", "carol", "bob", "mchat-2", "dave"]


def test_long_data_is_shortened_and_its_size_told() -> None:
    """Three dots say that something is missing."""
    shown = text(("alice", "sent", "mchat", b"x" * 100_000))
    assert '100000 bytes "xxx' in shown
    assert "xxx... ->|" in shown


def test_nothing_happened_nothing_is_drawn() -> None:
    """No events, or only that programs were started."""
    assert as_text(lay_out(())) == as_text(lay_out(told(SERVER))) == ""
    ElementTree.fromstring(as_svg(lay_out(())))


@pytest.mark.parametrize("wanted", ["mchat-2", "mchat"])
def test_what_the_test_expects_of_a_program_stands_on_its_lane(wanted: str) -> None:
    """The test itself is nobody in the picture."""
    events = told(
        ("mchat", "exited", "", b"", "exit code 0"),
        ("mchat-2", "exited", "", b"", "exit code 0"),
        failed("the test", f"{wanted} to print a line", "nothing"),
    )
    diagram = lay_out(events)
    failure = next(row for row in diagram.rows if row.mark == "failed")
    assert diagram.lanes[failure.start].name == wanted
    assert "the test" not in names(events)
    assert failure.text.startswith(f"the test expected {wanted} to print")


# -- whatever happens -------------------------------------------------------------

who = st.sampled_from(["alice", "bob", "mchat", "x", "a-very-long-name-indeed"])
anybody = who | st.text(min_size=1, max_size=30)
event_strategy = st.builds(
    Event,
    number=st.integers(1, 10**6),
    seconds=st.floats(0, 100),
    actor=anybody | st.just("the test"),
    kind=st.sampled_from(get_args(Kind)),
    peer=anybody | st.just(""),
    data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode),
    left_out=st.sampled_from([0, 10**9]),
    note=st.text(max_size=150) | st.just("a line, but got nothing"),
)


@given(st.lists(event_strategy, max_size=40))
def test_any_events_give_a_small_picture(events: list[Event]) -> None:
    """Bounded, printable, and valid XML, whatever names, bytes and notes there are."""
    diagram = lay_out(events)
    drawn = as_text(diagram)
    assert all(len(line) <= WIDTH for line in drawn.splitlines())
    assert diagram.width <= WIDTH
    assert len(diagram.rows) <= ROWS
    assert len(diagram.lanes) <= LANES
    assert drawn.replace("\n", "").isprintable()
    ElementTree.fromstring(as_svg(diagram))


@given(st.lists(event_strategy, max_size=12))
def test_every_event_is_shown_or_counted(events: list[Event]) -> None:
    """Rows, runs summed up, and the remark together are all that happened."""
    events = [
        Event(**(vars(event) | {"number": number, "actor": "alice", "peer": "mchat"}))
        for number, event in enumerate(events, 1)
    ]
    diagram = lay_out(events)
    told_of = sum(1 for event in events if event.kind != "started")
    summed = [row.text.split()[1] for row in diagram.rows if row.mark == "more"]
    shown = sum(1 for row in diagram.rows if row.number) + sum(map(int, summed))
    assert shown + diagram.left_out == told_of


# -- SVG --------------------------------------------------------------------------


def test_svg_has_a_title_and_escaped_words_and_needs_nothing_else() -> None:
    """It can be opened alone, by a browser or a picture viewer."""
    source = as_svg(
        lay_out(
            told(
                ("<al>", "sent", "mchat", b"<b>&\n"),
                failed("<al>", 'the "line"', "nothing"),
            )
        )
    )
    root = ElementTree.fromstring(source)
    assert root.findtext(f"{SVG}title") == "Who sent what to whom: <al>, mchat"
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert r'"<b>&\n"' in words
    assert 'expected the "line"' in words
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "path", "text"}
    assert "http" not in source.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme" in source


def test_svg_tells_apart_by_shape_what_colour_tells_apart() -> None:
    """News of a connection is dashed, a failure is a cross, a program has corners."""
    root = ElementTree.fromstring(
        as_svg(
            lay_out(
                told(
                    ("alice", "connected", "mchat"),
                    ("alice", "sent", "mchat", b"hi\n"),
                    failed("alice", "a line", "nothing"),
                )
            )
        )
    )
    kinds = [path.get("class") for path in root.iter(f"{SVG}path")]
    assert kinds.count("arrow news") == kinds.count("arrow") == 1
    assert kinds.count("cross") == 1
    boxes = {box.get("class"): box.get("rx") for box in root.iter(f"{SVG}rect")}
    assert boxes["head program"] == "0"
    assert boxes["head"] != "0"
