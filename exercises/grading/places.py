"""Where the kit's folders are, and how a person here would type them."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

EXERCISES = Path(__file__).resolve().parent.parent
KIT = EXERCISES.parent
REQUIREMENTS = KIT / "requirements.txt"


def shown(path: Path) -> str:
    """Return a path to paste into a command; relative if it is below this folder."""
    here = Path.cwd()
    text = str(path.relative_to(here) if path.is_relative_to(here) else path)
    return shlex.quote(text) if os.name == "posix" else subprocess.list2cmdline([text])


def python() -> str:
    """Return what this Python is called here: python, python3, or a path."""
    typed, found = Path(sys.orig_argv[0]), shutil.which("python")
    if found and typed == Path(found):
        return "python"  # the Windows launcher puts the whole path there
    return shown(typed)


def guide(*words: str) -> str:
    """Return the command that calls the guide with these words."""
    return " ".join([python(), shown(EXERCISES), *words])


def grade(folder: Path) -> str:
    """Return the command that grades a step."""
    return f"{python()} -m pytest {shown(folder)}"
