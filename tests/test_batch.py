"""What a batch says to whom, against the obvious way of saying it."""

from hypothesis import given
from hypothesis import strategies as st

from batch import Batch
from room import Member

NAMES = ["ann", "bob", "cyd", "dan"]


class Naive:
    """Each frame appended to each recipient's own list, at once."""

    def __init__(self, present: list[Member]) -> None:
        self.present = list(present)
        self.heard: dict[Member, bytes] = dict.fromkeys(present, b"")

    def to_all(self, frame: bytes, but: Member | None = None) -> None:
        """As Batch does."""
        for member in self.present:
            if member is not but:
                self.heard[member] += frame

    def to_one(self, member: Member, frame: bytes) -> None:
        """As Batch does."""
        self.heard[member] += frame

    def enter(self, member: Member) -> None:
        """As Batch does."""
        self.present.append(member)
        self.heard[member] = b""

    def leave(self, member: Member) -> None:
        """As Batch does."""
        self.present.remove(member)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["all", "but", "one", "enter", "leave"]),
        st.integers(0, 20),
        st.binary(max_size=3),
    ),
    max_size=40,
)


@given(st.integers(0, 3), STEPS)
def test_everyone_hears_what_the_naive_way_would_tell(
    already: int, steps: list[tuple[str, int, bytes]]
) -> None:
    """For any sequence of comings, goings, talk and private lines."""
    naive = Naive([new_member() for _ in range(already)])
    batch = Batch()
    for kind, number, frame in steps:
        if kind == "all":
            naive.to_all(frame)
            batch.to_all(frame)
        elif kind == "enter":
            member = new_member()
            naive.enter(member)
            batch.enter(member)
        elif naive.present:
            member = naive.present[number % len(naive.present)]
            if kind == "leave":
                naive.leave(member)
                batch.leave(member)
            elif kind == "but":
                naive.to_all(frame, but=member)
                batch.to_all(frame, but=member)
            else:
                naive.to_one(member, frame)
                batch.to_one(member, frame)
    parcels = list(batch.parcels(naive.present))
    heard = dict.fromkeys(naive.heard, b"") | dict(parcels)
    assert len({member for member, _ in parcels}) == len(parcels), "two parcels for one"
    assert heard == naive.heard


def test_private_lines_do_not_walk_through_everyone() -> None:
    """Only those concerned get a parcel when there is nothing in common."""
    everyone = [new_member() for _ in range(4)]
    batch = Batch()
    batch.to_one(everyone[1], b"psst")
    assert list(batch.parcels(everyone)) == [(everyone[1], b"psst")]


def test_size_counts_all_that_is_held() -> None:
    """Common and private bytes alike."""
    batch = Batch()
    batch.to_all(b"12345")
    batch.to_one(new_member(), b"678")
    assert batch.size == 8


def new_member() -> Member:
    """Return a member without an outbox; a batch needs none."""
    return Member("", "", None)  # type: ignore[arg-type]
