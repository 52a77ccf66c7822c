"""A batch: every submission has a result, whatever happens, and the same one again."""

import contextlib
import os
import string
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import proofs
from course import batch as batches
from course import pytests, results, running, servers, settings, workers
from course.batch import Batch
from course.results import Outcome, Result, StepOutcome
from course.running import Place, Run, Runners
from course.scoring import grade
from course.working import NAME, Busy, working_folder
from grading.deadlines import EXIT, GLANCE, READY, Deadline
from grading.manifest import expected_tests
from grading.steps import STARTERS, Step
from grading.story import Story
from grading.transcript import ProgramState
from grading.walls import has_walls

ECHO = proofs.STEPS["02_echo"]
CONNECT = proofs.STEPS["01_connect"]
POSIX = pytest.mark.skipif(os.name != "posix", reason="kills with SIGKILL")

Grade = Callable[..., list[Result]]


def handed_in(folder: Path, student: str, text: str = "pass\n", step: str = "") -> None:
    """Make a submission of one program."""
    path = folder / "class" / student / (step or ECHO.name)
    path.mkdir(parents=True)
    name = proofs.STEPS[step or ECHO.name].files[0]
    (path / name).write_text(text, encoding="utf-8")


def graded(folder: Path, **fields: object) -> list[Result]:
    """Grade the class in a folder."""
    batch = Batch(
        submissions=[
            (path.name, path) for path in sorted((folder / "class").iterdir())
        ],
        steps=[ECHO],
        kept=folder / "kept",
        repeats=0,
        jobs=2,
    )
    return replace(batch, **fields).grade(lambda result: None)  # type: ignore[arg-type]


# --------------------------------------------------- with a stand-in for the grader


def passing(step: Step) -> StepOutcome:
    """Return full marks."""
    tests = [
        Outcome(it.test, it.points, results.PASSED, passes=1, runs=1)
        for it in expected_tests(step)
    ]
    return StepOutcome(step.name, step.title, tuple(tests))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Let a stand-in give full marks, and keep the programs that it was given."""
    seen: list[bytes] = []

    def grade_step(step: Step, place: Place, *_: object) -> StepOutcome:
        source = (place.submission / ECHO.name / "mchat.py").read_bytes()
        seen.append(source)
        if source.startswith(b"fail"):
            raise OSError("no space left")
        return passing(step)

    monkeypatch.setattr(running, "grade_step", grade_step)
    return seen


def test_what_is_kept_is_not_graded_again(calls: list[bytes], tmp_path: Path) -> None:
    """And is the same."""
    for student in ("ann", "bob"):
        handed_in(tmp_path, student, f"# {student}\n")
    first = graded(tmp_path)
    assert len(calls) == 2
    assert graded(tmp_path) == first
    assert len(calls) == 2


def test_starter_is_not_graded(calls: list[bytes], tmp_path: Path) -> None:
    """What it earns is known, also if an editor has changed its line ends."""
    starter = (STARTERS / ECHO.name / "mchat.py").read_text(encoding="utf-8")
    handed_in(tmp_path, "ann", starter.replace("\n", "\r\n"))
    (result,) = graded(tmp_path)
    (step,) = result.steps
    assert calls == []
    assert (step.handed_in, step.untouched) == (True, True)
    assert {test.verdict for test in step.tests} == {results.NOT_RUN}
    assert grade(result, settings.default([ECHO])).points == 0


@pytest.mark.parametrize("change", ["files", "repeats", "steps", "grader"])
def test_what_has_changed_is_graded_anew(
    change: str, calls: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was handed in, the choices that matter, or the grader."""
    handed_in(tmp_path, "ann")
    graded(tmp_path)
    choices: dict[str, object] = {}
    if change == "files":
        path = tmp_path / "class" / "ann" / ECHO.name / "mchat.py"
        path.write_text("pass  # better\n", encoding="utf-8")
    elif change == "grader":
        monkeypatch.setattr(batches, "grader_digest", lambda: "another")
    else:
        choices = {"repeats": 1} if change == "repeats" else {"steps": [ECHO, CONNECT]}
    graded(tmp_path, **choices)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"passed"', '"failed"'),
        ('"points": 1', '"points": 9'),
        ("}", ""),
        ('"student": "ann"', '"student": "bob"'),
        ("{", "[" * 100_000),
        ("{", "\0"),
    ],
)
def test_damaged_result_is_graded_anew(
    old: str, new: str, calls: list[bytes], tmp_path: Path
) -> None:
    """Also if it can still be read."""
    handed_in(tmp_path, "ann")
    first = graded(tmp_path)
    path = tmp_path / "kept" / "ann.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert graded(tmp_path) == first
    assert len(calls) == 2


