"""What the tests of Gradescope, Classroom 50 and Actions share.

They run what a platform runs, in folders laid out as there. Programs that only the
platform has (apt-get, sudo) are played by scripts that write down what they are told.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import proofs
from course.cli import add_commands
from course.making import make
from grading.guide import Parser
from grading.kit import Refusal

SCHEMAS = Path(__file__).with_name("schemas")
PATIENCE = 120  # seconds for a program; grading one step takes a few


def check(said: object, schema: str) -> None:
    """Fail unless `said` is as the schema has it."""
    text = (SCHEMAS / f"{schema}.json").read_text(encoding="utf-8")
    jsonschema.validate(said, json.loads(text))


def command(*words: object) -> None:
    """Do what `python exercises WORDS` does; raise Refusal if it refuses."""
    parser = Parser(prog="python exercises")
    add_commands(parser.add_subparsers().add_parser)
    make(
        parser.parse_args(
            [os.fspath(w) if isinstance(w, Path) else str(w) for w in words]
        )
    )


def refused(*words: object) -> str:
    """Return why `python exercises WORDS` refuses; it must be wrong usage."""
    with pytest.raises(Refusal) as refusal:
        command(*words)
    assert refusal.value.exit_code == 2
    return str(refusal.value)


def script(path: Path, text: str) -> None:
    """Write a program for a shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def tools(folder: Path, log: Path, *names: str) -> None:
    """Put programs of these names into `folder` that write down what they are told."""
    for name in names:
        script(folder / name, f'echo {name} "$@" >>"{log}"')


def python(path: Path, log: Path) -> None:
    """Put a Python there that only writes down what it is to install."""
    pip = f'if [ "$2" = pip ]; then echo pip "$@" >>"{log}"; exit 0; fi'
    script(path, f'{pip}\nexec "{sys.executable}" "$@"')


def run(
    words: Sequence[str | Path], cwd: Path, env: Mapping[str, str], path: Path
) -> subprocess.CompletedProcess[str]:
    """Run a program with `path` before all other folders of programs."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    return subprocess.run(
        words,
        cwd=cwd,
        env=clean | {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"} | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def loaded(path: Path) -> Any:
    """Return what a JSON file says."""
    return json.loads(path.read_text(encoding="utf-8"))


def lone_solution(step: str, folder: Path) -> None:
    """Put the files of a solution there, in no folder of a step."""
    shutil.copytree(proofs.SOLUTIONS / step, folder, dirs_exist_ok=True)


def no_answers(names: Sequence[str], data: Sequence[bytes]) -> None:
    """Fail if a file is one of our programs, or lies where they do."""
    ours = ("tests/", "server/", "client/", "notebooks/")
    assert [name for name in names if name.removeprefix("kit/").startswith(ours)] == []
    texts = [file.split() for file in data]
    steps = proofs.STEPS.values()
    given = [step.folder / name for step in steps for name in step.given]
    given += proofs.STARTERS.rglob("*.py")
    known = [path.read_bytes().split() for path in given]
    for path in [*proofs.SOLUTIONS.rglob("*.py"), *proofs.CORRECT.rglob("*.py")]:
        words = path.read_bytes().split()
        assert words in known or words not in texts, path
