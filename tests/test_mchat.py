"""The program as a whole: its command line, its console, its log, and its end.

Each test runs the real program. What it cannot show, the tests of the modules do.
"""

import os
import re
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

import mchat
from chatting import (
    MCHAT,
    STOPPING,
    enter,
    gather,
    here,
    join,
    linux,
    posix,
    queued,
    talk_until_behind,
)
from grading.deadlines import LINE
from grading.harness import Harness
from grading.mismatch import Mismatch
from grading.people import Person
from grading.program import Program

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S.*")

# Starts the server with the given descriptors closed, as `2>&-` does in a shell.
CLOSE_AND_START = """\
import os, sys
for number in map(int, sys.argv[1].split(",")):
    os.close(number)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""

# Starts the server with a pipe for one of its output streams: nobody reads from it
# after the ready line ("unread"), or nobody has it open any more ("closed").
PIPE_AND_START = """\
import signal, subprocess, sys
stream, fate, *command = sys.argv[1:]
signal.signal(signal.SIGINT, lambda *_: server.send_signal(signal.SIGINT))
server = subprocess.Popen(
    [sys.executable, *command], bufsize=0, **{stream: subprocess.PIPE}
)
pipe = getattr(server, stream)
if stream == "stdout":
    print(pipe.readline().decode(), end="", flush=True)
if fate == "closed":
    pipe.close()
sys.exit(server.wait())
"""

# Starts the server in the background as nohup does.
NOHUP = """\
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

# Starts the server with a terminal to read from; passes on what is typed here.
TERMINAL = """\
import os, pty, subprocess, sys, threading
keyboard, screen = pty.openpty()
server = subprocess.Popen([sys.executable, *sys.argv[1:]], stdin=screen)
def copy():
    while data := os.read(0, 1000):
        os.write(keyboard, data)
    os.write(keyboard, b"\\x04")
threading.Thread(target=copy, daemon=True).start()
os._exit(server.wait())
"""

unix_only = pytest.mark.skipif(not posix, reason="needs POSIX")
linux_only = pytest.mark.skipif(not linux, reason="needs a device that Linux has")


def write(folder: Path, source: str) -> Path:
    """Write a program that starts the server in its own way."""
    path = folder / "start.py"
    path.write_text(source, encoding="utf-8")
    return path


def has_ipv6() -> bool:
    """Whether ::1 can be used here."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def assert_quiet(server: Program) -> None:
    """Assert that stderr has nothing but lines of the log."""
    for line in server.stderr.splitlines():
        assert LOG_LINE.fullmatch(line), line


# ------------------------------------------------------------------------- the start


def test_first_line_says_where(harness: Harness) -> None:
    """First the ready line with the real port; then how to join, in commands."""
    server = harness.start(MCHAT, "--port", 0)
    assert server.address is not None
    port = server.address[1]
    server.expect_output(re.compile(rf"join here: +nc 127\.0\.0\.1 {port} +or .*"))
    server.expect_output(re.compile(r".*/help.*exit.*"))
    first = server.stdout.splitlines()[0]
    assert first in (f"listening on [::]:{port}", f"listening on 0.0.0.0:{port}")
    assert port != 0


@pytest.mark.skipif(not has_ipv6(), reason="IPv6 is switched off")
def test_ipv4_and_ipv6_at_once(harness: Harness) -> None:
    """Without --host, both kinds of addresses lead into the same room."""
    server = harness.start(MCHAT, "--port", 0)
    assert server.address is not None
    port = server.address[1]
    old = join(harness, ("127.0.0.1", port), "old")
    new = join(harness, ("::1", port), "new")
    new.send("hello")
    old.expect_eventually("[new] hello")
    server.type("/who")
    server.expect_output(re.compile(r".* 127\.0\.0\.1:\d+ .*"))
    server.expect_output(re.compile(r".* \[::1\]:\d+ .*"))


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", r"(127\.0\.0\.1|\[::1\])"),
        pytest.param(
            "::1",
            r"\[::1\]",
            marks=pytest.mark.skipif(not has_ipv6(), reason="IPv6 is switched off"),
        ),
    ],
)
def test_host_is_where_it_listens(harness: Harness, host: str, shown: str) -> None:
    """On this address, and on no other."""
    server = harness.start(MCHAT, "--port", 0, "--host", host)
    assert re.fullmatch(rf"listening on {shown}:\d+", server.stdout.splitlines()[0])
    enter(harness, server, "alice")
    assert "join elsewhere" not in server.stdout
    assert server.address is not None
    elsewhere = "127.0.0.1" if host == "::1" else "127.0.0.2"
    with pytest.raises(Mismatch, match="refused"):
        harness.connect((elsewhere, server.address[1]), "stranger")


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what the manual says, and the help says the same."""
    monkeypatch.setattr("sys.argv", ["mchat.py"])
    options = mchat.parse_arguments()
    assert vars(options) == {
        "host": None,
        "port": 5000,
        "max_clients": 1000,
        "max_line": 4096,
        "outbox": 1024 * 1024,
        "rate": 20,
        "log": None,
        "verbose": False,
    }


