"""The accept loop: how clients come in, one after the other, and how all go out.

The main thread runs `Server.serve`, which starts a session for each client.

Of ours it imports `delivery`, `listener`, `protocol`, `room`, `session`, `stopping`.
"""

from __future__ import annotations

import itertools
import logging
import os
import selectors
import socket
import threading
import time
from contextlib import suppress

import protocol
from delivery import Delivery, Outbox
from listener import show_address
from room import Member, Room
from session import Limits, Session
from stopping import Stop

log = logging.getLogger("mchat")

PAUSE = 0.5  # seconds to wait when the system has no descriptor or thread to give
SECOND_LOOK = 0.02  # seconds for a thread to notice that its client is gone
STOP_TIME = 10.0  # seconds; clients have one, the rest is for machines under load


class Server:
    """All clients, from the first one accepted to the last one seen out."""

    def __init__(self, listener: socket.socket, limits: Limits) -> None:
        self.room = Room()
        self.delivery = Delivery(self.room, limits.outbox)
        self._listener = listener
        self._limits = limits
        self._numbers = itertools.count(1)
        self._sessions: set[Session] = set()
        self._lock = threading.Lock()  # for _sessions
        self._short = False  # of descriptors or threads, and has said so

    def serve(self, stop: Stop) -> None:
        """Accept clients until `stop` is asked for, then see everybody out."""
        self.delivery.start()
        try:
            self._accept_until(stop)
        finally:
            self._close()

    # ------------------------------------------------------------------- coming in

    def _accept_until(self, stop: Stop) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(stop, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while not stop.asked:
                selector.select()
                if not stop.asked and not self._accept():
                    selector.unregister(self._listener)
                    selector.select(PAUSE)
                    selector.register(self._listener, selectors.EVENT_READ)

    def _accept(self) -> bool:
        """Accept one client; return False when the system is short of something."""
        try:
            sock, address = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return True  # it is gone again already
        except OSError as exc:  # most often EMFILE
            return self._is_short(exc)
        if self._is_full() and self._is_still_full():
            log.warning("%s refused: the server is full", show_address(address))
            refuse(sock, f"the server is full ({self._limits.max_clients} clients)")
            return True
        try:
            self._start_session(sock, show_address(address))
        except RuntimeError as exc:  # no more threads
            refuse(sock, "the server has no room for another client now")
            return self._is_short(exc)
        self._short = False
        return True

    def _start_session(self, sock: socket.socket, address: str) -> None:
        with suppress(OSError):  # the client may be gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keep_alive(sock)
        outbox = Outbox(sock, address, self.delivery)
        member = Member(f"guest{next(self._numbers)}", address, outbox)
        session = Session(sock, member, self.delivery, self._limits, self._forget)
        with self._lock:
            self._sessions.add(session)
        try:
            session.start()
        except RuntimeError:
            self._forget(session)
            raise

    def _forget(self, session: Session) -> None:
        with self._lock:
            self._sessions.discard(session)

    def _is_full(self) -> bool:
        """Whether no more clients may come in. Those on their way out do not count.

        They are hurried, so that there are never many more threads than clients.
        """
        if len(self._sessions) < self._limits.max_clients:
            return False
        with self._lock:
            leaving = [session for session in self._sessions if session.is_leaving]
            staying = len(self._sessions) - len(leaving)
        for session in leaving:
            self.delivery.submit(self.room.leave, session.member)
        return staying >= self._limits.max_clients

    def _is_still_full(self) -> bool:
        """Look again: a client may have left this very moment, to come back."""
        time.sleep(SECOND_LOOK)  # nobody else could come in meanwhile
        return self._is_full()

    def _is_short(self, exc: Exception) -> bool:
        if not self._short:
            log.error("cannot take in more clients for now: %s", exc)
        self._short = True
        return False

    # ------------------------------------------------------------------- stopping

    def _close(self) -> None:
        """Tell everyone, send what is queued, and wait for every thread."""
        log.info("stopping")
        self._listener.close()
        self.delivery.submit(self.room.close)
        deadline = time.monotonic() + STOP_TIME
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            while session.is_alive() and time.monotonic() < deadline:
                session.join(0.1)  # and let a second Ctrl-C through, also on Windows
        if any(session.is_alive() for session in sessions):
            log.error("some clients could not be seen out; stopping all the same")
            logging.shutdown()
            os._exit(1)
        self.delivery.close()


def refuse(sock: socket.socket, why: str) -> None:
    """Send one line and close, without blocking."""
    with sock, suppress(OSError):
        sock.setblocking(False)
        sock.send(protocol.notice(f"{why}; try again later"))
        sock.shutdown(socket.SHUT_WR)
        sock.recv(65536)  # closing with bytes unread would take the line back


def keep_alive(sock: socket.socket) -> None:
    """Have the system find out when the other machine is gone: after two minutes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("KEEPIDLE", 60), ("KEEPINTVL", 15), ("KEEPCNT", 4)):
        option = getattr(socket, f"TCP_{name}", None)  # not every system has all
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
