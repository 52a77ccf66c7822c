"""Starts programs within walls, quickly: it forks, with Python and its modules there.

    python -E -u forkserver.py CONTROL

It runs in the sandbox that `walls` builds, and there it is the only one with a right:
to mount. Each request that comes through the socket with the number CONTROL becomes
two processes in walls of their own. The system spares process 1 from signals, so a
program must not be that itself: process 1 waits, and says how the program ends. The
program's process builds the walls, gives up that right, and is the launcher from then
on. What a program does to its walls, or leaves behind, is nobody else's.

Whoever looks into such a process sees what a new Python would be, with some modules
imported already. (Linux only; for the calls see clone(2), mount(2), prctl(2) and
capset(2).)
"""

from __future__ import annotations

import argparse
import atexit
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
    argparse asyncio codecs collections contextlib dataclasses functools itertools queue
    re resource selectors socketserver threading time traceback typing
"""

REQUEST = 60_000  # bytes of a request, at most
FILES = 60  # descriptors that may come with one: stdin, stdout, stderr, and then
STATUS = 3  # the socket through which we say what becomes of it, and its files

SYS_CLONE3 = 435  # the same on all machines
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID = 0x20000, 0x8000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
PR_SET_DUMPABLE = 4
SIGCHLD = int(signal.SIGCHLD)
LINUX_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.PyDLL(None, use_errno=True)  # these calls are too short to let others in
_python = ctypes.pythonapi

# struct clone_args, where nothing but flags and exit_signal is said.
_WALLS = (ctypes.c_uint64 * 8)(
    CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID, 0, 0, 0, SIGCHLD
)
_CAPABILITIES = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
_NONE = (ctypes.c_uint32 * 6)()


def main() -> None:
    """Fork for each request until the grader is gone; be the program in each child."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries them
    atexit.register(_spare_modules)  # what is registered first is called last
    atexit.register(launcher.end)
    for name in (*STANDARD.split(), "systems"):
        importlib.import_module(name)
    _shared.update(sys.modules.keys() - {"__main__", "builtins", "sys"})
    _rehearse()
    gc.freeze()  # what is here stays as it is, and so it stays shared
    while True:
        request, fds, _, _ = socket.recv_fds(control, REQUEST, FILES)
        if not request:
            return
        end = max(control.fileno(), *fds) + 1  # behind all descriptors that are ours
        if _forked(fds[STATUS], end):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.detach()
            launcher.run(_build_walls(request, fds, end), forked=True)
            return
        for fd in fds:
            os.close(fd)


_shared: set[str] = set()  # modules that a fork shares with us


def _spare_modules() -> None:
    """Let Python, in the end of a fork, not clear away what is shared: see `end`."""
    for name in _shared & sys.modules.keys():
        _python.Py_IncRef(ctypes.py_object(sys.modules.pop(name)))


def _rehearse() -> None:
    """Do once what comes first in most forks: it is compiled then, cached, imported."""
    for name in ("syscall", "signal", "prctl", "fork", "capset", "mount"):
        getattr(_libc, name)
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, help="its number")
    parser.parse_args(["--port", "5000"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        socket.create_connection(listener.getsockname()).close()


def _forked(status: int, end: int) -> bool:
    """Do what os.fork does, with a process 1 in between; tell whether we are new.

    A fork shares memory as long as nobody writes to it. So process 1 is spared what
    Python does after a fork, and does little itself. (It has but one thread, so there
    is nothing to mend.)
    """
    _python.PyOS_BeforeFork()
    try:
        pid = _call("syscall", SYS_CLONE3, _WALLS, ctypes.sizeof(_WALLS))
    except OSError as exc:
        _tell(status, exc)
    else:
        if pid == 0:
            _be_first(status, end)
            _python.PyOS_AfterFork_Child()
            return True
    _python.PyOS_AfterFork_Parent()
    return False


def _be_first(status: int, end: int) -> None:
    """Be process 1: return in a child, say how that ends, stay until we are killed."""
    try:
        _call("signal", SIGCHLD, None)
        # Or the program could write to our socket, and say itself how it has ended.
        _call("prctl", PR_SET_DUMPABLE, 0)
        os.setsid()
        os.write(status, launcher.FIRST)
        if (child := _call("fork")) == 0:
            return
        _give_up_rights()
        os.closerange(0, status)  # so that the grader sees the end of its streams
        os.closerange(status + 1, end)
        _bury(child, status)
    except OSError as exc:
        _tell(status, exc)
    os._exit(1)


def _bury(child: int, status: int) -> None:
    """Say how `child` ends; bury all others; return when the grader hangs up."""
    while True:
        try:
            pid, ending = os.wait()
        except ChildProcessError:
            os.read(status, 1)  # the grader may want to look at us until then
            return
        if pid == child:
            os.write(status, b"%d" % os.waitstatus_to_exitcode(ending))


def _tell(status: int, error: OSError) -> None:
    os.write(status, f"{error}".encode())


def _build_walls(data: bytes, fds: list[int], end: int) -> list[str]:
    """Build walls around this process; return what the launcher needs to know."""
    request: dict[str, Any] = json.loads(data)
    *standard, status = fds[: STATUS + 1]
    try:
        _mount("proc", "/proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
        for place in request["writable"]:
            _mount("tmpfs", place, MS_NOSUID | MS_NODEV, request["options"])
        _copy(request["folder"], dict(zip(request["names"], fds[STATUS + 1 :])))  # noqa: B905
        _give_up_rights()
        _call("prctl", PR_SET_DUMPABLE, 1)
        for number, fd in enumerate(standard):
            os.dup2(fd, number)
    except OSError as exc:
        _tell(status, exc)
        os._exit(1)
    os.write(status, launcher.STARTED)
    os.closerange(3, end)
    words: list[str] = request["words"]
    return words


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
    _call("capset", _CAPABILITIES, _NONE)


def _call(name: str, *args: object) -> int:
    result: int = getattr(_libc, name)(*args)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{args}: {os.strerror(number)}")
    return result


if __name__ == "__main__":
    main()
