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
from course.analysis import Class, Summary
from course.class_page import Alike, class_page
from course.junit import junit
from course.nearest import known, nearest
from course.results import Result
from course.results import write as write_file
from course.scoring import Grade
from course.settings import Settings
from course.student_page import student_page
from course.telling import Flag, flags, page_names, status
from grading import facts as json

FORMAT = 1  # of class.json
STUDENTS = "students"


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
    """Remove pages of an earlier report whose students are not in this one."""
    for path in folder.glob("*.html"):
        if path.name not in ours:
            path.unlink()


def _of_class(
    graded: Class, settings: Settings, pages: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield names and contents of the files about all of them; the page is the last."""
    facts = analysis.summary(graded)
    alike = _alike(graded)
    found = list(chain.from_iterable(flags(*pair) for pair in graded))
    isolation = sorted({line for result, _ in graded for line in result.isolation})
    yield "grades.csv", sheets.grades(graded)
    yield "items.csv", sheets.items(graded)
    yield "flags.csv", sheets.flags(found, isolation)
    yield "junit.xml", junit(graded)
    said = _as_data(graded, facts, alike, pages) | {"isolation": isolation}
    yield "class.json", json.to_json({"title": settings.title} | said, indent=1)
    yield "index.html", class_page(graded, facts, alike, found, settings, pages)


def _alike(graded: Class) -> Alike:
    """Return the nearest known programs of every step that fails; on whole kits only."""
    programs = known()
    alike = {
        (result.student, step.step): nearest(step, programs)
        for result, grade in graded
        for step, points in zip(result.steps, grade.steps, strict=True)
        if step.handed_in and not step.complete and not points.copied
    }
    return {key: them for key, them in alike.items() if them}


# ---------------------------------------------------------------------- for programs


def _as_data(
    graded: Class, facts: Summary, alike: Alike, pages: dict[str, str]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "teach_again": [step.step for step in facts.teach_again()],
        "mean_percent": round(facts.mean, 2),
        "median_percent": round(facts.median, 2),
        "steps": [asdict(it) | {"stuck": it.stuck} for it in facts.steps],
        "tests": [
            asdict(it) | {"share": it.share, "says": it.says} for it in facts.items
        ],
        "students": [_student(*pair, alike, pages) for pair in graded],
    }


def _student(
    result: Result, grade: Grade, alike: Alike, pages: dict[str, str]
) -> dict[str, Any]:
    return {
        "student": result.student,
        "page": f"{STUDENTS}/{pages[result.student]}",
        "status": status(result),
        "refused": result.refused,
        "submitted": result.submitted,
        "points": grade.points,
        "of": grade.of,
        "percent": round(grade.percent, 2),
        "remarks": list(result.remarks),
        "flags": [_flag(flag) for flag in flags(result, grade)],
        "steps": [
            {
                "step": step.step,
                "points": points.points,
                "of": points.of,
                "handed_in": step.handed_in,
                "untouched": step.untouched,
                "copied": points.copied,
                "late_days": points.late_days,
                "note": step.note,
                "like": [it.name for it in alike.get((result.student, step.step), [])],
                "tests": [
                    {
                        "test": test.test,
                        "verdict": test.verdict,
                        "counts": test.test in points.counted,
                        "points": test.points,
                        "passes": test.passes,
                        "runs": test.runs,
                        "seconds": test.seconds,
                        "reason": test.reason,
                    }
                    for test in step.tests
                ],
            }
            for step, points in zip(result.steps, grade.steps, strict=True)
        ],
    }


def _flag(flag: Flag) -> dict[str, str]:
    return {"step": flag.step, "what": flag.what}
