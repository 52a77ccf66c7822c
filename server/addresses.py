"""Addresses as people need them: how to join, and why listening failed.

Of ours it imports nothing.
"""

import errno
import socket
from contextlib import suppress

AIRPLAY = " (on macOS, AirPlay Receiver takes port 5000)"


def explain(exc: OSError, host: str | None, port: int) -> str:
    """Return what to tell somebody whose server cannot listen."""
    if exc.errno == errno.EADDRINUSE:
        return (
            f"port {port} is in use: stop the other program, or choose another port"
            " with --port" + (AIRPLAY if port == 5000 else "")
        )
    if exc.errno == errno.EACCES:
        return f"port {port} is not allowed: choose one above 1023 with --port"
    where = f"{host} " if host else ""
    return f"cannot listen on {where}port {port}: {exc.strerror or exc}; see --host"


def show_address(address: tuple[str, int]) -> str:
    """Return HOST:PORT as people write it; an IPv4 address in IPv6 as IPv4."""
    host, port = address[0].removeprefix("::ffff:"), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def invitation(listener: socket.socket) -> str:
    """Return how to join, from here and from other machines."""
    host, port = listener.getsockname()[:2]
    everywhere = host in ("::", "0.0.0.0")
    local = "127.0.0.1" if everywhere else host
    client = "" if (local, port) == ("127.0.0.1", 5000) else f" {local} {port}"
    lines = [f"join here:       nc {local} {port}  or  python client/chat.py{client}"]
    if everywhere:
        lines += [f"join elsewhere:  nc {it} {port}" for it in own_addresses()]
    return "\n".join([*lines, "type to talk to everyone, /help for help, exit to stop"])


def own_addresses() -> list[str]:
    """Return the addresses under which other machines may reach this one."""
    found = []
    # Connecting a UDP socket sends nothing, but tells which address would be used.
    # The peers are documentation addresses (RFC 5737, RFC 3849).
    for family, peer in (
        (socket.AF_INET, "192.0.2.1"),
        (socket.AF_INET6, "2001:db8::1"),
    ):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((peer, 9))
            found.append(sock.getsockname()[0])
    return found
