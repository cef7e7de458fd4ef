"""When consumers of a group were seen, and when they were given something."""

import pytest

from respcache.commands import families  # noqa: F401 # it fills the table
from respcache.commands.registry import lookup
from respcache.commands.replay import CommandCopies
from respcache.commands.stream_arguments import passed
from respcache.store.keyspace import Store
from respcache.store.partition import Argv
from respcache.store.snapshot import dump, load
from respcache.store.stream_groups import NEVER_ACTIVE
from respcache.store.streams import Stream
from unit.alone import NotedLog

KEY = b"s"


@pytest.mark.parametrize(
    ("now_unix_ms", "then_unix_ms", "expected"),
    [(7_000, 5_000, 2_000), (5_000, 7_000, 0), (7_000, -(2**63), 0), (7_000, 7_000 - 2**63 + 1, 2**63 - 1)],
)
def test_a_time_since_something_has_64_bits(now_unix_ms: int, then_unix_ms: int, expected: int) -> None:
    """Whatever moment a payload of DUMP named: clients can read what is told."""
    assert passed(now_unix_ms, then_unix_ms) == expected


def test_copies_know_when_consumers_were_active() -> None:
    """Reading makes active, as do claims of either kind: by the clock, not by the time that XCLAIM gives an entry."""
    store, copy, log = Store(), Store(), NotedLog()
    partition = store.keyspace(0).at(KEY)
    partition.log = log
    for now, text in enumerate(
        (
            b"XADD s 1-1 f v",
            b"XGROUP CREATE s g 0",
            b"XGROUP CREATECONSUMER s g b",
            b"XREADGROUP GROUP g a STREAMS s >",
            b"XREADGROUP GROUP g a STREAMS s 0",
            b"XCLAIM s g b 0 1-1 TIME 3 JUSTID",
            b"XAUTOCLAIM s g c 0 0",
            b"XREADGROUP GROUP g d STREAMS s 0",
        ),
        start=1_000,
    ):
        argv: Argv = list(text.split())
        row = lookup(argv[0])
        assert row is not None
        row = row.subcommands[argv[1]] if row.subcommands else row
        store.ledger.now_unix_ms = now
        if row.on_keys is None:
            row.on_key(partition, argv)
        else:
            row.on_keys(store.keyspace(0), argv)
        if partition.changed:
            partition.ship(argv)
    for _, effect in log.effects:
        CommandCopies(copy).apply(partition.number, 0, effect)
    held, held_there = partition.values[KEY], copy.keyspace(0).at(KEY).values[KEY]
    assert dump(held) == dump(held_there)
    again = load(dump(held))
    assert isinstance(again, Stream)
    consumers = again.groups[b"g"].consumers
    assert {name: one.active_unix_ms for name, one in consumers.items()} == {
        b"a": 1_003,
        b"b": 1_005,
        b"c": 1_006,
        b"d": NEVER_ACTIVE,
    }
