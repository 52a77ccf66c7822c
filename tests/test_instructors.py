"""What INSTRUCTORS.md says is so: its commands are run as they stand there."""

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import pytest

import platforms
import proofs
from course import intake, settings, telling
from course.archives import ARCHIVE, MB
from course.settings import Settings, Wrong
from grading import limits
from grading.places import EXERCISES, KIT
from grading.steps import tomllib

PAGE = (EXERCISES / "INSTRUCTORS.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^(`{3,4})(\w*)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)
STEPS = list(proofs.STEPS.values())
STEP = "11_ping"  # of the worked example
BEFORE = [step for step in STEPS if step.number < STEP[:2]]
PATIENCE = 240  # seconds for a command; most take some

pytestmark = pytest.mark.timeout(2 * PATIENCE)  # they are many processes
on_posix = pytest.mark.skipif(os.name == "nt", reason="commands for a POSIX shell")


def section(title: str) -> str:
    """Return a part of the page."""
    prose = FENCED.sub(lambda block: " " * len(block[0]), PAGE)  # pages have headings
    begin = prose.index(f"\n## {title}\n") + 1
    return PAGE[begin : (prose + "\n## ").index("\n## ", begin)]


def blocks(text: str, language: str = "") -> list[str]:
    """Return what stands in the fenced blocks of one language."""
    return [block for _, name, block in FENCED.findall(text) if name == language]


def commands(text: str, language: str = "") -> list[str]:
    """Return the commands that a person is told to type."""
    return "".join(blocks(text, language)).splitlines()


# ---------------------------------------------------------------------- the page itself


def headings(page: str) -> set[str]:
    """Return the headings of a page as links name them."""
    found = re.findall(r"^##+ (.*)$", FENCED.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in found}


def test_links_lead_somewhere() -> None:
    """To files that are there, and to headings of the page."""
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)]+))?\)", FENCED.sub("", PAGE))
    assert len(links) > 10
    assert [path for path, _ in links if not (EXERCISES / path).exists()] == []
    assert {to for path, to in links if not path} <= headings(PAGE)


def test_others_lead_here() -> None:
    """From the README of the project, and from that of the exercises."""
    assert "(exercises/INSTRUCTORS.md)" in (KIT / "README.md").read_text("utf-8")
    overview = (EXERCISES / "README.md").read_text("utf-8")
    assert "(INSTRUCTORS.md#write-a-step)" in overview
    assert "write-a-step" in headings(PAGE)
    said = re.search(r"more than (\d+) wrong programs", overview)
    assert said
    assert int(said[1]) <= len(proofs.broken_programs())


def test_every_option_exists() -> None:
    """What the page calls an option is one of the instructor's commands or pytest's."""
    known = set()
    for command in ("grade", "handout", "gradescope", "classroom50", "actions"):
        known |= options(sys.executable, os.fspath(EXERCISES), command, "--help")
        assert f"python exercises {command}" in PAGE
    known |= options(sys.executable, "-m", "pytest", "exercises", "--help")
    known |= {"--write", "--host", "--port"}  # of kill_matrix, and of a program
    known |= {"--runtime"}  # of Classroom 50's tool
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]+", PAGE)) <= known


def options(*command: str) -> set[str]:
    """Return the options that a --help shows."""
    shown = subprocess.run(
        command, cwd=KIT, capture_output=True, text=True, check=True, timeout=PATIENCE
    ).stdout
    return set(re.findall(r"--[a-z][\w-]+", shown))


def test_limits_are_those_that_are_set() -> None:
    """Numbers of the table, and those of archives."""
    part = section("What is isolated, and how well")
    size = f"{limits.DISK // limits.MB} MB"
    for row in (
        f"memory | {limits.MEMORY // limits.MB} MB",
        f"processes | {limits.PROCESSES}",
        f"threads | {limits.THREADS}",
        f"disk | {size} of files and temporary files, {size} a file",
        f"files and folders that it makes | {limits.ENTRIES}",
        f"open files and sockets | {limits.FILES}, of each process",
        f"processor time | {limits.SECONDS} s in all its processes together,"
        f" and {limits.PROCESSOR} s of each process",
    ):
        assert f"| {row} |" in part
    assert limits.DISK == limits.WRITES
    said = f"{intake.FILE // MB} MB a program, {ARCHIVE // MB} MB an archive"
    assert f"({said}, {intake.ENTRIES:,} files)" in part


