"""A first client: send one line to a server, print everything that comes back.

    python chat.py HOST PORT

The line to send is read from standard input.
"""

import socket
import sys


def main():
    """Run the client; return its exit code."""
    host, port = sys.argv[1], int(sys.argv[2])
    line = sys.stdin.readline()  # with its line end, "\n"
    # TODO 1: connect to `port` of `host`. That gives you a socket.
    # TODO 2: send `line` as bytes, all of it, with its line end.
    # TODO 3: receive what the server sends, piece by piece, and show each piece with
    # show(), until the server has ended the connection.
    # TODO 4: if connecting fails, say so in one line on stderr, and return 3.
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
