"""The reports on a class: tables, JUnit, a page for each student, and one for all."""

import csv
import datetime
import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import html5lib
import pytest
from lxml import etree

import proofs
from classes import (
    CHOICES,
    MOST,
    STEPS,
    WORST_NAME,
    absent,
    failing,
    graded,
    mixed,
    outcome,
    refused,
    result,
    step,
)
from course import reports, results, scoring, sheets
from course.analysis import summary
from course.class_page import MANY
from course.junit import LONGEST, junit
from course.results import Result
from course.settings import Settings
from course.student_page import student_page
from course.telling import NAME_BYTES, at_home, flags, page_names, shown, status
from test_pages import Reader, read

HERE = Path(__file__).resolve().parent
BROADCAST = step("05_broadcast")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def write(folder: Path, found: list[Result], choices: Settings = CHOICES) -> Path:
    """Write all reports; return the class page."""
    grades = [scoring.grade(it, choices) for it in found]
    return reports.write(folder, found, grades, choices)


def words(reader: Reader) -> str:
    """Return what is to be read on a page."""
    return " ".join(reader.words.split())


def rows(path: Path) -> list[list[str]]:
    """Return a table as a spreadsheet reads it."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


# -------------------------------------------------------------------------- tables


def test_grades_have_the_points_that_can_be_had_below_the_header(
    tmp_path: Path,
) -> None:
    """Then a row for each student, in order, with what each step brings."""
    choices = replace(CHOICES, points=CHOICES.points | {"01_connect": 5})
    write(tmp_path, mixed(), choices)
    header, most, *students = rows(tmp_path / "grades.csv")
    columns = ["student", *CHOICES.steps, "total", "max", "percent"]
    total = str(MOST - 5)
    can_be_had = ["max points", "5", *["10"] * (len(STEPS) - 1), total, total, "100"]
    assert header[: len(columns)] == columns
    assert most[: len(columns)] == can_be_had
    assert {len(row) for row in (header, most, *students)} == {len(header)}
    alice = dict(zip(header, students[0], strict=True))
    assert alice["student"] == "alice"
    assert (alice["01_connect"], alice["total"], alice["percent"]) == (
        "5",
        total,
        "100.0",
    )
    assert (alice["status"], alice["flags"]) == ("graded", "")
    assert alice["submitted"] == "2027-01-15T08:00:00Z"
    by_name = {row[0]: dict(zip(header, row, strict=True)) for row in students}
    assert by_name["../grace"]["05_broadcast"] == "0"
    assert "reference server" in by_name["../grace"]["flags"]
    assert by_name["erin"]["flags"].startswith("02_echo: flaky: test_")
    assert by_name["frank"]["status"] == "incomplete"
    assert by_name["heidi"]["status"] == "nothing handed in"
    assert by_name["ivan"]["status"] == "not taken in"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_cell_is_a_formula(first: str) -> None:
    """Whatever a student has named the file."""
    name = f'{first}1+1,"x"'
    found = graded(result(name, outcome(STEPS[0])))
    for table in (
        sheets.grades(found),
        sheets.items(found),
        sheets.flags(flags(*graded(refused(name, "odd"))[0]), []),
    ):
        *_, row = csv.reader(io.StringIO(table, newline=""))
        assert row[0] == f"'{name}"
        assert not any(cell.startswith(sheets.FORMULA) for cell in row)


def test_names_of_any_kind_come_through(tmp_path: Path) -> None:
    """Half characters too, as far as UTF-8 allows."""
    names = ["Zoë, née Łukasz", "李雷", "می\u200cخواهم", "a\nb", 'say "hi"', "b\udcff"]
    write(tmp_path, [result(name) for name in names])
    found = [row[0] for row in rows(tmp_path / "grades.csv")[2:]]
    assert found == [*names[:-1], "b\\udcff"]


def test_items_are_students_by_tests(tmp_path: Path) -> None:
    """With one sign for each verdict."""
    write(tmp_path, mixed())
    header, *students = rows(tmp_path / "items.csv")
    count = sum(len(it.tests) for it in mixed()[0].steps)
    assert {len(row) for row in (header, *students)} == {1 + count}
    assert header[1].startswith("01_connect/test_")
    by_name = {row[0]: row[1:] for row in students}
    assert set(by_name["alice"]) == {"1"}
    assert set(by_name["heidi"]) == {"N"}
    for name, marks in {"bob": "10N", "erin": "1FN", "frank": "1EN"}.items():
        assert set(by_name[name]) == set(marks)


def test_flags_begin_with_the_gravest(tmp_path: Path) -> None:
    """And say whom they are about, and of what kind they are."""
    write(tmp_path, mixed())
    header, *found = rows(tmp_path / "flags.csv")
    assert header == ["student", "step", "kind", "what"]
    kinds = [row[2] for row in found]
    order = ["isolation", "refused", "likeness", "error", "flaky", "left aside"]
    assert kinds == order
    assert found[0][0] == "(everybody)"
    assert found[1] == [
        "ivan",
        "",
        "refused",
        "not taken in: it cannot be unpacked: <bad>",
    ]
    assert found[2][:2] == ["../grace", "05_broadcast"]


def test_same_results_make_the_same_reports(tmp_path: Path) -> None:
    """To the byte: nothing in them depends on when they were written."""
    for name in ("one", "two"):
        write(tmp_path / name, mixed())
    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 6 + len(mixed())
    for path in files:
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes()


def test_class_json_has_all_of_it(tmp_path: Path) -> None:
    """For programs: the students with their tests, and what the class shows."""
    write(tmp_path, mixed())
    said = json.loads((tmp_path / "class.json").read_text(encoding="utf-8"))
    assert said["teach_again"] == ["05_broadcast", "02_echo"]
    assert [it["student"] for it in said["students"]] == [it.student for it in mixed()]
    bob = said["students"][1]
    assert (tmp_path / bob["page"]).is_file()
    broadcast = bob["steps"][4]
    assert broadcast["points"] == bob["points"] - 40
    verdicts = [test["verdict"] for test in broadcast["tests"]]
    assert verdicts == ["passed"] * (len(verdicts) - 3) + ["failed"] * 3
    assert len(said["tests"]) == len(summary(graded(*mixed())).items)


# --------------------------------------------------------------------------- JUnit


def test_junit_is_valid_and_counts_right() -> None:
    """Whatever signs are in names and reports."""
    schema = etree.XMLSchema(etree.parse(HERE / "schemas" / "junit.xsd"))
    document = etree.fromstring(junit(graded(*mixed())).encode())
    schema.assertValid(document)
    suites = {suite.get("name"): suite for suite in document}
    assert len(suites) == len(mixed())
    for suite in suites.values():
        assert int(suite.get("tests")) == len(suite.findall("testcase"))
        for attribute, tag in (("failures", "failure"), ("errors", "error")):
            found = suite.findall(f"testcase/{tag}")
            assert int(suite.get(attribute)) == len(found)
    assert suites["bob"].get("failures") == "3"
    assert suites["frank"].get("errors") == "1"
    assert suites["alice"].get("skipped") == "0"
    (flaky,) = suites["erin"].findall("testcase/flakyFailure")
    told = "passed 3 of 5 times: alice expected to hear it but got no"
    assert flaky.get("message") == told
    (points,) = suites["alice"].xpath("properties/property[@name='points']/@value")
    assert points == str(MOST)


def test_flaky_test_that_does_not_count_is_a_failure() -> None:
    """As the instructor chose."""
    it = result("erin", failing(STEPS[1], 1, results.FLAKY))
    grade = scoring.grade(it, replace(CHOICES, flaky="fail"))
    document = etree.fromstring(junit([(it, grade)]).encode())
    assert len(document.findall("testsuite/testcase/failure")) == 1


def test_long_reports_are_capped_in_junit() -> None:
    """The end is kept: it says how to see it by hand."""
    failed = failing(BROADCAST)
    long = replace(failed.tests[-1].story, got="x" * 10 * LONGEST)
    tests = (*failed.tests[:-1], replace(failed.tests[-1], story=long))
    found = graded(result("bob", replace(failed, tests=tests)))
    text = etree.fromstring(junit(found).encode()).findtext("testsuite//failure")
    assert LONGEST <= len(text) < LONGEST + 100
    assert "characters left out" in text


# --------------------------------------------------------------------------- pages


def every_page(folder: Path) -> list[Path]:
    """Return all pages of a report."""
    return [folder / "index.html", *sorted((folder / "students").glob("*.html"))]


def test_pages_are_what_a_page_should_be(tmp_path: Path) -> None:
    """HTML5 without a fault, complete, without scripts, and without the network."""
    write(tmp_path, mixed())
    pages = every_page(tmp_path)
    assert len(pages) == 1 + len(mixed())
    for path in pages:
        source = path.read_text(encoding="utf-8")
        html5lib.HTMLParser(strict=True).parse(source)
        page = read(path)
        assert not page.tags & {"script", "link", "img", "iframe", "object", "form"}
        assert not page.values("src")
        assert not [key for key, _ in page.attributes if key.startswith("on")]
        assert not re.findall(
            r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", source
        )
        assert "prefers-color-scheme: dark" in source
        assert "@media print" in source
        ids = page.values("id")
        assert sorted(ids) == sorted(set(ids))


def test_every_link_leads_somewhere(tmp_path: Path) -> None:
    """To a place on the page, or to a file of the report."""
    write(tmp_path, mixed())
    for path in every_page(tmp_path):
        page = read(path)
        for link in page.values("href"):
            if link.startswith("#"):
                assert link[1:] in page.values("id")
            else:
                assert (path.parent / unquote(link)).is_file(), link


def test_names_are_nothing_but_text(tmp_path: Path) -> None:
    """Not markup, no control signs, nothing that turns the direction."""
    write(tmp_path, [result(WORST_NAME, failing(BROADCAST))])
    (page,) = (tmp_path / "students").iterdir()
    for path in (tmp_path / "index.html", page):
        source = path.read_text(encoding="utf-8")
        assert "<b>&" not in source.replace("<b>expected", "")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", source)
        assert r"""=<b>&"Zoë"\t\u202e'\x1b[31m""" in read(path).words
    assert page.name == "b_Zoë_31m_b.html"


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a\\b", "..", ".hidden", "x\0y", ""]
)
def test_pages_stay_in_their_folder(name: str) -> None:
    """No name leads elsewhere, or hides a page."""
    (file,) = page_names([name]).values()
    assert re.fullmatch(r"\w[\w.-]*\.html", file)


