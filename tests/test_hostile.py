"""Programs that do what no program should: graded in bounded time, and cleaned up.

Each message names the cause. What is not to be left behind is looked for afterwards.
"""

import re
import sys
from pathlib import Path

import psutil
import pytest

import proofs
from chatting import posix
from proofs import Verdict

STEP = "05_broadcast"
FIRST = "test_everyone_else_hears_it"

# A chat server that works, for programs that misbehave besides.
CHAT = (proofs.SOLUTIONS / STEP / "mchat.py").read_text(encoding="utf-8")

HANGS = "import threading\nthreading.Event().wait()\n"

SPINS = """\
import socket
listener = socket.create_server(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
while True:
    pass
"""

EXITS = "import sys\nprint('bye')\nsys.exit(0)\n"

FALSE_READY_LINE = """\
import threading
print("listening on 127.0.0.1:1", flush=True)
threading.Event().wait()
"""

CLOSES_AT_ONCE = """\
import socket
listener = socket.create_server(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
while True:
    listener.accept()[0].close()
"""

FLOODS = CHAT.replace(
    "    say_ready(listener)\n",
    """
    say_ready(listener)
    threading.Thread(target=flood, daemon=True).start()
""",
).replace(
    "def main():",
    """
def flood():
    for _ in range(100):
        print("x" * 999_999)

def main():
""",
)

# The child serves; the parent, which the grader has started, leaves.
FORKS_AND_LEAVES = f"""\
import os
if os.fork():
    os._exit(0)
os.setsid()
{CHAT}
"""

IGNORES_SIGTERM = f"""\
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
{CHAT}
"""

NO_PYTHON = "this is no Python\n"


def handed_in(tmp_path: Path, source: str) -> dict[str, Verdict]:
    """Grade a program; expect that nothing is left of it."""
    proofs.copy_solution(STEP, tmp_path)
    mark = tmp_path.name
    (tmp_path / STEP / "mchat.py").write_text(f"# {mark}\n{source}", encoding="utf-8")
    before = set(psutil.pids())
    verdicts = proofs.grade(STEP, tmp_path, tests=[FIRST], patience=0.4)
    left = [pid for pid in set(psutil.pids()) - before if _is_graded(pid)]
    assert left == []
    return verdicts


def _is_graded(pid: int) -> bool:
    """Whether a process runs from a folder of a grader that is gone."""
    try:
        process = psutil.Process(pid)
        folder = process.cwd()
        gone = "grading-" in folder and not Path(folder).exists()
        return gone and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        pytest.param(HANGS, "nothing in it moves", id="hangs"),
        pytest.param(HANGS, "to print the ready line", id="never-ready"),
        pytest.param(SPINS, "mchat never rests", id="spins"),
        pytest.param(EXITS, r"mchat has ended \(exit code N\)", id="exits-with-0"),
        pytest.param(FALSE_READY_LINE, "no listener at all", id="false-ready-line"),
        pytest.param(CLOSES_AT_ONCE, "the end of the connection", id="closes-at-once"),
        pytest.param(NO_PYTHON, "Python cannot read the program", id="no-python"),
    ],
)
def test_message_names_the_cause(tmp_path: Path, source: str, cause: str) -> None:
    """And points are not given for it."""
    (verdict,) = handed_in(tmp_path, source).values()
    assert verdict.points == 0
    assert re.search(cause, verdict.normalised)


def test_flood_on_stdout_harms_nobody(tmp_path: Path) -> None:
    """100 MB on stdout are drained; what works besides earns its points."""
    (verdict,) = handed_in(tmp_path, FLOODS).values()
    assert verdict.report == ""


@pytest.mark.skipif(not posix, reason="fork is a POSIX call")
def test_program_that_leaves_a_child_behind(tmp_path: Path) -> None:
    """A child that serves in its place is found, named, and ended."""
    (verdict,) = handed_in(tmp_path, FORKS_AND_LEAVES).values()
    assert verdict.points == 0
    assert "N processes left behind" in verdict.normalised


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM kills on Windows")
def test_program_that_ignores_sigterm(tmp_path: Path) -> None:
    """Ignoring signals does not save it from the end of the test."""
    (verdict,) = handed_in(tmp_path, IGNORES_SIGTERM).values()
    assert verdict.report == ""
