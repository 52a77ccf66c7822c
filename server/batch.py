"""What one batch of events says to whom, so that each recipient costs one send.

Under load a batch holds many lines of many speakers, and nearly all of it goes to
nearly everybody. So the common bytes are joined once; what differs for a member
(not hearing oneself, a private line, coming or going in the middle) is a list of
edits: stretches of the common bytes, each replaced by other bytes.

Pure: no sockets, no threads. Imports nothing of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

TYPE_CHECKING = False  # type checkers take it for True; spares importing typing
if TYPE_CHECKING:
    from room import Member

_END = sys.maxsize  # a position behind whatever the batch will hold


class Batch:
    """Frames and their recipients, in the order of what happened."""

    __slots__ = ("_edits", "_frames", "_position", "departed", "size")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._position = 0  # length of the common bytes so far
        # Per member: from where to where, and what stands there instead.
        self._edits: dict[Member, list[tuple[int, int, bytes]]] = {}
        #: Who has gone, in order (the values mean nothing).
        self.departed: dict[Member, None] = {}
        #: Bytes held, common and private.
        self.size = 0

    def to_all(self, frame: bytes, but: Member | None = None) -> None:
        """Send `frame` to everyone except the member `but`."""
        start = self._position
        self._frames.append(frame)
        self._position += len(frame)
        self.size += len(frame)
        if but is not None:
            self._edit(but, start, self._position, b"")

    def to_one(self, member: Member, frame: bytes) -> None:
        """Send `frame` to `member` alone."""
        self.size += len(frame)
        self._edit(member, self._position, self._position, frame)

    def enter(self, member: Member) -> None:
        """Let `member` hear only what comes from here on."""
        self._edit(member, 0, self._position, b"")

    def leave(self, member: Member) -> None:
        """Let `member` hear nothing of what comes from here on."""
        self._edit(member, self._position, _END, b"")
        self.departed[member] = None

    def parcels(self, present: Iterable[Member]) -> Iterator[tuple[Member, bytes]]:
        """Yield the bytes for each recipient: those present, then the departed."""
        common = b"".join(self._frames)
        edits = self._edits
        if not common:  # private lines only: no walk through everyone present
            present = [member for member in edits if member not in self.departed]
        for member in present:
            if member in edits:
                yield member, self._apply(edits[member], common)
            else:
                yield member, common
        for member in self.departed:
            yield member, self._apply(edits[member], common)

    def _edit(self, member: Member, start: int, end: int, instead: bytes) -> None:
        self._edits.setdefault(member, []).append((start, end, instead))

    @staticmethod
    def _apply(edits: list[tuple[int, int, bytes]], common: bytes) -> bytes:
        parts: list[bytes] = []
        position = 0
        for start, end, instead in edits:
            parts += (common[position:start], instead)
            position = end
        parts.append(common[position:])
        return b"".join(parts)