def test_every_student_has_a_page_on_every_file_system() -> None:
    """Also on one that knows no case, no accents apart from letters, or no aux.txt."""
    names = ["zoë", "ZOË", "zoe\u0308", "a b", "a_b", "a/b", "con", "Aux.txt", "=", "+"]
    names += ["x" * 300, "x" * 301, "李" * 100, "a_b-2"]
    files = list(page_names(names).values())
    assert len({file.casefold() for file in files}) == len(names)
    assert all(len(file.encode()) <= NAME_BYTES + len("-2.html") for file in files)
    reserved = {"con", "aux", "nul", "prn"}
    assert not reserved & {file.casefold().partition(".")[0] for file in files}


def test_ordinary_names_are_shown_as_they_are() -> None:
    """Letters of all scripts, joiners, emoji, blanks."""
    for name in ("Zoë O'Neil", "李雷", "می\u200cخواهم", "🙂"):
        assert shown(name) == name


def test_pages_of_students_who_are_gone_are_removed(tmp_path: Path) -> None:
    """But only ours."""
    write(tmp_path, [result("alice"), result("bob")])
    (tmp_path / "students" / "other.html").write_text("<p>not ours", encoding="utf-8")
    write(tmp_path, [result("bob")])
    names = sorted(path.name for path in (tmp_path / "students").iterdir())
    assert names == ["bob.html", "other.html"]


