"""Confines a program: it sees little, reaches nobody, and nothing of it stays.

Everywhere it gets a clean environment and limits. On Linux with bubblewrap it gets
walls besides: its own process ids, a file system in which there is only Python and
the files it was handed in with, and no way to write but to a few megabytes of memory
that vanish with it. When the first process in there ends or is killed, the system
kills all others (pid_namespaces(7)), wherever they have hidden.

A private network needs a grader that lives in it, too: see `in_private_network`.
"""

import contextlib
import functools
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from grading import limits
from grading.deadlines import EXIT, READY
from grading.orphans import ORPHANAGE
from grading.processes import MARK, Family, offspring
from grading.spawning import Process, spawn

HERE = Path(__file__).resolve().parent
KIT = HERE.parent.parent
TEMPORARY = "/tmp"
STATUS = "GRADING_STATUS"  # names the pipe for what the launcher says as process 1
PUBLIC = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")
LIBRARIES = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
NAMES = ("/etc/hosts", "/etc/nsswitch.conf")  # what "localhost" means
# What a program needs of our environment to be itself, on some system or other.
NEEDED = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LANG", "LC_ALL", "PREFIX")


@dataclass
class Usage:
    """What a program and all that it has started take, together."""

    processes: int = 0
    threads: int = 0
    memory: int = 0  # bytes
    entries: int = 0  # files and folders that it has made

    def excess(self) -> str:
        """Return what is more than it may have, "" if nothing is."""
        if self.processes > limits.PROCESSES:
            return f"more than {limits.PROCESSES} processes"
        if self.threads > limits.THREADS:
            return f"more than {limits.THREADS} threads"
        if self.memory > limits.MEMORY:
            return f"more than {limits.MEMORY // limits.MB} MB of memory"
        if self.entries > limits.ENTRIES:
            return f"more than {limits.ENTRIES} files"
        return ""


class Confined(Family):
    """Starts a program with a clean environment and limits."""

    confined = True
    limits = limits.TO_SET if os.name == "posix" else "-"

    def spawn(self, command: Sequence[str], cwd: str | os.PathLike[str]) -> Process:
        """Start it."""
        with ORPHANAGE.starting() as started:
            process = super().spawn(command, cwd)
            started.add(process.pid)
        return process

    def environment(self) -> dict[str, str]:
        """Return what a program may know of ours, and the marks."""
        ours = super().environment()
        marks = [name for name in ours if name.startswith(MARK)]
        return {name: ours[name] for name in (*NEEDED, *marks) if name in ours}

    def excess(self) -> str:
        """Return what is more than it may have, "" if nothing is."""
        return self._usage().excess()

    def descendants(self) -> list[psutil.Process]:
        """Return the living processes that come from the program, without itself.

        Also those that have wiped their mark and lost their parents.
        """
        return [*{*super().descendants(), *ORPHANAGE.orphans()}]

    def _offspring(self) -> Collection[psutil.Process]:
        """Return the same, quickly where that can be: it is asked many times."""
        if not ORPHANAGE.adopts:
            return self.descendants()
        found = set(ORPHANAGE.orphans())
        with contextlib.suppress(psutil.Error):
            found.update(offspring(self._head) if self._head else ())
        return found

    def _usage(self) -> Usage:
        usage = Usage()
        for process in [*filter(None, [self._head]), *self._offspring()]:
            with contextlib.suppress(psutil.Error), process.oneshot():
                usage.processes += 1
                usage.threads += process.num_threads()
                usage.memory += process.memory_info().rss
        return usage


