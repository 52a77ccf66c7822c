"""A correct client that never waits in recv() or send(), and half-closes at the end."""

import argparse
import os
import selectors
import socket
import sys

parser = argparse.ArgumentParser()
parser.add_argument("host")
parser.add_argument("port", type=int)
options = parser.parse_args()

waiting = sys.stdin.buffer.readline()
try:
    sock = socket.create_connection((options.host, options.port))
except OSError as exc:
    print(f"{type(exc).__name__}: is the server running?", file=sys.stderr)
    sys.exit(2)
sock.setblocking(False)
with sock, selectors.DefaultSelector() as selector:
    selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
    ended = False
    while not ended:
        [(key, events)] = selector.select()
        if events & selectors.EVENT_WRITE:
            waiting = waiting[sock.send(waiting) :]
            if not waiting:
                sock.shutdown(socket.SHUT_WR)
                selector.modify(sock, selectors.EVENT_READ)
        if events & selectors.EVENT_READ:
            data = sock.recv(1000)
            ended = not data
            os.write(1, data)
