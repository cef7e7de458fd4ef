"""Who goes when too many say nothing."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.net.crowd import STRANGERS_MAX, Crowd


def test_a_host_that_fills_the_room_pushes_out_its_own() -> None:
    """Whoever has come from elsewhere stays, be it the oldest."""
    crowd = Crowd[int]()
    crowd.enter(0, "10.0.0.1")
    gone = [crowd.enter(number, "10.0.0.9") for number in range(1, 1000)]
    assert gone[: STRANGERS_MAX - 1] == [None] * (STRANGERS_MAX - 1)
    assert gone[STRANGERS_MAX - 1 :] == list(range(1, 1000 - STRANGERS_MAX + 1))
    assert 0 in list(crowd)


@given(
    hosts=st.lists(st.sampled_from("abc"), max_size=3 * STRANGERS_MAX),
    leaving=st.sets(st.integers(0, 3 * STRANGERS_MAX)),
)
def test_there_are_never_more_than_there_is_room_for(hosts: list[str], leaving: set[int]) -> None:
    """Whoever goes has come from the host that most are from, first of them, and is counted no more."""
    crowd, there = Crowd[int](), dict[int, str]()
    for number, host in enumerate(hosts):
        gone = crowd.enter(number, host)
        there[number] = host
        if gone is not None:
            counts = {origin: list(there.values()).count(origin) for origin in there.values()}
            assert counts[there[gone]] == max(counts.values())
            assert gone == min(one for one, origin in there.items() if origin == there[gone])
            del there[gone]
        if number in leaving:
            crowd.leave(number)
            there.pop(number, None)
        assert list(crowd) == list(there)
        assert len(crowd) <= STRANGERS_MAX


def test_who_was_of_use_goes_last() -> None:
    """Of one host; who has left does not come back by that."""
    crowd = Crowd[int](3)
    for number in range(3):
        crowd.enter(number, "10.0.0.9")
    crowd.stay(0)
    crowd.leave(1)
    crowd.stay(1)
    assert [crowd.enter(number, "10.0.0.9") for number in (3, 4, 5)] == [None, 2, 0]
