"""Clients that try it on: hostile bytes, floods, forgeries, crowds, shortages.

With the real program, except where something has to be replaced inside.
"""

import errno
import re
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import acceptor
from chatting import (
    MCHAT,
    STOPPING,
    WELCOME,
    ServerHere,
    enter,
    gather,
    here,
    join,
    linux,
)
from grading.deadlines import LINE
from grading.harness import Harness
from grading.mismatch import Mismatch
from grading.people import Person
from grading.program import Program
from grading.ready import Address
from protocol import NAME_RULE, is_name, is_reserved
from session import Limits, Session

TOO_LONG = "* that line was too long, nobody has seen it"
NOT_UTF_8 = "* your client does not send UTF-8; what it meant could not be read"
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S.*")


def finished(server: Program, *people: Person) -> str:
    """Stop the server; return its log, in which every line is a proper one."""
    for person in people:
        person.reset()
    server.interrupt()
    assert server.wait_exit() == 0
    log = server.stderr
    for line in log.splitlines():
        assert LOG_LINE.fullmatch(line), line
        assert line.isprintable(), line
    return log


# --------------------------------------------------------------------- hostile text

TEXTS = [  # sent, shown
    (b"\x1b[2J\x1b]0;title\x07", "\ufffd[2J\ufffd]0;title\ufffd"),  # escape sequences
    ("\x9b31m\x85".encode(), "\ufffd31m\ufffd"),  # C1 controls
    ("\u202etxt.exe\u2066".encode(), "\ufffdtxt.exe\ufffd"),  # right to left
    ("a\u200b\u200d\ufeff\u00adb".encode(), "a\ufffd\ufffd\ufffd\ufffdb"),  # zero width
    ("a\u2028b\u2029c\vd\fe".encode(), "a\ufffdb\ufffdc\ufffdd\ufffde"),  # line ends
    ("\u3164\uffa0\u2800\u034f\u115f".encode(), "\ufffd" * 5),  # fillers
    ("x\U000e0041\U000e0100".encode(), "x\ufffd\ufffd"),  # tags, variation selectors
    ("a\tb\u00a0c\u3000d".encode(), "a b c d"),  # blanks
    (("z" + "\u0301" * 50).encode(), "z" + "\u0301" * 4 + "\ufffd"),  # zalgo
    (b"a\r* bob left\rb", "a\ufffd* bob left\ufffdb"),  # a new line on old terminals
    ("\ufdd0\U0010ffff\ue000".encode(), "\ufffd\ufffd\ufffd"),  # no characters
    (b"a\0b\x01c", "a\ufffdb\ufffdc"),
    (b"ab\x08c\x7fd", "ad"),  # erased
    ("é 你好 नमस्ते 👍 ❤\ufe0f".encode(), "é 你好 नमस्ते 👍 ❤\ufe0f"),  # all is well
]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\0"], ids=["LF", "CRLF", "CRNUL"])
def test_nothing_that_deceives_a_terminal_gets_through(
    harness: Harness, end: bytes
) -> None:
    """Not to others, in whatever way it is said; not into the log."""
    server = harness.start(MCHAT, "--port", 0, "--verbose")
    alice, bob = gather(harness, server, "alice", "bob")
    for sent, shown in TEXTS:
        for how in (b"", b"/me says ", b"/msg bob "):
            alice.send_bytes(how + sent + end)
        assert shown.isprintable()
        bob.expect(f"[alice] {shown}")
        bob.expect(f"* alice says {shown}")
        bob.expect(f"[alice -> bob] {shown}")
    alice.send("/who")
    alice.expect(here("alice", "bob"))
    log = finished(server, alice, bob)
    assert log.count("[alice] ") == log.count("* alice says ") == len(TEXTS)


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_pieces_do_not_matter(harness: Harness, piece: int) -> None:
    """However the bytes are cut on their way, what is heard is the same."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    data = "héllo\r\n/me wåves\r\0\n/msg bob 你\n//slash\r\n".encode()
    data += b"a\xff\xfd\x06b\xff\xff\r\n"  # telnet: do timing mark; byte 255
    for start in range(0, len(data), piece):
        alice.send_bytes(data[start : start + piece])
    bob.expect("[alice] héllo")
    bob.expect("* alice wåves")
    bob.expect("[alice -> bob] 你")
    bob.expect("[alice] /slash")
    bob.expect("[alice] ab\ufffd")
    assert alice.read_bytes(3) == b"\xff\xfc\x06"  # won't
    alice.expect(NOT_UTF_8)


FORGERIES = [
    "[server] the operator says so",
    "[bob] it was me",
    "[bob -> bob] psst",
    "* bob left",
    "* the server is stopping, goodbye",
    "//me left",
    "hi\r\n* bob left",
    "hi\r\0[server] hello",
    "hi\n\n[bob] hi",
]


def test_text_cannot_start_a_line_in_another_form(harness: Harness) -> None:
    """Whatever a member says stands behind its name, on every line."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    for text in FORGERIES:
        alice.send(text)
    alice.send("the end")
    while (line := bob.expect(re.compile(r"\[alice\] .*"))[0]) != "[alice] the end":
        assert line.count("[alice]") == 1


