"""How lines look: names, colours, and when the bell rings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import screen

WELCOME = "* welcome, you are bob; here: alice, Carol; /help lists the commands"


def take(lines: str, *, colours: bool = False, bell: bool = False) -> str:
    """Return what a new screen shows for these lines after a welcome as bob."""
    shown = screen.Screen(colours=colours, bell=bell)
    shown.take(f"{WELCOME}\r\n".encode())
    return shown.take(f"{lines}\r\n".encode())


@given(st.binary(max_size=300), st.integers(0, 300))
def test_only_printable_lines_are_shown_however_they_are_cut(
    data: bytes, cut: int
) -> None:
    """Any bytes, in any pieces."""
    whole, cut_up = (screen.Screen(colours=False, bell=False) for _ in range(2))
    text = whole.take(data + b"\n") + whole.take(b"")
    assert all(char.isprintable() or char in "\n\ufe0f" for char in text)
    parts = [part for part in (data[:cut], data[cut:], b"\n", b"") if part]
    assert "".join(map(cut_up.take, [*parts, b""])) == text


def contrast(number: int) -> tuple[float, float]:
    """Return the contrast of a palette colour to black and to white (WCAG 2.1)."""
    levels = (0, 95, 135, 175, 215, 255)
    index = number - 16
    rgb = [levels[index // 36], levels[index // 6 % 6], levels[index % 6]]
    linear = [((value / 255 + 0.055) / 1.055) ** 2.4 if value else 0 for value in rgb]
    luminance = sum(
        w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True)
    )
    return (luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05)


def test_colours_can_be_read_on_black_and_on_white() -> None:
    """Every colour has contrast to both, and they are all different."""
    assert min(min(contrast(number)) for number in screen.COLOURS) > 3.6
    assert len(set(screen.COLOURS)) == len(screen.COLOURS)


def test_colour_of_a_name_is_the_same_in_every_run() -> None:
    """It depends on nothing but the folded name, and all colours occur."""
    assert screen.colour("alice") == screen.colour("ALICE") == 166
    names = [f"guest{number}" for number in range(100)]
    assert {screen.colour(name) for name in names} == set(screen.COLOURS)


def test_private_lines_are_bold_too() -> None:
    """The speaker decides the colour; only who stands first is a speaker."""
    assert take("[alice] hi", colours=True) == "\x1b[38;5;166m[alice]\x1b[0m hi\n"
    private = "\x1b[1;38;5;166m[alice -> bob]\x1b[0m hi\n"
    assert take("[alice -> bob] hi", colours=True) == private
    assert take("* [alice] hi", colours=True) == "* [alice] hi\n"


@pytest.mark.parametrize("text", ["bob", "hi Bob!", "BOB, look", "(bob)", "@bob's"])
def test_my_name_is_found(text: str) -> None:
    """As a word, in any case, with punctuation around."""
    assert screen.mentions("bob", text)


@pytest.mark.parametrize("text", ["", "bobby", "bob-2", "_bob", "b ob", "äbob", "bob2"])
def test_other_words_are_not_my_name(text: str) -> None:
    """Words that merely contain it are others."""
    assert not screen.mentions("bob", text)


@pytest.mark.parametrize(
    ("line", "rings"),
    [
        ("[alice] bob?", True),
        ("[alice -> bob] psst", True),
        ("[alice] psst", False),
        ("[bob] I am bob", False),
        ("[bob -> alice] psst", False),
        ("* bob left", False),
        ("* you are now rob\r\n[alice] bob?", False),
        ("* you are now rob\r\n[alice] rob?", True),
    ],
)
def test_bell_rings_for_me_only(line: str, rings: bool) -> None:
    """Not for what I say, not for notices, not for a name that I had before."""
    assert take(line, bell=True).startswith("\a") == rings
    assert "\a" not in take(line, bell=False)


def test_bell_rings_once_for_many_lines() -> None:
    """And not before I have a name."""
    assert take("[alice] bob\r\n[alice] bob", bell=True).count("\a") == 1
    assert screen.Screen(colours=False, bell=True).take(b"[a -> b] x\n")[0] == "["


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("* hello", ["Carol", "alice"]),
        ("[dave] hi", ["dave", "Carol", "alice"]),
        ("[ALICE] hi", ["ALICE", "Carol"]),
        ("[dave -> bob] hi", ["dave", "Carol", "alice"]),
        ("* dave joined", ["dave", "Carol", "alice"]),
        ("* carol left", ["alice"]),
        ("* nobody left", ["Carol", "alice"]),
        ("* alice is now dave", ["dave", "Carol"]),
        ("* you are now rob", ["Carol", "alice"]),
        ("[server] hi", ["Carol", "alice"]),
        ("[two words] hi", ["Carol", "alice"]),
        ("* welcome, you are x; here: y, and 3 more; ...", ["y", "Carol", "alice"]),
        ("* welcome, you are x; nobody else is here yet; ...", ["Carol", "alice"]),
        (f"[{'a' * 17}] hi", ["Carol", "alice"]),
    ],
)
def test_names_are_learned(lines: str, names: list[str]) -> None:
    """From who speaks, comes, goes, and changes name; the newest is first."""
    people = screen.People()
    for line in [WELCOME, *lines.split("\r\n")]:
        people.learn(line)
    assert people.words() == [*screen.COMMANDS, *names]


def test_names_remembered_are_limited() -> None:
    """A server cannot fill our memory; the oldest are forgotten."""
    people = screen.People()
    for number in range(screen.MAX_NAMES + 10):
        people.learn(f"* n{number} joined")
    words = people.words()
    assert len(words) == len(screen.COMMANDS) + screen.MAX_NAMES
    assert f"n{screen.MAX_NAMES + 9}" in words
    assert "n9" not in words
