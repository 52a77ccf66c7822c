"""A chat server with a console: what the operator types, everyone hears.

    python mchat.py [--host HOST] [--port PORT]

The main thread accepts. Each client has a thread of its own, which receives what
that client says and sends it to all the others. One more reads the console.
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
    # TODO 2: start a thread that runs read_console().
    say_ready(listener)
    for number in itertools.count(1):
        sock, address = listener.accept()
        client = Client(sock, f"guest{number}")
        threading.Thread(target=serve, args=[client], daemon=True).start()


def read_console():
    """Say to everyone what the operator types, until the end of standard input.

    That is the end of this thread, not of the server: a server that runs in the
    background has no console, and so no input from the beginning.
    """
    # TODO 1: for each line of sys.stdin, tell everyone: [server] LINE
    # This needs `import sys` at the top.
    # TODO 3: hold the lock while you tell them.


def serve(client):
    """Serve one client, from its first line to its last."""
    join(client)
    try:
        listen_to(client)
    except OSError:
        pass  # it was cut off
    finally:
        # However it went, this is the one place where a client leaves.
        leave(client)
        client.sock.close()


def listen_to(client):
    """Hear what a client says; return when it has no more to say, or says /quit."""
    decoder = protocol.Decoder()
    while data := client.sock.recv(4096):
        for line in decoder.feed(data):
            if line == "/quit":
                return
            hear(client, line)
    # The end of its stream is not the end of ours: it may still read the answer.
    for line in decoder.finish():
        if line != "/quit":
            hear(client, line)


def join(client):
    """Let a client in, greet it, and tell the others."""
    with lock:
        clients.append(client)
        client.send(f"* welcome, you are {client.name}")
        tell_everyone(f"* {client.name} joined", client)


def leave(client):
    """Forget a client, and tell the others."""
    with lock:
        clients.remove(client)
        tell_everyone(f"* {client.name} left", client)


def hear(client, line):
    """Do what a line asks for: most often, pass it on."""
    with lock:
        if line is protocol.TOO_LONG:
            client.send("* that line was too long")
        elif line == "/who":
            names = ", ".join(other.name for other in clients)
            client.send(f"* here ({len(clients)}): {names}")
        else:
            tell_everyone(f"[{client.name}] {line}", client)


def tell_everyone(line, but=None):
    """Send a line to everyone, but not to one. Only who holds the lock may call it."""
    for client in clients:
        if client is not but:
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
