"""An echo server: whatever a client sends comes back to it, byte for byte.

    python mchat.py [--host HOST] [--port PORT]

It serves one client after the other.
"""

import argparse


def main():
    """Serve one client after the other, until Ctrl-C."""
    options = parse_arguments()
    listener = open_listener(options.host, options.port)
    say_ready(listener)
    # TODO 2: wait for a client, call serve() with its socket, then close that socket.
    # TODO 3: then do the same for the next client, and so on, without end.


def open_listener(host, port):
    """Return a socket that listens on `port` of `host`."""
    # TODO 1: make that socket, and return it. (You need `import socket` at the top.)


def say_ready(listener):
    """Print the ready line, with the port that the listener really has."""
    # TODO 1: print "listening on HOST:PORT". Whoever asked for port 0 wants to know
    # which port it has become; the listener knows.


def serve(sock):
    """Send back what the client sends, until it has no more to say or is gone."""
    # TODO 2: receive a piece, send it back, and so on until the end of the stream.
    # TODO 4: if the client is cut off, this raises an OSError. The next client must
    # not suffer from that.


# ---------------------------------------------------------------- given


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