def test_what_one_does_cannot_look_like_coming_or_going(harness: Harness) -> None:
    """Such a /me is refused; the others get nothing."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    for text in ("left", "joined", "is now bob", "  LEFT!", "...left", "\u0301left"):
        alice.send(f"/me {text}")
        alice.expect(re.compile(r"\* that would look like a notice .*"))
    bob.expect_nothing_before("* alice waves", lambda: alice.send("/me waves"))


def test_no_name_makes_a_notice_of_an_action(harness: Harness) -> None:
    """`/nick the` and `/me server ...`: the first words of notices are reserved."""
    server = harness.start(MCHAT, "--port", 0, "--max-line", 20)
    alice = enter(harness, server, "alice")
    alice.send_bytes(b"x" * 21 + b"\n\xe9\n\xff\xf6/x\n/msg\n/msg x y\n/nick\n")
    alice.send_bytes(b"/nick *\n/nick root\n/nick guest1\n/me\n/me left\n")
    alice.send_bytes(b"/help\n/who\n/quit\n")
    notices = alice.read_all().decode().splitlines()
    assert len(notices) > 15
    openings = [notice.split()[1] for notice in [*notices, STOPPING, NOT_UTF_8]]
    allowed = {word for word in openings if is_name(word) and not is_reserved(word)}
    assert not allowed


BAD_NAMES = ["a b", "a]b", "[x", "*", "x" * 17, "é", "\u3164", "al\u0456ce", "a.b"]
BAD_NAMES += ["\x1b[m", "a\u200b", "A\u0301", "\uff42ob", "->", "\u212a", "b\x00b"]


def test_name_is_plain_or_refused(harness: Harness) -> None:
    """No name is invisible, or like another, or like what is not a name."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    for name in BAD_NAMES:
        alice.send(f"/nick {name}")
        alice.expect(f"* {NAME_RULE}")
    for name in ("server", "Server", "everyone", "GUEST7", "guest007", "guest2"):
        alice.send(f"/nick {name}")
        alice.expect(f"* the name {name} is reserved")
    alice.send("/nick BoB")
    alice.expect("* the name BoB is taken")
    alice.send("/nick  Alice-_9 ")
    alice.expect("* you are now Alice-_9")
    bob.expect("* alice is now Alice-_9")


def test_one_of_many_gets_the_name(harness: Harness) -> None:
    """All ask for it at once, in different spellings: one has it, the rest are told."""
    server = harness.start(MCHAT, "--port", 0)
    people = [harness.connect(server, f"p{number}") for number in range(20)]
    for person in people:
        person.expect_eventually(WELCOME)
    for number, person in enumerate(people):
        person.send("/nick " + ("prize", "Prize", "PRIZE")[number % 3])
    answer = re.compile(r"(?i)\* (you are now prize|the name prize is taken)")
    answers = [person.expect_eventually(answer)[0].lower() for person in people]
    assert answers.count("* you are now prize") == 1
    people[0].send("/who")
    listed = people[0].expect_eventually(re.compile(r"\* here \(20\): .*"))[0]
    assert listed.lower().count("prize") == 1


# -------------------------------------------------------------------- hostile lines


def test_line_of_just_the_limit_is_heard(harness: Harness) -> None:
    """4096 bytes without the end, whatever ends it; one byte more is refused."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    longest = "é" * 2048
    for end in ("\n", "\r\n", "\r\0"):
        alice.send(longest, end)
        bob.expect(f"[alice] {longest}")
        alice.send("x" + longest, end)
        alice.expect(TOO_LONG)
    bob.expect_nothing_before("[alice] still here", lambda: alice.send("still here"))


def test_endless_line_is_refused_at_once_and_skipped_to_its_end(
    harness: Harness,
) -> None:
    """The notice does not wait for the end; what follows the end is heard."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    alice.send_bytes(b"x" * 1_000_000)
    alice.expect(TOO_LONG)
    alice.send_bytes(b"y" * 1_000_000 + b"/me left\nheard\n")
    bob.expect("[alice] heard")
    alice.send("/who")
    alice.expect(here("alice", "bob"))  # it was refused once


