"""What proves the graders: programs of which we know whether they are right.

solutions/NN_topic/      the kit's own solution: full marks
correct/NN_topic/*.py    correct programs of other architectures: full marks
correct/chat/*.py        the same for all steps that are chat servers
broken/NN_topic.toml     wrong programs, one mistake each: caught by the test
                         meant for it, with the words that name the mistake
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import forked
from grading.gist import gist
from grading.manifest import Expected, expected_tests
from grading.steps import STARTERS, Step, all_steps, tomllib

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = ROOT / "tests" / "solutions"
CORRECT = ROOT / "tests" / "correct"
BROKEN = ROOT / "tests" / "broken"

STEPS = {step.name: step for step in all_steps()}
CHAT_STEPS = ["05_broadcast", "06_disconnects", "07_console", "08_exit"]
CHAT_STEPS += ["10_slow_reader"]

# The reference server is graded as if somebody had handed it in.
REFERENCE = f"""\
import runpy, sys
sys.path.insert(0, {os.fspath(ROOT / "server")!r})
runpy.run_path({os.fspath(ROOT / "server" / "mchat.py")!r}, run_name="__main__")
"""


@dataclass(frozen=True)
class Verdict:
    """What the grader said of one test."""

    points: int
    report: str  # of a failure, else ""

    @property
    def normalised(self) -> str:
        """The summary and the diagnosis on one line, without what differs."""
        happened = _section(self.report, "What happened")
        wrong = _section(self.report, "What is wrong with the program")
        return gist(f"{happened} {wrong}")


def _section(report: str, heading: str) -> str:
    found = re.search(rf"^{heading}\n((?: .*\n|\n)+)", report, re.MULTILINE)
    return found[1] if found else ""


@dataclass(frozen=True)
class Broken:
    """A wrong program: the solution with one change."""

    step: str
    name: str
    about: str
    test: str
    says: str
    old: str
    new: str
    file: str

    def write(self, submission: Path) -> None:
        """Make a submission of it."""
        copy_solution(self.step, submission)
        path = submission / self.step / self.file
        text = path.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.name}: `old` must be there once"
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def broken_programs() -> list[Broken]:
    """Return all wrong programs, in the order of the steps."""
    return [
        _broken(STEPS[path.stem], fields)
        for path in sorted(BROKEN.glob("*.toml"))
        for fields in tomllib.loads(path.read_text(encoding="utf-8"))["program"]
    ]


def _broken(step: Step, fields: dict[str, str]) -> Broken:
    changed = {key: fields[key].strip("\n") for key in ("old", "new")}
    return Broken(**({"step": step.name, "file": step.files[0]} | fields | changed))


def correct_programs() -> list[tuple[str, Path | None]]:
    """Return steps and programs that are right for them; None is the reference."""
    found: list[tuple[str, Path | None]] = [
        (path.parent.name, path) for path in sorted(CORRECT.glob("[0-9]*/*.py"))
    ]
    chat = [*sorted((CORRECT / "chat").glob("*.py")), None]
    return found + [(step, path) for step in CHAT_STEPS for path in chat]


def copy_solution(step: str, submission: Path) -> None:
    """Make a submission of the kit's own solution."""
    shutil.copytree(SOLUTIONS / step, submission / step)


def write_correct(step: str, program: Path | None, submission: Path) -> None:
    """Make a submission of another correct program."""
    copy_solution(step, submission)
    path = submission / step / STEPS[step].files[0]
    text = REFERENCE if program is None else program.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")


def write_starter(step: str, submission: Path) -> None:
    """Make a submission of the files that a student begins with."""
    shutil.copytree(STARTERS / step, submission / step)


def grade(
    step: str,
    submission: Path,
    *,
    tests: Sequence[str] = (),
    patience: float = 1,
    run: Callable[[Sequence[str], Mapping[str, str], Path, Path], int] = forked.run,
) -> dict[str, Verdict]:
    """Run the grader as an instructor does; return its verdict on each test."""
    results, output = submission / "results.xml", submission / "output.txt"
    grader = STEPS[step].grader
    what = [f"{grader}::{test}" for test in tests] or [os.fspath(grader.parent)]
    words = ["-q", "-p", "no:cacheprovider", "-p", "pytest_timeout"]
    words += [f"--junitxml={results}", f"--submission={submission}", *what]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # starts in half the time
    env["GRADING_PATIENCE"] = f"{patience}"
    code = run(words, env, ROOT, output)
    assert code in (0, 1), output.read_text(encoding="utf-8")
    verdicts = {
        case.attrib["name"]: _verdict(case)
        for case in ElementTree.parse(results).iter("testcase")
    }
    assert (code == 0) == (not any(v.report for v in verdicts.values()))
    return verdicts


def _verdict(case: ElementTree.Element) -> Verdict:
    values = {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
    failures = [*case.iter("failure"), *case.iter("error")]
    report = "\n".join(failure.text or "" for failure in failures)
    return Verdict(int(values["points"]), report)


def expected(step: str) -> list[Expected]:
    """Return the tests of a step."""
    return expected_tests(STEPS[step])
