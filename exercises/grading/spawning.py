"""Starts a process with pipes, in a process group of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Any, Protocol

_OWN_GROUP: dict[str, Any]
if sys.platform == "win32":
    _OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    INTERRUPT = signal.CTRL_BREAK_EVENT  # Ctrl-C cannot be sent to another group
else:
    _OWN_GROUP = {"start_new_session": True}
    INTERRUPT = signal.SIGINT


class Process(Protocol):
    """What we need of a process: a part of `subprocess.Popen`."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    @property
    def pid(self) -> int:
        """The process id."""

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal's number; None while it runs."""

    def wait(self) -> int:
        """Wait for that. One thread at a time."""

    def send_signal(self, sig: int, /) -> None:
        """Send a signal, unless it is over."""

    def kill(self) -> None:
        """Kill it, unless it is over."""


def spawn(
    command: Sequence[str],
    cwd: str | os.PathLike[str],
    env: dict[str, str],
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Start `command`; all three standard streams are pipes of bytes."""
    with sigint_not_ignored():
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            **_OWN_GROUP,
            **options,
        )


@contextlib.contextmanager
def sigint_not_ignored() -> Iterator[None]:
    """Start children that react to SIGINT even if we were started to ignore it.

    `nohup` and `&` in scripts do that; an ignored signal is inherited. Only the main
    thread may change it.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