def test_longest_line_can_be_chosen(harness: Harness) -> None:
    """--max-line counts bytes, for commands too."""
    server = harness.start(MCHAT, "--port", 0, "--max-line", 11)
    alice, bob = gather(harness, server, "alice", "bob")
    alice.send("0123456789a")
    alice.send("0123456789ab")
    alice.send("/me is away.")
    alice.send("/me is away")
    bob.expect("[alice] 0123456789a")
    bob.expect("* alice is away")
    alice.expect(TOO_LONG)
    alice.expect(TOO_LONG)


def test_bytes_that_are_not_utf_8_are_replaced_with_one_hint(harness: Harness) -> None:
    """Latin-1, overlong forms, surrogates: valid UTF-8 for others, one hint back."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    for sent in (b"caf\xe9", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"):
        alice.send_bytes(sent + b"\n")
        line = bob.expect(re.compile(r"\[alice\] .*"))[0]
        assert "\ufffd" in line
        assert "\\x" not in line  # as the harness shows what is not UTF-8
    alice.expect(NOT_UTF_8)
    alice.send("/who")
    alice.expect(here("alice", "bob"))


OPENINGS = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5b\x0a\x2f\r\n" * 9,
}


@pytest.mark.parametrize("protocol", list(OPENINGS))
@pytest.mark.parametrize("piece", [1000, 3], ids=["whole", "split"])
def test_other_protocols_are_turned_away(
    harness: Harness, protocol: str, piece: int
) -> None:
    """They are told so if they can read it, and nobody hears what they said."""
    server = harness.start(MCHAT, "--port", 0, "--verbose")
    bob = join(harness, server, "bob")
    opening = OPENINGS[protocol]
    browser = harness.connect(server, "browser")
    for start in range(0, len(opening), piece):
        browser.send_bytes(opening[start : start + piece])
    told = browser.read_all().decode()
    if protocol == "TLS":
        assert "this is a chat server" not in told
    else:
        assert told.endswith("this is a chat server: join it with nc or telnet\r\n")
    assert ("HTTP/1.0 400 Bad Request\r\n" in told) is (protocol == "HTTP")
    browser.close()
    carol = enter(harness, server, "carol")
    while (line := bob.expect(re.compile(r"\* .*"))[0]) != "* guest3 joined":
        assert line in ("* guest2 joined", "* guest2 left")
    log = finished(server, bob, carol)
    assert f"speaks {protocol}" in log
    assert "[guest2]" not in log


# --------------------------------------------------------------------------- floods


def send_aside(person: Person, data: bytes) -> threading.Thread:
    """Let a person send while others read; return the thread."""
    thread = threading.Thread(target=person.send_bytes, args=(data,))
    thread.start()
    return thread


def test_flood_without_limit_is_heard_in_full(harness: Harness) -> None:
    """--rate 0: nothing is lost, nothing changes its order."""
    server = harness.start(MCHAT, "--port", 0, "--rate", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    lines = [f"line {number}" for number in range(20_000)]
    sending = send_aside(alice, "".join(f"{line}\n" for line in lines).encode())
    assert bob.expect_lines(len(lines)) == [f"[alice] {line}" for line in lines]
    sending.join()
    alice.send("/who")
    alice.expect(here("alice", "bob"))


def test_flood_is_slowed_and_nothing_is_lost(harness: Harness) -> None:
    """A hundred lines come at once, then twenty a second, by default."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    lines = [str(number) for number in range(110)]
    begun = time.monotonic()
    alice.send("\n".join(lines))
    assert bob.expect_lines(110) == [f"[alice] {line}" for line in lines]
    # 110 and /nick, less the 100 at once, make 11 to wait for, at 20 a second.
    assert time.monotonic() - begun > 0.5


def test_rate_can_be_chosen(harness: Harness) -> None:
    """--rate counts lines a second, after the burst; and may be a fraction."""
    server = harness.start(MCHAT, "--port", 0, "--rate", 12.5)
    alice, bob = gather(harness, server, "alice", "bob")
    begun = time.monotonic()
    alice.send("x\n" * 105, end="")
    bob.expect_lines(105)
    assert time.monotonic() - begun > 0.4


