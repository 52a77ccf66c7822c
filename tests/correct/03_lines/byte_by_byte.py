"""A correct decoder: a state machine that looks at one byte after the other."""

MAX_LINE = 4096
TOO_LONG = None
CR, LF = b"\r\n"


class Decoder:
    """Bytes in any pieces to lines."""

    def __init__(self, max_line=MAX_LINE):
        self._max_line = max_line
        self._begin()

    def _begin(self):
        self._line = bytearray()
        self._cr = False  # a CR has come; the next byte tells what it is
        self._begun = False
        self._told = False  # this line was too long, and that was said

    def feed(self, data):
        """Return the lines that are complete now."""
        lines = []
        for byte in data:
            if byte == LF:
                self._end(lines)
                continue
            self._begun = True
            if self._cr:
                self._add(CR, lines)
            self._cr = byte == CR
            if not self._cr:
                self._add(byte, lines)
        return lines

    def finish(self):
        """Return what has no end."""
        lines = []
        if self._begun:
            self._end(lines)
        return lines

    def _add(self, byte, lines):
        if self._told:
            return
        if len(self._line) < self._max_line:
            self._line.append(byte)
        else:
            self._told = True
            self._line.clear()
            lines.append(TOO_LONG)

    def _end(self, lines):
        if not self._told:
            lines.append(self._line.decode("utf-8", errors="replace"))
        self._begin()


def encode(line):
    """Return the bytes of a line."""
    return bytes(line, "utf-8") + b"\r\n"
