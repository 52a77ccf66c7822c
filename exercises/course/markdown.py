"""Markdown of which nothing that a student has written is part."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Cells are text of ours; only | must be kept from the table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def fenced(text: str) -> str:
    """Return a block of Markdown that shows `text` as it is, whatever is in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def cut(parts: Sequence[str], most: int) -> str:
    """Return the parts, with blank lines between, as many of them as there is room."""
    kept, size = [], 0
    for part in parts:
        size += len(part.encode()) + 2
        if size > most - 100:
            kept.append("(There is more; it does not fit in here.)")
            break
        kept.append(part)
    return "\n\n".join(kept) + "\n"
