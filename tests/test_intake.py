"""What is taken of a submission, and what is left where it lies."""

import bz2
import gzip
import io
import os
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import proofs
from course import archives, intake
from course.intake import Refused, Taken

STEPS = list(proofs.STEPS.values())
ECHO = "02_echo/mchat.py"
SOURCE = b"print('hello')\n"

posix = pytest.mark.skipif(os.name != "posix", reason="needs links or pipes")


@pytest.fixture
def zipped(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that makes a zip of names and contents, links if they begin @."""

    def make(*files: tuple[str, bytes], name: str = "alice.zip") -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, data in files:
                info = zipfile.ZipInfo(file.removeprefix("@"))
                info.compress_type = zipfile.ZIP_DEFLATED
                if file.startswith("@"):
                    info.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(info, data)
        return path

    return make


def tarred(
    path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w"
) -> Path:
    """Make a tar of anything, true or not."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data) if info.isreg() else info.size
            archive.addfile(info, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    """Return what a tar says of one file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, to, 1_700_000_000
    return info


def take(source: Path) -> Taken:
    """Take it in for all steps."""
    return intake.take(source, STEPS)


def remarks(source: Path) -> str:
    """Take it in; expect that nothing was taken. Return what was remarked."""
    taken = take(source)
    assert taken.files == {}
    return "\n".join(taken.remarks)


# ------------------------------------------------------------------ what is taken


@pytest.mark.parametrize(
    "folder", ["", "exercises/", "alice-main/exercises/", "Wörk of Ann/", "a/b/c/"]
)
def test_steps_may_lie_at_the_top_or_below(
    folder: str, zipped: Callable[..., Path]
) -> None:
    """Also in folders with blanks and letters of any kind."""
    assert take(zipped((f"{folder}{ECHO}", SOURCE))).files == {ECHO: SOURCE}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_of_all_kinds(mode: str, tmp_path: Path) -> None:
    """Whatever the name says: what is in the file counts."""
    path = tarred(tmp_path / "alice.tar", (member(ECHO), SOURCE), mode=mode)
    assert take(path).files == {ECHO: SOURCE}


def test_folder_is_as_good_as_an_archive(tmp_path: Path) -> None:
    """And nothing else is taken."""
    (tmp_path / "02_echo").mkdir()
    (tmp_path / ECHO).write_bytes(SOURCE)
    (tmp_path / "02_echo" / "notes.txt").write_bytes(b"?")
    assert take(tmp_path).files == {ECHO: SOURCE}


def test_names_are_those_of_students(tmp_path: Path) -> None:
    """Of folders, and of archives without their endings; hidden files are nobody's."""
    for name in ("Ann Lee", "bø", ".git", "__MACOSX"):
        (tmp_path / name).mkdir()
    for name in ("cyd.tar.gz", "dan.ZIP", "eve.rar", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    names = [name for name, _ in intake.submissions(tmp_path)]
    assert names == ["Ann Lee", "bø", "cyd", "dan", "eve"]


def test_two_of_the_same_name_are_refused(tmp_path: Path) -> None:
    """Which one counts is for a person to say."""
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann.zip").write_bytes(b"")
    with pytest.raises(Refused, match=r"both ann's"):
        intake.submissions(tmp_path)


def test_whole_kit_handed_in_means_its_exercises(zipped: Callable[..., Path]) -> None:
    """Not the starters, nor what else it has under the names of steps."""
    path = zipped(
        ("kit/exercises/grading/starters/02_echo/mchat.py", b"starter"),
        ("kit/tests/solutions/01_connect/chat.py", b"solution"),
        (f"kit/exercises/{ECHO}", SOURCE),
    )
    assert take(path).files == {ECHO: SOURCE}


def test_time_of_the_newest_file_is_kept(tmp_path: Path) -> None:
    """But not one that cannot be."""
    late, absurd = member(ECHO), member("01_connect/chat.py")
    late.mtime, absurd.mtime = 1_700_000_000, 1 << 40
    path = tarred(tmp_path / "a.tar", (late, SOURCE), (absurd, SOURCE))
    assert take(path).newest == 1_700_000_000


# -------------------------------------------------------------- what is left aside


@pytest.mark.parametrize(
    "name", [f"../{ECHO}", f"/{ECHO}", f"C:\\{ECHO}", f"a/../{ECHO}"]
)
def test_what_leads_out_is_left_aside(name: str, zipped: Callable[..., Path]) -> None:
    """Absolute paths and `..` of any system."""
    assert "leads out of its folder" in remarks(zipped((name, SOURCE)))


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "no regular file"),
        (tarfile.BLKTYPE, "no regular file"),
        (tarfile.FIFOTYPE, "no regular file"),
    ],
)
def test_only_regular_files_of_a_tar_are_taken(
    kind: bytes, what: str, tmp_path: Path
) -> None:
    """No links, hard or soft, no devices, no pipes."""
    path = tarred(tmp_path / "a.tar", (member(ECHO, kind, "/etc/passwd"), b""))
    assert remarks(path) == f"left aside: {ECHO} is {what}"


