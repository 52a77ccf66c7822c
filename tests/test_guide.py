"""`python exercises`: the guide, in a kit of two small steps."""

import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from grading import aids, guide, overview, places, progress, steps, watch
from grading.deadlines import READY
from grading.harness import Harness
from grading.kit import Kit, Refusal
from grading.people import Person
from grading.program import Program
from grading.progress import Record

EXERCISES = Path(__file__).resolve().parent.parent / "exercises"
NAMES = ["01_alpha", "02_beta"]
HINTS = """\
# Hints

## TODO 1: say it
### A nudge
Say *it*.
### More
    word = "it"

## TODO 2: do it
### A nudge
Do it.
"""
# Passes when the student's file says so. If it says "wait PORT", the grader goes on
# when that connection ends; a program in a session of its own has made it.
GRADER = """\
import subprocess, sys
from pathlib import Path

CONNECT = "import socket, sys; "
CONNECT += "socket.create_connection(('127.0.0.1', int(sys.argv[1]))).recv(1)"

def test_it():
    text = Path(__file__).with_name("mchat.py").read_text()
    if text.startswith("wait"):
        command = [sys.executable, "-c", CONNECT, text.split()[1]]
        subprocess.run(command, start_new_session=True)
    assert "done" in text
"""
# Plays the grader's own plugin: remembers the result.
CONFTEST = """\
from pathlib import Path
from grading import progress, steps

def pytest_sessionfinish(session, exitstatus):
    step = steps.load(Path(session.config.args[0]).resolve())
    points = 10 if exitstatus == 0 else 0
    record = progress.Record(progress.digest(step), {"test_it": points})
    progress.save(progress.load() | {step.name: record})
"""


