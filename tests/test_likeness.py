"""Programs that are the kit's own in a disguise, and programs that are not."""

import ast
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import proofs
from course import comparing, likeness
from course.comparing import Comparer
from course.likeness import PERHAPS, REFERENCE, SOLUTION, UNKNOWN, Likeness
from grading.steps import STARTERS

LONG = ["03_lines", "08_exit", "09_client", "10_slow_reader"]  # solutions of some size

PADDING = """
class Accounts:
    def __init__(self, path):
        self.path, self.rows = path, {}

    def load(self):
        with open(self.path) as file:
            for row in file:
                key, _, value = row.strip().partition("=")
                self.rows[key] = [int(part) for part in value.split(",") if part]

    def total(self, key):
        return sum(self.rows.get(key, [])) / max(1, len(self.rows.get(key, [])))
"""


def of(step: str, files: dict[str, bytes]) -> Likeness | None:
    """Compare them."""
    return likeness.likeness(proofs.STEPS[step], files)


def files_of(step: str, folder: Path) -> dict[str, bytes]:
    """Return the files that a step asks for."""
    names = proofs.STEPS[step].files
    there = [name for name in names if (folder / name).is_file()]
    return {name: (folder / name).read_bytes() for name in there}


def solution(step: str) -> dict[str, bytes]:
    """Return the kit's own."""
    return files_of(step, proofs.SOLUTIONS / step)


class Renamed(ast.NodeTransformer):
    """Gives other names to all that a program has named itself."""

    def __init__(self, trees: Iterable[ast.AST]) -> None:
        nodes = [node for tree in trees for node in ast.walk(tree)]
        own = [n.id for n in nodes if isinstance(n, ast.Name) and stored(n)]
        own += [n.attr for n in nodes if isinstance(n, ast.Attribute) and stored(n)]
        own += [n.name for n in nodes if isinstance(n, DEFINITION)]
        own += [n.arg for n in nodes if isinstance(n, ast.arg)]
        words = {n.value for n in nodes if isinstance(n, ast.Constant)}
        fixed = {word.strip("-") for word in words if isinstance(word, str)}
        fixed |= {name for name in own if name.startswith("__")}
        self.own = {name: f"q{k}" for k, name in enumerate(own) if name not in fixed}

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Rename one node, and all in it."""
        for field in ("id", "attr", "name", "arg"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                setattr(node, field, self.own.get(name, name))
        return super().generic_visit(node)


DEFINITION = (ast.FunctionDef, ast.ClassDef)


def stored(node: ast.Name | ast.Attribute) -> bool:
    """Tell whether something is put there."""
    return isinstance(node.ctx, ast.Store)


def disguised(files: dict[str, bytes]) -> dict[str, bytes]:
    """Rename all, leave out comments and docstrings, and turn the order round."""
    trees = {name: ast.parse(source) for name, source in files.items()}
    renamed = Renamed(trees.values())
    return {name: rewritten(renamed.visit(tree)) for name, tree in trees.items()}


def rewritten(tree: ast.Module) -> bytes:
    """Return it as text, with what it defines first and without docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, DEFINITION) and ast.get_docstring(node):
            node.body[0:1] = [ast.Pass()]
    tree.body.sort(key=lambda node: isinstance(node, DEFINITION), reverse=True)
    return ast.unparse(ast.fix_missing_locations(tree)).encode()


# ------------------------------------------------------------------------ its own


@pytest.mark.parametrize("step", proofs.STEPS)
def test_starter_is_like_nothing(step: str) -> None:
    """It is everybody's."""
    assert of(step, files_of(step, STARTERS / step)) is None


def test_programs_of_others_are_like_nothing() -> None:
    """Those in tests/correct/, however they are built."""
    for step, path in proofs.correct_programs():
        if path:
            main = proofs.STEPS[step].files[0]
            files = {main: path.read_bytes()}
            assert of(step, files) is None, f"{step}: {path.name}"


@pytest.mark.parametrize(
    "words",
    [
        '"""Run me: python server/mchat.py --port 0."""',
        "# as in tests/solutions",
        'print("see https://example.org/server/chat")',
    ],
)
def test_words_on_the_kit_are_no_crime(words: str) -> None:
    """A docstring or a comment reaches for nothing."""
    assert of("02_echo", {"mchat.py": words.encode()}) is None


# ------------------------------------------------------------------------- copies


@pytest.mark.parametrize("step", proofs.STEPS)
def test_solution_is_known_word_for_word(step: str) -> None:
    """Also with other line ends."""
    files = {n: d.replace(b"\n", b"\r\n") for n, d in solution(step).items()}
    found = of(step, files)
    assert found
    assert found.what == "it is the kit's own solution, word for word"
    assert found.kin == SOLUTION


