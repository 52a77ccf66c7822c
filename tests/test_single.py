"""One submission, wherever it is graded: what may lie there, and what is made of it."""

import shutil
import zipfile
from pathlib import Path

import pytest

import classes
import proofs
from course import intake, results, single
from course.results import StepOutcome
from grading.steps import Step

ONE = [classes.step("05")]
TWO = [classes.step("05"), classes.step("10")]


def put(folder: Path, *names: str) -> Path:
    """Put files there whose content is their name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return folder


def taken(source: Path, steps: list[Step]) -> tuple[dict[str, str], list[str]]:
    """Return which file is taken for which, and the remarks."""
    found = intake.take(source, steps)
    files = {name: data.decode() for name, data in found.files.items()}
    return files, found.remarks


@pytest.mark.parametrize("place", ["", "alice-main/"])
@pytest.mark.parametrize("zipped", [False, True])
def test_lone_file_is_for_the_only_step(
    tmp_path: Path, place: str, zipped: bool
) -> None:
    """At the top, or in one folder, as GitHub zips it."""
    source = put(tmp_path / "in", f"{place}mchat.py", "notes.txt")
    if zipped:
        source = Path(shutil.make_archive(str(tmp_path / "it"), "zip", source))
    files, remarks = taken(source, ONE)
    assert files == {"05_broadcast/mchat.py": f"{place}mchat.py"}
    assert remarks == ["mchat.py lies in no folder of a step; taken for 05_broadcast"]


def test_lone_file_of_several_steps_is_nobodys(tmp_path: Path) -> None:
    """But one that a single step asks for has its place."""
    files, remarks = taken(put(tmp_path, "mchat.py", "outbox.py"), TWO)
    assert files == {"10_slow_reader/outbox.py": "outbox.py"}
    assert "left aside: mchat.py" in remarks[0]


def test_lone_file_does_not_count_beside_folders_of_steps(tmp_path: Path) -> None:
    """Whoever uses folders means them: also if the one in question is missing."""
    source = put(tmp_path, "mchat.py", "exercises/04_threads/mchat.py")
    assert taken(source, ONE) == ({}, [])


@pytest.mark.parametrize("name", ["a/b/mchat.py", "tests/solutions/05_x/mchat.py"])
def test_file_far_down_is_no_lone_file(tmp_path: Path, name: str) -> None:
    """It may be anything."""
    assert taken(put(tmp_path, name), ONE)[0] == {}


def test_lone_link_is_left_aside(tmp_path: Path) -> None:
    """It is not followed, wherever it leads."""
    (tmp_path / "mchat.py").symlink_to(__file__)
    files, remarks = taken(tmp_path, ONE)
    assert files == {}
    assert remarks == ["left aside: mchat.py is a link"]


def test_folder_with_nothing_but_an_archive(tmp_path: Path) -> None:
    """The archive is the submission."""
    source = tmp_path / "in"
    source.mkdir()
    with zipfile.ZipFile(source / "work.zip", "w") as archive:
        archive.writestr("notes.txt", "")
    *_, last = single.graded("alice", source, ONE, repeats=0)
    assert last.remarks == ()
    assert last.steps[0].note == "not handed in"
    (source / "work.zip").write_bytes(b"PK\3\4")
    *_, last = single.graded("alice", source, ONE, repeats=0)
    assert "cannot be unpacked" in last.refused


def test_error_of_the_grader_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other steps are graded; then it is raised, so that somebody hears of it."""
    first, second = classes.step("01"), classes.step("02")

    def graded(source: Path, step: Step, *_: object) -> StepOutcome:
        if step is first:
            raise OSError("no space left")
        return classes.outcome(step)

    monkeypatch.setattr(single, "_graded", graded)
    growing = single.graded("alice", tmp_path, [first, second], repeats=0)
    _, _, last = (next(growing) for _ in range(3))
    with pytest.raises(OSError, match="no space left"):
        next(growing)
    assert last.steps[1].complete
    assert last.steps[0].note == "the grader itself failed"


def test_results_grow(tmp_path: Path) -> None:
    """From all that is not known yet to verdicts of all steps."""
    first, second = classes.step("01"), classes.step("03")
    proofs.copy_solution(first.name, tmp_path)
    found = list(single.graded("alice", tmp_path, [first, second], repeats=0))
    assert len(found) == 3
    notes = [[step.note for step in it.steps] for it in found]
    assert notes[0] == [single.NOT_YET] * 2
    assert notes[-1] == ["", "not handed in"]
    assert found[-1].steps[0].complete
    verdicts = {test.verdict for test in found[-1].steps[1].tests}
    assert verdicts == {results.NOT_RUN}
