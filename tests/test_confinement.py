"""Walls, limits and clean-up of programs that nobody trusts."""

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import cheating
import proofs
from chatting import linux
from course import results
from course.results import Result
from grading import limits
from grading.confinement import Confined, Usage, Walled
from grading.control import Control, _threads
from grading.deadlines import EXIT, Deadline, patient
from grading.diagnosis import diagnose
from grading.harness import Harness
from grading.mismatch import Mismatch
from grading.processes import MARK
from grading.program import Program
from grading.walls import Walls, _outer_walls, has_walls

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits are POSIX calls")
needs_walls = pytest.mark.skipif(not has_walls(), reason="needs Linux and bubblewrap")
only_linux = pytest.mark.skipif(not linux, reason="prctl is a Linux call")

FAMILIES = [
    pytest.param(Confined, id="limits"),
    pytest.param(Walled, id="walls", marks=needs_walls),
]
SECONDS = patient(limits.SECONDS)
WITHOUT_WALLS = Path(__file__).with_name("without_walls.py")

Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path, walls: Walls) -> Iterator[Start]:
    """Give a function that starts a program in confinement."""
    folder = tmp_path / "grading"
    folder.mkdir()

    def family(kind: type[Confined]) -> Confined:
        return kind(walls) if issubclass(kind, Walled) else kind()

    with Harness(folder) as harness:

        def start(source: str, kind: type[Confined] = Confined) -> Program:
            path = folder / "mine.py"
            path.write_text(textwrap.dedent(source), encoding="utf-8")
            return harness.start(
                path.name, ready=False, control=Control(), family=family(kind)
            )

        yield start


@pytest.fixture(scope="module")
def walls() -> Iterator[Walls]:
    """Give walls for the programs of all tests here."""
    with contextlib.closing(Walls()) as walls:
        yield walls


def test_walls_fit_who_has_temporary_files_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So a fork need not build its own; who has them elsewhere must."""
    walls = Walls()
    assert walls.fit()
    monkeypatch.setattr("tempfile.tempdir", "/var/elsewhere")
    assert not walls.fit()


# -------------------------------------------------------------------- what all get


@pytest.mark.parametrize("kind", FAMILIES)
def test_program_runs_as_ever(kind: type[Confined], start: Start) -> None:
    """It prints, it ends with a code of its own, and "localhost" is this machine."""
    program = start(
        """
        import socket, sys
        listener = socket.create_server(("localhost", 0))
        socket.create_connection(listener.getsockname()).close()
        print(listener.getsockname()[0], sys.argv, flush=True)
        raise SystemExit(7)
        """,
        kind,
    )
    assert program.wait_exit() == 7
    assert program.stdout == "127.0.0.1 ['mine.py']\n"


@pytest.mark.parametrize("kind", FAMILIES)
def test_environment_is_clean(
    kind: type[Confined], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of ours is in it but what a program needs."""
    for name in ("GRADING_SEED", "PYTHONPATH", "SECRET_TOKEN", "PYTEST_ADDOPTS"):
        monkeypatch.setenv(name, "secret")
    program = start("import os; print(*os.environ, *os.environ.values())", kind)
    assert program.wait_exit() == 0
    assert "secret" not in program.stdout
    assert "SECRET" not in program.stdout


@pytest.mark.parametrize("kind", FAMILIES)
def test_system_limits_are_set(kind: type[Confined], start: Start) -> None:
    """And cannot be raised again."""
    program = start(
        """
        import resource
        for name in ("FSIZE", "NOFILE", "CPU", "CORE"):
            print(*resource.getrlimit(getattr(resource, f"RLIMIT_{name}")))
        """,
        kind,
    )
    assert program.wait_exit() == 0
    numbers = [int(word) for word in program.stdout.split()]
    assert numbers[0] <= limits.WRITES
    assert numbers[2] <= limits.FILES
    assert numbers[4:] == [limits.PROCESSOR] * 2 + [0, 0]
    assert numbers[::2] == numbers[1::2]


@pytest.mark.parametrize("kind", FAMILIES)
def test_too_many_processes_are_stopped_and_told(
    kind: type[Confined], start: Start
) -> None:
    """In a sentence that a person understands."""
    program = start(
        """
        import os, time
        for _ in range(100):
            if os.fork() == 0:
                break
        time.sleep(30)
        """,
        kind,
    )
    with pytest.raises(Mismatch) as caught:
        program.wait_ready()
    expected = f"it took more than {limits.PROCESSES} processes."
    sentence = f"mine was stopped by the grader: {expected}"
    assert sentence in diagnose(caught.value.story)


