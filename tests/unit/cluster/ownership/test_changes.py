"""Changes of the record: what each does, that it does it once, and what no sequence of them can break."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.changes import (
    Admit,
    Bury,
    Change,
    Demote,
    Dismiss,
    Drop,
    Enrol,
    Forget,
    InSync,
    Learn,
    Move,
    Recreate,
    Retire,
    Seize,
    Surrender,
)
from respcache.cluster.ownership.record import VOTERS_MAX, Entry, Node, Record, Standing, broke, found
from respcache.cluster.ownership.slots import PARTITIONS

NAMES = ("a", "b", "c", "d")
NO_TARGET = ((),) * PARTITIONS
EVERYBODY = frozenset(NAMES)


def record_of(entry: Entry, *names: str) -> Record:
    """Return a record of some nodes, all of run 1, with this entry for partition 0."""
    record = found("cluster", Node(names[0], 1), 2).with_nodes(Node(name, 1) for name in names)
    return record.edited({0: entry})


edited = msgspec.structs.replace
ENTRY = Entry(epoch=3, revision=5, born=1, primary="a", in_sync=("a", "b"), learners=("c",))
RECORD = record_of(ENTRY, "a", "b", "c", "d")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (InSync("c", 1, ((0, 5),)), edited(ENTRY, in_sync=("a", "b", "c"), learners=())),
        (Demote("b", 1, ((0, 5),)), edited(ENTRY, revision=6, in_sync=("a",), learners=("c", "b"))),
        (Move(((0, 5, "b"),)), edited(ENTRY, epoch=4, revision=6, primary="b")),
        (Seize("b", 1, ((0, 5),)), edited(ENTRY, epoch=4, revision=7, primary="b")),
        (Drop(((0, 5, "b"),)), edited(ENTRY, revision=6, in_sync=("a",))),
        (Learn(((0, "d"),)), edited(ENTRY, learners=("c", "d"))),
        (Surrender("b", 1, ((0, 5),)), edited(ENTRY, revision=6, in_sync=("a",))),
        (
            Surrender("a", 1, ((0, 5),)),
            edited(ENTRY, epoch=4, revision=7, primary="b", in_sync=("b",)),
        ),
        (Bury((("b", 1),), NO_TARGET, EVERYBODY), edited(ENTRY, revision=6, in_sync=("a",))),
        (Bury((("c", 1),), NO_TARGET, EVERYBODY), edited(ENTRY, revision=6, learners=())),
        (
            Bury((("a", 1),), NO_TARGET, EVERYBODY),
            edited(ENTRY, epoch=4, revision=7, primary="b", in_sync=("b",)),
        ),
        (Bury((("a", 1), ("b", 1)), NO_TARGET, EVERYBODY), ENTRY),
        (Recreate(((0, 5, "d"),)), Entry(epoch=4, revision=6, born=4, primary="d", in_sync=("d",))),
        (Admit(Node("a", 2)), edited(ENTRY, epoch=4, revision=7, primary="b", in_sync=("b",))),
    ],
)
def test_a_change_edits_the_entry(change: Change, expected: Entry) -> None:
    """Each change, applied to the state that it was meant for."""
    if isinstance(change, Bury) and len(change.dead) == 2:
        expected = edited(expected, revision=5)  # nobody could take over: the copies stay named
    assert change.apply(RECORD).entries[0] == expected


@pytest.mark.parametrize(
    "change",
    [
        InSync("c", 1, ((0, 4),)),
        InSync("c", 2, ((0, 5),)),
        InSync("d", 1, ((0, 5),)),
        Demote("a", 1, ((0, 5),)),
        Demote("b", 1, ((0, 6),)),
        Move(((0, 4, "b"),)),
        Move(((0, 5, "c"),)),
        Drop(((0, 5, "a"),)),
        Drop(((0, 4, "b"),)),
        Learn(((0, "b"), (0, "nobody"))),
        Surrender("b", 2, ((0, 5),)),
        Bury((("a", 2),), NO_TARGET, EVERYBODY),
        Recreate(((0, 4, "d"),)),
        Admit(Node("a", 1)),
        Admit(Node("a", 0)),
        Retire("a", 2),
        Forget(("a", 1)),
    ],
)
def test_a_change_meant_for_another_state_does_nothing(change: Change) -> None:
    """Another revision, another life, a copy that is not there: the very same record comes back."""
    assert change.apply(RECORD) is RECORD


def test_the_preferred_copy_is_promoted() -> None:
    """Of several copies in sync the first of the target takes over."""
    record = record_of(edited(ENTRY, in_sync=("a", "b", "c"), learners=()), "a", "b", "c")
    buried = Bury((("a", 1),), (("c", "b"), *NO_TARGET[1:]), EVERYBODY).apply(record)
    assert buried.entries[0].primary == "c"


@pytest.mark.parametrize(("heard", "primary"), [({"c"}, "c"), ({"a", "d"}, "a"), (set(), "a")])
def test_a_copy_is_given_up_only_for_one_that_has_just_been_heard_of(heard: set[str], primary: str) -> None:
    """Else the dead one stays named: it may be the one that returns with everything."""
    record = record_of(edited(ENTRY, in_sync=("a", "b", "c"), learners=()), "a", "b", "c")
    entry = Bury((("a", 1),), NO_TARGET, frozenset(heard)).apply(record).entries[0]
    assert entry.primary == primary
    assert ("a" in entry.in_sync) == (primary == "a")


def test_one_voter_comes_or_goes_with_each_change() -> None:
    """Every voter has a seat that no other ever had; the last one stays."""
    record = Enrol(("b", 1)).apply(RECORD)
    assert [(voter.name, voter.seat) for voter in record.voters] == [("a", 0), ("b", 1)]
    assert Enrol(("b", 1)).apply(record) is record
    assert Enrol(("b", 2)).apply(Admit(Node("b", 2)).apply(record)).voters == record.voters
    record = Enrol(("c", 1)).apply(Dismiss(("b", 1)).apply(record))
    assert [(voter.name, voter.seat) for voter in record.voters] == [("a", 0), ("c", 2)]
    alone = Dismiss(("c", 1)).apply(record)
    assert Dismiss(("a", 1)).apply(alone) is alone
    crowd = record.with_nodes(Node(f"n{n}", 1) for n in range(9))
    for number in range(9):
        crowd = Enrol((f"n{number}", 1)).apply(crowd)
    assert len(crowd.voters) == VOTERS_MAX


def test_a_voter_is_not_forgotten() -> None:
    """It has to be dismissed first."""
    elsewhere = Entry(1, 1, 1, "b", ("b",))
    record = record_of(elsewhere, "a", "b").edited(dict.fromkeys(range(PARTITIONS), elsewhere))
    retired = Retire("a", 1).apply(record)
    assert Forget(("a", 1)).apply(retired) is retired


def test_the_widest_that_a_cluster_ever_was_is_remembered() -> None:
    """Members that leave do not make it a pair again."""
    record = Admit(Node("c", 1)).apply(Admit(Node("b", 1)).apply(found("cluster", Node("a", 1), 2)))
    assert not Retire("c", 1).apply(record).splits
    assert Admit(Node("b", 1)).apply(found("cluster", Node("a", 1), 2)).splits


def test_a_restarted_last_copy_leaves_nobody() -> None:
    """The new life has nothing: the partition has no primary until it is created anew."""
    record = record_of(Entry(3, 5, 1, "a", ("a",)), "a", "b")
    entry = Admit(Node("a", 2)).apply(record).entries[0]
    assert (entry.primary, entry.in_sync) == ("", ())


def test_the_last_member_retires_only_by_its_own_wish() -> None:
    """Partitions need somewhere to be, unless nobody stays."""
    record = record_of(Entry(1, 1, 1, "a", ("a",)), "a", "b")
    record = Retire("b", 1).apply(record)
    assert record.nodes["b"].standing is Standing.LEAVING
    assert Retire("a", 1, Standing.GONE).apply(record) is record
    assert Retire("a", 1).apply(record).ring() == ()


def test_a_node_is_forgotten_only_when_nothing_names_it() -> None:
    """Entries and nodes stay consistent."""
    retired = Retire("b", 1, Standing.GONE).apply(RECORD)
    assert Forget(("b", 1)).apply(retired) is retired
    bare = Drop(((0, 5, "b"),)).apply(retired)
    assert "b" not in Forget(("b", 1)).apply(bare).nodes


names = st.sampled_from(NAMES)
runs = st.integers(1, 2)
revisions = st.integers(1, 8)
spots = st.tuples(st.just(0), revisions).map(lambda spot: (spot,))
named_spots = st.tuples(st.just(0), revisions, names).map(lambda spot: (spot,))
changes = st.one_of(
    st.builds(InSync, names, runs, spots),
    st.builds(Demote, names, runs, spots),
    st.builds(Move, named_spots),
    st.builds(Drop, named_spots),
    st.builds(Surrender, names, runs, spots),
    st.builds(Retire, names, runs),
    st.builds(Admit, st.builds(Node, names, runs)),
    st.builds(lambda name, run: Bury(((name, run),), NO_TARGET, EVERYBODY), names, runs),
    st.builds(lambda name: Learn(((0, name),)), names),
    st.builds(Recreate, named_spots),
    st.builds(lambda name, run: Forget((name, run)), names, runs),
)


@settings(deadline=None)
@given(sequence=st.lists(changes, max_size=30))
def test_no_sequence_of_changes_breaks_an_entry(sequence: list[Change]) -> None:
    """The primary is in sync, nobody is named twice or unknown, and what is taken away raises the revision."""
    record = RECORD
    for change in sequence:
        before, record = record.entries[0], change.apply(record)
        entry = record.entries[0]
        assert entry.primary in ("", *entry.in_sync)
        assert len(set(entry.holders)) == len(entry.holders)
        assert set(entry.holders) <= record.nodes.keys()
        assert entry.epoch >= before.epoch
        assert entry.revision >= before.revision
        assert entry.primary == before.primary or entry.epoch > before.epoch or not entry.primary
        if not set(before.holders) <= set(entry.holders) or not set(before.in_sync) <= set(entry.in_sync):
            assert entry.revision > before.revision


@settings(deadline=None)
@given(sequence=st.lists(changes, max_size=12), again=changes)
def test_a_change_decided_twice_has_happened_once(sequence: list[Change], again: Change) -> None:
    """Applying a change to its own result is void; so leaders may each decide what they are asked."""
    record = RECORD
    for change in sequence:
        record = change.apply(record)
    once = again.apply(record)
    assert again.apply(once) == once


@pytest.mark.parametrize(
    ("change", "breaks"),
    [
        (Move(((0, 5, "b"),)), False),
        (Seize("b", 1, ((0, 5),)), True),
        (Surrender("a", 1, ((0, 5),)), True),
        (Surrender("b", 1, ((0, 5),)), False),
        (Bury((("a", 1),), NO_TARGET, EVERYBODY), True),
        (Bury((("b", 1),), NO_TARGET, EVERYBODY), False),
        (Demote("b", 1, ((0, 5),)), False),
        (InSync("c", 1, ((0, 5),)), False),
        (Recreate(((0, 5, "a"),)), True),
        (Admit(Node("a", 2)), True),
    ],
)
def test_a_primary_that_could_not_hand_over_is_told_from_one_that_did(change: Change, breaks: bool) -> None:  # noqa: FBT001 # a table of cases
    """By comparing the record before and after; where versions were skipped or forced nobody can tell."""
    after = change.apply(RECORD)
    assert broke(RECORD, after, leap=False) is breaks
    assert broke(RECORD, after, leap=True)
    assert not broke(None, after, leap=False)
    assert not broke(RECORD, RECORD, leap=False)
