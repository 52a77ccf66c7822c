"""A correct client whose two threads report to a third one, by way of a queue."""

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
    leaving = False
    while True:
        kind, line = events.get()
        if kind == "arrived":
            print(line, end="", flush=True)
        elif kind == "ended":
            break
        elif line == "exit" and not leaving:
            leaving = True
            sock.shutdown(socket.SHUT_WR)
        elif not leaving:
            try:
                sock.sendall(f"{line}\r\n".encode())
            except OSError:
                pass
    if not leaving:
        print("lost the connection", file=sys.stderr)
    return 0 if leaving else 1


sys.exit(main(*sys.argv[1:]))
