"""Runs pytest in a process that is forked, where that can be, with pytest imported.

That is half of the time of most proofs. Nothing of ours is imported here: what is
imported already when pytest starts, it cannot read anew with other settings.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

LONGEST = 240.0  # seconds
CONTEXT: Any = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
if os.name != "nt":
    CONTEXT.set_forkserver_preload(["pytest", "psutil", "forked"])


def run(words: Sequence[str], env: Mapping[str, str], cwd: Path, output: Path) -> int:
    """Run pytest with these words of a command line; return its exit code.

    What it prints goes to the file `output`. It is killed after LONGEST seconds.
    """
    process = CONTEXT.Process(target=_be_pytest, args=(words, env, cwd, output))
    process.start()
    process.join(LONGEST)
    process.kill()
    process.join()
    return int(process.exitcode)


def run_afresh(
    words: Sequence[str], env: Mapping[str, str], cwd: Path, output: Path
) -> int:
    """Do the same in a Python of its own: that leaves no server behind."""
    with output.open("wb") as file:
        command = [sys.executable, "-m", "pytest", *words]
        return subprocess.run(
            command,
            env=env,
            cwd=cwd,
            stdout=file,
            stderr=file,
            timeout=LONGEST,
            check=False,
        ).returncode


def _be_pytest(
    words: Sequence[str], env: Mapping[str, str], cwd: Path, output: Path
) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    file = os.open(output, os.O_CREAT | os.O_WRONLY, 0o600)
    for standard in (1, 2):
        os.dup2(file, standard)
    sys.exit(pytest.main([*words]))
