"""What is said on the wire: bytes to lines, text to frames, names, limits.

A line is text without its end, cleaned, so that any terminal may show it.
A frame is bytes with their end, ready to be sent. Server and client import this
module.

Pure: no sockets, no threads, no clock. Of ours it imports only `telnet`.
"""

import re  # patterns are compiled when first used: compiling them delays the start
import unicodedata
from collections.abc import Iterable

from telnet import TelnetFilter

DEFAULT_PORT = 5000
MAX_LINE = 4096  # bytes without the line end; a Linux terminal cuts at 4095

# ---------------------------------------------------------------- bytes to lines

Line = str | None  # what `Decoder.feed` returns: a line, or TOO_LONG
TOO_LONG = None

_PLAIN = bytes(range(0x20, 0x7F)) + b"\n"


class Decoder:
    """One connection's bytes, in any pieces, to lines.

    A line ends with LF, CR LF or CR NUL (RFC 5198, section 2; RFC 854). Not more
    than `max_line` bytes of a line are ever kept. The work is linear in the bytes
    fed, however they are cut.
    """

    __slots__ = ("_cr", "_kept", "_limit", "_skipping", "_telnet", "invalid")

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._telnet = TelnetFilter()
        self._limit = max_line
        self._kept = bytearray()  # the beginning of a line whose end has not come
        self._cr = False  # a CR has come; the next byte tells if it ends the line
        self._skipping = False  # in a line over the limit, reported already
        #: Some bytes so far were not UTF-8; they were replaced by U+FFFD.
        self.invalid = False

    @property
    def ended(self) -> bool:
        """Whether the client has said, in telnet, that it will send no more."""
        return self._telnet.ended

    def feed(self, data: bytes) -> tuple[list[Line], bytes]:
        """Return the lines that `data` completes, and bytes to answer with.

        Lines are cleaned and have no end. One over the limit is reported as
        `TOO_LONG` as soon as it is known, then skipped to its end.
        """
        data, answer = self._telnet.feed(data)
        if self._cr:
            data = b"\r" + data
        self._cr = data.endswith(b"\r")
        if self._cr:
            data = data[:-1]
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r\0", b"\n")
        return self._split(data), answer

    def finish(self) -> list[Line]:
        """Return the last line if the stream ended without ending it."""
        rest, self._kept = bytes(self._kept), bytearray()
        return self._decode(rest) if rest else []

    def _split(self, data: bytes) -> list[Line]:
        complete, newline, rest = data.rpartition(b"\n")
        lines: list[Line] = []
        if newline and self._skipping:
            self._skipping = False
            _, newline, complete = complete.partition(b"\n")
        if newline:
            lines = self._decode(bytes(self._kept) + complete)
            self._kept.clear()
        if self._skipping or len(self._kept) + len(rest) <= self._limit:
            self._kept += b"" if self._skipping else rest
            return lines
        self._kept.clear()
        self._skipping = True
        return [*lines, TOO_LONG]

    def _decode(self, data: bytes) -> list[Line]:
        """Turn whole lines, with LF between them, into text."""
        if not data.translate(None, _PLAIN):  # the common case, seen in one look
            lines = data.decode("ascii").split("\n")
            if len(data) <= self._limit or max(map(len, lines)) <= self._limit:
                return list(lines)
        return [self._decode_line(raw) for raw in data.split(b"\n")]

    def _decode_line(self, raw: bytes) -> Line:
        if len(raw) > self._limit:
            return TOO_LONG
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            self.invalid = True
            text = raw.decode(errors="replace")
        return clean(erase(text))


def erase(text: str) -> str:
    """Apply backspace (0x08) and delete (0x7F): each erases one character."""
    if "\b" not in text and "\x7f" not in text:
        return text
    kept: list[str] = []
    for char in text:
        if char not in "\b\x7f":
            kept.append(char)
        elif kept:
            kept.pop()
    return "".join(kept)


# ---------------------------------------------------------------------- cleaning

REPLACEMENT = "\ufffd"

# Blank or invisible, and yet printable for str.isprintable(): Hangul, Khmer and
# Braille fillers, the grapheme joiner, variation selectors.
_FILLERS = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0"
    "\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_EMOJI_STYLE = "\ufe0f"  # a filler too, but after a symbol it makes an emoji of it

