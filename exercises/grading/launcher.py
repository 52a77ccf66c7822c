"""Runs a student's program inside its own process, so that we can look into it.

    python -E -u launcher.py CONTROL_PORT SYSTEM LIMITS PROGRAM [ARGUMENT ...]

The program runs as `__main__`, as if started by itself. Beside it a thread, which
`threading` does not know of, answers through CONTROL_PORT where all threads stand.

SYSTEM is - or one of those that `systems` makes, on which mistakes show that would
need luck, or long waits, otherwise.

LIMITS is - or such as CPU=60,NOFILE=1024, by the names of setrlimit(2).

Within walls `forkserver` calls us, in a fork.

This module runs before the program: it imports little (not even pathlib), and nothing
of ours.
"""

from __future__ import annotations

import _thread
import os
import sys

TYPE_CHECKING = False  # type checkers take it for True; spares importing typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from traceback import TracebackException
    from types import CodeType, FrameType, TracebackType
    from typing import Any

# Within walls, what two processes say first: process 1, and the program's.
FIRST, STARTED = b"first", b"started"


def run(words: list[str], *, forked: bool = False) -> None:
    """Run the program that `words` name."""
    port, system, limits, path, *arguments = words
    if limits != "-":
        _set(limits)
    sys.argv[:] = [path, *arguments]
    path = os.path.abspath(path)  # noqa: PTH100
    folder = os.path.dirname(path)  # noqa: PTH120
    sys.path[0] = folder
    _show_errors(folder)
    if int(port):
        _answer_questions(int(port))
    if system != "-":
        _make(system, folder)
    module = type(sys)("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    compiled = _compiled(path)
    if limits != "-" and not forked:
        _keep_to_ourselves()
    _execute(compiled, vars(module))


def _make(system: str, folder: str) -> None:
    sys.path[0] = os.path.dirname(HERE)  # noqa: PTH120
    import systems  # type: ignore[import-not-found]  # it lies beside us

    sys.path[0] = folder
    systems.make(system, folder)


def _compiled(path: str) -> CodeType:
    with open(path, "rb") as file:  # noqa: PTH123
        return compile(file.read(), path, "exec", dont_inherit=True)


def _execute(compiled: CodeType, variables: dict[str, Any]) -> None:
    try:
        exec(compiled, variables)  # the student's program, in its own process
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        _exit_code.append(code & 0xFF)
        raise
    except Exception:
        _exit_code.append(1)
        raise
    _exit_code.append(0)


_exit_code: list[int] = []  # once the program has come to its end in good order


def end() -> None:
    """End a fork here and now, after all that Python does for a program that ends.

    A fork shares memory as long as nobody writes to it. To clear it away, as Python
    does in the very end, would mean to copy all of it first. But if threads are left,
    that end is not always a good one, and must be seen.
    """
    import threading

    if _exit_code and threading.active_count() == 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_code[0])


# --------------------------------------------------------------------- confinement


def _keep_to_ourselves() -> None:
    """Without walls, let the program not open or start files of the kit.

    That is no wall: who tries hard gets round it. But nobody runs the reference by
    three lines of Python and passes for its author.
    """
    folder = os.path.dirname(os.path.abspath(HERE))  # noqa: PTH100, PTH120
    kit = os.path.dirname(os.path.dirname(folder))  # noqa: PTH120
    names = ("server", "client", "tests", "exercises")
    kept = tuple(os.path.join(kit, name, "") for name in names)  # noqa: PTH118

    def look(event: str, args: tuple[Any, ...]) -> None:
        if event in OPENS:
            for word in _words(args):
                path = os.path.abspath(word)  # noqa: PTH100
                if os.path.join(path, "").startswith(kept):  # noqa: PTH118
                    raise PermissionError(13, "The grader keeps this to itself", path)

    sys.addaudithook(look)


# Events of sys.audit(): what opens a file, or starts a program.
OPENS = {"open", "os.listdir", "os.scandir", "os.symlink", "os.link", "os.exec"}
OPENS |= {"os.spawn", "os.posix_spawn", "os.system", "subprocess.Popen"}


