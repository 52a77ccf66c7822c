"""Starts a process with pipes, in a process group of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

_OWN_GROUP: dict[str, Any]
if sys.platform == "win32":
    _OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    INTERRUPT = signal.CTRL_BREAK_EVENT  # Ctrl-C cannot be sent to another group
else:
    _OWN_GROUP = {"start_new_session": True}
    INTERRUPT = signal.SIGINT


def spawn(
    command: list[str], cwd: str | os.PathLike[str] | None, env: dict[str, str]
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
