"""Tests that are collected once, and run again and again: each time in a fork.

    pytest ... --serve FD

To start pytest takes longer than most tests. So with --serve it only gets as far as
the tests. Then it forks whenever somebody wants to have a server, which is said through
the socket with the number FD; and a server forks for each request. That child goes on
as if it had just been started with these tests and options. What becomes of it comes
back to who has asked, as an exit code.

(Linux only: elsewhere a fork is not always whole.)
"""

import ctypes
import gc
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NoReturn

from grading import messages

RARELY = 20_000  # new objects until Python looks for garbage: a child lives shortly
PR_SET_PDEATHSIG = 1  # of prctl.h


@dataclass(frozen=True)
class Request:
    """What to run."""

    step: str  # its name
    tests: Sequence[str]  # names of some of its tests
    submission: str  # the folder
    env: dict[str, str]  # what is to be added to the environment

    def send(self, channel: socket.socket, facts: int) -> None:
        """Send it; `facts` is a descriptor of the file for what is found."""
        messages.send(channel, asdict(self), [facts])


def want_server(
    entrance: socket.socket, env: dict[str, str], channel: int, output: int
) -> None:
    """Ask for a server: with `env` added, one end of a channel, and where it prints."""
    messages.send(entrance, env, [channel, output])


def be_server(entrance: int) -> socket.socket | None:
    """Fork for each server that is wanted; return its channel in the child.

    In the parent return None, once nobody wants any more.
    """
    gc.collect()
    gc.freeze()  # what is here stays as it is, and so it stays shared
    buried = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system does that
    with socket.socket(fileno=entrance) as wishes:
        while received := messages.receive(wishes, 2):
            env, (channel, output) = received
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, buried)
                os.environ.update(env)
                tempfile.tempdir = None  # it depends on the environment
                for standard in (1, 2):
                    os.dup2(output, standard)
                os.close(output)
                return socket.socket(fileno=channel)
            os.close(channel)
            os.close(output)
    return None


def next_request(
    channel: socket.socket, prepare: Callable[[], None]
) -> tuple[Request, int] | None:
    """Fork for each request; return it in the child, with the file for what is found.

    First of all, say our process id. `prepare` is called before each fork. In the
    parent return None, once nobody has a request any more. When the parent dies, so
    does the child.
    """
    me = os.getpid()
    channel.sendall(b"%d" % me)
    while received := messages.receive(channel, 1):
        fields, (facts,) = received
        request = Request(**fields)
        prepare()
        if (pid := os.fork()) == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != me:
                os._exit(1)
            channel.close()
            gc.set_threshold(RARELY)
            os.environ.update(request.env)
            tempfile.tempdir = None
            return request, facts
        os.close(facts)
        _, status = os.waitpid(pid, 0)
        channel.sendall(b"%d" % os.waitstatus_to_exitcode(status))
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
