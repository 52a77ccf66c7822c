"""The commands with which a failed test is seen by hand; those for a shell are run."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grading.by_hand import LINES, by_hand
from grading.deadlines import LINE
from grading.shell import escaped
from grading.story import Story
from told import CLIENT, SERVER, Row, told

needs_sh = pytest.mark.skipif(sys.platform == "win32", reason="needs /bin/sh")
NC = shutil.which("nc.openbsd")


def lines(
    *rows: Row, who: str = "alice", expected: str = 'the line "hi" next'
) -> list[str]:
    """Return what is to be done by hand for a failure after `rows`, in step 05."""
    folder = "exercises/05_broadcast"
    return by_hand(Story(who, expected, "nothing", told(*rows), folder=folder))


def commands(*rows: Row) -> list[str]:
    """Return only what is to be pasted."""
    return [line.strip() for line in lines(*rows) if line.startswith("    ")]


def run(command: str, typed: bytes = b"") -> bytes:
    """Run the part of `command` that writes to nc; return what it writes."""
    script, _, _ = command.rpartition(" | nc ")
    script = script.replace("sleep 1; ", "")
    script = script.replace("python -c", f"'{sys.executable}' -c")
    shell = ["/bin/sh", "-c", script]
    return subprocess.run(shell, input=typed, capture_output=True, check=True).stdout


# -- whole conversations ----------------------------------------------------------


def test_lines_are_typed_in_the_order_of_the_test() -> None:
    """A window for each, in the order they were opened; then what to look for."""
    assert lines(
        SERVER,
        ("alice", "connected", "mchat"),
        ("bob", "connected", "mchat"),
        ("alice", "sent", "mchat", b"hello\n"),
        ("bob", "got", "mchat", b"[alice] hello\n"),
        ("bob", "sent", "mchat", b"\n"),
        ("mchat", "typed", "", b"exit\r\n"),
        ("bob", "closed", "mchat"),
        ("mchat", "signalled", "", b"", "SIGINT"),
    ) == [
        "1. Window 1 (mchat):",
        "    python exercises/05_broadcast/mchat.py --port 5000",
        "2. Window 2 (alice):",
        "    nc 127.0.0.1 5000",
        "3. Window 3 (bob):",
        "    nc 127.0.0.1 5000",
        "4. Window 2 (alice), type: hello",
        "5. Window 3 (bob), press Enter",
        "6. Window 1 (mchat), type: exit",
        "7. Window 3 (bob), press Ctrl-C",
        "8. Window 1 (mchat), press Ctrl-C",
        'Then look: alice expected the line "hi" next.',
    ]


def test_pieces_wait_for_enter_where_others_act_in_between() -> None:
    """Otherwise a second must do, and once whole lines come they are typed."""
    assert lines(
        SERVER,
        ("alice", "connected", "mchat"),
        ("alice", "sent", "mchat", b"h"),
        ("alice", "sent", "mchat", b"el"),
        ("bob", "connected", "mchat"),
        ("alice", "sent", "mchat", b"lo\r\n"),
        ("alice", "sent", "mchat", b"more\n"),
    )[2:-1] == [
        "2. Window 2 (alice):",
        "    (printf 'h'; sleep 1; printf 'el'; read x; printf 'lo\\r\\n'; cat)"
        " | nc 127.0.0.1 5000",
        "3. Window 3 (bob):",
        "    nc 127.0.0.1 5000",
        "4. Window 2 (alice), press Enter to send the next piece",
        "5. Window 2 (alice), type: more",
    ]


def test_client_program_meets_a_server_that_listens_before_it_starts() -> None:
    """The person at the server's window types what the test sent."""
    assert lines(
        CLIENT,
        ("server", "accepted", "chat"),
        ("server", "sent", "chat", b"hello\n"),
        ("chat", "typed", "", b"hi\n"),
        ("server", "closed", "chat"),
        who="server",
        expected="the end of the connection",
    ) == [
        "1. Window 1 (server), some kinds of nc want -l -p 5000:",
        "    nc -l 5000",
        "2. Window 2 (chat):",
        "    python exercises/05_broadcast/chat.py 127.0.0.1 5000",
        "3. Window 1 (server), type: hello",
        "4. Window 2 (chat), type: hi",
        "5. Window 1 (server), press Ctrl-C",
        "Then look: server expected the end of the connection.",
    ]


