"""The committed notebooks: complete, clean, and with the outputs of their own cells.

Nothing is run here. `python notebooks` does that, in CI.
"""

import ast
import base64
import copy
import getpass
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
sys.path.append(str(NOTEBOOKS))

import stamp  # noqa: E402

NAMES = [
    "01_bytes_are_not_messages",
    "02_threads_and_races",
    "03_what_a_broadcast_costs",
    "04_the_slow_reader",
    "05_how_connections_end",
    "06_reading_a_class",
]
PATHS = stamp.paths(NOTEBOOKS)
WIDTH = 880  # pixels: 8 inches at 110 dots each
LONGEST = 45  # lines of a cell that can be read in a lecture

every_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def test_there_are_these() -> None:
    """Six notebooks, and the page that lists them, in their order."""
    assert [path.stem for path in PATHS] == NAMES
    page = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[[^]]+\]\((\w+)\.ipynb\)", page, re.MULTILINE)
    assert listed == NAMES


def test_links_of_the_page_lead_somewhere() -> None:
    """Every file that notebooks/README.md links to is there."""
    page = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    assert _dead_links(page) == []


# ----------------------------------------------------------------------- outputs


@every_notebook
def test_outputs_are_those_of_the_cells(path: Path) -> None:
    """Neither code nor outputs have changed since the notebook was run."""
    notebook = stamp.load(path)
    why = f"run it again: python notebooks {path.stem[:2]} --write"
    assert notebook["metadata"]["kit"] == stamp.stamp(notebook), why


@every_notebook
def test_cells_ran_from_top_to_bottom(path: Path) -> None:
    """In a fresh kernel, each one once, and none failed or complained."""
    cells = stamp.code_cells(stamp.load(path))
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    kinds = {kind for cell in cells for kind, _ in stamp.outputs(cell)}
    assert not kinds & {"error", "stderr"}


@every_notebook
def test_outputs_do_not_tell_whose_machine_it_was(path: Path) -> None:
    """No folder, no process number, no user; pictures are nothing but pictures."""
    notebook = stamp.load(path)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info", "kit"}
    user = re.escape(getpass.getuser())
    for cell in stamp.code_cells(notebook):
        assert stamp.noise(cell) == []
        for kind, content in stamp.outputs(cell):
            if kind == "image/png":
                parts = {name for name, _ in stamp.chunks(base64.b64decode(content))}
                assert parts <= stamp.CHUNKS
            elif user != "root":  # a word of its own in some outputs
                assert not re.search(rf"\b{user}\b", content)


@every_notebook
def test_cells_show_what_they_make(path: Path) -> None:
    """A cell that prints or draws has an output, and there are enough of them."""
    cells = stamp.code_cells(stamp.load(path))
    silent = [cell["source"] for cell in cells if _shows(cell) and not cell["outputs"]]
    assert silent == []
    pictures = [cell for cell in cells if "image/png" in dict(stamp.outputs(cell))]
    assert len(pictures) >= 3


@every_notebook
def test_pictures_have_a_size_and_a_text(path: Path) -> None:
    """They fit the page, and their point can be read where they cannot be seen."""
    for cell in stamp.code_cells(stamp.load(path)):
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                png = base64.b64decode(output["data"]["image/png"])
                assert int.from_bytes(png[16:20], "big") <= WIDTH
                assert output["metadata"]["image/png"]["alt"]


# -------------------------------------------------------------------------- text


@every_notebook
def test_notebook_has_its_parts(path: Path) -> None:
    """What each one owes its readers, from the title to what was left out."""
    text = stamp.text(stamp.load(path))
    assert re.match(rf"# {int(path.stem[:2])} \w", text)
    promise = re.search(r"\*\*After this you can explain\*\*\n\n((?:- .*\n)+)", text)
    assert promise
    assert 3 <= promise[1].count("- ") <= 5
    questions = text.count("<details><summary>")
    assert questions >= 3
    assert questions == text.count("</summary>\n\n") == text.count("\n\n</details>")
    assert text.count("**Now you.**") >= 2
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[-1] == "Left out"
    assert re.search(r"\]\(\.\./exercises/\d\d_\w+/README\.md\)", text)


