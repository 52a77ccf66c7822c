"""Starts programs within walls, quickly: it forks, with Python and its modules there.

    python -E -u forkserver.py CONTROL

It runs in the sandbox that `walls` builds, and there it is the only one with a right:
to mount. Each request that comes through the socket with the number CONTROL becomes a
process, which builds walls of its own, gives up that right, and is the launcher from
then on. What a program does to its walls, or leaves behind, is nobody else's.

Whoever looks into such a process sees what a new Python would be, with some modules
imported already. (Linux only; for the calls see mount(2), unshare(2) and capset(2).)
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys

import launcher  # type: ignore[import-not-found]  # it lies beside us, in there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What programs of the exercises import takes longer than all else at their start.
STANDARD = """
    argparse codecs collections contextlib dataclasses functools itertools queue re
    resource selectors socketserver threading time traceback typing
"""

REQUEST = 60_000  # bytes of a request, at most
FILES = 60  # descriptors that may come with one

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID = 0x20000, 0x8000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
LINUX_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Fork for each request until the grader is gone; be the program in each child."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries them
    for name in (*STANDARD.split(), "systems"):
        importlib.import_module(name)
    gc.freeze()  # what is here stays as it is, and so it stays shared
    while True:
        data, fds, _, _ = socket.recv_fds(control, REQUEST, FILES)
        if not data:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            launcher.run(*_become(json.loads(data), fds))
            return
        for fd in fds:
            os.close(fd)


def _become(request: dict[str, Any], fds: list[int]) -> tuple[list[str], int]:
    """Go on as process 1 within new walls; return what the launcher needs to know."""
    *standard, status = fds[:4]
    try:
        _call("unshare", CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC)
        if os.fork():
            os._exit(0)
        os.setsid()
        _mount("proc", "/proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
        for place in request["writable"]:
            _mount("tmpfs", place, MS_NOSUID | MS_NODEV, request["options"])
        _copy(request["folder"], dict(zip(request["names"], fds[4:])))  # noqa: B905
        _give_up_rights()
        for number, fd in enumerate(standard):
            os.dup2(fd, number)
        os.dup2(status, 3)
        os.closerange(4, max(fds) + 1)
    except OSError as exc:
        os.write(status, f"{exc}".encode())
        os._exit(1)
    return request["words"], 3


def _copy(folder: str, files: dict[str, int]) -> None:
    """Make `folder` the program's, with these files: names and where to read them."""
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    os.chdir(folder)
    for name, fd in files.items():
        with open(name, "wb") as file, open(fd, "rb", closefd=False) as source:  # noqa: PTH123
            file.write(source.read())
            os.fchmod(file.fileno(), 0o444)  # as it was handed in, so it stays


def _mount(kind: str, place: str, flags: int, options: str = "") -> None:
    words = (kind.encode(), place.encode(), kind.encode())
    _call("mount", *words, ctypes.c_ulong(flags), options.encode() or None)


def _give_up_rights() -> None:
    """Have no capability any more, for good: bubblewrap sees to that (no_new_privs)."""
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _call("capset", ctypes.byref(header), ctypes.byref(nothing))


def _call(name: str, *args: object) -> None:
    if getattr(_libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{args}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
