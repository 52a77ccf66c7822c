"""An echo server: whatever a client sends comes back to it, byte for byte.

    python mchat.py [--host HOST] [--port PORT]

It serves one client after the other.
"""

import argparse
import socket


def main():
    """Serve one client after the other, until Ctrl-C."""
    options = parse_arguments()
    listener = open_listener(options.host, options.port)
    say_ready(listener)
    while True:
        sock, address = listener.accept()
        with sock:
            serve(sock)


def open_listener(host, port):
    """Return a socket that listens on `port` of `host`."""
    # This is socket(), bind() and listen() in one call. Where it is right to do so
    # (not on Windows) it also sets SO_REUSEADDR: without that a server cannot start
    # again on its port for a minute, if a connection to it has just ended.
    return socket.create_server((host, port))


def say_ready(listener):
    """Print the ready line, with the port that the listener really has."""
    host, port = listener.getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)


def serve(sock):
    """Send back what the client sends, until it has no more to say or is gone."""
    try:
        while data := sock.recv(4096):
            sock.sendall(data)
    except OSError:
        pass  # it was cut off; the next client must not suffer from that


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
