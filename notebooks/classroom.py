"""Programs of which we know what is wrong with them, graded: for notebook 6.

A program is a step and a name: "ours" (our solution), "as given" (what a student
begins with), the name of another correct program in tests/correct/, or the mistakes
in it, joined by +, with the names that they have in tests/broken/.
"""

import csv
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import kit  # before what follows: it knows where that is
import proofs
from forked import run_afresh
from proofs import Broken

AT_ONCE = 6  # graders; each of them waits more than it computes
OURS, AS_GIVEN = "ours", "as given"

BROKEN = {(broken.step, broken.name): broken for broken in proofs.broken_programs()}
CORRECT = {(step, path.stem): path for step, path in proofs.correct_programs() if path}


class Program(NamedTuple):
    """A program that somebody hands in for a step."""

    step: str
    name: str

    @property
    def mistakes(self) -> list[Broken]:
        """What is wrong with it; nothing is also true of what is only begun."""
        names = self.name.split("+")
        return [
            BROKEN[self.step, name] for name in names if (self.step, name) in BROKEN
        ]

    @property
    def is_right(self) -> bool:
        """Whether it does what the step asks for."""
        return self.name == OURS or (self.step, self.name) in CORRECT

    def write(self, submission: Path) -> None:
        """Make a submission of it."""
        if self.name == AS_GIVEN:
            proofs.write_starter(self.step, submission)
        elif path := CORRECT.get((self.step, self.name)):
            proofs.write_correct(self.step, path, submission)
        else:
            proofs.copy_solution(self.step, submission)
            for mistake in self.mistakes:
                _spoil(submission / self.step / mistake.file, mistake)

    def source(self) -> str:
        """Return the text of the file that students edit."""
        with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
            self.write(Path(folder))
            path = Path(folder, self.step, proofs.STEPS[self.step].files[0])
            return path.read_text(encoding="utf-8")


def _spoil(path: Path, mistake: Broken) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(mistake.old) == 1, f"{mistake.name} does not fit with another one"
    path.write_text(text.replace(mistake.old, mistake.new), encoding="utf-8")


class Mark(NamedTuple):
    """What the grader says of one test."""

    points: int
    passed: bool
    words: str  # what happened, on one line, without what differs between runs


def grade(program: Program) -> dict[str, Mark]:
    """Return the grader's verdict on each test of the program's step."""
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        program.write(Path(folder))
        verdicts = proofs.grade(program.step, Path(folder), run=run_afresh)
    return {
        test: Mark(v.points, not v.report, v.normalised if v.report else "")
        for test, v in verdicts.items()
    }


def grade_all(programs: Iterable[Program]) -> dict[Program, dict[str, Mark]]:
    """Grade programs, several at once, those first that fail most: they take long."""
    known = known_failures()

    def failures(program: Program) -> int:
        if program.name == AS_GIVEN:
            return 99  # all of them
        return sum(len(known.get((m.step, m.name), ())) for m in program.mistakes)

    programs = sorted(programs, key=failures, reverse=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(programs, pool.map(grade, programs), strict=True))


def gives_away(mark: Mark, mistake: Broken) -> bool:
    """Tell whether a report has the words by which a mistake is known."""
    return " ".join(mistake.says.split()) in mark.words


def known_failures() -> dict[tuple[str, str], set[str]]:
    """Return which tests each known mistake fails, as measured by kill_matrix.py."""
    with (kit.ROOT / "tests" / "broken" / "matrix.csv").open(encoding="utf-8") as file:
        return {
            (row["step"], row["program"]): set(row["caught by"].split())
            for row in csv.DictReader(file)
        }