@pytest.mark.parametrize(
    ("usage", "excess"),
    [
        (Usage(64, 512, 512 << 20, 2000), ""),
        (Usage(processes=65), "more than 64 processes"),
        (Usage(threads=513), "more than 512 threads"),
        (Usage(memory=(512 << 20) + 1), "more than 512 MB of memory"),
        (Usage(entries=2001), "more than 2000 files"),
        (Usage(seconds=1e9), f"more than {SECONDS:.0f} seconds of processor time"),
    ],
)
def test_excess_is_named(usage: Usage, excess: str) -> None:
    """And only what is more than allowed."""
    assert usage.excess() == excess


@pytest.mark.parametrize("kind", FAMILIES)
def test_processor_time_of_all_is_counted(
    kind: type[Confined], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that of children which are over, each before it has taken much."""
    monkeypatch.setattr(limits, "SECONDS", 1)
    program = start(
        """
        import os, time
        while True:
            if os.fork() == 0:
                while time.process_time() < 0.2:
                    pass
                os._exit(0)
            os.wait()
        """,
        kind,
    )
    with pytest.raises(Mismatch) as caught:
        program.wait_ready()
    assert "seconds of processor time." in str(diagnose(caught.value.story))


# --------------------------------------------------------------------------- walls


@needs_walls
def test_walls_leave_little_to_see(start: Start) -> None:
    """One program and its watcher, its own files, and no packages."""
    program = start(
        """
        import importlib.util, os
        print([name for name in os.listdir("/proc") if name.isdigit()])
        print(os.listdir("."), os.listdir("/tmp"), os.path.exists("/etc/passwd"))
        print([importlib.util.find_spec(name) for name in ("pytest", "psutil", "pip")])
        """,
        Walled,
    )
    assert program.wait_exit() == 0
    processes, files, packages = program.stdout.splitlines()
    assert processes == "['1', '2']"
    assert files.startswith("['mine.py'] [")
    assert files.endswith("] False")
    assert packages == "[None, None, None]"


@needs_walls
def test_fork_leaves_nothing_of_ours_open(start: Start) -> None:
    """Neither rights, nor descriptors, nor what we do with signals."""
    program = start(
        """
        import os, signal, stat
        kinds = [stat.S_IFMT(os.fstat(fd).st_mode) for fd in range(100)
                 if os.path.exists(f"/proc/self/fd/{fd}")]
        print([("socket", "pipe")[kind == stat.S_IFIFO] for kind in kinds])
        print(signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL)
        for process in ("self", 1):
            rows = open(f"/proc/{process}/status").read().splitlines()
            has = ("CapInh", "CapPrm", "CapEff", "CapAmb")
            print({row.split()[1] for row in rows if row.startswith(has)})
        input()
        """,
        Walled,
    )
    nothing = "{'0000000000000000'}"
    our_question = "socket"  # where its threads stand
    program.expect_next(str([*["pipe"] * 3, our_question]))
    for line in ("True", nothing, nothing):
        program.expect_next(line)
    first = psutil.Process(program.pid).ppid()
    with contextlib.suppress(PermissionError):  # only root may look into it
        assert len(list(Path(f"/proc/{first}/fd").iterdir())) == 1  # where it tells us
    program.type("")
    assert program.wait_exit() == 0


@needs_walls
def test_end_is_seen_by_all_who_wait_for_it(walls: Walls, tmp_path: Path) -> None:
    """One asks again and again, and takes nothing away from the one who waits."""
    (tmp_path / "mine.py").write_text("input()\n", encoding="utf-8")
    for _ in range(20):
        program = walls.start(tmp_path.resolve(), ["0", "-", "-", "mine.py"])
        waits = threading.Thread(target=program.wait)
        waits.start()
        assert program.stdin
        program.stdin.write(b"\n")
        deadline = Deadline(EXIT)
        while program.poll() is None and deadline.left():
            pass
        waits.join(EXIT)
        ended = not waits.is_alive()
        program.pull_down()
        program.close()
        waits.join()
        assert ended


@needs_walls
def test_nothing_of_the_system_can_be_written(start: Start) -> None:
    """Also if the grader is root: who is root outside owns what is in /proc/sys."""
    program = start(
        """
        import os
        for top in ("/proc/sys", "/proc/irq", "/usr/lib", "/dev", "/etc", "/"):
            for folder, folders, names in os.walk(top):
                depth = folder.count("/")
                folders[:] = [] if depth > 2 or top == "/" else folders
                for name in names:
                    path = os.path.join(folder, name)
                    if not os.path.islink(path) and os.access(path, os.W_OK):
                        print(path)
        """,
        Walled,
    )
    assert program.wait_exit(20) == 0
    devices = {"full", "null", "ptmx", "random", "tty", "urandom", "zero"}
    assert {Path(path).name for path in program.stdout.split()} <= devices


@needs_walls
def test_walls_fall_with_all_that_is_within(start: Start, tmp_path: Path) -> None:
    """However it has hidden; and nothing that it wrote is left."""
    program = start(
        """
        import os, threading
        open("left", "w").close()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                print("listening on 127.0.0.1:1", flush=True)
                threading.Event().wait(60)
            os._exit(0)
        threading.Event().wait(60)
        """,
        Walled,
    )
    program.expect_output("listening on 127.0.0.1:1")
    family = [psutil.Process(program.pid), *program.descendants()]
    assert len(family) >= 2
    program.close()
    _, alive = psutil.wait_procs(family, EXIT)
    assert alive == []
    assert [path.name for path in (tmp_path / "grading").iterdir()] == ["mine.py"]


@needs_walls
def test_walls_that_cannot_be_built_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program is never run without them instead."""
    wrong = ["bwrap", "--no-such-option"]
    monkeypatch.setattr("grading.walls._outer_walls", lambda *_: wrong)
    (tmp_path / "mine.py").write_text("print('I run')\n", encoding="utf-8")
    wanted = "the sandbox cannot be built: bwrap: "
    with (
        contextlib.closing(Walls()) as walls,
        pytest.raises(RuntimeError, match=wanted),
    ):
        walls.start(tmp_path, ["0", "-", "-", "mine.py"])


@needs_walls
def test_kit_may_lie_where_programs_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have a file system of their own there, and find what they need."""
    monkeypatch.setattr("tempfile.tempdir", str(proofs.ROOT.parent))
    (tmp_path / "mine.py").write_text("print('I run')\n", encoding="utf-8")
    with contextlib.closing(Walls()) as walls:
        program = walls.start(tmp_path, ["0", "hasty", "-", "mine.py"])
        assert program.wait() == 0
        program.pull_down()
        assert program.stdout
        assert program.stdout.read() == b"I run\n"
        program.close()


@needs_walls
def test_there_are_no_walls_if_inner_ones_cannot_be_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where bubblewrap itself does what it is told."""
    words = _outer_walls(Walls().writable)
    words.remove("CAP_SYS_ADMIN")
    words.remove("--cap-add")
    monkeypatch.setattr("grading.walls._outer_walls", lambda *_: words)
    assert not has_walls.__wrapped__()


# ------------------------------------------------------------------- what is believed


def test_sources_of_others_are_not_shown(tmp_path: Path) -> None:
    """A program may answer in place of the launcher, and name any file."""
    secret = tmp_path / "secret.py"
    secret.write_text("password\n", encoding="utf-8")
    folder = tmp_path / "grading"
    folder.mkdir()
    (folder / "mine.py").write_text("mine\n", encoding="utf-8")
    (folder / "link.py").symlink_to(secret)
    names = ("mine.py", str(secret), "../secret.py", "link.py", str(folder / "mine.py"))
    rows = "".join(f"thread {name}\t{name}\t1\tf\n" for name in names)
    told = _threads(rows, folder)
    sources = [call.source for thread in told for call in thread.calls]
    assert set(sources) == {"mine", ""}


def test_many_threads_are_not_all_told(tmp_path: Path) -> None:
    """Nor names that are as long as a book."""
    (tmp_path / "mine.py").write_text("mine\n", encoding="utf-8")
    rows = "".join(f"{'x' * 999}{n}\tmine.py\t1\t{'f' * 999}\n" for n in range(999))
    told = _threads(rows, tmp_path)
    assert len(told) == 50
    assert max(len(thread.name) for thread in told) == 100


# ------------------------------------------------------------------- without walls


def without_walls(folder: Path, *options: str) -> tuple[list[str], dict[str, str]]:
    """Return command and environment of an instructor on such a system."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    command = [sys.executable, str(WITHOUT_WALLS), "grade", str(folder / "class")]
    command += ["--out", str(folder / "report"), *options]
    env = os.environ | {"GRADING_PATIENCE": "0.5", "TMPDIR": str(temporary)}
    return command, env


def hand_in(folder: Path, *names: str) -> None:
    """Let these cheats be a class, and an honest student."""
    chosen = [it for it in cheating.cheats() if it.name in names]
    assert len(chosen) == len(names)
    for cheat in chosen:
        cheat.write(folder / "class" / cheat.name.replace("/", "."), folder.name)
    proofs.copy_solution("02_echo", folder / "class" / "honest")


@pytest.mark.slow
def test_limits_hold_without_walls(tmp_path: Path) -> None:
    """Who takes too much is stopped, orphans are found; what is missing is said."""
    names = ["processes/fork_bomb", "resources/memory_bomb", "resources/big_file"]
    orphan = ["processes/orphan_without_mark"]
    hand_in(tmp_path, *names, *(orphan if linux else []))
    command, env = without_walls(tmp_path, "--steps", "2", "--jobs", "6")
    ran = subprocess.run(
        command, cwd=proofs.ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found = {it.student: it for it in results.load(tmp_path / "report" / "results")}
    assert all("without walls" in it.isolation[0] for it in found.values())
    assert found["honest"].steps[0].complete
    assert "more than 64 processes" in reasons(found["processes.fork_bomb"])
    assert "512 MB of memory" in reasons(found["resources.memory_bomb"])
    assert "File too large" in reasons(found["resources.big_file"])
    for student, result in found.items():
        verdicts = {test.verdict for test in result.steps[0].tests}
        assert student == "honest" or verdicts == {results.FAILED}, student
    assert_all_end(tmp_path)
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    "source",
    [
        "open(path)",
        "runpy.run_path(path, run_name='__main__')",
        "sys.path.insert(0, str(path.parent)); import mchat",
        "subprocess.run([sys.executable, path], check=True)",
        "os.execv(sys.executable, [sys.executable, path])",
        "os.system(f'python {path}') and sys.exit('nothing')",
        "os.symlink(path.parent, 'here')",
        "os.chdir(path.parent); open('mchat.py')",
    ],
)
def test_kit_is_kept_from_programs_without_walls(source: str, start: Start) -> None:
    """It is no wall, but nobody runs the reference in passing."""
    reference = str(proofs.ROOT / "server" / "mchat.py")
    imports = "import os, runpy, subprocess, sys; from pathlib import Path"
    program = start(f"{imports}\npath = Path({reference!r})\n{source}\n")
    assert program.wait_exit() == 1
    said = ("The grader keeps this to itself", "No module named 'mchat'")
    assert program.stderr.strip().endswith(said) or said[0] in program.stderr


def reasons(result: Result) -> str:
    """Return why its tests failed."""
    return "\n".join(test.reason for test in result.steps[0].tests)


@only_linux
@pytest.mark.slow
def test_killed_batch_takes_all_with_it_without_walls(tmp_path: Path) -> None:
    """Also a program that has wiped its mark and lost its parents."""
    hand_in(tmp_path, "processes/orphan_without_mark", "endings/hangs")
    command, env = without_walls(tmp_path, "--steps", "2")
    with subprocess.Popen(
        command, cwd=proofs.ROOT, env=env, stderr=subprocess.DEVNULL
    ) as killed:
        deadline = Deadline(6 * EXIT)
        while not any(in_folder(it, tmp_path / "tmp") for it in psutil.process_iter()):
            assert deadline.left()
            assert killed.poll() is None
        killed.kill()
    assert_all_end(tmp_path)


def assert_all_end(folder: Path) -> None:
    """Expect that soon no process of a class lives any more."""
    deadline = Deadline(EXIT)
    while found := [str(it) for it in psutil.process_iter() if is_of(it, folder)]:
        assert deadline.left(), found


def is_of(process: psutil.Process, folder: Path) -> bool:
    """Tell whether a process comes from a program of this class."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return folder.name in process.cmdline() or in_folder(process, folder)
    except psutil.Error:
        return False


def in_folder(process: psutil.Process, folder: Path) -> bool:
    """Tell whether a process works in a folder."""
    try:
        return str(folder) in process.cwd()
    except psutil.Error:
        return False


def test_program_knows_no_more_marks_than_its_own(start: Start) -> None:
    """By the marks its family is found, also if the grader has been killed."""
    program = start("import os; print(*os.environ, sep='\\n')")
    assert program.wait_exit() == 0
    assert any(name.startswith(MARK) for name in program.stdout.split())
