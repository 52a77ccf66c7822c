"""A correct client that connects first, and treats the connection as a file."""

import socket
import sys

try:
    sock = socket.create_connection((sys.argv[1], sys.argv[2]), timeout=60)
except OSError:
    sys.exit("nobody there")
sock.settimeout(None)  # who is connected may say nothing for longer
with sock, sock.makefile("rwb", buffering=0) as stream:
    rest = sys.stdin.readline().encode()
    while rest:
        rest = rest[stream.write(rest) :]
    while piece := stream.read(100):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
