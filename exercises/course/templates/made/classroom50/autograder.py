"""Run by Classroom 50 for each submission, in the student's checkout.

It needs the files beside it and nothing else. It installs what the grader needs into an
environment of its own, lets bubblewrap build walls where the machine may, and grades.
The exit code is 0 if grading came to its end, whatever the points are.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
OPTIONS: list[str] = []
NEEDED = ("pytest", "pytest_timeout", "psutil", "jinja2")
USERNS = "kernel.apparmor_restrict_unprivileged_userns"


def main() -> int:
    """Grade what lies in this folder."""
    _permit_walls()
    command = [_python(), "-m", "course.classroom50_run", *OPTIONS]
    # Not in the checkout: Python would take modules from there.
    where = {"SUBMISSION": os.getcwd()}  # noqa: PTH109
    kit = HERE / "kit" / "exercises"
    return subprocess.run(
        command, cwd=kit, env=os.environ | where, check=False
    ).returncode


def _python() -> str:
    """Return a Python that has what the grader needs."""
    if all(importlib.util.find_spec(name) for name in NEEDED):
        return sys.executable
    venv = Path(tempfile.mkdtemp(prefix="grader-", dir=os.environ.get("RUNNER_TEMP")))
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    python = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = ["-m", "pip", "install", "--quiet", "--requirement"]
    subprocess.run([python, *install, HERE / "requirements.txt"], check=True)
    return os.fspath(python)


def _permit_walls() -> None:
    """Let others than root build walls, which Ubuntu forbids, on GitHub's machines."""
    if os.environ.get("RUNNER_ENVIRONMENT") == "github-hosted":
        command = ["sudo", "-n", "sysctl", "-qw", f"{USERNS}=0"]
        subprocess.run(command, check=False)


if __name__ == "__main__":
    sys.exit(main())
