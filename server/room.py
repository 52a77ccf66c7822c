"""The room: who is here, and who hears what.

Every method runs in one thread at a time, in the one order in which all members
see the lines (`delivery` sees to both). What a method has to say, it puts into
`room.out`; nothing is sent from here.

Pure: no sockets, no threads. Of ours it imports `batch`, `commands`, `protocol`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import islice

import commands
import protocol
from batch import Batch
from protocol import Line

TYPE_CHECKING = False  # type checkers take it for True; spares importing typing
if TYPE_CHECKING:
    from delivery import Outbox

log = logging.getLogger("mchat")

NAMES_IN_WELCOME = 20  # with 10,000 members, all of them would be 100 kB a welcome


class Member:
    """Someone in the room."""

    __slots__ = ("address", "guest", "name", "outbox", "present", "since")

    def __init__(self, name: str, address: str, outbox: Outbox) -> None:
        self.name = name
        self.guest = name  # the name to begin with, which stays reserved for it
        self.address = address  # for the operator and the log, never for members
        self.outbox = outbox  # the way to this member; the room only carries it
        self.since = time.time()
        self.present = False


class Room:
    """All members, and what is said."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}  # by folded name
        self.out = Batch()
        #: Called with each line that somebody says to everyone, as the others get
        #: it but without its end: the seam for a console, a history, a bridge.
        #: Must not block.
        self.listeners: list[Callable[[str], None]] = []
        self._closed = False

    # ------------------------------------------------------------ coming and going

    def join(self, member: Member) -> None:
        """Take a new client in and tell everyone."""
        if self._closed:
            self.out.leave(member)
            return
        member.present = True
        self.tell_all(f"{member.name} joined")
        self.out.enter(member)
        self.tell(member, self._welcome(member))
        self.members[member.name] = member
        log.info("%s joined from %s", member.name, member.address)

    def _welcome(self, member: Member) -> str:
        names = [
            other.name for other in islice(self.members.values(), NAMES_IN_WELCOME)
        ]
        if len(self.members) > len(names):
            names.append(f"and {len(self.members) - len(names)} more")
        here = f"here: {', '.join(names)}" if names else "nobody else is here yet"
        return f"welcome, you are {member.name}; {here}; /help lists the commands"

    def leave(self, member: Member, farewell: str = "") -> None:
        """Let a member go, once, however it goes, and tell the others.

        `farewell` is the last line that the member itself gets.
        """
        if not member.present:
            return
        if farewell:
            self.tell(member, farewell)
        member.present = False
        del self.members[protocol.fold(member.name)]
        self.out.leave(member)
        self.tell_all(f"{member.name} left")
        log.info("%s left (%s)", member.name, member.address)

    def rename(self, member: Member, name: str) -> str:
        """Give `member` another name; return why not, or an empty string."""
        if not protocol.is_name(name):
            return protocol.NAME_RULE
        if protocol.is_reserved(name) and protocol.fold(name) != member.guest:
            return f"the name {name} is reserved"
        if self.find(name) not in (None, member):
            return f"the name {name} is taken"
        before = member.name
        if name == before:
            return f"you are {name} already"
        del self.members[protocol.fold(before)]
        member.name = name
        self.members[protocol.fold(name)] = member
        self.tell_all(f"{before} is now {name}", but=member)
        self.tell(member, f"you are now {name}")
        log.info("%s is now %s", before, name)
        return ""

    def find(self, name: str) -> Member | None:
        """Return the member of that name, ignoring case."""
        return self.members.get(protocol.fold(name))

    def close(self) -> None:
        """Tell everyone that the server stops, and let all go."""
        self._closed = True
        self.tell_all("the server is stopping, goodbye")
        for member in self.members.values():
            member.present = False
            self.out.leave(member)
        self.members.clear()

    # ----------------------------------------------------------------- being heard

    def hear(self, member: Member, lines: list[Line]) -> None:
        """Take lines from a member: text to say, or commands."""
        said = [line for line in lines if line and line[0] != "/"]
        if len(said) == len(lines):
            self._say(member, said)
            return
        for line in lines:
            if not member.present:  # it has just said /quit
                break
            if line is protocol.TOO_LONG:
                self.tell(member, "that line was too long, nobody has seen it")
            elif line.startswith("//"):
                self._say(member, [line[1:]])
            elif line.startswith("/"):
                commands.obey(self, member, line)
            elif line:
                self._say(member, [line])

    def _say(self, member: Member, lines: list[str]) -> None:
        if member.present:
            self.out.to_all(protocol.speech(member.name, lines), but=member)
            for line in lines if self.listeners else ():
                self._note(f"[{member.name}] {line}")

    def act(self, member: Member, text: str) -> None:
        """Tell the others what a member does."""
        self.tell_all(f"{member.name} {text}", but=member)
        self._note(f"* {member.name} {text}")

    def announce(self, text: str) -> None:
        """Say a line as the operator. `text` is clean."""
        self.out.to_all(protocol.operator_speech(text))
        self._note(f"[server] {text}")

    def _note(self, line: str) -> None:
        for listener in self.listeners:
            listener(line)

    # ---------------------------------------------------------------------- telling

    def tell(self, member: Member, *texts: str) -> None:
        """Give notices to one member, if it is still here."""
        if member.present:
            for text in texts:
                self.out.to_one(member, protocol.notice(text))

    def tell_all(self, text: str, but: Member | None = None) -> None:
        """Give a notice to everyone, except the member `but`."""
        self.out.to_all(protocol.notice(text), but)
