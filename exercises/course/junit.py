"""JUnit XML, as continuous integration and campus systems read it.

A suite a student, a case a test. A flaky test that counts as passed is told as Maven's
Surefire does: passed, with a `flakyFailure`. Points are properties of the suite: the
schema has no place for them in a case.
"""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from course import results
from course.analysis import Class
from course.results import Outcome, Result
from course.scoring import Grade, StepGrade
from course.telling import at_home, number, of_test
from grading.report import story_text, summary

LONGEST = 4_000  # characters of one report; the students' pages have all of it
LINE = 300  # characters of a message

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\x7f-\x9f]")


def junit(graded: Class) -> str:
    """Return the document."""
    root = Element("testsuites", name="exercises")
    for result, grade in graded:
        _suite(root, result, grade)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _suite(root: Element, result: Result, grade: Grade) -> None:
    suite = SubElement(root, "testsuite", name=_plain(result.student))
    _properties(suite, grade)
    for step, points in zip(result.steps, grade.steps, strict=True):
        for test in step.tests:
            _case(suite, points, test)
    suite.set("tests", str(len(suite.findall("testcase"))))
    for name, tag in (("failures", "failure"), ("errors", "error")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    suite.set("time", f"{sum(_seconds(result)):.3f}")


def _seconds(result: Result) -> list[float]:
    return [test.seconds for step in result.steps for test in step.tests]


def _properties(suite: Element, grade: Grade) -> None:
    properties = SubElement(suite, "properties")
    values = {"points": number(grade.points), "max-points": number(grade.of)}
    values |= {f"points.{step.step}": number(step.points) for step in grade.steps}
    values |= {f"flag.{n}": flag for n, flag in enumerate(grade.flags, 1)}
    for name, value in values.items():
        SubElement(properties, "property", name=name, value=_plain(value))


def _case(suite: Element, step: StepGrade, test: Outcome) -> None:
    case = SubElement(
        suite,
        "testcase",
        classname=step.step,
        name=test.test,
        time=f"{test.seconds:.3f}",
    )
    tag = _tag(test, counts=test.test in step.counted)
    if not tag:
        return
    said = of_test(test) if test.verdict == results.FLAKY else ""
    reason = " ".join(summary(test.story).split()) if test.story else test.reason
    message = _plain(": ".join(filter(None, [said, reason])))[:LINE]
    verdict = SubElement(case, tag, message=message, type=test.verdict)
    if test.story:
        verdict.text = _capped(_plain(story_text(at_home(test.story))))


def _tag(test: Outcome, *, counts: bool) -> str:
    if test.verdict == results.FLAKY:
        return "flakyFailure" if counts else "failure"
    tags = {results.PASSED: "", results.ERROR: "error", results.NOT_RUN: "skipped"}
    return tags.get(test.verdict, "failure")


def _plain(text: str) -> str:
    """Return it without what XML does not allow, and without other control signs."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _capped(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n... {left_out} characters left out ...\n{text[-half:]}"