def test_client_that_does_not_come_is_waited_for_by_hand_as_well() -> None:
    """The server listens though the test never accepted anybody."""
    hand = lines(CLIENT, who="server", expected="chat to connect")
    assert hand[1] == "    nc -l 5000"
    assert len(lines(CLIENT, who="the test", expected="chat to end")) == 3
    once: Row = ("server", "accepted", "chat")
    hand = lines(CLIENT, once, who="server", expected="chat to connect")
    assert hand.count("    nc -l 5000") == 1


def test_nothing_was_started_nothing_is_to_be_done() -> None:
    """No programs, no windows."""
    assert lines() == []


def test_what_cannot_be_had_by_hand_is_told() -> None:
    """A harsh system makes mistakes show that are rarely seen otherwise."""
    hand = lines(SERVER, ("mchat", "noted", "", b"", "runs on a harsh system"))
    assert hand[-1] == (
        "In the test mchat runs on a harsh system. By hand it may take many tries."
    )


# -- single ones ------------------------------------------------------------------


def test_half_close() -> None:
    """With -N, nc ends its sending side after its input; it then ends by itself."""
    rows: list[Row] = [("alice", "connected", "mchat")]
    ends: list[Row] = [("alice", "half-closed", "mchat"), ("alice", "closed", "mchat")]
    assert lines(*rows, ("alice", "sent", "mchat", b"/who\n"), *ends)[1:-1] == [
        r"    printf '/who\n' | nc -N 127.0.0.1 5000"
    ]
    assert commands(*rows, *ends) == ["nc -N 127.0.0.1 5000 </dev/null"]
    late: Row = ("bob", "connected", "mchat")
    assert commands(*rows, late, *ends)[0] == "read x | nc -N 127.0.0.1 5000"


def test_what_is_hard_to_type_is_pasted() -> None:
    """Blanks at the ends, two lines at once, controls, very long lines."""
    for data in (b" hi\n", b"hi \n", b"a\nb\n", b"\x1b[2J\n", b"\xff\n", b"x" * 300):
        hand = commands(
            ("alice", "connected", "mchat"), ("alice", "sent", "mchat", data)
        )
        assert hand[0].startswith("(printf '"), data


def test_who_reads_no_more_is_stopped() -> None:
    """A stopped nc reads nothing, and its buffers fill up."""
    rows: list[Row] = [("alice", "connected", "mchat"), ("alice", "stalled", "mchat")]
    assert lines(*rows, ("alice", "closed", "mchat"))[2:4] == [
        "2. Window 1 (alice), press Ctrl-Z: now nc reads no more (fg goes on)",
        "3. Window 1 (alice), type: kill -KILL %1",
    ]


def test_other_signals_come_from_another_window() -> None:
    """The command finds the program by what was typed to start it."""
    hand = commands(SERVER, ("mchat", "signalled", "", b"", "SIGTERM"))
    assert hand[1] == (
        "kill -TERM $(pgrep -f 'exercises/05_broadcast/mchat.py --port 5000')"
    )


def test_commands_as_the_harness_tells_them() -> None:
    """Python's own options go, ports become 5000, odd folders are quoted."""
    note = "python -E -u mchat.py --rate 0 --port 43211"
    story = Story("x", "y", "z", told(("mchat", "started", "", b"", note)))
    assert by_hand(story)[1] == "    python mchat.py --rate 0 --port 5000"
    moved = Story("x", "y", "z", story.events, folder="my work")
    assert by_hand(moved)[1] == "    python 'my work/mchat.py' --rate 0 --port 5000"


def test_lines_that_came_at_once_are_pasted() -> None:
    """Typed with an inner line end they are one paste, and read as such."""
    assert lines(
        SERVER,
        ("mchat", "typed", "", b"one\r\ntwo\r\n"),
        ("mchat", "typed", "", b"last\nwords"),
        ("mchat", "typed", "", b"x" * 5000 + b"\n"),
        ("mchat", "typed", "", b"again\n" * 1000),
    )[2:-1] == [
        "2. Window 1 (mchat), paste these lines, all at once:",
        "    one",
        "    two",
        "3. Window 1 (mchat), paste these lines, all at once, without Enter behind the"
        " last:",
        "    last",
        "    words",
        f"4. Window 1 (mchat), type a line of 5001 bytes that begins with: {'x' * 40}",
        "5. Window 1 (mchat), paste many lines at once, 6000 bytes, such as:",
        "    again",
        "    again",
    ]


