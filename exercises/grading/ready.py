"""The ready line of a server, `listening on HOST:PORT`, and where it leads."""

import re
import socket

Address = tuple[str, int]

LINE = re.compile(r"listening on (localhost|[\d.]+|\[[\da-fA-F:.]+\]):(\d{1,5})")


def address(match: re.Match[str]) -> Address:
    """Return where to connect to: always a loopback address of this machine."""
    return _reachable(match[1].strip("[]")), int(match[2])


def _reachable(host: str) -> str:
    """Return an address of this machine, whatever a program claims to listen on."""
    if host in ("::", "::1"):
        return "::1" if _has_ipv6_loopback() else "127.0.0.1"
    return host if host.startswith("127.") else "127.0.0.1"


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
