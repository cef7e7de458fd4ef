"""Messages that go by a newer record wait for it, and nothing of a peer overtakes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.ownership.wire import DecodeError
from respcache.cluster.replication.wire import Frame
from respcache.cluster.turns import HELD_MAX, Turns


def frame(number: int, version: int) -> Frame:
    """Return a frame that goes by a version."""
    return Frame(number, (1, version), [], [])


def numbers(turns: Turns, peer: str, version: int) -> list[int]:
    """Release what need not wait any more."""
    return [message.number for message, _ in turns.release(peer, (1, version)) if isinstance(message, Frame)]


def test_what_goes_by_a_known_record_does_not_wait() -> None:
    """Unless others of its peer do."""
    turns = Turns()
    assert not turns.queue("b", frame(1, 5), b"", (1, 5))
    assert turns.queue("b", frame(2, 6), b"", (1, 5))
    assert turns.queue("b", frame(3, 5), b"", (1, 5))
    assert not turns.queue("c", frame(1, 5), b"", (1, 5))
    assert (turns.peers(), turns.waiting("b"), turns.waiting("c")) == (["b"], 2, 0)
    assert numbers(turns, "b", 6) == [2, 3]
    assert turns.peers() == []


def test_only_as_much_is_released_as_the_record_allows() -> None:
    """The rest goes on waiting, each message as it came."""
    turns = Turns()
    for number, version in enumerate((6, 7, 6)):
        turns.queue("b", frame(number, version), b"%d" % number, (1, 5))
    assert [encoded for _, encoded in turns.release("b", (1, 6))] == [b"0"]
    assert turns.waiting("b") == 2
    assert [encoded for _, encoded in turns.release("b", (1, 7))] == [b"1", b"2"]


def test_a_broken_link_loses_what_waits() -> None:
    """It will come again."""
    turns = Turns()
    turns.queue("b", frame(1, 6), b"", (1, 5))
    turns.forget("b")
    assert turns.peers() == []
    assert not turns.queue("b", frame(1, 5), b"", (1, 5))


def test_what_waits_is_bounded() -> None:
    """With one more the link has to go: were it only lost, an ack of the next would stand for it, too."""
    turns = Turns()
    for number in range(HELD_MAX):
        assert turns.queue("b", frame(number, 6), b"", (1, 5))
    with pytest.raises(DecodeError, match="more than 10000 messages"):
        turns.queue("b", frame(HELD_MAX, 6), b"", (1, 5))
    assert numbers(turns, "b", 6) == list(range(HELD_MAX))


@given(st.lists(st.integers(5, 8), max_size=20), st.lists(st.integers(5, 9), max_size=10).map(sorted))
def test_the_order_of_a_peer_is_kept(versions: list[int], learned: list[int]) -> None:
    """Whatever the versions, and whenever they come."""
    turns = Turns()
    taken = [
        number for number, version in enumerate(versions) if not turns.queue("b", frame(number, version), b"", (1, 5))
    ]
    for version in [*learned, 9]:
        if turns.waiting("b"):
            taken += numbers(turns, "b", version)
    assert taken == list(range(len(versions)))