@pytest.mark.parametrize("step", proofs.STEPS)
def test_solution_is_known_in_a_disguise(step: str) -> None:
    """With other names, without comments, in another order."""
    found = of(step, disguised(solution(step)))
    assert found
    assert found.what == "it is the kit's own solution, in a disguise"
    assert found.kin in (SOLUTION, PERHAPS)


@pytest.mark.parametrize("step", LONG)
def test_padding_does_not_hide_a_solution(step: str) -> None:
    """Twice as much of no use beside it."""
    padded = disguised(solution(step))
    padded[next(iter(padded))] += PADDING.encode() * 3
    found = of(step, padded)
    assert found
    assert found.kin == SOLUTION


def reference() -> bytes:
    """Return the reference server in one file."""
    paths = sorted((proofs.ROOT / "server").glob("*.py"))
    return b"\n".join(path.read_bytes() for path in paths)


@pytest.mark.parametrize("step", proofs.CHAT_STEPS)
def test_reference_is_known_in_a_disguise(step: str) -> None:
    """All of it in one file, with other names; and with much of no use beside it."""
    source = disguised({"mchat.py": reference()})["mchat.py"]
    for padded in (source, source + PADDING.encode() * 60):
        found = of(step, {"mchat.py": padded})
        assert found
        assert found.kin == REFERENCE


@pytest.mark.parametrize(
    "source",
    [
        'import runpy; runpy.run_path("/kit/server/mchat.py")',
        'import os; os.execv(PY, [PY, os.path.join(K, "server", "mchat.py")])',
        'from pathlib import Path\nopen(Path("tests") / "solutions" / "02_echo")',
        'open("..\\\\..\\\\tests\\\\solutions\\\\02_echo\\\\mchat.py")',
    ],
)
def test_reaching_for_the_kit_is_named(source: str) -> None:
    """In one word, or in several that follow each other."""
    found = of("02_echo", {"mchat.py": source.encode()})
    assert found
    assert found.kin == REFERENCE
    assert "it names files of the kit" in found.what


# ------------------------------------------------------------------- fingerprints


def test_fingerprints_do_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where our programs must not lie."""
    steps = list(proofs.STEPS.values())
    path = tmp_path / "fingerprints.json"
    path.write_text(likeness.fingerprints(steps), encoding="utf-8")
    samples = {step: solution(step) for step in proofs.STEPS}
    samples |= {"05_broadcast": disguised({"mchat.py": reference()})}
    before = {step: of(step, files) for step, files in samples.items()}
    monkeypatch.setattr(likeness, "FINGERPRINTS", path)
    monkeypatch.setattr(likeness, "SOLUTIONS", tmp_path / "nowhere")
    monkeypatch.setattr(likeness, "SERVER", tmp_path / "nowhere")
    forget()
    try:
        assert {step: of(step, files) for step, files in samples.items()} == before
    finally:
        forget()
    assert "socket" not in json.loads(path.read_text(encoding="utf-8"))


def forget() -> None:
    """Let the next comparison read everything again."""
    for known in (likeness._reference, likeness._solution, likeness._known):
        known.cache_clear()


# ------------------------------------------------------------------ in safe distance


@pytest.fixture(scope="module")
def comparer() -> Iterator[Comparer]:
    """Give one that is ended in the end."""
    with Comparer() as comparer:
        yield comparer


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"\0",
        b"\xff\xfe",
        b"x = (",
        b"x = 1\nx = x" + b".x" * 100_000,
        b"x = " + b"-" * 100_000 + b"1",
        b"x = " + b"(" * 1000 + b")" * 1000,
        b"if x: pass\n" + b"elif x: pass\n" * 20_000,
        b"x = 1" + b" + 1" * 50_000,
        b"f = " + b"lambda: " * 5000 + b"0",
    ],
)
def test_no_source_text_stops_the_comparing(source: bytes, comparer: Comparer) -> None:
    """If Python dies of one, that is told; and the next program is compared as ever."""
    step = proofs.STEPS["02_echo"]
    found = comparer.likeness(step, {"mchat.py": source})
    assert found is None or found.kin == UNKNOWN
    after = comparer.likeness(step, solution("02_echo"))
    assert after == of("02_echo", solution("02_echo"))


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell command")
def test_helper_that_dies_or_hangs_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a time limit; what it cannot read is flagged."""
    step, files = proofs.STEPS["02_echo"], {"mchat.py": b"pass"}
    with Comparer() as comparer:
        monkeypatch.setattr(comparing, "TIME", 0.1)
        monkeypatch.setattr(comparing, "COMMAND", ["sleep", "60"])
        assert comparer.likeness(step, files) == comparing.UNREADABLE
        monkeypatch.setattr(comparing, "COMMAND", ["false"])
        assert comparer.likeness(step, files) == comparing.UNREADABLE
        monkeypatch.undo()
        assert comparer.likeness(step, files) is None
