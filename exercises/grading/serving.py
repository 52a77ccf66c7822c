"""Tests that are collected once, and run again and again: each time in a fork.

    pytest ... --serve FD

To start pytest takes longer than most tests. So with --serve it only gets as far as
the tests, and then waits for requests, which come through the socket with the number
FD. For each one it forks; the child goes on as if it had just been started with these
tests and options. What becomes of it comes back, as an exit code.

(Linux only: elsewhere a fork is not always whole. A request is a line of JSON, and
comes with one descriptor, see unix(7).)
"""

import gc
import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NoReturn

LONGEST = 1_000_000  # bytes of a request, at most
RARELY = 20_000  # new objects until Python looks for garbage: a child lives shortly


@dataclass(frozen=True)
class Request:
    """What to run."""

    step: str  # its name
    tests: Sequence[str]  # names of some of its tests
    submission: str  # the folder
    env: dict[str, str]  # what is to be added to the environment

    def send(self, channel: socket.socket, facts: int) -> None:
        """Send it; `facts` is a descriptor of the file for what is found."""
        socket.send_fds(channel, [json.dumps(asdict(self)).encode() + b"\n"], [facts])


def next_request(
    number: int, prepare: Callable[[], None]
) -> tuple[Request, int] | None:
    """Fork for each request; return it in the child, with the file for what is found.

    `prepare` is called before each fork. In the parent return None, once nobody has a
    request any more.
    """
    channel = socket.socket(fileno=number)
    gc.collect()
    gc.freeze()  # what is here stays as it is, and so it stays shared
    while received := _receive(channel):
        request, facts = received
        prepare()
        if (pid := os.fork()) == 0:
            channel.close()
            gc.set_threshold(RARELY)
            os.environ.update(request.env)
            tempfile.tempdir = None  # it depends on the environment
            return received
        os.close(facts)
        _, status = os.waitpid(pid, 0)
        channel.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    channel.close()
    return None


def leave(code: int) -> NoReturn:
    """End a child: at once, and with this exit code.

    A fork shares memory as long as nobody writes to it. To clear it away, as Python
    does in the very end, would mean to copy all of it first.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _receive(channel: socket.socket) -> tuple[Request, int] | None:
    data, fds, _, _ = socket.recv_fds(channel, LONGEST, 1)
    while data and not data.endswith(b"\n"):
        data += channel.recv(LONGEST)
    return (Request(**json.loads(data)), fds[0]) if data else None
