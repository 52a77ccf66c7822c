"""The harness is proved with small programs such as students write, good and bad."""

import os
import re
import signal
import socket
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from grading.deadlines import Deadline, patient
from grading.harness import Harness
from grading.mismatch import Mismatch
from grading.output import Output
from grading.program import Program
from grading.rendering import conversation, quoted, visible
from grading.transcript import EVENTS, HEAD, TAIL, LineCutter, Transcript

SHORT = 0.3  # seconds; for what never comes

# Serves one connection after another: `serve(sock)` is what each test program adds.
SERVER = """\
import socket, struct, sys
listener = socket.create_server(("127.0.0.1", 0))
print("listening on %s:%d" % listener.getsockname())

def run(serve):
    while True:
        sock, _ = listener.accept()
        with sock:
            serve(sock)
"""

ECHO = (
    SERVER
    + """
def serve(sock):
    for line in sock.makefile("rb"):
        sock.sendall(line)
run(serve)
"""
)

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Give a function that writes a program and returns its path."""

    def write(name: str, source: str) -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    return write


def without_times(report: str) -> str:
    """Replace what differs between runs: times and port numbers."""
    report = re.sub(r" +\d+\.\d{3} s  ", "  TIME  ", report)
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", report)


# -- transcript and rendering -----------------------------------------------------


def test_visible_shows_text_as_text_and_everything_else_as_bytes() -> None:
    """Line ends, controls, invalid UTF-8 and backslashes can be told apart."""
    assert visible(b"hi\r\n\t\\") == r"hi\r\n\t\\"
    assert visible("é 你".encode()) == "é 你"
    assert visible(b"\x00\x1b[2J\xff") == r"\x00\x1b[2J\xff"
    assert visible("\u202e".encode()) == r"\xe2\x80\xae"


def test_lines_are_cut_the_same_however_the_bytes_come() -> None:
    """Whole or byte by byte: the same lines, and the same rest."""
    data = b"one\r\n\ntwo\nrest"
    whole, single = LineCutter(), LineCutter()
    lines = [line for byte in data for line in single.cut(bytes([byte]))]
    assert whole.cut(data) == lines == [b"one\r\n", b"\n", b"two\n"]
    assert whole.rest() == single.rest() == b"rest"


def test_transcript_numbers_and_times_what_happens() -> None:
    """The rendering is a numbered conversation with times."""
    times = iter([10.0, 10.0, 10.0123, 11.5])
    transcript = Transcript(clock=lambda: next(times))
    transcript.record("server", "started", note="python chat.py")
    transcript.record("al", "sent", "server", b"hello\n")
    transcript.record("al", "got", "server", b"\xff\r\n")
    assert conversation(transcript.events()).splitlines() == [
        "  1    0.000 s  server            started: python chat.py",
        r'  2    0.012 s  al     -> server  "hello\n"',
        r'  3    1.500 s  al     <- server  "\xff\r\n"',
    ]


def test_transcript_abbreviates_long_data_in_the_middle() -> None:
    """Beginning and end are kept, and the number of bytes between them."""
    transcript = Transcript()
    transcript.record("alice", "sent", "server", b"<" + bytes(10_000) + b">")
    (event,) = transcript.events()
    assert (len(event.data), event.left_out) == (HEAD + TAIL, 10_002 - HEAD - TAIL)
    text = quoted(event.data, event.left_out)
    assert text.startswith('"<')
    assert text.endswith('>"')
    assert "9602 bytes left out" in text


def test_transcript_keeps_the_first_and_the_last_of_many_events() -> None:
    """Memory is bounded; the numbers show the gap."""
    transcript = Transcript()
    for _ in range(3 * EVENTS):
        transcript.record("alice", "sent", "server", b"x\n")
    events = transcript.events()
    assert [len(events), events[0].number, events[-1].number] == [2000, 1, 3000]
    assert "2997 earlier events" in conversation(events, last=3)


def test_output_keeps_the_beginning_and_the_end_and_reads_on() -> None:
    """However much is printed, lines at both ends can be read."""
    output = Output()
    output.add(b"first\n")
    assert output.next_line() == b"first\n"
    for _ in range(100):
        output.add(b"x" * 9999 + b"\n")
    output.add(b"last\nunfinished")
    lines = list(iter(output.next_line, None))
    assert lines[-1] == b"last\n"
    assert len(output.kept) + output.left_out == 6 + 100 * 10_000 + 15
    output.ended = True
    assert output.next_line() == b"unfinished"
    assert output.next_line() is None


def test_patience_multiplies_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """GRADING_PATIENCE scales; nonsense is refused with its name in the message."""
    monkeypatch.setenv("GRADING_PATIENCE", "2.5")
    assert patient(4.0) == 10.0
    for nonsense in ("0", "nan", "soon"):
        monkeypatch.setenv("GRADING_PATIENCE", nonsense)
        with pytest.raises(ValueError, match="GRADING_PATIENCE"):
            patient(1.0)
    assert Deadline(0).left() == 0.0


# -- programs -----------------------------------------------------------------------


def test_server_starts_and_answers(harness: Harness, write: Write) -> None:
    """Start, connect, one round trip."""
    server = harness.start(write("echo.py", ECHO))
    alice = harness.connect(server, "alice")
    alice.send("hello")
    assert alice.expect("hello")[0] == "hello"
    alice.send("guest7 joined")
    assert alice.expect(re.compile(r"guest(\d+) joined"))[1] == "7"


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_server_on_all_addresses_of_both_kinds(harness: Harness, write: Write) -> None:
    """[::]:PORT, what the reference server says, leads to the loopback address."""
    bind = '("::", 0), family=socket.AF_INET6, dualstack_ipv6=True'
    source = ECHO.replace('("127.0.0.1", 0)', bind)
    source = source.replace(
        '%s:%d" % listener.getsockname()', '[::]:%d" % listener.getsockname()[1]'
    )
    server = harness.start(write("both.py", source))
    alice = harness.connect(server, "alice")
    alice.send("hello")
    alice.expect("hello")


def test_program_sees_its_arguments_and_not_our_settings(
    harness: Harness, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PYTHON* and PYTEST* stay here; arguments, cwd and interpreter options arrive."""
    monkeypatch.setenv("PYTHONPATH", "nowhere")
    show = """
        import os, sys
        print(sys.argv[1:], sys.flags.ignore_environment, sys.flags.utf8_mode)
        print(sorted(k for k in os.environ if k.startswith(("PYTHON", "PYTEST"))))
        print(os.getcwd())
    """
    path = write("show.py", show)
    program = harness.start(path, "--port", 0, ready=False, python_args=["-X", "utf8"])
    assert program.wait_exit() == 0
    arguments, environment, cwd = program.stdout.splitlines()
    assert arguments == "['--port', '0'] 1 1"
    assert environment == "[]"
    assert Path(cwd).samefile(path.parent)


