"""Who is here and who hears what; no sockets, no threads."""

import pytest

from fakes import FakeOutbox, Table, heard
from protocol import TOO_LONG, is_reserved
from room import NAMES_IN_WELCOME, Member, Room


@pytest.fixture
def table() -> Table:
    """An empty room."""
    return Table()


def test_newcomer_is_welcomed_and_announced(table: Table) -> None:
    """It learns its name and who is here; the others learn of it."""
    first = table.join()
    newcomer = Member("guest2", "192.0.2.2:1", FakeOutbox())  # type: ignore[arg-type]
    table.room.join(newcomer)
    table.settle()
    assert heard(first) == ["* guest2 joined"]
    assert heard(newcomer) == [
        "* welcome, you are guest2; here: guest1; /help lists the commands"
    ]


def test_first_one_is_told_to_be_alone() -> None:
    """An empty list would look like a mistake."""
    table = Table()
    member = Member("late", "", FakeOutbox())  # type: ignore[arg-type]
    table.room.join(member)
    table.settle()
    assert "nobody else is here yet" in heard(member)[0]


def test_welcome_stays_short_in_a_crowd(table: Table) -> None:
    """It names some, and counts the rest."""
    for _ in range(NAMES_IN_WELCOME + 5):
        table.join()
    newcomer = Member("late", "", FakeOutbox())  # type: ignore[arg-type]
    table.room.join(newcomer)
    table.settle()
    (welcome,) = heard(newcomer)
    assert "and 5 more" in welcome
    assert welcome.count("guest") == NAMES_IN_WELCOME


def test_line_goes_to_all_others(table: Table) -> None:
    """And not to the speaker."""
    ann, bob, cyd = table.join(), table.join(), table.join()
    table.say(ann, "hi", "", "there")
    assert heard(bob) == heard(cyd) == ["[guest1] hi", "[guest1] there"]
    assert heard(ann) == []


def test_double_slash_says_a_slash(table: Table) -> None:
    """Else nobody could show another how a command is written."""
    ann, bob = table.join(), table.join()
    table.say(ann, "//who", "///")
    assert heard(bob) == ["[guest1] /who", "[guest1] //"]


def test_too_long_is_told_to_the_speaker_in_its_place(table: Table) -> None:
    """Between the answers to what was said before and after."""
    ann, bob = table.join(), table.join()
    table.say(ann, "/who", TOO_LONG, "/who")
    who, refusal, again = heard(ann)
    assert who == again == "* here (2): guest1, guest2"
    assert "too long" in refusal
    assert heard(bob) == []


@pytest.mark.parametrize("repeated", [1, 2])
def test_leaving_is_told_once(table: Table, repeated: int) -> None:
    """However many times it is noticed."""
    ann, bob = table.join(), table.join()
    for _ in range(repeated):
        table.room.leave(ann)
    table.say(ann, "nobody hears this")
    assert heard(bob) == ["* guest1 left"]
    assert heard(ann) == []
    assert ann.outbox.ended


def test_quit_says_goodbye_and_stops_listening(table: Table) -> None:
    """What comes after it in the same packet is not said."""
    ann, bob = table.join(), table.join()
    table.say(ann, "before", "/quit", "after", "/who")
    assert heard(ann) == ["* goodbye"]
    assert heard(bob) == ["[guest1] before", "* guest1 left"]


def test_closing_tells_everyone_and_lets_nobody_in() -> None:
    """Also one who comes in at that very moment leaves again."""
    table = Table()
    ann, bob = table.join(), table.join()
    table.room.close()
    late = Member("late", "", FakeOutbox())  # type: ignore[arg-type]
    table.room.join(late)
    table.settle()
    assert heard(ann) == heard(bob) == ["* the server is stopping, goodbye"]
    assert ann.outbox.ended
    assert late.outbox.ended
    assert not table.room.members


# ------------------------------------------------------------------------- names