def test_result_of_somebody_else_does_not_count(
    calls: list[bytes], tmp_path: Path
) -> None:
    """Not even for the same files."""
    for student in ("ann", "bob"):
        handed_in(tmp_path, student)
    graded(tmp_path)
    kept = tmp_path / "kept"
    (kept / "bob.json").write_bytes((kept / "ann.json").read_bytes())
    assert [result.student for result in graded(tmp_path)] == ["ann", "bob"]


def test_time_of_handing_in_is_that_of_now(calls: list[bytes], tmp_path: Path) -> None:
    """The same files later have the same verdicts; but they may be late."""
    handed_in(tmp_path, "ann")
    path = tmp_path / "class" / "ann" / ECHO.name / "mchat.py"
    for seconds in (1_700_000_000, 1_800_000_000):
        os.utime(path, (seconds, seconds))
        (result,) = graded(tmp_path)
        assert result.submitted == result.steps[0].submitted == seconds
    assert len(calls) == 1


def test_mistake_of_ours_harms_nobody_else(calls: list[bytes], tmp_path: Path) -> None:
    """It is told as one, and next time it is tried again."""
    handed_in(tmp_path, "ann", "fail\n")
    handed_in(tmp_path, "bob")
    for _ in range(2):
        ann, bob = graded(tmp_path)
        assert {test.verdict for test in ann.steps[0].tests} == {results.ERROR}
        assert "no space left" in ann.steps[0].note
        assert bob.steps[0].complete
    assert calls.count(b"fail\n") == 2


def test_nothing_handed_in_is_a_result(tmp_path: Path) -> None:
    """And nothing is run for it."""
    (tmp_path / "class" / "ann").mkdir(parents=True)
    (result,) = graded(tmp_path)
    assert not result.steps[0].handed_in
    assert result.steps[0].note == "not handed in"


def test_what_could_not_be_told_is_tried_again(
    calls: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a batch is resumed; a verdict on the program stays."""
    handed_in(tmp_path, "ann")
    with monkeypatch.context() as patched:
        patched.setattr(
            running,
            "grade_step",
            lambda *_: batches.failed(ECHO, "the disk is full"),
        )
        assert graded(tmp_path)[0].steps[0].note == "the disk is full"
    assert graded(tmp_path)[0].steps[0].complete
    assert len(calls) == 1


def test_refused_submission_is_a_result(calls: list[bytes], tmp_path: Path) -> None:
    """With a reason, and no points."""
    handed_in(tmp_path, "ann")
    (tmp_path / "class" / "bob.zip").write_bytes(b"PK\3\4 and no more")
    _, bob = graded(tmp_path)
    assert bob.refused.startswith("it cannot be unpacked")
    assert {test.verdict for test in bob.steps[0].tests} == {results.NOT_RUN}


def test_names_of_any_kind_have_results_of_their_own(
    calls: list[bytes], tmp_path: Path
) -> None:
    """Long ones, such that differ in case alone, and what is no text at all."""
    names = ["Ann", "ann", "a n n", "ann.", "x" * 255, "ø" * 127, "-rf", "=1+1", "con"]
    if sys.platform == "linux":
        names += [os.fsdecode(b"\xff\xfe"), "a\nb", "*"]
    kept = [batches.kept_name(name) for name in names]
    assert len({name.lower() for name in kept}) == len(names)
    assert all(name.isascii() and len(name) < 80 for name in kept)
    for name in ["x" * 255, *names[9:]]:
        handed_in(tmp_path, name)
    first = graded(tmp_path)
    assert all(result.steps[0].complete for result in first)
    assert graded(tmp_path) == first


def test_batch_that_is_interrupted_stops(calls: list[bytes], tmp_path: Path) -> None:
    """What was graded is kept; nothing else is left."""
    for number in range(20):
        handed_in(tmp_path, f"s{number:02}", f"# {number}\n")

    def interrupt(result: Result) -> None:
        raise KeyboardInterrupt

    submissions = [(it.name, it) for it in sorted((tmp_path / "class").iterdir())]
    batch = Batch(submissions, [ECHO], tmp_path / "kept", repeats=0, jobs=1)
    with pytest.raises(KeyboardInterrupt):
        batch.grade(interrupt)
    assert not (tmp_path / "kept" / NAME).exists()
    assert len(results.load(tmp_path / "kept")) == len(calls)


def test_interrupted_batch_waits_for_no_step_that_was_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ann is done, one of bob's steps is being graded, and the other waits for that."""
    busy, killed = threading.Event(), threading.Event()
    begun: list[str] = []

    def grade_step(step: Step, place: Place, *_: object) -> StepOutcome:
        begun.append(step.name)
        if (place.submission / CONNECT.name).is_dir():
            busy.set()
            killed.wait()
        return passing(step)

    def interrupt(result: Result) -> None:
        busy.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "grade_step", grade_step)
    monkeypatch.setattr(workers, "kill_all", killed.set)
    handed_in(tmp_path, "ann")
    for step in (CONNECT, ECHO):
        handed_in(tmp_path, "bob", "# of bob's own\n", step.name)
    submissions = [(it.name, it) for it in sorted((tmp_path / "class").iterdir())]
    batch = Batch(submissions, [CONNECT, ECHO], tmp_path / "kept", repeats=0, jobs=1)
    with pytest.raises(KeyboardInterrupt):
        batch.grade(interrupt)
    assert begun == [ECHO.name, ECHO.name]