def write(path: Path, text: str) -> None:
    """Write a file, and make the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here depends on the terminal that the tests are run from."""
    for name in (
        "COLUMNS",
        "FORCE_COLOR",
        "NO_COLOR",
        "TTY_COMPATIBLE",
        "TTY_INTERACTIVE",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """Give a kit whose folder we stand in, and that prints into memory."""
    root = tmp_path / "kit"
    for name in NAMES:
        folder = root / "exercises" / name
        toml = f'title = "{name[3:]} [works]"\nfiles = ["mchat.py"]\nminutes = 50\n'
        write(folder / "step.toml", toml)
        write(folder / "HINTS.md", HINTS)
        write(folder / f"test_{name}.py", GRADER)
        write(root / "tests" / "solutions" / name / "mchat.py", "# done: a [b] é\n")
        starters = root / "exercises" / "grading" / "starters"
        for place in (folder, starters / name):
            write(place / "mchat.py", "# TODO\n")
    monkeypatch.chdir(root)
    folders = [root / "exercises" / name for name in NAMES]
    return Kit(
        steps=[steps.load(folder) for folder in folders],
        progress=root / "exercises" / ".progress.json",
        starters=starters,
        solutions=root / "tests" / "solutions",
        console=Console(file=io.StringIO(), highlight=False, width=80),
    )


def printed(kit: Kit) -> str:
    """Return what the guide has printed since it was last asked."""
    file = kit.console.file
    assert isinstance(file, io.StringIO)
    text = file.getvalue()
    file.seek(0)
    file.truncate()
    return text


def on_terminal(kit: Kit) -> Kit:
    """Return the kit with a screen to print on."""
    screen = Console(file=io.StringIO(), force_terminal=True, width=30)
    return replace(kit, console=screen)


def graded(kit: Kit, index: int, points: int, hint: int = 0) -> None:
    """Let a step be graded as it is now."""
    step = kit.steps[index]
    failed = "" if points == 10 else "test_other"
    record = Record(progress.digest(step), {"test_it": points}, failed, hint)
    progress.save(progress.load(kit.progress) | {step.name: record}, kit.progress)


def edit(kit: Kit, index: int, text: str) -> Path:
    """Save a student's file; return its path."""
    path = kit.steps[index].folder / "mchat.py"
    path.write_text(text, encoding="utf-8")
    return path


# ---------------------------------------------------------------------------- STEP


@pytest.mark.parametrize(
    "said", ["2", "02", "beta", "02_beta", "exercises/02_beta", "exercises/02_beta/"]
)
def test_step_can_be_named_in_many_ways(kit: Kit, said: str) -> None:
    """By number, by name, by path."""
    assert kit.find(said) is kit.steps[1]


def test_step_can_be_the_folder_we_stand_in(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `.`, like any path."""
    monkeypatch.chdir(kit.steps[1].folder)
    assert kit.find(".") is kit.steps[1]


@pytest.mark.parametrize("said", ["3", "0", "", "gamma", "exercises", "/", "²"])
def test_unknown_step_is_wrong_usage(kit: Kit, said: str) -> None:
    """The message lists the steps."""
    with pytest.raises(Refusal, match="there are 01_alpha, 02_beta") as refusal:
        kit.find(said)
    assert refusal.value.exit_code == 2


# ------------------------------------------------------------------------ overview


def test_standing_of_a_step(kit: Kit) -> None:
    """Begun means edited or graded; whatever was graded may have changed since."""
    step = kit.steps[0]

    def standing() -> str:
        return overview.standing(kit, step, kit.records()[step.name])

    assert standing() == ""
    edit(kit, 0, "# begun")
    assert standing() == "begun"
    graded(kit, 0, 4)
    assert standing() == "begun"
    edit(kit, 0, "# done")
    assert standing() == "begun, changed"
    graded(kit, 0, 10)
    assert standing() == "passed"
    edit(kit, 0, "# broken")
    assert standing() == "passed, changed"


def test_overview_shows_the_path_and_what_is_next(kit: Kit) -> None:
    """The step to do is the first that is not passed."""
    graded(kit, 0, 10)
    graded(kit, 1, 4, hint=2)
    overview.show(kit)
    text = printed(kit)
    assert re.search(
        r"^ +01_alpha +alpha \[works\] +50 +10/10 +passed *$", text, re.MULTILINE
    )
    assert re.search(
        r"^> +02_beta +beta \[works\] +50 +4/10 +begun *$", text, re.MULTILINE
    )
    assert "1 of 2 steps passed, 14 of 20 points; about 50 min to go" in text
    assert "read      exercises/02_beta/README.md".replace("/", os.sep) in text
    assert "edit      exercises/02_beta/mchat.py".replace("/", os.sep) in text
    assert "last run failed in test_other, about TODO 2." in text
    assert "changed" not in text


def test_overview_in_a_pipe_is_plain_and_narrow(kit: Kit) -> None:
    """No escapes, no line longer than 80, apart from commands with long paths."""
    overview.show(kit)
    text = printed(kit)
    assert "\x1b" not in text
    table = text.partition("You are at")[0]
    assert max(len(line) for line in table.splitlines()) <= 80


def test_names_of_steps_stay_whole_in_a_narrow_terminal(kit: Kit) -> None:
    """They are what one types; what else there is may be broken into lines."""
    kit = on_terminal(kit)
    graded(kit, 0, 4)
    overview.show(kit)
    text = printed(kit)
    assert all(name in text for name in NAMES)
    assert "\x1b[1m" in text


def test_passed_step_that_was_changed_stays_passed(kit: Kit) -> None:
    """Nobody is sent back; the table says so, and what it means."""
    graded(kit, 0, 10)
    edit(kit, 0, "# tidied")
    overview.show(kit)
    text = printed(kit)
    assert "passed, changed" in text
    assert "changed: since it was graded" in text
    assert "You are at 02_beta" in text


def test_overview_after_the_last_step(kit: Kit) -> None:
    """It says so, and what there is beside the path."""
    graded(kit, 0, 10)
    graded(kit, 1, 10)
    overview.show(kit)
    text = printed(kit)
    assert "20 of 20 points\n" in text
    assert "You have passed every step." in text
    assert "mchat.py" in text


def test_paths_are_shown_as_typed_here(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative if they are below the current folder, quoted if they need it."""
    folder = kit.steps[0].folder
    assert places.shown(folder) == str(Path("exercises", "01_alpha"))
    monkeypatch.chdir(kit.steps[1].folder)
    assert places.shown(folder) == str(folder)
    assert places.shown(Path("a b", "c"))[0] in "'\""


# ---------------------------------------------------------------------------- hint


def test_hints_say_more_each_time(kit: Kit) -> None:
    """From the nudge to the last; then it says that there are no more."""
    graded(kit, 0, 4, hint=1)
    hint = []
    for _ in range(3):
        aids.hint(kit, kit.steps[0], everything=False)
        hint.append(printed(kit))
    assert "TODO 1: hint 1 of 2\n\nSay *it*.\n" in hint[0]
    assert "hint 01" in hint[0]
    assert 'hint 2 of 2\n\nword = "it"' in hint[1]
    assert "the last hint" in hint[1]
    assert "You have seen all" in hint[2]
    assert "word" not in hint[2]


def test_hint_fits_the_failure(kit: Kit) -> None:
    """Each TODO has its own hints, and its own count."""
    graded(kit, 0, 2, hint=1)
    aids.hint(kit, kit.steps[0], everything=False)
    edit(kit, 0, "# further")
    graded(kit, 0, 4, hint=2)
    printed(kit)
    aids.hint(kit, kit.steps[0], everything=False)
    assert "TODO 2: hint 1 of 1\n\nDo it.\n" in printed(kit)


def test_hint_before_grading_is_for_the_first_todo(kit: Kit) -> None:
    """It says how to get the one that fits."""
    aids.hint(kit, kit.steps[1], everything=False)
    text = printed(kit)
    assert "TODO 1: hint 1 of 2" in text
    assert "-m pytest" in text
    assert kit.records()["02_beta"].hints_shown == {"1": 1}


def test_all_hints_at_once(kit: Kit) -> None:
    """As often as one likes."""
    for _ in range(2):
        aids.hint(kit, kit.steps[0], everything=True)
        text = printed(kit)
        assert "hint 1 of 2" in text
        assert "hint 2 of 2" in text


def test_todo_without_hints_is_told(kit: Kit) -> None:
    """In one line."""
    graded(kit, 0, 2, hint=7)
    with pytest.raises(Refusal, match="01_alpha has no hint for TODO 7"):
        aids.hint(kit, kit.steps[0], everything=False)


def test_in_a_terminal_hints_are_typeset(kit: Kit) -> None:
    """Markdown is for pipes; here emphasis shows as such."""
    kit = on_terminal(kit)
    aids.hint(kit, kit.steps[0], everything=True)
    text = printed(kit)
    assert "Say \x1b[3mit\x1b[0m." in text
    assert "*" not in text


# --------------------------------------------------------------------------- reset


def test_reset_keeps_copies(kit: Kit) -> None:
    """None replaces an older one; the starter is back, and the points are forgotten."""
    folder = kit.steps[0].folder
    for number, text in enumerate(["# one", "# two"], 1):
        edit(kit, 0, text)
        graded(kit, 0, 10)
        aids.reset(kit, kit.steps[0], ask=False)
        copy = f"mchat.before-reset-{number}.py"
        assert (folder / copy).read_text() == text
        assert copy in printed(kit)
    assert (folder / "mchat.before-reset-1.py").read_text() == "# one"
    assert (folder / "mchat.py").read_text() == "# TODO\n"
    assert kit.current() is kit.steps[0]


def test_reset_brings_back_a_file_that_is_gone(kit: Kit) -> None:
    """There is nothing to copy then."""
    (kit.steps[0].folder / "mchat.py").unlink()
    aids.reset(kit, kit.steps[0], ask=False)
    assert (kit.steps[0].folder / "mchat.py").read_text() == "# TODO\n"
    assert "is kept" not in printed(kit)


def test_reset_of_an_untouched_step_does_nothing(kit: Kit) -> None:
    """And asks nothing."""
    aids.reset(kit, kit.steps[0], ask=True)
    assert not list(kit.steps[0].folder.glob("*before-reset*"))


def test_reset_asks_nobody_in_a_pipe(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses, as wrong usage."""
    path = edit(kit, 0, "# mine")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(Refusal, match="--yes") as refusal:
        aids.reset(kit, kit.steps[0], ask=True)
    assert refusal.value.exit_code == 2
    assert path.read_text() == "# mine"


class Keyboard(io.StringIO):
    """Somebody at a terminal."""

    def isatty(self) -> bool:
        """Pretend."""
        return True


@pytest.mark.parametrize(
    ("typed", "content"),
    [("y\n", "# TODO\n"), ("YES\n", "# TODO\n"), ("\n", "# mine"), ("", "# mine")],
)
def test_reset_asks_first(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, typed: str, content: str
) -> None:
    """Enter alone and the end of input mean no."""
    path = edit(kit, 0, "# mine")
    monkeypatch.setattr(sys, "stdin", Keyboard(typed))
    aids.reset(kit, kit.steps[0], ask=True)
    assert path.read_text() == content


# ---------------------------------------------------------------------------- show


def test_solution_is_shown_once_the_step_is_passed(kit: Kit) -> None:
    """Exactly as it is, so that it can be saved from a pipe."""
    with pytest.raises(Refusal, match=r"not passed yet.*--spoil"):
        aids.show(kit, kit.steps[0], None, spoil=False)
    assert printed(kit) == ""
    graded(kit, 0, 10)
    aids.show(kit, kit.steps[0], None, spoil=False)
    assert printed(kit) == "# done: a [b] é\n"


def test_solution_can_be_spoiled(kit: Kit) -> None:
    """By a file's name, too."""
    aids.show(kit, kit.steps[0], "mchat.py", spoil=True)
    assert printed(kit) == "# done: a [b] é\n"


def test_file_that_the_step_does_not_have_is_wrong_usage(kit: Kit) -> None:
    """The message names those it has."""
    with pytest.raises(Refusal, match=r"01_alpha has mchat\.py, not chat\.py"):
        aids.show(kit, kit.steps[0], "chat.py", spoil=True)


def test_kit_without_solutions(kit: Kit) -> None:
    """As handed out to students."""
    shutil.rmtree(kit.solutions)
    with pytest.raises(Refusal, match="not in this kit"):
        aids.show(kit, kit.steps[0], None, spoil=True)


# --------------------------------------------------------------------------- watch


def test_saving_changes_the_stamps(kit: Kit) -> None:
    """So does deleting; a file beside them does not."""
    step = kit.steps[0]
    before = watch.stamps(step)
    write(step.folder / "other.py", "")
    assert watch.stamps(step) == before
    path = edit(kit, 0, "# saved")
    saved = watch.stamps(step)
    path.unlink()
    assert len({str(stamps) for stamps in (before, saved, watch.stamps(step))}) == 3


def test_only_a_save_ends_the_wait(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other files in the folder do not, nor the time."""
    step = kit.steps[0]

    def changes(*_: object, **__: object) -> Iterator[set[object]]:
        yield set()
        write(step.folder / "other.py", "")
        yield set()
        edit(kit, 0, "# saved")
        yield set()
        raise AssertionError("the file was saved, and the wait goes on")

    monkeypatch.setattr("watchfiles.watch", changes)
    watch.wait_for_save(step, watch.stamps(step))
    assert (step.folder / "mchat.py").read_text() == "# saved"


def test_watch_ends_even_if_nothing_is_remembered(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that cannot be written to, say; no step comes twice."""
    monkeypatch.setattr(watch, "grade", lambda _: True)
    watch.watch(kit, kit.steps[1])
    passed = re.findall("(.*) is passed", printed(kit))
    assert passed == ["02_beta", "01_alpha"]


# --------------------------------------------------------------------- the command


@pytest.fixture
def command(kit: Kit) -> Path:
    """Make the kit a whole one; return the path to give to Python."""
    exercises = kit.steps[0].folder.parent
    shutil.copy(EXERCISES / "__main__.py", exercises)
    shutil.copytree(
        EXERCISES / "grading",
        exercises / "grading",
        ignore=shutil.ignore_patterns("__pycache__", "starters"),
        dirs_exist_ok=True,
    )
    write(exercises.parent / "conftest.py", CONFTEST)
    options = '[tool.pytest.ini_options]\npythonpath = ["exercises"]\n'
    options += 'addopts = ["--import-mode=importlib", "-p", "no:cacheprovider"]\n'
    write(exercises.parent / "pyproject.toml", options)
    return exercises


def run(harness: Harness, command: Path, *args: str) -> tuple[int, str, str]:
    """Run the guide in a pipe, from another folder; return code, stdout, stderr."""
    program = harness.start(command, *args, ready=False)
    program.close_stdin()
    code = program.wait_exit()
    return code, program.stdout, program.stderr


def test_command_runs_from_anywhere(harness: Harness, command: Path) -> None:
    """And its paths lead back."""
    code, out, err = run(harness, command)
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert "You are at 01_alpha" in out
    assert str(Path("kit", "exercises", "01_alpha", "README.md")) in out


@pytest.mark.parametrize(
    ("args", "exit_code", "said"),
    [
        (("dance",), 2, "invalid choice: 'dance'"),
        (("reset",), 2, "required: STEP"),
        (("hint", "9"), 2, "no step is called '9'; there are 01_alpha, 02_beta"),
        (("show", "1"), 1, "not passed yet"),
        (("show", "1", "chat.py"), 2, "has mchat.py"),
        (("watch", "1", "--fast"), 2, "unrecognized arguments: --fast"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    harness: Harness, command: Path, args: tuple[str, ...], exit_code: int, said: str
) -> None:
    """On stderr, never a traceback."""
    code, out, err = run(harness, command, *args)
    assert (code, out, err.count("\n")) == (exit_code, "", 1)
    assert said in err


@pytest.mark.parametrize(
    ("missing", "args"),
    [("rich", ()), ("watchfiles", ("watch",)), ("psutil", ("watch",))],
)
def test_missing_library_is_named(
    harness: Harness, command: Path, missing: str, args: tuple[str, ...]
) -> None:
    """With the command that installs what is needed."""
    write(command / f"{missing}.py", f"raise ModuleNotFoundError(name={missing!r})")
    code, _, err = run(harness, command, *args)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{missing} is not installed" in err
    assert "-m pip install -r" in err


def expect(program: Program, wanted: str) -> None:
    """Wait for a line; an interpreter may have to start before it comes."""
    program.expect_output(re.compile(wanted), timeout=READY)


def test_watch_grades_on_save_and_goes_on(
    harness: Harness, kit: Kit, command: Path
) -> None:
    """It moves on when a step passes, and Ctrl-C ends it."""
    program = harness.start(command, "watch", ready=False)
    expect(program, ".*1 failed.*")
    expect(program, "Save .*01_alpha.*mchat.py to grade it again.*")
    edit(kit, 0, "# still wrong")
    expect(program, ".*1 failed.*")
    expect(program, "Save .*")
    edit(kit, 0, "# done")
    expect(program, "01_alpha is passed. Well done.")
    expect(program, "You are at 02_beta: .*")
    expect(program, ".*1 failed.*")
    assert "\x1b" not in program.stdout
    program.interrupt()
    assert program.wait_exit() == guide.INTERRUPTED
    assert "Traceback" not in program.stdout + program.stderr


def test_watch_ends_after_the_last_step(
    harness: Harness, kit: Kit, command: Path
) -> None:
    """From the step named to those that are not passed, wherever they are."""
    edit(kit, 0, "# done")
    edit(kit, 1, "# done")
    program = harness.start(command, "watch", "beta", ready=False)
    expect(program, "02_beta is passed. Well done.")
    expect(program, "01_alpha is passed. Well done.")
    expect(program, "You have passed every step.")
    assert program.wait_exit() == 0


def slow_grading(
    harness: Harness, kit: Kit, command: Path, verdict: str = ""
) -> tuple[Program, Person]:
    """Start to watch; return once the grader is at work, with what it waits for."""
    listener = harness.listen()
    edit(kit, 0, f"wait {listener.address[1]} {verdict}")
    program = harness.start(command, "watch", ready=False)
    return program, listener.accept("grader")


def test_file_saved_while_grading_is_graded_afterwards(
    harness: Harness, kit: Kit, command: Path
) -> None:
    """Nothing has to be saved once more."""
    program, grader = slow_grading(harness, kit, command)
    edit(kit, 0, "# done")
    grader.close()
    expect(program, ".*1 failed.*")
    expect(program, "01_alpha is passed. Well done.")


def test_step_is_not_passed_if_a_file_was_saved_meanwhile(
    harness: Harness, kit: Kit, command: Path
) -> None:
    """What passed is out of date."""
    program, grader = slow_grading(harness, kit, command, "done")
    edit(kit, 0, "# broken")
    grader.close()
    expect(program, ".*1 passed.*")
    expect(program, ".*1 failed.*")
    assert "Well done" not in program.stdout


def test_ctrl_c_while_grading_leaves_nothing_behind(
    harness: Harness, kit: Kit, command: Path
) -> None:
    """Neither the grader nor what it has started."""
    program, grader = slow_grading(harness, kit, command)
    program.interrupt()
    assert program.wait_exit() == guide.INTERRUPTED
    grader.expect_end()
    assert program.descendants() == []
    assert "Traceback" not in program.stdout + program.stderr
