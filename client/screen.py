"""What the server says, made ready to be shown: cleaned, coloured, with a bell.

Knows lines, not sockets. Of ours it imports only `protocol`, which `chat.py` has put
on the path.
"""

import re
import sys
import zlib
from contextlib import suppress

from protocol import TOO_LONG, Decoder, Line, fold, is_name

MAX_LINE = 64 * 1024  # bytes; far more than any server of ours sends
MAX_NAMES = 1000  # to remember for completion; those who spoke last stay

COMMANDS = ("/help", "/me ", "/msg ", "/nick ", "/quit", "/who")

# Of the 256-colour palette those with a contrast of at least 3.6 to white and to black.
COLOURS = (28, 30, 32, 61, 64, 99, 100, 130, 134, 160, 162, 166)

_SPEECH = re.compile(r"(\[([\w-]+)(?: -> ([\w-]+))?\]) (.*)", re.ASCII)
_WELCOME = re.compile(r"\* welcome, you are ([\w-]+)(?:; here: ([^;]*))?", re.ASCII)
_RENAMED = re.compile(r"\* (?:you are|([\w-]+) is) now ([\w-]+)", re.ASCII)
_MOVED = re.compile(r"\* ([\w-]+) (joined|left)", re.ASCII)


def remark(text: str) -> None:
    """Tell the user something that is not chat, on stderr."""
    if sys.stderr is not None:  # print would take stdout instead
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)


class Screen:
    """Bytes from the server to text for the screen. One thread at a time."""

    def __init__(self, *, colours: bool, bell: bool) -> None:
        self.people = People()
        self._decoder = Decoder(MAX_LINE)
        self._colours = colours
        self._bell = bell

    def take(self, data: bytes) -> str:
        """Return what to show for `data`; no bytes at all mean the end."""
        # `feed` also returns answers to telnet commands; a server has no use for them.
        lines = self._decoder.feed(data)[0] if data else self._decoder.finish()
        return self._show(lines)

    def _show(self, lines: list[Line]) -> str:
        text = "".join(self._show_line(line) for line in lines if line is not TOO_LONG)
        if TOO_LONG in lines:
            remark(f"a line of more than {MAX_LINE} bytes was left out")
        if "\a" in text:  # once is enough; cleaned lines have none of their own
            text = "\a" + text.replace("\a", "")
        return text

    def _show_line(self, line: str) -> str:
        self.people.learn(line)
        bell = "\a" if self._bell and self.people.concerns_me(line) else ""
        return f"{bell}{coloured(line) if self._colours else line}\n"


class People:
    """Who is here, and who we are, as far as the lines tell."""

    def __init__(self) -> None:
        self.me = ""
        self._names: dict[str, str] = {}  # by folded name; the newest last

    def learn(self, line: str) -> None:
        """Take notice of the names in a line."""
        if speech := _SPEECH.match(line):
            self._meet(speech[2])
        elif welcome := _WELCOME.match(line):
            self.me = welcome[1]
            for name in (welcome[2] or "").split(", "):
                self._meet(name)
        elif renamed := _RENAMED.fullmatch(line):
            self._rename(renamed[1], renamed[2])
        elif moved := _MOVED.fullmatch(line):
            if moved[2] == "joined":
                self._meet(moved[1])
            else:
                self._names.pop(fold(moved[1]), None)

    def words(self) -> list[str]:
        """Return what can be completed: commands, then names, who spoke last first."""
        return [*COMMANDS, *reversed(self._names.values())]

    def concerns_me(self, line: str) -> bool:
        """Whether somebody mentions my name, or tells me something in private."""
        speech = _SPEECH.match(line)
        if not speech or not self.me or fold(speech[2]) == fold(self.me):
            return False
        return speech[3] is not None or mentions(self.me, speech[4])

    def _meet(self, name: str) -> None:
        if not is_name(name) or name == "server":
            return
        self._names.pop(fold(name), None)
        self._names[fold(name)] = name
        if len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]

    def _rename(self, before: str | None, name: str) -> None:
        if before is None:
            self.me = name
        else:
            self._names.pop(fold(before), None)
            self._meet(name)


def mentions(name: str, text: str) -> bool:
    """Whether `name` is a word of `text`, ignoring case."""
    return re.search(rf"(?<![\w-]){name}(?![\w-])", text, re.IGNORECASE) is not None


def colour(name: str) -> int:
    """Return the colour of a name: the same on every day and in every client."""
    return COLOURS[zlib.crc32(fold(name).encode()) % len(COLOURS)]


def coloured(line: str) -> str:
    """Return the line with its speaker, if it has one, in colour."""
    speech = _SPEECH.match(line)
    if not speech:
        return line
    bold = "1;" if speech[3] else ""  # private
    tag, text = line[: speech.end(1)], line[speech.end(1) :]
    return f"\x1b[{bold}38;5;{colour(speech[2])}m{tag}\x1b[0m{text}"