def test_help_tells_every_option_and_its_default(harness: Harness) -> None:
    """--help, on stdout, exit code 0."""
    server = harness.start(MCHAT, "--help", ready=False)
    assert server.wait_exit() == 0
    text = " ".join(server.stdout.split())
    for option, default in [
        ("--host HOST", "all"),
        ("--port PORT", "5000"),
        ("--max-clients N", "1000"),
        ("--max-line BYTES", "4096"),
        ("--outbox BYTES", "1 MiB"),
        ("--rate LINES_PER_SECOND", "20"),
        ("--log FILE", ""),
        ("--verbose", ""),
    ]:
        described = text.partition("options:")[2].partition(option)[2]
        assert described, option
        assert default in described.partition(" --")[0]


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--port", "http"], "--port"),
        (["--port", "65536"], "65535"),
        (["--port", "-1"], "--port"),
        (["--rate", "nan"], "--rate"),
        (["--rate", "-1"], "--rate"),
        (["--outbox", "0"], "--outbox"),
        (["--max-line", "1.5"], "--max-line"),
        (["--max-clients", "none"], "--max-clients"),
        (["--prot", "5000"], "--help"),
        (["5000"], "--help"),
        (["--host", "a..b"], "--host"),
        (["--host", "x" * 70], "--host"),
        (["--log", "."], "log to ."),
        (["--log", "no-such-folder/log"], "no-such-folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line(
    harness: Harness, options: list[str], hint: str
) -> None:
    """One line on stderr that says what to look at; nothing on stdout; exit code 2."""
    server = harness.start(MCHAT, "--port", "0", *options, ready=False)
    assert server.wait_exit() == 2
    assert server.stdout == ""
    (line,) = server.stderr.splitlines()
    assert line.startswith("mchat.py: ")
    assert hint in line


def test_port_in_use_is_one_line(harness: Harness) -> None:
    """The second server says what to do, and the first does not notice."""
    first = harness.start(MCHAT, "--port", 0)
    assert first.address is not None
    port = first.address[1]
    second = harness.start(MCHAT, "--port", port, ready=False)
    assert second.wait_exit() == 2
    (line,) = second.stderr.splitlines()
    assert f"port {port} is in use" in line
    assert "--port" in line
    enter(harness, first, "alice")


# ----------------------------------------------------------------------- the console


def test_operator_speaks_to_everyone(harness: Harness) -> None:
    """A line is said as [server]; // says a slash; controls do not get through."""
    server = harness.start(MCHAT, "--port", 0)
    people = gather(harness, server, "alice", "bob")
    server.type("hello")
    server.type("")
    server.type("//exit")
    server.type("a\tb\x1b[2Jc")
    for person in people:
        person.expect("[server] hello")
        person.expect("[server] /exit")
        person.expect("[server] a b\ufffd[2Jc")