def test_nobody_else_is_slowed_by_a_flood(harness: Harness) -> None:
    """While one waits for its turn, the others talk."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob, carol = gather(harness, server, "alice", "bob", "carol")
    alice.send("flood\n" * 2000, end="")  # would take 95 seconds
    for number in range(50):
        bob.send(f"{number}")
        carol.expect_eventually(f"[bob] {number}")
    bob.send("/who")
    bob.expect_eventually(here("alice", "bob", "carol"))
    alice.reset()


def test_flooder_that_resets_is_gone_at_once(harness: Harness) -> None:
    """What it said is not repeated for minutes by a ghost that holds its name."""
    server = harness.start(MCHAT, "--port", 0)
    alice, bob = gather(harness, server, "alice", "bob")
    alice.send("flood\n" * 5000, end="")
    bob.expect_lines(100)
    alice.reset()
    bob.expect_eventually("* alice left")
    bob.send("/nick alice")
    bob.expect("* you are now alice")


def test_flood_of_commands_harms_nobody_else(harness: Harness) -> None:
    """Who asks without end and does not read is dropped; the others notice only that.

    The same goes for telnet's "are you there", which answers with many bytes.
    """
    server = harness.start(MCHAT, "--port", 0, "--rate", 0, "--outbox", 50_000)
    alice, bob = gather(harness, server, "alice", "bob")
    threads = []
    for data in (b"/help\n" * 10_000, b"\xff\xf6" * 50_000):
        greedy = enter(harness, server, "greedy", receive_buffer=4096)
        threads.append(threading.Thread(target=send_until_dropped, args=(greedy, data)))
    assert alice.expect_lines(2) == ["* guest3 joined", "* guest4 joined"]
    for thread in threads:
        thread.start()
    assert sorted(alice.expect_lines(2)) == ["* guest3 left", "* guest4 left"]
    alice.send("hello")
    bob.expect_eventually("[alice] hello")
    for thread in threads:
        thread.join(LINE)
        assert not thread.is_alive()


def send_until_dropped(person: Person, data: bytes) -> None:
    """Send `data` again and again."""
    with suppress(Mismatch):
        while True:
            person.send_bytes(data)


# --------------------------------------------------------------------------- crowds


def test_two_hundred_at_once(harness: Harness) -> None:
    """All are let in, each under a name of its own, and all hear what is said."""
    server = harness.start(MCHAT, "--port", 0)
    people = [harness.connect(server, f"p{number}") for number in range(200)]
    names = [person.expect_eventually(WELCOME)[1] for person in people]
    assert len(set(names)) == 200
    people[0].send("hello")
    for person in people[1:]:
        person.expect_eventually(f"[{names[0]}] hello")
    people[0].send("/who")
    people[0].expect_eventually(re.compile(r"\* here \(200\): .*"))
    log = finished(server, *people)
    assert log.count(" joined from ") == 200


# Makes threads take turns as often as possible, so that races show.
RESTLESS = """\
import runpy, sys
sys.setswitchinterval(1e-6)
sys.argv.pop(0)
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_all_see_one_order(harness: Harness, tmp_path: Path) -> None:
    """Many speak at once; whatever order comes of it, it is the same for everyone."""
    program = tmp_path / "restless.py"
    program.write_text(RESTLESS, encoding="utf-8")
    server = harness.start(program, MCHAT.as_posix(), "--port", 0, "--rate", 0)
    names = [f"p{number}" for number in range(8)]
    *speakers, listener = gather(harness, server, *names, "listener")
    threads = [threading.Thread(target=talk, args=(person,)) for person in speakers]
    for thread in threads:
        thread.start()
    heard = listener.expect_lines(8 * 200)
    for thread in threads:
        thread.join()
    for name, person in zip(names, speakers, strict=True):
        own = [line for line in heard if line.startswith(f"[{name}] ")]
        assert own == [f"[{name}] {number}" for number in range(200)]
        others = [line for line in heard if line not in own]
        assert person.expect_lines(len(others)) == others


def talk(person: Person) -> None:
    """Say 200 lines, one by one."""
    for number in range(200):
        person.send(str(number))


def test_full_server_says_so(harness: Harness) -> None:
    """--max-clients: one more is told and closed, and the others do not notice."""
    server = harness.start(MCHAT, "--port", 0, "--max-clients", 2)
    alice, bob = gather(harness, server, "alice", "bob")
    for _ in range(3):
        late = harness.connect(server, "late")
        late.expect("* the server is full (2 clients); try again later")
        assert late.expect_end() == "FIN"
    bob.expect_nothing_before("[alice] hello", lambda: alice.send("hello"))


