"""A first client: send one line to a server, print everything that comes back.

    python chat.py HOST PORT

The line to send is read from standard input.
"""

import socket
import sys


def main():
    """Run the client; return its exit code."""
    host, port = sys.argv[1], int(sys.argv[2])
    line = sys.stdin.readline()
    try:
        sock = socket.create_connection((host, port))
    except OSError as exc:
        print(f"cannot connect to {host} port {port}: {exc}", file=sys.stderr)
        return 3
    with sock:
        # sendall() goes on until all is taken; send() may take only a part.
        sock.sendall(line.encode())
        # recv() returns what there is, and b"" only at the end of the stream.
        while data := sock.recv(4096):
            show(data)
    return 0


# ---------------------------------------------------------------- given


def show(data):
    """Print bytes as they came, now."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # Ctrl-C
