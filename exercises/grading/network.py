"""A network of a process's own, in which there is nothing but loopback.

    python network.py

only tells by its exit code whether that can be. (Linux only; for the calls see
network_namespaces(7), user_namespaces(7) and netdevice(7).)
"""

import ctypes
import os
import socket
import struct
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
IFREQ = struct.Struct("16sh22x")  # struct ifreq: a name, and flags


def leave_all_others() -> None:
    """Move this process, which has one thread only, to such a network; for good.

    Raise OSError if that cannot be. Who is not root needs a user namespace for it, and
    stays who he is in there.
    """
    import fcntl  # not everywhere is one

    user, group = os.geteuid(), os.getegid()
    flags = CLONE_NEWNET if user == 0 else CLONE_NEWNET | CLONE_NEWUSER
    if ctypes.CDLL(None, use_errno=True).unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, f"no network of its own: {os.strerror(number)}")
    if flags & CLONE_NEWUSER:
        _write("setgroups", "deny")
        _write("uid_map", f"{user} {user} 1")
        _write("gid_map", f"{group} {group} 1")
    with socket.socket() as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, IFREQ.pack(b"lo", IFF_UP))


def _write(name: str, text: str) -> None:
    Path("/proc/self", name).write_text(text, encoding="ascii")


if __name__ == "__main__":
    leave_all_others()
