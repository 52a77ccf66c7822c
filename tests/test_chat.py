"""The client, as a process: in pipes, and in a terminal with a screen to look at.

The test plays the server, except where it says so.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil
import pytest

import chat
from grading.deadlines import EXIT, LINE
from grading.harness import Harness
from grading.people import Person
from grading.program import Program
from grading.spawning import sigint_not_ignored

if TYPE_CHECKING:
    from terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
CHAT = ROOT / "client" / "chat.py"
MCHAT = ROOT / "server" / "mchat.py"
FULL = Path("/dev/full")

posix = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX system")

WELCOME = "* welcome, you are bob; here: alice, Carol; /help lists the commands"


# ------------------------------------------------------------------------ in a pipe


def environment(**changes: str) -> dict[str, str]:
    """Return our environment with changes, and without our settings for Python."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return {**ours, **changes}


Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Give a way to start processes; kill and reap them all in the end."""
    with ExitStack() as started:

        def spawn(command: list[str], **streams: Any) -> subprocess.Popen[bytes]:
            with sigint_not_ignored():
                process = started.enter_context(subprocess.Popen(command, **streams))
            started.callback(process.kill)
            return process

        yield spawn


class Piped:
    """A client with pipes for a terminal, and the server that the test plays."""

    def __init__(self, harness: Harness, spawn: Spawn) -> None:
        self._harness = harness
        self._spawn = spawn
        self._listener = harness.listen()

    def start(self, *args: object) -> tuple[Program, Person]:
        """Start the client; return it, and the server's end of its connection."""
        address = self._listener.address
        client = self._harness.start(CHAT, *address, *args, ready=False)
        return client, self._listener.accept("chat")

    def popen(
        self, env: dict[str, str] | None = None, **streams: Any
    ) -> tuple[subprocess.Popen[bytes], Person]:
        """Start it with other streams than pipes that the harness drains."""
        command = [sys.executable, str(CHAT), *map(str, self._listener.address)]
        process = self._spawn(command, env=environment(**(env or {})), **streams)
        return process, self._listener.accept("chat")


@pytest.fixture
def piped(harness: Harness, spawn: Spawn) -> Piped:
    """Give a way to start clients in pipes."""
    return Piped(harness, spawn)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Wait for the end; return the exit code, and what stdout and stderr got."""
    out, err = process.communicate(timeout=EXIT)
    return process.returncode, (out or b"").decode(), (err or b"").decode()


def test_pipe_goes_both_ways_at_once(piped: Piped) -> None:
    """Each line is sent when it comes; what arrives meanwhile is shown, to the end."""
    client, server = piped.start()
    client.type("one")
    server.expect("one")
    server.send("[alice] héllo", end="\r\n")
    client.expect_output("[alice] héllo")
    client.type("two")
    server.expect("two")
    client.close_stdin()
    assert server.expect_end() == "FIN"
    server.send("[alice] still there?", end="\r\n")
    server.send("no line end", end="")
    server.close()
    assert client.wait_exit() == chat.LEFT
    assert client.stdout == "[alice] héllo\n[alice] still there?\nno line end\n"
    assert re.fullmatch(r"connected to 127\.0\.0\.1 port \d+\n", client.stderr)


def test_pipe_output_comes_at_once(piped: Piped) -> None:
    """Each line is written when it arrives, and ends with LF alone."""
    process, server = piped.popen(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    server.send("* hi", end="\r\n")
    assert select.select([process.stdout], [], [], LINE)[0] or os.name == "nt"
    assert os.read(process.stdout.fileno(), 100) == b"* hi\n"
    server.close()
    assert process.wait(EXIT) == chat.LOST


def test_pipe_is_sent_as_it_is(piped: Piped) -> None:
    """Bytes that are not UTF-8, NUL, `exit`, and a last line without an end."""
    text = b"caf\xe9\0\nexit\nno line end"
    process, server = piped.popen(stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.close()
    assert server.read_all() == text
    server.close()
    assert process.wait(EXIT) == chat.LEFT


def test_pipe_is_not_read_to_its_end_first(piped: Piped) -> None:
    """Neither a line end nor the end of input has to come before the first byte."""
    process, server = piped.popen(stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"x" * 300_000)
    process.stdin.flush()
    assert server.read_bytes(250_000) == b"x" * 250_000
    server.close()
    assert process.wait(EXIT) == chat.LOST
    assert "Traceback" not in finish(process)[2]


def test_server_that_closes_is_a_lost_connection(piped: Piped) -> None:
    """Also while stdin goes on."""
    client, server = piped.start()
    server.close()
    assert client.wait_exit() == chat.LOST
    assert client.stderr.endswith("connection lost: the server has closed it\n")


@pytest.mark.parametrize("stdin_ends_first", [False, True])
def test_reset_is_a_lost_connection(piped: Piped, stdin_ends_first: bool) -> None:
    """A reset is never an orderly end, even if we had said all we had to say."""
    client, server = piped.start()
    client.type("hi")
    server.expect("hi")
    if stdin_ends_first:
        client.close_stdin()
        server.expect_end()
    server.reset()
    assert client.wait_exit() == chat.LOST
    assert "connection lost: " in client.stderr
    assert "Traceback" not in client.stderr


def test_reset_amid_much_input_is_a_lost_connection(piped: Piped) -> None:
    """Both threads meet the error; the user is told once."""
    client, server = piped.start()
    for _ in range(200):
        client.type("x" * 10_000)
    server.read_bytes(10_000)
    server.reset()
    assert client.wait_exit() == chat.LOST
    assert client.stderr.count("\n") == 2


def test_quit_is_no_lost_connection(piped: Piped) -> None:
    """After /quit, in any case, the server's close is as it should be."""
    client, server = piped.start()
    client.type("/QUIT now")
    client.type("more")
    server.expect("/QUIT now")
    server.expect("more")
    server.send("* goodbye")
    server.close()
    assert client.wait_exit() == chat.LEFT
    assert client.stdout == "* goodbye\n"