# ------------------------------------------------------------------- student's page


def page_of(it: Result, choices: Settings = CHOICES) -> Reader:
    """Return the page of one student."""
    reader = Reader()
    reader.feed(student_page(it, scoring.grade(it, choices), choices))
    reader.close()
    return reader


def test_student_sees_what_passed_and_all_of_what_failed() -> None:
    """Points, the story, the hint, the commands as they are typed at home."""
    said = words(page_of(result("bob", outcome(STEPS[0]), failing(BROADCAST))))
    broadcast = failing(BROADCAST)
    earned = 10 - broadcast.tests[-1].points
    for part in (
        f"bob: {10 + earned} of {MOST} points",
        f"{earned} of 10 points",
        broadcast.tests[0].title,
        "failed, 5 times of 5",
        "alice expected to hear it but got no",
        "See recv",
        "python exercises/05_broadcast/mchat.py --port 5000",
        "not handed in",
    ):
        assert part in said, part
    assert "submission-x" not in said


def test_flaky_test_is_told_with_its_count_and_whether_it_counts() -> None:
    """Most once: the first one only."""
    it = result("erin", failing(STEPS[1], 2, results.FLAKY))
    said = words(page_of(it))
    assert said.count("passed 3 of 5 times: so it depends on chance") == 2
    assert said.count("it counts as passed") == said.count("it counts as failed") == 1
    strict = words(page_of(it, replace(CHOICES, flaky="fail")))
    assert "it counts as passed" not in strict


