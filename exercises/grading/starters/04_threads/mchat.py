"""A server that returns every line to the client it came from: many at a time.

    python mchat.py [--host HOST] [--port PORT]

The main thread accepts. Each client has a thread of its own.
"""

import argparse
import socket

import protocol


def main():
    """Give each client a thread, until Ctrl-C."""
    options = parse_arguments()
    listener = socket.create_server((options.host, options.port))
    say_ready(listener)
    while True:
        sock, address = listener.accept()
        # TODO 2: while serve() is busy with this client, nobody else gets in.
        # Call it in a new thread, and go on to the next accept() at once.
        # (You need `import threading` at the top.)
        # TODO 3: then this `with` closes the socket too early. Who should close it?
        with sock:
            serve(sock)


def serve(sock):
    """Return the client's lines to it, until it has no more to say or is gone."""
    # TODO 1: make a protocol.Decoder() for this client. Let it turn pieces into lines,
    # and call answer() with them. At the end of the stream there may be one more line.
    try:
        while data := sock.recv(4096):
            sock.sendall(data)
    except OSError:
        pass  # it was cut off


def answer(sock, lines):
    """Send lines to the client; for one that was too long, a notice."""
    for line in lines:
        reply = "* that line was too long" if line is protocol.TOO_LONG else line
        sock.sendall(protocol.encode(reply))


# ---------------------------------------------------------------- given


def say_ready(listener):
    """Print the ready line, with the port that the listener really has."""
    host, port = listener.getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)


def parse_arguments():
    """Return the options; port 0 means any port that is free."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass  # Ctrl-C is how to stop it
