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
        # TODO 1: cut `data` at every b"\n". What stands before one ends a line: `_keep`
        # it, and `_take` the line. What stands behind the last one is only kept.
        return []

    def finish(self):
        """Return the last line, in a list, if the stream ended without ending it."""
        # TODO 2: if a line has been begun, take it.
        return []

    def _keep(self, piece):
        """Add bytes to the line whose end has not come."""
        # TODO 4: if the line has become too long, note that in `_too_long`, forget what
        # is kept of it, and keep nothing more. Its end is found nevertheless.
        self._kept += piece

    def _take(self):
        """Return the line that is complete now, and begin the next one."""
        # TODO 3: a CR at the end belongs to the line's end. And bytes that are no UTF-8
        # must not raise an error here.
        # TODO 4: a line of more than `max_line` bytes is TOO_LONG.
        raw = bytes(self._kept)
        self._kept.clear()
        return raw.decode()


def encode(line):
    """Return the bytes to send for a line of text."""
    return f"{line}\r\n".encode()
