"""The chat server: `python server/mchat.py`, then `nc`, `telnet` or `client/chat.py`.

The command line, and what comes before the first client. The rest, in reading order:
`protocol` (bytes to lines, text to frames), `room` (who hears what), `delivery`
(frames out), `session` (one client), `acceptor` (the accept loop, and the end),
`console` (the operator).

Threads: this one accepts; `console` reads the operator's lines; one for each client
receives; `flusher` waits for sockets that were full; `journal` writes the log.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
from contextlib import suppress

import protocol
from journal import Journal, StandardError, log_file, write
from listener import explain, invitation, listen, show_address
from stopping import Stop

TYPE_CHECKING = False  # type checkers take it for True; spares importing typing
if TYPE_CHECKING:
    from typing import NoReturn

log = logging.getLogger("mchat")

STACK = 256 * 1024  # bytes of address space a thread; Linux would take 8 MiB


class Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"{self.prog}: {message}; --help lists the options\n")


def parse_arguments() -> argparse.Namespace:
    """Return the options; exits with code 2 and a line on stderr if they are wrong."""
    parser = Parser(
        prog="mchat.py",
        description="A chat server for nc, telnet and client/chat.py.",
        # Without a width, argparse imports a module just to measure the terminal.
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=79),
    )
    add = parser.add_argument
    add("--host", help="name or address to listen on (all)")
    add("--port", type=_port, default=protocol.DEFAULT_PORT, help="0: any free (5000)")
    add("--max-clients", type=_positive, default=1000, metavar="N", help="(1000)")
    add(
        "--max-line",
        type=_positive,
        default=protocol.MAX_LINE,
        metavar="BYTES",
        help=f"longest line of a client ({protocol.MAX_LINE})",
    )
    add(
        "--outbox",
        type=_positive,
        default=1024 * 1024,
        metavar="BYTES",
        help="what may wait for a client that does not read; it is dropped past"
        " that (1 MiB)",
    )
    add(
        "--rate",
        type=_rate,
        default=20,
        metavar="LINES_PER_SECOND",
        help="of a client, after a burst of 100; 0: no limit (20)",
    )
    add("--log", metavar="FILE", help="log to this file too; it is rotated")
    add("--verbose", action="store_true", help="log what is said, and more")
    return parser.parse_args()


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 65535")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _rate(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of 0 or more")
    return number


_port.__name__ = "port"  # argparse names the type in its error messages
_positive.__name__ = "number"
_rate.__name__ = "number"


def allow_descriptors(count: int) -> None:
    """Raise the limit of open files; macOS starts with 256, most Linux with 1024."""
    try:
        import resource
    except ImportError:
        return  # Windows has no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def start_log(path: str | None, *, verbose: bool) -> list[Journal]:
    """Send the log to stderr and, if wanted, to the file `path`. Raises OSError."""
    targets = [StandardError(), *([log_file(path)] if path else [])]
    journals = [Journal(target) for target in targets]
    for journal in journals:
        log.addHandler(journal)
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    return journals


def open_standard_streams() -> None:
    """Open what is closed, or the next socket would get its descriptor, and our log."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def main() -> int:
    """Run the server; return the exit code."""
    open_standard_streams()
    options = parse_arguments()
    try:
        journals = start_log(options.log, verbose=options.verbose)
    except OSError as exc:
        return fail(f"cannot log to {options.log}: {exc.strerror or exc}")
    try:
        listener = listen(options.host, options.port)
    except OSError as exc:
        return fail(explain(exc, options.host, options.port))
    stop = Stop()
    stop.on_signals()
    write(1, f"listening on {show_address(listener.getsockname())}")
    run(listener, stop, options)
    stop.close()
    for journal in journals:
        journal.close()
    if any(journal.is_stuck for journal in journals):
        os._exit(0)  # at an ordinary exit, `logging` would wait for it
    return 0


def run(listener: socket.socket, stop: Stop, options: argparse.Namespace) -> None:
    """Serve until `stop` is asked for."""
    # Most of the code is imported only here. Whoever connects already, now that the
    # listener is open, waits in its backlog meanwhile.
    import console
    from acceptor import Server
    from session import Limits

    write(1, invitation(listener))
    threading.stack_size(STACK)
    allow_descriptors(options.max_clients + 64)
    limits = Limits(
        max_clients=options.max_clients,
        max_line=options.max_line,
        outbox=options.outbox,
        rate=options.rate,
    )
    server = Server(listener, limits)
    if options.verbose or sys.stderr.isatty():  # an operator wants to see the talk
        server.room.listeners.append(lambda line: log.info("%s", line))
    console.start(server, stop)
    server.serve(stop)


def fail(why: str) -> int:
    """Report wrong usage; return the exit code for it."""
    print(f"mchat.py: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
