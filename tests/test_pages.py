"""The page: everything is in it, it is well formed, and it needs nothing else."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

from grading.pages import write
from grading.points import StepResult
from grading.story import Story
from grading.transcript import Call, ProgramState, ThreadState
from told import SERVER, failed, told

RESULTS = [
    StepResult("02_echo", "Echo", 10, 10, 6, 6, ""),
    StepResult("03_lines", "Bytes & lines", 0, 10, 0, 7, "protocol.py is missing"),
    StepResult("05_broadcast", "Broadcast", 7, 10, 4, 6, ""),
]
THREAD = ThreadState("MainThread", (Call("mchat.py", 31, "main", "s = l.accept()"),))
PROGRAM = ProgramState(
    "mchat",
    "python mchat.py --port 0",
    "still running",
    b"listening on 127.0.0.1:1\n",
    b"Traceback (most recent call last):\n"
    b'  File "mchat.py", line 7, in run\n    1 / 0\n'
    b"ZeroDivisionError: division by zero\n",
    threads=(THREAD,),
)
STORY = Story(
    who="alice",
    expected='nothing before the line "bye"',
    got='"<b>hello</b>"',
    events=told(
        SERVER,
        ("alice", "connected", "mchat"),
        ("alice", "sent", "mchat", b"<b>hello</b>\n"),
        ("alice", "got", "mchat", b"<b>hello</b>\n"),
        failed("alice", 'nothing before the line "bye"', '"<b>hello</b>"'),
    ),
    programs=(PROGRAM,),
    received=(b"earlier\r\n",),
    step="05_broadcast",
    test="test_speaker[lf/crlf]",
    shows="A speaker does not hear itself.",
    points=2,
    folder="exercises/05_broadcast",
    hint="All `if x is not sock`:\n\n```python\nfor x in all:\n    x < 1\n```\nSee?",
    todo=3,
)
VOID = {"meta"}


class Reader(HTMLParser):
    """Reads a page: its words, its elements, and whether they are closed in order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Only the innermost one may be closed."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect what is to be read."""
        self.words += data

    def values(self, name: str) -> list[str]:
        """Return all values of one attribute."""
        return [value for key, value in self.attributes if key == name]


def read(path: Path) -> Reader:
    """Return a page, read to its end."""
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def test_page_has_the_points_and_all_of_a_failure(tmp_path: Path) -> None:
    """Nothing that the report knows is missing."""
    page = read(write(tmp_path / "new" / "report", RESULTS, [STORY]))
    words = " ".join(page.words.split())
    for part in (
        "17 of 30 points",
        "Bytes & lines 0 of 10 0 of 7 protocol.py is missing",
        "Echo 10 of 10 6 of 6 all passed",
        "A speaker does not hear itself. 05_broadcast, test_speaker[lf/crlf], 2 points",
        'alice expected nothing before the line "bye" but got "<b>hello</b>"',
        "ZeroDivisionError: division by zero",
        "Hint (TODO 3)",
        r'alice -> mchat "<b>hello</b>\n"',
        r'"earlier\r\n"',
        "Where the threads of mchat stand MainThread: mchat.py, line 31, in main",
        "python exercises/05_broadcast/mchat.py --port 5000",
        "nc 127.0.0.1 5000",
    ):
        assert part in words, part
    assert "svg" in page.tags


def test_page_needs_no_network_and_no_scripts(tmp_path: Path) -> None:
    """It can be mailed, printed, and opened years later."""
    path = write(tmp_path, RESULTS, [STORY])
    page = read(path)
    assert not page.tags & {"script", "link", "img", "iframe"}
    assert not page.values("src")
    assert all(link.startswith("#") for link in page.values("href"))
    source = path.read_text(encoding="utf-8")
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", source)
    assert "prefers-color-scheme: dark" in source
    assert "@media print" in source


def test_each_story_has_a_picture_with_a_name_for_every_system(tmp_path: Path) -> None:
    """Odd letters are replaced, and no picture replaces another."""
    twin = Story(**(vars(STORY) | {"test": "test_speaker[lf?crlf]"}))
    page = read(write(tmp_path, RESULTS, [STORY, twin]))
    names = sorted(path.name for path in tmp_path.glob("*.svg"))
    stem = "05_broadcast.test_speaker_lf_crlf_"
    assert names == [f"{stem}-2.svg", f"{stem}.svg"]
    for name in names:
        root = ElementTree.parse(tmp_path / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
    ids = page.values("id")
    assert sorted(ids) == sorted(set(ids)) == [f"{stem}", f"{stem}-2"]
    assert page.values("href") == [f"#{name}" for name in ids]


def test_code_in_a_hint_is_marked_as_code(tmp_path: Path) -> None:
    """And remains text, whatever signs are in it."""
    path = write(tmp_path, RESULTS, [STORY])
    source = path.read_text(encoding="utf-8")
    assert "<code>if x is not sock</code>" in source
    assert "<pre>for x in all:\n    x &lt; 1</pre>See?" in source


def test_page_without_failures_and_stories_without_anything(tmp_path: Path) -> None:
    """Full points, no steps at all, or a story of which only a sentence is known."""
    page = read(write(tmp_path, RESULTS[:1], []))
    assert "10 of 10 points" in page.words
    assert "What failed" not in page.words
    odd = Story("the test", "a \udcff line\x00", "nothing")
    page = read(write(tmp_path, [], [odd]))
    assert r"the test expected a \udcff line" in page.words
    assert not list(tmp_path.glob("*.svg"))