def test_flags_are_those_that_there_are() -> None:
    """Each kind has a row, in the words that are seen."""
    rows = section("What somebody should look at")
    words = {
        "refused": "not taken in",
        "likeness": "it is the reference server, in a disguise",
        "error": "the grader could not tell",
        "note": "grading ended early",
        "flaky": "flaky",
        "left aside": "left aside",
    }
    assert set(words) == set(telling.KINDS)
    for kind in words.values():
        assert kind in rows
    code = "".join(
        path.read_text(encoding="utf-8") for path in (EXERCISES / "course").glob("*.py")
    )
    for sentence in re.findall(r"^\| (it is .*?|it names .*?) \|", rows, re.MULTILINE):
        assert sentence in code


def test_class_page_has_these_parts() -> None:
    """Under these headings, in this order."""
    template = EXERCISES / "course" / "templates" / "report" / "class.html.j2"
    page = template.read_text(encoding="utf-8")
    parts = re.findall(r"<(?:h2[^>]*|p><strong)>([^<{:\n]+)", page)
    described = re.findall(r"^- \*\*(.*?)\.?\*\*", section("The reports"), re.MULTILINE)
    assert [part for part in parts if part != "Nothing needs to be taught again"] == (
        described
    )


# ------------------------------------------------------------------------- the settings


def example() -> str:
    """Return the file of the page."""
    (file,) = blocks(section("What you may choose"), "toml")
    return file


def test_settings_of_the_page_are_complete(tmp_path: Path) -> None:
    """It loads; every key that there is stands in it, and what it means beside it."""
    path = tmp_path / "course.toml"
    path.write_text(example(), encoding="utf-8")
    said = settings.load(path, STEPS)
    assert said.points["05_broadcast"] == 20
    assert said.extra_credit == {"05_broadcast"}
    shown = tomllib.loads(example())
    assert keys(shown) == dict(known_keys(path))
    for line in example().splitlines():
        assert not line or "#" in line or line.startswith(("title", "[", "05"))


def keys(table: dict[str, object]) -> dict[str, set[str]]:
    """Return the keys of a file: of "", its top, and of tables that are not by step."""
    found = {"": set(table)}
    for name, value in table.items():
        if isinstance(value, dict) and name not in ("points", "deadlines"):
            found[name] = set(value)
    return found


