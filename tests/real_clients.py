"""The programs people join a chat with, and how each behaves, as data.

`test_real_clients.py` holds every one of these statements against the real program.
`python tests/real_clients.py` prints them as a table for the documentation. Debian 12.

Imports nothing of ours.
"""

from dataclasses import dataclass
from typing import Literal

# What the end of input does: Ctrl-D on a terminal, or the end of what is piped in.
#   half-closes  the server is told (FIN, or telnet's EOF); what it says is still shown
#   stays        the server is told nothing; what it says is still shown
#   leaves       the program ends at once, and what was under way is lost
End = Literal["half-closes", "stays", "leaves"]

# What Ctrl-C does. "interrupts": telnet tells the server, and goes on. "asks": a menu.
Interrupt = Literal["leaves", "interrupts", "asks"]


@dataclass(frozen=True)
class Client:
    """One program with its options, and what it does."""

    command: str  # with HOST and PORT in it
    package: str  # Debian's; "" for our own client
    ctrl_d: End = "half-closes"
    pipe_end: End = "half-closes"
    ctrl_c: Interrupt = "leaves"
    interrupted: int = -2  # exit code after Ctrl-C; -2: killed by SIGINT
    # Once the server has ended the connection: ends too, or waits for its own stdin?
    waits: bool = False
    reset_ends: bool = False  # if it waits: until the server resets, 1 s later
    closed: int = 0  # exit code then, after /quit
    stopped: int = 0  # exit code when the server stops
    own_modes: bool = False  # sets the terminal to its liking; others leave it alone
    also: str = ""  # another name for the program
    note: str = ""

    @property
    def name(self) -> str:
        """Return the command without what is the same for all: for test reports."""
        same = {"python", "HOST", "PORT", "-P", "-", "TCP:HOST:PORT"}
        words = [word for word in self.command.split() if word not in same]
        return " ".join(words).removeprefix("client/")

    @property
    def programs(self) -> list[str]:
        """Return the names under which it may be installed, the best first."""
        return [name for name in (self.command.split()[0], self.also) if name]


CLIENTS = [
    Client(
        "python client/chat.py HOST PORT",
        "",
        ctrl_d="leaves",
        interrupted=130,
        stopped=1,
        own_modes=True,
        note="the typed line survives what arrives; `exit` leaves too",
    ),
    Client(
        "nc.openbsd HOST PORT",
        "netcat-openbsd",
        ctrl_d="stays",
        pipe_end="stays",
        waits=True,
        reset_ends=True,
        note="the usual `nc` of Debian and Ubuntu; for pipes take `-N`",
    ),
    Client(
        "nc.openbsd -N HOST PORT",
        "netcat-openbsd",
        waits=True,
        reset_ends=True,
    ),
    Client(
        "nc.traditional HOST PORT",
        "netcat-traditional",
        ctrl_d="stays",
        pipe_end="stays",
        interrupted=1,
        note="for pipes take `-q 1`",
    ),
    Client(
        "nc.traditional -q 1 HOST PORT",
        "netcat-traditional",
        interrupted=1,
        note="ends 1 s after its input",
    ),
    Client(
        "ncat HOST PORT",
        "ncat",
        waits=True,
    ),
    Client(
        "busybox nc HOST PORT",
        "busybox",
    ),
    Client(
        "socat - TCP:HOST:PORT",
        "socat",
        interrupted=130,
        note="ends 0.5 s after its input or the server; `-t 2` gives it 2 s",
    ),
    Client(
        "plink -raw -P PORT HOST",
        "putty-tools",
        waits=True,
        own_modes=True,
    ),
    Client(
        "plink -telnet -P PORT HOST",
        "putty-tools",
        own_modes=True,
        note="negotiates at once; all it offers is refused, and nobody sees any of it",
    ),
    Client(
        "inetutils-telnet HOST PORT",
        "inetutils-telnet",
        ctrl_d="stays",
        pipe_end="leaves",
        ctrl_c="interrupts",
        own_modes=True,
        also="telnet",
        note="leave with `/quit`, or Ctrl-] and `quit`; Ctrl-D sends the byte 04;"
        " in a pipe it takes the byte 80 (as in 😀) for Ctrl-C",
    ),
    Client(
        "busybox telnet HOST PORT",
        "busybox",
        ctrl_d="leaves",
        pipe_end="leaves",
        ctrl_c="asks",
        closed=1,
        stopped=1,
        note="Ctrl-C opens its menu: `e` leaves, `l` goes on",
    ),
]


# ------------------------------------------------------------------------- the table

_HEAD = [
    "command",
    "on a terminal",
    "`printf '/who\\nbye' \\|`",
    "Ctrl-C",
    "Ctrl-D",
    "after `/quit`",
    "when the server stops",
    "good to know",
]
_PIPED: dict[End, str] = {
    "half-closes": "answer and last line",
    "stays": "answer; without its line end, the last line is not sent; does not end",
    "leaves": "**answer lost**: keep the pipe open, end with `/quit`",
}
_CTRL_C: dict[Interrupt, str] = {
    "leaves": "leaves",
    "interrupts": "goes on; the screen stays alive",
    "asks": "its menu",
}
_CTRL_D: dict[End, str] = {
    "half-closes": "leaves after 1 s",
    "stays": "nothing",
    "leaves": "leaves",
}


def table() -> str:
    """Return what is stated above as a table in Markdown."""
    rows = [_HEAD, ["---"] * len(_HEAD), *map(_row, CLIENTS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(client: Client) -> list[str]:
    code = _coded("", client.interrupted) if client.ctrl_c == "leaves" else ""
    return [
        f"`{client.command}`",
        "yes",
        _PIPED[client.pipe_end],
        _CTRL_C[client.ctrl_c] + code,
        _CTRL_D[client.ctrl_d],
        _ending(client, client.closed),
        _ending(client, client.stopped),
        client.note,
    ]


def _ending(client: Client, code: int) -> str:
    if client.reset_ends:
        return _coded("last words; ends 1 s later or with Ctrl-D", code)
    if client.waits:
        return "last words; ends with Ctrl-D"
    return _coded("last words; ends", code)


def _coded(text: str, code: int) -> str:
    return f"{text}, exit code {code if code >= 0 else 128 - code}"


if __name__ == "__main__":
    print(table(), end="")