# ------------------------------------------------------------------ the working folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let temporary files lie in a folder of the test's."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_one_batch_at_a_time(tmp_path: Path, temporary: Path) -> None:
    """Two would overwrite each other's results."""
    with working_folder(tmp_path / "kept"):
        with pytest.raises(Busy, match="is grading here"):
            working_folder(tmp_path / "kept").__enter__()
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []


def test_leftovers_of_a_killed_batch_are_removed(
    tmp_path: Path, temporary: Path
) -> None:
    """Its folder, and results that were being written; but nothing that is not ours."""
    kept, left, foreign = tmp_path / "kept", temporary / "class-x", tmp_path / "class-y"
    for folder in (kept, left, foreign):
        folder.mkdir()
    (kept / ".ann.json-x").touch()
    for folder in (left, foreign):
        said = f'{{"pid": {os.getpid()}, "begun": 1.0, "folder": "{folder}"}}'
        (kept / NAME).write_text(said, encoding="utf-8")
        with working_folder(kept):
            pass
    assert not left.exists()
    assert foreign.exists()
    assert list(kept.iterdir()) == []


# -------------------------------------------------------------------------- flaky ones


def scripted(monkeypatch: pytest.MonkeyPatch, *passed: str) -> list[Sequence[str]]:
    """Let runs pass the tests whose letters are given; return which tests were run."""
    asked: list[Sequence[str]] = []
    names = [it.test for it in expected_tests(ECHO)]

    def run(step: Step, place: Place, tests: Sequence[str], number: int) -> Run:
        asked.append(tests)
        facts = {
            name: {"test": name, "earned": int(letter in passed[number])}
            | {"missing": "", "seconds": 0.1, "error": "Timeout (>60.0s)"}
            for name, letter in zip(names, string.ascii_lowercase, strict=False)
        }
        return Run(facts)

    monkeypatch.setattr(running, "run", run)
    return asked


def verdicts(repeats: int) -> list[tuple[str, int, int]]:
    """Grade the step; return verdict, passes and runs of the first three tests."""
    with Runners(1) as runners:
        step = running.grade_step(ECHO, Place(Path()), repeats, runners)
    return [(test.verdict, test.passes, test.runs) for test in step.tests[:3]]


