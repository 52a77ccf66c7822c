"""Run the notebooks, each in a fresh kernel, two at a time.

    python notebooks                all; outputs must tell what the committed ones do
    python notebooks 03 05          only these
    python notebooks 03 --write     keep the outputs, cleaned and stamped

A failing cell, other outputs (numbers and pictures may differ), and whatever a
notebook leaves behind (processes, ports, files) make the exit code 1.
"""

import argparse
import asyncio
import contextlib
import difflib
import os
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

import stamp

HERE = Path(__file__).resolve().parent
AT_ONCE = 2
CELL = 300  # seconds for one cell, on a machine however busy
MARK = "NOTEBOOK_RUN"  # in the environment of a kernel and of all that it starts
FIRST = "import leftover"
LAST = "print(*leftover.left_over(), sep='\\n')"


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python notebooks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="what their names begin with (all)")
    parser.add_argument("--write", action="store_true", help="keep the outputs")
    options = parser.parse_args()
    chosen = [
        path
        for path in stamp.paths(HERE)
        if not options.names or path.name.startswith(tuple(options.names))
    ]
    if not chosen:
        parser.error(f"no notebook is called {' or '.join(options.names)}...")
    before = _files(HERE)
    begun = time.monotonic()
    good = asyncio.run(run_all(chosen, write=options.write))
    for path in sorted(_files(HERE) - before):
        print(f"left behind: {path.name}")
        good = False
    print(f"{'all is well' if good else 'FAILED'}, {time.monotonic() - begun:.1f} s")
    return 0 if good else 1


async def run_all(paths: list[Path], *, write: bool) -> bool:
    """Run notebooks, so many at once; tell whether all is well."""
    free = asyncio.Semaphore(AT_ONCE)

    async def run_one(path: Path) -> bool:
        async with free:
            begun = time.monotonic()
            trouble = await run(path, write=write)
            seconds = time.monotonic() - begun
            print(f"{path.stem:34}{seconds:6.1f} s  {'FAILED' if trouble else 'ok'}")
            for text in trouble:
                print(text)
            sys.stdout.flush()
            return not trouble

    # The last one takes longest, so it begins.
    return all(await asyncio.gather(*map(run_one, reversed(paths))))


async def run(path: Path, *, write: bool) -> list[str]:
    """Run one notebook; return what is wrong with it."""
    committed = stamp.load(path)
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="notebooks-") as folder:
        # What it leaves behind must be found, so it gets folders of its own.
        places = {MARK: mark, "TMPDIR": f"{folder}/tmp", "IPYTHONDIR": f"{folder}/ipy"}
        for name in ("tmp", "ipy"):
            Path(folder, name).mkdir()
        executed, trouble = await _executed(path, os.environ | places)
        trouble += [f"left behind: process {p.name()}" for p in _end_all(mark)]
        left = sorted(_files(Path(folder, "tmp")))
        trouble += [f"left behind: file {path.name}" for path in left]
    if trouble:
        return trouble
    new = stamp.cleaned(executed)
    if trouble := [*_noise(new)]:
        return trouble
    if write:
        stamp.save(new, path)
        return []
    return [*differences(committed, new)]


async def _executed(
    path: Path, env: dict[str, str]
) -> tuple[stamp.Notebook, list[str]]:
    """Run all cells in a kernel of their own; return them with what went wrong."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(HERE)}},
        allow_errors=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    trouble: list[str] = []
    client.reset_execution_trackers()
    async with client.async_setup_kernel(env=env):
        try:
            await _ask(client, FIRST)
            count = 1
            for index, cell in enumerate(notebook.cells):
                await client.async_execute_cell(cell, index, execution_count=count)
                count += cell.cell_type == "code"
                if trouble := [*_errors(cell, index)]:
                    break
            else:
                left = await _ask(client, LAST)
                trouble = [f"left behind: {line}" for line in left.split("\n") if line]
        except (CellTimeoutError, DeadKernelError) as exc:
            trouble = [str(exc)]
    return notebook, trouble


def _errors(cell: nbformat.NotebookNode, index: int) -> Iterator[str]:
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback))
            yield f"cell {index + 1}:\n{cell.source}\n\n{traceback}"


async def _ask(client: NotebookClient, source: str) -> str:
    """Run a line that is no part of the notebook; return what it prints."""
    cell = nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]
    client.nb.cells.append(cell)
    await client.async_execute_cell(cell, len(client.nb.cells) - 1, store_history=False)
    client.nb.cells.pop()
    return "".join(content for _, content in stamp.outputs(cell))


def _end_all(mark: str) -> list[psutil.Process]:
    """Kill the processes that bear this mark; return those that there were."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                process.kill()
                found.append(process)
    return found


def _files(folder: Path) -> set[Path]:
    files = {path for path in folder.rglob("*") if path.is_file()}
    return {path for path in files if "__pycache__" not in path.parts}


def _noise(notebook: stamp.Notebook) -> Iterator[str]:
    for number, cell in enumerate(stamp.code_cells(notebook), 1):
        for text in stamp.noise(cell):
            yield f"output {number} tells whose machine this is: {text}"


def differences(old: stamp.Notebook, new: stamp.Notebook) -> Iterator[str]:
    """Yield where new outputs tell something else than the committed ones."""
    pairs = zip(stamp.code_cells(old), stamp.code_cells(new), strict=True)
    for number, (before, after) in enumerate(pairs, 1):
        one, two = (
            [f"{kind}: {words}" for kind, words in stamp.told(cell)]
            for cell in (before, after)
        )
        if one != two:
            diff = difflib.unified_diff(one, two, "committed", "now", lineterm="", n=0)
            yield f"output {number} differs:\n" + "\n".join(diff)


if __name__ == "__main__":
    sys.exit(main())