class Walled(Confined):
    """The same, within walls that bubblewrap builds."""

    def __init__(self) -> None:
        """Build nothing yet."""
        super().__init__()
        self._walls: subprocess.Popen[bytes] | None = None
        self._first: psutil.Process | None = None  # process 1 in there
        self._writable = ["/dev/shm", TEMPORARY]

    def environment(self) -> dict[str, str]:
        """Return nothing of ours."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": TEMPORARY,
            "LANG": "C.UTF-8",
        }

    def spawn(self, command: Sequence[str], cwd: str | os.PathLike[str]) -> Process:
        """Start it; raise RuntimeError if bubblewrap cannot do what it should."""
        self._writable.append(os.fspath(cwd))
        readable, writable = os.pipe()
        try:
            walls = spawn(
                [
                    *_walls(Path(cwd), [word for word in command if _is_ours(word)]),
                    *("--setenv", STATUS, str(writable), "--"),
                    *(_python(), *command[1:]),
                ],
                "/",
                self.environment(),
                pass_fds=(writable,),
            )
        finally:
            os.close(writable)
        self._walls = walls
        inside = _Inside(walls, readable)
        self._first = inside.first
        self.set_head(inside.pid)
        return inside

    def descendants(self) -> list[psutil.Process]:
        """Return the living processes that come from the program, without itself."""
        found: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            if self._first:
                found = offspring(self._first)
        return [process for process in found if process != self._head]

    def kill_descendants(self, known: list[psutil.Process]) -> None:
        """Pull down the walls: the system ends all that is within."""
        if self._walls:
            self._walls.kill()
            self._walls.wait(EXIT)
            psutil.wait_procs(known, EXIT)

    def _usage(self) -> Usage:
        """Look through its own /proc: there are few processes in it."""
        usage = Usage()
        if self._first is None:
            return usage
        root = f"/proc/{self._first.pid}/root"
        unnamed: dict[int, int] = {}  # files without a name, by number: their bytes
        with contextlib.suppress(OSError):
            usage.entries = sum(_entries(f"{root}{path}") for path in self._writable)
            for number in os.listdir(f"{root}/proc"):  # noqa: PTH208
                if number.isdigit() and number != "1":  # process 1 is ours
                    _add_process(f"{root}/proc/{number}", usage, unnamed)
        usage.memory += sum(unnamed.values())
        return usage


def _add_process(proc: str, usage: Usage, unnamed: dict[int, int]) -> None:
    """Add what one process takes; it may end meanwhile. See proc_pid_stat(5)."""
    with contextlib.suppress(OSError):
        with open(f"{proc}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
        usage.processes += 1
        usage.threads += int(fields[17])
        usage.memory += int(fields[21]) * _PAGE
        # Memory that lies in files without a name (memfd_create(2)) is nobody's.
        for number in os.listdir(f"{proc}/fd"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                status = os.stat(f"{proc}/fd/{number}")  # noqa: PTH116
                if stat.S_ISREG(status.st_mode) and not status.st_nlink:
                    unnamed[status.st_ino] = status.st_blocks * 512


def _entries(path: str) -> int:
    """Return how many files and folders there are in a file system of its own."""
    there = os.statvfs(path)
    return there.f_files - there.f_ffree


_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def _walls(folder: Path, tools: Sequence[str]) -> list[str]:
    """Return the bubblewrap command line: see bwrap(1). `tools` are files of ours."""
    small = ["--size", str(limits.DISK), "--tmpfs"]
    words = ["bwrap", "--die-with-parent", "--as-pid-1", "--new-session"]
    words += ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += _no_more_walls()
    words += ["--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
    for path in PUBLIC:
        kind = "--symlink" if os.path.islink(path) else "--ro-bind-try"  # noqa: PTH114
        source = os.readlink(path) if kind == "--symlink" else path  # noqa: PTH115
        words += [kind, source, path]
    for path in (*LIBRARIES, *NAMES, *sorted({sys.base_prefix, sys.base_exec_prefix})):
        words += ["--ro-bind-try", path, path]
    for path in (*_packages(), *_kit()):
        words += ["--tmpfs", path, "--remount-ro", path]
    words += ["--proc", "/proc", "--dev", "/dev", *small, "/dev/shm"]
    words += [*small, TEMPORARY, *small, os.fspath(folder)]
    for file in folder.iterdir():
        words += ["--ro-bind", os.fspath(file), os.fspath(file)]
    for tool in tools:
        words += ["--ro-bind", tool, tool]
    # Of /proc too: to the system we may be root, and then what is in /proc/sys is ours.
    for path in ("/proc", "/dev", "/"):
        words += ["--remount-ro", path]
    return [*words, "--chdir", os.fspath(folder)]


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


def _is_ours(word: str) -> bool:
    """Tell whether a word of a command is a file of the grader."""
    return word.endswith((".py", ".pyc")) and HERE in Path(word).parents


def _python() -> str:
    """Return the interpreter itself: a virtual environment stays outside."""
    return os.path.realpath(sys.executable)


class _Inside:
    """A program within walls. What becomes of it, the launcher says as process 1.

    Not the end of bubblewrap: that also waits for whatever the program leaves behind.
    """

    def __init__(self, walls: subprocess.Popen[bytes], status: int) -> None:
        """Wait until it runs. `status` is our end of the pipe; it is closed here."""
        self.stdin: IO[bytes] | None = walls.stdin
        self.stdout: IO[bytes] | None = walls.stdout
        self.stderr: IO[bytes] | None = walls.stderr
        self._walls = walls
        self._status = os.fdopen(status, "rb", buffering=0)
        self._lock = threading.Lock()  # guards the code, and reading it
        self._code: int | None = None
        self.first, self.pid = self._begin()

    def _begin(self) -> tuple[psutil.Process, int]:
        if not self._comes(READY) or self._status.readline() != b"started\n":
            self._walls.kill()
            stderr = self._walls.communicate()[1].decode(errors="replace").strip()
            self._status.close()
            raise RuntimeError(f"the sandbox cannot be built: {stderr}")
        first, *heads = offspring(psutil.Process(self._walls.pid))
        return first, heads[0].pid if heads else first.pid

    def _comes(self, timeout: float | None) -> bool:
        return bool(select.select([self._status], [], [], timeout)[0])

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal's number; None while it runs."""
        with self._lock:
            if self._code is None and self._comes(0):
                said = self._status.readline()
                self._status.close()
                self._code = int(said) if said else -signal.SIGKILL
            return self._code

    def wait(self) -> int:
        """Wait for that. One thread at a time."""
        while (code := self.poll()) is None:
            with contextlib.suppress(ValueError, OSError):  # read by another thread
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


# --------------------------------------------------------------- what the system can


@functools.cache
def has_walls() -> bool:
    """Tell whether bubblewrap is there and may build what we need."""
    if sys.platform != "linux" or not shutil.which("bwrap"):
        return False
    words = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-net"]
    words += ["--dev-bind", "/", "/", "--proc", "/proc", "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def confined_family(walls: str = "") -> Callable[[], Confined]:
    """Return what makes the best there is on this system, for one program each.

    With "yes" it is walls, whatever may come, and with "no" none.
    """
    return Walled if walls == "yes" or (not walls and has_walls()) else Confined


def in_private_network(command: Sequence[str]) -> list[str]:
    """Return `command` such that it runs in a network with nothing but loopback."""
    words = ["bwrap", "--dev-bind", "/", "/", "--unshare-net", "--die-with-parent"]
    return [*words, "--", *command]
