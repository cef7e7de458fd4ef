"""The table shows the record, and neighbouring partitions merge into ranges."""

from dataclasses import replace

from msgspec.structs import replace as replaced

from respcache.cluster.ownership.record import SEATS, Entry, Node, Record, found
from respcache.cluster.ownership.slots import PARTITIONS, SLOTS
from respcache.cluster.ownership.table import Table


def shown(record: Record) -> Table:
    """Return a table of a record."""
    table = Table()
    table.show(record)
    return table


def test_a_new_table_knows_nobody() -> None:
    """Before there is a record there is no primary, and everybody knows more."""
    table = Table()
    assert set(table.primary) == {""}
    assert table.ranges() == []
    assert table.copies(0) == ()
    assert table.behind((1, 1))


def test_one_node_is_one_range() -> None:
    """Neighbours with equal copies merge."""
    assert shown(found("cluster", Node("a", 1), 1)).ranges() == [(0, SLOTS - 1, ("a",))]


def test_ranges_end_where_copies_differ_or_are_missing() -> None:
    """The primary comes first; a partition without one is left out."""
    record = found("cluster", Node("a", 1), 2).with_nodes([Node("a", 1), Node("b", 1)])
    table = shown(
        record.edited({1: Entry(1, 1, 1, "b", ("a", "b")), 2: Entry(1, 1, 1, "", ()), PARTITIONS - 1: Entry()})
    )
    assert table.ranges() == [(0, 15, ("a",)), (16, 31, ("b", "a")), (48, SLOTS - 17, ("a",))]
    assert table.primary[:3] == ["a", "b", ""]


def test_the_list_is_edited_in_place() -> None:
    """Whoever holds it sees the next record."""
    table = Table()
    primary = table.primary
    table.show(found("cluster", Node("a", 1), 1))
    assert primary[0] == "a"
    assert table.behind((SEATS, 2))
    assert not table.behind((1, 1))


def test_it_remembers_when_a_partition_last_changed_hands() -> None:
    """One that went and came back is another matter than one that stayed, for whoever has missed both."""
    record = found("cluster", Node("a", 1), 2).with_nodes([Node("a", 1), Node("b", 1)])
    table = shown(record)
    before = table.version
    for term, owner in ((1, "b"), (2, "a")):
        record = record.edited({1: Entry(term, 1, 1, owner, ("a", "b"))})
        table.show(replace(record, version=(SEATS, 1 + term)))
    assert table.changed_since(before, [0, 1])
    assert not table.changed_since(before, [0, 2])
    assert not table.changed_since(table.version, [0, 1, 2])
    assert table.changed == table.version > before


def test_it_notices_that_a_partition_was_away_in_a_version_that_it_has_missed() -> None:
    """The owner has the same name as before, but another epoch."""
    record = found("cluster", Node("a", 1), 2).with_nodes([Node("a", 1), Node("b", 1)])
    table = shown(record)
    before, epoch = table.version, record.entries[1].epoch
    moved = record.edited({1: replaced(record.entries[1], epoch=epoch + 2, in_sync=("a", "b"))})
    table.show(replace(moved, version=(SEATS, 3)))
    assert table.primary[1] == "a"
    assert table.changed_since(before, [1])
    assert not table.changed_since(before, [0])
