from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from teachers.fleet.affinity import affinity_of, ranked, salt_of
from tests.support.asking import frame, request


@dataclass(frozen=True)
class Seat:
    salt: int
    name: str


SEATS = [Seat(salt_of(f"http://gpu-{index}:8000/v1"), str(index)) for index in range(8)]


def test_requests_on_one_picture_prefer_one_replica() -> None:
    first = request("Describe it.", frames=[frame(100), frame(100, fill=2)])
    again = request("Is it a liver?", frames=[frame(100)])
    assert affinity_of(first, "0" * 64) == affinity_of(again, "f" * 64)
    assert affinity_of(request("a"), "0" * 64) != affinity_of(request("a"), "f" * 64)


@given(st.integers(0, 2**64 - 1), st.integers(0, 7))
def test_when_a_replica_leaves_only_what_preferred_it_moves(affinity: int, gone: int) -> None:
    before = ranked(affinity, SEATS)
    after = ranked(affinity, [seat for seat in SEATS if seat.name != str(gone)])
    assert after == [seat for seat in before if seat.name != str(gone)]


def test_pictures_spread_evenly() -> None:
    counts = dict.fromkeys((seat.name for seat in SEATS), 0)
    for index in range(4_000):
        counts[ranked(salt_of(f"picture {index}"), SEATS)[0].name] += 1
    assert all(400 < count < 600 for count in counts.values())