def test_student_reads_what_cost_points_and_no_suspicions() -> None:
    """A likeness that costs nothing is for the instructor to look at."""
    alike = replace(outcome(BROADCAST), likeness="it is ours", kin="solution")
    assert "it is ours" not in words(page_of(result("eve", alike)))
    strict = replace(CHOICES, copied="all")
    assert "earns nothing: it is ours" in words(page_of(result("eve", alike), strict))
    accepted = replace(strict, accepted=frozenset({"eve/05_broadcast"}))
    assert "it is ours" not in words(page_of(result("eve", alike), accepted))


def test_student_reads_of_lateness_credit_and_files_left_aside() -> None:
    """And why a submission could not be taken in, and what walls were missing."""
    worst = mixed()[-1]
    choices = replace(
        CHOICES,
        deadlines={STEPS[0].name: before(worst, days=2)},
        late_per_day=0.25,
        extra_credit=frozenset({STEPS[1].name}),
    )
    said = words(page_of(worst, choices))
    for part in (
        "2 days late: worth 5 of 10",
        "extra credit",
        f"of {MOST - 10} points",
        "the files are as they were handed out",
        "left aside: conftest.py, which is not asked for",
        "Programs ran without walls.",
    ):
        assert part in said, part
    assert "it cannot be unpacked: <bad>" in words(page_of(mixed()[-2]))


def before(it: Result, days: int) -> datetime.datetime:
    """Return a time that is so long before a submission."""
    assert it.submitted is not None
    handed_in = datetime.datetime.fromtimestamp(it.submitted, datetime.timezone.utc)
    return handed_in - datetime.timedelta(days)


def test_student_page_gives_nothing_away(tmp_path: Path) -> None:
    """Not the names of the kit's broken programs, and nothing of other students."""
    write(tmp_path, mixed())
    for path in every_page(tmp_path)[1:]:
        source = path.read_text(encoding="utf-8")
        assert "behave" not in source
        assert "tests/" not in source
        others = {"alice.html", "bob.html", "index.html"}
        assert not others & set(read(path).values("href"))


# ---------------------------------------------------------------------- class page


def test_class_page_says_what_to_teach_again(tmp_path: Path) -> None:
    """In its first lines, with the reasons."""
    page = read(write(tmp_path, mixed()))
    said = words(page)
    assert "Teach again: 05_broadcast and 02_echo" in said
    head = said[: said.index("How far they come")]
    assert "05_broadcast (Everyone else hears it): 4 of 10 are stuck here" in head
    assert "Of 4 who began it, 3 do not pass all of its tests" in head
    assert "The test that fewest pass" in head
    assert "1 submission could not be graded" in head
    assert "Programs ran without walls." in head


