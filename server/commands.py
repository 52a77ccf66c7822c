"""What can be typed behind a slash: one table for members, one for the operator.

A handler gets the rest of the line, blanks around it removed. It runs inside the
room, so it may read and change the room, and must not block.

Pure: no sockets, no threads. Of ours it imports only `protocol`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping

import protocol

TYPE_CHECKING = False  # type checkers take it for True; spares importing typing
if TYPE_CHECKING:
    from room import Member, Room


NAMES_A_LINE = 100

# ------------------------------------------------------------- what members can do


def obey(room: Room, member: Member, line: str) -> None:
    """Run the command that `line`, which starts with a slash, asks for."""
    word, _, rest = line[1:].partition(" ")
    if word.lower() in COMMANDS:
        handler = COMMANDS[word.lower()][0]
        handler(room, member, rest.strip())
    else:
        room.tell(member, f"unknown command /{word[:20]}; /help lists the commands")


def _nick(room: Room, member: Member, name: str) -> None:
    refusal = room.rename(member, name) if name else "usage: /nick NAME"
    if refusal:
        room.tell(member, refusal)


def _who(room: Room, member: Member, _: str) -> None:
    first, *more = _list_names(room)
    room.tell(member, f"here ({len(room.members)}): {first}", *more)


def _msg(room: Room, member: Member, rest: str) -> None:
    name, _, text = rest.partition(" ")
    receiver = room.find(name)
    if not text.strip():
        room.tell(member, "usage: /msg NAME TEXT")
    elif receiver is None:
        room.tell(member, f"nobody here is called {name[:20]}; /who tells who is here")
    else:
        frame = protocol.private(member.name, receiver.name, text)
        room.out.to_one(receiver, frame)


# Behind `* NAME`, these would pass for what the server itself tells.
_FORGERY = r"(?i)\W*(joined|left|is\W+now)\b"


def _me(room: Room, member: Member, text: str) -> None:
    if not text:
        room.tell(member, "usage: /me TEXT")
    elif re.match(_FORGERY, text):
        room.tell(member, "that would look like a notice of the server; say it plainly")
    else:
        room.act(member, text)


def _help(room: Room, member: Member, _: str) -> None:
    room.tell(member, *_list(COMMANDS), "//TEXT  say /TEXT to everyone")


def _quit(room: Room, member: Member, _: str) -> None:
    room.leave(member, farewell="goodbye")


Handler = Callable[["Room", "Member", str], None]
#: Name: handler, arguments, what it does.
COMMANDS: dict[str, tuple[Handler, str, str]] = {
    "nick": (_nick, "NAME", f"take another name ({protocol.NAME_RULE})"),
    "who": (_who, "", "tell who is here"),
    "msg": (_msg, "NAME TEXT", "say something to one member only"),
    "me": (_me, "TEXT", "tell what you do: * NAME TEXT"),
    "help": (_help, "", "list the commands"),
    "quit": (_quit, "", "leave"),
}


# --------------------------------------------------------- what the operator can do


def operate(room: Room, line: str) -> list[str]:
    """Run a line of the operator, already cleaned; return lines to show there."""
    if line.startswith("//"):
        line = line[1:]
    elif line.startswith("/"):
        word, _, rest = line[1:].partition(" ")
        if word.lower() in OPERATOR:
            return OPERATOR[word.lower()][0](room, rest.strip())
        return [f"unknown command /{word}; /help lists the commands"]
    if line:
        room.announce(line)
    return []


def _operator_who(room: Room, _: str) -> list[str]:
    rows = [f"{len(room.members)} here"]
    for member in room.members.values():
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(member.since))
        who = f"  {member.name:16}  {member.address:21}"
        rows.append(f"{who}  since {since}  {member.outbox.queued} bytes queued")
    return rows


def _operator_kick(room: Room, rest: str) -> list[str]:
    name, _, reason = rest.partition(" ")
    member = room.find(name)
    if not name:
        return ["usage: /kick NAME [REASON]"]
    if member is None:
        return [f"nobody here is called {name}; /who tells who is here"]
    because = f": {reason.strip()}" if reason.strip() else ""
    room.leave(member, farewell=f"you were removed by the operator{because}")
    return [f"{member.name} was removed"]


def _operator_help(room: Room, _: str) -> list[str]:
    return [
        "TEXT  say it to everyone",
        *_list(OPERATOR),
        "//TEXT  say /TEXT to everyone",
        "exit  stop the server",
    ]


OperatorHandler = Callable[["Room", str], list[str]]
#: Name: handler, arguments, what it does.
OPERATOR: dict[str, tuple[OperatorHandler, str, str]] = {
    "who": (_operator_who, "", "tell who is here, from where, since when"),
    "kick": (_operator_kick, "NAME [REASON]", "remove a member"),
    "help": (_operator_help, "", "list the commands"),
}


# -------------------------------------------------------------------------- shared


def _list(table: Mapping[str, tuple[object, str, str]]) -> list[str]:
    return [
        f"/{name} {arguments}".rstrip() + f"  {purpose}"
        for name, (_, arguments, purpose) in table.items()
    ]


def _list_names(room: Room) -> list[str]:
    """Return all names in alphabetical order, on as few lines as is readable."""
    names = sorted((it.name for it in room.members.values()), key=protocol.fold)
    rows = [names[i : i + NAMES_A_LINE] for i in range(0, len(names), NAMES_A_LINE)]
    return [", ".join(row) for row in rows]
