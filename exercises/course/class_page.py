"""The page of the class: what to teach again, and why; then all that says so.

For the instructor, not to be handed out: it names the kit's broken programs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import quote

from course.analysis import Class, ItemFacts, StepFacts, Summary
from course.markup import page
from course.nearest import Known
from course.results import Result, StepOutcome
from course.scoring import Grade, StepGrade
from course.settings import Settings
from course.telling import Flag, number, of_step, shown, status

MANY = 60  # students; a table of more is folded into a box of its own
NAMED = 12  # students that are named in one place; there may be hundreds
LONGEST = 40  # characters of a name
FLAGS = 100  # rows that are listed; all of them are in flags.csv

Alike = Mapping[tuple[str, str], list[Known]]  # by student and step


@dataclass(frozen=True)
class Link:
    """A student, and where the page is."""

    name: str
    href: str


@dataclass(frozen=True)
class Mistake:
    """A mistake that some of the class have made, most likely."""

    step: str
    programs: list[Known]  # one; more if they cannot be told apart
    students: list[Link]
    of: int  # who began this step


@dataclass(frozen=True)
class Lesson:
    """A step to teach again, and why."""

    facts: StepFacts
    hardest: ItemFacts | None
    mistake: Mistake | None


@dataclass(frozen=True)
class Cell:
    """One student, one step."""

    level: str  # of the colour: 0 nothing, 4 everything, x nothing to grade
    text: str
    about: str


@dataclass(frozen=True)
class Row:
    """One student."""

    link: Link
    cells: list[Cell]
    points: str
    percent: float
    status: str  # if it is not simply graded


@dataclass(frozen=True)
class Findings:
    """All that is known of a class."""

    graded: Class
    facts: Summary
    alike: Alike
    flags: Sequence[Flag]
    pages: Mapping[str, str]  # the name of each student's page
    isolation: Sequence[str]  # walls that were missing


def class_page(found: Findings, settings: Settings) -> str:
    """Return the page as HTML."""
    facts, graded = found.facts, found.graded
    links = {name: _link(name, file) for name, file in found.pages.items()}
    mistakes = _mistakes(facts, found.alike, links)
    rows = [_row(*pair, links, settings) for pair in graded]
    rows.sort(key=lambda row: -row.percent)  # stable: equals stay in order of names
    return page(
        "class.html.j2",
        title=settings.title,
        facts=facts,
        students=len(graded),
        refused=[(links[r.student], r.refused) for r, _ in graded if r.refused],
        isolation=found.isolation,
        lessons=[_lesson(step, facts, mistakes) for step in facts.teach_again()],
        rows=rows,
        bands=_bands(rows) if len(rows) > MANY else [],
        many=len(rows) > MANY,
        mistakes=[(s, list(them)) for s, them in groupby(mistakes, lambda it: it.step)],
        unlike=_unlike(facts, found.alike),
        items=[(s, list(them)) for s, them in groupby(facts.items, lambda i: i.step)],
        flags=_flags(found.flags, links)[:FLAGS],
        flag_count=len(found.flags),
        named=NAMED,
        bins=_bins(facts),
        shown=shown,
    )


def _link(name: str, file: str) -> Link:
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return Link(shown(short), f"students/{quote(file)}")


def _flags(
    flags: Sequence[Flag], links: Mapping[str, Link]
) -> list[tuple[Link, str, str]]:
    """Return student, steps and what: the same of several steps in one row."""
    steps: dict[tuple[str, str], list[str]] = {}
    for flag in flags:
        steps.setdefault((flag.student, flag.what), []).append(flag.step[:2])
    return [
        (links[student], ", ".join(filter(None, numbers)), shown(what))
        for (student, what), numbers in steps.items()
    ]


# -------------------------------------------------------------------- what to teach


def _mistakes(facts: Summary, alike: Alike, links: Mapping[str, Link]) -> list[Mistake]:
    """Return what the class does wrong: by steps, and there the most frequent first."""
    students: dict[tuple[str, tuple[str, ...]], list[Link]] = {}
    programs: dict[tuple[str, tuple[str, ...]], list[Known]] = {}
    for (student, step), them in alike.items():
        key = step, tuple(program.name for program in them)
        students.setdefault(key, []).append(links[student])
        programs[key] = them
    begun = {it.step: it.begun for it in facts.steps}
    found = [
        Mistake(key[0], programs[key], who, begun[key[0]])
        for key, who in students.items()
    ]
    return sorted(found, key=lambda it: (it.step, -len(it.students)))


def _unlike(facts: Summary, alike: Alike) -> dict[str, int]:
    """Return how many of each step fail like no program that we know."""
    near = Counter(step for _, step in alike)
    failing = {it.step: it.failing for it in facts.steps}
    return {step: count - near[step] for step, count in failing.items()}


def _lesson(step: StepFacts, facts: Summary, mistakes: Sequence[Mistake]) -> Lesson:
    mine = [it for it in mistakes if it.step == step.step]
    # One of a kind is no pattern.
    frequent = [it for it in mine if len(it.students) > 1]
    return Lesson(step, facts.hardest(step.step), next(iter(frequent), None))


# ------------------------------------------------------------------------ the class


def _row(
    result: Result, grade: Grade, links: Mapping[str, Link], settings: Settings
) -> Row:
    said = status(result)
    pairs = zip(result.steps, grade.steps, strict=True)
    return Row(
        link=links[result.student],
        cells=[
            _cell(outcome, step, extra=step.step in settings.extra_credit)
            for outcome, step in pairs
        ],
        points=number(grade.points),
        percent=grade.percent,
        status="" if said == "graded" else said,
    )


def _cell(outcome: StepOutcome, grade: StepGrade, *, extra: bool) -> Cell:
    said = of_step(outcome, grade, extra=extra)
    if not outcome.handed_in:
        return Cell("x", "", said)
    share = grade.points / grade.of if grade.of else 0.0
    flag = "!" if grade.flags else ""
    about = "; ".join(filter(None, [said, *grade.flags]))
    return Cell(_level(share), f"{number(grade.points)}{flag}", about)


def _level(share: float) -> str:
    """Return 0 for nothing, 4 for everything, and three between."""
    if share <= 0 or share >= 1:
        return "4" if share >= 1 else "0"
    return str(1 + min(2, int(share * 3)))


def _bands(rows: Sequence[Row]) -> list[list[tuple[int, int, str]]]:
    """Return the same as a picture: for each step where a colour begins, how long."""
    bands = []
    for place in range(len(rows[0].cells)):
        begin, band = 0, []
        for level, run in groupby(row.cells[place].level for row in rows):
            length = len(list(run))
            band.append((begin, length, level))
            begin += length
        bands.append(band)
    return bands


def _bins(facts: Summary) -> list[tuple[str, int]]:
    names = [f"{n}0 to {n}9 %" if n else "0 to 9 %" for n in range(9)]
    bins = list(zip([*names, "90 to 100 %"], facts.bins, strict=True))
    return [*bins, ("above 100 %", facts.above)] if facts.above else bins
