"""All reports on a class, into one folder.

index.html       the class: what to teach again, who is where, what to look at
students/*.html  a page for each, to be handed out
grades.csv, items.csv, flags.csv, class.json, junit.xml
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from course import analysis, sheets
from course.analysis import Class
from course.class_page import Alike, Findings, class_page
from course.junit import junit
from course.nearest import Known, known, nearest
from course.results import Outcome, Result, StepOutcome
from course.results import write as write_file
from course.scoring import Grade, StepGrade
from course.settings import Settings
from course.student_page import student_page
from course.telling import KINDS, Flag, flags, page_names, status
from grading import facts as json

FORMAT = 1  # of class.json
STUDENTS = "students"
MARK = b'content="python exercises grade"'  # in the head of a student's page


def write(
    folder: Path, results: Sequence[Result], grades: Sequence[Grade], settings: Settings
) -> Path:
    """Write them; return the path of the page to begin with."""
    graded = list(zip(results, grades, strict=True))
    pages = page_names(result.student for result in results)
    for result, grade in graded:
        page = folder / STUDENTS / pages[result.student]
        write_file(page, student_page(result, grade, settings))
    _remove_others(folder / STUDENTS, set(pages.values()))
    index = folder / "index.html"
    for name, text in _of_class(graded, settings, pages):
        write_file(folder / name, text.encode("utf-8", "backslashreplace").decode())
    return index


def _remove_others(folder: Path, ours: set[str]) -> None:
    """Remove our pages of an earlier report whose students are not in this one."""
    for path in folder.glob("*.html"):
        if path.name not in ours and MARK in path.read_bytes()[:1000]:
            path.unlink()


def _of_class(
    graded: Class, settings: Settings, pages: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield names and contents of the files about all of them; the page is the last."""
    found = Findings(
        graded=graded,
        facts=analysis.summary(graded),
        alike=_alike(graded),
        flags=_flags(graded),
        pages=pages,
        isolation=sorted({line for result, _ in graded for line in result.isolation}),
    )
    yield "grades.csv", sheets.grades(graded)
    yield "items.csv", sheets.items(graded)
    yield "flags.csv", sheets.flags(found.flags, found.isolation)
    yield "junit.xml", junit(graded)
    yield "class.json", json.to_json(_as_data(found, settings)) + "\n"
    yield "index.html", class_page(found, settings)


def _flags(graded: Class) -> list[Flag]:
    """Return all flags: the gravest of all students first."""
    found = chain.from_iterable(flags(*pair) for pair in graded)
    return sorted(found, key=lambda flag: KINDS.index(flag.kind))


def _alike(graded: Class) -> Alike:
    """Return the nearest known programs of every step that fails."""
    programs = known()
    alike = {
        (result.student, step.step): nearest(step, programs)
        for result, grade in graded
        for step, points in zip(result.steps, grade.steps, strict=True)
        if step.handed_in and not step.complete and not points.copied
    }
    return {key: them for key, them in alike.items() if them}


# ---------------------------------------------------------------------- for programs


def _as_data(found: Findings, settings: Settings) -> dict[str, Any]:
    facts = found.facts
    return {
        "format": FORMAT,
        "title": settings.title,
        "teach_again": [step.step for step in facts.teach_again()],
        "mean_percent": round(facts.mean, 2),
        "median_percent": round(facts.median, 2),
        "isolation": found.isolation,
        "steps": [asdict(it) | {"stuck": it.stuck} for it in facts.steps],
        "tests": [
            asdict(it) | {"share": round(it.share, 4), "says": it.says}
            for it in facts.items
        ],
        "students": [_student(*pair, found) for pair in found.graded],
    }


def _student(result: Result, grade: Grade, found: Findings) -> dict[str, Any]:
    return {
        "student": result.student,
        "page": f"{STUDENTS}/{found.pages[result.student]}",
        "status": status(result),
        "refused": result.refused,
        "submitted": result.submitted,
        "points": grade.points,
        "of": grade.of,
        "percent": round(grade.percent, 2),
        "remarks": list(result.remarks),
        "flags": [_flag(flag) for flag in flags(result, grade)],
        "steps": [
            _step(step, points, found.alike.get((result.student, step.step), []))
            for step, points in zip(result.steps, grade.steps, strict=True)
        ],
    }


def _step(step: StepOutcome, grade: StepGrade, like: Sequence[Known]) -> dict[str, Any]:
    return {
        "step": step.step,
        "points": grade.points,
        "of": grade.of,
        "handed_in": step.handed_in,
        "untouched": step.untouched,
        "copied": grade.copied,
        "late_days": grade.late_days,
        "note": step.note,
        "like": [program.name for program in like],
        "tests": [_test(test, test.test in grade.counted) for test in step.tests],
    }


def _test(test: Outcome, counts: bool) -> dict[str, Any]:
    told = vars(test) | {"counts": counts}
    return {name: it for name, it in told.items() if name not in ("story", "shows")}


def _flag(flag: Flag) -> dict[str, str]:
    return {"step": flag.step, "kind": flag.kind, "what": flag.what}