def _words(value: object) -> Any:
    """Yield the strings in the arguments of a call; a command line word by word."""
    if isinstance(value, bytes):
        value = os.fsdecode(value)
    if isinstance(value, str):
        yield value
        yield from value.split()
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _words(inner)
    elif hasattr(value, "__fspath__"):
        yield os.fspath(value)


def _set(limits: str) -> None:
    import resource

    for limit in limits.split(","):
        name, _, number = limit.partition("=")
        what = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(what)
        most = int(number) if hard == resource.RLIM_INFINITY else min(int(number), hard)
        resource.setrlimit(what, (most, most))


HERE = run.__code__.co_filename  # what a traceback calls this file


# ------------------------------------------------------------------------- errors


def _show_errors(folder: str) -> None:
    """Show errors that nothing catches as if the program ran by itself.

    That is: without frames of this file, and files of the program without `folder`.
    Each in one write, so that those of two threads do not get mixed up.
    """
    import threading

    def show(
        kind: type[BaseException],
        exc: BaseException | None,
        trace: TracebackType | None,
        heading: str = "",
    ) -> None:
        import traceback

        told = traceback.TracebackException(kind, exc, trace)  # type: ignore[arg-type]
        _shorten(told, folder)
        sys.stderr.write(heading + "".join(told.format()))

    def show_of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else "?"
            heading = f"Exception in thread {name}:\n"
            show(args.exc_type, args.exc_value, args.exc_traceback, heading)

    sys.excepthook = show
    threading.excepthook = show_of_thread


def _is_ours(filename: str) -> bool:
    """Whether it is this file or one beside it: the fork server."""
    return os.path.dirname(filename) == os.path.dirname(HERE)  # noqa: PTH120


def _shorten(told: TracebackException, folder: str) -> None:
    """Begin with the program's first frame, and name its files as its author does."""
    inside = folder + os.sep
    frames = [frame for frame in told.stack if not _is_ours(frame.filename)]
    own = [n for n, frame in enumerate(frames) if frame.filename.startswith(inside)]
    told.stack[:] = frames[own[0] if own else 0 :]
    for frame in told.stack:
        # The line is looked up while the file can still be found.
        _ = frame.line
        frame.filename = frame.filename.removeprefix(inside)
    for before in (told.__cause__, told.__context__):
        if before:
            _shorten(before, folder)


# ------------------------------------------------------------- where threads stand


def _answer_questions(port: int) -> None:
    import socket

    sock = socket.socket()
    try:
        sock.connect(("127.0.0.1", port))
    except OSError:
        return  # the grader is gone, so nobody will ask
    _thread.start_new_thread(_answer, (sock.recv, sock.sendall))


def _answer(recv: Callable[[int], bytes], sendall: Callable[[bytes], None]) -> None:
    try:
        while recv(1):
            sendall(_stacks().encode(errors="replace") + b"\n")
    except OSError:
        return  # the program has closed what it did not open
    os._exit(1)  # the grader is gone, however it ended: nobody else would end us


def _stacks() -> str:
    """Return rows `NAME TAB FILE TAB LINE TAB FUNCTION`, innermost call last."""
    threading = sys.modules.get("threading")
    known: dict[int, Any] = getattr(threading, "_active", {})
    rows = []
    for number, frame in sys._current_frames().items():
        if number == _thread.get_ident():
            continue
        name = known[number].name if number in known else f"thread {number}"
        rows += [f"{name}\t{row}" for row in _rows(frame)]
    return "\n".join(rows) + "\n"


def _rows(frame: FrameType | None) -> list[str]:
    rows: list[str] = []
    while frame:
        code = frame.f_code
        if not _is_ours(code.co_filename):
            rows.append(f"{code.co_filename}\t{frame.f_lineno}\t{code.co_name}")
        frame = frame.f_back
    return rows[::-1]


if __name__ == "__main__":
    run(sys.argv[1:])
