"""A correct decoder: a regular expression finds the lines.

What it keeps is a list of pieces, joined when the end of their line comes. TOO_LONG is
an object of its own.
"""

import re

MAX_LINE = 4096
TOO_LONG = object()
LINE = re.compile(rb"([^\n]*)(\n?)")


class Decoder:
    """Bytes in any pieces to lines."""

    def __init__(self, max_line=MAX_LINE):
        self._max_line = max_line
        self._pieces = []
        self._size = 0

    def feed(self, data):
        """Return the lines that are complete now."""
        return [
            line for piece in LINE.finditer(data) for line in self._add(*piece.groups())
        ]

    def finish(self):
        """Return what has no end."""
        return self._add(b"", b"\n") if self._size else []

    def _add(self, piece, end):
        self._size += len(piece)
        if self._size <= self._max_line + 1:
            self._pieces.append(piece)
        else:
            self._pieces.clear()
        if not end:
            return []
        raw = re.sub(rb"\r\Z", b"", b"".join(self._pieces))
        too_long = self._size > self._max_line + 1 or len(raw) > self._max_line
        self._pieces, self._size = [], 0
        return [TOO_LONG if too_long else raw.decode("utf-8", "replace")]


def encode(line):
    """Return the bytes of a line."""
    return f"{line}\n".encode()
