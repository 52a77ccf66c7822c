"""What a program has printed on one stream: bounded, and read line by line. No I/O."""

KEPT = 131_072  # bytes kept from the beginning, and as many from the end


class Output:
    """The beginning and the newest part of one stream, with a place to read on from."""

    def __init__(self) -> None:
        """Begin with nothing printed."""
        self.kept = bytearray()
        self.left_out = 0  # bytes between the first KEPT and the rest
        self.lines = 0  # seen by the transcript; only the draining thread touches it
        self.ended = False
        self._place = 0

    @property
    def size(self) -> int:
        """Bytes printed so far, those that were left out included."""
        return len(self.kept) + self.left_out

    def add(self, data: bytes) -> None:
        """Append `data`, leaving out bytes in the middle if there are too many."""
        self.kept += data
        excess = len(self.kept) - 2 * KEPT
        if excess > 0:
            del self.kept[KEPT : KEPT + excess]
            self.left_out += excess
            if self._place > KEPT:
                self._place = max(KEPT, self._place - excess)

    def text(self) -> str:
        """Return what is kept; bytes that are not UTF-8 appear as \\xff."""
        head, tail = self.kept[:KEPT], self.kept[KEPT:]
        if self.left_out:
            head += b"\n... %d bytes left out ...\n" % self.left_out
        return (head + tail).decode(errors="backslashreplace")

    def next_line(self) -> bytes | None:
        """Return the next line with its end; None if it is not complete yet."""
        end = self.kept.find(b"\n", self._place) + 1
        if not end and self.ended:
            end = len(self.kept)
        if end <= self._place:
            return None
        line = bytes(self.kept[self._place : end])
        self._place = end
        return line
