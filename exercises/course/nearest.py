"""The nearest known mistake: which broken program of the kit a student's is like.

The kit has wrong programs with one mistake each (tests/broken/), and knows which tests
each of them fails, and what one of its reports says. A student's step that fails in
the same place with the same words, has most likely the same mistake. Those programs
give answers away: students do not have them, and pages for students do not name them.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from course import results
from course.results import StepOutcome
from grading.gist import gist_of
from grading.places import KIT
from grading.steps import tomllib

BROKEN = KIT / "tests" / "broken"

# How much the failed tests must overlap: shared ones by all of either.
SAME_WORDS = 0.5  # if a report says the words that name the mistake
OTHER_WORDS = 0.8  # if none does: then the tests alone must tell
ALIKE = 3  # programs at most that may be equally near; more tell nothing


@dataclass(frozen=True)
class Known:
    """One wrong program."""

    step: str
    name: str  # chunk_is_line
    about: str  # what is wrong with it, a sentence
    test: str  # the test that is meant to catch it
    says: str  # words of the gist of that test's report
    fails: frozenset[str]  # all tests that catch it


def known(folder: Path = BROKEN) -> list[Known]:
    """Return all wrong programs, in the order of the steps; none if `folder` is not."""
    caught = _caught(folder / "matrix.csv")
    return [
        _known(path.stem, fields, caught)
        for path in sorted(folder.glob("*.toml"))
        for fields in tomllib.loads(path.read_text(encoding="utf-8"))["program"]
    ]


def _known(
    step: str, fields: Mapping[str, str], caught: Mapping[tuple[str, str], set[str]]
) -> Known:
    fails = caught.get((step, fields["name"]), set()) | {fields["test"]}
    return Known(
        step=step,
        name=fields["name"],
        about=fields["about"],
        test=fields["test"],
        says=" ".join(fields["says"].split()),
        fails=frozenset(fails),
    )


def _caught(table: Path) -> dict[tuple[str, str], set[str]]:
    """Return which tests catch which program, as it was measured."""
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return {(row[0], row[1]): set(row[3].split()) for row in rows}


def nearest(outcome: StepOutcome, programs: Iterable[Known]) -> list[Known]:
    """Return the program that fails most like this step does, nothing if none is near.

    That a report says the same as the program's counts most, then how many of the
    failed tests are the same. Some mistakes cannot be told apart from outside: then
    there are two or three.
    """
    gists = {
        test.test: gist_of(test.story) if test.story else ""
        for test in outcome.tests
        if test.verdict in (results.FAILED, results.FLAKY)
    }
    if not gists or outcome.untouched:
        return []
    ranked = [
        (_nearness(program, gists), program)
        for program in programs
        if program.step == outcome.step
    ]
    best = max((rank for rank, _ in ranked), default=FAR)
    equal = [program for rank, program in ranked if rank == best]
    return equal if best > FAR and len(equal) <= ALIKE else []


Rank = tuple[bool, float, int]  # the words are there, overlap, length of the words
FAR: Rank = (False, 0.0, 0)


def _nearness(program: Known, gists: Mapping[str, str]) -> Rank:
    failed = gists.keys()
    overlap = len(program.fails & failed) / len(program.fails | failed)
    if program.says in gists.get(program.test, ""):
        return (True, overlap, len(program.says)) if overlap >= SAME_WORDS else FAR
    return (False, overlap, 0) if overlap >= OTHER_WORDS else FAR