def test_program_that_dies_at_start_is_quoted(harness: Harness, write: Write) -> None:
    """The message holds the exit code and the program's traceback."""
    path = write("broken.py", "import socket\nsocket.sock()\n")
    with pytest.raises(Mismatch) as caught:
        harness.start(path)
    report = str(caught.value)
    assert caught.value.story.got == "its end: exit code 1"
    assert "AttributeError: module 'socket' has no attribute 'sock'" in report
    assert "broken printed nothing on stdout" in report


def test_program_that_never_says_it_is_ready(harness: Harness, write: Write) -> None:
    """The message says what it printed instead."""
    program = harness.start(
        write("mute.py", "print('Listening!')\ninput()\n"), ready=False
    )
    program.expect_output("Listening!")
    with pytest.raises(Mismatch, match="listening on HOST:PORT") as caught:
        program.wait_ready(timeout=SHORT)
    assert caught.value.story.got == "nothing like it within 0.3 s"
    assert "mute (python -E -u mute.py): still running" in str(caught.value)
    assert "    Listening!" in str(caught.value)


def test_endless_output_blocks_nobody(harness: Harness, write: Write) -> None:
    """A flood on both streams is drained; ready line and round trip still work."""
    flood = """
        import threading
        def flood(stream):
            while True:
                stream.write("x" * 1000 + chr(10))
        for stream in (sys.stdout, sys.stderr):
            threading.Thread(target=flood, args=[stream], daemon=True).start()
    """
    source = ECHO.replace("def serve", textwrap.dedent(flood) + "\ndef serve")
    server = harness.start(write("flood.py", source))
    alice = harness.connect(server, "alice")
    alice.send("still there?")
    alice.expect("still there?")
    server.kill_tree()
    assert len(server.stdout) < 300_000
    assert len(harness.transcript.events()) < 300


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("listening on 0.0.0.0:5000", r"127\.0\.0\.1"),
        ("listening on [::]:5000", r"::1|127\.0\.0\.1"),
        ("listening on 192.0.2.1:5000", r"127\.0\.0\.1"),
    ],
)
def test_ready_line_leads_to_this_machine(
    harness: Harness, write: Write, line: str, host: str
) -> None:
    """Whatever a program says, the harness connects to the loopback address."""
    program = harness.start(write("say.py", f"print({line!r})"), ready=False)
    found, port = program.wait_ready()
    assert re.fullmatch(host, found)
    assert port == 5000


