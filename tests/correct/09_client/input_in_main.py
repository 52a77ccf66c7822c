"""A correct client that types in its main thread: the receiving one ends it all."""

import os
import socket
import sys
import threading

import protocol

leaving = []  # not empty once we leave


def receive(sock):
    decoder = protocol.Decoder(2**16)
    try:
        while data := sock.recv(1024):
            for line in decoder.feed(data):
                print(line, flush=True)
    except OSError:
        pass
    for line in decoder.finish():
        print(line, end="", flush=True)
    if not leaving:
        print("the server has gone", file=sys.stderr, flush=True)
    os._exit(0 if leaving else 1)


def main():
    try:
        sock = socket.create_connection((sys.argv[1], sys.argv[2]))
    except OSError as exc:
        print(exc, file=sys.stderr)
        return 3
    receiver = threading.Thread(target=receive, args=[sock])
    receiver.start()
    try:
        while (line := input()).strip() != "exit":
            sock.sendall(line.encode() + b"\n")
    except EOFError:
        pass
    except OSError:
        receiver.join()
    leaving.append(True)
    sock.shutdown(socket.SHUT_WR)
    receiver.join()
    return 0


sys.exit(main())
