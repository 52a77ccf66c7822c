"""A chat server in which nobody waits for a client that does not read.

    python mchat.py [--host HOST] [--port PORT] [--outbox BYTES]

One thread accepts. Each client has two threads of its own: one receives what that
client says and puts it into the outboxes of all the others, one sends what is in
this client's outbox. One more thread reads the console. The main thread waits for
the wish to stop: `exit` on the console, Ctrl-C, or SIGTERM.
"""

import argparse
import itertools
import signal
import socket
import sys
import threading
import time

from outbox import Outbox

import protocol

GOODBYE = 1.0  # seconds that clients have to read and to close, once they are told

stop = threading.Event()  # set when the server is to stop
clients = []  # everyone who is here; touched only by who holds the lock
lock = threading.Lock()


class Client:
    """One client: its socket, its outbox, and the name that the others see."""

    def __init__(self, sock, name, limit):
        self.sock = sock
        self.name = name
        self.outbox = Outbox(sock, limit)
        self.thread = threading.Thread(target=serve, args=[self], daemon=True)

    def send(self, line):
        """Let one line be sent to this client; do not wait for it."""
        self.outbox.put(protocol.encode(line))


def main():
    """Serve until the wish to stop, then see everybody out."""
    options = parse_arguments()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # the last one is for Windows
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    listener = socket.create_server((options.host, options.port))
    # Nothing wakes a thread from accept() or from reading a terminal on every
    # system. So both are daemons: they end with the program.
    arguments = [listener, options.outbox]
    threading.Thread(target=accept_clients, args=arguments, daemon=True).start()
    threading.Thread(target=read_console, daemon=True).start()
    say_ready(listener)
    while not stop.wait(0.5):
        pass  # in pieces, so that Windows lets Ctrl-C through
    say_goodbye()


def accept_clients(listener, limit):
    """Give each client its threads."""
    for number in itertools.count(1):
        sock, address = listener.accept()
        client = Client(sock, f"guest{number}", limit)
        client.outbox.thread.start()
        client.thread.start()


def read_console():
    """Say to everyone what the operator types; `exit` stops the server.

    The end of standard input is the end of this thread, not of the server: one that
    runs in the background has no console, and so no input from the beginning.
    """
    for line in sys.stdin:
        if line.strip() == "exit":
            stop.set()
            return
        with lock:
            tell_everyone(f"[server] {line.rstrip()}")


def say_goodbye():
    """Tell everyone, and give them a moment to read it and to close.

    Their threads go on reading meanwhile. If this program ended with bytes unread,
    the system would reset the connection, and the last words would be lost.
    """
    with lock:
        leaving = list(clients)
        clients.clear()
        for client in leaving:
            client.send("* the server is stopping, goodbye")
            client.outbox.end()
    deadline = time.monotonic() + GOODBYE
    for client in leaving:
        client.thread.join(max(0, deadline - time.monotonic()))


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
        # TODO 3: before the socket is closed, the outbox must have done its work, and
        # its thread must have ended. What waits is still sent, but for no longer than
        # GOODBYE. Use `end`, `drop` and `thread` of `client.outbox`.
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
    """Forget a client, and tell the others, unless all have been told goodbye."""
    with lock:
        if client in clients:
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
    parser.add_argument("--outbox", type=int, default=1024 * 1024)
    return parser.parse_args()


if __name__ == "__main__":
    main()