@pytest.mark.parametrize(
    ("typed", "hand"),
    [
        ([], ["press Ctrl-D (on Windows Ctrl-Z, then Enter)"]),
        ([b"a\n"], ["type: a", "press Ctrl-D (on Windows Ctrl-Z, then Enter)"]),
        (
            [b"a"],
            [
                "type, without Enter: a",
                "press Ctrl-D twice (on Windows Enter, Ctrl-Z, Enter)",
            ],
        ),
    ],
)
def test_end_of_input_is_typed_as_well(typed: list[bytes], hand: list[str]) -> None:
    """The first Ctrl-D only sends a line that has been begun."""
    rows: list[Row] = [("mchat", "typed", "", line) for line in typed]
    done = lines(SERVER, *rows, ("mchat", "input-ended"))[2:-1]
    assert [line.partition(", ")[2] for line in done] == hand


def test_client_that_wants_one_line_is_not_told_the_end() -> None:
    """The shell in that window would take the Ctrl-D, and end."""
    done = lines(CLIENT, ("chat", "typed", "", b"a\n"), ("chat", "input-ended"))
    assert not any("Ctrl-D" in line for line in done)


def test_two_servers_at_a_time_have_two_ports() -> None:
    """And who goes to the second one goes to its port."""
    second: Row = ("mchat-2", "started", "", b"", "python mchat.py --port 0")
    rows: list[Row] = [SERVER, second, ("dave", "connected", "mchat-2")]
    assert commands(*rows) == [
        "python exercises/05_broadcast/mchat.py --port 5000",
        "python exercises/05_broadcast/mchat.py --port 5001",
        "nc 127.0.0.1 5001",
    ]
    assert "5001" in commands(*rows, ("dave", "reset", "mchat-2"))[2]
    after: Row = ("mchat", "exited", "", b"", "exit code 0")
    assert commands(SERVER, after, second)[1].endswith("--port 5000")


def test_very_much_is_summed_up() -> None:
    """Hundreds of lines, people and pieces: the beginning, and how many more."""
    typed: list[Row] = [
        ("alice", "sent", "mchat", f"line {n}\n".encode()) for n in range(300)
    ]
    crowd: list[Row] = [(f"p{n}", "connected", "mchat") for n in range(30)]
    assert lines(SERVER, ("alice", "connected", "mchat"), *typed, *crowd)[4:-1] == [
        "3. Window 2 (alice), type: line 0",
        "4. Window 2 (alice), type: line 1",
        "5. Window 2 (alice), type 298 more lines, the last one: line 299",
        "6. Window 3 (p0):",
        "    nc 127.0.0.1 5000",
        "7. Window 4 (p1):",
        "    nc 127.0.0.1 5000",
        "8. Window 32 (p29), and 27 before it, in the same way",
    ]
    pieces: list[Row] = [("alice", "sent", "mchat", b"x")] * 1000
    hand = lines(("alice", "connected", "mchat"), *pieces)
    assert hand[0] == "1. Window 1 (alice), shortened: 991 pieces are left out:"
    assert len(hand[1]) < 300


def test_never_longer_than_a_screen() -> None:
    """What does not fit is counted."""
    rows: list[Row] = []
    for n in range(40):
        rows += [(f"p{n}", "connected", "mchat"), (f"p{n}", "half-closed", "mchat")]
    hand = lines(*rows)
    assert len(hand) <= LINES
    assert hand[-2] == "(and 32 more steps like these)"


# -- the commands are run ---------------------------------------------------------


@needs_sh
@settings(max_examples=25)
@given(st.binary(min_size=1, max_size=80))
def test_printf_writes_any_bytes(data: bytes) -> None:
    """Quotes, percent signs, backslashes, zeros: what was sent is what comes."""
    script = f"printf '{escaped(data)}'"
    assert run(f"{script} | nc ") == data


