"""Systems that are what a system may be, but seldom is: there, mistakes show at once.

All of them are small, so that little is needed to see what becomes of a program: they
keep a few kilobytes for who does not read, not megabytes, and functions may call each
other hundreds deep, not thousands. On a harsh one threads are switched as often as can
be, in the middle of the student's functions, and `recv` and `send` move few bytes at a
time. On a hasty one time passes quickly: who gives up after a while of silence does so
while a test is looking.

All of this may happen on any system at any time; here it happens every time, so that a
mistake shows now and not in front of an audience. This module is part of `launcher`.
"""

from __future__ import annotations

import contextlib
import select
import selectors
import socket
import sys
import threading
import time

TYPE_CHECKING = False  # type checkers take it for True; spares importing typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

SWITCH_INTERVAL = 1e-6  # seconds; the default is 0.005
LONGEST_YIELD = 200e-6  # seconds; long enough for another thread to get in between
DAWDLE = 0.02  # seconds; long enough for an answer
SIZES = (1, 2, 3, 5, 1000)  # bytes that recv or send may move at once
HASTE = 100  # seconds that pass in one
DEPTH = 400  # calls; the default is 1000
ROOM = 16 * 1024  # bytes that a socket keeps, in each direction; Linux takes it twice


def make(system: str, folder: str) -> None:
    """Make this process believe to be on a system, "small", "hasty" or "harsh=SEED".

    `folder` holds the files of the program.
    """
    sys.setrecursionlimit(DEPTH)
    _keep_little(socket.socket)
    name, _, seed = system.partition("=")
    if name == "harsh":
        _be_harsh(folder, int(seed))
    elif name == "hasty":
        _be_hasty()


def _keep_little(cls: Any) -> None:
    """Give small buffers to new TCP sockets; what one accepts, inherits them: tcp(7).

    Not to pairs of others, where a few small messages would fill them.
    """
    init = cls.__init__

    def narrow(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if self.family not in (socket.AF_INET, socket.AF_INET6):
            return
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            with contextlib.suppress(OSError):
                self.setsockopt(socket.SOL_SOCKET, buffer, ROOM)

    cls.__init__ = narrow


# ------------------------------------------------------------------ a harsh system


def _be_harsh(folder: str, seed: int) -> None:
    """Switch threads often, inside functions of files in `folder`; cut transfers."""
    chance = Chance(seed)
    sys.setswitchinterval(SWITCH_INTERVAL)

    def on_line(frame: FrameType, event: str, arg: object) -> Any:
        if event == "line" and chance.below(4) == 0:
            time.sleep(LONGEST_YIELD * chance.below(8) / 8)
        return on_line

    def on_call(frame: FrameType, event: str, arg: object) -> Any:
        return on_line if frame.f_code.co_filename.startswith(folder) else None

    threading.settrace(on_call)
    sys.settrace(on_call)
    _cut_short(socket.socket, chance)
    _dawdle(socket.socket)


def _dawdle(cls: Any) -> None:
    """Let the other side see an end well before the program goes on behind it."""
    shutdown, sleep = cls.shutdown, time.sleep

    def slow_shutdown(self: Any, how: int) -> None:
        shutdown(self, how)
        sleep(DAWDLE)

    cls.shutdown = slow_shutdown


def _cut_short(cls: Any, chance: Chance) -> None:
    """Let `recv` and `send` move fewer bytes than they could: socket(7) allows it."""
    recv, recv_into, send = cls.recv, cls.recv_into, cls.send

    def short_recv(self: Any, size: int, *flags: int) -> Any:
        return recv(self, min(size, chance.size()), *flags)

    def short_recv_into(self: Any, buffer: Any, size: int = 0, *flags: int) -> Any:
        whole = size or len(memoryview(buffer).cast("B"))
        return recv_into(self, buffer, min(whole, chance.size()), *flags)

    def short_send(self: Any, data: Any, *flags: int) -> Any:
        return send(self, memoryview(data).cast("B")[: chance.size()], *flags)

    cls.recv, cls.recv_into, cls.send = short_recv, short_recv_into, short_send


class Chance:
    """Numbers that look random; the same seed gives the same ones.

    `random` would do as well, but its import takes longer than most programs run.
    """

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._state >> 33) % limit

    def size(self) -> int:
        """Return how many bytes may be moved at once."""
        return SIZES[self.below(len(SIZES))]


# ------------------------------------------------------------------ a hasty system


def _be_hasty() -> None:
    """Let each second of the program be a hundredth of one."""
    for name in ("monotonic", "time", "perf_counter"):
        setattr(time, name, _fast(getattr(time, name)))
    _shorten(time, "sleep", 0)
    _shorten(socket, "setdefaulttimeout", 0)
    _shorten(socket.socket, "settimeout", 1)
    _shorten(threading.Thread, "join", 1)
    _shorten(threading.Condition, "wait", 1)  # events and queues wait by it
    _shorten(select, "select", 3)
    for name in ("Select", "Poll", "Epoll", "Kqueue", "Devpoll"):
        if cls := getattr(selectors, f"{name}Selector", None):
            _shorten(cls, "select", 1)
    for name in ("poll", "epoll"):
        if hasattr(select, name):
            setattr(select, name, _hasty(getattr(select, name)))
    # Some modules that are here already know the clock by a name of their own.
    for module, name in (("threading", "_time"), ("queue", "time")):
        if known := sys.modules.get(module):
            setattr(known, name, time.monotonic)


def _fast(clock: Callable[[], float]) -> Callable[[], float]:
    begun = clock()
    return lambda: begun + (clock() - begun) * HASTE


def _shorten(owner: Any, name: str, at: int) -> None:
    """Shorten the timeout of a function, its argument number `at` or by that name."""
    function = getattr(owner, name)

    def hasty(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("timeout"):
            kwargs["timeout"] /= HASTE
        if args[at:] and args[at]:
            args = (*args[:at], args[at] / HASTE, *args[at + 1 :])
        return function(*args, **kwargs)

    setattr(owner, name, hasty)


def _hasty(new: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes objects like `new` does, of which `poll` has a timeout."""

    class Hasty:
        def __init__(self, *args: Any) -> None:
            self._real = new(*args)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def poll(self, timeout: float | None = None, *more: Any) -> Any:
            shorter = timeout / HASTE if timeout and timeout > 0 else timeout
            return self._real.poll(shorter, *more)

    return Hasty
