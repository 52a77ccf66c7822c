"""A correct client in one thread, for systems whose selectors take files, too."""

import os
import selectors
import socket
import sys

import protocol


def main():
    try:
        sock = socket.create_connection((sys.argv[1], sys.argv[2]))
    except OSError:
        sys.stderr.write("no connection\n")
        return 3
    typed, arriving = protocol.Decoder(2**20), protocol.Decoder(2**20)
    left = False
    with sock, selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(sock, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            try:
                if 0 in ready and not pass_on(os.read(0, 4096), typed, sock):
                    selector.unregister(0)
                    left = True
            except OSError:
                selector.unregister(0)  # nobody is there to send to
            if sock in ready and not show(sock, arriving):
                break
        if left:
            return 0
    sys.stderr.write("*** the server went away\n")
    return 1


def pass_on(data, decoder, sock):
    """Send what is typed; return whether there may be more."""
    lines = decoder.feed(data) if data else decoder.finish()
    more = bool(data) and "exit" not in lines
    if "exit" in lines:
        del lines[lines.index("exit") :]
    for line in lines:
        sock.sendall(protocol.encode(line))
    if not more:
        sock.shutdown(socket.SHUT_WR)
    return more


def show(sock, decoder):
    """Print what arrives; return whether there may be more."""
    try:
        data = sock.recv(4096)
    except OSError:
        data = b""
    for line in decoder.feed(data) if data else decoder.finish():
        print(line)
    return bool(data)


sys.exit(main())