def test_quiet_is_not_quit(piped: Piped) -> None:
    """Only the whole word counts."""
    client, server = piped.start()
    client.type("/quiet")
    server.expect("/quiet")
    server.close()
    assert client.wait_exit() == chat.LOST


def test_name_is_asked_for_first(piped: Piped) -> None:
    """--name is the first line that the server gets."""
    client, server = piped.start("--name", "bob")
    client.type("hi")
    server.expect("/nick bob")
    server.expect("hi")


def test_characters_split_between_packets_are_whole(piped: Piped) -> None:
    """Bytes may arrive one at a time."""
    client, server = piped.start()
    for byte in "[alice] é你😀\r\n".encode():
        server.send_bytes(bytes([byte]))
    client.expect_output("[alice] é你😀")


def test_nothing_that_steers_a_terminal_is_shown(piped: Piped) -> None:
    """The client does not rely on the server to take out control characters."""
    client, server = piped.start()
    server.send("[eve] \x1b[2J\x1b]0;hi\a\0\u202e\x9b31m", end="\r\n")
    client.expect_output("[eve] �[2J�]0;hi����31m")


def test_line_that_does_not_end_is_left_out(piped: Piped) -> None:
    """It costs no memory, is mentioned on stderr, and what follows it is shown."""
    client, server = piped.start()
    for _ in range(160):
        server.send_bytes(b"x" * 100_000)
    before = psutil.Process(client.pid).memory_info().rss
    assert before < 100_000_000
    server.send("")
    server.send("* next")
    client.expect_output("* next")
    client.expect_output(re.compile("a line of more than 65536 bytes.*"), "stderr")
    assert client.stdout == "* next\n"


@posix
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, chat.INTERRUPTED), (signal.SIGTERM, chat.TERMINATED)],
)
def test_signals_end_it_without_a_traceback(
    piped: Piped, number: signal.Signals, code: int
) -> None:
    """Ctrl-C and SIGTERM have exit codes of their own."""
    client, server = piped.start()
    server.send("* hi")
    client.expect_output("* hi")
    os.kill(client.pid, number)
    assert client.wait_exit() == code
    assert client.stderr.count("\n") == 1
    assert server.expect_end() == "FIN"


