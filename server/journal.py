"""The log: it cannot be forged, and it cannot hold up the server.

Records are put into one line each, everything unprintable escaped, and handed to a
thread that writes. If that thread is held up (a pipe that nobody reads, a terminal
that is paused), records are dropped and counted; the threads of the clients go on.

Of ours it imports nothing.
"""

import logging
import os
import sys
import threading
from collections import deque
from contextlib import suppress

log = logging.getLogger("mchat")

QUEUE_LIMIT = 10_000  # records
LAST_WORDS_TIME = 0.3  # seconds to write what is left when the server stops
FILE_SIZE, FILE_COUNT = 10_000_000, 5  # of the log file, before it is rotated


def escape(text: str) -> str:
    """Return `text` with what is not printable, and the backslash, as an escape."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(
        char if char.isprintable() and char != "\\" else ascii(char)[1:-1]
        for char in text
    )


class LineFormatter(logging.Formatter):
    """One record, one line; a traceback follows on lines of its own, set in."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line, escaped."""
        record.message = escape(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:
        """Return the traceback, escaped line by line."""
        text = super().formatException(ei)  # type: ignore[arg-type]
        return "\n".join(f"    {escape(line)}" for line in text.split("\n"))


class Journal(logging.Handler):
    """Hands records to another handler, which may block, from a thread of its own.

    The thread is a daemon: stuck in a write, it must not keep the program alive.
    """

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self.setFormatter(LineFormatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        self._target = target
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._closing = False
        self._news = threading.Condition()
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record. Any thread; does not wait for the writer."""
        line = self.format(record)  # now, while its arguments are what they are
        with self._news:
            if len(self._lines) < QUEUE_LIMIT:
                self._lines.append(line)
            else:
                self._dropped += 1
            self._news.notify()

    def close(self) -> None:
        """Write what is queued, unless that takes more than LAST_WORDS_TIME."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._writer.join(LAST_WORDS_TIME)
        super().close()

    @property
    def is_stuck(self) -> bool:
        """Whether, after `close`, its thread still hangs in a write."""
        return self._writer.is_alive()

    def _write(self) -> None:
        while line := self._next():
            self._target.emit(logging.makeLogRecord({"msg": line}))
        with suppress(OSError):
            self._target.close()

    def _next(self) -> str:
        """Wait for a line; return an empty one when there will be none."""
        with self._news:
            self._news.wait_for(lambda: self._lines or self._closing)
            if self._dropped and self._lines:
                lost, self._dropped = self._dropped, 0
                return f"... {lost} log lines were dropped here"
            return self._lines.popleft() if self._lines else ""


class StandardError(logging.Handler):
    """Writes to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; blocks as long as standard error does."""
        write(2, record.getMessage())


def write(descriptor: int, line: str) -> None:
    """Write `line` and its end to 1 or 2; if nobody can read it any more, do nothing.

    Past `sys.stdout` and `sys.stderr`: when it exits, the interpreter waits for what
    is in their buffers, even if they are pipes that nobody reads.
    """
    encoding = (sys.stdout if descriptor == 1 else sys.stderr).encoding
    data = f"{line}\n".encode(encoding, "backslashreplace")
    with suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]


def log_file(path: str) -> logging.Handler:
    """Return a handler that writes to a file, and rotates it. Raises OSError.

    If writing fails later, that is reported once and the file is given up.
    """
    from logging.handlers import RotatingFileHandler  # costs start-up time

    file = RotatingFileHandler(
        path, maxBytes=FILE_SIZE, backupCount=FILE_COUNT, encoding="utf-8"
    )
    failed: list[BaseException | None] = []

    def report_once(_: logging.LogRecord) -> None:
        if not failed:
            failed.append(sys.exc_info()[1])
            log.error("logging to %s fails: %s", path, failed[0])

    file.handleError = report_once  # type: ignore[method-assign, assignment]
    return file
