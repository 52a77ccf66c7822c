"""A chat client for the terminal: lines are typed and lines arrive, at the same time.

    python chat.py HOST PORT

The main thread receives and prints. Another one reads what is typed, and sends it.
`exit`, or the end of input (Ctrl-D; Ctrl-Z on Windows), leaves the chat.
"""

import socket
import sys
import threading

import protocol

LEFT, LOST, NOT_CONNECTED = 0, 1, 3  # exit codes

left = threading.Event()  # TODO 3: set it once we have said that we leave


def main():
    """Run the client; return its exit code."""
    host, port = sys.argv[1], int(sys.argv[2])
    try:
        sock = socket.create_connection((host, port))
    except OSError as exc:
        print(f"cannot connect to {host} port {port}: {exc}", file=sys.stderr)
        return NOT_CONNECTED
    # TODO 2: start a thread that runs send_typed(sock).
    # TODO 4: it must not keep the program from ending when the server goes.
    receive(sock)
    # TODO 4: have we left, or is the connection lost? If it is lost, say so on
    # stderr and return LOST.
    return LEFT


def send_typed(sock):
    """Send each line that is typed; at the end, tell the server that we leave."""
    # TODO 2: read lines from sys.stdin, in a loop; send each one, without its own
    # line end, by means of protocol.encode().
    # TODO 3: a line that is `exit` is not sent, but ends the loop, as the end of input
    # does. Then set `left`, and tell the server that nothing more will come.
    # TODO 4: if the server is gone, sendall() raises an OSError. Let it end this
    # thread without a traceback.


def receive(sock):
    """Print each line that arrives, until the server closes the connection."""
    decoder = protocol.Decoder(max_line=65536)
    # TODO 1: receive, let the decoder find the lines, and show them, until the end of
    # the stream. At the end the decoder may still have a line whose end never came.
    # TODO 4: if the connection is cut off, recv() raises an OSError. That is an end,
    # too.


# ---------------------------------------------------------------- given


def show(lines):
    """Print lines, now."""
    for line in lines:
        print("(a line too long to show)" if line is protocol.TOO_LONG else line)
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # Ctrl-C