def test_flaky_is_told_as_n_of_k(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails twice has failed; what passes then is repeated to the end."""
    asked = scripted(monkeypatch, "cdefghijklmn", "ac", "", "a", "a")
    assert verdicts(4) == [
        (results.FLAKY, 3, 5),
        (results.FAILED, 0, 2),
        (results.PASSED, 1, 1),
    ]
    assert [len(tests) for tests in asked[1:]] == [2, 1, 1, 1]


def test_tests_share_threads_that_have_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All run at once if there is nobody else; in one piece if there is none to spare.

    Of several deaths one is told.
    """
    together, begun = threading.Barrier(3), threading.Semaphore(0)
    asked: list[Sequence[str]] = []

    def run(step: Step, place: Place, tests: Sequence[str], number: int) -> Run:
        asked.append(tests)
        begun.release()
        together.wait()
        return Run({test: {"test": test} for test in tests}, "dead" * ("c" in tests))

    monkeypatch.setattr(running, "run", run)
    with Runners(3) as runners:
        found = runners.run(ECHO, Place(Path()), ["a", "b", "c", "d"])
        assert sorted(asked) == [["a", "d"], ["b"], ["c"]]
        assert (sorted(found.facts), found.died) == (["a", "b", "c", "d"], "dead")
        for _ in range(3):
            begun.acquire()
        with ThreadPoolExecutor(3) as others:
            busy = [
                others.submit(runners.run, ECHO, Place(Path()), [name])
                for name in ("x", "y")
            ]
            for _ in busy:
                begun.acquire()
            runners.run(ECHO, Place(Path()), ["a", "b"])
            assert all(future.result() for future in busy)
        assert ["a", "b"] in asked


def test_in_the_end_few_tests_come_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all are busy: so nobody has to wait for a whole step that takes long."""
    asked = scripted(monkeypatch, "", "")
    with Runners(1) as runners:
        for runners.ending in (False, True):
            running.grade_step(ECHO, Place(Path()), 0, runners)
    whole, *parts = asked
    assert sorted(test for part in parts for test in part) == sorted(whole)
    assert max(map(len, parts)) == running.FEW


def test_end_of_a_batch_begins_when_few_steps_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A student whose submission waits counts as one; who is refused, no more.

    With one process, one submission at a time is under way.
    """
    seen: list[bool] = []

    def grade_step(step: Step, place: Place, _: int, runners: Runners) -> StepOutcome:
        seen.append(runners.ending)
        return passing(step)

    monkeypatch.setattr(running, "grade_step", grade_step)
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "none.zip").write_bytes(b"PK\3\4 and no more")
    for number in range(10):
        handed_in(tmp_path, f"s{number}", f"# {number}\n")
    graded(tmp_path, jobs=1)
    assert seen == [False] * (10 - batches.LAST) + [True] * batches.LAST


def test_nothing_is_repeated_if_all_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no matter of chance."""
    asked = scripted(monkeypatch, "", "a")
    assert verdicts(4)[0] == (results.FAILED, 0, 1)
    assert len(asked) == 1


def test_nothing_is_repeated_that_took_too_much() -> None:
    """A limit is reached again next time, and a loop goes round again."""
    ran_on = ProgramState("mchat", "python mchat.py", "still running", b"", b"")
    stopped = replace(ran_on, ending="stopped for more than 3 seconds")
    spun = replace(ran_on, spins=True)
    passed, *_ = passing(ECHO).tests
    failed = replace(passed, test="test_other", verdict=results.FAILED)
    for program, doubtful in ((ran_on, ["test_other"]), (stopped, []), (spun, [])):
        story = Story("alice", "a line", "nothing", programs=(program,))
        verdicts = {"a": passed, "b": replace(failed, story=story)}
        assert running._doubtful(verdicts) == doubtful


def test_words_differ_by_files_and_by_repetition(tmp_path: Path) -> None:
    """And are the same for the same files, whatever else was handed in."""
    seen = []
    for student, text in (("a", "x"), ("b", "x"), ("c", "y")):
        handed_in(tmp_path, student, text)
        handed_in(tmp_path, student, student, CONNECT.name)
        seen.append(running.digest(ECHO, tmp_path / "class" / student))
    assert seen[0] == seen[1] != seen[2]


def test_own_version_of_a_given_file_is_a_difference(tmp_path: Path) -> None:
    """It is used instead of ours."""
    threads = proofs.STEPS["04_threads"]
    handed_in(tmp_path, "ann", step=threads.name)
    submission = tmp_path / "class" / "ann"
    before = running.digest(threads, submission)
    for text in ("one", "another"):
        path = submission / threads.name / threads.given[0]
        path.write_text(text, encoding="utf-8")
        assert running.digest(threads, submission) != before
        before = running.digest(threads, submission)


def test_same_files_are_graded_once(calls: list[bytes], tmp_path: Path) -> None:
    """Whoever hands them in, and however often; each has a result for it."""
    for student in ("ann", "bob"):
        handed_in(tmp_path, student, "the same\n")
    handed_in(tmp_path, "eve", "another\n")
    assert all(result.steps[0].complete for result in graded(tmp_path))
    assert sorted(calls) == [b"another\n", b"the same\n"]


# -------------------------------------------------------------------------- for real


@pytest.fixture(scope="module")
def patient() -> dict[str, str]:
    """Give an environment in which the grader waits half as long."""
    return os.environ | {"GRADING_PATIENCE": "0.5"}


def test_program_that_fails_once_is_flaky(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One real test, which fails the first time, and passes when it is repeated."""
    test = "test_what_is_sent_comes_back"
    real, solution = running.run, proofs.SOLUTIONS / ECHO.name / "mchat.py"

    def run(step: Step, place: Place, tests: Sequence[str], number: int) -> Run:
        good = solution.read_text(encoding="utf-8")
        bad = good.replace("sock.sendall(data)", "sock.sendall(data.upper())")
        path = place.submission / ECHO.name / "mchat.py"
        path.write_text(good if number else bad, encoding="utf-8")
        some = [test, "test_says_where_it_listens"]
        chosen = [it for it in tests if it in some]
        return real(step, place, chosen, number) if chosen else Run({})

    monkeypatch.setattr(running, "run", run)
    handed_in(tmp_path, "ann")
    (result,) = graded(tmp_path, repeats=2)
    (outcome,) = (it for it in result.steps[0].tests if it.test == test)
    assert (outcome.verdict, outcome.passes, outcome.runs) == (results.FLAKY, 2, 3)
    assert outcome.story is not None


