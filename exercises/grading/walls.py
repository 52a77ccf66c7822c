"""Walls for programs, built by bubblewrap (Linux); see bwrap(1).

Within them there is only Python and the files that were handed in, nothing can be
written but a few megabytes of memory that vanish, and when the first process in there
is killed, the system kills all others (pid_namespaces(7)), wherever they have hidden.

Building them anew for each program, and starting a Python in there, would take longer
than most programs run. So there are walls within walls: the outer ones are built once,
and in there a fork server (see `forkserver`) builds the inner ones, one each.
"""

import contextlib
import functools
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import psutil

from grading import launcher, limits, messages
from grading.deadlines import EXIT, READY
from grading.spawning import sigint_not_ignored

HERE = Path(__file__).resolve().parent
KIT = HERE.parent.parent
# What of the grader is needed in there, and where it is found.
TOOLS = (
    HERE / "forkserver.py",
    HERE / "launcher.py",
    HERE / "systems.py",
    *sorted(HERE.glob("drivers/*.py")),
)
INSIDE = "/grader"
TEMPORARY = "/tmp"
PUBLIC = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")
LIBRARIES = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
NAMES = ("/etc/hosts", "/etc/nsswitch.conf")  # what "localhost" means
CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid
#: All that a program knows of an environment.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": TEMPORARY, "LANG": "C.UTF-8"}


class Walls:
    """The outer walls. Built with the first program; `close` pulls them down.

    Forks of the process that has built them may start programs in there, too.
    """

    def __init__(self) -> None:
        """Build nothing yet."""
        #: Where programs can write: each has a file system of its own there.
        self.writable = _writable()
        self._lock = threading.Lock()  # guards the next three
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._builder = 0  # the process that has built them

    def fit(self) -> bool:
        """Whether programs can write where temporary files belong by now."""
        return self.writable == _writable()

    def build(self) -> None:
        """Build them now, unless they stand. Not for a fork of who has built them."""
        with self._lock:
            if self._server and self._server.poll() is not None:
                self._end()
            self._build()

    def _build(self) -> None:
        if self._control is None:
            self._control, theirs = messages.channel()
            with theirs:
                self._server = _start_server(theirs.fileno(), self.writable)
            self._builder = os.getpid()

    def start(self, folder: Path, words: Sequence[str]) -> "Inside":
        """Start a program in `folder` with copies of the files in it.

        `words` are for the launcher. Raise RuntimeError if walls cannot be built.
        """
        files = sorted(folder.iterdir())
        request = {
            "words": list(map(_inside, words)),
            "folder": os.fspath(folder),
            "names": [file.name for file in files],
            "writable": self.writable,
            "options": f"size={limits.DISK},mode=755",
        }
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            stdin = _pipe("wb", ours, theirs)
            stdout, stderr = _pipe("rb", ours, theirs), _pipe("rb", ours, theirs)
            status, said = map(ours.enter_context, messages.channel())
            status.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            opened = [theirs.enter_context(file.open("rb")) for file in files]
            sent = [it[1].fileno() for it in (stdin, stdout, stderr)]
            self._ask(request, [*sent, said.fileno(), *(it.fileno() for it in opened)])
            said.close()
            status.settimeout(READY)
            first = psutil.Process(self._number(status, launcher.FIRST))
            pid = self._number(status, launcher.STARTED)
            status.settimeout(None)
            ours.pop_all()
        return Inside(first, pid, status, (stdin[0], stdout[0], stderr[0]))

    def _ask(self, request: object, fds: list[int]) -> None:
        with self._lock:
            self._build()
            assert self._control
            with contextlib.suppress(BrokenPipeError):  # it says why in `_number`
                messages.send(self._control, request, fds)

    def _number(self, status: socket.socket, wanted: bytes) -> int:
        """Wait until a process says what is wanted; return its number.

        That comes with what it says: the system adds it, see unix(7).
        """
        try:
            said, added, _, _ = status.recvmsg(
                1000, socket.CMSG_SPACE(CREDENTIALS.size)
            )
        except TimeoutError:
            said = b"it does not answer"
        except ConnectionResetError:
            said = b""
        if said != wanted:
            raise RuntimeError(f"the sandbox cannot be built: {self._why(said)}")
        number: int = CREDENTIALS.unpack(added[0][2])[0]
        return number

    def _why(self, said: bytes) -> str:
        """Return what was said, or else what the fork server said at its end."""
        with self._lock:
            last = b"" if said else self._end()
        return (said or last).decode(errors="replace").strip()

    def close(self) -> None:
        """End all that is within, unless somebody else has built it. Idempotent."""
        with self._lock:
            if self._builder == os.getpid():
                self._end()

    def _end(self) -> bytes:
        """End the fork server; return what it has said to stderr."""
        server, self._server = self._server, None
        control, self._control = self._control, None
        if control:
            control.close()  # then it ends by itself
        ours = self._builder == os.getpid()
        return server.communicate()[1] if server and ours else b""


