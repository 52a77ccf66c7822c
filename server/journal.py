"""The log: it cannot be forged, and it cannot hold up the server.

Records are put into one line each, everything unprintable escaped, and handed to a
thread that writes. If that thread is held up (a pipe that nobody reads, a terminal
that is paused), records are dropped and counted; the threads of the clients go on.

Of ours it imports nothing.
"""

import logging
import os
import threading
from collections import deque
from contextlib import suppress

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
    """Hands records to other handlers, from a thread of its own.

    The thread is a daemon: stuck in a write, it must not keep the program alive.
    """

    def __init__(self, path: str | None) -> None:
        """Write to standard error and, if `path` is given, to that file, rotated.

        Raises OSError if the file cannot be opened.
        """
        super().__init__()
        self.setFormatter(LineFormatter("%(asctime)s %(message)s"))
        self._handlers: list[logging.Handler] = [StandardError()]
        if path:
            self._handlers.append(_rotated(path))
        self._records: deque[logging.LogRecord] = deque()
        self._dropped = 0
        self._closing = False
        self._news = threading.Condition()
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record. Any thread; does not wait for the writer."""
        record.msg = self.format(record)  # now, while its arguments are what they are
        record.args = record.exc_info = record.exc_text = None
        with self._news:
            if len(self._records) < QUEUE_LIMIT:
                self._records.append(record)
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

    def _write(self) -> None:
        while record := self._next():
            for handler in self._handlers:
                handler.emit(record)
        for handler in self._handlers:
            handler.close()

    def _next(self) -> logging.LogRecord | None:
        """Wait for a record; return None when there will be none."""
        with self._news:
            self._news.wait_for(lambda: self._records or self._closing)
            if self._dropped and self._records:
                lost, self._dropped = self._dropped, 0
                return _plain_record(f"... {lost} log lines were dropped here")
            return self._records.popleft() if self._records else None


class StandardError(logging.Handler):
    """Writes to file descriptor 2, past `sys.stderr`.

    The interpreter takes the lock of `sys.stderr` when it exits, and aborts if a
    daemon thread that hangs in a write holds it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; blocks as long as standard error does."""
        data = (record.getMessage() + "\n").encode("ascii", "backslashreplace")
        with suppress(OSError):  # closed, or its reader is gone: nobody to tell
            while data:
                data = data[os.write(2, data) :]


def _rotated(path: str) -> logging.Handler:
    from logging.handlers import RotatingFileHandler  # its import costs start-up time

    return RotatingFileHandler(
        path, maxBytes=FILE_SIZE, backupCount=FILE_COUNT, encoding="utf-8"
    )


def _plain_record(text: str) -> logging.LogRecord:
    return logging.LogRecord("mchat", logging.WARNING, "", 0, text, None, None)
