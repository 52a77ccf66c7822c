"""What others need of the kit: its files, by the names they have in it.

A grading machine gets the graders, and fingerprints of our programs to compare with;
students get the exercises. Both are lists of what goes along, so nothing goes along by
accident: no solution, no program that is wrong or right on purpose, nothing that an
instructor has tried out in the kit.
"""

import os
import re
import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from course.likeness import FINGERPRINTS, fingerprints
from grading.places import EXERCISES, KIT, REQUIREMENTS
from grading.steps import STARTERS, Step

Files = dict[str, bytes]  # "exercises/05_broadcast/step.toml": ...

TEMPLATES = Path(__file__).with_name("templates")
GRADING = ("pytest", "pytest-timeout", "psutil", "Jinja2")  # of requirements.txt
PROGRAMS = {"setup.sh", "run_autograder"}  # what must be executable
EARLY = (1980, 1, 1, 0, 0, 0)  # so that the same kit makes the same zip


def for_grading(steps: Iterable[Step]) -> Files:
    """Return what grades: graders, the packages `grading` and `course`."""
    steps = list(steps)
    files = _common()
    files |= _package("course")
    files[FINGERPRINTS.relative_to(KIT).as_posix()] = fingerprints(steps).encode()
    for step in steps:
        files |= _of_step(step, ("step.toml", "HINTS.md", step.grader.name))
    return files


def for_students(steps: Iterable[Step]) -> Files:
    """Return what exercises: texts and starters too, but nothing to grade a class."""
    files = _common()
    files |= _named([EXERCISES / "__main__.py"])
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


def _common() -> Files:
    files = _named([KIT / "conftest.py", KIT / "LICENSE"])
    files["pyproject.toml"] = _settings_of_pytest()
    return files | _package("grading")


def _settings_of_pytest() -> bytes:
    """Return that part of pyproject.toml; a bare `pytest` grades the exercises."""
    text = (KIT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r"^\[tool\.pytest\..*?(?=^\[)", text, re.DOTALL | re.MULTILINE)
    assert found
    settings = re.sub(
        r"^testpaths = .*$", 'testpaths = ["exercises"]', found[0], flags=re.MULTILINE
    )
    return (settings.rstrip() + "\n").encode()


def _package(name: str) -> Files:
    """Return a package of the kit's, with templates and starters; no leftovers."""
    folder = EXERCISES / name
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return _named(
        path
        for path in found
        if "__pycache__" not in path.parts
        and not path.name.startswith(".")
        and path != FINGERPRINTS
    )


def _of_step(step: Step, names: Iterable[str]) -> Files:
    return _named(step.folder / name for name in (*names, *step.given))


def _named(paths: Iterable[Path]) -> Files:
    return {path.relative_to(KIT).as_posix(): path.read_bytes() for path in paths}


# ---------------------------------------------------------------------- to the disk


def below(folder: str, files: Mapping[str, bytes]) -> Files:
    """Return the files with their names in `folder`."""
    return {f"{folder}/{name}": data for name, data in files.items()}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write them as files."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if path.name in PROGRAMS:
            path.chmod(0o755)


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
