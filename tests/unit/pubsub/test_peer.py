"""What two nodes tell each other: in step, or not at all."""

import pytest

from respcache.errors import ProtocolError
from respcache.pubsub import peer as peers
from respcache.pubsub.audience import Kind
from respcache.pubsub.gathering import Gathering
from respcache.pubsub.peer import OutOfStep, Peer
from respcache.pubsub.wire import ITEMS_BYTES, ITEMS_MAX, Asked, Counted, Heard, Name, Published, Told

A: Name = (Kind.CHANNEL, b"a")
B: Name = (Kind.PATTERN, b"b")


def told(peer: Peer) -> list[Told]:
    """Take out what it is told."""
    return [message for message in peer.take_out() if isinstance(message, Told)]


def linked() -> Peer:
    """Make a peer with a link on which nothing is under way."""
    peer = Peer()
    peer.connect(5, [])
    assert told(peer) == [Told(5, 0, [], [])]
    peer.heard(Heard(5, 0))
    return peer


def test_names_are_told_in_one_message_a_turn_and_each_once() -> None:
    """The last state of a name counts."""
    peer = linked()
    for joined, name in ((True, A), (False, A), (True, B), (True, A), (False, B)):
        peer.tell(name, joined=joined)
    assert told(peer) == [Told(5, 1, [A], [B])]
    assert not peer.settled
    peer.heard(Heard(4, 1))
    assert not peer.settled, "that was about a former link"
    peer.heard(Heard(5, 1))
    assert peer.settled


def test_a_new_link_begins_a_new_epoch() -> None:
    """All names are told again, those that were about to be told included, and once."""
    peer = linked()
    peer.tell(A, joined=True)
    peer.disconnect()
    peer.connect(6, [A, B])
    peer.tell(A, joined=False)
    assert told(peer) == [Told(6, 0, [B], [A])]


@pytest.mark.parametrize("follower", [(7, 1), (7, 3), (7, 0), (8, 1), (9, 5)])
def test_what_does_not_follow_is_refused(follower: tuple[int, int]) -> None:
    """A repetition, a gap, a new epoch that does not begin at its beginning."""
    peer = linked()
    peer.hear(Told(7, 0, [A], []))
    peer.hear(Told(7, 1, [B], []))
    with pytest.raises(OutOfStep):
        peer.hear(Told(*follower, [], [A]))
    assert peer.names == {A, B}


def test_what_is_heard_is_said_to_be_once_a_turn() -> None:
    """All up to the last number, in one message; names that are news are given, others not."""
    peer = linked()
    assert peer.hear(Told(7, 0, [A], [])) == ([A], [])
    assert peer.hear(Told(7, 1, [A, B], [(Kind.SHARD, b"unknown")])) == ([B], [])
    assert peer.hear(Told(7, 2, [], [A])) == ([], [A])
    assert peer.take_out() == [Heard(7, 2)]
    assert peer.hear(Told(6, 0, [A], [])) == ([], []), "an earlier epoch"


def test_a_peer_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names beyond the limit end the link; those that are gone make room."""
    monkeypatch.setattr(peers, "TOLD_MAX_BYTES", 2400)
    peer = linked()
    peer.hear(Told(7, 0, [A, B], []))
    for number in range(1, 20):
        peer.hear(Told(7, number, [(Kind.SHARD, b"%d" % number)], [(Kind.SHARD, b"%d" % (number - 1))]))
    with pytest.raises(ProtocolError):
        peer.hear(Told(7, 20, [(Kind.SHARD, b"x" * 1500)], []))


def test_large_batches_are_cut() -> None:
    """By number and by bytes; questions and answers keep their place among the publications."""
    peer = linked()
    gathering = Gathering(10**6, [0], lambda _: b"")
    for _ in range(ITEMS_MAX + 1):
        peer.publish(Kind.CHANNEL, b"ch", b"m", gathering)
    peer.publish(Kind.CHANNEL, b"ch", b"m" * ITEMS_BYTES, gathering)
    peer.ask(Kind.CHANNEL, [b"ch"], gathering)
    peer.publish(Kind.CHANNEL, b"ch", b"m", gathering)
    peer.answer(3, [4])
    out = peer.take_out()
    assert [type(message) for message in out] == [Published, Published, Asked, Counted, Published]
    assert [len(message.items) for message in out if isinstance(message, Published)] == [ITEMS_MAX, 2, 1]


def test_an_answer_fits_its_question() -> None:
    """Or it is no answer, and the question still stands."""
    peer = linked()
    gathering = Gathering(1, [0, 10], lambda totals: b"%d %d" % tuple(totals))
    peer.ask(Kind.CHANNEL, [b"a", b"b"], gathering)
    [asked] = peer.take_out()
    assert isinstance(asked, Asked)
    with pytest.raises(ProtocolError):
        peer.counted(Counted(asked.number, [1]))
    peer.counted(Counted(asked.number, [1, 2]))
    peer.counted(Counted(asked.number, [3, 4]))
    assert gathering.wire == b"1 12"


def test_the_first_reply_in_the_queue_comes_last() -> None:
    """So that all replies of a pipeline go out in one write."""
    peer = linked()
    resolved: list[int] = []
    for number in range(3):
        gathering = Gathering(1, [0], lambda _: b"")
        gathering.then(lambda number=number: resolved.append(number))  # type: ignore[misc] # the number is bound
        peer.publish(Kind.CHANNEL, b"ch", b"m", gathering)
    [published] = peer.take_out()
    assert isinstance(published, Published)
    peer.counted(Counted(published.number, [1, 1, 1]))
    assert resolved == [2, 1, 0]
