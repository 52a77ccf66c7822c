"""A correct client whose threads report to each other, by way of queues."""

import queue
import socket
import sys
import threading

import protocol

events = queue.Queue()  # what arrives, and that we leave
outgoing = queue.Queue()  # what is typed; None at the end


def typed():
    for line in iter(sys.stdin.readline, ""):
        if line.strip() == "exit":
            break
        outgoing.put(line.rstrip("\r\n"))
    outgoing.put(None)


def sending(sock):
    try:
        while (line := outgoing.get()) is not None:
            sock.sendall(f"{line}\r\n".encode())
        events.put(("left", None))
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # arriving() sees the end


def arriving(sock):
    decoder = protocol.Decoder(2**16)
    try:
        while data := sock.recv(4096):
            for line in decoder.feed(data):
                events.put(("arrived", line))
    except OSError:
        pass
    for line in decoder.finish():
        events.put(("arrived", line))
    events.put(("ended", None))


def main(host, port):
    sock = socket.socket()
    try:
        sock.connect((host, int(port)))
    except OSError:
        print("nobody listens there", file=sys.stderr)
        return 3
    threading.Thread(target=typed, daemon=True).start()
    for job in (sending, arriving):
        threading.Thread(target=job, args=[sock], daemon=True).start()
    return 0 if converse() else 1


def converse():
    """Return whether we have left, once the connection has ended."""
    leaving = False
    while (event := events.get())[0] != "ended":
        kind, line = event
        if kind == "arrived":
            print(line, flush=True)
        else:
            leaving = True
    if not leaving:
        print("lost the connection", file=sys.stderr)
    return leaving


sys.exit(main(*sys.argv[1:]))
