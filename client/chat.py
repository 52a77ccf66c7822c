"""The chat client: `python client/chat.py [HOST] [PORT] [--name NAME] [--no-bell]`.

Two things have to go on at once: lines arrive, and lines are typed. In a pipe, and in
a plain terminal, each has a thread: this one receives and shows, `typist` reads and
sends. With prompt_toolkit, `prompt.py` does both in one thread, with asyncio.

Of ours it imports `protocol`, `screen`, and, if it can, `prompt`.
"""

from __future__ import annotations

import argparse
import math
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

# The one line that lets client and server share a module without installing anything.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "server"))

import protocol
from screen import Screen, remark

LEFT, LOST, NOT_CONNECTED, INTERRUPTED, TERMINATED = 0, 1, 3, 130, 143  # exit codes

CONNECT_TIMEOUT = 10.0  # seconds, for each address that the host has
GLANCE = 0.2  # seconds; see Chat.receive


class Chat:
    """The connection, and how it may end. One thread receives, one sends."""

    PIECE = 64 * 1024  # bytes received, or characters typed, at a time
    GOODBYE = 0.3  # seconds to wait for the server's last words once we have left

    def __init__(self, sock: socket.socket, screen: Screen, *, terminal: bool) -> None:
        self.sock = sock
        self.screen = screen  # used by the receiving thread
        self.terminal = terminal
        # Set by the sending thread, once; read by the other.
        self.left = False  # we have said that we leave
        self.silent = False  # we have said all: the server may close in good order
        self._leave_by = math.inf
        self._reset = ""  # why the connection broke, if it did

    def frame(self, text: str) -> bytes:
        """Return what to send for `text`, a line; note if it means that we leave."""
        if self.terminal and text.strip() == "exit":
            self.left = True
            return b""
        if text.rstrip("\n").partition(" ")[0].lower() == "/quit":
            self.left = True
        return text.encode(errors="surrogateescape")  # not UTF-8: as it came

    def half_close(self) -> None:
        """Tell the server that we have said all; go on receiving."""
        self.silent = True
        with suppress(OSError):  # it has been faster
            self.sock.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """Say that we leave. `receive` returns soon, whatever the server does."""
        self.left = True
        self.half_close()
        self._leave_by = time.monotonic() + self.GOODBYE

    def receive(self) -> None:
        """Show what arrives, until the end. Blocks, also while nobody reads stdout."""
        data = b"something"
        while data and time.monotonic() < self._leave_by:
            # A glance, not a wait without end: `leave` sets a deadline meanwhile, and
            # on Windows Ctrl-C does not end a wait for sockets (cpython#85609).
            if select.select([self.sock], [], [], GLANCE)[0]:
                try:
                    data = self.sock.recv(self.PIECE)
                except OSError as exc:
                    data = self.broken(exc)
                write(self.screen.take(data))

    def broken(self, exc: OSError) -> bytes:
        """Note why the connection broke; return what recv() does at an orderly end."""
        self._reset = reason(exc)
        return b""

    def verdict(self) -> int:
        """Return the exit code, once the connection has ended."""
        if self.left or (self.silent and not self._reset):
            return LEFT
        remark(f"connection lost: {self._reset or 'the server has closed it'}")
        return LOST


# -------------------------------------------------------- standard input and output


def typist(chat: Chat) -> None:
    """Send what is typed or piped in. A daemon thread: nothing wakes it from reading.

    (Not with `input()`: in a thread that still waits, it aborts the interpreter.)
    """
    try:
        for text in typed():
            chat.sock.sendall(chat.frame(text))
            if chat.left and chat.terminal:
                break
    except OSError:
        return  # the connection is gone, as `receive` finds out too
    if chat.terminal:
        chat.leave()
    else:
        chat.half_close()


def typed() -> Iterator[str]:
    """Yield lines as they come, with their ends; a very long one in pieces."""
    if sys.stdin is not None:  # it is if the shell has closed it: <&-
        with suppress(OSError):  # the terminal is gone
            while text := sys.stdin.readline(Chat.PIECE):
                yield text