def test_stdin_is_typed_and_ended(harness: Harness, write: Write) -> None:
    """A console program reads lines, then the end of stdin."""
    source = "import sys\nfor line in sys.stdin: print('said', line, end='')\n"
    program = harness.start(write("console.py", source), ready=False)
    program.type("one")
    program.expect_output("said one")
    program.type("two")
    program.close_stdin()
    assert program.wait_exit() == 0
    assert program.stdout == "said one\nsaid two\n"
    assert "  end of its input\n" in str(program.mismatch("to go on", "its end"))


def test_typing_to_a_program_that_does_not_read_does_not_block(
    harness: Harness, write: Write
) -> None:
    """More than a pipe holds is typed; the test goes on and ends in time."""
    program = harness.start(write("echo.py", ECHO))
    for _ in range(100):
        program.type("x" * 10_000)


def test_interrupt_and_exit_code(harness: Harness, write: Write) -> None:
    """What Ctrl-C does can be sent, and the exit code comes back."""
    source = """
        import signal, sys
        number = getattr(signal, "SIGBREAK", signal.SIGINT)  # Windows: Ctrl-Break
        signal.signal(number, lambda *_: sys.exit(7))
        print("go")
        sys.stdin.read()
    """
    program = harness.start(write("stoppable.py", source), ready=False)
    program.expect_output("go")
    program.interrupt()
    assert program.wait_exit() == 7


def test_paused_program_goes_on_afterwards(harness: Harness, write: Write) -> None:
    """What it is sent meanwhile is kept for it; one that is over stays so."""
    server = harness.start(write("echo.py", ECHO))
    alice = harness.connect(server, "alice")
    with server.paused():
        process = psutil.Process(server.pid)
        assert server.becomes(lambda: process.status() == psutil.STATUS_STOPPED)
        alice.send("hello")
    alice.expect("hello")
    server.kill_tree()
    with server.paused():
        assert server.has_ended()


def test_program_that_does_not_end(harness: Harness, write: Write) -> None:
    """wait_exit gives up with a report, and the teardown still kills it."""
    program = harness.start(write("echo.py", ECHO))
    with pytest.raises(Mismatch, match=r"echo to end\nbut got no end within 0\.3 s"):
        program.wait_exit(timeout=SHORT)


def test_interrupt_reaches_a_program_even_if_we_ignore_it(
    harness: Harness, write: Write
) -> None:
    """Under nohup or "&" SIGINT is ignored, and programs would inherit that."""
    source = """
        try:
            print("go")
            input()
        except KeyboardInterrupt:
            print("stopped")
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        program = harness.start(write("sleepy.py", source), ready=False)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    program.expect_output("go")
    program.interrupt()
    program.wait_exit()
    if sys.platform != "win32":  # there CTRL_BREAK_EVENT ends it without a word
        assert program.stdout == "go\nstopped\n"


# Starts a child that leaves the process group, and says its pid.
ESCAPE = """
import subprocess, sys
code = "import threading; threading.Event().wait()"
child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True{more})
print("child", child.pid)
{then}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="setsid is a POSIX call")
@pytest.mark.parametrize(
    ("more", "then"),
    [
        (", env={}", "sys.stdin.read()"),  # unmarked, but its parent lives
        (", stdout=-3, stderr=-3", ""),  # an orphan, but marked; holds no pipe of ours
        ("", ""),  # an orphan that holds our pipes
    ],
)
def test_children_that_escape_the_group_are_killed(
    harness: Harness, write: Write, more: str, then: str
) -> None:
    """Neither setsid nor the parent's exit saves a child; the program is blamed."""
    source = ESCAPE.format(more=more, then=then)
    program = harness.start(write("escape.py", source), ready=False)
    pid = int(program.expect_output(re.compile(r"child (\d+)"))[1])
    if not then:
        assert program.wait_exit() == 0
    assert [child.pid for child in program.descendants()] == [pid]
    program.kill_tree()
    assert program.descendants() == []
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
    assert "processes it had started: 1" in harness.report()