@posix
def test_ctrl_c_ends_it_while_nobody_reads_its_output(piped: Piped) -> None:
    """A pipe that is full holds up neither Ctrl-C nor the exit."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as output:
        process, server = piped.popen(
            stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE
        )
        fill(server, output)
        process.send_signal(signal.SIGINT)
        assert process.wait(EXIT) == chat.INTERRUPTED
        assert "Traceback" not in finish(process)[2]


def fill(server: Person, output: IO[bytes]) -> None:
    """Send until `output` is full, and nothing more is taken for a while."""
    sock = server._sock
    sock.setblocking(False)
    while _has_room(sock, 0.2) or _has_room(output, 0):
        with suppress(BlockingIOError):
            sock.send(b"[alice] hi\r\n" * 5000)


def _has_room(file: object, timeout: float) -> bool:
    return bool(select.select([], [file], [], timeout)[1])


@posix
def test_reader_that_goes_away_ends_it_quietly(piped: Piped) -> None:
    """As in `chat.py | head -1`."""
    process, server = piped.popen(
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    server.send("* hi")
    code, _, err = finish(process)
    assert code == chat.LEFT
    assert err.count("\n") == 1


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_reported(piped: Piped) -> None:
    """A full disk is worth a line."""
    with FULL.open("wb") as full:
        process, server = piped.popen(
            stdin=subprocess.PIPE, stdout=full, stderr=subprocess.PIPE
        )
        server.send("* hi")
        code, _, err = finish(process)
    assert code == chat.LOST
    assert err.endswith("\ncannot write: No space left on device\n")


@posix
@pytest.mark.parametrize(
    ("closed", "shown", "remarks"),
    [
        ("<&-", "* hi\n", 1),
        (">&-", "", 1),
        ("2>&-", "* hi\n", 0),
        ("<&- >&- 2>&-", "", 0),
    ],
)
def test_streams_may_be_closed(
    harness: Harness, spawn: Spawn, closed: str, shown: str, remarks: int
) -> None:
    """The shell may have closed stdin, stdout, stderr, or all of them."""
    listener = harness.listen()
    command = [sys.executable, str(CHAT), *map(str, listener.address)]
    process = spawn(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    server = listener.accept("chat")
    assert server.expect_end() == "FIN"
    server.send("* hi")
    server.close()
    code, out, err = finish(process)
    assert (code, out, err.count("\n")) == (chat.LEFT, shown, remarks)


def test_stdout_that_knows_few_characters_gets_question_marks(piped: Piped) -> None:
    """An old locale is no reason to fail."""
    process, server = piped.popen(
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={"PYTHONIOENCODING": "ascii"},
    )
    server.send("[alice] é")
    server.expect_end()
    server.close()
    assert finish(process)[:2] == (chat.LEFT, "[alice] ?\n")


# --------------------------------------------------- before there is a conversation


def run(*args: str) -> tuple[int, str, str]:
    """Run the client with no input; return exit code, stdout and stderr."""
    ended = subprocess.run(
        [sys.executable, str(CHAT), *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=EXIT,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("--name", "two words"),
        ("--name", ""),
        ("--name", "a" * 17),
        ("127.0.0.1", "0"),
        ("127.0.0.1", "65536"),
        ("127.0.0.1", "http"),
        ("--loud",),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
) -> None:
    """Exit code 2, and what is wrong."""
    monkeypatch.setattr(sys, "argv", ["chat.py", *args])
    with pytest.raises(SystemExit) as ended:
        chat.main()
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"chat\.py: .+; see --help\n", err)


def test_help_names_the_options() -> None:
    """--help is written to stdout."""
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert all(word in out for word in ("HOST", "PORT", "--name", "--no-bell"))


def test_no_server_is_told_in_one_line() -> None:
    """Exit code 3, and how to start one."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    code, out, err = run("127.0.0.1", str(port))
    assert (code, out) == (chat.NOT_CONNECTED, "")
    assert err.startswith(f"cannot connect to 127.0.0.1 port {port} (")
    assert err.endswith("? Start it with: python server/mchat.py\n")