def test_class_page_shows_the_mistakes_of_the_class(tmp_path: Path) -> None:
    """Named as the kit names them, with what they are and who made them."""
    first = next(it for it in reports.known() if it.step == BROADCAST.name)
    failed = outcome(BROADCAST, dict.fromkeys(first.fails, results.FAILED))
    tests = [
        replace(it, story=replace(it.story, expected=first.says))
        if it.story and it.test == first.test
        else it
        for it in failed.tests
    ]
    same = replace(failed, tests=tuple(tests))
    page = read(write(tmp_path, [result(f"s{n:03}", same) for n in range(30)]))
    said = words(page)
    line = f"30 of 30 behave like {first.name}: {first.about}"
    assert said.count(line) == 2  # also among the reasons
    assert "and 18 more" in said
    assert "students/s029.html" in page.values("href")


def test_class_page_without_the_wrong_programs_says_nothing_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a kit that was handed out."""
    monkeypatch.setattr(reports, "known", list)
    assert "behave" not in words(read(write(tmp_path, mixed())))


def test_class_page_of_a_perfect_class_and_of_none(tmp_path: Path) -> None:
    """There is nothing to teach again, and nothing to look at."""
    whole = result("alice", *(outcome(it) for it in STEPS))
    for found in ([whole], []):
        said = words(read(write(tmp_path, found)))
        assert "Nothing needs to be taught again" in said
        assert "nothing to look at" in said


def test_large_class_has_a_picture_and_a_box(tmp_path: Path) -> None:
    """A thousand rows are scrolled through, and a column each at a glance."""
    steps = [outcome(it) for it in STEPS]
    found = [result(f"s{n:04}", *steps[: n % 11]) for n in range(MANY + 1)]
    page = read(write(tmp_path, found))
    assert "Each student is a column here" in words(page)
    assert "box" in page.values("class")
    assert f"0 0 {MANY + 1} 10" in page.values("viewbox")


# ------------------------------------------------------------------------ analysis


def test_stuck_are_those_who_fail_and_those_who_stop() -> None:
    """But not who never began anything, nor whose work is not their own."""
    facts = {it.step: it for it in summary(graded(*mixed())).steps}
    broadcast = facts["05_broadcast"]
    assert (broadcast.begun, broadcast.failing) == (4, 3)
    assert (broadcast.untouched, broadcast.copied) == (1, 1)
    assert broadcast.stopped == 1  # with the starter in hand
    assert facts["01_connect"].stopped == 0
    assert facts["03_lines"].stopped == 0  # they are stuck in 02 already
    assert facts["06_disconnects"].stopped == 0
    on, off = (result(name, outcome(STEPS[0])) for name in ("on", "off"))
    more = replace(outcome(STEPS[1]), untouched=True)
    on = replace(on, steps=(on.steps[0], more, *on.steps[2:]))
    second = summary(graded(on, off)).steps[1]
    assert (second.begun, second.stopped, second.stuck) == (0, 2, 2)


def test_step_that_was_not_asked_for_is_not_to_be_taught_again() -> None:
    """Everybody stops before it."""
    found = summary(graded(*(result(f"s{n}", outcome(STEPS[0])) for n in range(9))))
    assert found.teach_again() == []


def test_two_steps_at_most_are_to_be_taught_again() -> None:
    """Those where most are stuck, the worst first."""
    counts = {0: 1, 3: 7, 6: 4, 8: 9}
    found = []
    for n in range(10):
        steps = [
            failing(it) if n < counts.get(k, 0) else outcome(it)
            for k, it in enumerate(STEPS)
        ]
        found.append(result(f"s{n}", *steps))
    names = [it.step for it in summary(graded(*found)).teach_again()]
    assert names == [STEPS[8].name, STEPS[3].name]


def test_difficulty_and_what_tells_apart() -> None:
    """Computed on a class in which both are plain to see."""
    strong = [result(f"a{n}", *map(outcome, STEPS[:2])) for n in range(6)]
    weak = [result(f"z{n}", failing(STEPS[0], 3), failing(STEPS[1])) for n in range(4)]
    # One test is the other way round: only the weak pass it.
    odd = strong[0].steps[0].tests[0].test
    strong = [
        replace(it, steps=(outcome(STEPS[0], {odd: results.FAILED}), *it.steps[1:]))
        for it in strong
    ]
    found = summary(graded(*strong, *weak))
    items = {(it.step, it.test): it for it in found.items}
    first = items[STEPS[0].name, odd]
    assert (first.begun, first.passed, first.share) == (10, 4, 0.4)
    assert first.apart == -1.0
    assert "pass this one less often" in first.says
    last = items[STEPS[0].name, strong[0].steps[0].tests[-1].test]
    assert (last.share, last.apart) == (0.6, 1.0)
    assert "trouble elsewhere" in last.says
    everybody = items[STEPS[1].name, strong[0].steps[1].tests[0].test]
    assert (everybody.apart, everybody.says) == (None, "All pass it.")
    nobody = items[STEPS[4].name, mixed()[0].steps[4].tests[0].test]
    assert (nobody.begun, nobody.says) == (0, "Nobody has come here.")


def test_distribution_has_a_place_for_everybody() -> None:
    """Also for extra credit."""
    choices = replace(CHOICES, extra_credit=frozenset({STEPS[9].name}))
    found = [result("none"), *mixed()[:2]]
    facts = summary([(it, scoring.grade(it, choices)) for it in found])
    assert sum(facts.bins) + facts.above == 3
    assert (facts.bins[0], facts.above) == (1, 1)
    assert summary([]).bins == (0,) * 10


def test_status_in_words() -> None:
    """What could be graded, and what not."""
    assert status(result("a", outcome(STEPS[0]))) == "graded"
    died = replace(absent(STEPS[0], "grading was stopped"), handed_in=True)
    assert status(result("a", died)) == "incomplete"
    assert at_home(failing(BROADCAST).tests[-1].story).folder == (
        "exercises/05_broadcast"
    )


# --------------------------------------------------------------------- in real life


@pytest.mark.slow
def test_class_is_graded_and_told(tmp_path: Path) -> None:
    """Programs with a mistake are known again; a starter is no mistake."""
    broken = next(it for it in proofs.broken_programs() if it.step == "03_lines")
    for name in ("alice", "bob"):
        broken.write(tmp_path / "class" / name)
    proofs.write_starter("03_lines", tmp_path / "class" / "carol")
    report = tmp_path / "report"
    ran = subprocess.run(
        [
            *(sys.executable, "exercises", "grade", tmp_path / "class"),
            *("--out", report, "--steps", "3"),
        ],
        cwd=proofs.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    assert ran.returncode == 0, ran.stderr
    said = words(read(report / "index.html"))
    assert "Teach again: 03_lines" in said
    assert f"2 of 2 behave like {broken.name}: {broken.about}" in said
    assert "1 handed it in as it was handed out" in said
    carol = words(read(report / "students" / "carol.html"))
    assert "the files are as they were handed out" in carol


# ------------------------------------------------------------------------- browser


def browser() -> str:
    """Return a real browser's path; skip the test if there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip(f"needs one of {', '.join(BROWSERS)}")
    return found


