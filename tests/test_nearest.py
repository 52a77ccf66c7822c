"""The nearest known mistake: found by its words, then by the tests that fail."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import proofs
from classes import failing, outcome, step, story
from course import results
from course.nearest import ALIKE, Known, known, nearest
from course.results import StepOutcome
from grading.gist import gist, gist_of
from grading.manifest import expected_tests
from grading.report import story_text

STEP = step("05_broadcast")
TESTS = [it.test for it in expected_tests(STEP)]
KNOWN = known()


def program(name: str, says: str, *fails: str) -> Known:
    """Return a wrong program; the first of `fails` is the one that says it."""
    return Known(STEP.name, name, "About it.", fails[0], says, frozenset(fails))


def fails(said: dict[str, str]) -> StepOutcome:
    """Return a step that fails these tests, each with these words."""
    step = outcome(STEP, dict.fromkeys(said, results.FAILED))
    tests = [
        replace(it, story=story(STEP.name, it.test, said[it.test], "no"))
        if it.test in said
        else it
        for it in step.tests
    ]
    return replace(step, tests=tuple(tests))


def test_all_wrong_programs_of_the_kit_are_known() -> None:
    """With the tests that catch them, one of which is the one meant for it."""
    ours = [(it.step, it.name, it.about, it.test) for it in proofs.broken_programs()]
    assert [(it.step, it.name, it.about, it.test) for it in KNOWN] == ours
    assert all(it.test in it.fails for it in KNOWN)


@pytest.mark.parametrize("it", KNOWN, ids=lambda it: f"{it.step}-{it.name}")
def test_each_is_found_again(it: Known) -> None:
    """If a program fails as it does; unless more than a few fail alike."""
    its_step = proofs.STEPS[it.step]
    failed = outcome(its_step, dict.fromkeys(it.fails, results.FAILED))
    tests = [
        replace(test, story=story(it.step, test.test, it.says, "no"))
        if test.test == it.test
        else test
        for test in failed.tests
    ]
    found = nearest(replace(failed, tests=tuple(tests)), KNOWN)
    alike = Counter((twin.step, twin.test, twin.says, twin.fails) for twin in KNOWN)
    if alike[it.step, it.test, it.says, it.fails] <= ALIKE:
        assert it.name in [twin.name for twin in found]


def test_words_count_more_than_the_tests() -> None:
    """A program that fails in the same place, but is told something else, is not it."""
    one, two = TESTS[:2]
    programs = [program("other", "to sing", one), program("it", "to dance", one, two)]
    assert nearest(fails({one: "to dance"}), programs) == programs[1:]


def test_tests_decide_where_the_words_are_the_same() -> None:
    """Of two that say the same the one that fails the same tests is nearer."""
    one, two, three = TESTS[:3]
    programs = [
        program("less", "to sing", one),
        program("it", "to sing", one, two),
        program("more", "to sing", one, two, three),
    ]
    assert nearest(fails({one: "to sing", two: "x"}), programs) == [programs[1]]


def test_what_cannot_be_told_apart_is_told_together() -> None:
    """Two or three; but of many nothing is known."""
    programs = [program(name, "to sing", TESTS[0]) for name in "abcd"]
    assert nearest(fails({TESTS[0]: "to sing"}), programs[:2]) == programs[:2]
    assert nearest(fails({TESTS[0]: "to sing"}), programs) == []


def test_nothing_is_near() -> None:
    """Other words and other tests, another step, or only a part of what it fails."""
    one, two = TESTS[:2]
    failed = fails(dict.fromkeys(TESTS, "to sing"))
    assert nearest(failed, [program("small", "to sing", one)]) == []
    assert nearest(fails({one: "to sing"}), [program("it", "to dance", two)]) == []
    elsewhere = replace(program("it", "to sing", one), step="06_disconnects")
    assert nearest(fails({one: "to sing"}), [elsewhere]) == []


def test_only_failures_are_looked_at() -> None:
    """Not who passes all, handed in nothing, or left the starter as it was."""
    everything = program("it", "to hear it", *TESTS)
    assert nearest(outcome(STEP), [everything]) == []
    assert nearest(failing(STEP, len(TESTS)), [everything]) == [everything]
    untouched = replace(failing(STEP, len(TESTS)), untouched=True)
    assert nearest(untouched, [everything]) == []


def test_kit_without_wrong_programs_knows_none(tmp_path: Path) -> None:
    """As it is handed out."""
    assert known(tmp_path / "broken") == []


def test_gist_of_a_story_is_that_of_its_text() -> None:
    """So that words found in one are found in the other."""
    it = story(STEP.name, TESTS[0], 'the line "x 17" 3 times', "port 43211")
    assert gist_of(it) == 'alice expected the line "..." N times but got port N'
    assert gist_of(it) == proofs.Verdict(1, story_text(it)).normalised
    assert gist("a1 1b 22 'c3' 4.5") == "a1 1b N 'c3' N.N"
