"""Events and program output as plain text that a beginner can read."""

from collections.abc import Iterable, Sequence

from grading.transcript import HEAD, Event, Kind, ProgramState, shortened

SHOWN = 60  # events in a report; the newest matter most
OUTPUT_LINES = 20  # lines of a program's output in a report

_ESCAPES = {0x09: r"\t", 0x0A: r"\n", 0x0D: r"\r", 0x5C: r"\\"}
_ARROWS: dict[Kind, str] = {"accepted": "<-", "got": "<-", "ended": "<-"}


def visible(data: bytes) -> str:
    r"""Return `data` as printable text: hello\r\n, é as é, other bytes as \x1b."""
    text = data.decode("utf-8", "surrogateescape")
    if text.isascii():  # nearly always
        return text.translate(_ASCII)
    return "".join(
        char if char.isprintable() and char != "\\" else _escaped(char) for char in text
    )


def _escaped(char: str) -> str:
    raw = char.encode("utf-8", "surrogateescape")
    return "".join(_ESCAPES.get(byte, f"\\x{byte:02x}") for byte in raw)


_ASCII = {code: _escaped(chr(code)) for code in (*range(0x20), 0x5C, 0x7F)}


def quoted(data: bytes, left_out: int = 0) -> str:
    """Return `data` visible, between quotes, shortened unless `left_out` bytes are."""
    if not left_out:
        data, left_out = shortened(data)
    if not left_out:
        return f'"{visible(data)}"'
    head, tail = visible(data[:HEAD]), visible(data[HEAD:])
    return f'"{head}" ... {left_out} bytes left out ... "{tail}"'


def conversation(events: Sequence[Event], last: int = SHOWN) -> str:
    """Return the `last` events as numbered lines, one per event."""
    shown = events[-last:]
    names = max((len(event.actor) for event in shown), default=0)
    who = [_who(event, names) for event in shown]
    width = max(map(len, who), default=0)
    lines = [
        f"{event.number:3}  {event.seconds:7.3f} s  {text.ljust(width)}  {_what(event)}"
        for event, text in zip(shown, who, strict=True)
    ]
    if shown and shown[0].number > 1:
        lines.insert(0, f"  ... {shown[0].number - 1} earlier events left out ...")
    return "\n".join(lines)


def _who(event: Event, width: int) -> str:
    if not event.peer:
        return event.actor
    return f"{event.actor:{width}} {_ARROWS.get(event.kind, '->')} {event.peer}"


def _what(event: Event) -> str:
    if event.kind in ("sent", "got"):
        return quoted(event.data, event.left_out)
    if event.kind in ("printed", "typed"):
        where = " on stderr" if event.note == "stderr" else ""
        return event.kind + where + " " + quoted(bare(event.data), event.left_out)
    if event.kind == "ended":
        return f"end of the connection ({event.note})"
    if event.kind == "input-ended":
        return "end of its input"
    if event.kind == "noted":
        return event.note
    return event.kind + (f": {event.note}" if event.note else "")


def bare(line: bytes) -> bytes:
    """Return `line` without its LF or CR LF."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def program_text(state: ProgramState) -> str:
    """Return how a program fares and the last lines it printed."""
    parts = [f"{state.name} ({state.command}): {state.ending}"]
    for stream, output in (("stdout", state.stdout), ("stderr", state.stderr)):
        if output:
            parts += [f"{state.name} printed on {stream}:", _last_lines(output)]
        else:
            parts += [f"{state.name} printed nothing on {stream}."]
    return "\n".join(parts)


def _last_lines(output: bytes) -> str:
    lines = [visible(bare(line)) for line in output.removesuffix(b"\n").split(b"\n")]
    left_out = ["..."] if len(lines) > OUTPUT_LINES else []
    return indented(left_out + lines[-OUTPUT_LINES:])


def indented(lines: Iterable[str]) -> str:
    """Return the lines as one text, each four columns to the right."""
    return "\n".join(f"    {line}".rstrip() for line in lines)
