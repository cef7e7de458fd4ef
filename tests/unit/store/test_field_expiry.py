"""When fields of hashes are over, on the primary and on copies."""

from collections.abc import Callable, Sequence

import pytest

from respcache.store.events import ALL, KEYEVENT
from respcache.store.field_expiry import FIELDS_GONE, SWEPT_OUT, TAKEN_OUT, fields_gone, note_fields, with_deadlines
from respcache.store.hashes import Hash
from respcache.store.keyspace import Store
from respcache.store.partition import NEVER_UNIX_MS, Argv, Partition
from respcache.store.snapshot import dump, load
from respcache.store.volatile_hashes import VolatileHash

MANY = 3_500
KEY = b"k"
DUE_UNIX_MS = 1_000


class Recorder:
    """A log with one other copy that has everything."""

    def __init__(self) -> None:
        self.streams: Sequence[object] = ("copy",)
        self.clean = True
        self.effects: list[Argv] = []

    def append(self, database: int, argv: Argv) -> None:
        """Take one effect."""
        del database
        self.effects.append(argv)


def _primary(*, timed: int, lasting: int) -> tuple[Partition, Recorder]:
    """Make a partition with a hash, some of whose fields are due at DUE_UNIX_MS."""
    partition = Store().keyspace(0).partitions[0]
    partition.log = log = Recorder()
    partition.ledger.now_unix_ms = 1
    partition.put(KEY, Hash())
    plain = partition.aggregate(KEY, Hash)
    assert plain is not None
    found = with_deadlines(partition, KEY, plain)
    for number in range(timed + lasting):
        found.set(b"%d" % number, b"v")
        if number < timed:
            found.expire(b"%d" % number, DUE_UNIX_MS)
    note_fields(partition, KEY, found)
    partition.ship(None)
    log.effects.clear()
    return partition, log


def _visible(partition: Partition) -> int:
    found = partition.aggregate(KEY, Hash)
    partition.ship(None)
    return 0 if found is None else len(found)


def _held(partition: Partition) -> int:
    found = partition.values[KEY]
    assert isinstance(found, VolatileHash)
    return len(found.table.names)


def test_many_fields_are_over_at_once_and_taken_out_little_by_little() -> None:
    """Nobody sees one of them any more, whoever comes upon them takes out some, and the sweep the rest."""
    partition, log = _primary(timed=MANY, lasting=2)
    copy = Store().keyspace(0).partitions[0]
    copy.restore(KEY, load(dump(partition.values[KEY])), None)

    partition.ledger.now_unix_ms = DUE_UNIX_MS
    assert _visible(partition) == 2
    assert _held(partition) == MANY + 2 - TAKEN_OUT
    assert log.effects == [[FIELDS_GONE, KEY, b"%d" % DUE_UNIX_MS, b"%d" % TAKEN_OUT]]
    sweeps = 0
    while partition.due_unix_ms <= partition.ledger.now_unix_ms:
        held = _held(partition)
        partition.sweep()
        partition.ship(None)
        assert held - _held(partition) <= SWEPT_OUT
        sweeps += 1
    assert (sweeps, _held(partition), partition.due_unix_ms) == (-(-(MANY - TAKEN_OUT) // SWEPT_OUT), 2, NEVER_UNIX_MS)
    assert partition.ledger.expired_fields == MANY

    for name, key, horizon, count in log.effects:
        assert name == FIELDS_GONE
        fields_gone(copy, key, int(horizon), int(count))
    assert dump(copy.values[KEY]) == dump(partition.values[KEY])


@pytest.mark.parametrize("swept", [False, True])
def test_the_key_goes_with_the_last_field(swept: bool) -> None:  # noqa: FBT001 # a parameter of the test
    """Here and on the copies, with its memory freed bit by bit and an event each."""
    partition, log = _primary(timed=MANY, lasting=0)
    partition.ledger.journal.choose(KEYEVENT | ALL)
    partition.ledger.now_unix_ms = DUE_UNIX_MS
    assert list(partition.live_keys()) == []
    if swept:
        partition.sweep()
        partition.ship(None)
    else:
        assert _visible(partition) == 0
    assert (partition.values, partition.volatile, log.effects) == ({}, {}, [[b"DEL", KEY]])
    assert [happening.event.name for happening in partition.ledger.journal.take()] == [b"hexpired", b"del"]
    assert len(partition.ledger.rubbish) == MANY


def test_a_copy_lets_nothing_expire_by_itself() -> None:
    """Its time stands at 0 while it replays, and what it holds it shows to nobody else."""
    partition, _ = _primary(timed=3, lasting=0)
    partition.ledger.now_unix_ms = 0
    assert _visible(partition) == 3
    fields_gone(partition, KEY, DUE_UNIX_MS - 1, 100)
    assert _visible(partition) == 3
    fields_gone(partition, b"no such key", DUE_UNIX_MS, 100)


def test_while_nothing_may_expire_what_is_over_is_hidden_and_stays() -> None:
    """As CLIENT PAUSE has it: no effect, no event, and a key without other fields is not seen."""
    for lasting in (1, 0):
        partition, log = _primary(timed=3, lasting=lasting)
        partition.ledger.keeps_expired = True
        partition.ledger.now_unix_ms = DUE_UNIX_MS
        found = partition.read_aggregate(KEY, Hash)
        assert (0 if found is None else len(found)) == lasting
        assert (partition.inspect(KEY) is None) == (lasting == 0)
        assert (partition.changed, log.effects, _held(partition)) == (False, [], 3 + lasting)
        partition.ledger.keeps_expired = False
        assert _visible(partition) == lasting
        assert log.effects


def test_a_field_that_is_over_stays_so_when_the_clock_is_set_back() -> None:
    """Of a new primary, too: how far the hash has come is a part of it."""
    partition, _ = _primary(timed=MANY, lasting=1)
    partition.ledger.now_unix_ms = DUE_UNIX_MS
    assert _visible(partition) == 1
    successor = Store().keyspace(0).partitions[0]
    successor.restore(KEY, load(dump(partition.values[KEY])), None)
    successor.ledger.now_unix_ms = 1
    assert _visible(successor) == 1


def test_whatever_takes_the_place_of_a_hash_has_none_of_its_deadlines() -> None:
    """Set, kept, deleted, moved away or flushed: nothing happens at the time."""
    changes: tuple[Callable[[Partition], object], ...] = (
        lambda partition: partition.put(KEY, b"v"),
        lambda partition: partition.keep(KEY, b"v"),
        lambda partition: partition.restore(KEY, b"v", None),
        lambda partition: partition.remove(KEY),
        lambda partition: partition.clear(),
        lambda partition: partition.evict(KEY),
        lambda partition: partition.put(KEY, Hash()),
    )
    for change in changes:
        partition, log = _primary(timed=3, lasting=0)
        change(partition)
        partition.ship(None)
        left = dict(partition.values)
        log.effects.clear()
        partition.ledger.now_unix_ms = DUE_UNIX_MS
        assert list(partition.live_keys()) == list(left)
        partition.sweep()
        assert (partition.values, partition.volatile, log.effects) == (left, {}, [])
        assert partition.due_unix_ms == NEVER_UNIX_MS


def test_a_string_set_over_a_hash_with_its_lifetime_is_found() -> None:
    """The first look at the key after the time of a field finds the string."""
    partition, _ = _primary(timed=3, lasting=0)
    partition.keep(KEY, b"v")
    partition.ledger.now_unix_ms = DUE_UNIX_MS
    assert partition.string(KEY) == b"v"
    assert partition.volatile == {}