def test_renaming_is_told_to_all(table: Table) -> None:
    """In two forms."""
    ann, bob = table.join(), table.join()
    table.say(ann, "/nick ann")
    assert heard(ann) == ["* you are now ann"]
    assert heard(bob) == ["* guest1 is now ann"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "usage: /nick NAME"),
        ("a b", "names are 1 to 16 of A-Z a-z 0-9 _ -"),
        ("x" * 17, "names are 1 to 16 of A-Z a-z 0-9 _ -"),
        ("Server", "the name Server is reserved"),
        ("guest2", "the name guest2 is reserved"),
        ("GUEST99", "the name GUEST99 is reserved"),
        ("BOB", "the name BOB is taken"),
    ],
)
def test_name_is_refused(table: Table, name: str, why: str) -> None:
    """With the reason, to the one who asked only; the old name stays."""
    ann, bob = table.join(), table.join()
    table.say(bob, "/nick bob")
    heard(ann)
    heard(bob)
    table.say(ann, f"/nick {name}")
    assert heard(ann) == [f"* {why}"]
    assert heard(bob) == []
    assert ann.name == "guest1"


def test_own_name_in_another_case_and_guest_name_again(table: Table) -> None:
    """Neither is taken by anybody else."""
    ann = table.join()
    table.say(ann, "/nick ann", "/nick Ann", "/nick guest1")
    assert heard(ann) == [f"* you are now {it}" for it in ("ann", "Ann", "guest1")]


def test_own_name_again_is_no_news(table: Table) -> None:
    """Nobody else is bothered."""
    ann, bob = table.join(), table.join()
    table.say(ann, "/nick guest1")
    assert heard(ann) == ["* you are guest1 already"]
    assert heard(bob) == []


def test_name_is_free_once_its_owner_has_left(table: Table) -> None:
    """Or has taken another."""
    ann, bob = table.join(), table.join()
    table.say(ann, "/nick ann", "/nick eve")
    table.say(bob, "/nick ann")
    table.say(ann, "/quit")
    table.say(bob, "/nick eve")
    assert bob.name == "eve"


# ---------------------------------------------------------------------- commands


def test_private_line_goes_to_one(table: Table) -> None:
    """With its blanks, and to nobody else."""
    ann, bob, cyd = table.join(), table.join(), table.join()
    table.say(ann, "/msg GUEST2 psst  you")
    assert heard(bob) == ["[guest1 -> guest2] psst  you"]
    assert heard(ann) == heard(cyd) == []


@pytest.mark.parametrize("line", ["/msg", "/msg guest2", "/msg guest2  "])
def test_private_line_needs_a_text(table: Table, line: str) -> None:
    """Else its form is told."""
    ann, bob = table.join(), table.join()
    table.say(ann, line)
    assert heard(ann) == ["* usage: /msg NAME TEXT"]
    assert heard(bob) == []


def test_private_line_to_nobody(table: Table) -> None:
    """Is not lost silently."""
    ann = table.join()
    table.say(ann, "/msg nobody psst")
    assert heard(ann) == ["* nobody here is called nobody; /who tells who is here"]


def test_me_tells_the_others(table: Table) -> None:
    """As a notice that starts with the name."""
    ann, bob = table.join(), table.join()
    table.say(ann, "/me waves")
    assert heard(bob) == ["* guest1 waves"]
    assert heard(ann) == []


@pytest.mark.parametrize(
    "text", ["left", "LEFT", "  joined", "is now bob", "is  now x", "- left", "left."]
)
def test_me_cannot_forge_a_notice(table: Table, text: str) -> None:
    """Of what only the server tells."""
    ann, bob = table.join(), table.join()
    table.say(ann, f"/me {text}")
    assert heard(bob) == []
    assert "notice of the server" in heard(ann)[0]


def test_me_cannot_forge_other_notices_either(table: Table) -> None:
    """They begin with words that nobody can be called."""
    ann = table.join()
    table.say(ann, "/who", "/nick", "/nick é", "/nick server", "/msg x y", "/frob")
    table.say(ann, "/me left", TOO_LONG, "/quit")
    for line in heard(ann):
        word = line.removeprefix("* ").split()[0].rstrip(":,")
        assert is_reserved(word), line


def test_unknown_command_is_told_to_its_sender(table: Table) -> None:
    """And is not said: it may have been meant to be private."""
    ann, bob = table.join(), table.join()
    table.say(ann, "/frob it", "/", "/me")
    assert heard(ann) == [
        "* unknown command /frob; /help lists the commands",
        "* unknown command /; /help lists the commands",
        "* usage: /me TEXT",
    ]
    assert heard(bob) == []


