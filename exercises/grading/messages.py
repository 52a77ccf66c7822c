"""Messages between two processes: JSON, and open files with it; see unix(7)."""

import json
import socket
from collections.abc import Sequence
from typing import Any

LONGEST = 100_000  # bytes of one, at most


def channel() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a channel, on which messages stay apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, said: object, fds: Sequence[int]) -> None:
    """Send what can be JSON, with these descriptors. Several threads may do so."""
    socket.send_fds(end, [json.dumps(said).encode()], fds)


def receive(end: socket.socket, fds: int) -> tuple[Any, list[int]] | None:
    """Wait for a message with so many descriptors; None if there will be none."""
    data, received, _, _ = socket.recv_fds(end, LONGEST, fds)
    return (json.loads(data), received) if data else None
