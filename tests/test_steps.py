"""Every step is complete, and what it says of itself is so."""

import ast
import re
from pathlib import Path

import pytest

import kill_matrix
import proofs
from grading.manifest import expected_tests
from grading.steps import EXERCISES, POINTS, STARTERS, Step, load

SECTIONS = ["Files", "What your", "Run it", "Try it by hand", "Grade it"]
SECTIONS += ["Explanation", "Left out"]
LEVELS = 3  # of each hint

each_step = pytest.mark.parametrize("step", proofs.STEPS.values(), ids=proofs.STEPS)


def text_of(path: Path) -> str:
    """Return the content of a text file."""
    return path.read_text(encoding="utf-8")


def blocks(page: str) -> list[str]:
    """Return the blocks of a page that name no language: commands and pictures."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [block for language, block in found if not language]


def test_steps_are_numbered_without_gaps() -> None:
    """From 01 on; ten of them are ours, and more are welcome."""
    numbers = [step.number for step in proofs.STEPS.values()]
    assert numbers == [f"{number:02}" for number in range(1, len(numbers) + 1)]
    assert len(numbers) >= 10


@each_step
def test_readme_has_every_part(step: Step) -> None:
    """A title, what to know, the goal, and the sections, in this order."""
    readme = text_of(step.folder / "README.md")
    assert readme.startswith(f"# {step.number} ")
    opening = readme.partition("\n## ")[0]
    assert "**You should know:**" in opening
    assert "**Goal:**" in opening
    titles = re.findall(r"^## (.*)$", readme, re.MULTILINE)
    assert len(titles) == len(SECTIONS)
    for title, wanted in zip(titles, SECTIONS, strict=True):
        assert title.startswith(wanted)
    pictures = blocks(readme.partition("## Explanation")[2])
    assert any("|" in picture and "->" in picture for picture in pictures)


@each_step
def test_links_lead_somewhere(step: Step) -> None:
    """From the README and from the hints."""
    for name in ("README.md", "HINTS.md"):
        links = re.findall(r"\]\(([^)#:]+)\)", text_of(step.folder / name))
        assert [link for link in links if not (step.folder / link).exists()] == []


@each_step
def test_commands_of_the_readme_exist(step: Step) -> None:
    """Each is about this kit, with files that are there, or is a call of nc."""
    readme = text_of(step.folder / "README.md")
    commands = [line for block in blocks(readme) for line in block.splitlines()]
    assert f"pytest exercises/{step.name}" in commands
    for path in re.findall(r"(?<![\w/])exercises/[\w/.]+\w", readme):
        assert (EXERCISES.parent / path).exists(), path
    assert f"python exercises hint {step.number}" in readme


@each_step
def test_hints_fit_the_todos(step: Step) -> None:
    """Each TODO of the starter has three hints, and each test names one of them."""
    starters = "".join(text_of(STARTERS / step.name / name) for name in step.files)
    todos = {int(number) for number in re.findall(r"TODO (\d+)", starters)}
    assert todos == set(range(1, max(todos) + 1))
    hints = step.hints()
    assert set(hints) == todos
    for number, levels in hints.items():
        assert len(levels) == LEVELS
        assert f"TODO {number}" in levels[0]
    assert {test.todo for test in expected_tests(step)} <= todos


@each_step
def test_every_test_says_what_it_shows_and_what_it_is_worth(step: Step) -> None:
    """Ten points a step; nothing is tested for nothing."""
    tests = expected_tests(step)
    for what in ("points", "shows", "todo"):
        assert [test.test for test in tests if not getattr(test, what)] == [], what
    assert sum(test.points for test in tests) == POINTS


@each_step
def test_grader_tests_without_bare_asserts(step: Step) -> None:
    """A bare assert cannot tell a beginner what was expected and what came."""
    tree = ast.parse(text_of(step.grader))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert not [n for n in ast.walk(node) if isinstance(n, ast.Assert)]


@each_step
def test_files_are_all_there(step: Step) -> None:
    """What to edit, the same again as it was, what is given, and a solution."""
    for name in step.files:
        assert (step.folder / name).is_file()
        assert (STARTERS / step.name / name).is_file()
        assert "TODO" not in text_of(proofs.SOLUTIONS / step.name / name)
    assert {path.name for path in (STARTERS / step.name).iterdir()} == set(step.files)
    for name in step.given:
        ours = text_of(step.folder / name)
        assert ours == text_of(proofs.SOLUTIONS / step.name / name)


@each_step
def test_wrong_programs_are_enough(step: Step) -> None:
    """At least five, each with a name of its own."""
    names = [b.name for b in proofs.broken_programs() if b.step == step.name]
    assert len(names) >= 5
    assert len(set(names)) == len(names)


def test_map_of_the_path_is_right() -> None:
    """exercises/README.md names each step, its title and its minutes."""
    page = text_of(EXERCISES / "README.md")
    for step in proofs.STEPS.values():
        assert f"| [{step.name}]({step.name}/README.md) | {step.title} |" in page
        assert f"| {step.minutes} |" in page


def test_step_that_says_too_little_is_refused(tmp_path: Path) -> None:
    """With the file's name, and what it needs."""
    (tmp_path / "step.toml").write_text('title = "x"\n', encoding="utf-8")
    with pytest.raises(ValueError, match="needed: title, files, minutes"):
        load(tmp_path)


def test_kept_matrix_is_the_one_of_these_programs() -> None:
    """Each wrong program is in it, caught by the test that is meant for it."""
    rows = kill_matrix.read()
    programs = [(b.step, b.name, b.test) for b in proofs.broken_programs()]
    assert [(row.step, row.program, row.meant) for row in rows] == programs
    assert [row.program for row in rows if row.meant not in row.caught_by] == []
    assert kill_matrix.PICTURE.read_text(encoding="utf-8") == kill_matrix.as_svg(rows)