def test_teardown_after_an_error_leaves_nothing(tmp_path: Path, write: Write) -> None:
    """An exception in a test ends its programs, threads and sockets all the same."""
    before = set(threading.enumerate())
    programs: list[Program] = []

    def failing_test() -> None:
        with Harness(tmp_path) as harness:
            for _ in range(3):
                programs.append(harness.start(write("echo.py", ECHO)))
                harness.connect(programs[-1], "alice").send("hello")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing_test()
    assert [program.name for program in programs] == ["echo", "echo-2", "echo-3"]
    assert not any(psutil.pid_exists(program.pid) for program in programs)
    assert set(threading.enumerate()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="counts POSIX descriptors")
def test_nothing_is_left_open(tmp_path: Path, write: Write) -> None:
    """Descriptors are counted before and after a whole life."""
    path = write("echo.py", ECHO)
    counts = []
    for _ in range(3):
        with Harness(tmp_path) as harness:
            harness.listen()
            harness.connect(harness.start(path), "alice").send("hello")
        counts.append(psutil.Process().num_fds())
    assert len(set(counts)) == 1


# -- people -------------------------------------------------------------------------


def test_byte_at_a_time_server_is_read_by_lines(harness: Harness, write: Write) -> None:
    """TCP has no messages: pieces are put together, lines are what counts."""
    source = (
        SERVER
        + """
def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"one\\r\\ntwo\\nthree\\n":
        sock.sendall(bytes([byte]))
run(serve)
"""
    )
    alice = harness.connect(harness.start(write("drip.py", source)), "alice")
    alice.expect("one")
    assert alice.expect_lines(2) == ["two", "three"]
    assert alice.expect_end() == "FIN"


def test_fin_and_rst_are_told_apart(harness: Harness, write: Write) -> None:
    """expect_end says how the peer ended: in order, or with a reset."""
    source = (
        SERVER
        + """
def serve(sock):
    how = sock.recv(100)
    if how == b"reset\\n":
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
run(serve)
"""
    )
    server = harness.start(write("ends.py", source))
    ends = {}
    for how in ("close", "reset"):
        person = harness.connect(server, how)
        person.send(how)
        ends[how] = person.expect_end()
    assert ends == {"close": "FIN", "reset": "RST"}


def test_half_close_still_reads(harness: Harness, write: Write) -> None:
    """After our FIN the peer's answer can be read to its end."""
    source = (
        SERVER
        + """
def serve(sock):
    data = b"".join(iter(lambda: sock.recv(100), b""))
    sock.sendall(b"%d bytes" % len(data))
run(serve)
"""
    )
    alice = harness.connect(harness.start(write("count.py", source)), "alice")
    alice.send_bytes(b"abc")
    alice.half_close()
    assert alice.read_bytes(2) == b"3 "
    assert alice.read_all() == b"bytes"


def test_reset_and_close_arrive_as_such(harness: Harness, write: Write) -> None:
    """The program under test sees an error for a reset, an end for a close."""
    source = (
        SERVER
        + """
def serve(sock):
    try:
        print("end", sock.recv(100))
    except ConnectionError as exc:
        print("error")
run(serve)
"""
    )
    server = harness.start(write("watch.py", source))
    harness.connect(server, "alice").reset()
    server.expect_output("error")
    bob = harness.connect(server, "bob")
    bob.close()
    bob.close()
    server.expect_output("end b''")


