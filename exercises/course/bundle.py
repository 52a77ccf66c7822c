"""What others need of the kit: its files, by the names they have in it.

A grading machine gets the graders, and fingerprints of our programs to compare with;
students get the exercises. Both are lists of what goes along, so nothing goes along by
accident: no solution, no program that is wrong or right on purpose, nothing that an
instructor has tried out in the kit.
"""

import contextlib
import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from course.likeness import FINGERPRINTS, fingerprints
from course.pytest_settings import settings_of_pytest
from grading.places import EXERCISES, KIT, REQUIREMENTS
from grading.steps import STARTERS, Step, all_steps

Files = dict[str, bytes]  # "exercises/05_broadcast/step.toml": ...

COURSE = "course.toml"
KEPT = ".kit.json"  # says what was written, to replace no other files
TEMPLATES = Path(__file__).with_name("templates") / "made"
GRADING = ("pytest", "pytest-timeout", "psutil", "Jinja2")  # of requirements.txt
PROGRAMS = {"setup.sh", "run_autograder"}  # what must be executable
EARLY = (1980, 1, 1, 0, 0, 0)  # so that the same kit makes the same zip


class Occupied(Exception):
    """A folder may not be written to. str() says why, in a line."""


def grader(steps: Sequence[Step], course: Path | None) -> Files:
    """Return what grades on another machine: the kit, its needs, and the choices."""
    files = {f"kit/{name}": data for name, data in for_grading(steps).items()}
    files["requirements.txt"] = requirements(GRADING)
    if course:
        files[COURSE] = course.read_bytes()
    return files


def options(chosen: str | None, course: Path | None) -> list[str]:
    """Return the options for who runs it in kit/exercises; `chosen` are the steps."""
    words = ["--course", f"../../{COURSE}"] if course else []
    return [*words, "--steps", chosen] if chosen else words


def for_grading(steps: Sequence[Step]) -> Files:
    """Return what grades: graders, the packages `grading` and `course`.

    Of other steps nothing but their names: a starter holds answers to the step before.
    """
    files = _common(steps)
    files |= _package("course")
    files |= named(step.folder / "step.toml" for step in all_steps())
    files[FINGERPRINTS.relative_to(KIT).as_posix()] = fingerprints(steps).encode()
    for step in steps:
        files |= _of_step(step, ("step.toml", "HINTS.md", step.grader.name))
    return files


def for_students(steps: Sequence[Step]) -> Files:
    """Return what exercises: texts and starters too, but nothing to grade a class."""
    files = _common(steps)
    files |= named([EXERCISES / "__main__.py"])
    for step in steps:
        names = ("step.toml", "README.md", "HINTS.md", step.grader.name)
        files |= _of_step(step, names)
        for name in step.files:  # as they were, whatever lies in the step's folder now
            path = STARTERS / step.name / name
            files[f"exercises/{step.name}/{name}"] = path.read_bytes()
    return files


def requirements(names: Iterable[str]) -> bytes:
    """Return the lines of requirements.txt on these packages: pinned."""
    wanted = {name.lower() for name in names}
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    chosen = [line for line in lines if line.partition("==")[0].lower() in wanted]
    return "".join(f"{line}\n" for line in chosen).encode()


def _common(steps: Iterable[Step]) -> Files:
    files = named([KIT / "conftest.py", KIT / "LICENSE"])
    files["pyproject.toml"] = settings_of_pytest()
    for step in steps:
        files |= named(STARTERS / step.name / name for name in step.files)
    return files | _package("grading")


def _package(name: str) -> Files:
    """Return a package of the kit's with all it needs, but no starters."""
    folder = EXERCISES / name
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return named(
        path
        for path in found
        if "__pycache__" not in path.parts
        and not path.name.startswith(".")
        and STARTERS not in path.parents
        and TEMPLATES not in path.parents  # of use only here
        and path != FINGERPRINTS
    )


def _of_step(step: Step, names: Iterable[str]) -> Files:
    return named(step.folder / name for name in (*names, *step.given))


def named(paths: Iterable[Path]) -> Files:
    """Return files of the kit by their names in it."""
    return {path.relative_to(KIT).as_posix(): path.read_bytes() for path in paths}


# ---------------------------------------------------------------------- to the disk


def write_folder(folder: Path, files: Files, kind: str) -> None:
    """Write them as files; raise Occupied rather than replace what is not ours.

    What was written before, and nobody has changed since, is replaced or removed.
    """
    before = _before(folder, kind)
    for name in before.keys() - files.keys():
        (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # if others have put something there
            (folder / name).parent.rmdir()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if path.name in PROGRAMS:
            path.chmod(0o755)
    kept = {"kind": kind, "files": {name: _digest(files[name]) for name in files}}
    (folder / KEPT).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _before(folder: Path, kind: str) -> dict[str, str]:
    """Return what was written here before, with digests."""
    if folder.exists() and not folder.is_dir():
        raise Occupied(f"{folder} is not a folder")
    if not folder.exists() or {path.name for path in folder.iterdir()} <= {".git"}:
        return {}
    try:
        said = json.loads((folder / KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = {}
    if said.get("kind") != kind:
        raise Occupied(f"{folder} is not empty, and no {kind}: choose another folder")
    before: dict[str, str] = said["files"]
    for name, digest in before.items():
        path = folder / name
        if path.is_file() and _digest(path.read_bytes()) != digest:
            raise Occupied(f"{path} was changed: choose another folder, or delete it")
    return before


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write them as an archive, at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name, EARLY)
            mode = 0o755 if name in PROGRAMS else 0o644
            info.external_attr = (stat.S_IFREG | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    os.replace(partial, path)  # noqa: PTH105
