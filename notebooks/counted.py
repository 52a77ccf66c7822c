"""Runs a server and counts its sends: `python counted.py PORT PROGRAM [ARGUMENT ...]`.

It connects to PORT. For each line from there it answers with one: calls of `send` and
`sendall` so far, and how often a thread has stopped to wait (0 where the system does
not tell).
"""

import runpy
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

sent: list[None] = []  # its length is the count: append() loses nothing between threads


def counted(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of sockets that writes down each call."""

    def call(self: socket.socket, data: Any, *flags: int) -> Any:
        sent.append(None)
        return method(self, data, *flags)

    return call


def waits() -> int:
    """Return how often a thread has stopped to wait, 0 where nobody knows."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw)


def answer(sock: socket.socket, sendall: Callable[..., None]) -> None:
    """Answer until the other side has gone; the body of a thread."""
    while sock.recv(4096):
        sendall(sock, b"%d %d\n" % (len(sent), waits()))


def main() -> None:
    """Run the program as if it had been started by itself."""
    port, path = int(sys.argv[1]), sys.argv[2]
    sock = socket.create_connection(("127.0.0.1", port))
    args = (sock, socket.socket.sendall)  # as it is, or it would count itself
    threading.Thread(target=answer, args=args, daemon=True).start()
    for name in ("send", "sendall"):
        setattr(socket.socket, name, counted(getattr(socket.socket, name)))
    sys.argv[:] = sys.argv[2:]
    sys.path[0] = str(Path(path).parent)
    runpy.run_path(path, run_name="__main__")


if __name__ == "__main__":
    main()
