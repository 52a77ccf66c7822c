"""Servers, which fork a grading process for each request, see `grading.serving`.

They are forked themselves, from a first process that has collected the tests. Both are
kept for who needs them next. (Linux only.)
"""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

from course.pytests import Started, Worker, took_more_than
from grading import messages
from grading.processes import Family
from grading.serving import Request, want_server
from grading.steps import all_steps


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep servers for those who need one in this block; end them behind the last."""
    _KEPT.keepers.append(me := object())
    try:
        yield
    finally:
        _KEPT.keepers.remove(me)
        if not _KEPT.keepers:
            _KEPT.close()


def take(env: dict[str, str]) -> "Server":
    """Return one that is nobody else's: an idle one, or a new one with `env` added."""
    with contextlib.suppress(IndexError):
        return _KEPT.idle.pop()
    return Server(env)


def give_back(server: "Server") -> None:
    """Keep it for who takes one next."""
    _KEPT.idle.append(server)


class _Kept:
    """What is kept; its lists are changed in one step each."""

    def __init__(self) -> None:
        self.idle: list[Server] = []
        self.keepers: list[object] = []  # who wants them to be kept
        self._lock = threading.Lock()  # guards the next
        self._first: _First | None = None

    def wish(self, env: dict[str, str], channel: int, output: int) -> "_First":
        """Ask the first process for a server; start it if it is not there."""
        with self._lock:
            if self._first and not self._first.runs():
                self._close_first()
            self._first = self._first or _First()
            self._first.wish(env, channel, output)
            return self._first

    def close(self) -> None:
        """End all of them at once."""
        idle = [*self.idle]
        self.idle.clear()
        for server in idle:
            server.kill()
        for server in idle:
            server.close()
        with self._lock:
            self._close_first()

    def _close_first(self) -> None:
        if self._first:
            self._first.close()
        self._first = None


_KEPT = _Kept()


class _First(Started):
    """The one from which servers are forked."""

    def __init__(self) -> None:
        """Start it."""
        ours, theirs = messages.channel()
        words = [f"--serve={theirs.fileno()}"]
        words += [os.fspath(step.folder) for step in all_steps()]
        with theirs, contextlib.ExitStack() as undo:
            undo.enter_context(ours)
            super().__init__(words, {}, [theirs.fileno()])
            undo.pop_all()
        self._entrance = ours

    def wish(self, env: dict[str, str], channel: int, output: int) -> None:
        """Ask for a server; if it is not there any more, that will show."""
        with contextlib.suppress(OSError):
            want_server(self._entrance, env, channel, output)

    def close(self) -> None:
        """End it, and what comes from it."""
        super().close()
        self._entrance.close()


class Server(Worker):
    """One that forks for each request. One thread at a time may use it."""

    def __init__(self, env: dict[str, str]) -> None:
        """Let it be forked; that may take a while, and shows when it is used."""
        family = Family()
        self._channel, theirs = messages.channel()
        reading, writing = os.pipe()
        super().__init__(family, os.fdopen(reading, "rb"))
        with theirs, os.fdopen(writing, "wb"):
            self._first = _KEPT.wish(family.mark() | env, theirs.fileno(), writing)

    def grade(self, request: Request, facts: int, timeout: float) -> str:
        """Ask for it and wait; return how that process died, if it did."""
        self._channel.settimeout(timeout)
        try:
            if not self._family.head:
                self._family.set_head(int(self._channel.recv(100)))
            request.send(self._channel, facts)
            answer = self._channel.recv(100)
        except TimeoutError:
            return took_more_than(timeout)
        except (OSError, ValueError):
            answer = b""
        if not answer:  # then it is not only the child that has died
            return self.died()
        died = self.verdict(int(answer))
        self.tidy_up()
        return died

    def last_words(self) -> str:
        """Return its own; or those of who should have forked it, if that has died."""
        said = super().last_words()
        return said if said or self._first.runs() else self._first.last_words()

    def kill(self) -> None:
        """Kill it, whoever waits for it."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        super().kill()

    def close(self) -> None:
        """End it, and all that comes from it."""
        super().close()
        self._channel.close()
