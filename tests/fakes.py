"""Stand-ins for what the room and the delivery need of the rest."""

from room import Member, Room


class FakeOutbox:
    """An outbox that keeps what was sent, in order, and never fails."""

    def __init__(self) -> None:
        """Begin empty."""
        self.sent = bytearray()
        self.ended = False
        self.queued = 0

    def send(self, data: bytes) -> None:
        """Keep `data`."""
        self.sent += data

    def end(self) -> None:
        """Note the end."""
        self.ended = True


class Table:
    """A room with members who hear: events run at once, each a batch of its own."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.room = Room()
        self._count = 0

    def join(self, address: str = "192.0.2.1:1234") -> Member:
        """Let somebody in; what it has heard so far is forgotten by everybody."""
        self._count += 1
        member = Member(f"guest{self._count}", address, FakeOutbox())  # type: ignore[arg-type]
        self.room.join(member)
        self.settle()
        for other in self.room.members.values():
            heard(other)
        return member

    def settle(self) -> None:
        """Deliver what the room has to say."""
        batch, self.room.out = self.room.out, type(self.room.out)()
        for member, parcel in batch.parcels(self.room.members.values()):
            member.outbox.send(parcel)
        for member in batch.departed:
            member.outbox.end()

    def say(self, member: Member, *lines: str | None) -> None:
        """Have `member` say lines."""
        self.room.hear(member, list(lines))
        self.settle()


def heard(member: Member) -> list[str]:
    """Return the lines that `member` has got since last asked."""
    outbox = member.outbox
    assert isinstance(outbox, FakeOutbox)
    text, outbox.sent = outbox.sent.decode(), bytearray()
    assert not text or text.endswith("\r\n")
    return text.split("\r\n")[:-1]
