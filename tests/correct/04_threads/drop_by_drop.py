"""A correct line server that is slow to start, and sends byte by byte.

It has two threads for each client: one receives, one sends.
"""

import argparse
import queue
import socket
import threading
import time

import protocol

PAUSE = 0.7  # seconds until it listens
END = object()


def receive(sock):
    replies = queue.Queue(10)
    sender = threading.Thread(target=deliver, args=[sock, replies], daemon=True)
    sender.start()
    decoder = protocol.Decoder()
    try:
        while data := sock.recv(7):
            for line in decoder.feed(data):
                replies.put(line)
        for line in decoder.finish():
            replies.put(line)
    except OSError:
        pass
    replies.put(END)
    sender.join()
    sock.close()


def deliver(sock, replies):
    broken = False
    while (line := replies.get()) is not END:
        frame = protocol.encode("* that was too long" if line is None else line)
        try:
            for byte in frame if not broken else b"":
                sock.sendall(bytes([byte]))
        except OSError:
            broken = True  # goes on, so that the queue never fills


parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=5000)
options = parser.parse_args()
time.sleep(PAUSE)
listener = socket.create_server((options.host, options.port))
print("listening on {}:{}".format(*listener.getsockname()), flush=True)
try:
    while True:
        client, _ = listener.accept()
        threading.Thread(target=receive, args=[client], daemon=True).start()
except KeyboardInterrupt:
    pass
