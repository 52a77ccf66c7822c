"""A server that returns every line to the client it came from: many at a time.

    python mchat.py [--host HOST] [--port PORT]

The main thread accepts. Each client has a thread of its own.
"""

import argparse
import socket
import threading

import protocol


def main():
    """Give each client a thread, until Ctrl-C."""
    options = parse_arguments()
    listener = socket.create_server((options.host, options.port))
    say_ready(listener)
    while True:
        sock, address = listener.accept()
        # A daemon thread does not keep the program alive after Ctrl-C.
        threading.Thread(target=serve, args=[sock], daemon=True).start()


def serve(sock):
    """Return the client's lines to it, until it has no more to say or is gone."""
    decoder = protocol.Decoder()  # its own: half a line must not meet another's
    with sock:
        try:
            while data := sock.recv(4096):
                answer(sock, decoder.feed(data))
            answer(sock, decoder.finish())
        except OSError:
            pass  # it was cut off; the thread ends here


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