def test_what_takes_too_long_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is graded afterwards, is graded as if nothing had happened."""
    solution = proofs.SOLUTIONS / ECHO.name / "mchat.py"
    handed_in(tmp_path, "ann", solution.read_text(encoding="utf-8"))
    place = Place(tmp_path / "class" / "ann")
    test = "test_says_where_it_listens"
    with servers.kept():
        with monkeypatch.context() as hurry:
            hurry.setattr(workers, "START", 0.0)
            hurry.setattr(workers, "EACH", 0.01)
            stopped = running.run(ECHO, place, [test])
        assert stopped.died == "grading was stopped: it took more than 0 s"
        for number in range(2):
            run = running.run(ECHO, place, [test], number)
            assert (run.died, run.facts[test]["earned"]) == ("", 1)


def test_workers_can_do_without_forks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they must on systems where a process cannot be forked, or not as a whole."""
    monkeypatch.setattr(workers, "FORKS", False)
    solution = proofs.SOLUTIONS / ECHO.name / "mchat.py"
    handed_in(tmp_path, "ann", solution.read_text(encoding="utf-8"))
    test = "test_says_where_it_listens"
    place = Place(tmp_path / "class" / "ann")
    run = running.run(ECHO, place, [test])
    assert (run.died, run.facts[test]["earned"]) == ("", 1)
    place.stop.set()
    with pytest.raises(workers.Stopped):
        running.run(ECHO, place, [test])


@pytest.mark.skipif(not has_walls(), reason="needs Linux and bubblewrap")
def test_walls_are_built_once_and_anew_if_they_are_gone(tmp_path: Path) -> None:
    """One worker grades many, and all programs start within the same outer walls."""
    handed_in(tmp_path, "ann", step=CONNECT.name)
    place = Place(tmp_path / "class" / "ann")
    asked = ["test_sends_the_line"]
    seen: list[psutil.Process] = []
    with servers.kept():
        for again in (False, True, False):
            run = running.run(CONNECT, place, asked)
            assert set(run.facts) == set(asked)
            server = fork_server()
            assert (server in seen) == again
            seen.append(server)
            if again:
                server.kill()
                assert is_over(server)


@pytest.mark.skipif(not workers.FORKS, reason="there are no servers elsewhere")
def test_server_that_dies_is_replaced(tmp_path: Path) -> None:
    """So is the process from which servers are forked; who cannot start says why."""
    handed_in(tmp_path, "ann")
    place = Place(tmp_path / "class" / "ann")
    tests = ["test_says_where_it_listens"]
    with servers.kept():
        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(pytests, "NO_MORE_PLUGINS", {"PYTEST_ADDOPTS": "--nonsense"})
            assert running.run(ECHO, place, tests).died.startswith(pytests.DIED)
        assert set(running.run(ECHO, place, tests).facts) == set(tests)
        (first,) = first_processes()
        (server,) = first.children()
        for process in (server, first):
            process.kill()
            assert is_over(process)
        # Who does not answer any more shows only when it is asked.
        assert running.run(ECHO, place, tests).died.startswith(pytests.DIED)
        assert set(running.run(ECHO, place, tests).facts) == set(tests)
    assert first_processes() == []


