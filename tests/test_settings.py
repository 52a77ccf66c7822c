"""One TOML file of an instructor's choices: what it may say, and what it may not."""

import datetime
from pathlib import Path

import pytest

import proofs
from course import settings
from course.settings import Settings, Wrong

STEPS = list(proofs.STEPS.values())


def load(tmp_path: Path, text: str) -> Settings:
    """Read such a file."""
    path = tmp_path / "course.toml"
    path.write_text(text, encoding="utf-8")
    return settings.load(path, STEPS)


def test_empty_file_means_all_steps_ten_points_each(tmp_path: Path) -> None:
    """And nothing is late, or extra."""
    said = load(tmp_path, "")
    assert said == settings.default(STEPS)
    assert said.steps == tuple(proofs.STEPS)
    assert set(said.points.values()) == {10}
    assert (said.flaky, said.copied, said.repeats) == ("once", "reference", 4)


def test_everything_can_be_chosen(tmp_path: Path) -> None:
    """Steps by any of their names, in any order."""
    said = load(
        tmp_path,
        """
        title = "Networks"
        steps = ["broadcast", 2, "01", "08_exit"]
        extra_credit = ["08"]
        [points]
        05 = 20
        echo = 0
        [deadlines]
        05 = 2026-12-01T23:59:00+01:00
        [late]
        per_day = 0.1
        most = 1
        [flaky]
        repeats = 0
        counts = "fail"
        [copied]
        counts = "none"
        accepted = ["ann/lee/5"]
        """,
    )
    assert said.title == "Networks"
    assert said.steps == ("01_connect", "02_echo", "05_broadcast", "08_exit")
    assert said.extra_credit == {"08_exit"}
    assert (said.points["05_broadcast"], said.points["02_echo"]) == (20, 0)
    utc = said.deadlines["05_broadcast"].astimezone(datetime.timezone.utc)
    assert utc.isoformat() == "2026-12-01T22:59:00+00:00"
    assert (said.late_per_day, said.late_most) == (0.1, 1.0)
    assert (said.repeats, said.flaky, said.copied) == (0, "fail", "none")
    assert said.accepted == {"ann/lee/05_broadcast"}


def test_deadline_without_a_zone_is_local(tmp_path: Path) -> None:
    """As a person at this machine would mean it."""
    said = load(tmp_path, "[deadlines]\n05 = 2026-12-01T23:59:00\n")
    assert said.deadlines["05_broadcast"].tzinfo is not None


def test_only_keeps_the_order_of_the_steps() -> None:
    """Whatever the order on the command line."""
    chosen = settings.default(STEPS).only(["05_broadcast", "01_connect"])
    assert chosen.steps == ("01_connect", "05_broadcast")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = ", "course.toml"),
        ("point = 3", "the file has 'point', which means nothing"),
        ("steps = 5", "steps must be a list"),
        ("steps = ['99']", "no step is called '99'; there are 01_connect"),
        ("steps = ['']", "no step is called ''"),
        ("steps = ['e']", "no step is called 'e'"),
        ("points = 3", "points must be a table"),
        ("[points]\n05 = 7.5", "points.05 must be a whole number, 0 or more, not 7.5"),
        ("[points]\n05 = -1", "points.05 must be a whole number"),
        ("[points]\n05 = true", "points.05 must be a whole number"),
        ("[points]\n05 = 1\nbroadcast = 2", "points has 05_broadcast twice"),
        ("[deadlines]\n05 = 2026-12-01", "deadlines.05 must be a date and time"),
        ("[late]\nper_day = 10", "per_day must be a share from 0 to 1, not 10"),
        ("[late]\nper_day = nan", "per_day must be a share"),
        ("[late]\nmost = true", "most must be a share"),
        ("[late]\nper_hour = 0.1", "[late] has 'per_hour', which means nothing"),
        ("[flaky]\nrepeats = 1000", "repeats must be a whole number from 0 to 50"),
        ("[flaky]\ncounts = 'maybe'", "counts must be one of once, pass, fail"),
        ("[copied]\ncounts = ['all']", "counts must be one of reference, all, none"),
        ("[copied]\naccepted = ['ann']", "it should be STUDENT/STEP"),
        ("[copied]\naccepted = ['ann/99']", "no step is called '99'"),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path: Path, text: str, why: str) -> None:
    """With the name of the file, for whoever wrote it."""
    with pytest.raises(Wrong) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "course.toml"))
    assert why in message
    assert "\n" not in message


def test_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    """Somebody may have taken a spreadsheet for it."""
    (tmp_path / "course.toml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(Wrong, match=r"course\.toml"):
        settings.load(tmp_path / "course.toml", STEPS)
