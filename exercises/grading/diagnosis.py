"""What went wrong with a program itself, in plain sentences. Pure.

A test sees only that a line does not come. Often the program has said why: it has
ended, a thread of it has died of an error, it runs in circles, or it all waits.
"""

import re
from collections.abc import Iterator

from grading.story import Story
from grading.transcript import ProgramState

MUCH = 10_000_000  # bytes printed; more than a person would read

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
_CALL = re.compile(
    r'^  File "([^"]+)", line (\d+), in (.+)\n(?:    (.*)\n)?', re.MULTILINE
)


def diagnose(story: Story) -> list[str]:
    """Return what is wrong with the programs, the likeliest cause first."""
    return [sentence for state in story.programs for sentence in _of(state, story)]


def _of(state: ProgramState, story: Story) -> Iterator[str]:
    name = state.name
    errors = list(unhandled_errors(state))
    yield from errors
    if not errors and _ended_too_early(state, story):
        words = _last_words(state)
        yield f"{name} has ended ({state.ending}), but it was still needed.{words}"
    if state.busy:
        yield (
            f"{name} never rests: some loop in it goes round and round without"
            f" waiting.{_of_streams(story)}"
        )
    if state.printed > MUCH:
        yield f"{name} prints far too much: {state.printed // 1_000_000} MB so far."
    if state.children:
        yield f"{name} has started other programs: {state.children} of them still run."
    if state.running and not errors and not state.busy and state.threads:
        yield (
            f"{name} runs, but nothing in it moves: every thread waits."
            " Where each one stands is shown below."
        )


def _ended_too_early(state: ProgramState, story: Story) -> bool:
    needed = story.who != "the test" or " to print " in story.expected
    return state.ending.startswith("exit code") and needed


def _of_streams(story: Story) -> str:
    """Return the likeliest reason for that, if there are connections at all."""
    if not any(event.kind in ("connected", "accepted") for event in story.events):
        return ""
    return ' (At the end of a stream recv() returns b"" at once, every time.)'


def _last_words(state: ProgramState) -> str:
    lines = state.stderr.decode(errors="replace").strip().splitlines()
    return f' Its last words were: "{lines[-1].strip()}"' if lines else ""


def unhandled_errors(state: ProgramState) -> Iterator[str]:
    """Yield a sentence for each error that nothing in the program has caught."""
    text = state.stderr.decode(errors="replace").replace("\r\n", "\n")
    if match := _SYNTAX.search(text):
        where = f"{match['file']}, line {match['line']}"
        yield f"Python cannot read the program ({where}): {match['error']}"
    for match in _TRACEBACK.finditer(text):
        if match["error"].startswith("KeyboardInterrupt"):
            continue
        victim = _victim(match, state)
        yield f"{victim} died of an error that nothing catches: {_error(match)}"


def _victim(match: re.Match[str], state: ProgramState) -> str:
    if match["thread"]:
        return f"The thread {match['thread']} of {state.name}"
    return state.name if not state.running else f"Something in {state.name}"


def _error(match: re.Match[str]) -> str:
    calls = _CALL.findall(match["calls"])
    if not calls:
        return match["error"]
    own = [call for call in calls if "/" not in call[0] and "\\" not in call[0]]
    file, line, function, source = (own or calls)[-1]
    quoted = f": {source}" if source else ""
    return f"{match['error']}  ({file}, line {line}, in {function}{quoted})"
