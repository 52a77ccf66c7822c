"""The harness's one exception: this was expected, that came."""

import re
from collections.abc import Iterable

from grading.rendering import bare, full_text, indented, quoted
from grading.transcript import Transcript

Wanted = str | re.Pattern[str]  # a whole line without its end, or a regex for it


class Mismatch(AssertionError):
    """A program did not do what a test expects. str() is a report for a beginner."""

    def __init__(
        self,
        who: str,
        expected: str,
        got: str,
        transcript: Transcript,
        received: Iterable[bytes] = (),
    ) -> None:
        """Record the failed expectation and freeze the transcript as it is now.

        `expected` and `got` complete the sentences "alice expected ..." and
        "but got ..."; `received` holds the newest lines the person had got before.
        """
        transcript.record(who, "expected", note=f"{expected}, but got {got}")
        self.who = who
        self.expected = expected
        self.got = got
        self.received = list(received)
        self.transcript = transcript
        # If its connection has ended the program may be dying: hear its last words.
        ended = any(e.kind == "ended" and e.actor == who for e in transcript.events())
        self.programs = transcript.programs(patience=0.3 if ended else 0.0)
        self.events = transcript.events()
        super().__init__(self._report())

    def _report(self) -> str:
        parts = [f"{self.who} expected {self.expected}\nbut got {self.got}"]
        if self.received:
            lines = indented(quoted(line) for line in self.received)
            parts.append(f"The last lines {self.who} had got before:\n{lines}")
        parts.append(full_text(self.events, self.programs))
        return "\n\n".join(parts)


def matched(wanted: Wanted, line: bytes) -> re.Match[str] | None:
    """Match a whole line, without its LF or CR LF; bytes not UTF-8 appear as \\xff."""
    text = bare(line).decode(errors="backslashreplace")
    pattern = re.compile(re.escape(wanted)) if isinstance(wanted, str) else wanted
    return pattern.fullmatch(text)


def described(wanted: Wanted) -> str:
    """Return what a line should be like, for the words "expected ..."."""
    if isinstance(wanted, str):
        return f"the line {quoted(wanted.encode(errors='surrogateescape'))}"
    return f"a line like /{wanted.pattern}/"
