"""The harness's one exception: this was expected, that came."""

import re
from collections.abc import Callable, Iterable

from grading.rendering import bare, quoted
from grading.report import story_text
from grading.story import Story
from grading.transcript import Transcript

# A whole line without its end, a regex for it, or what tells whether it fits.
Wanted = str | re.Pattern[str] | Callable[[str], bool]

ANY_LINE = re.compile(r".*", re.DOTALL)

LAST_WORDS = 0.3  # seconds that a program gets, if it seems to be dying


class Mismatch(AssertionError):
    """A program did not do what a test expects. str() is a report for a beginner."""

    def __init__(
        self,
        who: str,
        expected: str,
        got: str,
        transcript: Transcript,
        received: Iterable[bytes] = (),
        *,
        hung: bool = False,
    ) -> None:
        """Record the failed expectation and freeze the transcript as it is now.

        `expected` and `got` complete the sentences "alice expected ..." and
        "but got ..."; `received` holds the newest lines the person had got before.
        If the program has `hung`, the report tells where its threads stand.
        """
        transcript.record(who, "expected", note=f"{expected}, but got {got}")
        # If its connection has ended the program may be dying: hear its last words.
        dying = got.startswith(("an error", "no listener")) or any(
            e.kind == "ended" and e.actor == who for e in transcript.events()
        )
        programs = transcript.programs(LAST_WORDS if dying else 0.0, stacks=hung)
        self.story = Story(
            who=who,
            expected=expected,
            got=got,
            events=tuple(transcript.events()),
            programs=tuple(programs),
            received=tuple(received),
        )
        self.transcript = transcript
        super().__init__(who, expected, got)

    def __str__(self) -> str:
        """Return the whole report."""
        return story_text(self.story)


def matched(wanted: Wanted, line: bytes) -> re.Match[str] | None:
    """Match a whole line, without its LF or CR LF; bytes not UTF-8 appear as \\xff."""
    text = bare(line).decode(errors="backslashreplace")
    if isinstance(wanted, re.Pattern):
        return wanted.fullmatch(text)
    fits = text == wanted if isinstance(wanted, str) else wanted(text)
    return ANY_LINE.fullmatch(text) if fits else None


def described(wanted: Wanted) -> str:
    """Return what a line should be like, for the words "expected ..."."""
    if isinstance(wanted, str):
        return f"the line {quoted(wanted.encode(errors='surrogateescape'))}"
    if isinstance(wanted, re.Pattern):
        return f"a line like /{wanted.pattern}/"
    return "a line that fits"
