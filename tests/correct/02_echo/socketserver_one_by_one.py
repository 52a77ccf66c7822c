"""A correct echo server on socketserver, without threads: one client at a time."""

import argparse
import contextlib
import socketserver
import sys


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while data := self.rfile.read1(5000):
                self.wfile.write(data)


class Server(socketserver.TCPServer):
    allow_reuse_address = sys.platform != "win32"


parser = argparse.ArgumentParser()
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, default=5000)
options = parser.parse_args()
with Server((options.host, options.port), Handler) as server:
    print("Welcome to my server.")
    print("listening on {}:{}".format(*server.server_address), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
