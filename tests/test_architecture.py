"""Who imports whom, and who may know of sockets and threads."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From the inside out: each module imports only modules that stand before it.
SERVER = ["telnet", "protocol", "batch", "commands", "room", "delivery", "session"]
SERVER += ["listener", "stopping", "acceptor", "journal", "console", "mchat"]
PURE = {"telnet", "protocol", "batch", "commands", "room"}


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports when it runs (not for types alone)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_every_module_has_its_place() -> None:
    """None is missing above, none is gone."""
    assert {path.stem for path in (ROOT / "server").glob("*.py")} == set(SERVER)


@pytest.mark.parametrize("module", SERVER)
def test_server_imports_one_way(module: str) -> None:
    """Only what stands further inside, and the standard library."""
    inside = set(SERVER[: SERVER.index(module)])
    assert imports(ROOT / "server" / f"{module}.py") <= inside | sys.stdlib_module_names


@pytest.mark.parametrize("module", sorted(PURE))
def test_pure_modules_know_no_sockets_and_no_threads(module: str) -> None:
    """So they can be read, and tested, without any."""
    forbidden = {"socket", "threading", "select", "selectors", "delivery", "session"}
    assert not imports(ROOT / "server" / f"{module}.py") & forbidden


def test_client_needs_nothing_but_the_protocol() -> None:
    """prompt_toolkit makes it better, in the one module that asks for it."""
    ours = {path.stem for path in (ROOT / "client").glob("*.py")}
    for path in (ROOT / "client").glob("*.py"):
        extra = {"prompt_toolkit"} if path.stem == "prompt" else set()
        allowed = ours | {"protocol"} | extra | sys.stdlib_module_names
        assert imports(path) <= allowed, path.name


def test_no_module_hides_one_of_the_standard_library() -> None:
    """Or another program would import ours instead."""
    ours = {
        path.stem
        for folder in ("server", "client")
        for path in (ROOT / folder).glob("*.py")
    }
    assert not ours & sys.stdlib_module_names
