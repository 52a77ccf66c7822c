"""The report of one failed expectation, as text for a beginner.

It goes from the sentence that matters to the details, each under a heading, and ends
with what to do next.
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from grading.by_hand import by_hand
from grading.diagnosis import diagnose
from grading.diagram import as_text, lay_out
from grading.rendering import conversation, indented, program_text, quoted
from grading.story import Story
from grading.transcript import Event, ProgramState

WIDTH = 88  # columns, for sentences


def story_text(story: Story) -> str:
    """Return the whole report; its first line is what was expected."""
    return _joined(_sections(story))


def _joined(sections: Iterable[tuple[str, str]]) -> str:
    return "\n\n".join(
        f"{heading}\n{indented(text.splitlines())}" if heading else text
        for heading, text in sections
    )


def _sections(story: Story) -> Iterator[tuple[str, str]]:
    if story.shows:
        yield f"What this test shows{_points(story.points)}", wrapped(story.shows)
    yield "" if not story.shows else "What happened", summary(story)
    if causes := diagnose(story):
        yield "What is wrong with the program", "\n".join(map(wrapped, causes))
    if story.received:
        lines = "\n".join(quoted(line) for line in story.received)
        yield f"The last lines that {story.who} had got before", lines
    yield from _happened(story.events, story.programs)
    if story.step:
        yield "See it by hand", "\n".join(by_hand(story))
    if story.hint:
        hint = "\n".join(map(wrapped_line, story.hint.splitlines()))
        yield f"Hint (TODO {story.todo})", f"{hint}\n\n{_more(story)}"


def _happened(
    events: Sequence[Event], programs: Iterable[ProgramState]
) -> Iterator[tuple[str, str]]:
    yield "The conversation", conversation(events) or "(nothing yet)"
    if not any(event.kind == "called" for event in events):  # between two at most
        yield "Who sent what to whom", as_text(lay_out(events))
    for state in programs:
        if state.threads:
            yield f"Where the threads of {state.name} stand", threads_text(state)
        yield f"How {state.name} fares", program_text(state)


def happened_text(events: Sequence[Event], programs: Iterable[ProgramState]) -> str:
    """Return what has happened so far, for failures that are no mismatch."""
    return _joined(_happened(events, programs))


def summary(story: Story) -> str:
    """Return the sentence that matters, on two lines."""
    return f"{story.who} expected {story.expected}\nbut got {story.got}"


def _points(points: int) -> str:
    return f" ({points} point{'' if points == 1 else 's'})" if points else ""


def _more(story: Story) -> str:
    return f"More: python exercises hint {story.step[:2]}"


def threads_text(state: ProgramState) -> str:
    """Return where each thread stands, the innermost call last."""
    rows = []
    for thread in state.threads:
        rows.append(f"{thread.name}:")
        for call in thread.calls:
            rows.append(f"  {call.file}, line {call.line}, in {call.function}")
            rows.append(f"      {call.source}")
    return "\n".join(rows)


def wrapped_line(line: str) -> str:
    """Return a line of Markdown, broken only if it is a long one."""
    return wrapped(line) if len(line) > WIDTH - 4 else line


def wrapped(text: str) -> str:
    """Return a sentence broken into lines."""
    return textwrap.fill(" ".join(text.split()), WIDTH - 4, break_long_words=False)
