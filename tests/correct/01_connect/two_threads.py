"""A correct client whose sender and receiver are threads of their own."""

import socket
import sys
import threading


def send(sock):
    for line in sys.stdin:
        sock.sendall(bytes(line, "utf-8"))
        return


def receive(sock):
    data = None
    while data != b"":
        data = sock.recv(1 << 20)
        sys.stdout.buffer.write(data)
        sys.stdout.flush()


def main():
    address = sys.argv[1], int(sys.argv[2])
    with socket.socket() as sock:
        try:
            sock.connect(address)
        except OSError:
            print("no connection", file=sys.stderr)
            return 1
        threads = [threading.Thread(target=job, args=[sock]) for job in (receive, send)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 0


raise SystemExit(main())