# Marks are neither word characters nor spaces, which finds candidates for a flood
# at the speed of `re`; what they are is then looked up.
_MARKS_AT_MOST = 4
_FLOOD = rf"[^\w\s\0-\u02ff]{{{_MARKS_AT_MOST + 1},}}"


def clean(text: str) -> str:
    """Return `text` with nothing in it that could deceive a terminal or a reader.

    Tabs and other spaces become a space. What `str.isprintable()` refuses
    (controls, escape, bidi, zero width), invisible fillers, and combining marks
    after the fourth in a row become U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    if not text.isprintable():
        text = "".join(map(_printable, text))
    text = re.sub(_FILLERS, _filler, text)
    return re.sub(_FLOOD, _thin_out, text)


def _printable(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char == "\t" or unicodedata.category(char) == "Zs" else REPLACEMENT


def _filler(match: re.Match[str]) -> str:
    before = match.string[match.start() - 1] if match.start() else ""
    if match[0] == _EMOJI_STYLE and before and unicodedata.category(before) == "So":
        return _EMOJI_STYLE
    return REPLACEMENT


def _thin_out(match: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for char in match[0]:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks <= _MARKS_AT_MOST:
            kept.append(char)
        elif kept[-1] != REPLACEMENT:
            kept.append(REPLACEMENT)
    return "".join(kept)


# ------------------------------------------------------------------------- names

MAX_NAME = 16
NAME_RULE = f"names are 1 to {MAX_NAME} of A-Z a-z 0-9 _ -"
_RESERVED = {"admin", "all", "everybody", "everyone", "guest", "me", "operator"}
_RESERVED |= {"root", "server", "somebody", "someone", "system"}
# What notices of the server begin with, apart from names: `/me` must not forge them.
_RESERVED |= {"goodbye", "here", "names", "nobody", "that", "the", "this", "unknown"}
_RESERVED |= {"usage", "welcome", "yes", "you", "your"}


def fold(name: str) -> str:
    """Return the form in which two names that count as the same are equal."""
    return name.lower()


def is_name(text: str) -> bool:
    """Whether `text` has the form of a name."""
    return re.fullmatch(rf"[A-Za-z0-9_-]{{1,{MAX_NAME}}}", text) is not None


def is_reserved(name: str) -> bool:
    """Whether `name` would pass for the server, its notices, a group or a guest."""
    return fold(name) in _RESERVED or bool(re.fullmatch("guest[0-9]+", fold(name)))


# ---------------------------------------------------------------- text to frames

# Whatever a member says stands behind one of these, which no name can imitate:
# a name has neither blank nor bracket. CR LF is right for every client; LF alone
# makes stairs in a telnet that is in character mode.
EOL = "\r\n"


def speech(name: str, lines: Iterable[str]) -> bytes:
    """Return what a member says, one frame after the other."""
    prefix = f"[{name}] "
    return f"{prefix}{(EOL + prefix).join(lines)}{EOL}".encode()


def notice(text: str) -> bytes:
    """Return something that the server tells."""
    return f"* {text}{EOL}".encode()


def operator_speech(text: str) -> bytes:
    """Return what the operator says."""
    return f"[server] {text}{EOL}".encode()


def private(sender: str, receiver: str, text: str) -> bytes:
    """Return a private line."""
    return f"[{sender} -> {receiver}] {text}{EOL}".encode()


# --------------------------------------------------------------- other protocols

_FOREIGN = {
    "HTTP": rb"[A-Z]{3,10} \S+ HTTP/[0-9]",
    "SSH": rb"SSH-[12]\.",
    "TLS": rb"\x16\x03[\x00-\x04]",
}

_OURS = b"this is a chat server: join it with nc or telnet\r\n"
#: What to send before closing. TLS would take text of ours for a broken record.
FAREWELL = {
    "HTTP": b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n" + _OURS,
    "SSH": b"* " + _OURS,
    "TLS": b"",
}


def foreign(opening: bytes) -> str | None:
    """Return the protocol that a connection's first bytes belong to, if not ours."""
    for name, pattern in _FOREIGN.items():
        if re.match(pattern, opening):
            return name
    return None
