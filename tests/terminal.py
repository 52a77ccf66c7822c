"""A terminal to run a program in: a pseudo-terminal, and a screen to look at.

For POSIX systems. Nothing reads in the background: what the program has written is
looked at while the test waits for something.
"""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from typing import Any

import pyte

from grading.deadlines import EXIT, LINE, Deadline
from grading.spawning import sigint_not_ignored

# Makes the terminal on stdin the one whose Ctrl-C reaches the program.
TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A program in a terminal: a keyboard to type on, a screen to look at."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        """Start the program, 24 rows of 80 columns."""
        self._keyboard, self._program_end = pty.openpty()
        self.modes = self.tty_modes()
        self.screen = pyte.Screen(80, 24)
        self.resize(24, 80)
        self.bells = 0
        self.prompt: list[str] = []  # the row to expect below all that is said
        self.screen.bell = self._ring  # type: ignore[method-assign]
        self.screen.write_process_input = self._answer  # type: ignore[method-assign]
        self._stream = pyte.ByteStream(self.screen)
        with sigint_not_ignored():
            self._process = subprocess.Popen(
                [sys.executable, "-c", TAKE_TERMINAL, *command],
                stdin=self._program_end,
                stdout=self._program_end,
                stderr=self._program_end,
                env=env,
                start_new_session=True,
            )

    def type(self, text: str) -> None:
        r"""Press keys: "\r" is Enter, "\x03" Ctrl-C, "\x04" Ctrl-D."""
        os.write(self._keyboard, text.encode())

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def rows(self) -> list[str]:
        """Return the rows of the screen that are not blank."""
        return [row.rstrip() for row in self.screen.display if row.strip()]

    def colours(self, text: str) -> set[str]:
        """Return the colours in which the first occurrence of `text` is shown."""
        for number, row in enumerate(self.screen.display):
            if (start := row.find(text)) >= 0:
                cells = self.screen.buffer[number]
                return {cells[start + i].fg for i in range(len(text))}
        raise AssertionError(f"{text!r} is not shown")

    def expect(self, *rows: str) -> None:
        """Wait until these are the last rows that are not blank."""
        deadline = Deadline(LINE)
        while self.rows()[-len(rows) :] != list(rows):
            if not self._look(deadline.left()):
                shown = "\n".join(self.rows())
                raise AssertionError(f"expected at the end {rows}, shown:\n{shown}")

    def wait_exit(self) -> int:
        """Wait for the end; return the exit code. Raises TimeoutExpired."""
        deadline = Deadline(EXIT)
        while self._process.poll() is None and deadline.left():
            self._look(0.02)
        while self._look(0):
            pass
        return self._process.wait(0)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the window."""
        self.screen.resize(rows, columns)
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._program_end, termios.TIOCSWINSZ, size)

    def tty_modes(self) -> list[Any]:
        """Return how the terminal is set: echo, line by line, and so on."""
        return termios.tcgetattr(self._program_end)

    def close(self) -> None:
        """Kill, reap, close."""
        self._process.kill()
        self._process.wait()
        os.close(self._keyboard)
        os.close(self._program_end)

    def _look(self, timeout: float) -> bool:
        if not select.select([self._keyboard], [], [], timeout)[0]:
            return False
        self._stream.feed(os.read(self._keyboard, 65_536))
        return True

    def _answer(self, data: str) -> None:
        self.type(data)  # the program has asked where the cursor is

    def _ring(self, *_: object) -> None:
        self.bells += 1