def _pipe(
    mode: str, ours: contextlib.ExitStack, theirs: contextlib.ExitStack
) -> tuple[IO[bytes], IO[bytes]]:
    """Return our end of a pipe, for "rb" or "wb", and the other one."""
    reading, writing = (
        os.fdopen(fd, m, 0) for fd, m in zip(os.pipe(), ("rb", "wb"), strict=True)
    )
    mine, other = (reading, writing) if mode == "rb" else (writing, reading)
    return ours.enter_context(mine), theirs.enter_context(other)


class Inside:
    """A program within walls. What becomes of it, process 1 says."""

    def __init__(
        self,
        first: psutil.Process,
        pid: int,
        status: socket.socket,
        pipes: tuple[IO[bytes], IO[bytes], IO[bytes]],
    ) -> None:
        """`first` is process 1; it says through `status` how the program ends."""
        self.first = first
        self.pid = pid
        self.stdin: IO[bytes] | None
        self.stdout: IO[bytes] | None
        self.stderr: IO[bytes] | None
        self.stdin, self.stdout, self.stderr = pipes
        self._status = status
        self._lock = threading.Lock()  # guards the code, and reading it
        self._code: int | None = None

    def _comes(self, timeout: float | None) -> bool:
        return bool(select.select([self._status], [], [], timeout)[0])

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal's number; None while it runs."""
        with self._lock:
            if self._code is None and self._comes(0):
                # It stays there: somebody else may wait until there is something.
                said = self._status.recv(100, socket.MSG_PEEK)
                self._code = int(said) if said else -signal.SIGKILL
            return self._code

    def wait(self) -> int:
        """Wait for that."""
        while (code := self.poll()) is None:
            with contextlib.suppress(ValueError, OSError):  # closed: then it is known
                self._comes(None)
        return code

    def send_signal(self, sig: int, /) -> None:
        """Send a signal, unless it is over."""
        with contextlib.suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, sig)

    def kill(self) -> None:
        """Kill it, unless it is over."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Close our ends of its pipes."""
        for pipe in filter(None, (self.stdin, self.stdout, self.stderr)):
            pipe.close()

    def pull_down(self) -> None:
        """Pull down the walls: the system ends all that is within. Idempotent."""
        with contextlib.suppress(psutil.Error):
            self.first.kill()
            self.first.wait(EXIT)
        self.poll()
        with self._lock:
            self._status.close()


# ------------------------------------------------------------------ the outer walls


def _start_server(control: int, writable: Sequence[str]) -> "subprocess.Popen[bytes]":
    words = [*_outer_walls(writable), "--", _python(), "-E", "-u"]
    words += [_inside(os.fspath(TOOLS[0])), str(control)]
    with sigint_not_ignored():
        return subprocess.Popen(
            words,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(control,),
            start_new_session=True,
        )