def test_link_in_a_zip_is_left_aside(zipped: Callable[..., Path]) -> None:
    """Its text is where it leads to, and no program."""
    assert remarks(zipped((f"@{ECHO}", b"/etc/passwd"))).endswith("is a link")


@posix
def test_links_and_pipes_in_a_folder_are_left_aside(tmp_path: Path) -> None:
    """Nothing is opened that could lead away, or never end."""
    secret = tmp_path / "solution.py"
    secret.write_bytes(b"secret")
    source = tmp_path / "ann"
    for step in ("02_echo", "04_threads"):
        (source / step).mkdir(parents=True)
    (source / ECHO).symlink_to(secret)
    os.mkfifo(source / "04_threads" / "mchat.py")
    (source / "05_broadcast").symlink_to(tmp_path)
    assert remarks(source).splitlines() == [
        "left aside: 05_broadcast is a link",
        f"left aside: {ECHO} is a link",
        "left aside: 04_threads/mchat.py is no regular file",
    ]


@posix
def test_submission_that_is_a_link_or_pipe_is_refused(tmp_path: Path) -> None:
    """Even if what it leads to is a good one."""
    (tmp_path / "ann").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "bob.zip")
    for name, why in (("ann", "it is a link"), ("bob.zip", "neither a folder nor")):
        with pytest.raises(Refused, match=why):
            take(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "conftest.py",
        "pytest.ini",
        "02_echo/pytest.py",
        "x/_pytest/y.py",
        "02_echo/a.pth",
    ],
)
def test_settings_of_tests_are_left_aside(
    name: str, zipped: Callable[..., Path]
) -> None:
    """And said so: it may have been meant as a trick."""
    assert (
        remarks(zipped((name, b"x"))) == f"left aside: {name}, which is not asked for"
    )


def test_what_was_handed_out_is_no_trick(zipped: Callable[..., Path]) -> None:
    """The kit's own conftest.py lies in the folder of who has changed nothing."""
    ours = (proofs.ROOT / "conftest.py").read_bytes()
    assert take(zipped(("conftest.py", ours))).remarks == []


def test_large_file_is_left_aside(zipped: Callable[..., Path]) -> None:
    """And the other ones count."""
    bomb = b"0" * (intake.FILE + 1)
    taken = take(zipped((ECHO, bomb), ("01_connect/chat.py", SOURCE)))
    assert taken.files == {"01_connect/chat.py": SOURCE}
    assert taken.remarks == [f"left aside: {ECHO} is larger than 1 MB"]


def test_of_two_files_with_one_name_the_first_counts(
    zipped: Callable[..., Path],
) -> None:
    """And it is said."""
    taken = take(zipped((f"a/{ECHO}", SOURCE), (f"b/{ECHO}", b"another")))
    assert taken.files == {ECHO: SOURCE}
    assert taken.remarks == [f"left aside: b/{ECHO}, as there is another {ECHO}"]


def test_file_that_is_encrypted_is_left_aside(zipped: Callable[..., Path]) -> None:
    """It is nobody's secret that it was there."""
    path = zipped((ECHO, SOURCE))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1  # it claims to be encrypted
    path.write_bytes(data)
    assert remarks(path) == f"left aside: {ECHO} cannot be read"


def test_damaged_file_is_left_aside(zipped: Callable[..., Path]) -> None:
    """A file whose sum is wrong is not graded."""
    path = zipped((ECHO, SOURCE))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        data[data.index(mark) + offset] ^= 0xFF
    path.write_bytes(data)
    assert remarks(path) == f"left aside: {ECHO} cannot be read"


def test_odd_names_harm_nobody(zipped: Callable[..., Path]) -> None:
    """Empty ones, those of folders, with control characters, and very long ones."""
    names = [".", "/", "a\x1b[31m/conftest.py", "x" * 60_000 + "/pytest.ini"]
    said = remarks(zipped(*((name, b"x") for name in names)))
    assert said.isprintable() or "\x1b" not in said
    assert max(map(len, said.splitlines())) < 200