@pytest.mark.skipif(not workers.FORKS, reason="there are no servers elsewhere")
def test_who_grades_dies_with_its_server(tmp_path: Path) -> None:
    """The programs never rest, so the tests would go on for longer than we wait."""
    moves = "import time\nwhile True: time.sleep(0.05)\n"
    handed_in(tmp_path, "ann", moves)
    place = Place(tmp_path / "class" / "ann")
    tests = [it.test for it in expected_tests(ECHO)]
    with servers.kept(), ThreadPoolExecutor(1) as pool:
        run = pool.submit(running.run, ECHO, place, tests)
        deadline = Deadline(READY)
        graders: list[psutil.Process] = []
        while not any(map(_has_threads, graders)):  # so its program runs
            assert deadline.left()
            graders = forks_of(*forks_of(*first_processes()))
        forks_of(*first_processes())[0].kill()
        assert run.result().died.startswith(pytests.DIED)
        assert all(map(is_over, graders))


def _has_threads(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.num_threads() > 1
    return False


def first_processes() -> list[psutil.Process]:
    """Return those that this process has started."""
    return forks_of(psutil.Process())


def forks_of(*processes: psutil.Process) -> list[psutil.Process]:
    """Return their children that are pytest, not programs or walls of theirs."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has just ended
            children = process.children()
            found += [it for it in children if "--serve" in " ".join(it.cmdline())]
    return found


def is_over(process: psutil.Process) -> bool:
    """Wait until it is, be it buried or not; tell whether."""
    deadline = Deadline(EXIT)
    while _lives(process) and deadline.left():
        threading.Event().wait(GLANCE)
    return not _lives(process)


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def fork_server() -> psutil.Process:
    """Return the one of the worker that runs."""
    servers = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # a program that has just ended
            if "forkserver.py" in " ".join(process.cmdline()):
                servers.append(process)
    return min(servers, key=psutil.Process.create_time)


def grade_command(folder: Path, out: str, *options: str) -> list[str]:
    """Return the command line of an instructor."""
    command = [sys.executable, "exercises", "grade", str(folder / "class")]
    return [*command, "--out", str(folder / out), "--steps", "1", *options]


@POSIX
@pytest.mark.slow
@pytest.mark.timeout(180)  # these are three batches, each of many processes
def test_killed_and_resumed_gives_the_same(
    tmp_path: Path, patient: dict[str, str]
) -> None:
    """As in one go; and nothing of the killed batch is left, no process and no file."""
    solution = proofs.SOLUTIONS / CONNECT.name / "chat.py"
    good = solution.read_text(encoding="utf-8")
    for number in range(6):
        text = "raise SystemExit(3)\n" if number % 2 else f"{good}# {number}\n"
        handed_in(tmp_path, f"s{number}", text, CONNECT.name)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = patient | {"TMPDIR": str(temporary)}
    command = grade_command(tmp_path, "report", "--jobs", "2")
    with subprocess.Popen(
        command,
        cwd=proofs.ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as killed:
        assert killed.stderr
        while b"is graded" not in killed.stderr.readline():
            assert killed.poll() is None
        killed.kill()
    assert_all_end(temporary)
    first = {it.name for it in (tmp_path / "report" / "results").glob("*.json")}
    assert 0 < len(first) < 6
    for words in (("report", "--resume"), ("in-one-go",)):
        subprocess.run(
            grade_command(tmp_path, *words),
            cwd=proofs.ROOT,
            env=env,
            check=True,
            capture_output=True,
        )
    for name in ("grades.csv", "items.csv", "flags.csv"):
        resumed, whole = (tmp_path / it / name for it in ("report", "in-one-go"))
        assert resumed.read_bytes() == whole.read_bytes()
    assert list(temporary.iterdir()) == []


def assert_all_end(folder: Path) -> None:
    """Expect that soon no process works in a folder any more."""
    deadline = Deadline(EXIT)
    while found := [str(it) for it in psutil.process_iter() if works_in(it, folder)]:
        assert deadline.left(), found


def works_in(process: psutil.Process, folder: Path) -> bool:
    """Tell whether a process lives, and has the folder as its own or in its command."""
    try:
        words = [process.cwd(), *process.cmdline()]
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return not zombie and any(str(folder) in word for word in words)
    except psutil.Error:
        return False
