"""What students get: the exercises, and nothing that gives answers away.

It is made of a list of what goes along (see `bundle`), so nothing goes along by
accident. Texts are changed where they speak of what is left out. That a starter holds
a clean version of the steps before it is meant so, and no leak.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from course import bundle
from course.bundle import Files
from grading.places import KIT
from grading.steps import POINTS, Step, all_steps

NEEDED = ["pytest", "pytest-timeout", "pytest-xdist", "psutil", "rich", "watchfiles"]
NEEDED += ["Jinja2"]
TEMPLATES = bundle.TEMPLATES / "handout"
KIND = "hand-out"
REFERENCE = ("server", "client")

# What exercises/README.md says to those who have all of the kit.
FOR_OTHERS = ("How yours compares with ours", "For instructors")
OTHERWISE = {
    ", which stands next to [the one in `server/`](../server/mchat.py)": "",
    "](../README.md#test)": "](../README.md#set-up)",
    "the reference: `python server/mchat.py`": "that of somebody who has",
}
SOME = (
    "These are exercises from a path that leads from a first socket to a chat server of"
    " your own."
)
EXAMPLE = "05_broadcast"  # in its commands
SOLUTIONS = re.compile(r"^\| `python exercises show .*\n", re.MULTILINE)
ROW = re.compile(r"^\| \[(\d\d_\w+)\]\(.*\n", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")


def build(out: Path, steps: Sequence[Step], *, server: bool = False) -> None:
    """Write it. With `server` the reference is part of it, server and client."""
    bundle.write_folder(out, files(steps, server=server), KIND)


def files(steps: Sequence[Step], *, server: bool = False) -> Files:
    """Return all of it, by names."""
    found = bundle.for_students(steps)
    found["exercises/README.md"] = _overview(steps, server=server)
    found["README.md"] = _readme(steps, server=server)
    found["requirements.txt"] = bundle.requirements(NEEDED)
    found[".gitignore"] = (TEMPLATES / "gitignore").read_bytes()
    if server:
        for folder in REFERENCE:
            found |= bundle.named(sorted((KIT / folder).glob("*.py")))
    pages = [name for name in found if name.endswith(".md")]
    return found | {name: _linked(name, found, server=server) for name in pages}


def _readme(steps: Sequence[Step], *, server: bool) -> bytes:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # it is Markdown, and all of it is ours
    )
    template = env.get_template("README.md.j2")
    some = SOME if len(steps) < len(all_steps()) else ""
    values = {"steps": steps, "points": POINTS, "server": server, "some": some}
    return template.render(values).encode()


def _overview(steps: Sequence[Step], *, server: bool) -> bytes:
    """Return exercises/README.md without what is for others."""
    text = (KIT / "exercises" / "README.md").read_text(encoding="utf-8")
    first, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    others = FOR_OTHERS[1:] if server else FOR_OTHERS
    if len(steps) < len(all_steps()):
        first = re.sub(r"(?<=\n\n).*(?=\n\n)", SOME, first, count=1)
    kept = [
        it for it in sections if not it.startswith(tuple(f"## {o}" for o in others))
    ]
    text = SOLUTIONS.sub("", first + "".join(kept))
    names = {step.name for step in steps}
    if EXAMPLE not in names:
        text = text.replace(EXAMPLE, steps[0].name)
        text = text.replace(f"reset {EXAMPLE[:2]}", f"reset {steps[0].number}")
    return ROW.sub(lambda row: row[0] if row[1] in names else "", text).encode()


def _linked(name: str, found: Files, *, server: bool) -> bytes:
    """Return a page whose links all lead somewhere."""
    text = found[name].decode()
    for old, new in OTHERWISE.items():
        if not (server and "server" in old):
            text = text.replace(old, new)

    def link(match: re.Match[str]) -> str:
        image, words, target, anchor = match.groups()
        path = _path(PurePosixPath(name).parent / target)
        if path in found and (not anchor or anchor in _anchors(found[path])):
            return match[0]
        return "" if image else words

    return LINK.sub(link, text).encode()


def _anchors(page: bytes) -> set[str]:
    """Return the headings of a page as links name them: #how-it-goes."""
    titles = re.findall(r"^#+ (.*)$", page.decode(), re.MULTILINE)
    plain = [re.sub(r"[^\w -]", "", title).lower() for title in titles]
    return {f"#{title.replace(' ', '-')}" for title in plain}


def _path(path: PurePosixPath) -> str:
    """Return a path without `..`."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return "/".join(parts)