def test_commands_in_any_case_and_spacing(table: Table) -> None:
    """People type in a hurry."""
    ann = table.join()
    table.say(ann, "/WHO ", "/Nick   ann  ")
    assert heard(ann) == ["* here (1): guest1", "* you are now ann"]


def test_help_names_every_command(table: Table) -> None:
    """It is made from the table of commands."""
    ann = table.join()
    table.say(ann, "/help")
    text = "\n".join(heard(ann))
    for name in ("/nick NAME", "/who", "/msg NAME TEXT", "/me TEXT", "/quit", "//TEXT"):
        assert name in text


def test_who_is_in_order_and_fits_lines(table: Table) -> None:
    """Alphabetical, ignoring case; a crowd takes several notices."""
    ann = table.join()
    table.say(ann, "/nick Zoe")
    for name in ("bob", "Ann"):
        table.say(table.join(), f"/nick {name}")
    heard(ann)
    table.say(ann, "/who")
    assert heard(ann) == ["* here (3): Ann, bob, Zoe"]
    for _ in range(300):
        table.join()
    table.say(ann, "/who")
    lines = heard(ann)
    assert len(lines) > 1
    assert all(line.startswith("* ") and len(line) < 2000 for line in lines)
    assert sum(line.count("guest") for line in lines) == 300


# ------------------------------------------------------------------ the operator


def test_operator_talks(table: Table) -> None:
    """To everyone; a slash is doubled."""
    ann = table.join()
    assert operate(table, "hello") == []
    assert operate(table, "//who") == []
    assert operate(table, "") == []
    assert heard(ann) == ["[server] hello", "[server] /who"]


def test_operator_sees_who_is_here(table: Table) -> None:
    """With address, time and what is queued."""
    ann = table.join("192.0.2.7:1234")
    ann.since = 0.0
    ann.outbox.queued = 77
    head, row = operate(table, "/who")
    assert head == "1 here"
    assert row.split()[:2] == ["guest1", "192.0.2.7:1234"]
    assert "19" in row.split("since ")[1]
    assert row.endswith("77 bytes queued")
    assert heard(ann) == []


@pytest.mark.parametrize(
    ("line", "farewell"),
    [
        ("/kick GUEST1", "* you were removed by the operator"),
        (
            "/kick guest1  bad  language ",
            "* you were removed by the operator: bad  language",
        ),
    ],
)
def test_operator_removes_somebody(table: Table, line: str, farewell: str) -> None:
    """The member is told why, the others that it left."""
    ann, bob = table.join(), table.join()
    assert operate(table, line) == ["guest1 was removed"]
    assert heard(ann) == [farewell]
    assert heard(bob) == ["* guest1 left"]
    assert ann.outbox.ended


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("/kick", "usage: /kick NAME [REASON]"),
        ("/kick bob", "nobody here is called bob; /who tells who is here"),
        ("/frob", "unknown command /frob; /help lists the commands"),
    ],
)
def test_operator_is_told_what_is_wrong(table: Table, line: str, answer: str) -> None:
    """And nobody else."""
    ann = table.join()
    assert operate(table, line) == [answer]
    assert heard(ann) == []


def test_operator_help(table: Table) -> None:
    """Names the commands, and exit."""
    text = "\n".join(operate(table, "/help"))
    for name in ("/who", "/kick NAME [REASON]", "/help", "exit", "//TEXT"):
        assert name in text


def operate(table: Table, line: str) -> list[str]:
    """Have the operator type a line; return what is shown there."""
    import commands

    rows = commands.operate(table.room, line)
    table.settle()
    return rows


# --------------------------------------------------------------------- listeners


def test_listeners_get_what_is_said_to_everyone() -> None:
    """Not what is private, nor comings and goings."""
    table = Table()
    said: list[str] = []
    table.room.listeners.append(said.append)
    ann, bob = table.join(), table.join()
    table.say(ann, "hi", "/me waves", "/msg guest2 psst", "/nick ann", "//x")
    operate(table, "hello")
    table.say(bob, "/quit")
    assert said == ["[guest1] hi", "* guest1 waves", "[ann] /x", "[server] hello"]


def test_room_is_empty_to_begin_with() -> None:
    """Nobody here, nothing to say."""
    room = Room()
    assert not room.members
    assert room.out.size == 0
