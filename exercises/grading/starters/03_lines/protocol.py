"""Bytes to lines, and a line to bytes. No sockets here: only rules.

TCP carries a stream of bytes. It may be cut anywhere: in the middle of a line, in
the middle of a letter. This module finds the lines again.
"""

MAX_LINE = 4096  # bytes of a line, without its end
TOO_LONG = None  # what a decoder returns instead of a line that is longer


class Decoder:
    """Turns the bytes of one connection, in any pieces, into lines of text.

    A line ends with LF or CR LF. Each connection needs a decoder of its own.
    """

    def __init__(self, max_line=MAX_LINE):
        self._max_line = max_line
        self._kept = bytearray()  # the beginning of a line whose end has not come
        self._too_long = False  # that line is too long already; nothing of it is kept

    def feed(self, data):
        """Return the list of lines that `data` completes, as text without ends.

        A line of more than `max_line` bytes is TOO_LONG in that list.
        """
        *pieces, rest = data.split(b"\n")
        lines = []
        for piece in pieces:
            self._keep(piece)
            lines.append(self._take())
        self._keep(rest)
        return lines

    def finish(self):
        """Return the last line, in a list, if the stream ended without ending it."""
        return [self._take()] if self._kept or self._too_long else []

    def _keep(self, piece):
        """Add bytes to the line whose end has not come."""
        if not self._too_long:
            self._kept += piece
        if len(self._kept) > self._max_line + 1:  # 1 for a CR
            self._too_long = True
            self._kept.clear()

    def _take(self):
        """Return the line that is complete now, and begin the next one."""
        raw = bytes(self._kept).removesuffix(b"\r")
        too_long = self._too_long or len(raw) > self._max_line
        self._kept.clear()
        self._too_long = False
        # Only a whole line is decoded: no letter is cut in two.
        return TOO_LONG if too_long else raw.decode("utf-8", errors="replace")


def encode(line):
    """Return the bytes to send for a line of text."""
    return f"{line}\r\n".encode()