def test_full_server_has_room_once_somebody_left(harness: Harness) -> None:
    """Whoever has said goodbye does not count, however fast the next one is."""
    server = harness.start(MCHAT, "--port", 0, "--max-clients", 1)
    for _ in range(20):
        person = enter(harness, server, "somebody")
        person.send("/quit")
        assert person.read_all() == b"* goodbye\r\n"


def test_who_only_listens_makes_room_in_a_full_server(harness: Harness) -> None:
    """A client that has half-closed is hurried on if its place is needed."""
    server = harness.start(MCHAT, "--port", 0, "--max-clients", 2)
    bob = enter(harness, server, "bob")
    alice = enter(harness, server, "alice")
    alice.send("last words", end="")
    alice.half_close()
    bob.expect("* guest2 joined")
    bob.expect("[guest2] last words")
    late = harness.connect(server, "late")
    bob.expect("* guest2 left")
    bob.expect("* guest3 joined")
    late.expect(WELCOME)


def test_port_scan_disturbs_nobody(harness: Harness) -> None:
    """Connections that end at once, in any way: no traceback, each `left` once."""
    server = harness.start(MCHAT, "--port", 0)
    alice = enter(harness, server, "alice")
    for number in range(60):
        stranger = harness.connect(server, "stranger")
        if number % 2:
            stranger.send_bytes(b"half a li")
        if number % 3:
            stranger.reset()
        else:
            stranger.close()
    bob = enter(harness, server, "bob")
    bob.send("hello")
    alice.expect_eventually("[guest62] hello")
    log = finished(server, alice, bob)
    left = re.findall(r"(\S+) left \(", log)
    assert len(left) == len(set(left))


# ------------------------------------------------------------------------ shortages


@pytest.mark.skipif(not linux, reason="needs a way to set another process's limits")
def test_out_of_descriptors(harness: Harness) -> None:
    """Who comes meanwhile waits and is let in when somebody leaves; none leaks."""
    server = harness.start(MCHAT, "--port", 0)
    alice = enter(harness, server, "alice")
    process = psutil.Process(server.pid)
    _, most = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + 2, most))
    bob, carol = (enter(harness, server, name) for name in ("bob", "carol"))
    waiting = harness.connect(server, "waiting")
    server.expect_output(re.compile(".* cannot take in more clients .*"), "stderr")
    bob.send("hello")
    carol.expect("[guest2] hello")
    bob.send("/quit")
    bob.read_all()
    bob.close()
    waiting.expect(WELCOME)
    waiting.reset()
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + 8, most))
    for _ in range(20):
        person = enter(harness, server, "somebody")
        person.send("/quit")
        person.read_all()
        person.close()
    log = finished(server, alice, carol)
    assert "Too many open files" in log


@pytest.mark.parametrize(
    ("error", "reports"),
    [
        (OSError(errno.EMFILE, "Too many open files"), 1),
        (OSError(errno.ENOBUFS, "No buffer space available"), 1),
        (ConnectionAbortedError(errno.ECONNABORTED, "gone"), 0),
        (BlockingIOError(errno.EAGAIN, "gone"), 0),
    ],
    ids=["EMFILE", "ENOBUFS", "ECONNABORTED", "EAGAIN"],
)
def test_accept_that_fails_is_not_the_end(
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: OSError,
    reports: int,
) -> None:
    """It is tried again, after a pause if it is a shortage; reported once."""
    errors = [error] * 3
    accept = socket.socket.accept

    def failing(sock: socket.socket) -> tuple[socket.socket, Address]:
        if errors:
            raise errors.pop()
        return accept(sock)

    monkeypatch.setattr(acceptor, "PAUSE", 0.01)
    monkeypatch.setattr(socket.socket, "accept", failing)
    with ServerHere() as server:
        enter(harness, server.address, "alice").reset()
    assert caplog.text.count("cannot take in more clients") == reports


def test_out_of_threads(
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A client for whom there is no thread is told, and takes up no place."""
    start = Session.start

    def failing(session: Session) -> None:
        if session.member.name == "guest2":
            raise RuntimeError("can't start new thread")
        start(session)

    monkeypatch.setattr(acceptor, "PAUSE", 0.01)
    monkeypatch.setattr(Session, "start", failing)
    with ServerHere(Limits(max_clients=2)) as server:
        alice = enter(harness, server.address, "alice")
        unlucky = harness.connect(server.address, "unlucky")
        unlucky.expect(re.compile(r"\* the server has no room .*; try again later"))
        assert unlucky.expect_end() == "FIN"
        lucky = enter(harness, server.address, "lucky")
        alice.expect("* guest3 joined")
        alice.reset()
        lucky.reset()
    assert caplog.text.count("can't start new thread") == 1