@needs_sh
@pytest.mark.parametrize(
    "data",
    [bytes(range(256)), b"-n\n", b"-", b"'0'\\'", b"%s%%\\n", "héllo 7\n".encode()],
)
@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "busybox sh", "zsh"])
def test_printf_is_the_same_in_every_shell(data: bytes, shell: str) -> None:
    """As far as they are installed here."""
    program, *options = shell.split()
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    command = [program, *options, "-c", f"printf '{escaped(data)}'"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == data


@needs_sh
def test_scripts_send_the_pieces_and_then_what_is_typed() -> None:
    """`read x` takes one Enter, `cat` the rest."""
    (command,) = commands(
        ("alice", "connected", "mchat"),
        ("mchat", "typed", "", b"x\n"),
        ("alice", "sent", "mchat", "h\u00e9".encode()),
        ("alice", "sent", "mchat", b"100 %\n\n"),
    )
    assert command.startswith("(read x; printf 'h\\303\\251'; sleep 1; ")
    assert run(command, b"\nbye\n") == "hé100 %\n\nbye\n".encode()


@needs_sh
@pytest.mark.parametrize(
    ("data", "written"),
    [
        (b"x" * 100_000, b"x" * 100_000),
        (b"y" * 99_999 + b"\n", b"y" * 99_999 + b"\n"),
        (b"hello you\n" * 5000, b"hello you\n" * 5000),
        (b"'$(\n" * 5000, b"x" * 19_999 + b"\n"),
        (b"\xff" * 5000, b"x" * 5000),
        ("äöü€".encode() * 1000 + b"\n", "€".encode() * 3000 + b"\n"),
    ],
)
def test_shortened_data_becomes_as_much_of_its_kind(
    data: bytes, written: bytes
) -> None:
    """The first line again and again, or a letter."""
    rows: Sequence[Row] = [("a", "connected", "m"), ("a", "sent", "m", data)]
    assert run(commands(*rows)[0]) == written


@needs_sh
def test_reset_is_done_by_python() -> None:
    """The command resets a real connection, after it has sent what was sent."""
    data = b'it\'s "$HOME" `\\ %\n'
    (command,) = commands(
        ("eve", "connected", "mchat"),
        ("eve", "sent", "mchat", data),
        ("bob", "sent", "mchat", b"x"),
        ("eve", "reset", "mchat"),
    )
    assert "; input(); s.setsockopt" in command  # bob acts before the reset
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LINE)
        here = command.replace("5000", str(listener.getsockname()[1]))
        here = here.replace("python ", f"'{sys.executable}' ", 1)
        program = subprocess.Popen(["/bin/sh", "-c", here], stdin=subprocess.PIPE)
        with program, listener.accept()[0] as sock:
            sock.settimeout(LINE)
            assert sock.recv(len(data), socket.MSG_WAITALL) == data
            program.communicate(b"\n", timeout=LINE)  # Enter: now reset
            with pytest.raises(ConnectionResetError):
                sock.recv(1)


def test_reset_after_very_much_sends_lines_if_lines_were_sent() -> None:
    """A server answers lines, and nothing to half a line."""
    much: Row = ("eve", "sent", "mchat", b"hi\n" * 1000)
    reset: Row = ("eve", "reset", "mchat")
    assert (
        "s.sendall(b'hi\\n' * 1000)"
        in commands(("eve", "connected", "mchat"), much, reset)[0]
    )


def test_reset_by_the_server_is_python_as_well() -> None:
    """It listens itself, in place of nc."""
    command = commands(
        CLIENT, ("server", "accepted", "chat"), ("server", "reset", "chat")
    )[0]
    code = command.removeprefix('python -c "').removesuffix('"')
    compile(code, "by hand", "exec")
    assert "l.accept()" in code
    assert '"' not in code


@pytest.mark.skipif(not NC, reason="needs nc.openbsd")
def test_nc_sends_it_and_half_closes() -> None:
    """The whole command with a real nc: the bytes, then the end of the stream."""
    (command,) = commands(
        ("alice", "connected", "mchat"),
        ("alice", "sent", "mchat", b"100 %\n"),
        ("alice", "half-closed", "mchat"),
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LINE)
        here = command.replace("5000", str(listener.getsockname()[1]))
        here = here.replace("nc ", "nc.openbsd ")
        program = subprocess.Popen(["/bin/sh", "-c", here], stdout=subprocess.PIPE)
        with program, listener.accept()[0] as sock:
            sock.settimeout(LINE)
            with sock.makefile("rb") as stream:
                assert stream.read() == b"100 %\n"
            sock.sendall(b"an answer\n")
            sock.close()
            assert program.communicate(timeout=LINE)[0] == b"an answer\n"
