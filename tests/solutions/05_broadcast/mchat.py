"""A chat server: what one client says, everyone else hears.

    python mchat.py [--host HOST] [--port PORT]

The main thread accepts. Each client has a thread of its own, which receives what
that client says and sends it to all the others.
"""

import argparse
import itertools
import socket
import threading

import protocol

clients = []  # everyone who is here; touched only by who holds the lock
lock = threading.Lock()


class Client:
    """One client: its socket, and the name that the others see."""

    def __init__(self, sock, name):
        self.sock = sock
        self.name = name

    def send(self, line):
        """Send one line to this client."""
        try:
            self.sock.sendall(protocol.encode(line))
        except OSError:
            pass  # it is gone: its own thread finds out, and the others go on


def main():
    """Give each client a thread, until Ctrl-C."""
    options = parse_arguments()
    listener = socket.create_server((options.host, options.port))
    say_ready(listener)
    for number in itertools.count(1):
        sock, address = listener.accept()
        client = Client(sock, f"guest{number}")
        threading.Thread(target=serve, args=[client], daemon=True).start()


def serve(client):
    """Serve one client, from its first line to its last."""
    decoder = protocol.Decoder()
    join(client)
    with client.sock:
        try:
            while data := client.sock.recv(4096):
                hear(client, decoder.feed(data))
            hear(client, decoder.finish())
        except OSError:
            pass  # it was cut off
        leave(client)


def join(client):
    """Let a client in, and greet it: from now on it hears everything."""
    with lock:
        clients.append(client)
        client.send(f"* welcome, you are {client.name}")


def leave(client):
    """Forget a client."""
    with lock:
        clients.remove(client)


def hear(client, lines):
    """Pass on what a client says."""
    for line in lines:
        if line is protocol.TOO_LONG:
            with lock:  # somebody else may be sending to this client right now
                client.send("* that line was too long")
        else:
            broadcast(f"[{client.name}] {line}", client)


def broadcast(line, speaker):
    """Send a line to everyone but the one who says it.

    The lock is held all the while. So nobody comes or goes in the middle of the walk
    through the list, and all hear the lines of all in the same order.
    """
    with lock:
        for client in clients:
            if client is not speaker:
                client.send(line)


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
