"""The log: one line a record, never blocking, never forged."""

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import journal
from grading.deadlines import END
from journal import Journal, LineFormatter, escape


@given(st.text())
def test_escaped_text_is_one_printable_line_and_unambiguous(text: str) -> None:
    """It can be shown anywhere, and read back."""
    escaped = escape(text)
    assert escaped.isprintable()
    assert eval(f"'{escaped.replace(chr(39), chr(92) + chr(39))}'") == text


def record(message: str, *args: object, exc_info: object = None) -> logging.LogRecord:
    """Return a record as a logger makes it."""
    return logging.LogRecord("mchat", logging.INFO, "", 0, message, args, exc_info)  # type: ignore[arg-type]


def test_record_is_one_line() -> None:
    """Whatever a client has put into it."""
    formatter = LineFormatter("%(message)s")
    line = formatter.format(record("said %s", "a\n2026 forged\x1b[2J"))
    assert line == "said a\\n2026 forged\\x1b[2J"


def test_traceback_cannot_be_forged() -> None:
    """Its lines are set in, and escaped too."""
    try:
        raise ValueError("a\nforged\x1b")
    except ValueError as exc:
        info = (type(exc), exc, exc.__traceback__)
    first, *rest = (
        LineFormatter("%(message)s").format(record("oops", exc_info=info)).split("\n")
    )
    assert first == "oops"
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


class Stuck(logging.Handler):
    """Blocks in each record until let go."""

    def __init__(self) -> None:
        """Begin stuck."""
        super().__init__()
        self.go = threading.Event()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Wait, then keep the line."""
        self.go.wait()
        self.lines.append(record.getMessage())


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """A handler that can be let go."""
    handler = Stuck()
    yield handler
    handler.go.set()


def test_stuck_writer_holds_up_nobody(
    stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is dropped and counted; closing does not wait for ever."""
    monkeypatch.setattr(journal, "QUEUE_LIMIT", 10)
    monkeypatch.setattr(journal, "LAST_WORDS_TIME", 0.01)
    log = Journal(stuck)
    for number in range(100):
        log.handle(record("line %d", number))
    log.close()
    stuck.go.set()
    log._writer.join(END)
    assert not log._writer.is_alive()
    assert len(stuck.lines) in (11, 12)  # the writer may have one in hand
    assert any(" log lines were dropped here" in line for line in stuck.lines)


def test_arguments_are_formatted_at_once(stuck: Stuck) -> None:
    """They may be other ones when the writer gets to it."""
    changing = ["before"]
    log = Journal(stuck)
    log.handle(record("%s", changing))
    changing[0] = "after"
    stuck.go.set()
    log.close()
    assert "['before']" in stuck.lines[0]


def test_log_file_is_written_and_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In UTF-8, up to a size, with a number of old ones."""
    monkeypatch.setattr(journal, "FILE_SIZE", 200)
    log = Journal(journal.log_file(str(tmp_path / "chat.log")))
    for number in range(10):
        log.handle(record("é line %d", number))
    log.close()
    assert len(list(tmp_path.iterdir())) > 1
    assert "é line 9" in (tmp_path / "chat.log").read_text(encoding="utf-8")


def test_log_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """Is an error at the start, not later."""
    with pytest.raises(OSError, match="directory"):
        journal.log_file(str(tmp_path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full (Linux)")
def test_full_disk_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """And holds up nothing."""
    full = journal.log_file("/dev/full")
    log = Journal(full)
    for number in range(3):
        log.handle(record("line %d", number))
    log.close()
    assert caplog.text.count("logging to /dev/full fails: [Errno 28]") == 1


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "é"), ("ascii", "\\xe9")])
def test_standard_error_is_written_in_its_encoding(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
    shown: str,
) -> None:
    """What that cannot show is escaped, not an error."""
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", SimpleNamespace(encoding=encoding))
        journal.StandardError().emit(record("é %s", "x"))
    assert capfd.readouterr().err == f"{shown} x\n"


def test_standard_error_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is nobody to tell."""

    def broken(_: int, __: bytes) -> int:
        raise OSError

    monkeypatch.setattr(os, "write", broken)
    journal.StandardError().emit(record("lost"))
