"""Grades a step again whenever one of its files is saved, and goes on when it passes.

The grader runs in a process of its own: every run sees the files as they are, and
Ctrl-C can end it with all that it has started.
"""

import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import watchfiles

from grading import overview
from grading.kit import Kit
from grading.places import guide, shown
from grading.processes import Family
from grading.steps import Step

GLANCE = 300  # milliseconds; where the system reports no changes, we look so often

Stamps = list[tuple[int, int] | None]


def watch(kit: Kit, step: Step) -> None:
    """Grade `step` and those after it as they are worked on, until all are passed."""
    following: Step | None = step
    done: set[str] = set()
    while following is not None:
        _until_passed(kit, following)
        done.add(following.name)
        following = _next(kit, following, done)
        kit.console.print()
        if following is not None:
            overview.print_step(kit, following)
    overview.print_end(kit)


def _next(kit: Kit, step: Step, done: set[str]) -> Step | None:
    """Return the next step to pass after `step`; then look from the beginning."""
    records = kit.records()
    place = kit.steps.index(step) + 1
    for other in kit.steps[place:] + kit.steps[:place]:
        if not records[other.name].passed and other.name not in done:
            return other
    return None


def _until_passed(kit: Kit, step: Step) -> None:
    while True:
        seen = stamps(step)
        kit.console.rule(f"{step.name}, {time.strftime('%H:%M:%S')}")
        passed = grade(step.folder)
        if passed and stamps(step) == seen:  # and not saved meanwhile
            overview.print_line(
                kit, f"{step.name} is passed. Well done.", style="green"
            )
            return
        _say_what_next(kit, step)
        wait_for_save(step, seen)
        kit.console.clear()


def _say_what_next(kit: Kit, step: Step) -> None:
    names = " or ".join(shown(step.folder / name) for name in step.files)
    kit.console.print()
    overview.print_line(kit, f"Save {names} to grade it again. Ctrl-C ends this.")
    overview.print_line(kit, f"A hint: {guide('hint', step.number)}")


def stamps(step: Step) -> Stamps:
    """Return when the student's files were saved, and their sizes."""
    return [_stamp(step.folder / name) for name in (*step.files, *step.given)]


def _stamp(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):  # not there, perhaps just being replaced
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return None


def wait_for_save(step: Step, seen: Stamps) -> None:
    """Return once the files are no longer as they were `seen`.

    The folder holds other things too, and some may change before the watching has
    begun: only the stamps decide.
    """
    changes = watchfiles.watch(
        step.folder,
        watch_filter=None,
        recursive=False,
        rust_timeout=GLANCE,
        yield_on_timeout=True,
    )
    with closing(changes):
        for _ in changes:
            if stamps(step) != seen:
                return


def grade(folder: Path) -> bool:
    """Run the grader, which prints; return whether all passed.

    On any exception, Ctrl-C above all, it is killed with everything it has started.
    """
    sys.stdout.flush()
    family = Family()
    # Safe path: no file beside us may be taken for a module. A group of its own:
    # the terminal's Ctrl-C is for us alone.
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-x", "-q", str(folder)],
        stdin=subprocess.DEVNULL,
        env=family.environment() | {"PYTHONSAFEPATH": "1"},
        start_new_session=True,  # of no meaning on Windows, as the next is elsewhere
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    try:
        family.set_head(process.pid)
        return _wait(process) == 0
    except BaseException:
        known = family.descendants()
        process.kill()
        process.wait()
        family.kill_descendants(known)
        raise


def _wait(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the exit code; on Windows a single long wait cannot be interrupted."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(0.5)
