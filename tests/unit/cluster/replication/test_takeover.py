"""A new primary finds out which copies are equal, makes equal those that can be, and names the others."""

from respcache.cluster.replication.items import Item, items_of
from respcache.cluster.replication.replica import Replica
from respcache.cluster.replication.takeover import Takeover, compare
from respcache.cluster.replication.wire import Frame, encode_frame
from simulation.ownership.store import ModelStore

EFFECTS: list[Item] = [(7, 3, sequence, 0, [b"DEL", b"key"]) for sequence in (11, 12, 13)]


def new_primary() -> tuple[dict[int, Takeover], Replica]:
    """Return a node that was a copy of partition 7 up to effect 13, and has become primary in epoch 4."""
    replica = Replica(ModelStore())
    copy = replica.follow(7, 3, ("old", 1))
    copy.whole, copy.sequence, copy.floor = True, 10, 10
    items = items_of(*EFFECTS)
    frame = Frame(1, (1, 1), items.numbers, items.words)
    replica.receive(replica.inbound(("old", 1)), frame, encode_frame(1, (1, 1), items))
    return {7: Takeover(4, 13, {"b", "c"}, 0.0)}, replica


def test_equal_copies_are_done_with() -> None:
    """Nothing is sent, nobody is faulty; the other one is still awaited."""
    takeovers, replica = new_primary()
    findings = compare(takeovers, replica, "b", [(7, 4, 13)])
    assert (findings.tails, findings.faulty) == ({}, [])
    assert takeovers[7].awaited == {"c"}
    assert not takeovers[7].resent


def test_copies_that_are_behind_get_what_they_lack() -> None:
    """Under the new epoch, since the old one is refused by now."""
    takeovers, replica = new_primary()
    findings = compare(takeovers, replica, "b", [(7, 4, 11)])
    assert findings.tails == {7: [(7, 4, 12, 0, [b"DEL", b"key"]), (7, 4, 13, 0, [b"DEL", b"key"])]}
    assert takeovers[7].awaited == {"c"}
    assert takeovers[7].resent


def test_copies_ahead_unknown_or_too_far_behind_are_faulty() -> None:
    """They stay awaited until the record has demoted them."""
    for position in (14, -1, 9):
        takeovers, replica = new_primary()
        findings = compare(takeovers, replica, "b", [(7, 4, position)])
        assert (findings.tails, findings.faulty) == ({}, [7])
        assert takeovers[7].awaited == {"b", "c"}
        assert takeovers[7].faulty == {"b"}


def test_stale_reports_say_nothing() -> None:
    """Of another epoch, another partition, or from somebody who was not asked."""
    takeovers, replica = new_primary()
    for peer, report in (("b", (7, 3, 13)), ("b", (8, 4, 13)), ("x", (7, 4, 13))):
        findings = compare(takeovers, replica, peer, [report])
        assert (findings.tails, findings.faulty) == ({}, [])
    assert takeovers[7].awaited == {"b", "c"}
