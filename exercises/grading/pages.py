"""The report as a page: points, and for each failure all there is to know about it.

Everything is in one file that needs no network and no scripts, for a screen, a phone or
paper. The words and pictures come from the modules that make them; `page.html.j2`
only arranges them.
"""

import re
from collections.abc import Iterator, Sequence
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
    failures = list(_failures(stories))
    for failure in failures:
        if failure.picture:
            _write(folder / f"{failure.name}.svg", failure.picture)
    page = folder / "index.html"
    _write(page, _page(results, failures))
    return page


def _write(path: Path, text: str) -> None:
    # What students print may hold half characters, which UTF-8 does not allow.
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


def _page(results: Sequence[StepResult], failures: Sequence[Failure]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2").render(
        results=results,
        points=sum(result.points for result in results),
        of=sum(result.of for result in results),
        failures=failures,
    )


def _failures(stories: Sequence[Story]) -> Iterator[Failure]:
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
