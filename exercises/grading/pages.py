"""The report as a page: points, and for each failure all there is to know about it.

Everything is in one file that needs no network and no scripts, for a screen, a phone or
paper. The words and pictures come from the modules that make them; `page.html.j2`
only arranges them. Other pages that look the same are made with `environment`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from grading.by_hand import by_hand
from grading.diagnosis import diagnose
from grading.diagram import lay_out
from grading.drawing import as_svg
from grading.points import StepResult
from grading.rendering import conversation, program_text, quoted
from grading.report import threads_text
from grading.story import Story

# Control characters but tab and line feed, and those that turn the text's direction.
_NO_TEXT = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)


@dataclass(frozen=True)
class Failure:
    """One story, and what is made of it."""

    story: Story
    name: str  # of its files, and of its place in the page
    causes: list[str]
    hint: Markup
    picture: Markup  # SVG; empty if nothing happened
    conversation: str
    received: list[str]
    threads: list[tuple[str, str]]  # program, where its threads stand
    programs: list[str]
    commands: str


def write(
    folder: Path, results: Sequence[StepResult], stories: Sequence[Story]
) -> Path:
    """Write index.html, and a picture a story, into `folder`; return the page's path.

    The folder is made if it is missing; files of the same names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    failures = list(failures_of(stories))
    for failure in failures:
        if failure.picture:
            _write(folder / f"{failure.name}.svg", failure.picture)
    page = folder / "index.html"
    _write(page, _page(results, failures))
    return page


def _write(path: Path, text: str) -> None:
    path.write_bytes(encoded(text))


def encoded(text: str) -> bytes:
    """Return the bytes of a page: what no page may hold is replaced.

    What students print may hold half characters, which UTF-8 does not allow, and what
    moves a terminal's cursor or turns the direction of the text.
    """
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text).encode(
        "utf-8", "backslashreplace"
    )


def environment(*folders: Path) -> Environment:
    """Return what renders the templates in `folders`, and those of this one."""
    return Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _page(results: Sequence[StepResult], failures: Sequence[Failure]) -> str:
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            results=results,
            points=sum(result.points for result in results),
            of=sum(result.of for result in results),
            failures=failures,
            level=2,
        )
    )


def failures_of(stories: Iterable[Story]) -> Iterator[Failure]:
    """Yield what is made of each story; their names differ, whatever the case."""
    taken: set[str] = set()
    for story in stories:
        name = _free(story, taken)
        taken.add(name.lower())  # some file systems know no case
        diagram = lay_out(story.events)
        yield Failure(
            story=story,
            name=name,
            causes=diagnose(story),
            hint=_marked(story.hint),
            picture=Markup(as_svg(diagram) if diagram.rows else ""),
            conversation=conversation(story.events),
            received=[quoted(line) for line in story.received],
            threads=[(s.name, threads_text(s)) for s in story.programs if s.threads],
            programs=[program_text(state) for state in story.programs],
            commands="\n".join(by_hand(story)),
        )


def _marked(hint: str) -> Markup:
    """Return a hint with its code, of a few lines or a few letters, marked as such."""
    text = re.sub(
        r"\n*```\w*\n(.*?)\n?```\n?", r"<pre>\1</pre>", escape(hint), flags=re.DOTALL
    )
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", text))


def _free(story: Story, taken: set[str]) -> str:
    """Return STEP.TEST in characters that every file system takes, and that is new."""
    wanted = re.sub(r"[^\w.-]+", "_", f"{story.step}.{story.test}", flags=re.ASCII)
    wanted = wanted.strip(".") or "story"
    name, count = wanted, 1
    while name.lower() in taken:
        count += 1
        name = f"{wanted}-{count}"
    return name