def test_host_name_that_cannot_be_is_told_in_one_line() -> None:
    """Exit code 3, without asking the network."""
    code, _, err = run("chat..example")
    assert code == chat.NOT_CONNECTED
    assert re.fullmatch(r"cannot connect to chat\.\.example .+name right\?\n", err)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name right"),
        (TimeoutError("timed out"), "(timed out): is the address right"),
        (OSError(101, "Network is unreachable"), "no firewall"),
    ],
)
def test_failure_to_connect_comes_with_advice(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: OSError,
    advice: str,
) -> None:
    """What to look at depends on what went wrong."""

    def create_connection(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", create_connection)
    with pytest.raises(SystemExit) as ended:
        chat.connect("chat.example", 5000)
    assert ended.value.code == chat.NOT_CONNECTED
    assert advice in capsys.readouterr().err


# -------------------------------------------------------------------- in a terminal

Start = Callable[..., tuple["Terminal", Person]]


@pytest.fixture
def start(harness: Harness, tmp_path: Path) -> Iterator[Start]:
    """Give a way to start clients in terminals.

    `plain` hides prompt_toolkit from it; keywords become environment variables.
    """
    pytest.importorskip("termios", reason="needs a POSIX system")
    pytest.importorskip("pyte")
    from terminal import Terminal

    terminals: list[Terminal] = []
    listener = harness.listen()
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "prompt_toolkit.py").write_text("raise ImportError('hidden')")

    def start(*args: str, plain: bool, **env: str) -> tuple[Terminal, Person]:
        if not plain and find_spec("prompt_toolkit") is None:
            pytest.skip("needs prompt_toolkit")
        env = environment(**{"TERM": "xterm-256color", "NO_COLOR": "", **env})
        if plain:
            env["PYTHONPATH"] = str(hidden)
        command = [sys.executable, str(CHAT), *map(str, listener.address), *args]
        terminals.append(Terminal(command, env))
        server = listener.accept("chat")
        server.send(WELCOME, end="\r\n")
        terminals[-1].prompt = [] if plain or env["TERM"] == "dumb" else [">"]
        terminals[-1].expect(WELCOME, *terminals[-1].prompt)
        return terminals[-1], server

    yield start
    for started in terminals:
        started.close()


both_ways = pytest.mark.parametrize("plain", [False, True], ids=["toolkit", "plain"])


def test_typed_line_survives_what_arrives(start: Start) -> None:
    """The line stays on the screen below what arrives, and the cursor inside it."""
    terminal, server = start(plain=False)
    terminal.type("helo\x1b[D")  # and one to the left
    terminal.expect("> helo")
    server.send("[alice] hi")
    terminal.expect(WELCOME, "[alice] hi", "> helo")
    terminal.type("l")
    terminal.expect("[alice] hi", "> hello")
    assert terminal.screen.cursor.x == len("> hell")
    server.send("[alice] anybody here?")
    terminal.expect("[alice] hi", "[alice] anybody here?", "> hello")
    terminal.type("\r")
    terminal.expect("[alice] anybody here?", "> hello", ">")
    server.expect("hello")


def test_typed_line_survives_when_it_is_longer_than_a_row(start: Start) -> None:
    """All its rows are put back."""
    terminal, server = start(plain=False)
    line = "0123456789" * 10
    terminal.type(line)
    terminal.expect(f"> {line[:78]}", line[78:])
    server.send("[alice] hi")
    terminal.expect(WELCOME, "[alice] hi", f"> {line[:78]}", line[78:])
    terminal.type("\r")
    server.expect(line)


