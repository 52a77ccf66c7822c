"""What a committed notebook is: cells, outputs, and a stamp that ties them together.

`python notebooks --write` makes the stamp; the tests check it. Standard library only.
"""

import base64
import hashlib
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]
Cell = dict[str, Any]

#: Of a PNG file: what makes the picture. The rest is who made it, with what, and when.
CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}

PLACE = re.compile(r"(?<![\w.:/-])/(?:home|root|tmp|usr|var|opt|work|Users|private)/")
DRIVE = re.compile(r"\b[A-Za-z]:\\\w")
PROCESS = re.compile(r"\bpid\b\W*\d+", re.IGNORECASE)
NUMBER = re.compile(r"[-+−]?\d[\d.,_]*(?:e[-+]?\d+)?")


def paths(folder: Path) -> list[Path]:
    """Return the notebooks, in their order."""
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def load(path: Path) -> Notebook:
    """Read a notebook; sources and texts become single strings."""
    notebook: Notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = "".join(output["text"])
            for kind, content in output.get("data", {}).items():
                if isinstance(content, list):
                    output["data"][kind] = "".join(content)
    return notebook


def code_cells(notebook: Notebook) -> list[Cell]:
    """Return the cells that are run."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def text(notebook: Notebook) -> str:
    """Return all that is to be read, without the code."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    return "\n\n".join(cell["source"] for cell in cells)


def outputs(cell: Cell) -> Iterator[tuple[str, str]]:
    """Yield kinds and contents; what was printed in several writes is joined."""
    printed: dict[str, str] = {}
    shown: list[tuple[str, str]] = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            name = output["name"]
            printed[name] = printed.get(name, "") + output["text"]
        elif output["output_type"] == "error":
            shown.append(("error", f"{output['ename']}: {output['evalue']}"))
        else:
            shown += sorted(output["data"].items())
    yield from sorted(printed.items())
    yield from shown


def told(cell: Cell) -> list[tuple[str, str]]:
    """Return kinds of outputs and their words, without what differs between runs.

    That is: numbers, the blanks that line them up, and what pictures look like.
    """
    return [
        (kind, "" if kind.startswith("image/") else _words(content))
        for kind, content in outputs(cell)
    ]


def _words(content: str) -> str:
    return " ".join(NUMBER.sub("N", content).split())


def noise(cell: Cell) -> list[str]:
    """Return what in the outputs tells on which machine it was made."""
    return [
        content[match.start() : match.end() + 40]
        for kind, content in outputs(cell)
        if not kind.startswith("image/")
        for pattern in (PLACE, DRIVE, PROCESS)
        for match in pattern.finditer(content)
    ]


# -------------------------------------------------------------------------- stamp


def stamp(notebook: Notebook) -> dict[str, str]:
    """Return digests of the code and of the outputs."""
    cells = code_cells(notebook)
    made = [[cell["execution_count"], cell["outputs"]] for cell in cells]
    return {
        "code": _digest([cell["source"] for cell in cells]),
        "outputs": _digest(made),
    }


def _digest(value: object) -> str:
    data = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:32]


def cleaned(notebook: Notebook) -> Notebook:
    """Return a notebook as it is committed, stamped."""
    cells = [_clean_cell(cell, n) for n, cell in enumerate(notebook["cells"], 1)]
    clean: Notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    clean["metadata"]["kit"] = stamp(clean)
    return clean


def _clean_cell(cell: Cell, number: int) -> Cell:
    clean = {
        "cell_type": cell["cell_type"],
        "id": f"cell-{number}",
        "metadata": {},
        "source": "".join(cell["source"]),
    }
    if cell["cell_type"] == "code":
        clean["execution_count"] = cell["execution_count"]
        clean["outputs"] = _clean_outputs(cell["outputs"])
    return clean


def _clean_outputs(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join what was printed in several writes, and strip the pictures."""
    clean: list[dict[str, Any]] = []
    for kept in given:
        output = {k: v for k, v in kept.items() if k != "transient"}
        if output["output_type"] == "stream":
            before = clean[-1] if clean else {}
            if before.get("name") == output["name"]:
                before["text"] += output["text"]
                continue
        if "image/png" in output.get("data", {}):
            png = base64.b64decode(output["data"]["image/png"])
            picture = base64.b64encode(stripped(png)).decode()
            output["data"] = output["data"] | {"image/png": picture}
        clean.append(output)
    return clean


def stripped(png: bytes) -> bytes:
    """Return a PNG file without what does not belong to the picture."""
    return png[:8] + b"".join(chunk for kind, chunk in chunks(png) if kind in CHUNKS)


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the whole of each chunk of a PNG file (PNG, section 5.3)."""
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at : at + 12 + length]
        at += 12 + length


def save(notebook: Notebook, path: Path) -> None:
    """Write a notebook as Jupyter does: long texts in lines, keys in order."""
    shown = json.loads(json.dumps(notebook))
    for cell in shown["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream":
                output["text"] = output["text"].splitlines(keepends=True)
    text = json.dumps(shown, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
