"""What a leader decides next follows from the record and from who is alive."""

import dataclasses

import msgspec

from respcache.cluster.ownership.changes import (
    Admit,
    Bury,
    Change,
    Dismiss,
    Enrol,
    Forget,
    InSync,
    Learn,
    Recreate,
    Retire,
    Target,
)
from respcache.cluster.ownership.planner import LEARNED_MAX, Outlook, TargetCache, lost, plan, unowned
from respcache.cluster.ownership.record import Life, Node, Record, Standing, found
from respcache.cluster.ownership.ring import RingNode, place
from respcache.cluster.ownership.slots import PARTITIONS


class AtOnce(TargetCache):
    """Knows every target as soon as it is asked for."""

    def look(self, record: Record) -> Target | None:
        """Take all steps."""
        while (target := super().look(record)) is None:
            self.step()
        return target


PLACEMENT = AtOnce()


def outlook(*live: str, dead: tuple[Life, ...] = (), **changes: object) -> Outlook:
    """Return what a leader sees: all lives are of run 1."""
    fields: dict[str, object] = {"newcomers": (), "given_up": frozenset(), "lost": frozenset()} | changes
    present = dict.fromkeys(live, 1)
    return Outlook(live=present, present=present, heard=frozenset(live), dead=dead, **fields)  # type: ignore[arg-type]  # a test's shorthand


def kinds(changes: list[Change]) -> list[type]:
    """Return what was decided, in order."""
    return [type(change) for change in changes]


def applied(record: Record, changes: list[Change]) -> Record:
    """Apply changes."""
    for change in changes:
        record = change.apply(record)
    return record


def carried_out(record: Record, seen: Outlook) -> Record:
    """Decide what there is to decide, until there is nothing more."""
    while changes := plan(record, seen, PLACEMENT):
        assert all(len(change.partitions) <= LEARNED_MAX for change in changes if isinstance(change, Learn))
        record = applied(record, changes)
        seen = dataclasses.replace(seen, newcomers=())
    return record


def pair() -> Record:
    """Return a cluster of a and b in which every partition has two copies in sync."""
    record = found("cluster", Node("a", 1), 2)
    record = carried_out(record, outlook("a", "b", newcomers=(Node("b", 1),)))
    spots = tuple((p, entry.revision) for p, entry in enumerate(record.entries))
    return InSync("b", 1, spots).apply(record)


def test_a_cluster_at_its_target_is_left_alone() -> None:
    """No change without a reason."""
    assert plan(pair(), outlook("a", "b"), PLACEMENT) == []


def test_a_newcomer_is_let_in_and_learns_at_once() -> None:
    """One version makes it a member, a voter, and a learner of some of what it should hold; then of some more."""
    seen = outlook("a", "b", "c", newcomers=(Node("c", 1),))
    assert kinds(plan(pair(), seen, PLACEMENT)) == [Admit, Enrol, Learn]
    record = carried_out(pair(), seen)
    learns = {p for p, entry in enumerate(record.entries) if entry.learners == ("c",)}
    assert learns == {p for p, names in enumerate(PLACEMENT(record)) if "c" in names}


def test_a_newcomer_is_let_in_before_its_place_is_known() -> None:
    """While the target of the new ring is being worked out, nobody learns; then it is the one that `place` gives."""
    cache = TargetCache()
    assert cache(pair()) == place([RingNode("a"), RingNode("b")], 2)
    seen = outlook("a", "b", "c", newcomers=(Node("c", 1),))
    changes = plan(pair(), seen, cache)
    assert kinds(changes) == [Admit, Enrol]
    record = applied(pair(), changes)

    assert cache.look(record) is None
    assert cache.look(pair()) is not None, "what is known stays so meanwhile"
    steps = 1
    while not cache.step():
        steps += 1
        assert plan(record, outlook("a", "b", "c"), cache) == []
    assert steps > 5
    assert not cache.busy
    assert kinds(plan(record, outlook("a", "b", "c"), cache)) == [Learn]
    assert cache.look(record) == place([RingNode("a"), RingNode("b"), RingNode("c")], 2)


def test_what_was_looked_for_last_is_worked_on() -> None:
    """A ring that is over is not finished; asked for again it begins anew, and asking again and again loses nothing."""
    cache = TargetCache()
    one = found("cluster", Node("a", 1), 2)
    assert cache.look(one) is None
    assert cache.look(pair()) is None
    while not cache.step():
        assert cache.look(pair()) is None
    assert cache.look(pair()) is not None
    assert cache.look(one) is None
    assert not cache.step()


