"""A correct decoder: all bytes in one bytearray, and `find` for the next line end.

It reports a line that is too long as soon as it knows, and takes lines off the front.
"""

MAX_LINE = 4096
TOO_LONG = None


class Decoder:
    """Bytes in any pieces to lines."""

    def __init__(self, max_line=MAX_LINE):
        self.max_line = max_line
        self.buffer = bytearray()
        self.skipping = False

    def feed(self, data):
        """Return the lines that are complete now."""
        self.buffer += data
        lines = []
        while (end := self.buffer.find(b"\n")) >= 0:
            raw = self.buffer[:end]
            del self.buffer[: end + 1]  # quick: a bytearray only moves its beginning
            lines += self.line(raw)
        if self.skipping:
            self.buffer.clear()
        elif len(self.buffer.removesuffix(b"\r")) > self.max_line:
            self.buffer.clear()
            self.skipping = True
            lines.append(TOO_LONG)
        return lines

    def line(self, raw):
        """Return a list of one line, or of none if it was reported already."""
        if self.skipping:
            self.skipping = False
            return []
        raw = raw.removesuffix(b"\r")
        return [TOO_LONG if len(raw) > self.max_line else raw.decode(errors="replace")]

    def finish(self):
        """Return what has no end."""
        rest, self.buffer = self.buffer, bytearray()
        return self.line(rest) if rest else []


def encode(line):
    """Return the bytes of a line."""
    return line.encode() + b"\n"