def test_operator_has_commands(harness: Harness) -> None:
    """Who is here and from where; remove somebody; help; the rest is explained."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    server.type("/who")
    server.expect_output("2 here")
    server.expect_output(re.compile(r"  alice +\S+:\d+ .* 0 bytes queued"))
    server.expect_output(re.compile(r"  bob +\S+:\d+ .* 0 bytes queued"))
    server.type("/kick nobody")
    server.expect_output(re.compile("nobody here is called nobody;.*"))
    server.type("/kick")
    server.expect_output("usage: /kick NAME [REASON]")
    server.type("/kick BOB for\x1b[31m shouting")
    server.expect_output("bob was removed")
    bob.expect("* you were removed by the operator: for\ufffd[31m shouting")
    bob.expect_end()
    alice.expect("* bob left")
    server.type("/frobnicate")
    server.expect_output(re.compile("unknown command /frobnicate;.*/help.*"))
    server.type("/help")
    for command in ("/who", "/kick NAME", "/help", "exit"):
        server.expect_output(re.compile(f"{re.escape(command)}.*"))


def test_end_of_stdin_does_not_stop_the_server(harness: Harness) -> None:
    """As under systemd, docker, nohup and </dev/null; a last unfinished line counts."""
    server = harness.start(MCHAT, "--port", 0)
    alice = enter(harness, server, "alice")
    server.type("hello")
    server.close_stdin()
    server.expect_output(re.compile(".* end of console input;.*"), "stderr")
    alice.expect("[server] hello")
    alice.send("/who")
    alice.expect(here("guest1"))
    server.interrupt()
    alice.expect(STOPPING)
    alice.close()
    assert server.wait_exit() == 0


@unix_only
def test_stdin_may_be_a_terminal(harness: Harness, tmp_path: Path) -> None:
    """`exit` typed there stops it, with the console thread still in read()."""
    program = write(tmp_path, TERMINAL)
    server = harness.start(program, MCHAT, "--port", 0)
    alice = enter(harness, server, "alice")
    server.type("hello")
    alice.expect("[server] hello")
    server.type("exit")
    alice.expect(STOPPING)
    alice.close()
    assert server.wait_exit() == 0
    assert_quiet(server)


@unix_only
def test_stopped_while_a_terminal_is_read(harness: Harness, tmp_path: Path) -> None:
    """The thread that reads the terminal cannot be woken; it does not matter."""
    server = harness.start(write(tmp_path, TERMINAL), MCHAT, "--port", 0)
    alice = enter(harness, server, "alice")
    (process,) = server.descendants()
    process.terminate()
    alice.expect(STOPPING)
    alice.close()
    assert server.wait_exit() == 0
    assert_quiet(server)


# --------------------------------------------------------------------------- the end


@pytest.mark.parametrize("way", ["exit", "interrupt", "terminate"])
def test_stop(harness: Harness, way: str) -> None:
    """Everyone is told, every socket closed, the exit code 0, the port free again."""
    if way == "terminate" and not posix:
        pytest.skip("on Windows this kills")
    server = harness.start(MCHAT, "--port", 0)
    assert server.address is not None
    people = gather(harness, server, "alice", "bob")
    if way == "exit":
        server.type("  exit ")
    else:
        getattr(server, way)()
    for person in people:
        person.expect(STOPPING)
        assert person.expect_end() == "FIN"
        person.close()
    assert server.wait_exit() == 0
    assert_quiet(server)
    again = harness.start(MCHAT, "--port", server.address[1])
    enter(harness, again, "carol")


def test_stop_with_difficult_clients(harness: Harness) -> None:
    """Idle, stalled, half-closed, flooding, not yet in: nobody holds it up.

    They cost a second, until they are cut off; the manual promises less than two.
    """
    server = harness.start(MCHAT, "--port", 0, "--rate", 0, "--outbox", 100_000_000)
    alice, bob = gather(harness, server, "alice", "bob")
    enter(harness, server, "idle")
    enter(harness, server, "stalled", receive_buffer=4096).stall()
    talk_until_behind(lambda: queued(server, "guest4"), alice, bob)
    flooder = enter(harness, server, "flooder")
    flooding = threading.Thread(target=flood, args=(flooder, b"x" * 999 + b"\n"))
    flooding.start()
    bob.expect_eventually("[guest5] " + "x" * 999)
    harness.connect(server, "half-closed").half_close()
    harness.connect(server, "new")
    server.interrupt()
    bob.read_all()
    assert server.wait_exit() == 0
    flooding.join(LINE)
    assert not flooding.is_alive()
    assert_quiet(server)


def flood(person: Person, data: bytes) -> None:
    """Send without end, and without reading."""
    with suppress(Mismatch):
        while True:
            person.send_bytes(data)


def test_stop_while_clients_come_in(harness: Harness) -> None:
    """Connections that arrive in the middle of it end too."""
    server = harness.start(MCHAT, "--port", 0)
    address = server.address
    assert address is not None
    connected = threading.Event()

    def storm() -> None:
        try:
            for _ in range(20_000):
                with socket.create_connection(address, LINE):
                    connected.set()
        except OSError:
            pass  # refused: the server is gone

    storming = threading.Thread(target=storm)
    storming.start()
    assert connected.wait(LINE)
    server.interrupt()
    assert server.wait_exit() == 0
    storming.join(LINE)
    assert not storming.is_alive()
    assert_quiet(server)


@unix_only
def test_second_interrupt_stops_now(harness: Harness) -> None:
    """It does not wait for clients that do not go."""
    server = harness.start(MCHAT, "--port", 0)
    alice = enter(harness, server, "alice")
    server.interrupt()
    alice.expect(STOPPING)  # the server now waits for alice
    server.interrupt()
    assert server.wait_exit() == 128 + signal.SIGINT


@unix_only
def test_hangup_stops_it_but_not_under_nohup(harness: Harness, tmp_path: Path) -> None:
    """A terminal that closes ends it in an orderly way; unless that is ignored."""
    server = harness.start(MCHAT, "--port", 0)
    alice = enter(harness, server, "alice")
    os.kill(server.pid, signal.SIGHUP)
    alice.expect(STOPPING)
    alice.close()
    assert server.wait_exit() == 0

    server = harness.start(write(tmp_path, NOHUP), MCHAT, "--port", 0)
    alice = enter(harness, server, "alice")
    os.kill(server.pid, signal.SIGHUP)
    alice.send("/who")
    alice.expect(here("guest1"))


# ------------------------------------------------------- input and output that is odd


@unix_only
@pytest.mark.parametrize("closed", ["0", "2", "0,2"])
def test_streams_may_be_closed(harness: Harness, tmp_path: Path, closed: str) -> None:
    """As with `<&- 2>&-`: it serves, and no client gets its descriptor, and the log."""
    program = write(tmp_path, CLOSE_AND_START)
    log = tmp_path / "log"
    server = harness.start(program, closed, MCHAT, "--port", 0, "--log", log)
    alice, bob = gather(harness, server, "alice", "bob")
    alice.send("hello")
    bob.expect("[alice] hello")
    server.interrupt()
    for person in (alice, bob):
        assert person.read_all().decode().splitlines() == [STOPPING]
        person.close()
    assert server.wait_exit() == 0
    kept = log.read_text(encoding="utf-8").splitlines()
    told = [line for line in kept if "console" not in line]
    assert len(told) == 5  # two come, two are renamed, stopping: each of them once


@unix_only
@pytest.mark.parametrize("fate", ["closed", "unread"])
def test_nobody_may_read_stdout(harness: Harness, tmp_path: Path, fate: str) -> None:
    """As with `mchat.py | head -1`: the server is no worse for it, and stops."""
    program = write(tmp_path, PIPE_AND_START)
    server = harness.start(program, "stdout", fate, MCHAT, "--port", 0)
    alice = enter(harness, server, "alice")
    for _ in range(500):
        server.type("/help")
    server.type("hello")
    if fate == "closed":
        alice.expect("[server] hello")
        server.type("exit")
    else:
        alice.send("/who")
        alice.expect(here("guest1"))
        server.interrupt()
    alice.expect(STOPPING)
    alice.close()
    assert server.wait_exit() == 0
    assert_quiet(server)


@unix_only
@pytest.mark.parametrize("fate", ["closed", "unread"])
def test_nobody_may_read_stderr(harness: Harness, tmp_path: Path, fate: str) -> None:
    """The talk goes on, the log file is written, and the server stops."""
    program = write(tmp_path, PIPE_AND_START)
    log = tmp_path / "log"
    options = ["--port", 0, "--rate", 0, "--verbose", "--log", log]
    server = harness.start(program, "stderr", fate, MCHAT, *options)
    alice, bob = gather(harness, server, "alice", "bob")
    for number in range(20):
        alice.send_bytes(b"x" * 100 + b"\n" + b"y" * 4000 + f"\n{number}\n".encode())
        bob.expect_eventually(f"[alice] {number}")
    server.interrupt()
    for person in (alice, bob):
        person.expect(STOPPING)
        person.close()
    assert server.wait_exit() == 0
    kept = log.read_text(encoding="utf-8").splitlines()
    assert "[alice] 19" in kept[-2]
    assert "stopping" in kept[-1]
    assert "dropped" not in "".join(kept)


@linux_only
def test_disk_may_be_full(harness: Harness) -> None:
    """The log file is given up with one line on stderr; the server goes on."""
    server = harness.start(MCHAT, "--port", 0, "--log", "/dev/full")
    alice = enter(harness, server, "alice")
    server.expect_output(re.compile(".* logging to /dev/full fails: .*"), "stderr")
    alice.send("/who")
    alice.expect(here("guest1"))
    server.type("exit")
    alice.expect(STOPPING)
    alice.close()
    assert server.wait_exit() == 0
    assert server.stderr.count("/dev/full") == 1
    assert_quiet(server)


@pytest.mark.parametrize("verbose", [False, True])
def test_log(harness: Harness, tmp_path: Path, verbose: bool) -> None:
    """Coming, going, renaming: on stderr and in the file; what is said if --verbose.

    What is said in private is never there.
    """
    log = tmp_path / "log"
    options = ["--verbose"] if verbose else []
    server = harness.start(MCHAT, "--port", 0, "--log", log, *options)
    alice, bob = gather(harness, server, "alice", "bob")
    alice.send("hello")
    alice.send("/me waves")
    alice.send("/msg bob secret")
    bob.expect_eventually("[alice -> bob] secret")
    server.type("exit")
    for person in (alice, bob):
        person.expect(STOPPING)
        person.close()
    assert server.wait_exit() == 0
    assert_quiet(server)
    kept = log.read_text(encoding="utf-8")
    assert kept == server.stderr
    told = [line.split(maxsplit=2)[2] for line in kept.splitlines()]
    talk = ["[alice] hello", "* alice waves"] if verbose else []
    assert [re.sub(r" from \S+:\d+", " from HOST", line) for line in told] == [
        "guest1 joined from HOST",
        "guest1 is now alice",
        "guest2 joined from HOST",
        "guest2 is now bob",
        *talk,
        "stopping",
    ]
