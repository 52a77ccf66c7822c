"""A correct decoder: first bytes become text, with the decoder of `codecs`; then lines.

That one keeps the first bytes of a letter until the others come.
"""

import codecs

MAX_LINE = 4096
TOO_LONG = None


class Decoder:
    """Bytes in any pieces to lines."""

    def __init__(self, max_line=MAX_LINE):
        self._max_line = max_line
        self._letters = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text = ""
        self._told = False

    def feed(self, data):
        """Return the lines that are complete now."""
        return self._lines(self._letters.decode(data))

    def finish(self):
        """Return what has no end."""
        text = self._letters.decode(b"", final=True)
        self._letters.reset()
        return self._lines(text) + self._lines("\n" if self._text or self._told else "")

    def _lines(self, text):
        before, *behind = text.split("\n")
        self._text += before
        lines = []
        for piece in behind:
            lines += self._complete()
            self._text = piece
        if len(self._raw()) > self._max_line + 1:
            lines += self._complete()
            self._told = True
        if self._told:
            self._text = ""
        return lines

    def _complete(self):
        told, self._told = self._told, False
        if told:
            return []
        raw = self._raw().removesuffix(b"\r")
        return [TOO_LONG if len(raw) > self._max_line else raw.decode(errors="replace")]

    def _raw(self):
        return self._text.encode(errors="surrogateescape")


def encode(line):
    """Return the bytes of a line."""
    return f"{line}\r\n".encode()
