"""Calls the student's protocol.py, in this process, as the grader says.

The file CHANNEL says on which port the grader listens, and where the student's files
are. The grader sends requests, one JSON object a line, and each gets one line of JSON
as its answer; see `decoding`. So stdout is the student's alone: print what you like.

An error of the student's code ends this program, as it would end any other.
"""

from __future__ import annotations

import json
import linecache
import socket
import sys
import time
import traceback
import tracemalloc
from types import ModuleType
from typing import Any

CHANNEL = "channel.json"  # in the folder we are started in
NAME = "the test"  # what a traceback calls the file that a call stands in


def main() -> None:
    """Answer requests until the grader hangs up."""
    with open(CHANNEL, encoding="utf-8") as file:  # noqa: PTH123
        channel = json.load(file)
    sys.path[0] = channel["folder"]
    protocol = _imported()
    names = {name: it for name, it in vars(protocol).items() if name == "Decoder"}
    address = ("127.0.0.1", channel["port"])
    with socket.create_connection(address) as sock, sock.makefile("rw") as lines:
        for request in lines:
            answer = _answer(json.loads(request), names, protocol)
            lines.write(json.dumps(answer) + "\n")
            lines.flush()


def _imported() -> ModuleType:
    """Import the student's module; of a syntax error tell only where it is."""
    try:
        import protocol
    except SyntaxError as exc:
        traceback.print_exception(type(exc), exc, None)
        sys.exit(1)
    return protocol


def _answer(
    request: dict[str, Any], names: dict[str, Any], protocol: ModuleType
) -> dict[str, Any]:
    """Make one call; return what it returned and what it cost."""
    call, keep = request["call"], request["keep"]
    linecache.cache[NAME] = (len(call), None, [call], NAME)
    code = compile(call, NAME, "eval")
    if request["trace"]:
        tracemalloc.start()
    begun = time.process_time()
    value = eval(code, names)  # it comes from the grader
    seconds = time.process_time() - begun
    memory = tracemalloc.get_traced_memory()[0] if request["trace"] else 0
    tracemalloc.stop()
    if keep:
        names[keep] = value
        return {"seconds": seconds}
    return {"seconds": seconds, "memory": memory, **_described(value, protocol)}


def _described(value: object, protocol: ModuleType) -> dict[str, Any]:
    """Return the elements of a list as text, or what there is instead of a list."""
    if type(value) is not list:
        return {"instead": repr(value)}
    too_long = getattr(protocol, "TOO_LONG", None)
    return {"lines": ["TOO_LONG" if x is too_long else repr(x) for x in value]}


if __name__ == "__main__":
    main()