def test_no_row_vanishes_if_the_terminal_answers_late(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the client has asked it, such as where the cursor was some rows ago."""
    for module in ("termios", "pyte"):
        pytest.importorskip(module)
    from terminal import Terminal

    answers: list[str] = []
    monkeypatch.setattr(Terminal, "_answer", lambda _, data: answers.append(data))
    terminal, server = start(plain=False)
    lines = [f"* {number} of many" for number in range(5)]
    for line in lines:
        server.send(line)
    terminal.expect(*lines, ">")
    terminal.type("".join([*answers, "x"]))
    terminal.expect(WELCOME, *lines, "> x")


def test_typed_line_survives_another_width(start: Start) -> None:
    """The window may change its size meanwhile."""
    terminal, server = start(plain=False)
    line = "0123456789" * 5
    terminal.type(line)
    terminal.expect(f"> {line}")
    terminal.resize(24, 40)
    terminal.expect(f"> {line[:38]}", line[38:])
    server.send("[alice] hi")
    terminal.expect("[alice] hi", f"> {line[:38]}", line[38:])
    terminal.type("\r")
    server.expect(line)


def test_typed_line_survives_without_prompt_toolkit(start: Start) -> None:
    """What arrives runs into it on the screen; nothing is erased, all of it is sent."""
    terminal, server = start(plain=True)
    assert terminal.rows()[-2].endswith("to prevent that: pip install prompt_toolkit")
    terminal.type("hel")
    terminal.expect(WELCOME, "hel")
    server.send("[alice] hi")
    terminal.expect(WELCOME, "hel[alice] hi")
    terminal.type("lo\r")
    terminal.expect("hel[alice] hi", "lo")
    server.expect("hello")


def test_tab_completes_commands_and_names(start: Start) -> None:
    """Names are those that the server's lines tell."""
    terminal, server = start(plain=False)
    terminal.type("/m\t")
    terminal.expect("/me   /msg", "> /m")
    terminal.type("s\tca\t")
    terminal.expect("> /msg Carol")
    terminal.type(" hi\r")
    server.expect("/msg Carol hi")
    server.send("* Carol is now Dave")
    terminal.expect("* Carol is now Dave", ">")
    terminal.type("d\t, c\t!\r")
    server.expect("Dave, c!")


def test_pasted_lines_are_sent_as_lines(start: Start) -> None:
    """A line break inside a paste ends a line."""
    terminal, server = start(plain=False)
    terminal.type("\x1b[200~one\ntwo\nexit\x1b[201~\r")
    server.expect("one")
    server.expect("two")
    assert server.expect_end() == "FIN"
    assert terminal.wait_exit() == chat.LEFT


@both_ways
def test_speakers_have_colours(start: Start, plain: bool) -> None:
    """The name is coloured, the text is not."""
    terminal, server = start(plain=plain)
    server.send("[alice] hi")
    server.send("* fence")
    terminal.expect("[alice] hi", "* fence", *terminal.prompt)
    assert len(terminal.colours("[alice]")) == 1
    assert terminal.colours("[alice]") != {"default"}
    assert terminal.colours(" hi") == terminal.colours("* fence") == {"default"}


@both_ways
@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_refused(start: Start, plain: bool, env: dict[str, str]) -> None:
    """NO_COLOR, and a terminal that has none."""
    terminal, server = start(plain=plain, **env)
    server.send("[alice] hi")
    terminal.expect("[alice] hi", *terminal.prompt)
    assert terminal.colours("[alice] hi") == {"default"}


@pytest.mark.parametrize(
    ("plain", "args", "bells"),
    [(False, [], 2), (True, [], 2), (True, ["--no-bell"], 0)],
)
def test_bell_rings_when_i_am_wanted(
    start: Start, plain: bool, args: list[str], bells: int
) -> None:
    """My name in any case and private lines ring; --no-bell silences both."""
    terminal, server = start(*args, plain=plain)
    for line in ("[alice] hi BOB!", "[alice] hi bobby", "[alice -> bob] psst"):
        server.send(line)
        terminal.expect(line, *terminal.prompt)
    assert terminal.bells == bells


@both_ways
@pytest.mark.parametrize(
    ("keys", "answered"), [("exit\r", False), ("\x04", True)], ids=["exit", "Ctrl-D"]
)
def test_leaving_does_not_depend_on_the_server(
    start: Start, plain: bool, keys: str, answered: bool
) -> None:
    """It gets the end of the stream, and may answer, but need not."""
    terminal, server = start(plain=plain)
    terminal.type(keys)
    assert server.expect_end() == "FIN"
    if answered:
        server.send("* goodbye")
        server.close()
    assert terminal.wait_exit() == chat.LEFT
    assert terminal.tty_modes() == terminal.modes
    assert (terminal.rows()[-1] == "* goodbye") == answered
    assert "connection lost" not in "".join(terminal.rows())


@both_ways
def test_quit_shows_the_last_words_of_the_server(start: Start, plain: bool) -> None:
    """Even if they have no line end."""
    terminal, server = start(plain=plain)
    terminal.type("/quit\r")
    server.expect("/quit")
    server.send("* goodbye", end="")
    server.close()
    assert terminal.wait_exit() == chat.LEFT
    assert terminal.rows()[-1] == "* goodbye"


@both_ways
@pytest.mark.parametrize("how", ["close", "reset"])
def test_server_that_goes_ends_the_prompt(start: Start, plain: bool, how: str) -> None:
    """Without a key pressed; what was typed stays on the screen."""
    terminal, server = start(plain=plain)
    terminal.type("unsent")
    terminal.expect("unsent" if plain else "> unsent")
    getattr(server, how)()
    assert terminal.wait_exit() == chat.LOST
    assert "unsent" in "".join(terminal.rows()[-2:])
    assert "connection lost: " in terminal.rows()[-1]
    assert terminal.rows()[-1].endswith("server has closed it") == (how == "close")
    assert terminal.tty_modes() == terminal.modes


@both_ways
@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda terminal: terminal.type("x\x03"), chat.INTERRUPTED),
        (lambda terminal: terminal.terminate(), chat.TERMINATED),
    ],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_interruption_leaves_the_terminal_in_order(
    start: Start, plain: bool, end: Callable[[Terminal], None], code: int
) -> None:
    """Echo and line mode are back on, whatever ended the client."""
    terminal, server = start(plain=plain)
    end(terminal)
    assert terminal.wait_exit() == code
    assert server.expect_end() == "FIN"
    assert terminal.tty_modes() == terminal.modes
    assert "Traceback" not in "\n".join(terminal.rows())


