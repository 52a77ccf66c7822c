"""Which tests a step has, and what each is worth: read from the grader, never run.

A verdict starts from this list. A test that is on it and did not report a pass earns
nothing, whatever became of it.
"""

import ast
import functools
import threading
from dataclasses import dataclass

from grading.steps import Step


@dataclass(frozen=True)
class Expected:
    """One test of a grader."""

    test: str  # the function's name
    points: int
    todo: int  # the TODO whose hint fits, 0 if none does
    shows: str  # its docstring


# Some versions of Python fail with a SystemError ("recursion depth mismatch") if two
# threads make syntax trees at a time.
_parsing = threading.Lock()


def expected_tests(step: Step) -> list[Expected]:
    """Return the tests of a step, in file order. Any thread may ask."""
    text = step.grader.read_text(encoding="utf-8")
    with _parsing:
        return list(_tests(text))


@functools.lru_cache
def _tests(text: str) -> tuple[Expected, ...]:
    return tuple(
        Expected(
            test=node.name,
            points=_mark(node, "points"),
            todo=_mark(node, "hint"),
            shows=ast.get_docstring(node) or "",
        )
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def _mark(function: ast.FunctionDef, name: str) -> int:
    """Return the number in `@pytest.mark.NAME(number)`, 0 if it is not there."""
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and decorator.args:
            value = decorator.args[0]
            called = ast.unparse(decorator.func)
            if called == f"pytest.mark.{name}" and isinstance(value, ast.Constant):
                return int(str(value.value))
    return 0
