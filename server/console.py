"""The operator's console: what is typed into the server's own window.

Of ours it imports `acceptor`, `commands`, `journal`, `protocol`, `stopping`.
"""

import logging
import signal
import sys
import threading
from contextlib import suppress

import commands
import protocol
from acceptor import Server
from journal import write
from stopping import Stop

log = logging.getLogger("mchat")


def start(server: Server, stop: Stop) -> None:
    """Start reading the operator's lines."""
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    if hasattr(signal, "SIGTTIN"):
        # In the background of a shell, reading the terminal would stop the whole
        # server. So it fails instead, which counts as the end of input.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    thread = threading.Thread(target=read_lines, args=(server, stop), name="console")
    thread.daemon = True
    thread.start()


def read_lines(server: Server, stop: Stop) -> None:
    """Read the operator's lines; the thread ends with standard input.

    The thread is a daemon: nothing wakes it from reading a terminal.
    """
    with suppress(OSError, ValueError):  # a terminal that is gone
        for line in sys.stdin:
            text = protocol.clean(line.rstrip("\r\n"))
            if text.strip() == "exit":
                stop.ask()
                return
            for row in server.delivery.call(commands.operate, server.room, text):
                write(1, row)
    log.info("end of console input; stop the server with Ctrl-C or SIGTERM")