def write(text: str) -> None:
    """Write to stdout, now. If that is no more, end the program; main thread only."""
    try:
        if text and sys.stdout is not None:
            print(text, end="", flush=True)
    except BrokenPipeError:
        sys.exit(LEFT)  # as in `chat.py | head`: nobody wants to know more
    except OSError as exc:
        remark(f"cannot write: {reason(exc)}")
        sys.exit(LOST)


def prepare_streams() -> None:
    """Make stdin take any bytes, and stdout any text, with LF alone."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", newline="\n")


def drop_output() -> None:
    """Let what stdout has not taken go nowhere, instead of holding up the end."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


# ------------------------------------------------------------------- the connection


def connect(host: str, port: int) -> socket.socket:
    """Return a connection to any address of `host`, or end with one line on stderr."""
    try:
        sock = socket.create_connection((host, port), CONNECT_TIMEOUT)
    except (OSError, UnicodeError) as exc:
        remark(f"cannot connect to {host} port {port} ({reason(exc)}): {hint(exc)}")
        sys.exit(NOT_CONNECTED)
    sock.settimeout(None)
    with suppress(OSError):  # macOS, if the server has closed already
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def hint(exc: Exception) -> str:
    """Return what to look at when a connection fails with `exc`."""
    if isinstance(exc, ConnectionRefusedError):
        return "is the server running? Start it with: python server/mchat.py"
    if isinstance(exc, (socket.gaierror, UnicodeError)):  # the latter: no host's name
        return "is the name right?"
    return "is the address right, and no firewall in between?"


def reason(exc: Exception) -> str:
    """Return the system's words for what went wrong."""
    return getattr(exc, "strerror", None) or str(exc)


def converse(sock: socket.socket, options: argparse.Namespace) -> int:
    """Talk until one side ends it; return the exit code."""
    terminal = is_terminal(sys.stdin) and is_terminal(sys.stdout)
    capable = terminal and os.environ.get("TERM") != "dumb"
    colours = capable and not os.environ.get("NO_COLOR")
    screen = Screen(colours=colours, bell=terminal and options.bell)
    chat = Chat(sock, screen, terminal=terminal)
    if options.name:
        with suppress(OSError):  # the server is gone, as is found out at once
            sock.sendall(chat.frame(f"/nick {options.name}\n"))
    if not (capable and edit_lines(chat)):
        threading.Thread(
            target=typist, args=(chat,), name="typist", daemon=True
        ).start()
        chat.receive()
    return chat.verdict()


def edit_lines(chat: Chat) -> bool:
    """Talk with the help of prompt_toolkit; return False at once if it is missing."""
    try:
        import prompt
    except ImportError:
        remark("what arrives will run into the line you type (it is sent whole all")
        remark("the same); to prevent that: pip install prompt_toolkit")
        return False
    prompt.talk(chat)
    return True


def is_terminal(stream: TextIO | None) -> bool:
    """Whether there is a person at that end."""
    return stream is not None and stream.isatty()


# ----------------------------------------------------------------- the command line


class Parser(argparse.ArgumentParser):
    """One that complains in one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """End the program with exit code 2."""
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def parse_arguments() -> argparse.Namespace:
    """Return the options; exits with code 2 if they are wrong."""
    parser = Parser(prog="chat.py", description="Talk to a chat server.")
    add = parser.add_argument
    add("host", nargs="?", default="127.0.0.1", metavar="HOST", help="(127.0.0.1)")
    port = protocol.DEFAULT_PORT
    add("port", nargs="?", type=_port, default=port, metavar="PORT", help=f"({port})")
    add("--name", type=_name, help=f"how to be called: {protocol.NAME_RULE}")
    add("--no-bell", dest="bell", action="store_false", help="never ring the bell")
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) not in range(1, 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 65535")
    return int(text)


def _name(text: str) -> str:
    if not protocol.is_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} will not do: {protocol.NAME_RULE}")
    return text


def main() -> int:
    """Run the client; return its exit code."""
    options = parse_arguments()
    prepare_streams()
    # An exception, so that a terminal is put back in order on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        with connect(options.host, options.port) as sock:
            remark(f"connected to {options.host} port {options.port}")
            return converse(sock, options)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # we are going as fast as we can
        drop_output()


if __name__ == "__main__":
    sys.exit(main())
