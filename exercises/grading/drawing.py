"""A sequence diagram as SVG: self-contained, for light and dark screens and for paper.

What an arrow means is told by its line and its words, never by colour alone. The grid
of characters of `diagram.py` becomes pixels here, and nothing else is decided.
"""

from collections.abc import Iterator
from html import escape

from grading.diagram import Diagram, Lane, Row

CELL, LINE = 7.8, 27  # pixels: a character of 13 px monospace text, and a row
TOP, EDGE = 34, 16  # pixels: the heads of the lanes, and the margin
HEAD = 7  # pixels of an arrowhead

# Scoped to .diagram, as a page may hold many. The halo keeps words off the lines.
STYLE = """
.diagram { --ground: #fff; --ink: #1b2330; --faint: #66707f; --lane: #b6bfcb;
  --line: #0a5ca8; --failed: #b3261e; --head: #e6eef7; }
@media screen and (prefers-color-scheme: dark) { .diagram { --ground: #171b22;
  --ink: #e4e8ef; --faint: #9aa5b4; --lane: #4a5566; --line: #7fb8f0;
  --failed: #ff9a8f; --head: #24364a; } }
.diagram text { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono",
  monospace; fill: var(--ink); stroke: var(--ground); stroke-width: 4px;
  stroke-linejoin: round; paint-order: stroke; white-space: pre; }
.diagram .ground { fill: var(--ground); }
.diagram .faint { fill: var(--faint); }
.diagram .name { font-weight: bold; stroke: none; text-anchor: middle; }
.diagram .head { fill: var(--ground); stroke: var(--faint); }
.diagram .head.program { fill: var(--head); stroke: var(--line); }
.diagram .lane { stroke: var(--lane); }
.diagram .arrow { stroke: var(--line); stroke-width: 1.6; fill: none; }
.diagram .news { stroke-dasharray: 5 4; }
.diagram .tip, .diagram .dot { fill: var(--line); }
.diagram .label { text-anchor: middle; }
.diagram .cross { stroke: var(--failed); stroke-width: 3.5; fill: none; }
.diagram .failed { fill: var(--failed); font-weight: bold; }
"""


def as_svg(diagram: Diagram) -> str:
    """Return it as one SVG element that needs nothing else."""
    width = round(diagram.width * CELL + 2 * EDGE)
    height = TOP + LINE * len(diagram.rows) + 2 * EDGE + (LINE if diagram.remark else 0)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="diagram" role="img" '
            f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            f"<title>{escape(_title(diagram))}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="ground" width="{width}" height="{height}"/>',
            *_lanes(diagram),
            *(
                part
                for n, row in enumerate(diagram.rows)
                for part in _row(diagram, row, n)
            ),
            _text("faint", EDGE, height - EDGE - 4, diagram.remark),
            "</svg>\n",
        ]
    )


def _title(diagram: Diagram) -> str:
    names = ", ".join(lane.name for lane in diagram.lanes)
    return f"Who sent what to whom: {names}"


def _lanes(diagram: Diagram) -> Iterator[str]:
    bottom = EDGE + TOP + LINE * len(diagram.rows)
    for lane in diagram.lanes:
        x = _x(lane.column)
        yield f'<path class="lane" d="M{x:.1f} {EDGE + 24}V{bottom}"/>'
        yield from _head(lane, x)


def _head(lane: Lane, x: float) -> Iterator[str]:
    """Yield a name in its box: round corners for people, square ones for programs."""
    width = (len(lane.name) + 2) * CELL
    kind, radius = ("head program", 0) if lane.program else ("head", 11)
    yield (
        f'<rect class="{kind}" x="{x - width / 2:.1f}" y="{EDGE}" '
        f'width="{width:.1f}" height="24" rx="{radius}"/>'
    )
    yield _text("name", x, EDGE + 17, lane.name)


def _row(diagram: Diagram, row: Row, place: int) -> Iterator[str]:
    y = EDGE + TOP + LINE * (place + 0.7)
    start, end = (_x(diagram.lanes[lane].column) for lane in (row.start, row.end))
    if row.number:
        yield _text("faint", EDGE, y + 4, str(row.number))
    if row.mark == "arrow":
        yield from _arrow(row, start, end, y)
        return
    kind = "failed" if row.mark == "failed" else "note"
    if row.number and kind == "failed":
        yield f'<path class="cross" d="{_cross(start, y)}"/>'
    elif row.number:
        yield f'<circle class="dot" cx="{start:.1f}" cy="{y:.1f}" r="4"/>'
    yield _text(kind, EDGE + row.column * CELL, y + 4, row.text)


def _arrow(row: Row, start: float, end: float, y: float) -> Iterator[str]:
    back = -HEAD if start < end else HEAD
    kind = "arrow" if row.data else "arrow news"
    yield f'<path class="{kind}" d="M{start:.1f} {y:.1f}H{end + back:.1f}"/>'
    tip = f"M{end:.1f} {y:.1f}l{back} {HEAD / 2}v{-HEAD}z"
    yield f'<path class="tip" d="{tip}"/>'
    yield _text("label", (start + end) / 2, y - 5, row.text)


def _cross(x: float, y: float) -> str:
    return f"M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12"


def _text(kind: str, x: float, y: float, text: str) -> str:
    if not text:
        return ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _x(column: int) -> float:
    """Return the middle of a column of characters."""
    return EDGE + (column + 0.5) * CELL
