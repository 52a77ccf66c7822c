"""A correct client that moves one byte at a time, and ends each line with CR LF."""

import os
import socket
import sys


def main(host, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sock.connect_ex((host, int(port))):
        os.write(2, b"no server\r\n")
        sys.exit(111)
    for char in input() + "\r\n":
        sock.send(char.encode())
    buffer = bytearray(1)
    while sock.recv_into(buffer) == 1:
        os.write(1, buffer)
    sock.close()


main(*sys.argv[1:])
