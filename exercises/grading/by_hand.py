"""What a person types to see a failed test by hand: window by window, with `nc`.

Each program and each person gets a window. Whole lines are typed into `nc`. What
cannot be typed (half a line, other bytes, very many of them, a half-close) is a script
piped into `nc`: it sleeps 1 s between two pieces, and where others act in between it
waits for Enter (`read x`), so that all happens in the order of the test. `cat` at its
end passes on what is typed from then on. Every command can be pasted into a shell.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from grading.calls import to_type
from grading.shell import HOST, PORT, printing, resetting
from grading.story import Story
from grading.transcript import Event, Kind

LINES = 20  # at most; a test's beginning says enough
RUN = 3  # more lines typed in a row by one person are summed up
PIECES = 8  # that one command sends; more of them are more of the same
SAID = 200  # characters of the last line, which says what to look for
BEGINNING = 40  # characters of a line that is too long to be shown

OWN_ACTS: set[Kind] = {"sent", "half-closed", "closed", "reset", "stalled"}
ACTS: set[Kind] = OWN_ACTS | {"connected", "started", "typed", "signalled"}
ACTS |= {"input-ended"}
LISTEN = f"some kinds of nc want -l -p {PORT}"


@dataclass(frozen=True)
class _Step:
    """One thing to do in one window. `order` is when it happened in the test."""

    order: float
    window: str
    what: str = ""
    command: str = ""  # what opens the window
    typed: str | None = None  # more lines than one are pasted
    size: int = 0  # bytes of a line of which `typed` is only the beginning


def by_hand(story: Story) -> list[str]:
    """Return numbered lines; commands stand alone on theirs, four columns in."""
    if typed := to_type(story.events):
        return _calls(typed, story)
    steps = sorted(_steps(story), key=lambda step: step.order)
    if not steps:
        return []
    windows = {
        name: n for n, name in enumerate(dict.fromkeys(s.window for s in steps), 1)
    }
    lines: list[str] = []
    summed = [*_summed(steps)]
    for number, step in enumerate(summed, 1):
        lines += _said(number, windows[step.window], step)
        if len(lines) >= LINES - 4 and number < len(summed):
            rest = len(summed) - number
            lines.append(f"(and {rest} more step{'s' * (rest > 1)} like these)")
            break
    expected = " ".join(f"{story.who} expected {story.expected}".split())
    return [*lines, f"Then look: {expected[:SAID]}.", *_circumstances(story)]


def _calls(typed: Sequence[str], story: Story) -> list[str]:
    """Return how to make the calls of a test in a Python that stays open."""
    path = (Path(story.folder) / "protocol.py").as_posix()
    return [
        "1. In a window, a Python that stays open:",
        f"    {shlex.join(['python', '-i', path])}",
        "2. There, behind the >>>, type:",
        *(f"    {line}" for line in typed),
        f"Then look: {story.who} expected {story.expected}.",
    ]


def _circumstances(story: Story) -> list[str]:
    """Return what cannot be had by hand."""
    notes = [f"{e.actor} {e.note}" for e in story.events if e.kind == "noted"]
    return [f"In the test {notes[0]}. By hand it may take many tries."] if notes else []


def _said(number: int, window: int, step: _Step) -> list[str]:
    where = f"{number}. Window {window} ({step.window})"
    if step.command:
        return [f"{where}{step.what}:", f"    {step.command}"]
    if step.size:
        what = f"type a line of {step.size} bytes that begins with: {step.typed}"
        return [f"{where}, {what}"]
    if step.typed is not None:
        first, *more = step.typed.split("\n")
        if more:
            pasted = [f"    {line}".rstrip() for line in (first, *more)]
            return [
                f"{where}, paste{step.what or ' these lines, all at once'}:",
                *pasted,
            ]
        what = f"type{step.what}: {first}" if first else "press Enter"
        return [f"{where}, {what}"]
    return [f"{where}, {step.what}"]


def _summed(steps: Iterable[_Step]) -> Iterator[_Step]:
    """Yield the steps; of many alike in a row the first ones, and how many more."""
    for _, group in groupby(steps, _sort):
        run = list(group)
        if len(run) <= RUN:
            yield from run
            continue
        yield from run[: RUN - 1]
        rest, last = run[RUN - 1 :], run[-1]
        if last.size:
            what = f"type {len(rest)} more lines as long as that"
        elif last.typed is not None:
            what = f"type {len(rest)} more lines, the last one: {last.typed}"
        else:
            what = f"and {len(rest) - 1} before it, in the same way"
        yield _Step(last.order, last.window, what)


def _sort(step: _Step) -> tuple[str, ...]:
    if re.fullmatch(rf"nc {HOST} \d+", step.command):
        return "nc", step.command
    if step.size:
        return "long", step.window
    if step.typed is not None and "\n" not in step.typed and not step.what:
        return "typed", step.window
    return step.window, step.what, step.command, str(step.order)


def _steps(story: Story) -> Iterator[_Step]:
    sessions = _sessions(story.events)
    ports = _ports(story.events)
    for event in story.events:
        yield from _program_steps(event, story, ports)
    for session in sessions:
        port = ports.get(session.opened.peer, PORT)
        yield from _session_steps(session, story.events, port)
    yield from _listener_nobody_came_to(story, sessions)


# -- programs ---------------------------------------------------------------------


def _ports(events: Iterable[Event]) -> dict[str, int]:
    """Return the port of each server: two that run at a time cannot share one."""
    ports: dict[str, int] = {}
    running: set[str] = set()
    for event in events:
        if event.kind == "started" and "--port" in event.note.split():
            used = {ports[name] for name in running}
            free = set(range(PORT, PORT + len(used) + 1)) - used
            ports[event.actor] = min(free)
            running.add(event.actor)
        elif event.kind in ("exited", "killed"):
            running.discard(event.actor)
    return ports


def _program_steps(
    event: Event, story: Story, ports: Mapping[str, int]
) -> Iterator[_Step]:
    port = ports.get(event.actor, PORT)
    if event.kind == "started":
        command = _command(event.note, story.folder, port)
        yield _Step(event.number, event.actor, command=command)
    elif event.kind == "typed":
        yield _typing(event)
    elif event.kind == "input-ended":
        yield from _end_of_input(event, story)
    elif event.kind == "signalled":
        yield _signal(event, story, port)


def _typing(event: Event) -> _Step:
    text = event.data.decode(errors="replace").removesuffix("\n").removesuffix("\r")
    lines = text.replace("\r\n", "\n").split("\n")
    if event.left_out and len(lines) > 2:
        what = f" many lines at once, {len(event.data) + event.left_out} bytes, such as"
        return _Step(event.number, event.actor, what, typed="\n".join(lines[:2]))
    if event.left_out:
        size = len(event.data) + event.left_out
        begins = lines[0][:BEGINNING]
        return _Step(event.number, event.actor, typed=begins, size=size)
    what = "" if event.data.endswith(b"\n") else ", without Enter"
    if what and lines[1:]:
        what = " these lines, all at once, without Enter behind the last"
    return _Step(event.number, event.actor, what, typed="\n".join(lines))


def _end_of_input(event: Event, story: Story) -> Iterator[_Step]:
    mine = [e for e in story.events if e.actor == event.actor]
    typed = [e.data for e in mine if e.kind == "typed" and e.number < event.number]
    client = not any(e.kind == "started" and "--port" in e.note for e in mine)
    if client and len(typed) == 1 and typed[0].endswith(b"\n"):
        return  # it wants one line and has got it; the shell would take the Ctrl-D
    if typed and not typed[-1].endswith(b"\n"):
        # The first one only sends the line.
        what = "press Ctrl-D twice (on Windows Enter, Ctrl-Z, Enter)"
    else:
        what = "press Ctrl-D (on Windows Ctrl-Z, then Enter)"
    yield _Step(event.number, event.actor, what)


def _command(note: str, folder: str, port: int) -> str:
    """Return the command as a person types it, with a port that is easy to remember."""
    words = note.split()
    file = next((n for n, word in enumerate(words) if word.endswith(".py")), None)
    if file is None:
        return note
    path = (Path(folder) / words[file]).as_posix()
    arguments = words[file + 1 :]
    for place, word in enumerate(words[file:-1]):
        if word in ("--port", HOST, "localhost") and arguments[place].isdecimal():
            arguments[place] = str(port)
    return shlex.join(["python", path, *arguments])


def _signal(event: Event, story: Story, port: int) -> _Step:
    keys = {"SIGINT": "press Ctrl-C", "CTRL_BREAK_EVENT": "press Ctrl-Break"}
    if event.note in keys:
        return _Step(event.number, event.actor, keys[event.note])
    started = (e for e in story.events if (e.kind, e.actor) == ("started", event.actor))
    note = next((e.note for e in started), event.actor)
    program = _command(note, story.folder, port).removeprefix("python ")
    name = event.note.removeprefix("SIG")
    command = f"kill -{name} $(pgrep -f {shlex.quote(program)})"
    return _Step(event.number, "another", command=command)


# -- people -----------------------------------------------------------------------


@dataclass
class _Session:
    """One connection of one person, and what the person did with it."""

    opened: Event
    acts: list[Event] = field(default_factory=list)

    @property
    def listens(self) -> bool:
        return self.opened.kind == "accepted"

    def scripted(self) -> int:
        """Return how many acts must be done by the command that opens the window."""
        count = 0
        for number, act in enumerate(self.acts, 1):
            if act.kind in ("half-closed", "reset") or not _can_be_typed(act):
                count = number
        return count


def _sessions(events: Iterable[Event]) -> list[_Session]:
    sessions: list[_Session] = []
    current: dict[tuple[str, str], _Session] = {}
    for event in events:
        who = (event.actor, event.peer)
        if event.kind in ("connected", "accepted"):
            current[who] = _Session(event)
            sessions.append(current[who])
        elif event.kind in OWN_ACTS and who in current:
            current[who].acts.append(event)
    return sessions


def _can_be_typed(event: Event) -> bool:
    """Whether it is one whole line that can be read, typed and sent with Enter."""
    if event.kind != "sent":
        return True
    line = event.data.decode(errors="replace")
    text = line.removesuffix("\n")
    plain = text.isprintable() and "\ufffd" not in text and text == text.strip()
    return line.endswith("\n") and plain and len(text) <= 200 and not event.left_out


def _session_steps(
    session: _Session, events: Sequence[Event], port: int
) -> Iterator[_Step]:
    opened, count = session.opened, session.scripted()
    acts = [
        a for n, a in enumerate(session.acts[:count]) if n < PIECES or n == count - 1
    ]
    script = [_Act(act, _others(session, act, events)) for act in acts]
    yield _Step(
        order=_order(session, events),
        window=opened.actor,
        what=_remarks(session, acts, count - len(acts)),
        command=_opening(session, script, port),
    )
    for act in script:
        if act.waits:
            yield _Step(
                act.event.number, opened.actor, f"press Enter {_aim(act.event)}"
            )
    for event in session.acts[count:]:
        if event.kind == "sent":
            line = event.data.decode().removesuffix("\n")
            yield _Step(event.number, opened.actor, typed=line)
        elif event.kind == "stalled":
            what = "press Ctrl-Z: now nc reads no more (fg goes on)"
            yield _Step(event.number, opened.actor, what)
        elif any(act.kind == "stalled" for act in session.acts):
            yield _Step(event.number, opened.actor, typed="kill -KILL %1")
        elif not _left_by_itself(session.acts[:count]):
            yield _Step(event.number, opened.actor, "press Ctrl-C")


@dataclass(frozen=True)
class _Act:
    """One act of a script, and whether it waits until others have acted."""

    event: Event
    waits: bool


def _others(session: _Session, act: Event, events: Iterable[Event]) -> bool:
    """Whether others did something between this act and the one before it."""
    place = session.acts.index(act)
    since = session.acts[place - 1] if place else session.opened
    return any(
        since.number < event.number < act.number and event.kind in ACTS
        for event in events
    )


def _aim(event: Event) -> str:
    aims = {
        "half-closed": "to end the sending side",
        "reset": "to reset the connection",
    }
    return aims.get(event.kind, "to send the next piece")


def _remarks(session: _Session, acts: Sequence[Event], left_out: int) -> str:
    with_nc = not any(act.kind == "reset" for act in acts)
    remarks = [LISTEN] if session.listens and with_nc else []
    if any(act.left_out for act in acts):
        remarks.append("as much as in the test, but other text")
    if left_out:
        remarks.append(f"shortened: {left_out} pieces are left out")
    return "".join(f", {remark}" for remark in remarks)


def _left_by_itself(acts: Iterable[Event]) -> bool:
    return any(act.kind in ("half-closed", "reset") for act in acts)


def _order(session: _Session, events: Iterable[Event]) -> float:
    """Return when to open the window: a server before the client that comes to it."""
    if session.listens:
        peer = session.opened.peer
        mine = [e for e in events if e.actor == peer and e.kind == "started"]
        first = [e for e in events if e.kind == "accepted" and e.peer == peer][:1]
        if mine and first == [session.opened]:
            return mine[0].number - 0.5
    return session.opened.number


def _listener_nobody_came_to(
    story: Story, sessions: Iterable[_Session]
) -> Iterator[_Step]:
    """Yield the server of a client that was to connect and did not."""
    program, _, wanted = story.expected.partition(" ")
    started = [e for e in story.events if (e.kind, e.actor) == ("started", program)]
    if wanted == "to connect" and started and not any(s.listens for s in sessions):
        order = started[0].number - 0.5
        yield _Step(order, story.who, f", {LISTEN}", f"nc -l {PORT}")


# -- commands ---------------------------------------------------------------------


def _opening(session: _Session, script: Sequence[_Act], port: int) -> str:
    kinds = [act.event.kind for act in script]
    if "reset" in kinds:
        pieces = [(act.waits, act.event) for act in script]
        return resetting(pieces, listens=session.listens, port=port)
    ends = "half-closed" in kinds
    where = f"-l {PORT}" if session.listens else f"{HOST} {port}"
    nc = f"nc -N {where}" if ends else f"nc {where}"
    words = [*_words(script)]
    if not words:
        return f"{nc} </dev/null" if ends else nc
    words += [] if ends else ["cat"]
    return f"({'; '.join(words)}) | {nc}" if words[1:] else f"{words[0]} | {nc}"


def _words(script: Sequence[_Act]) -> Iterator[str]:
    """Yield the commands that send the pieces and wait between them."""
    for number, act in enumerate(script):
        if act.waits:
            yield "read x"
        elif number and act.event.kind == "sent":
            yield "sleep 1"
        if act.event.kind == "sent":
            yield printing(act.event)
