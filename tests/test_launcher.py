"""The launcher: the program runs as if by itself, can be looked into, and harshly."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from chatting import linux
from grading.control import Control
from grading.deadlines import Deadline
from grading.diagnosis import diagnose, unhandled_errors
from grading.harness import Harness
from grading.mismatch import Mismatch
from grading.program import Program

Launch = Callable[..., Program]


@pytest.fixture
def launch(harness: Harness, tmp_path: Path) -> Launch:
    """Give a function that launches a program, on some system."""

    def launch(source: str, *args: object, system: str = "-") -> Program:
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return harness.start(path.name, *args, ready=False, control=Control(system))

    return launch


def test_program_runs_as_if_by_itself(launch: Launch, tmp_path: Path) -> None:
    """Its name, arguments, path and siblings are what they always are."""
    (tmp_path / "sibling.py").write_text("word = 'hello'\n", encoding="utf-8")
    program = launch(
        """
        import sys, __main__, sibling
        print(__name__, __main__.sibling.word, sys.argv, __file__)
        print(sys.path[0], sys.flags.ignore_environment)
        raise SystemExit(7)
        """,
        "--port",
        0,
    )
    assert program.wait_exit() == 7
    first, second = program.stdout.splitlines()
    assert first == f"__main__ hello ['mine.py', '--port', '0'] {tmp_path / 'mine.py'}"
    assert second == f"{tmp_path} 1"


def test_errors_look_as_if_there_were_no_launcher(launch: Launch) -> None:
    """Of threads and of the program itself, with its own files and nothing else."""
    program = launch(
        """
        import threading
        def work():
            1 / 0
        thread = threading.Thread(target=work, name="worker")
        thread.start()
        thread.join()
        {}["key"]
        """
    )
    assert program.wait_exit() == 1
    assert program.stderr.startswith("Exception in thread worker:\nTraceback ")
    assert 'File "mine.py", line 4, in work\n    1 / 0\n' in program.stderr
    assert 'File "mine.py", line 8, in <module>' in program.stderr
    assert program.stderr.endswith("KeyError: 'key'\n")
    assert "launcher" not in program.stderr
    assert list(unhandled_errors(program.state())) == [
        "The thread worker of mine died of an error that nothing catches:"
        " ZeroDivisionError: division by zero  (mine.py, line 4, in work: 1 / 0)",
        "mine died of an error that nothing catches:"
        " KeyError: 'key'  (mine.py, line 8, in <module>: {}[\"key\"])",
    ]


def test_errors_of_many_threads_do_not_mix(launch: Launch) -> None:
    """Each traceback is one piece, whoever else writes."""
    program = launch(
        """
        import threading
        together = threading.Barrier(20)
        def work():
            together.wait()
            1 / 0
        for _ in range(20):
            threading.Thread(target=work).start()
        """
    )
    program.wait_exit()
    assert len(list(unhandled_errors(program.state()))) == 20
    assert program.stderr.count("Exception in thread") == 20


def test_syntax_error_is_told_as_such(launch: Launch) -> None:
    """Python's own words, and the place."""
    program = launch("def broken(:\n    pass\n")
    assert program.wait_exit() == 1
    (sentence,) = unhandled_errors(program.state())
    assert sentence.startswith("Python cannot read the program (mine.py, line 1)")


HANGS = """
    import threading
    lock = threading.Lock()
    def work():
        with lock:
            print("go")
            with lock:
                pass
    threading.Thread(target=work, name="worker").start()
    threading.Event().wait()
"""


def test_where_threads_stand(launch: Launch) -> None:
    """A deadlock shows the line that waits, in each thread."""
    program = launch(HANGS)
    program.expect_output("go")
    with pytest.raises(Mismatch) as caught:
        program.expect_output("done", timeout=0.3)
    (state,) = caught.value.story.programs
    threads = {thread.name: thread.calls for thread in state.threads}
    assert set(threads) == {"worker", "MainThread"}
    assert (threads["worker"][-1].line, threads["worker"][-1].source) == (
        7,
        "with lock:",
    )
    assert threads["MainThread"][0].source == "threading.Event().wait()"
    assert threads["MainThread"][-1].file == "threading.py"
    (sentence,) = diagnose(caught.value.story)
    assert "nothing in it moves" in sentence


