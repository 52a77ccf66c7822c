"""The chat server most tutorials end with: a thread per client, `sendall` to all.

How it works. The thread of a client reads its lines. For each line it takes the
lock, walks through everybody else and calls `sendall`, one system call a person.

What is good. It is the shortest correct chat server there is. The lock guards the
set of members, and because it is held while sending, all see one and the same order.

What it costs. `sendall` blocks: one member who stops reading fills his buffers, and
then the speaker waits for him with the lock in her hand, and everybody behind her.
And every line is sent alone: a hundred members cost a hundred system calls a line.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import socket
import threading

MAX_LINE = 4096  # bytes; a longer line is cut into several

members: set[socket.socket] = set()  # guarded by lock
lock = threading.Lock()


def broadcast(frame: bytes, speaker: socket.socket) -> None:
    """Send frame to all but the speaker; blocks as long as the slowest of them."""
    with lock:
        for sock in members - {speaker}:
            # He is gone: his own thread will find out and clean up.
            with contextlib.suppress(OSError):
                sock.sendall(frame)


def serve(sock: socket.socket, name: str) -> None:
    """Read the lines of one client until it leaves; the body of its thread."""
    with lock:
        members.add(sock)
    try:
        with sock.makefile("rb") as lines:
            while line := lines.readline(MAX_LINE):
                text = line.rstrip(b"\r\n")
                broadcast(b"[%s] %s\r\n" % (name.encode(), text), sock)
    except OSError:
        pass  # A reset is only another way to leave.
    finally:
        with lock:
            members.discard(sock)
        sock.close()


def main() -> None:
    """Accept clients for ever and give each a thread."""
    parser = argparse.ArgumentParser(description="thread per client, sendall")
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args().port
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        for number in itertools.count(1):
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Daemons: nothing in a thread needs saving when the program is stopped.
            args = (sock, f"guest{number}")
            threading.Thread(target=serve, args=args, daemon=True).start()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
