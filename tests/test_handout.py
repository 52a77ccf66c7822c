"""`python exercises handout`: what students get has no answers, and works."""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import platforms
import proofs
from course import handout, intake
from course.bundle import Files
from course.likeness import LEAST, Pieces, _read, _size, likeness
from grading.steps import Step

STEPS = list(proofs.STEPS.values())
NAMES = list(proofs.STEPS)
MOST = 0.6  # of a program's own statements that may stand elsewhere, by accident

each_step = pytest.mark.parametrize("step", STEPS, ids=NAMES)


@pytest.fixture(scope="module")
def files() -> Files:
    """Give all that is handed out."""
    return handout.files(STEPS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give it as a folder. Tests change it only where no other looks."""
    out = tmp_path_factory.mktemp("handout") / "kit"
    platforms.command("handout", "--out", out)
    return out


# ------------------------------------------------------------------- it has no answers


def test_only_what_students_need(files: Files) -> None:
    """No folder but the exercises, nothing to grade a class, no leftovers."""
    roots = {name.partition("/")[0] for name in files}
    assert roots == {
        *("exercises", "README.md", "LICENSE", "requirements.txt", ".gitignore"),
        *("conftest.py", "pyproject.toml"),
    }
    below = {name.split("/")[1] for name in files if name.startswith("exercises/")}
    assert below == {*NAMES, "grading", "README.md", "__main__.py"}
    platforms.no_answers(list(files), list(files.values()))


def test_what_an_instructor_has_tried_out_stays(files: Files) -> None:
    """The files to edit are the starters', whatever lies in the steps' folders."""
    for step in STEPS:
        for name in step.files:
            starter = proofs.STARTERS / step.name / name
            assert files[f"exercises/{step.name}/{name}"] == starter.read_bytes()


def pieces(programs: Iterable[bytes]) -> Pieces:
    """Return the statements of programs, without names of variables and words."""
    return replace(_read(programs), names=set()).pieces()


@dataclass(frozen=True)
class Handed:
    """The statements of programs that are handed out, seen from one step.

    The starter of a step counts as later than the step before: it holds a clean
    version of that, and is meant to.
    """

    step: Step
    later: Pieces  # in folders of later steps
    now: Pieces  # in all others
    starter: Pieces  # of this step

    @classmethod
    def at(cls, step: Step, files: Files) -> "Handed":
        """Return them."""
        after = set(NAMES[NAMES.index(step.name) + 1 :])
        programs = {name: data for name, data in files.items() if name[-3:] == ".py"}
        later = {name for name in programs if after & set(name.split("/"))}
        starter = proofs.STARTERS / step.name
        return cls(
            step,
            pieces(programs[name] for name in later),
            pieces(programs[name] for name in programs.keys() - later),
            pieces((starter / name).read_bytes() for name in step.files),
        )

    def own(self, program: Mapping[str, bytes]) -> Pieces:
        """Return what is neither in the starter nor in a later step."""
        return pieces(program.values()) - self.starter - self.later

    def share(self, program: Mapping[str, bytes]) -> float:
        """Return how much of what is a program's own is handed out with this step."""
        own = self.own(program)
        size = _size(own)
        return _size(own & self.now) / size if size >= LEAST else 0.0


def solution(step: Step) -> dict[str, bytes]:
    """Return our solution."""
    folder = proofs.SOLUTIONS / step.name
    return {name: (folder / name).read_bytes() for name in step.files}


@each_step
def test_no_solution(files: Files, step: Step) -> None:
    """Nor anything like it: neither by its statements nor as the graders tell it."""
    assert Handed.at(step, files).share(solution(step)) < MOST
    given = {name: files[f"exercises/{step.name}/{name}"] for name in step.files}
    assert likeness(step, given) is None


@each_step
def test_no_other_correct_program(files: Files, step: Step) -> None:
    """Not one of those that prove the graders."""
    handed = Handed.at(step, files)
    for name, path in proofs.correct_programs():
        if name == step.name and path:
            assert handed.share({path.name: path.read_bytes()}) < MOST, path


@each_step
def test_no_wrong_program(files: Files, step: Step, tmp_path: Path) -> None:
    """They are nearly right, so they would give away as much."""
    handed = Handed.at(step, files)
    for program in proofs.broken_programs():
        if program.step == step.name:
            program.write(tmp_path / program.name)
            where = tmp_path / program.name / step.name
            theirs = {name: (where / name).read_bytes() for name in step.files}
            assert handed.share(theirs) < MOST, program.name


def test_a_solution_that_slipped_in_would_be_seen(files: Files) -> None:
    """Wherever it lies: otherwise the tests above would prove nothing.

    Only steps that add much have enough of their own to be known by.
    """
    shares = []
    for step in STEPS:
        ours = solution(step)
        slipped_in = {f"exercises/notes/{name}": data for name, data in ours.items()}
        handed = Handed.at(step, files | slipped_in)
        if _size(handed.own(ours)) >= LEAST:
            shares.append(handed.share(ours))
    assert shares
    assert min(shares) > 0.9


# -------------------------------------------------------------------------- its texts


def links(text: str) -> Iterable[str]:
    """Return where a page leads to, outside of blocks of code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(text: str) -> set[str]:
    """Return the headings of a page as links name them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("server", [False, True])
def test_links_lead_somewhere(server: bool) -> None:
    """In every page; also to headings."""
    files = handout.files(STEPS, server=server)
    pages = {name: data.decode() for name, data in files.items() if name[-3:] == ".md"}
    assert len(pages) >= 22
    for name, text in pages.items():
        for link in links(text):
            path, _, anchor = link.partition("#")
            if link.startswith("https://"):
                continue
            target = os.path.normpath(Path(name).parent / path) if path else name
            assert target in files, f"{name}: {link}"
            assert not anchor or anchor in anchors(pages[target]), f"{name}: {link}"


def test_no_command_needs_what_is_not_there(files: Files) -> None:
    """Programs that pages tell to start are all handed out."""
    for name, data in files.items():
        if name.endswith(".md"):
            told = re.findall(
                r"python ((?:exercises|server|client|tests)/[\w/.]+)", data.decode()
            )
            assert [path for path in told if path not in files] == [], name


def test_every_replacement_has_its_place() -> None:
    """The words that are said otherwise are still those of the kit."""
    root = proofs.ROOT / "exercises"
    texts = [path.read_text(encoding="utf-8") for path in root.glob("**/README.md")]
    for old in handout.OTHERWISE:
        assert any(old in text for text in texts), old
    for title in handout.FOR_OTHERS:
        assert f"\n## {title}\n" in (root / "README.md").read_text(encoding="utf-8")


def test_readme_names_every_step_and_two_commands(files: Files) -> None:
    """It is written for students."""
    readme = files["README.md"].decode()
    assert "\npython exercises\npytest exercises/01_connect\n" in readme
    for step in STEPS:
        assert (
            f"| [{step.name}](exercises/{step.name}/README.md) | {step.title} |"
            in readme
        )


def test_some_steps_alone(tmp_path: Path) -> None:
    """Without the starter of the step after them: that has the answer in it."""
    platforms.command("handout", "--out", tmp_path, "--steps", "5,9")
    names = {path.parent.name for path in tmp_path.rglob("mchat.py")}
    assert names == {"05_broadcast"}
    assert not list(tmp_path.rglob("06_disconnects"))
    for page in ("README.md", "exercises/README.md"):
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert "06_disconnects" not in text
        assert "from a path that leads" in text


def test_examples_are_of_steps_that_are_there() -> None:
    """Commands to copy work, whichever steps are handed out."""
    text = handout.files(STEPS[:1])["exercises/README.md"].decode()
    assert "pytest exercises/01_connect" in text
    assert "exercises reset 01" in text
    assert "05" not in text


def test_reference_can_be_part_of_it(tmp_path: Path) -> None:
    """If the instructor wants it so: server and client, but no solutions."""
    platforms.command("handout", "--out", tmp_path, "--with-server")
    assert (tmp_path / "server" / "mchat.py").is_file()
    assert (tmp_path / "client" / "chat.py").is_file()
    assert not (tmp_path / "tests").exists()


# -------------------------------------------------------------------------- it works


def call(folder: Path, *words: str) -> tuple[int, str]:
    """Call Python in the folder; return the exit code and all that it printed."""
    ran = platforms.run([sys.executable, *words], folder, {}, folder / "bin")
    return ran.returncode, ran.stdout + ran.stderr


def test_guide_works(folder: Path) -> None:
    """It shows the path, and nothing that only an instructor can do."""
    code, said = call(folder, "exercises")
    assert code == 0
    assert "You are at 01_connect" in said
    code, said = call(folder, "exercises", "--help")
    assert "for instructors" not in said
    code, said = call(folder, "exercises", "show", "01")
    assert code == 1
    assert "solutions are not part of it" in said
    assert "Traceback" not in said


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """Give a copy of the hand-out to work in."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_starter_gets_nothing(copy: Path) -> None:
    """No points, no errors of ours, and reports that tell what to do."""
    code, said = call(
        copy, "-m", "pytest", "-p", "no:cacheprovider", "exercises/01_connect"
    )
    assert code == 1
    assert re.search(r"01_connect +0/10 +0/9", said)
    assert "Hint (TODO 1)" in said
    assert "INTERNALERROR" not in said
    assert "exercises/grading" not in said


def test_solution_gets_everything(copy: Path) -> None:
    """And the guide goes on to the next step."""
    shutil.copytree(
        proofs.SOLUTIONS / "01_connect",
        copy / "exercises" / "01_connect",
        dirs_exist_ok=True,
    )
    code, said = call(
        copy, "-m", "pytest", "-p", "no:cacheprovider", "exercises/01_connect"
    )
    assert code == 0, said
    assert re.search(r"01_connect +10/10 +9/9", said)
    assert "You are at 02_echo" in call(copy, "exercises")[1]


def test_all_of_it_can_be_handed_in(copy: Path, tmp_path: Path) -> None:
    """Zipped, with a virtual environment and a cache: nothing looks like a trick."""
    for name in (
        ".venv/lib/conftest.py",
        ".git/hooks/pytest.ini",
        "x/__pycache__/a.pth",
    ):
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    archive = shutil.make_archive(os.fspath(tmp_path / "alice"), "zip", copy)
    taken = intake.take(Path(archive), STEPS)
    assert taken.remarks == []
    assert len(taken.files) == sum(len(it.files) + len(it.given) for it in STEPS)
    (copy / "conftest.py").write_text("pytest_plugins = []\n", encoding="utf-8")
    assert len(intake.take(copy, STEPS).remarks) == 1


# ----------------------------------------------------------------------- where to


def test_it_replaces_itself_and_nothing_else(copy: Path) -> None:
    """What was made before goes; what somebody put there stays."""
    (copy / "exercises" / ".progress.json").write_text("{}", encoding="utf-8")
    platforms.command("handout", "--out", copy, "--steps", "1")
    assert not (copy / "exercises" / "02_echo").exists()
    assert (copy / "exercises" / ".progress.json").exists()


def test_changed_files_are_not_overwritten(copy: Path) -> None:
    """Somebody's work may be in them."""
    path = copy / "exercises" / "01_connect" / "chat.py"
    path.write_text("mine\n", encoding="utf-8")
    why = platforms.refused("handout", "--out", copy)
    assert "chat.py was changed" in why
    assert path.read_text(encoding="utf-8") == "mine\n"


def test_other_folders_are_refused(tmp_path: Path) -> None:
    """One with something in it that is no hand-out; an empty clone is welcome."""
    (tmp_path / "thesis.tex").touch()
    assert "not empty" in platforms.refused("handout", "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "thesis.tex").rename(tmp_path / ".git")
    platforms.command("handout", "--out", tmp_path)
    assert (tmp_path / "README.md").is_file()
    (tmp_path / ".kit.json").write_text('{"kind": "hand-out"', encoding="utf-8")
    assert "not empty" in platforms.refused("handout", "--out", tmp_path)
    assert "is not a folder" in platforms.refused(
        "handout", "--out", tmp_path / "README.md"
    )
