"""A correct echo server that is slow to start, and sends byte by byte."""

import argparse
import socket
import time

PAUSE = 0.7  # seconds until it listens

parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=5000)
options = parser.parse_args()
time.sleep(PAUSE)
listener = socket.create_server((options.host, options.port), backlog=1)
print("listening on {}:{}".format(*listener.getsockname()), flush=True)


def serve(sock):
    with sock:
        while data := sock.recv(512):
            # Short ones in single bytes, as a bad network would do it.
            step = 1 if len(data) < 100 else 90
            for at in range(0, len(data), step):
                sock.sendall(data[at : at + step])


def serve_next():
    try:
        serve(listener.accept()[0])
    except OSError as exc:
        print("lost a client:", exc)


try:
    while True:
        serve_next()
except KeyboardInterrupt:
    print("stopped")
