"""A correct client whose two threads report to a third one, by way of a queue."""

import contextlib
import queue
import socket
import sys
import threading

events = queue.Queue()


def typed():
    for line in iter(sys.stdin.readline, ""):
        events.put(("typed", line.rstrip("\r\n")))
    events.put(("typed", "exit"))


def arriving(sock):
    try:
        with sock.makefile("r", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                events.put(("arrived", line))
    except OSError:
        pass
    events.put(("ended", None))


def main(host, port):
    sock = socket.socket()
    if sock.connect_ex((host, int(port))) != 0:
        print("nobody listens there", file=sys.stderr)
        return 3
    threading.Thread(target=typed, daemon=True).start()
    threading.Thread(target=arriving, args=[sock], daemon=True).start()
    return 0 if converse(sock) else 1


def converse(sock):
    """Return whether we have left, once the connection has ended."""
    leaving = False
    while (event := events.get())[0] != "ended":
        kind, line = event
        if kind == "arrived":
            print(line, end="", flush=True)
        elif line == "exit" and not leaving:
            leaving = True
            sock.shutdown(socket.SHUT_WR)
        elif not leaving:
            with contextlib.suppress(OSError):
                sock.sendall(f"{line}\r\n".encode())
    if not leaving:
        print("lost the connection", file=sys.stderr)
    return leaving


sys.exit(main(*sys.argv[1:]))