ECHO_TWICE = (
    SERVER
    + """
def serve(sock):
    for line in sock.makefile("rb"):
        sock.sendall(line if line == b"fence\\n" else line + line)
run(serve)
"""
)


def test_fence_proves_absence(harness: Harness, write: Write) -> None:
    """A line that should not be is caught, however late the test looks."""
    twice = harness.connect(harness.start(write("twice.py", ECHO_TWICE)), "alice")
    twice.send("hi")
    twice.expect("hi")
    with pytest.raises(Mismatch) as caught:
        twice.expect_nothing_before("fence", lambda: twice.send("fence"))
    assert caught.value.story.expected == 'nothing before the line "fence"'
    assert caught.value.story.got == r'"hi\n"'

    once = harness.connect(harness.start(write("echo.py", ECHO)), "bob")
    once.send("hi")
    once.expect("hi")
    once.expect_nothing_before("fence", lambda: once.send("fence"))


def test_expect_eventually_skips_and_counts(harness: Harness, write: Write) -> None:
    """Other lines are passed over; when nothing fits, the report says how many."""
    alice = harness.connect(harness.start(write("echo.py", ECHO)), "alice")
    alice.send("1\n2\n3")
    alice.expect_eventually("2")
    with pytest.raises(Mismatch) as caught:
        alice.expect_eventually("4", timeout=SHORT)
    assert caught.value.story.got == "1 other lines, then nothing within 0.3 s"
    assert caught.value.story.received == (b"1\n", b"2\n", b"3\n")


def test_missing_line_end_is_named(harness: Harness, write: Write) -> None:
    """The commonest mistake: an answer without its line end, then waiting."""
    source = (
        SERVER
        + """
def serve(sock):
    sock.sendall(sock.recv(100).strip())
    sock.recv(100)
run(serve)
"""
    )
    alice = harness.connect(harness.start(write("strip.py", source)), "alice")
    alice.send("hi")
    with pytest.raises(Mismatch) as caught:
        alice.expect("hi", timeout=SHORT)
    assert (
        caught.value.story.got
        == '"hi" without a line end, then nothing more within 0.3 s'
    )


def test_server_crash_is_quoted(harness: Harness, write: Write) -> None:
    """When the connection ends unexpectedly, the traceback is in the report."""
    source = SERVER + "run(lambda sock: sock.recv(9).nonsense)\n"
    alice = harness.connect(harness.start(write("crash.py", source)), "alice")
    alice.send("hi")
    with pytest.raises(Mismatch, match="AttributeError: 'bytes'") as caught:
        alice.expect("hi")
    assert caught.value.story.got == "the end of the connection (FIN)"
    assert "exited: exit code 1" in str(caught.value)


def test_slow_reader_fills_up(harness: Harness, write: Write) -> None:
    """With a small receive buffer, a peer that only sends soon cannot."""
    source = (
        SERVER
        + """
def serve(sock):
    sock.setblocking(False)
    sent = 0
    try:
        while True:
            sent += sock.send(bytes(10_000))
    except BlockingIOError:
        print("stuck", sent < 10_000_000)
        sock.setblocking(True)
        sock.recv(1)
run(serve)
"""
    )
    server = harness.start(write("hose.py", source))
    alice = harness.connect(server, "alice", receive_buffer=4096)
    alice.stall()
    server.expect_output("stuck True")


def test_peer_that_does_not_read_is_reported(harness: Harness, write: Write) -> None:
    """Sending has a deadline too."""
    server = harness.start(write("deaf.py", SERVER + "run(lambda _: input())\n"))
    alice = harness.connect(server, "alice")
    with pytest.raises(Mismatch, match="no room in its receive buffer"):
        alice.send_bytes(bytes(100_000_000), timeout=SHORT)


def test_refused_connection_is_a_mismatch(harness: Harness, write: Write) -> None:
    """Nobody listens any more: the report says who wanted to connect where."""
    server = harness.start(write("echo.py", ECHO))
    server.kill_tree()
    with pytest.raises(Mismatch, match="alice expected to connect to echo"):
        harness.connect(server, "alice")


