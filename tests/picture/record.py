"""Record the picture in the README: a real server, nc and client, in real terminals.

    python tests/picture/record.py

It needs nc, prompt_toolkit, pyte and a free port 5000, and writes session.svg.
"""

import shutil
import sys
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "exercises")]

from terminal import Terminal

COLUMNS, ROWS = 84, 18
CELL_WIDTH, CELL_HEIGHT = 7.85, 17  # pixels, of 13 px monospace text
MARGIN, TITLE = 12, 26  # pixels
# One palette that reads on its own dark ground, in print and without colour.
GROUND, FRAME, TEXT = "#1d2430", "#39445a", "#e4e8ef"
COLOURS = {
    "red": "#ff9d94",
    "green": "#8fd694",
    "brown": "#e8c872",
    "blue": "#9cc4ff",
    "magenta": "#e0a8f0",
    "cyan": "#86dbe0",
    "white": "#e4e8ef",
}


def main() -> None:
    """Play the scene and write the picture."""
    python = sys.executable
    server = window([python, str(ROOT / "server" / "mchat.py")])
    server.expect_row("exit to stop")
    bob = window(["nc", "127.0.0.1", "5000"])
    bob.expect_row("welcome, you are guest1")
    bob.type("/nick bob\r")
    bob.expect_row("you are now bob")
    alice = window([python, str(ROOT / "client" / "chat.py"), "--name", "alice"])
    alice.expect_row("you are now alice")
    bob.expect_row("guest2 is now alice")
    bob.type("hello from nc\r")
    alice.expect_row("[bob] hello from nc")
    alice.type("hi bob, this is the client ✓\r")
    bob.expect_row("[alice] hi bob")
    server.type("lunch is at noon\r")
    alice.expect_row("[server] lunch is at noon")
    bob.expect_row("[server] lunch is at noon")
    bob.type("/msg alice see you there\r")
    alice.expect_row("see you there")
    bob.expect_row("/msg alice see you there")
    server.expect_row("[server] lunch is at noon")
    alice.type("half a line, while others talk")
    alice.expect_row("half a line")
    windows = [
        ("$ python server/mchat.py", server),
        ("$ nc 127.0.0.1 5000", bob),
        ("$ python client/chat.py --name alice", alice),
    ]
    picture = svg([(title, it.screen) for title, it in windows])
    (Path(__file__).parent / "session.svg").write_text(picture, encoding="utf-8")
    for _, it in windows:
        it.close()


class Window(Terminal):
    """A terminal in which one waits for a row, wherever it stands."""

    def expect_row(self, part: str) -> None:
        """Wait until a row with `part` is on the screen."""
        while not any(part in row for row in self.rows()):
            if not self._look(10):
                raise SystemExit(f"{part!r} never came:\n" + "\n".join(self.rows()))


def window(command: list[str]) -> Window:
    """Start `command` in a terminal of the picture's size."""
    program = shutil.which(command[0]) or command[0]
    env = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
    it = Window([program, *command[1:]], env)
    it.resize(ROWS, COLUMNS)
    it.screen.resize(ROWS, COLUMNS)
    return it


def svg(windows: list[tuple[str, Any]]) -> str:
    """Return the picture: the windows, one below the other."""
    width = COLUMNS * CELL_WIDTH + 4 * MARGIN
    height = MARGIN
    parts = []
    for title, screen in windows:
        rows = [row for row in range(ROWS) if screen.display[row].strip()]
        shown = (rows[-1] + 1) if rows else 1
        inner = TITLE + shown * CELL_HEIGHT + MARGIN
        parts.append(frame(title, height, width - 2 * MARGIN, inner))
        for row in range(shown):
            baseline = height + TITLE + (row + 0.8) * CELL_HEIGHT
            parts.append(text_row(screen, row, baseline))
        height += inner + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="ui-monospace, Menlo, Consolas, '
        f'monospace" font-size="13">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def frame(title: str, top: float, width: float, height: float) -> str:
    """Return a window's ground, with the command that runs in it."""
    return (
        f'<rect x="{MARGIN}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'rx="7" fill="{GROUND}" stroke="{FRAME}"/>\n'
        f'<text x="{2 * MARGIN}" y="{top + 18:.0f}" fill="{TEXT}" opacity="0.75" '
        f'font-weight="bold">{escape(title)}</text>'
    )


def text_row(screen: Any, row: int, baseline: float) -> str:
    """Return one row of a screen; characters of one colour are one piece."""
    cells = screen.buffer[row]
    pieces: list[tuple[int, str, str]] = []
    for column in range(COLUMNS):
        cell = cells[column]
        fill = COLOURS.get(cell.fg, f"#{cell.fg}" if len(cell.fg) == 6 else TEXT)
        if pieces and pieces[-1][2] == fill:
            start, text, _ = pieces[-1]
            pieces[-1] = (start, text + cell.data, fill)
        else:
            pieces.append((column, cell.data, fill))
    return "\n".join(
        f'<text xml:space="preserve" x="{2 * MARGIN + start * CELL_WIDTH:.1f}" '
        f'y="{baseline:.1f}" fill="{fill}" '
        f'textLength="{len(text) * CELL_WIDTH:.1f}">{escape(text)}</text>'
        for start, text, fill in [(a, b.rstrip(), c) for a, b, c in pieces]
        if text
    )


if __name__ == "__main__":
    main()
