"""A correct line server on socketserver, which reads lines without our decoder."""

import argparse
import contextlib
import socketserver
import sys

MOST = 4096  # bytes of a line


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while line := self.rfile.readline(MOST + 2):
                self.answer(line)

    def answer(self, line):
        text = line.removesuffix(b"\n").removesuffix(b"\r")
        if len(text) <= MOST:
            self.wfile.write(text + b"\n")
            return
        while line and not line.endswith(b"\n"):
            line = self.rfile.readline(MOST)
        self.wfile.write(b"* Your line was too long, and is lost.\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = sys.platform != "win32"
    daemon_threads = True
    request_queue_size = 100


parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=5000)
options = parser.parse_args()
with Server((options.host, options.port), Handler) as server:
    print("listening on {}:{}".format(*server.server_address), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
