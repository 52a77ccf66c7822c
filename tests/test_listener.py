"""The listening socket, and what people are told about addresses."""

import errno
import socket
import sys

import pytest

import listener
from listener import explain, invitation, listen, own_addresses, show_address


@pytest.mark.skipif(
    not socket.has_dualstack_ipv6(), reason="needs IPv4 and IPv6 at once"
)
def test_all_interfaces_of_both_kinds() -> None:
    """One socket takes IPv6 and IPv4."""
    with listen(None, 0) as sock:
        port = sock.getsockname()[1]
        assert sock.getsockname()[0] == "::"
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()


def test_ipv4_alone_where_there_is_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether Python says so, or only the attempt shows it."""
    with monkeypatch.context() as patch:
        patch.setattr(socket, "has_dualstack_ipv6", lambda: False)
        with listen(None, 0) as sock:
            assert sock.getsockname()[0] == "0.0.0.0"
    real = listener._bound

    def only_ipv4(family: int, address: tuple[object, ...]) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "no IPv6")
        return real(family, address)

    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: True)
    monkeypatch.setattr(listener, "_bound", only_ipv4)
    with listen(None, 0) as sock:
        assert sock.getsockname()[0] == "0.0.0.0"


def test_name_is_looked_up() -> None:
    """IPv4 is preferred where a name has both."""
    with listen("localhost", 0) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


def test_port_in_use_is_an_error() -> None:
    """Also on all interfaces: no falling back to half of them."""
    with listen(None, 0) as sock, pytest.raises(OSError, match="in use") as caught:
        listen(None, sock.getsockname()[1])
    text = explain(caught.value, None, 5000)
    assert "port 5000 is in use" in text
    assert "--port" in text
    assert "AirPlay" in text
    assert "AirPlay" not in explain(caught.value, None, 5001)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no TIME_WAIT rule")
def test_port_is_free_again_at_once() -> None:
    """Though a connection of before still waits out its time."""
    with listen("127.0.0.1", 0) as sock:
        address = sock.getsockname()
        sock.setblocking(True)
        client = socket.create_connection(address)
        accepted, _ = sock.accept()
        accepted.close()
        client.close()
    listen(*address).close()


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (PermissionError(errno.EACCES, "denied"), "choose one above 1023"),
        (socket.gaierror(-2, "Name not known"), "cannot listen on nowhere port 80"),
        (OSError("odd"), "odd"),
    ],
)
def test_what_is_wrong_is_explained(exc: OSError, expected: str) -> None:
    """With what to do about it."""
    assert expected in explain(exc, "nowhere", 80)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("127.0.0.1", 5), "127.0.0.1:5"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1:5"),
        (("::1", 5, 0, 0), "[::1]:5"),
    ],
)
def test_addresses_as_people_write_them(address: tuple[str, int], shown: str) -> None:
    """An IPv4 address that comes in through IPv6 is shown as IPv4."""
    assert show_address(address) == shown


def test_invitation(monkeypatch: pytest.MonkeyPatch) -> None:
    """How to join from here, and from other machines only if they can."""
    monkeypatch.setattr(listener, "own_addresses", lambda: ["192.0.2.9"])
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        text = invitation(sock)
        assert f"nc 127.0.0.1 {port} " in text
        assert f"python client/chat.py 127.0.0.1 {port}" in text
        assert "192.0.2.9" not in text
    with listen("0.0.0.0", 0) as sock:
        port = sock.getsockname()[1]
        assert f"nc 192.0.2.9 {port}" in invitation(sock)


def test_own_addresses_are_addresses() -> None:
    """However many this machine has; none is an error."""
    for address in own_addresses():
        assert socket.getaddrinfo(address, 0, flags=socket.AI_NUMERICHOST)
