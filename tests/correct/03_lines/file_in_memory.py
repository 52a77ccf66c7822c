"""A correct decoder: the bytes go through a file in memory, read line by line."""

import io

MAX_LINE = 4096
TOO_LONG = "this line was too long"


class Decoder:
    """Bytes in any pieces to lines."""

    def __init__(self, max_line=MAX_LINE):
        self.limit = max_line
        self.begun = io.BytesIO()
        self.too_long = False

    def feed(self, data):
        """Return the lines that are complete now."""
        lines = []
        for part in io.BytesIO(data):  # in a binary file only LF ends a line
            self.write(part)
            if part.endswith(b"\n"):
                lines.append(self.read())
        return lines

    def finish(self):
        """Return what has no end."""
        return [self.read()] if self.too_long or self.begun.tell() else []

    def write(self, part):
        """Add to the line that was begun, if it has room."""
        if self.begun.tell() + len(part) > self.limit + 2:
            self.too_long = True
        if not self.too_long:
            self.begun.write(part)

    def read(self):
        """Return the line, and begin a new one."""
        raw = self.begun.getvalue()
        for end in (b"\r\n", b"\n", b"\r"):
            if raw.endswith(end):
                raw = raw[: -len(end)]
                break
        too_long = self.too_long or len(raw) > self.limit
        self.begun, self.too_long = io.BytesIO(), False
        return TOO_LONG if too_long else raw.decode(errors="replace")


def encode(line):
    """Return the bytes of a line."""
    return line.encode() + b"\n"
