"""A small picture of who sent what to whom, made from the events of a transcript.

Time runs downwards. Programs and people are vertical lines, the lanes; what travels
between two of them is an arrow, everything else a note beside a lane. `lay_out`
decides all that on a grid of characters; `as_text` draws it, and `drawing.py` as SVG.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from math import ceil
from typing import Literal

from grading.rendering import bare, visible
from grading.transcript import Event, Kind

ROWS = 20
LANES = 6
WIDTH = 100  # columns
LABEL, NAME = 44, 12  # columns of a label that we make room for, and of a name
RUN = 4  # more of one kind in a row: only the first, "... 8 more ...", and the last
AROUND = 6  # columns of an arrow that its label cannot have, as in "- label ->"
NEAREST = AROUND + 6  # columns between two lanes, at least

Mark = Literal["arrow", "note", "failed", "more"]

# Of a program; everything else happens to people.
_PROGRAM: set[Kind] = {"started", "printed", "muted", "typed", "signalled", "killed"}
_PROGRAM |= {"exited", "input-ended"}
_TOWARDS_ACTOR: set[Kind] = {"accepted", "got", "ended"}
_WORDS: dict[Kind, str] = {
    "connected": "connects",
    "accepted": "connects",
    "half-closed": "half-closes (FIN)",
    "closed": "closes",
    "reset": "resets (RST)",
    "stalled": "reads no more",
    "input-ended": "end of its input",
}


@dataclass(frozen=True)
class Lane:
    """The line of one program or person, and where it stands."""

    name: str
    column: int
    program: bool


@dataclass(frozen=True)
class Row:
    """One event. An arrow leads from lane `start` to lane `end`."""

    number: int  # of the event; 0 if the row only adds something to others
    mark: Mark
    start: int
    end: int  # the same as `start` unless it is an arrow
    text: str
    column: int  # where the text begins
    data: bool  # bytes travel, not only the news of a beginning or an end


@dataclass(frozen=True)
class Diagram:
    """All in its place: `width` columns, and one line for each row."""

    lanes: tuple[Lane, ...]
    rows: tuple[Row, ...]
    width: int
    left_out: int  # events that have no row

    @property
    def remark(self) -> str:
        """What to say about the events without a row."""
        if not self.left_out:
            return ""
        more = "event is" if self.left_out == 1 else "events are"
        return f"({self.left_out} other {more} not shown)"


def lay_out(events: Sequence[Event], last: int = ROWS) -> Diagram:
    """Return the picture of the `last` rows, as far as LANES lanes can show them."""
    programs = _programs(events)
    told = [event for event in events if event.kind != "started"]
    items = _newest([*_items(told, programs)], programs, last)
    names = _order(events, programs, {name for it in items for name in it.names})
    gutter = 2 + max((len(str(item.number)) for item in items), default=0)
    places = _places(names, items, gutter)
    rows = tuple(_row(item, names, places, gutter) for item in items)
    lanes = tuple(
        Lane(_plain(name, NAME), place, name in programs)
        for name, place in zip(names, places, strict=True)
    )
    ends = [row.column + len(row.text) for row in rows]
    ends += [lane.column + (len(lane.name) + 1) // 2 for lane in lanes]
    left_out = len(told) - sum(item.events for item in items)
    return Diagram(lanes, rows, max(ends, default=0), left_out)


# -- events become items ----------------------------------------------------------


@dataclass(frozen=True)
class _Item:
    """What becomes a row, before anybody knows where the lanes are."""

    number: int
    mark: Mark
    start: str
    end: str
    text: str
    data: bool = False
    events: int = 1  # that it stands for

    @property
    def names(self) -> set[str]:
        return {self.start, self.end}


def _programs(events: Sequence[Event]) -> list[str]:
    """Return who is no person: the programs, and whatever people connect to."""
    found = [event.actor for event in events if event.kind in _PROGRAM]
    return list(dict.fromkeys(found + [event.peer for event in events if event.peer]))


def _items(events: Sequence[Event], programs: Sequence[str]) -> Iterator[_Item]:
    for _, group in groupby(events, key=_sort):
        run = list(group)
        if len(run) <= RUN or run[0].kind == "expected":
            for event in run:
                yield from _item(event, programs)
        else:
            yield from _item(run[0], programs)
            count = len(run) - 2
            lane = run[0].actor
            yield _Item(0, "more", lane, lane, f"... {count} more ...", events=count)
            yield from _item(run[-1], programs)


def _sort(event: Event) -> tuple[str, ...]:
    stream = event.note if event.kind == "printed" else ""
    return event.actor, event.peer, event.kind, stream


def _item(event: Event, programs: Sequence[str]) -> Iterator[_Item]:
    if event.kind == "expected":
        yield from _failure(event, programs)
        return
    ends = (event.actor, event.peer or event.actor)
    if event.kind in _TOWARDS_ACTOR:
        ends = ends[::-1]
    mark: Mark = "note" if len(set(ends)) == 1 or event.kind == "stalled" else "arrow"
    start, end = ends if mark == "arrow" else (event.actor, event.actor)
    data = event.kind in ("sent", "got")
    yield _Item(event.number, mark, start, end, _plain(_words(event), WIDTH), data)


def _words(event: Event) -> str:
    if event.kind in ("sent", "got"):
        return _quoted(event.data, event.left_out)
    if event.kind in ("printed", "typed"):
        verb = "is told" if event.kind == "typed" else "prints"
        where = " on stderr" if event.note == "stderr" else ""
        return f"{verb}{where} {_quoted(bare(event.data), event.left_out)}"
    if event.kind == "ended":
        return f"ends ({event.note})"
    if event.kind == "killed":
        return f"killed {event.note}"
    return _WORDS.get(event.kind) or event.note or event.kind


def _quoted(data: bytes, left_out: int) -> str:
    size = f"{len(data) + left_out} bytes " if left_out else ""
    return f'{size}"{visible(data)}"'


def _failure(event: Event, programs: Sequence[str]) -> Iterator[_Item]:
    """Yield two rows: what was expected, and what came."""
    lane, who = event.actor, ""
    if event.actor == "the test" and programs:  # it watches a program from outside
        said = event.note.partition(" ")[0]
        lane, who = said if said in programs else programs[0], "the test "
    expected, but, got = event.note.partition(", but got ")
    words = _plain(f"{who}expected {expected}", WIDTH)
    yield _Item(event.number, "failed", lane, lane, words)
    if but:
        words = _plain(f"but got {got}", WIDTH)
        yield _Item(0, "failed", lane, lane, words, events=0)


def _plain(text: str, room: int) -> str:
    r"""Return `text` in `room` characters of one column each; 你 becomes \u4f60."""
    some = text[: room + 1]
    if some.isascii() and some.isprintable():  # nearly always
        text = some
    else:
        text = "".join(char if _is_plain(char) else _escape(char) for char in some)
    return text if len(text) <= room else text[: room - 3] + "..."


def _is_plain(char: str) -> bool:
    wide = unicodedata.east_asian_width(char) in "WF"
    return (
        char.isprintable()
        and not wide
        and unicodedata.category(char) not in ("Mn", "Me")
    )


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()


# -- items become rows ------------------------------------------------------------


def _newest(items: list[_Item], programs: list[str], last: int) -> list[_Item]:
    """Return the last items, in order, of those who get a lane."""
    if last <= 0:
        return []
    cast = _cast(items[-last:], programs)
    return [item for item in items if item.names <= cast][-last:]


def _cast(items: Sequence[_Item], programs: list[str]) -> set[str]:
    """Return who gets a lane: who failed, who spoke lately, then all the others."""

    def rank(item: _Item) -> tuple[bool, bool]:
        return item.mark != "failed", not (item.data and item.end in programs)

    newest = items[::-1]  # first, among those of one rank
    cast: set[str] = set()
    for item in sorted(newest, key=rank):
        if len(cast | item.names) <= LANES:
            cast |= item.names
    return cast


def _order(events: Sequence[Event], programs: list[str], wanted: set[str]) -> list[str]:
    """Return the names from left to right: each program amid its people."""
    known = [name for event in events for name in (event.actor, event.peer)]
    known = [name for name in dict.fromkeys(known) if name in wanted]
    centres = [name for name in known if name in programs]
    peers: dict[str, str] = {}
    for event in events:
        if event.peer in centres:
            peers.setdefault(event.actor, event.peer)
    names: list[str] = []
    for centre in centres:
        people = [
            name
            for name in known
            if name not in centres and peers.get(name, centres[0]) == centre
        ]
        half = (len(people) + 1) // 2
        names += [*people[:half], centre, *people[half:]]
    return names or known


def _places(names: Sequence[str], items: Sequence[_Item], gutter: int) -> list[int]:
    """Return each lane's column: as far apart as labels want and WIDTH allows."""
    if not names:
        return []
    widths = [len(_plain(name, NAME)) for name in names]
    least = [max(NEAREST, (a + b) // 2 + 2) for a, b in pairwise(widths)]
    gaps = list(least)
    for item in items:
        first, last = sorted((names.index(item.start), names.index(item.end)))
        for gap in range(first, last):
            share = (min(len(item.text), LABEL) + AROUND) / (last - first)
            gaps[gap] = max(gaps[gap], ceil(share))
    room = WIDTH - gutter - max(widths[0], widths[-1])
    while sum(gaps) > room:
        widest = max(
            range(len(gaps)), key=lambda gap: (gaps[gap] > least[gap], gaps[gap])
        )
        gaps[widest] -= 1
    return list(accumulate(gaps, initial=gutter + widths[0] // 2))


def _row(item: _Item, names: Sequence[str], places: Sequence[int], gutter: int) -> Row:
    start, end = names.index(item.start), names.index(item.end)
    if start != end:
        text, column = _on_arrow(item.text, places[start], places[end])
    else:
        text, column = _beside(item.text, places[start], gutter)
    return Row(item.number, item.mark, start, end, text, column, item.data)


def _on_arrow(text: str, start: int, end: int) -> tuple[str, int]:
    """Return the label, cut to the arrow's length, and its column."""
    left, length = min(start, end), abs(end - start)
    text = _plain(text, length - AROUND)
    spare = length - 1 - len(text) + (end < start)  # the head needs one more
    return text, left + 1 + spare // 2


def _beside(text: str, place: int, gutter: int) -> tuple[str, int]:
    """Return a note, cut to the room on the better side of its lane, and its column."""
    right, left = WIDTH - place - 2, place - gutter - 2
    if len(text) <= right or right >= left:
        return _plain(text, right), place + 2
    text = _plain(text, left)
    return text, place - 1 - len(text)


# -- text -------------------------------------------------------------------------


def as_text(diagram: Diagram) -> str:
    """Return it in lines of at most WIDTH columns, drawn with ASCII; "" if empty."""
    if not diagram.rows:
        return ""
    lines = [diagram.remark] if diagram.remark else []
    lines.append(_heads(diagram))
    return "\n".join(lines + [_line(diagram, row) for row in diagram.rows])


def _heads(diagram: Diagram) -> str:
    grid = [" "] * diagram.width
    for lane in diagram.lanes:
        _put(grid, lane.column - len(lane.name) // 2, lane.name)
    return "".join(grid).rstrip()


def _line(diagram: Diagram, row: Row) -> str:
    grid = [" "] * diagram.width
    for lane in diagram.lanes:
        grid[lane.column] = "|"
    if row.number:
        gutter = max(len(str(row.number)) for row in diagram.rows)
        _put(grid, 0, str(row.number).rjust(gutter))
    start, end = (diagram.lanes[place].column for place in (row.start, row.end))
    if row.mark == "arrow":
        shaft = "-" * (abs(end - start) - 2)
        _put(grid, min(start, end) + 1, f"{shaft}>" if start < end else f"<{shaft}")
    elif row.number:
        grid[start] = "X" if row.mark == "failed" else "*"
    _put(grid, row.column - 1, f" {row.text} ")
    return "".join(grid).rstrip()


def _put(grid: list[str], column: int, text: str) -> None:
    grid[column : column + len(text)] = text[: len(grid) - column]
