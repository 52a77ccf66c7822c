"""The guide's command line: `python exercises [COMMAND]`.

What the commands do is in `overview`, `watch` and `aids`. This module imports nothing
but the standard library at first, so that it can say what is not installed.
"""

import argparse
import io
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

INTERRUPTED = 130  # the exit code after Ctrl-C


class Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"{self.prog}: {message}; --help lists what there is\n")


def parser() -> Parser:
    """Return the parser of the command line."""
    whole = Parser(
        prog="python exercises",
        description="Without a command: where you are on the path, and what is next.",
        epilog="STEP is 5, 05, broadcast, 05_broadcast, or a path to its folder.",
    )
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")

    add = commands.add_parser
    watch = add("watch", help="grade the step whenever one of its files is saved")
    watch.add_argument("step", nargs="?", metavar="STEP")

    hint = add("hint", help="a hint for what fails now; each time one that says more")
    hint.add_argument("step", nargs="?", metavar="STEP")
    hint.add_argument("--all", action="store_true", help="all hints for it at once")

    reset = add("reset", help="begin a step anew; a copy of your files is kept")
    reset.add_argument("step", metavar="STEP")
    reset.add_argument("--yes", action="store_true", help="do not ask")

    show = add("show", help="the kit's own solution of a step that you have passed")
    show.add_argument("step", metavar="STEP")
    show.add_argument("file", nargs="?", metavar="FILE", help="one file alone")
    show.add_argument("--spoil", action="store_true", help="even if it is not passed")

    with suppress(ImportError):  # what students get has no class to grade
        from course import cli

        cli.add_commands(add)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    options = parser().parse_args(arguments)
    _prepare_streams()
    _let_ctrl_break_interrupt()
    try:
        return _run(options)
    except ModuleNotFoundError as exc:
        return _fail(_what_to_install(str(exc.name)), 2)
    except KeyboardInterrupt:
        print()  # the terminal has shown ^C, and stays in that line
        return INTERRUPTED
    except OSError as exc:  # a disk that is full, a file that may not be read
        return _fail(f"{exc.filename or 'error'}: {exc.strerror or exc}", 1)


def _run(options: argparse.Namespace) -> int:
    from grading import aids, overview
    from grading.kit import Kit, Refusal

    try:
        if hasattr(options, "run"):
            from course import cli

            cli.run(options)
            return 0
        kit = Kit.here()
        said = getattr(options, "step", None)
        step = kit.find(said) if said else kit.current()
        if options.command is None or step is None:
            overview.show(kit)
        elif options.command == "watch":
            from grading.watch import watch  # the one that needs watchfiles

            watch(kit, step)
        elif options.command == "hint":
            aids.hint(kit, step, everything=options.all)
        elif options.command == "reset":
            aids.reset(kit, step, ask=not options.yes)
        elif options.command == "show":
            aids.show(kit, step, options.file, spoil=options.spoil)
    except Refusal as refusal:
        return _fail(str(refusal), refusal.exit_code)
    return 0


def _fail(why: str, exit_code: int) -> int:
    """Say why it cannot be done; return the exit code."""
    sys.stdout.flush()
    print(f"python exercises: {why}", file=sys.stderr)
    return exit_code


def _what_to_install(missing: str) -> str:
    from grading.places import REQUIREMENTS, python, shown

    return (
        f"{missing} is not installed; this installs what is needed:"
        f" {python()} -m pip install -r {shown(REQUIREMENTS)}"
    )


def _prepare_streams() -> None:
    """A character that the terminal or pipe cannot take becomes a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _let_ctrl_break_interrupt() -> None:
    """On Windows Ctrl-Break would end us at once, and leave what we have started."""
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, signal.default_int_handler)