# A browser's window is never as narrow as a phone, but a frame in it is.
FRAME = '<!DOCTYPE html><iframe src="{}" style="width: {}px; height: 900px"></iframe>'
MEASURE = """<script>
const root = document.documentElement;
console.log(`needs ${root.scrollWidth} of ${root.clientWidth} pixels`);
</script></body>"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_pages_open_in_a_browser(tmp_path: Path, width: int) -> None:
    """Without an error on the console, and without scrolling sideways on a phone."""
    program = browser()
    write(tmp_path, mixed())
    for path in (tmp_path / "index.html", tmp_path / "students" / "bob.html"):
        source = path.read_text(encoding="utf-8")
        path.write_text(source.replace("</body>", MEASURE), encoding="utf-8")
        frame = tmp_path / "frame.html"
        frame.write_text(FRAME.format(path.as_uri(), width), encoding="utf-8")
        ran = subprocess.run(
            [
                *(program, "--headless", "--no-sandbox", "--disable-gpu"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", "--no-first-run", "--enable-logging=stderr"),
                *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"),
                *(f"--window-size={width + 100},1000", frame.as_uri()),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        assert ran.returncode == 0, ran.stderr
        (said,) = re.findall(r"CONSOLE.*", ran.stderr)
        (needed, there) = re.findall(r"needs (\d+) of (\d+) pixels", said)[0]
        assert int(needed) <= int(there) <= width