def _inside(word: str) -> str:
    """Return a word of a command line as it is in there."""
    ours = os.fspath(HERE) + os.sep
    return f"{INSIDE}/{word.removeprefix(ours)}" if word.startswith(ours) else word


def _writable() -> list[str]:
    """Return where programs may write: where files are temporary, in and out there."""
    outside = os.path.realpath(tempfile.gettempdir())
    inside = outside == TEMPORARY or outside.startswith(f"{TEMPORARY}/")
    return ["/dev/shm", TEMPORARY, *([] if inside else [outside])]


def _outer_walls(writable: Sequence[str]) -> list[str]:
    """Return the bubblewrap command line, up to the command: see bwrap(1).

    The right to mount (CAP_SYS_ADMIN) is one over these walls and nothing else.
    """
    words = ["bwrap", "--die-with-parent", "--as-pid-1", "--new-session"]
    words += ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += _no_more_walls()
    words += ["--uid", "1000", "--gid", "1000"]
    words += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]
    for path in PUBLIC:
        kind = "--symlink" if os.path.islink(path) else "--ro-bind-try"  # noqa: PTH114
        source = os.readlink(path) if kind == "--symlink" else path  # noqa: PTH115
        words += [kind, source, path]
    for path in (*LIBRARIES, *NAMES, *sorted({sys.base_prefix, sys.base_exec_prefix})):
        words += ["--ro-bind-try", path, path]
    for path in (*_packages(), *_kit()):
        words += ["--tmpfs", path, "--remount-ro", path]
    # The whole /proc lets the fork server mount others, over this one.
    words += ["--ro-bind", "/proc", "/proc", "--dev", "/dev"]
    for path in writable:
        words += ["--dir", path]
    for tool in TOOLS:
        words += ["--ro-bind", os.fspath(tool), _inside(os.fspath(tool))]
    for path in ("/dev", "/"):
        words += ["--remount-ro", path]
    return [*words, "--chdir", "/"]


@functools.cache
def _no_more_walls() -> list[str]:
    """Forbid programs to build a file system of their own, which we could not count."""
    said = subprocess.run(["bwrap", "--help"], capture_output=True, check=False).stdout
    return ["--disable-userns"] if b"--disable-userns" in said else []


@functools.cache
def _kit() -> list[str]:
    """Return the folder of the kit, if it lies where programs may look."""
    places = (*PUBLIC, sys.base_prefix, sys.base_exec_prefix)
    public = [Path(place).resolve() for place in places]
    return [os.fspath(KIT)] if any(place in KIT.parents for place in public) else []


@functools.cache
def _packages() -> list[str]:
    """Return where packages are installed: the kit asks for Python and nothing else.

    It is also quicker: Python runs what it finds there at every start.
    """
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    bases = {sys.base_prefix, sys.base_exec_prefix, "/usr", "/usr/local"}
    inside = (f"{version}/site-packages", f"{version}/dist-packages")
    folders = [Path(base, "lib", path) for base in bases for path in inside]
    folders.append(Path("/usr/lib/python3/dist-packages"))
    return sorted({os.path.realpath(folder) for folder in folders if folder.is_dir()})


def _python() -> str:
    """Return the interpreter itself: a virtual environment stays outside."""
    return os.path.realpath(sys.executable)


# --------------------------------------------------------------- what the system can


@functools.cache
def has_walls() -> bool:
    """Tell whether all this can be built here: build it, around a program."""
    if sys.platform != "linux" or not shutil.which("bwrap"):
        return False
    private = [sys.executable, "-I", "-S", os.fspath(HERE / "network.py")]
    if subprocess.run(private, capture_output=True, check=False).returncode != 0:
        return False
    with tempfile.TemporaryDirectory() as name, contextlib.closing(Walls()) as walls:
        folder = Path(name).resolve()
        (folder / "nothing.py").touch()
        try:
            program = walls.start(folder, ["0", "-", "-", "nothing.py"])
        except RuntimeError:
            return False
        code = program.wait()
        program.pull_down()
        program.close()
        return code == 0
