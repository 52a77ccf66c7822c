"""The wish to stop: made by the operator or a signal, awaited by the accept loop.

Of ours it imports nothing.
"""

import os
import signal
import socket
from contextlib import suppress


class Stop:
    """Wakes a selector that it is registered with, once it is asked for.

    A socket pair, because a selector can wait for it on every system, together with
    the listener.
    """

    def __init__(self) -> None:
        self.asked = False
        self._awake, self._waker = socket.socketpair()
        self._waker.setblocking(False)

    def ask(self) -> None:
        """Ask for the end. Any thread, and signal handlers; does not block."""
        self.asked = True
        with suppress(OSError):
            self._waker.send(b"\0")

    def on_signals(self) -> None:
        """Ask for it on Ctrl-C, SIGTERM and the like; a second one exits at once."""

        def handle(signum: int, _: object) -> None:
            if self.asked:
                os._exit(128 + signum)
            self.ask()

        # On Windows only this wakes the selector: handlers do not interrupt it.
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is None:
                continue
            if name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started with nohup
            signal.signal(number, handle)

    def close(self) -> None:
        """Close the sockets. Signals still count, and wake nobody."""
        with suppress(ValueError):  # not the main thread: then it was not set either
            signal.set_wakeup_fd(-1)
        self._awake.close()
        self._waker.close()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._awake.fileno()