def test_the_dead_are_buried_at_once_and_replaced_later() -> None:
    """Within the delay they keep their place; after it, copies are made elsewhere and they are forgotten."""
    record = carried_out(pair(), outlook("a", "b", "c", newcomers=(Node("c", 1),)))
    changes = plan(record, outlook("a", "c", dead=(("b", 1),)), PLACEMENT)
    assert kinds(changes) == [Bury, Dismiss]
    record = applied(record, changes)
    assert {entry.primary for entry in record.entries} == {"a"}
    assert plan(record, outlook("a", "c", dead=(("b", 1),)), PLACEMENT) == []

    gone = outlook("a", "c", dead=(("b", 1),), given_up=frozenset({("b", 1)}))
    changes = plan(record, gone, PLACEMENT)
    assert kinds(changes) == [Retire, Forget, Learn]
    record = carried_out(record, gone)
    assert "b" not in record.nodes
    assert all(set(entry.holders) == {"a", "c"} for entry in record.entries)


def test_a_restarted_member_is_dead_first_and_a_learner_then() -> None:
    """Its new life is in sync with nothing."""
    present = {"a": 1, "b": 2}
    seen = Outlook(present, present, frozenset("ab"), (Node("b", 2),), (("b", 1),), frozenset(), frozenset())
    assert kinds(plan(pair(), seen, PLACEMENT)) == [Bury, Admit, Dismiss, Learn]
    assert {entry.in_sync for entry in carried_out(pair(), seen).entries} == {("a",)}


def test_a_dead_member_that_comes_back_after_it_was_given_up_is_let_in_again() -> None:
    """It may still be named as the last copy of something."""
    record = found("cluster", Node("a", 1), 1).with_nodes([Node("a", 1, standing=Standing.GONE), Node("b", 1)])
    changes = plan(record, outlook("a", "b", newcomers=(Node("a", 1),)), PLACEMENT)
    assert Admit in kinds(changes)
    assert {entry.primary for entry in applied(record, changes).entries} == {"a"}


def test_lost_partitions_start_anew_on_a_live_node_only_when_it_is_time() -> None:
    """And only they."""
    record = pair()
    alone = outlook("a", dead=(("b", 1),))
    buried = applied(record, plan(record, alone, PLACEMENT))
    empty = Admit(Node("a", 2)).apply(buried)
    assert unowned(empty, {"a": 2}) == set(range(PARTITIONS))
    seen = Outlook({"a": 2}, {"a": 2}, frozenset("a"), (), (("b", 1),), frozenset(), frozenset({3, 5}))
    changes = plan(empty, seen, PLACEMENT)
    assert Recreate in kinds(changes)
    entries = applied(empty, changes).entries
    assert {p for p, entry in enumerate(entries) if entry.primary} == {3, 5}
    assert entries[3].born == entries[3].epoch


def test_what_has_an_heir_does_not_start_anew_be_it_for_ever_without_a_primary() -> None:
    """No majority could name one until an operator let this node go on alone: its copies are all that is left.

    The dead have started again meanwhile, with nothing.
    """
    present = {"a": 1, "b": 2}
    everything = frozenset(range(PARTITIONS))
    seen = Outlook(present, present, frozenset("ab"), (Node("b", 2),), (("b", 1),), frozenset(), everything)
    record = pair()
    theirs = msgspec.structs.replace(record.entries[0], primary="b", in_sync=("b", "a"))
    gone = msgspec.structs.replace(record.entries[0], primary="b", in_sync=("b",))
    changes = plan(record.edited({0: theirs, 1: gone}), seen, PLACEMENT)
    (anew,) = (change for change in changes if isinstance(change, Recreate))
    assert [partition for partition, _, _ in anew.partitions] == [1]


def test_only_a_live_copy_in_sync_keeps_a_partition_from_being_lost() -> None:
    """Be it primary or not; a learner has nothing, nor has a new life."""
    record = pair()
    theirs = msgspec.structs.replace(record.entries[0], primary="b", in_sync=("b", "a"))
    learned = msgspec.structs.replace(record.entries[0], primary="b", in_sync=("b",), learners=("a",))
    known = record.edited({0: theirs, 1: learned})
    assert lost(known, {"a": 1, "b": 1}) == set()
    assert lost(known, {"a": 1}) == {1}
    assert lost(known, {"a": 1, "b": 2}) == {1}
    assert 0 in lost(known, {"b": 2})


def test_partitions_of_the_dead_are_unowned() -> None:
    """A primary that is not alive serves nobody."""
    assert unowned(pair(), {"a": 1}) == set()
    assert unowned(pair(), {"b": 1}) == set(range(PARTITIONS))
