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

left = threading.Event()  # set once we have said that we leave


def main():
    """Run the client; return its exit code."""
    host, port = sys.argv[1], int(sys.argv[2])
    try:
        sock = socket.create_connection((host, port))
    except OSError as exc:
        print(f"cannot connect to {host} port {port}: {exc}", file=sys.stderr)
        return NOT_CONNECTED
    # Nothing wakes a thread that waits for a person to type. As a daemon, it does
    # not keep the program from ending when the server goes.
    threading.Thread(target=send_typed, args=[sock], daemon=True).start()
    receive(sock)
    if left.is_set():
        return LEFT
    print("connection lost", file=sys.stderr)
    return LOST


def send_typed(sock):
    """Send each line that is typed; at the end, tell the server that we leave."""
    try:
        for line in sys.stdin:
            if line.strip() == "exit":
                break
            sock.sendall(protocol.encode(line.rstrip("\r\n")))
        left.set()
        sock.shutdown(socket.SHUT_WR)  # the server answers by closing, too
    except OSError:
        pass  # the server is gone, as the other thread finds out


def receive(sock):
    """Print each line that arrives, until the server closes the connection."""
    decoder = protocol.Decoder(max_line=65536)
    try:
        while data := sock.recv(4096):
            show(decoder.feed(data))
    except OSError:
        pass  # it was cut off
    show(decoder.finish())


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