@pytest.mark.skipif(not linux, reason="elsewhere the whole deadline is awaited")
def test_nobody_waits_long_for_a_program_that_sleeps(launch: Launch) -> None:
    """The deadline is an hour; the program has done nothing for a moment."""
    program = launch(HANGS)
    program.expect_output("go")
    with pytest.raises(Mismatch, match="and it did nothing at all any more"):
        program.expect_output("done", timeout=3600)


SPINS = """
    print("go")
    while True:
        pass
"""


def test_nobody_waits_long_for_a_program_that_goes_round_and_round(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Again it is an hour; the program has used some time, and nothing has come."""
    monkeypatch.setattr("grading.program.REST", 0.1)
    program = launch(SPINS)
    program.expect_output("go")
    with pytest.raises(Mismatch, match="and it went round and round for"):
        program.expect_output("done", timeout=3600)


@pytest.mark.skipif(not linux, reason="elsewhere the whole deadline is awaited")
@pytest.mark.parametrize(
    ("source", "does"),
    [
        pytest.param(HANGS, "did nothing at all", id="sleeps"),
        pytest.param(SPINS, "went round and round", id="spins"),
    ],
)
def test_nobody_waits_long_for_who_never_connects(
    source: str,
    does: str,
    launch: Launch,
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another hour, which a server that the test plays would wait for a client."""
    monkeypatch.setattr("grading.people.SLOW_REST", 0.3)
    program = launch(source)
    program.expect_output("go")
    with pytest.raises(Mismatch, match=f"got nobody, and mine {does}"):
        harness.listen().accept(program, timeout=3600)


def test_loop_that_never_waits_is_seen(launch: Launch) -> None:
    """It is busy, and it is named."""
    program = launch(SPINS)
    program.expect_output("go")
    with pytest.raises(Mismatch, match=r"within 0\.5 s") as caught:
        program.expect_output("done", timeout=0.5)
    (state,) = caught.value.story.programs
    assert state.busy or state.moves  # on a busy machine it gets little time
    assert diagnose(caught.value.story)[0].startswith("mine never rests")


GOES_ON = """
    import time
    print("go")
    while True:
        time.sleep(0.001)
"""


def test_loop_that_waits_a_little_is_not_called_at_rest(launch: Launch) -> None:
    """It uses next to no processor time; and yet nothing in it waits for anything."""
    program = launch(GOES_ON)
    program.expect_output("go")
    with pytest.raises(Mismatch, match=r"within 0\.5 s") as caught:
        program.expect_output("done", timeout=0.5)
    assert diagnose(caught.value.story) == [
        "mine never rests: some loop in it goes on and on."
    ]


@pytest.mark.skipif(not linux, reason="what Python does at its end differs")
def test_input_in_a_daemon_thread_is_named(launch: Launch) -> None:
    """Python aborts; its own words for that are no help. (Newer ones may end well.)"""
    program = launch(
        """
        import threading, time
        threading.Thread(target=input, daemon=True).start()
        time.sleep(0.2)
        """
    )
    if program.wait_exit() == 0:
        pytest.skip("this Python ends in good order")
    (sentence,) = diagnose(program.mismatch("to end well", "a crash").story)
    assert sentence.startswith("mine crashed at its end: a daemon thread was still")
    assert "input()" in sentence


def test_line_in_place_of_the_ready_line_is_quoted(launch: Launch) -> None:
    """Most often it is nearly right."""
    program = launch("print('listening on port', 5000)")
    with pytest.raises(Mismatch) as caught:
        program.wait_ready()
    assert diagnose(caught.value.story) == [
        'mine has printed "listening on port 5000": that is another line.',
        "mine has ended (exit code 0), but it was still needed.",
    ]


def test_program_that_was_told_to_stop_is_not_blamed_for_it(launch: Launch) -> None:
    """It was the operator's word; what is missing is something else."""
    program = launch("print('go', input())")
    program.type("exit")
    program.wait_exit()
    with pytest.raises(Mismatch) as caught:
        program.expect_output("goodbye")
    (sentence,) = diagnose(caught.value.story)
    assert sentence == "mine has ended (exit code 0): it was told to stop."


def test_activity_of_a_process_that_is_gone(launch: Launch) -> None:
    """It rests."""
    program = launch("pass")
    program.wait_exit()
    activity = program.watch_activity()
    deadline = Deadline(10)
    while activity.resting() < 0.01:
        assert deadline.left()
    assert activity.share() == 0.0


def test_program_that_closes_everything_is_not_asked_in_vain(launch: Launch) -> None:
    """Without an answer the report has no threads; it comes all the same."""
    program = launch(
        """
        import os, threading
        print("go")
        os.closerange(3, 100)
        threading.Event().wait()
        """
    )
    program.expect_output("go")
    with pytest.raises(Mismatch) as caught:
        program.expect_output("done", timeout=0.3)
    assert caught.value.story.programs[0].threads == ()


# Two threads add to a number that both read before they write it.
LOST_UPDATE = """
    import threading
    count = 0
    def work():
        global count
        for _ in range(50):
            mine = count
            count = mine + 1
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(count)
"""


def test_harsh_system_shows_a_race(launch: Launch) -> None:
    """An update is lost; elsewhere it practically never is."""
    program = launch(LOST_UPDATE, system="harsh=1")
    assert program.wait_exit() == 0
    assert int(program.stdout) < 100


def test_harsh_system_moves_few_bytes(launch: Launch) -> None:
    """recv and send do less than they could, sendall does all."""
    program = launch(
        """
        import socket
        one, two = socket.socketpair()
        sent = [one.send(bytes(500)) for _ in range(20)]
        print(min(sent), sum(sent) < 20 * 500)
        one.sendall(bytes(5000))
        one.close()
        got = list(iter(lambda: len(two.recv(500)), 0))
        print(min(got), max(got), sum(got) == sum(sent) + 5000)
        one, two = socket.socketpair()
        one.sendall(b"line\\n" * 100)
        one.close()
        print(len(list(two.makefile("rb"))))
        """,
        system="harsh=1",
    )
    assert program.wait_exit() == 0, program.stderr
    assert program.stdout.splitlines() == ["1 True", "1 500 True", "100"]


@pytest.mark.parametrize("system", ["small", "hasty", "harsh=1"])
def test_small_systems_keep_little(system: str, launch: Launch) -> None:
    """For a connection, whether it is accepted or made."""
    source = """
        import socket
        def kept(sock):
            return sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with socket.create_connection(listener.getsockname()) as made:
                with listener.accept()[0] as accepted:
                    print(kept(made) <= 40_000, kept(accepted) <= 40_000)
    """
    program = launch(source, system=system)
    program.expect_output("True True")
    assert program.wait_exit() == 0


def test_calls_on_a_small_system_have_an_end_soon(launch: Launch) -> None:
    """Who calls itself for each client is seen after some hundreds."""
    source = """
        def serve(number):
            return number and serve(number - 1)
        print(serve(200))
        try:
            serve(450)
        except RecursionError:
            print("too deep")
    """
    program = launch(source, system="small")
    program.expect_output("0")
    program.expect_output("too deep")


@pytest.mark.parametrize(
    "wait",
    [
        "time.sleep(20)",
        "sock.settimeout(20); look(sock.recv, 1)",
        "socket.setdefaulttimeout(20); look(socket.create_server(LOCAL).accept)",
        "select.select([sock], [], [], 20)",
        "selectors.DefaultSelector().select(20)",
        "threading.Event().wait(20)",
        "thread.join(20)",
        "look(queue.Queue().get, timeout=20)",
        "look(asyncio.run, asyncio.wait_for(asyncio.Event().wait(), 20))",
    ],
)
def test_time_flies_on_a_hasty_system(wait: str, launch: Launch) -> None:
    """However a program waits for 20 seconds, they are soon over."""
    source = f"""
        import asyncio, queue, select, selectors, socket, threading, time

        def look(function, *args, **kwargs):
            try:
                function(*args, **kwargs)
            except (TimeoutError, asyncio.TimeoutError, queue.Empty) as exc:
                print(type(exc).__name__)

        LOCAL = ("127.0.0.1", 0)
        sock, other = socket.socketpair()
        begun = time.monotonic()
        thread = threading.Thread(target=threading.Event().wait, daemon=True)
        thread.start()
        {wait}
        print("done", time.monotonic() - begun > 19)
        """
    program = launch(source, system="hasty")
    program.expect_output("done True")
