"""Whether a program is one of the kit's own in disguise.

Two programs are compared as Python sees them, with names, comments, docstrings, words
and the order of definitions left out. What the student was given (the starter) does not
count, and short things do not: anybody may write the same three lines. Nor does it help
to put in what is of no use: it counts, too, how much of ours a program holds.

What is read here was written by strangers, and Python may die of it: see `comparing`.

Where a student may look, our programs must not lie: there only fingerprints of them do,
see `fingerprints`.
"""

import ast
import contextlib
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
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
LEAST_OF_REFERENCE = 250  # nodes; many short statements are in all programs
PART = 0.15  # of the reference that may be in a program; others share 0.01 with it
LONG = 80  # nodes of a solution; nobody writes nearly all of a longer one by accident

REFERENCE = "reference"
SOLUTION = "solution"
PERHAPS = "perhaps"  # the solution; but so short that it may be an accident
UNKNOWN = "unknown"  # it cannot be compared

LONGEST_PATH = 200  # characters
# What a program has no reason to name, as parts of a path.
OURS = (("tests", "solutions"), ("server", "mchat.py"), ("exercises", "grading"))


@dataclass(frozen=True)
class Likeness:
    """What somebody should look at, in a line; and which of ours it is like."""

    what: str
    kin: str  # one of the four above


def likeness(step: Step, files: Mapping[str, bytes]) -> Likeness | None:
    """Return which of our programs `files` are, or reach for; None if none.

    `files` are those of one step, by name. The reference server counts, and our
    solution of this step.
    """
    program = _read(files.values())
    if program.reaches_for:
        what = (
            f"it names files of the kit that are not its own: {program.reaches_for!r}"
        )
        return Likeness(what, REFERENCE)
    if _text(step, files) == _solution_text(step):
        return Likeness("it is the kit's own solution, word for word", SOLUTION)
    own = _own_pieces(step, program)
    size = _size(own)
    if size < LEAST:
        return None
    if _is_reference(own, size):
        return Likeness("it is the reference server, in a disguise", REFERENCE)
    if _is_solution(own, size, _solution(step)):
        kin = SOLUTION if size >= ENOUGH else PERHAPS
        return Likeness("it is the kit's own solution, in a disguise", kin)
    return None


def _is_reference(own: "Pieces", size: int) -> bool:
    common = _size(own & _reference())
    much = common >= OF_REFERENCE * size and common >= LEAST_OF_REFERENCE
    return much or common >= max(LEAST_OF_REFERENCE, PART * _size(_reference()))


def _is_solution(own: "Pieces", size: int, ours: "Pieces") -> bool:
    common, whole = _size(own & ours), _size(ours)
    return common >= MOST * size or (whole >= LONG and common >= MOST * whole)


def _text(step: Step, files: Mapping[str, bytes]) -> str:
    """Return a digest of the words of the files to edit, comments and all."""
    words = [files.get(name, b"").split() for name in step.files]
    return hashlib.sha256(repr(words).encode()).hexdigest()


Pieces = Counter[tuple[int, int]]  # size and hash of a piece of a program


def _size(pieces: Pieces) -> int:
    return sum(size * count for (size, _), count in pieces.items())


def _own_pieces(step: Step, program: "_Program") -> Pieces:
    """Return the pieces of a program without those of the step's starter."""
    starter = _starter(step)
    return program.pieces() - starter.pieces(program.names)


@cache
def _starter(step: Step) -> "_Program":
    folder = STARTERS / step.name
    return _read((folder / name).read_bytes() for name in step.files)


@cache
def _solution(step: Step) -> Pieces:
    if not SOLUTIONS.is_dir():
        return _from_json(_known()["solutions"].get(step.name, []))
    return _own_pieces(step, _read(_solution_files(step).values()))


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
    return _read(path.read_bytes() for path in sorted(SERVER.glob("*.py"))).pieces()


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


# ------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class _Program:
    """What is compared of a program, as Python sees it."""

    shapes: Sequence[Sequence[str]]  # see `_shape`; of each statement
    names: Set[str]  # that it has chosen itself, for functions and attributes
    reaches_for: str  # a path of ours that it names, if it does

    def pieces(self, others: Set[str] = frozenset()) -> Pieces:
        """Count its pieces, in which neither its names nor `others` say anything."""
        silent = {f".{name}" for name in self.names | others}
        return Counter(
            _piece([word for word in shape if word not in silent])
            for shape in self.shapes
        )


def _piece(shape: Sequence[str]) -> tuple[int, int]:
    digest = hashlib.blake2b(" ".join(shape).encode(), digest_size=8).digest()
    return len(shape), int.from_bytes(digest, "big")


def _read(sources: Iterable[bytes]) -> _Program:
    """Read the files of a program. What Python cannot read says nothing."""
    nodes = [node for tree in _trees(sources) for node in ast.walk(tree)]
    statements = [
        list(_expressions(node))
        for node in nodes
        if isinstance(node, ast.stmt) and not _says_nothing(node)
    ]
    return _Program(
        shapes=[list(_shape(statement)) for statement in statements],
        names=set(_names(nodes)),
        reaches_for=next(_paths_of_ours(statements), ""),
    )


def _trees(sources: Iterable[bytes]) -> Iterator[ast.AST]:
    for source in sources:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            yield ast.parse(source)


def _says_nothing(node: ast.stmt) -> bool:
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant or isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass))


def _expressions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a statement, without inner statements, from left to right."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        children = list(ast.iter_child_nodes(node))
        waiting += [child for child in children[::-1] if not isinstance(child, _OTHER)]


_OTHER = (ast.stmt, ast.expr_context, ast.alias)


def _shape(statement: Iterable[ast.AST]) -> Iterator[str]:
    """Yield what is left of a statement without words and inner statements."""
    for node in statement:
        yield type(node).__name__
        if isinstance(node, ast.Attribute):
            yield f".{node.attr}"  # .recv, .append: what is done, not to whom


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def _paths_of_ours(statements: Iterable[Iterable[ast.AST]]) -> Iterator[str]:
    """Yield what names our files, in one word or in several that follow each other."""
    for statement in statements:
        path = "/".join(_words(statement)).replace("\\", "/")
        pairs = set(itertools.pairwise(path.split("/")))
        yield from ("/".join(pair) for pair in OURS if pair in pairs)


def _words(statement: Iterable[ast.AST]) -> list[str]:
    """Return the short strings of a statement, as they stand."""
    found = [
        node
        for node in statement
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and len(node.value) < LONGEST_PATH
    ]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return [str(node.value) for node in found]
