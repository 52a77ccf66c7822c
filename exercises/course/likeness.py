"""Whether a program is one of the kit's own in disguise.

Two programs are compared as Python sees them, with names, comments, docstrings, words
and the order of definitions left out. What the student was given (the starter) does not
count, and short things do not: anybody may write the same three lines.

Where a student may look, our programs must not lie: there only fingerprints of them do,
see `fingerprints`.
"""

import ast
import contextlib
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from grading.places import KIT
from grading.steps import STARTERS, Step

SOLUTIONS = KIT / "tests" / "solutions"
SERVER = KIT / "server"
FINGERPRINTS = KIT / "exercises" / "course" / "fingerprints.json"  # instead of both
ENOUGH = 60  # nodes of the syntax tree of their own; with fewer, it may be an accident
LEAST = 30  # with fewer, likeness means nothing
MOST = 0.9  # of them that may be the solution's: above, it is the kit's own work
OF_REFERENCE = 0.6  # the reference goes far beyond a step: this much is no accident

REFERENCE = "reference"
SOLUTION = "solution"
PERHAPS = "perhaps"  # the solution; but so short that it may be an accident

# What a program has no reason to name, as parts of a path.
OURS = (("tests", "solutions"), ("server", "mchat.py"), ("exercises", "grading"))


@dataclass(frozen=True)
class Likeness:
    """What somebody should look at, in a line; and which of ours it is like."""

    what: str
    kin: str  # one of the three above


def likeness(step: Step, files: Mapping[str, bytes]) -> Likeness | None:
    """Return which of our programs `files` are, or reach for; None if none.

    `files` are those of one step, by name. The reference server counts, and our
    solution of this step.
    """
    if named := next(_named(files.values()), ""):
        what = f"it names files of the kit that are not its own: {named!r}"
        return Likeness(what, REFERENCE)
    own = _pieces_of(files.values()) - _starter(step)
    size = _size(own)
    if size < LEAST:
        return None
    if _size(own & _reference()) >= OF_REFERENCE * size and size >= ENOUGH:
        return Likeness("it is the reference server, in a disguise", REFERENCE)
    if _size(own & _solution(step)) >= MOST * size:
        if _text(step, files) == _solution_text(step):
            return Likeness("it is the kit's own solution, word for word", SOLUTION)
        kin = SOLUTION if size >= ENOUGH else PERHAPS
        return Likeness("it is the kit's own solution, in a disguise", kin)
    return None


def _text(step: Step, files: Mapping[str, bytes]) -> str:
    """Return a digest of the words of the files to edit, comments and all."""
    words = [files.get(name, b"").split() for name in step.files]
    return hashlib.sha256(repr(words).encode()).hexdigest()


def _named(sources: Iterable[bytes]) -> Iterator[str]:
    for tree in _trees(sources):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = tuple(node.value.replace("\\", "/").split("/"))
                pairs = set(itertools.pairwise(parts))
                if pairs & set(OURS) and len(node.value) < 200:
                    yield node.value


Pieces = Counter[tuple[int, int]]  # size and hash of a piece of a program


def _size(pieces: Pieces) -> int:
    return sum(size * count for (size, _), count in pieces.items())


@cache
def _starter(step: Step) -> Pieces:
    folder = STARTERS / step.name
    return _pieces_of((folder / name).read_bytes() for name in step.files)


@cache
def _solution(step: Step) -> Pieces:
    if not SOLUTIONS.is_dir():
        return _from_json(_known()["solutions"].get(step.name, []))
    return _pieces_of(_solution_files(step).values())


def _solution_text(step: Step) -> str:
    if not SOLUTIONS.is_dir():
        return str(_known()["texts"].get(step.name, ""))
    return _text(step, _solution_files(step))


@cache
def _solution_files(step: Step) -> dict[str, bytes]:
    folder = SOLUTIONS / step.name
    names = [name for name in step.files if (folder / name).is_file()]
    return {name: (folder / name).read_bytes() for name in names}


@cache
def _reference() -> Pieces:
    if not SERVER.is_dir():
        return _from_json(_known()["reference"])
    return _pieces_of(path.read_bytes() for path in sorted(SERVER.glob("*.py")))


# -------------------------------------------------------------------- fingerprints


def fingerprints(steps: Iterable[Step]) -> str:
    """Return what to know our programs by, as JSON: sizes and hashes of statements."""
    steps = list(steps)
    known = {
        "reference": _to_json(_reference()),
        "solutions": {step.name: _to_json(_solution(step)) for step in steps},
        "texts": {step.name: _solution_text(step) for step in steps},
    }
    return json.dumps(known)


@cache
def _known() -> dict[str, Any]:
    if FINGERPRINTS.is_file():
        known: dict[str, Any] = json.loads(FINGERPRINTS.read_text(encoding="utf-8"))
        return known
    return {"reference": [], "solutions": {}, "texts": {}}


def _to_json(pieces: Pieces) -> list[tuple[int, int, int]]:
    return [(size, piece, count) for (size, piece), count in sorted(pieces.items())]


def _from_json(rows: Iterable[tuple[int, int, int]]) -> Pieces:
    return Counter({(size, piece): count for size, piece, count in rows})


# -------------------------------------------------------------------------- pieces


def _pieces_of(sources: Iterable[bytes]) -> Pieces:
    found: Pieces = Counter()
    for tree in _trees(sources):
        found.update(_pieces(tree))
    return found


def _trees(sources: Iterable[bytes]) -> Iterator[ast.AST]:
    for source in sources:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            yield ast.parse(source)


def _pieces(tree: ast.AST) -> Iterator[tuple[int, int]]:
    """Yield each statement of a program that holds no other, and each header."""
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not _says_nothing(node):
            shape = list(_shape(node))
            digest = hashlib.blake2b(" ".join(shape).encode(), digest_size=8).digest()
            yield len(shape), int.from_bytes(digest, "big")


def _says_nothing(node: ast.stmt) -> bool:
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant or isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass))


def _shape(node: ast.AST) -> Iterator[str]:
    """Yield what is left of a statement without names, words and inner statements."""
    yield type(node).__name__
    if isinstance(node, ast.Attribute):  # recv, append: what is done, not to whom
        yield node.attr
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.stmt, ast.expr_context, ast.alias)):
            yield from _shape(child)
