"""The listening socket, and what people are told about it.

Of ours it imports nothing.
"""

import errno
import socket
import sys
from contextlib import suppress

AIRPLAY = " (on macOS, AirPlay Receiver takes port 5000)"


def listen(host: str | None, port: int) -> socket.socket:
    """Return a listener on `host`, or on all interfaces. Raises OSError."""
    if host is None:
        if socket.has_dualstack_ipv6():
            try:
                return _bound(socket.AF_INET6, ("::", port))
            except OSError as exc:  # else: the system could, but has IPv6 switched off
                if exc.errno == errno.EADDRINUSE:
                    raise
        return _bound(socket.AF_INET, ("0.0.0.0", port))
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except UnicodeError:  # an empty label, or one that is too long
        raise OSError(f"{host!r} is no host name") from None
    family, _, _, _, address = min(found)  # IPv4 first, where a name has both
    return _bound(family, address)


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # There, SO_REUSEADDR lets another program steal the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # Here, it lets a server start again at once after it has stopped.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and address[0] == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
        sock.listen(socket.SOMAXCONN)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


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
