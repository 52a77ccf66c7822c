"""The servers measured: how each is started, spoken to, and ended."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from load import Failure, Wire

HERE = Path(__file__).parent
REFERENCE = HERE.parents[1] / "server" / "mchat.py"
READY = "listening on "
START_TIMEOUT = 20.0  # seconds
END_TIMEOUT = 5.0  # seconds for a polite end, before it is killed

NGIRCD_CONF = """\
[Global]
Name = bench.test
Info = benchmark
Listen = 127.0.0.1
Ports = {port}
ServerUID = nobody
ServerGID = nogroup
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
MaxNickLength = 16
PingTimeout = 3600
[Options]
DNS = no
Ident = no
PAM = no
"""


@dataclass(frozen=True)
class Plan:
    """What a server is started for: how many clients, on which port, files where."""

    clients: int
    port: int
    python: str
    scratch: Path


@dataclass(frozen=True)
class Server:
    """One design to measure.

    `command` returns the command line. `ready_line` is False for programs that do
    not say when they listen: those are told the port, and tried until they answer.
    """

    name: str
    about: str
    command: Callable[[Plan], list[str]]
    wire: Wire = field(default_factory=Wire)
    ready_line: bool = True
    most: int = 1_000_000  # clients it can take at all
    needs: str = ""  # the program or file without which it is skipped

    def missing(self) -> str:
        """Return why this server cannot be measured here; "" if it can."""
        if not self.needs or shutil.which(self.needs) or Path(self.needs).exists():
            return ""
        return f"{Path(self.needs).name} not found"


class Running:
    """A server process, started and listening."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def memory(self) -> int:
        """Return the resident memory of the process in bytes."""
        command = ["ps", "-o", "rss=", "-p", str(self.process.pid)]
        text = subprocess.run(command, capture_output=True, text=True, check=False)
        return int(text.stdout or 0) * 1024

    def check(self) -> None:
        """Raise Failure if the process has ended."""
        if self.process.poll() is not None:
            raise Failure("died")


@contextmanager
def running(server: Server, clients: int, python: str) -> Iterator[Running]:
    """Start a server for so many clients; it is ended and reaped on leaving."""
    if clients > server.most:
        raise Failure(f"max {server.most}")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)  # ngircd reads its file as somebody else
        port = 0 if server.ready_line else _free_port()
        log = scratch / "output"
        command = server.command(Plan(clients, port, python, scratch))
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # held open: some end with their input
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            port = _wait(process, port, log)
            yield Running(process, port, log)
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> int:
    """Return the port once the server listens; raise Failure if it never does."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise Failure("no start: " + "".join(last)[:60])
        if port and _answers(port):
            return port
        for line in log.read_text(errors="replace").splitlines(keepends=True):
            if not port and line.startswith(READY) and line.endswith("\n"):
                return int(line.rpartition(":")[2])
        time.sleep(0.02)
    raise Failure("no start")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, politely at first."""
    if process.stdin:
        process.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            continue
        return


def python_program(path: Path, *options: str) -> Callable[[Plan], list[str]]:
    """Return the command for a Python program that takes `--port 0`."""
    return lambda plan: [plan.python, str(path), "--port", "0", *options]


def _reference(plan: Plan) -> list[str]:
    options = ["--host", "127.0.0.1", "--rate", "0"]
    options += ["--max-clients", str(plan.clients + 10)]
    return python_program(REFERENCE, *options)(plan)


def _go(plan: Plan) -> list[str]:
    program = str(plan.scratch / "textbook")
    source = str(HERE / "peers" / "textbook.go")
    subprocess.run(["go", "build", "-o", program, source], check=True)
    return [program, "--port", "0"]


def _ncat(mode: str) -> Callable[[Plan], list[str]]:
    def command(plan: Plan) -> list[str]:
        limit = ["--max-conns", str(plan.clients + 10)]
        return ["ncat", "-l", "-k", mode, *limit, "127.0.0.1", str(plan.port)]

    return command


def _ngircd(plan: Plan) -> list[str]:
    conf = plan.scratch / "ngircd.conf"
    conf.write_text(NGIRCD_CONF.format(port=plan.port))
    return ["ngircd", "--nodaemon", "--config", str(conf)]


IRC = Wire(
    before=b"PRIVMSG #bench :",
    after=b"\r\n",
    hello="NICK n{}\r\nUSER u 0 * :u\r\nJOIN #bench\r\n",
)
SELECT_LIMIT = 1000  # clients; select() ends at descriptor 1023

SERVERS = [
    Server(
        "reference",
        "server/mchat.py of this kit",
        _reference,
        needs=str(REFERENCE),
    ),
    Server(
        "sendall",
        "Python, a thread per client, sendall to all",
        python_program(HERE / "peers" / "threads_sendall.py"),
    ),
    Server(
        "queue",
        "Python, a queue and a writer thread per client",
        python_program(HERE / "peers" / "threads_queue.py"),
    ),
    Server(
        "asyncio",
        "Python, asyncio streams",
        python_program(HERE / "peers" / "asyncio_streams.py"),
    ),
    Server(
        "go",
        "Go, goroutines and a channel per client",
        _go,
        needs="go",
    ),
    Server(
        "ncat-broker",
        "ncat --broker: C, copies bytes, knows no lines and no names",
        _ncat("--broker"),
        ready_line=False,
        most=SELECT_LIMIT,
        needs="ncat",
    ),
    Server(
        "ncat-chat",
        "ncat --chat: C, a name before each packet",
        _ncat("--chat"),
        wire=Wire(by_lines=True),
        ready_line=False,
        most=SELECT_LIMIT,
        needs="ncat",
    ),
    Server(
        "ngircd",
        "ngIRCd: C, an IRC server",
        _ngircd,
        wire=IRC,
        ready_line=False,
        needs="ngircd",
    ),
]


def added(text: str) -> Server:
    """Return a server from NAME=COMMAND; the command must take `--port 0`."""
    name, _, command = text.partition("=")
    words = command.split()
    return Server(name, command, lambda _: [*words, "--port", "0"])


DEFAULT_PYTHON = sys.executable
