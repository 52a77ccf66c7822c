"""A correct decoder: what is kept and what comes are joined and split.

The tail is immutable bytes. Of a line that is too long its first bytes are kept, as a
sign that it is too long; TOO_LONG comes when the line has ended.
"""

MAX_LINE = 4096
TOO_LONG = None


class Decoder:
    """Bytes in any pieces to lines."""

    def __init__(self, max_line=MAX_LINE):
        self.max_line = max_line
        self.tail = b""

    def feed(self, data):
        """Return the lines that are complete now."""
        *complete, tail = (self.tail + data).split(b"\n")
        if len(tail) > self.max_line + 2:
            tail = tail[: self.max_line] + b"xx"  # too long, whatever follows
        self.tail = tail
        return [self._text(raw) for raw in complete]

    def finish(self):
        """Return what has no end."""
        tail, self.tail = self.tail, b""
        return [self._text(tail)] if tail else []

    def _text(self, raw):
        if raw[-1:] == b"\r":
            raw = raw[:-1]
        return str(raw, "utf-8", "replace") if len(raw) <= self.max_line else TOO_LONG


def encode(line):
    """Return the bytes of a line."""
    return (line + "\r\n").encode()
