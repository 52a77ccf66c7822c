"""What went wrong with a program itself, in plain sentences. Pure.

A test sees only that a line does not come. Often the program has said why: it has
ended, a thread of it has died of an error, it runs in circles, or it all waits.
"""

import re
from collections.abc import Iterator

from grading.story import Story
from grading.transcript import ProgramState

LINE = 200  # characters of a line that are quoted
MUCH = 10_000_000  # bytes printed; more than a person would read

# What the system kills a program for.
_SIGNALS = {
    "SIGXCPU": "it took more processor time than it may have",
    "SIGSEGV": "Python itself has crashed",
    "SIGABRT": "Python itself has crashed",
    "SIGKILL": "that was the program itself, or the system, as it ran out of memory",
    "SIGPIPE": "it wrote where nobody reads, and had asked to be killed for that",
}

# What ends a program that is told to stop. Asyncio tells of it what nobody asked for.
LAST_WORDS = ("KeyboardInterrupt", "asyncio.exceptions.CancelledError")
_TRACEBACK = re.compile(
    r"(?:^Exception in thread (?P<thread>.+):\n)?"
    r"^Traceback \(most recent call last\):\n"
    r"(?P<calls>(?:^[ \t].*\n|^\n)*)"
    r"^(?P<error>[^\s\n].*)$",
    re.MULTILINE,
)
_SYNTAX = re.compile(
    r'\A  File "(?P<file>[^"]+)", line (?P<line>\d+)\n'
    r"(?:.*\n)*?(?P<error>\w+Error: .*)"
)
_CRASH = re.compile(
    r"^Fatal Python error: _enter_buffered_busy: .*'(<\w+>)'", re.MULTILINE
)
_CALL = re.compile(
    r'^  File "([^"]+)", line (\d+), in (.+)\n(?:    (.*)\n)?', re.MULTILINE
)


def diagnose(story: Story) -> list[str]:
    """Return what is wrong with the programs, the likeliest cause first."""
    return [sentence for state in story.programs for sentence in _of(state, story)]


def _of(state: ProgramState, story: Story) -> Iterator[str]:
    name = state.name
    errors = [*unhandled_errors(state), *_crash(state)]
    yield from _stopped(state)
    yield from errors or _killed(state, story)
    yield from _other_ready_line(state, story)
    if not errors and _ended_too_early(state, story):
        told = _told_to_stop(state, story)
        why = ": it was told to stop." if told else ", but it was still needed."
        yield f"{name} has ended ({state.ending}){why}{_last_words(state)}"
    if state.busy:
        yield (
            f"{name} never rests: some loop in it goes round and round without"
            f" waiting.{_of_streams(state, story)}"
        )
    elif state.moves:
        yield (
            f"{name} never rests: some loop in it goes on and on."
            f"{_of_streams(state, story)}"
        )
    if state.printed > MUCH:
        yield f"{name} prints far too much: {state.printed // 1_000_000} MB so far."
    if state.children:
        yield f"{name} has started other programs: {state.children} of them still run."
    restless = state.busy or state.moves
    if state.running and not errors and not restless and state.threads:
        yield (
            f"{name} runs, but nothing in it moves: every thread waits."
            " Where each one stands is shown below."
        )


def _stopped(state: ProgramState) -> Iterator[str]:
    if took := state.took_too_much:
        yield f"{state.name} was stopped by the grader: it took {took}."


def _killed(state: ProgramState, story: Story) -> Iterator[str]:
    """Yield what the system, or the program itself, has killed it for."""
    if state.ending.startswith("killed by ") and not _killed_by_test(state, story):
        why = _SIGNALS.get(state.ending.split()[-1], "that was the program itself")
        yield f"{state.name} has ended ({state.ending}): {why}.{_last_words(state)}"


def _killed_by_test(state: ProgramState, story: Story) -> bool:
    return any(
        event.kind in ("signalled", "killed")
        for event in story.events
        if event.actor == state.name
    )


def _ended_too_early(state: ProgramState, story: Story) -> bool:
    watched = tuple(f"{state.name} to {verb} " for verb in ("print", "listen"))
    needed = story.who != "the test" or story.expected.startswith(watched)
    return state.ending.startswith("exit code") and needed


def _told_to_stop(state: ProgramState, story: Story) -> bool:
    """Tell whether it had a reason: a signal, or the word `exit`."""
    return any(
        event.kind == "signalled"
        or (event.kind == "typed" and event.data.strip() == b"exit")
        for event in story.events
        if event.actor == state.name
    )


def _other_ready_line(state: ProgramState, story: Story) -> Iterator[str]:
    if story.expected.startswith(f"{state.name} to print the ready line"):
        printed = state.stdout.decode(errors="replace").strip().splitlines()
        if printed:
            line = _short(printed[0])
            yield f'{state.name} has printed "{line}": that is another line.'


def _of_streams(state: ProgramState, story: Story) -> str:
    """Return the likeliest reason for that, if a stream may have ended at all."""
    reasons = []
    if any(event.kind in ("connected", "accepted") for event in story.events):
        reasons.append('At the end of a stream recv() returns b"" at once, every time.')
    ended = [e.actor for e in story.events if e.kind == "input-ended"]
    if state.name in ended:
        reasons.append(
            'At the end of its input sys.stdin.readline() returns "" at once, every'
            " time."
        )
    return f" ({' '.join(reasons)})" if reasons else ""


def _crash(state: ProgramState) -> Iterator[str]:
    """Yield what Python means when it aborts instead of ending."""
    match = _CRASH.search(state.stderr.decode(errors="replace"))
    if match and match[1] == "<stdin>":
        yield (
            f"{state.name} crashed at its end: a daemon thread was still waiting in"
            " input(), and Python cannot end in good order then. A loop over sys.stdin"
            " does not have this trouble."
        )
    elif match:
        yield (
            f"{state.name} crashed at its end: a daemon thread was just printing, and"
            " Python cannot end in good order then."
        )


def _last_words(state: ProgramState) -> str:
    lines = state.stderr.decode(errors="replace").strip().splitlines()
    return f' Its last words were: "{_short(lines[-1].strip())}"' if lines else ""


def _short(line: str) -> str:
    return line if len(line) <= LINE else f"{line[:LINE]}..."


def unhandled_errors(state: ProgramState) -> Iterator[str]:
    """Yield a sentence for each error that nothing in the program has caught."""
    text = state.stderr.decode(errors="replace").replace("\r\n", "\n")
    if match := _SYNTAX.search(text):
        where = f"{match['file']}, line {match['line']}"
        yield f"Python cannot read the program ({where}): {match['error']}"
    for match in _TRACEBACK.finditer(text):
        if match["error"].startswith(LAST_WORDS):
            continue
        victim = _victim(match, state)
        yield f"{victim} died of an error that nothing catches: {_error(match)}"


def _victim(match: re.Match[str], state: ProgramState) -> str:
    if match["thread"]:
        return f"The thread {match['thread']} of {state.name}"
    return state.name if not state.running else f"Something in {state.name}"


def _error(match: re.Match[str]) -> str:
    calls = _CALL.findall(match["calls"])
    error = _short(match["error"])
    if not calls:
        return error
    own = [call for call in calls if "/" not in call[0] and "\\" not in call[0]]
    file, line, function, source = (own or calls)[-1]
    quoted = f": {_short(source)}" if source else ""
    return f"{error}  ({file}, line {line}, in {function}{quoted})"
