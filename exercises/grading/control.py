"""Asks a launched program where its threads stand; see `launcher`."""

import contextlib
import linecache
import os
import socket
from itertools import groupby
from pathlib import Path

from grading.deadlines import Deadline, patient
from grading.transcript import Call, ThreadState

ANSWER = patient(1.0)  # seconds; a program that holds the interpreter cannot answer
MOST = 1_000_000  # bytes of an answer that are read
THREADS = 50  # of them that are told
WORD = 100  # characters of a name that are told


class Control:
    """Our end of the line to one launcher. One thread at a time may ask."""

    def __init__(self, system: str = "-") -> None:
        """Listen on a free port; the launcher connects to it.

        `system` is one of those in `systems`.
        """
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sock: socket.socket | None = None
        #: Whether time passes so quickly that who waits in pieces never rests.
        self.hasty = system == "hasty"
        #: What the launcher needs to be told.
        self.words = [str(self._listener.getsockname()[1]), system]

    def ask(self, folder: Path) -> tuple[ThreadState, ...]:
        """Return where the threads stand; nothing if there is no answer in time.

        `folder` is the one that the student's files are in.
        """
        deadline = Deadline(ANSWER)
        with contextlib.suppress(OSError, ValueError):
            if self._sock is None:
                self._listener.settimeout(deadline.left())
                self._sock, _ = self._listener.accept()
            self._sock.sendall(b"?")
            return tuple(_threads(self._read(self._sock, deadline), folder))
        return ()

    def _read(self, sock: socket.socket, deadline: Deadline) -> str:
        data = b""
        while not data.endswith(b"\n\n"):
            sock.settimeout(max(0.001, deadline.left()))
            piece = sock.recv(65_536)
            if not piece or len(data) > MOST:
                raise ConnectionError
            data += piece
        return data.decode(errors="replace")

    def close(self) -> None:
        """Hang up. Idempotent."""
        self._listener.close()
        if self._sock:
            self._sock.close()


def _threads(answer: str, folder: Path) -> list[ThreadState]:
    rows = [row.split("\t") for row in answer.split("\n") if row]
    found = [
        ThreadState(
            name[:WORD], _shown([_call(row[1:], folder) for row in calls], folder)
        )
        for name, calls in groupby(rows, key=lambda row: row[0])
    ]
    # What the student did not start (pools of libraries) tells nothing.
    return [thread for thread in found if thread.calls][:THREADS]


def _call(row: list[str], folder: Path) -> Call:
    path, line, function = row
    return Call(path, int(line), function[:WORD], _source(folder, path, int(line)))


def _source(folder: Path, path: str, line: int) -> str:
    """Return a line of the student's, whatever the answer says.

    A program may answer in place of the launcher, and name a file that it may not see.
    """
    file = folder / path
    if file.parent != folder or not file.is_file() or file.is_symlink():
        return ""
    return linecache.getline(os.fspath(file), line).strip()


def _shown(calls: list[Call], folder: Path) -> tuple[Call, ...]:
    """Keep the student's own calls, and the innermost one if it is a library's."""
    own = [call for call in calls if (folder / call.file).parent == folder]
    if own and calls[-1] != own[-1]:
        own.append(calls[-1])
    return tuple(
        Call(Path(call.file).name[:WORD], call.line, call.function, call.source)
        for call in own
    )
