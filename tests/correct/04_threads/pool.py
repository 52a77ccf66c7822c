"""A correct line server with a pool of threads, which are used again and again."""

import argparse
import os
import socket
from concurrent.futures import ThreadPoolExecutor

import protocol

WORKERS = 60


def serve(sock):
    decoder = protocol.Decoder()
    try:
        while data := sock.recv(65536):
            send(sock, decoder.feed(data))
        send(sock, decoder.finish())
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    finally:
        sock.close()


def send(sock, lines):
    sock.sendall(b"".join(protocol.encode(line or refusal(line)) for line in lines))


def refusal(line):
    return "* too long" if line is protocol.TOO_LONG else ""


parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=5000)
options = parser.parse_args()
listener = socket.create_server((options.host, options.port), backlog=5)
print("listening on {}:{}".format(*listener.getsockname()), flush=True)
pool = ThreadPoolExecutor(WORKERS)
try:
    while True:
        sock, address = listener.accept()
        pool.submit(serve, sock)
except KeyboardInterrupt:
    os._exit(0)  # the threads of a pool are no daemons
