"""What is typed to a program goes to its stdin, and nobody who types has to wait."""

import contextlib
import os
import threading
from queue import SimpleQueue
from typing import IO


class Keyboard:
    """Our end of a program's stdin. Any thread may type.

    What is typed is written at once, as far as there is room for it: so whoever looks
    afterwards whether the program rests does not look too early. A thread writes what
    is left, and all that follows it. (On Windows all of it: pipes wait there.)
    """

    def __init__(self, pipe: IO[bytes], name: str) -> None:
        """Type nothing yet. `name` is what the thread is called, if there is one."""
        self.threads: list[threading.Thread] = []  # one at most
        self._pipe = pipe
        self._name = name
        self._lock = threading.Lock()  # guards all of it, but not what the thread does
        self._left: SimpleQueue[bytes | None] = SimpleQueue()  # None: the end
        if os.name == "posix":
            os.set_blocking(pipe.fileno(), False)

    def type(self, data: bytes) -> None:
        """Give these bytes to the program; if it is gone, to nobody."""
        with self._lock:
            left = data if self.threads else self._write_some(data)
            if left:
                self._left.put(left)
            if left and not self.threads:
                self._start()

    def end(self) -> None:
        """End the input behind all that was typed. Idempotent."""
        with self._lock:
            if self.threads:
                self._left.put(None)
            else:
                self._pipe.close()

    def _write_some(self, data: bytes) -> bytes:
        """Write what there is room for; return the rest."""
        if self._pipe.closed:
            return b""
        if os.name != "posix":
            return data
        try:
            return data[os.write(self._pipe.fileno(), data) :]
        except BlockingIOError:
            return data
        except OSError:  # the program is gone, or has closed its stdin
            return b""

    def _start(self) -> None:
        if os.name == "posix":
            os.set_blocking(self._pipe.fileno(), True)
        thread = threading.Thread(target=self._write, name=self._name, daemon=True)
        thread.start()
        self.threads.append(thread)

    def _write(self) -> None:
        with contextlib.suppress(OSError), self._pipe:
            for data in iter(self._left.get, None):
                self._pipe.write(data)
                self._pipe.flush()