ENDS_IN_RAW_MODE = f"""
import socket, sys, tty
sys.path.insert(0, {os.fspath(CHAT.parent)!r})
import prompt
async def talk(chat):
    tty.setraw(0)
    sys.exit(3)
prompt._talk = talk
class Chat:
    sock = socket.socket()
with Chat.sock:
    prompt.talk(Chat)
"""


@posix
def test_terminal_is_in_order_whatever_was_under_way() -> None:
    """SIGTERM may come while prompt_toolkit has not noted yet what it has changed."""
    pytest.importorskip("prompt_toolkit")
    pytest.importorskip("pyte")
    from terminal import Terminal

    command = [sys.executable, "-c", ENDS_IN_RAW_MODE]
    terminal = Terminal(command, environment(TERM="xterm"))
    try:
        assert terminal.wait_exit() == 3
        assert terminal.tty_modes() == terminal.modes
    finally:
        terminal.close()


# ----------------------------------------------------------- with the real server


def test_two_clients_talk_through_the_real_server(harness: Harness) -> None:
    """The contract between the two, end to end."""
    server = harness.start(MCHAT, "--host", "127.0.0.1", "--port", 0)
    assert server.address
    args = (CHAT, *server.address, "--name")
    alice = harness.start(*args, "alice", ready=False, name="alice")
    alice.expect_output("* you are now alice")
    bob = harness.start(*args, "bob", ready=False, name="bob")
    alice.expect_output(re.compile(r"\* guest\d+ is now bob"))
    alice.type("hi bob")
    bob.expect_output("[alice] hi bob")
    bob.type("/msg alice psst")
    alice.expect_output("[bob -> alice] psst")
    bob.type("/quit")
    assert bob.wait_exit() == chat.LEFT
    alice.expect_output("* bob left")
    alice.type("/who")
    alice.close_stdin()
    alice.expect_output(re.compile(r"\* .*\balice"))
    assert alice.wait_exit() == chat.LEFT


def test_real_server_that_stops_is_a_lost_connection(harness: Harness) -> None:
    """Its last words are shown first."""
    server = harness.start(MCHAT, "--host", "127.0.0.1", "--port", 0)
    assert server.address
    client = harness.start(CHAT, *server.address, ready=False)
    client.expect_output(re.compile(r"\* welcome, .*"))
    server.type("exit")
    assert client.wait_exit() == chat.LOST
    assert client.stdout.endswith("* the server is stopping, goodbye\n")
