"""A correct echo server with a thread per client, which uses one buffer again."""

import argparse
import socket
import sys
import threading


def serve(sock):
    buffer = memoryview(bytearray(700))
    try:
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while count := sock.recv_into(buffer):
                sent = 0
                while sent < count:
                    sent += sock.send(buffer[sent:count])
    except ConnectionError as exc:
        print("a client was cut off:", exc, file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    options = parser.parse_args()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((options.host, options.port))
    listener.listen(5)
    sys.stdout.write("listening on {}:{}\n".format(*listener.getsockname()))
    sys.stdout.flush()
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=[sock], daemon=True).start()


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
