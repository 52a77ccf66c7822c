"""A correct client that is slow to start, and receives byte by byte."""

import os
import socket
import sys
import threading
import time

time.sleep(0.2)
left = []


def type_bytes(sock):
    try:
        type_lines(sock)
    except OSError:
        pass  # nobody is there any more


def type_lines(sock):
    for text in sys.stdin:
        if text.strip() == "exit":
            break
        line = text.encode()
        for start in range(0, len(line), 100):
            sock.sendall(line[start : start + 100])
    left.append(True)
    sock.shutdown(socket.SHUT_WR)


def copy_bytes(sock):
    try:
        while byte := sock.recv(1):
            os.write(1, byte)
    except ConnectionResetError:
        os.write(2, b"reset\n")


try:
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
except OSError:
    os.write(2, b"cannot connect\n")
    sys.exit(3)
threading.Thread(target=type_bytes, args=(connection,), daemon=True).start()
copy_bytes(connection)
if not left:
    os.write(2, b"gone\n")
    sys.exit(1)