def test_of_many_remarks_few_are_kept(zipped: Callable[..., Path]) -> None:
    """A person would not read the others."""
    links = [(f"@{number}", b"/") for number in range(100)]
    said = remarks(zipped(*links)).splitlines()
    assert len(said) == intake.REMARKS + 1
    assert said[-1] == f"and {100 - intake.REMARKS} more remarks of this kind"


# ----------------------------------------------------------------- what is refused


def test_other_formats_are_refused_in_words(tmp_path: Path) -> None:
    """They count as handed in, so that nobody is missing."""
    path = tmp_path / "ann.rar"
    path.write_bytes(b"Rar!")
    with pytest.raises(Refused, match=r"it is a .rar: hand in a folder, zip or tar"):
        take(path)


def test_too_many_files_are_refused(
    zipped: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But what a tool has made does not count, as a virtual environment."""
    monkeypatch.setattr(intake, "ENTRIES", 10)
    tools = [(f"venv/lib/{number}.py", b"") for number in range(50)]
    assert take(zipped(*tools, (ECHO, SOURCE))).files == {ECHO: SOURCE}
    with pytest.raises(Refused, match="more than 10 files"):
        take(zipped(*((str(number), b"") for number in range(11))))


def test_folders_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive may hold nothing else, but very many of them."""
    monkeypatch.setattr(intake, "ENTRIES", 10)
    folders = [(member(f"f{n}", tarfile.DIRTYPE), b"") for n in range(11)]
    with pytest.raises(Refused, match="more than 10 files"):
        take(tarred(tmp_path / "a.tar", *folders))


def test_deep_folders_are_not_followed_for_ever(tmp_path: Path) -> None:
    """Nobody hands in something that deep."""
    path = tmp_path.joinpath("ann", *["d"] * 100, "02_echo")
    path.mkdir(parents=True)
    (path / "mchat.py").write_bytes(SOURCE)
    assert take(tmp_path / "ann").files == {}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_bomb_is_refused(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is how much comes out."""
    monkeypatch.setattr(archives, "UNPACKED", 1 << 20)
    path = tarred(tmp_path / "plain", (member("zeros"), bytes(2 << 20)))
    bomb = tmp_path / "ann.tar.gz"
    bomb.write_bytes(pack(path.read_bytes()))
    with pytest.raises(Refused, match="unpacked it is larger"):
        take(bomb)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_bomb_in_a_header_is_refused(kind: bytes, tmp_path: Path) -> None:
    """Such a name would be read at once, however long it is."""
    info = member("x", kind)
    info.size = archives.HEADER + 1
    path = tmp_path / "ann.tar"
    path.write_bytes(info.tobuf() + bytes(archives.HEADER + 1024))
    with pytest.raises(Refused, match="too much of one of its files"):
        take(path)


def test_long_list_of_files_is_refused(
    zipped: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read at once, and takes many times its size in memory."""
    monkeypatch.setattr(archives, "DIRECTORY", 1000)
    with pytest.raises(Refused, match="too many files"):
        take(zipped(*((f"{number:050}", b"") for number in range(20))))


def test_broken_archives_are_refused_in_words(
    zipped: Callable[..., Path], tmp_path: Path
) -> None:
    """Cut off, or with bytes changed anywhere: never an error of another kind."""
    chance = random.Random(7)
    whole = [
        zipped((ECHO, SOURCE * 50), ("conftest.py", SOURCE)),
        tarred(tmp_path / "a.tar", (member(ECHO), SOURCE * 50)),
        tarred(tmp_path / "b.tar.gz", (member(ECHO), SOURCE * 50), mode="w:gz"),
        tarred(tmp_path / "c.tar.xz", (member(ECHO), SOURCE * 50), mode="w:xz"),
    ]
    for number in range(400):
        path = whole[number % len(whole)]
        data = bytearray(path.read_bytes())
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        broken = tmp_path / f"broken{path.suffix}"
        broken.write_bytes(data[: chance.randrange(len(data)) if number % 3 else None])
        assert (said := refusal(broken)).isprintable()
        assert len(said) < 300


def refusal(path: Path) -> str:
    """Return why it is refused, "" if it is not."""
    try:
        take(path)
    except Refused as refused:
        return str(refused)
    return ""
