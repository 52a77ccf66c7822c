"""The next tutorial's chat server: two threads per client with a queue between them.

How it works. One thread of a client reads its lines and puts each into the queue
of everybody else. The other thread takes frames out of the client's own queue and
sends them. Nobody ever sends on behalf of somebody else.

What is good. A member who stops reading blocks only his own writer. The lock is
held while putting, never while sending, and gives all the same order of lines.

What it costs. Twice the threads, and every line wakes as many of them as there are
members: the time goes into switching. A queue without a limit keeps everything for
somebody who never reads, until the memory is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import socket
import threading
from queue import SimpleQueue

MAX_LINE = 4096  # bytes; a longer line is cut into several

Outbox = SimpleQueue[bytes | None]  # frames to send; None says: stop, no more will come

outboxes: set[Outbox] = set()  # guarded by lock
lock = threading.Lock()


def broadcast(frame: bytes, own: Outbox) -> None:
    """Put frame into every outbox but the speaker's own; never blocks for a client."""
    with lock:
        for outbox in outboxes - {own}:
            outbox.put(frame)


def write(sock: socket.socket, outbox: Outbox) -> None:
    """Send what comes into the outbox until None; the body of a writer thread."""
    with contextlib.suppress(OSError):  # The reader thread sees the end, too.
        while (frame := outbox.get()) is not None:
            sock.sendall(frame)


def read(sock: socket.socket, name: str) -> None:
    """Read the lines of one client until it leaves; the body of a reader thread."""
    outbox: Outbox = SimpleQueue()
    writer = threading.Thread(target=write, args=(sock, outbox), daemon=True)
    writer.start()
    with lock:
        outboxes.add(outbox)
    try:
        with sock.makefile("rb") as lines:
            while line := lines.readline(MAX_LINE):
                text = line.rstrip(b"\r\n")
                broadcast(b"[%s] %s\r\n" % (name.encode(), text), outbox)
    except OSError:
        pass  # A reset is only another way to leave.
    finally:
        with lock:
            outboxes.discard(outbox)
        outbox.put(None)
        writer.join()
        sock.close()


def main() -> None:
    """Accept clients for ever and give each two threads."""
    parser = argparse.ArgumentParser(description="queue and writer thread per client")
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args().port
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        for number in itertools.count(1):
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Daemons: nothing in a thread needs saving when the program is stopped.
            args = (sock, f"guest{number}")
            threading.Thread(target=read, args=args, daemon=True).start()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