def known_keys(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield the keys that there are: they are named to who writes another one."""
    for name in ("", *(name for name in keys(tomllib.loads(example())) if name)):
        path.write_text(f"{name and f'[{name}]'}\nanother = 1\n", encoding="utf-8")
        with pytest.raises(Wrong, match="'another', which means nothing") as wrong:
            settings.load(path, STEPS)
        yield name, set(str(wrong.value).partition("there are ")[2].split(", "))


def test_settings_are_the_same_where_they_are_documented() -> None:
    """In the module: the same file. And each field can be chosen with it."""
    doc = (settings.__doc__ or "").partition("\n\n    ")[2]
    lines = "    " + doc[: doc.index("\nSteps may be named")]
    assert tomllib.loads(textwrap.dedent(lines)) == tomllib.loads(example())
    assert {field.name for field in fields(Settings)} == {
        *("title", "steps", "points", "extra_credit", "deadlines"),
        *("late_per_day", "late_most", "repeats", "flaky", "copied", "accepted"),
    }


# ---------------------------------------------------------------------- other platforms

PLATFORMS = commands(section("Gradescope, Classroom 50, GitHub Actions, JUnit"))


@pytest.mark.parametrize("line", PLATFORMS[:-1])
def test_commands_for_platforms_work(tmp_path: Path, line: str) -> None:
    """Each writes what it is told to, where it is told to."""
    program, exercises, *words = shlex.split(line)
    assert (program, exercises) == ("python", "exercises")
    out = tmp_path / words.pop()
    platforms.command(*words, out)
    assert out.exists()


@pytest.mark.slow
@on_posix
def test_command_for_junit_works(tmp_path: Path) -> None:
    """It grades what lies in DIR, and writes the file."""
    line = PLATFORMS[-1].replace("DIR", os.fspath(proofs.SOLUTIONS))
    out = tmp_path / line.rpartition(" ")[2]
    shell(line.replace(out.name, os.fspath(out)), KIT, environment())
    suite = ElementTree.parse(out).find("testsuite")
    assert suite is not None
    assert suite.get("failures") == suite.get("errors") == "0"


# --------------------------------------------------------------- from clone to a class


def copy_of_kit(folder: Path) -> Path:
    """Return a copy of the kit, without what work in it leaves behind."""
    ignored = [".*", "__pycache__", "notebooks", "bench", "picture", "*.log"]
    added = [step.name for step in STEPS if step not in BEFORE]
    ignored += [f"{name}*" for name in added]  # by somebody who has read the page
    shutil.copytree(KIT, folder, ignore=shutil.ignore_patterns(*ignored))
    take_off_the_map(folder / "exercises" / "README.md", added)
    for step in BEFORE:
        for name in step.files:  # as they were, whatever somebody has tried out
            starter = proofs.STARTERS / step.name / name
            shutil.copyfile(starter, folder / "exercises" / step.name / name)
    return folder


def take_off_the_map(path: Path, names: list[str]) -> None:
    """Leave out the rows of these steps."""
    rows = tuple(f"| [{name}]" for name in names)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith(rows))
    path.write_text(kept, encoding="utf-8")


def environment(**more: str) -> dict[str, str]:
    """Return an environment without what concerns this run of the tests."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    programs = sysconfig.get_path("scripts")
    clean["PATH"] = f"{programs}{os.pathsep}{clean['PATH']}"
    return clean | more


def shell(
    command: str, cwd: Path, env: dict[str, str], code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run what a person would type; expect its exit code."""
    ran = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran


def repository(folder: Path) -> Path:
    """Return a repository with the kit in it, to be cloned."""
    kit = copy_of_kit(folder)
    git = "git -c user.name=x -c user.email=x@x -c commit.gpgsign=false"
    env = environment(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull)
    shell(f"git init -q && git add -A && {git} commit -qm x", kit, env)
    return kit


def hand_in(handout: Path, submissions: Path) -> None:
    """Let a small class work with the hand-out and hand in what the page lists."""
    (layout,) = blocks(section("Five commands"), "text")
    submissions.mkdir()
    for name in re.findall(r"^ {4}(\S+)", layout, re.MULTILINE):
        work = submissions.parent / "work"
        shutil.copytree(handout, work)
        if name.endswith("/"):
            shutil.copytree(proofs.SOLUTIONS, work / "exercises", dirs_exist_ok=True)
            work.rename(submissions / name)
            continue
        stem, _, suffix = name.partition(".")
        kind = {"zip": "zip", "tar.gz": "gztar"}[suffix]
        shutil.make_archive(os.fspath(submissions / stem), kind, work)
        shutil.rmtree(work)


@pytest.mark.slow
@on_posix
@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_five_commands_lead_from_clone_to_graded_class(tmp_path: Path) -> None:
    """Typed as they stand on the page; only step 01 is graded, to save time.

    Nothing is downloaded: pip finds what is to be installed where these tests have it.
    """
    clone, install, handout, grade, opened = commands(section("Five commands"))
    origin = repository(tmp_path / "origin")
    env = environment(
        PIP_NO_INDEX="1",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        BROWSER=browser(tmp_path / "browser", tmp_path / "opened"),
    )
    python_with_packages(tmp_path / "bin" / "python3")
    env["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{env['PATH']}"
    shell(clone.replace("ADDRESS", os.fspath(origin)), tmp_path, env)
    kit = tmp_path / "mchat"
    shell(install, kit, env)
    activated = ". .venv/bin/activate && "
    shell(activated + handout, kit, env)
    hand_in(tmp_path / "handout", tmp_path / "submissions")
    said = shell(f"{activated}{grade} --steps 01", kit, env).stdout
    assert "3 submissions are graded" in said
    with (tmp_path / "report" / "grades.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        rows = [(row["student"], row["01_connect"]) for row in csv.DictReader(file)]
    assert rows[1:] == [("alice", "10"), ("bob", "0"), ("carol-2", "0")]
    shell(activated + opened, kit, env)
    address = (tmp_path / "opened").read_text(encoding="utf-8").strip()
    assert Path(address.removeprefix("file://")).is_file()
    every_report_is_described(tmp_path / "report")


def python_with_packages(path: Path) -> None:
    """Put a Python there whose new environments have the packages of these tests."""
    packages = sysconfig.get_path("purelib")
    pth = f"for folder in .venv/lib/python*/site-packages; do echo {packages}"
    platforms.script(path, f'"{sys.executable}" "$@"; {pth} >"$folder/tests.pth"; done')


def browser(path: Path, log: Path) -> str:
    """Return a browser that writes down what it is to show."""
    platforms.script(path, f'echo "$1" >"{log}"')
    return f"{path} %s"


def every_report_is_described(report: Path) -> None:
    """Fail if the page is silent on a file of the report, or promises another one."""
    table = section("The reports")
    told = set(re.findall(r"^\| `([\w.]+)", table, re.MULTILINE))
    assert told == {path.name for path in report.iterdir()}


# ------------------------------------------------------------------- the worked example


def example_step(kit: Path) -> None:
    """Type in what the page shows, in a copy of the kit."""
    text = section("Write a step")
    copies, *_ = blocks(text, "sh")
    shell(copies, kit, environment())
    for title, block in titled(text):
        paths = re.findall(r"`([\w./]+/[\w./]+)`", title)
        for path in paths:
            write(kit / path, title, block)


def titled(text: str) -> list[tuple[str, str]]:
    """Return the blocks of the page that are files, with the line above each."""
    return [
        (titles[-1], block[3])
        for block in FENCED.finditer(text)
        if (
            titles := re.findall(
                r"^(`\S+/.*)\n\n\Z", text[: block.start()], re.MULTILINE
            )
        )
    ]


def write(path: Path, title: str, block: str) -> None:
    """Make a file of a block, or change one as its title says."""
    if title.endswith("instead of the line with the TODO:"):
        starter = proofs.STARTERS.relative_to(KIT) / STEP / path.name
        text = (path.parents[3] / starter).read_text(encoding="utf-8")
        block = re.sub(r"^.*TODO.*\n", block, text, count=1, flags=re.MULTILINE)
    if title.endswith("one more row below that of step 10:"):
        text = path.read_text(encoding="utf-8")
        block = re.sub(r"^\| \[10_.*\n", rf"\g<0>{block}", text, flags=re.MULTILINE)
    path.write_text(block, encoding="utf-8")


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """Give a copy of the kit that has the step of the page."""
    folder = copy_of_kit(tmp_path / "kit")
    example_step(folder)
    return folder


CHECKS = commands(section("Write a step"), "sh")[-4:]
MATRIX, READS, PROVES, GRADES = CHECKS


@pytest.mark.slow
@on_posix
def test_worked_example_is_checked_and_found_good(kit: Path) -> None:
    """Every command of the page, one after the other, as they stand there."""
    assert f"{STEP}\n" in shell(MATRIX, kit, environment()).stdout
    for command in (READS, PROVES, GRADES):
        summary = shell(command, kit, environment()).stdout
        assert " passed" in summary
        assert "skipped" not in summary
    assert " 10/10 " in summary


def change(path: Path, old: str, new: str) -> None:
    """Break something."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


@on_posix
def test_kit_says_what_is_missing_in_a_step(kit: Path) -> None:
    """Points of a test, a hint, a part of the README, the row on the map."""
    step = kit / "exercises" / STEP
    change(step / f"test_{STEP}.py", "@pytest.mark.points(4)\n", "")
    change(step / "HINTS.md", "### More\n", "")
    change(step / "README.md", "## Left out\n", "")
    change(kit / "exercises" / "README.md", "Are you still there?", "Ping")
    said = shell(READS, kit, environment(), code=1).stdout
    assert "assert ['test_ping_is_answered'] == []" in said
    for test in (
        f"test_every_test_says_what_it_shows_and_what_it_is_worth[{STEP}]",
        f"test_hints_fit_the_todos[{STEP}]",
        f"test_readme_has_every_part[{STEP}]",
        "test_map_of_the_path_is_right",
    ):
        assert f"FAILED tests/test_steps.py::{test}" in said


@pytest.mark.slow
@on_posix
def test_kit_says_what_is_wrong_with_a_grader(kit: Path) -> None:
    """It gives points for nothing, or tells a mistake in other words."""
    for folder in ("exercises", "exercises/grading/starters"):
        path = kit / folder / STEP / "mchat.py"
        change(path, "    return line\n", '    return "* pong"\n')
    wrong = kit / "tests" / "broken" / f"{STEP}.toml"
    change(wrong, "and nothing before it but got", "but got")
    said = shell(PROVES, kit, environment(), code=1).stdout
    for test in (
        f"test_starter_gets_nothing_and_a_way_on[{STEP}]",
        f"test_wrong_program_is_caught[{STEP}-answered_twice]",
    ):
        assert f"FAILED tests/test_graders.py::{test}" in said