def test_client_program_meets_a_server_played_by_the_test(
    harness: Harness, write: Write
) -> None:
    """The harness listens, the program under test connects."""
    source = """
        import socket, sys
        with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
            sock.sendall(b"hello\\n")
            print(sock.recv(100).decode().strip())
    """
    listener = harness.listen()
    client = harness.start(write("client.py", source), *listener.address, ready=False)
    server = listener.accept("client")
    server.expect("hello")
    server.send("welcome", end="\r\n")
    client.expect_output("welcome")
    assert server.expect_end() == "FIN"
    assert client.wait_exit() == 0
    with pytest.raises(Mismatch, match="server expected again to connect"):
        listener.accept("again", timeout=SHORT)


# -- the report ---------------------------------------------------------------------

SHOUT = (
    SERVER
    + """
def serve(sock):
    sock.sendall("* welcome, caf\\u00e9\\r\\n".encode())
    for line in sock.makefile("rb"):
        sock.sendall(line.upper())
run(serve)
"""
)

REPORT = r"""
alice expected the line "hello" next
but got "HELLO\n"

The last lines that alice had got before
    "* welcome, café\r\n"

The conversation
      1  TIME  shout           started: python -E -u shout.py --port 0
      2  TIME  shout           printed "listening on 127.0.0.1:PORT"
      3  TIME  alice -> shout  connected
      4  TIME  alice <- shout  "* welcome, café\r\n"
      5  TIME  alice -> shout  "hello\n"
      6  TIME  alice <- shout  "HELLO\n"
      7  TIME  alice           expected: the line "hello" next, but got "HELLO\n"

Who sent what to whom
       alice                      shout
    2    |                          * prints "listening on 127.0.0.1:PORT"
    3    |-------- connects ------->|
    4    |<- "* welcome, café\r\n" -|
    5    |------- "hello\n" ------->|
    6    |<------- "HELLO\n" -------|
    7    X expected the line "hello" next
         | but got "HELLO\n"        |

How shout fares
    shout (python -E -u shout.py --port 0): still running
    shout printed on stdout:
        listening on 127.0.0.1:PORT
    shout printed nothing on stderr.
"""


def test_report_of_a_mismatch_word_for_word(harness: Harness, write: Write) -> None:
    """This is what a beginner reads; change it with care."""
    server = harness.start(write("shout.py", SHOUT), "--port", 0)
    alice = harness.connect(server, "alice")
    alice.expect(re.compile(r"\* welcome.*"))
    alice.send("hello")
    with pytest.raises(Mismatch) as caught:
        alice.expect("hello")
    assert without_times(str(caught.value)) == REPORT.strip()
    assert caught.value.story.who == "alice"
    assert caught.value.transcript is harness.transcript


INNER_TESTS = """
def test_mismatch(harness):
    alice = harness.connect(harness.start("shout.py"), "alice")
    alice.expect("hello")

def test_other_failure(harness):
    harness.start("shout.py")
    assert 1 == 2

def test_leak(harness):
    import threading
    threading.Thread(target=threading.Event().wait, daemon=True, name="lost").start()
"""


def test_pytest_reports_tell_the_story_once(harness: Harness, write: Write) -> None:
    """A failure shows the test's own line and one conversation; leaks are errors."""
    exercises = str(Path(__file__).parent.parent / "exercises")
    write(
        "conftest.py",
        f"""
        import sys
        sys.path.append({exercises!r})
        import pytest
        pytest_plugins = ["grading.fixtures"]

        @pytest.fixture
        def tmp_path():
            return {os.fspath(write("shout.py", SHOUT).parent)!r}
    """,
    )
    write("test_inner.py", INNER_TESTS)
    runner = write(
        "run.py",
        """
        import os
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        os.environ.pop("CI", None)  # with it, pytest tells everything twice
        import pytest
        pytest.main(["-p", "no:cacheprovider"])
    """,
    )
    program = harness.start(runner, ready=False)
    program.wait_exit(timeout=patient(20))
    mismatch, other = program.stdout.split("test_other_failure ___")
    mismatch = mismatch.split("test_mismatch ___")[1]
    assert (
        mismatch.count("The conversation\n") == other.count("The conversation\n") == 1
    )
    assert 'alice.expect("hello")' in mismatch
    assert "people.py" not in mismatch
    assert "threads left running after the test: [<Thread(lost" in program.stdout
    assert "2 failed, 1 passed, 1 error" in program.stdout
