"""A correct client that moves one byte at a time, and ends each line with CR LF."""

import os
import socket
import sys


def main(host, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        failed = sock.connect_ex((host, int(port)))
    except OSError:  # no address that IPv4 knows
        failed = True
    if failed:
        os.write(2, b"no server\r\n")
        sys.exit(111)
    for number in f"{input()}\r\n".encode():
        sock.send(bytes([number]))
    buffer = bytearray(1)
    while sock.recv_into(buffer) == 1:
        os.write(1, buffer)
    sock.close()


main(*sys.argv[1:])