@every_notebook
def test_links_lead_somewhere(path: Path) -> None:
    """Every file that the text links to is there."""
    assert _dead_links(stamp.text(stamp.load(path))) == []


@every_notebook
def test_cells_are_short(path: Path) -> None:
    """They can be read while somebody talks about them."""
    cells = stamp.code_cells(stamp.load(path))
    assert max(cell["source"].count("\n") + 1 for cell in cells) <= LONGEST


def _dead_links(text: str) -> list[str]:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    return [link for link in links if not (NOTEBOOKS / link).exists()]


def _shows(cell: stamp.Cell) -> bool:
    """Whether it prints, draws, or ends in a value, outside of functions."""
    tree = ast.parse(cell["source"])
    ends = tree.body and isinstance(tree.body[-1], ast.Expr)
    return bool(ends) or any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "kit.picture", "kit.show", "display")
        for statement in tree.body
        for node in _at_once(statement)
    )


def _at_once(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs with the cell: not what is only defined there."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _at_once(child)


# --------------------------------------------------------------------- the stamp

CELL = {
    "cell_type": "code",
    "source": "print(1)",
    "execution_count": 1,
    "metadata": {"execution": {"iopub.execute_input": "2026-01-01"}},
    "outputs": [
        {"output_type": "stream", "name": "stdout", "text": "1"},
        {"output_type": "stream", "name": "stdout", "text": " /tmp/x\n"},
    ],
}
NOTEBOOK = {"cells": [CELL], "metadata": {"widgets": {}}}


def test_cleaning_joins_and_strips() -> None:
    """What was printed is one text; when it was run, and by what, is gone."""
    (cell,) = stamp.cleaned(copy.deepcopy(NOTEBOOK))["cells"]
    assert cell["metadata"] == {}
    assert [output["text"] for output in cell["outputs"]] == ["1 /tmp/x\n"]


@pytest.mark.parametrize("change", ["source", "outputs", "execution_count"])
def test_stamp_sees_a_change(change: str) -> None:
    """Of the code, of an output, of the order; text may be mended at any time."""
    notebook = stamp.cleaned(copy.deepcopy(NOTEBOOK))
    notebook["cells"].append({"cell_type": "markdown", "source": "more"})
    assert stamp.stamp(notebook) == notebook["metadata"]["kit"]
    notebook["cells"][0][change] = {"source": "x", "outputs": [], "execution_count": 2}[
        change
    ]
    assert stamp.stamp(notebook) != notebook["metadata"]["kit"]


def test_saved_is_what_is_loaded(tmp_path: Path) -> None:
    """Writing and reading change nothing."""
    notebook = stamp.cleaned(copy.deepcopy(NOTEBOOK))
    stamp.save(notebook, tmp_path / "saved.ipynb")
    loaded = stamp.load(tmp_path / "saved.ipynb")
    assert stamp.stamp(loaded) == notebook["metadata"]["kit"]
    assert [*stamp.outputs(loaded["cells"][0])] == [("stdout", "1 /tmp/x\n")]


@pytest.mark.parametrize(
    "text", ["see /home/ada/kit", "File C:\\kit", 'File "/tmp/x.py"', "pid 4711"]
)
def test_noise_is_found(text: str) -> None:
    """Folders, and numbers of processes."""
    assert stamp.noise(_printing(text))


@pytest.mark.parametrize("text", ["/proc/self/task", "a/home/b", "/who", "rapid 4"])
def test_noise_is_not_imagined(text: str) -> None:
    """Commands, and what every machine has."""
    assert stamp.noise(_printing(text)) == []


def test_numbers_do_not_count_and_words_do() -> None:
    """Between two runs."""
    before, now = _printing("took  1.5 ms"), _printing("took 12,300 ms")
    assert stamp.told(before) == stamp.told(now)
    assert stamp.told(before) != stamp.told(_printing("took 1.5 s"))


def _printing(text: str) -> stamp.Cell:
    output = {"output_type": "stream", "name": "stdout", "text": text}
    return CELL | {"outputs": [output]}
