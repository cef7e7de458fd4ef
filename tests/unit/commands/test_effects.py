"""What a command sends to the copies brings them to the state of the primary, at any time on any machine."""

from collections.abc import Sequence
from random import Random

import pytest

from compat.generator import NEWER, script
from respcache.cluster.ownership.slots import partition_of
from respcache.commands import families  # noqa: F401 # it fills the table
from respcache.commands.registry import Merge, lookup
from respcache.commands.replay import CommandCopies, keys_of
from respcache.errors import CommandError
from respcache.store.copies import Copies, entry_effect
from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Partition
from respcache.store.snapshot import dump, dump_entry
from respcache.store.texts import string_of
from respcache.store.usage import MS_PER_MINUTE, NEW_COUNT, Tracking
from respcache.store.values import Value

SEEDS = range(100)
NUMBERS = sorted({partition_of(word) for seed in SEEDS for argv in script(seed) for word in argv[1:]})
"""The partitions of all keys in the scripts, and some more."""
START_UNIX_MS = 1_700_000_000_000
OTHERS = 0.1
"""Part of the calls that are about other things than hashes, where the newer ones are asked for."""
Effect = tuple[int, int, Argv]
"""(partition, database, argv)."""
State = list[dict[bytes, tuple[bytes, int | None]]]
"""By database: snapshot of the value and deadline of each key."""


class OneCopy:
    """A log with one other copy. It is told what exchanges databases; other effects are taken from the partition."""

    streams: Sequence[object] = ("copy",)
    clean = True

    def __init__(self, number: int, effects: list[Effect]) -> None:
        self._number, self._effects = number, effects

    def append(self, database: int, argv: Argv) -> None:
        """Take one effect."""
        self._effects.append((self._number, database, argv))


class Primary:
    """Runs commands and collects effects as the executor does."""

    def __init__(self, used: Sequence[int] = NUMBERS) -> None:
        self.store = Store()
        self.effects: list[Effect] = []
        self.database = 0
        self._used = used
        for number in used:
            self.store.mark(number, serving=True, log=OneCopy(number, self.effects))

    def call(self, argv: Argv, now_unix_ms: int) -> None:
        """Run one command, refused or not."""
        self.store.ledger.now_unix_ms = now_unix_ms
        if argv[0] == b"SELECT":
            self.database = int(argv[1])
            return
        row = lookup(argv[0])
        assert row is not None
        if row.subcommands:
            row = row.subcommands.get(argv[1].upper()) if len(argv) > 1 else None
        if row is None or not row.argc_min <= len(argv) <= row.argc_max:
            return
        space = self.store.keyspace(self.database)
        try:
            if row.key_at:
                row.on_key(space.at(argv[row.key_at]), argv)
            elif row.on_keys is not None:
                row.on_keys(space, argv)
        except CommandError:
            self._collect(None, [])
            return
        several = row.writes and row.merge is Merge.NONE and not row.key_at
        stored = keys_of(self.database, argv, len(self.store)) if several else []
        self._collect(argv if row.key_at and row.writes else None, stored)

    def _collect(self, default: Argv | None, stored: list[tuple[int, bytes]]) -> None:
        for space in self.store.used():
            for partition in (space.partitions[number] for number in self._used):
                if not partition.changed:
                    continue
                told = partition.rewritten
                effects = partition.take_effects(default)
                effects += (
                    []
                    if told
                    else [entry_effect(partition, key) for number, key in stored if _holds(partition, number, key)]
                )
                self.effects += [(partition.number, partition.database, effect) for effect in effects]


def _holds(partition: Partition, database: int, key: bytes) -> bool:
    return partition.database == database and partition.number == partition_of(key)


def _state(store: Store) -> State:
    return [
        {
            key: (dump(_as_seen(value)), partition.deadline(key))
            for partition in space.partitions
            if partition.values
            for key, value in partition.values.items()
        }
        for space in store.used()
    ]


def _as_seen(value: Value) -> Value:
    """Give a string as bytes: one that was to be changed, and stayed as it was, is a Text on its primary alone."""
    text = string_of(value)
    return value if text is None else text


def _run(seed: int, *, newer: bool = False) -> Primary:
    """Run a script while the clock jumps: some keys, and fields of hashes, expire on the way.

    The newer ones are longer, are about two hashes for most of the time, and jump further.
    """
    rng = Random(seed)
    primary, now_unix_ms = Primary(), START_UNIX_MS
    calls = script(seed, 150, NEWER) if newer else script(seed)
    for argv in calls:
        now_unix_ms += rng.choice((0, 0, 0, 1, 1_000, 600_000, 5_000_000)) * (2_000 if newer else 1)
        crowded = newer and argv[0][:1] in b"Hh" and len(argv) > 1
        if crowded or not newer or rng.random() < OTHERS:
            primary.call([argv[0], rng.choice((b"a", b"b")), *argv[2:]] if crowded else list(argv), now_unix_ms)
    return primary


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_copy_that_replays_the_effects_is_equal(seed: int, newer: bool) -> None:  # noqa: FBT001 # a parameter of the test
    """Values and deadlines of all databases agree, whatever the time is where the copy is."""
    primary, copy = _run(seed, newer=newer), Store()
    copies = CommandCopies(copy)
    copy.ledger.now_unix_ms = Random(seed).randrange(2**45)
    for space in primary.store.used():
        copy.keyspace(space.number)
    for partition, database, argv in primary.effects:
        copies.apply(partition, database, argv)

    assert _state(copy) == _state(primary.store), f"script({seed})"
    assert not any(partition.changed for space in copy.used() for partition in space.partitions)


def test_the_scripts_have_every_kind_of_effect() -> None:
    """The test above would see a wrong effect of any of these."""
    wanted = {
        b"SET",
        b"DEL",
        b"PEXPIREAT",
        b"FLUSHDB",
        b"ENTRY",
        b"INCR",
        b"APPEND",
        b"SETRANGE",
        b"HSET",
        b"HDEL",
        b"HPEXPIREAT",
        b"HPERSIST",
        b"HSETEX",
        b"FIELDSGONE",
    }
    for seed in SEEDS:
        for newer in (False, True):
            wanted -= {argv[0] for _, _, argv in _run(seed, newer=newer).effects}
        if not wanted:
            break
    assert not wanted


EXPIRED = [[b"SET", b"k", b"v", b"PXAT", b"1700000000001"]]
ONE_MEMBER = [[b"SADD", b"k", b"a"]]
TWO_ELEMENTS = [[b"RPUSH", b"k", b"a", b"b"]]
VOLATILE = [[b"SET", b"k", b"5", b"EX", b"100"]]
TIMED = [[b"HSETEX", b"k", b"EX", b"100", b"FIELDS", b"1", b"f", b"5"], [b"HSET", b"k", b"g", b"6"]]
OVERDUE = [[b"HSETEX", b"k", b"PX", b"999", b"FIELDS", b"1", b"f", b"5"], [b"HSET", b"k", b"g", b"6"]]
GONE = [b"FIELDSGONE", b"k", b"1700000001000", b"1"]


@pytest.mark.parametrize(
    ("before", "argv", "expected"),
    [
        ([], [b"SET", b"k", b"v"], [[b"SET", b"k", b"v"]]),
        ([], [b"SET", b"k", b"v", b"NX"], [[b"SET", b"k", b"v", b"NX"]]),
        ([], [b"SET", b"k", b"v", b"XX"], []),
        ([], [b"SET", b"k", b"v", b"PX", b"5", b"GET"], [[b"SET", b"k", b"v", b"PXAT", b"1700000001005"]]),
        ([], [b"SETEX", b"k", b"5", b"v"], [[b"SET", b"k", b"v", b"PXAT", b"1700000006000"]]),
        (VOLATILE, [b"SET", b"k", b"v", b"PXAT", b"1"], [[b"DEL", b"k"]]),
        (EXPIRED, [b"SET", b"k", b"v", b"PXAT", b"1"], [[b"DEL", b"k"]]),
        ([], [b"SET", b"k", b"v", b"PXAT", b"1"], []),
        (VOLATILE, [b"INCRBYFLOAT", b"k", b"0.5"], [[b"SET", b"k", b"5.5", b"KEEPTTL"]]),
        (VOLATILE, [b"GETDEL", b"k"], [[b"DEL", b"k"]]),
        (EXPIRED, [b"GETDEL", b"k"], [[b"DEL", b"k"], [b"GETDEL", b"k"]]),
        (EXPIRED, [b"GET", b"k"], [[b"DEL", b"k"]]),
        (VOLATILE, [b"GETEX", b"k"], []),
        (VOLATILE, [b"GETEX", b"k", b"PERSIST"], [[b"PERSIST", b"k"]]),
        (VOLATILE, [b"GETEX", b"k", b"EX", b"7"], [[b"PEXPIREAT", b"k", b"1700000008000"]]),
        (VOLATILE, [b"GETEX", b"k", b"EXAT", b"1"], [[b"DEL", b"k"]]),
        (VOLATILE, [b"EXPIRE", b"k", b"7"], [[b"PEXPIREAT", b"k", b"1700000008000"]]),
        (VOLATILE, [b"EXPIRE", b"k", b"7", b"GT"], []),
        (VOLATILE, [b"EXPIRE", b"k", b"-7"], [[b"DEL", b"k"]]),
        (VOLATILE, [b"PERSIST", b"k"], [[b"PERSIST", b"k"]]),
        ([], [b"PERSIST", b"k"], []),
        (EXPIRED, [b"INCR", b"k"], [[b"DEL", b"k"], [b"INCR", b"k"]]),
        (EXPIRED, [b"INCRBY", b"k", b"junk"], []),
        (EXPIRED, [b"SETRANGE", b"k", b"536870912", b"x"], [[b"DEL", b"k"]]),
        ([], [b"MSET", b"k", b"v"], [[b"SET", b"k", b"v"]]),
        (EXPIRED, [b"UNLINK", b"k", b"k"], [[b"DEL", b"k"]]),
        (VOLATILE, [b"DEL", b"k", b"k"], [[b"DEL", b"k"]]),
        (VOLATILE, [b"FLUSHALL"], [[b"FLUSHDB"]]),
        ([], [b"HSET", b"k", b"f", b"v"], [[b"HSET", b"k", b"f", b"v"]]),
        ([], [b"HINCRBYFLOAT", b"k", b"f", b"0.5"], [[b"HSET", b"k", b"f", b"0.5"]]),
        ([], [b"HDEL", b"k", b"f"], []),
        (VOLATILE, [b"HSET", b"k", b"f", b"v"], []),
        (
            [],
            [b"HSETEX", b"k", b"FNX", b"EX", b"7", b"FIELDS", b"1", b"f", b"v"],
            [[b"HSETEX", b"k", b"PXAT", b"1700000008000", b"FIELDS", b"1", b"f", b"v"]],
        ),
        (TIMED, [b"HSETEX", b"k", b"FNX", b"EX", b"7", b"FIELDS", b"1", b"f", b"v"], []),
        (TIMED, [b"HSETEX", b"k", b"PXAT", b"1", b"FIELDS", b"1", b"f", b"v"], [[b"HDEL", b"k", b"f"]]),
        (
            TIMED,
            [b"HEXPIRE", b"k", b"7", b"NX", b"FIELDS", b"3", b"f", b"g", b"h"],
            [[b"HPEXPIREAT", b"k", b"1700000008000", b"FIELDS", b"1", b"g"]],
        ),
        (TIMED, [b"HEXPIRE", b"k", b"7", b"GT", b"FIELDS", b"1", b"f"], []),
        (TIMED, [b"HEXPIRE", b"k", b"0", b"FIELDS", b"2", b"f", b"h"], [[b"HDEL", b"k", b"f"]]),
        (TIMED, [b"HGETEX", b"k", b"FIELDS", b"1", b"f"], []),
        (TIMED, [b"HGETEX", b"k", b"PERSIST", b"FIELDS", b"1", b"g"], []),
        (TIMED, [b"HINCRBYFLOAT", b"k", b"f", b"0.5"], [[b"HSETEX", b"k", b"KEEPTTL", b"FIELDS", b"1", b"f", b"5.5"]]),
        (OVERDUE, [b"HGET", b"k", b"f"], [GONE]),
        (OVERDUE, [b"HEXPIRE", b"k", b"7", b"LT", b"FIELDS", b"1", b"f"], [GONE]),
        (OVERDUE, [b"HSETEX", b"k", b"FXX", b"EX", b"7", b"FIELDS", b"1", b"f", b"v"], [GONE]),
        (OVERDUE, [b"HGETEX", b"k", b"EX", b"7", b"FIELDS", b"1", b"f"], [GONE]),
        (OVERDUE, [b"HPERSIST", b"k", b"FIELDS", b"1", b"f"], [GONE]),
        (OVERDUE[:1], [b"HLEN", b"k"], [[b"DEL", b"k"]]),
        (OVERDUE[:1], [b"HEXPIRE", b"k", b"7", b"FIELDS", b"1", b"f"], [[b"DEL", b"k"]]),
        ([], [b"RPUSH", b"k", b"a"], [[b"RPUSH", b"k", b"a"]]),
        ([], [b"RPUSHX", b"k", b"a"], []),
        (
            [[b"RPUSH", b"k", b"a", b"b"]],
            [b"LMOVE", b"k", b"k", b"LEFT", b"RIGHT"],
            [[b"LPOP", b"k"], [b"RPUSH", b"k", b"a"]],
        ),
        ([[b"RPUSH", b"k", b"a", b"b"]], [b"LMPOP", b"1", b"k", b"RIGHT"], [[b"RPOP", b"k", b"1"]]),
        ([], [b"ZADD", b"k", b"1", b"a"], [[b"ZADD", b"k", b"1", b"a"]]),
        ([[b"ZADD", b"k", b"1", b"a"]], [b"ZADD", b"k", b"1", b"a"], []),
        ([[b"ZADD", b"k", b"1", b"a"]], [b"ZMPOP", b"1", b"k", b"MIN"], [[b"ZREM", b"k", b"a"]]),
        ([], [b"SADD", b"k", b"a", b"a"], [[b"SADD", b"k", b"a", b"a"]]),
        (ONE_MEMBER, [b"SADD", b"k", b"a"], []),
        (VOLATILE, [b"SETBIT", b"k", b"2", b"1"], []),
        (VOLATILE, [b"SETBIT", b"k", b"2", b"0"], [[b"SETBIT", b"k", b"2", b"0"]]),
        (VOLATILE, [b"BITFIELD", b"k", b"GET", b"u8", b"0"], []),
        (EXPIRED, [b"BITFIELD", b"k", b"GET", b"u8", b"0"], [[b"DEL", b"k"], [b"BITFIELD", b"k", b"GET", b"u8", b"0"]]),
        ([], [b"BITFIELD", b"k", b"INCRBY", b"u8", b"0", b"1"], [[b"BITFIELD", b"k", b"INCRBY", b"u8", b"0", b"1"]]),
        (ONE_MEMBER, [b"SPOP", b"k"], [[b"SREM", b"k", b"a"]]),
        (ONE_MEMBER, [b"SPOP", b"k", b"0"], []),
        (ONE_MEMBER, [b"SPOP", b"k", b"5"], [[b"DEL", b"k"]]),
    ],
)
def test_effects_depend_on_neither_time_nor_arithmetic(before: list[Argv], argv: Argv, expected: list[Argv]) -> None:
    """Relative times become absolute, sums their results, and what changed nothing has no effect."""
    primary = Primary(used=[partition_of(b"k")])
    for call in before:
        primary.call(call, START_UNIX_MS)
    primary.effects.clear()
    primary.call(argv, START_UNIX_MS + 1_000)
    assert [effect for _, _, effect in primary.effects] == expected


@pytest.mark.parametrize("seed", range(20))
def test_a_dumped_store_is_restored_equal(seed: int) -> None:
    """Every key of every partition survives the way to another node."""
    source, target = _run(seed).store, Store()
    from_, to = Copies(source), Copies(target)
    for space in source.used():
        target.keyspace(space.number)
    numbers_used = {partition.number for space in source.used() for partition in space.partitions if partition.values}
    for number in numbers_used:
        for database in from_.databases(number):
            for key in from_.keys(number, database, 0)[0]:
                to.restore(number, database, key, from_.dump(number, database, key))
    assert _state(target) == _state(source)

    held = sum(len(space) for space in _state(target))
    assert sum(to.drop(number) for number in numbers_used) == held
    assert not any(_state(target))


def test_an_entry_that_cannot_be_read_is_a_miss() -> None:
    """What a later version wrote deletes the key, and is counted."""
    copies = Copies(Store())
    number = partition_of(b"k")
    copies.restore(number, 0, b"k", Copies(_with(b"k", b"v")).dump(number, 0, b"k"))
    copies.restore(number, 0, b"k", b"\xff" * 20)
    assert (copies.dump(number, 0, b"k"), copies.unreadable) == (None, 1)


def _with(key: bytes, value: bytes) -> Store:
    store = Store()
    store.keyspace(0).at(key).put(key, value)
    return store


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([b"GET", b"k"], [(3, b"k")]),
        ([b"MSET", b"a", b"1", b"b", b"2"], [(3, b"a"), (3, b"b")]),
        ([b"RENAME", b"a", b"b"], [(3, b"a"), (3, b"b")]),
        ([b"COPY", b"a", b"b", b"REPLACE", b"db", b"5"], [(3, b"a"), (3, b"b"), (5, b"b")]),
        ([b"MOVE", b"a", b"5"], [(3, b"a"), (5, b"a")]),
        ([b"MOVE", b"a", b"16"], [(3, b"a")]),
        ([b"COPY", b"a", b"b", b"DB", b"junk"], [(3, b"a"), (3, b"b")]),
        ([b"FLUSHDB"], []),
        ([b"NONE", b"k"], []),
    ],
)
def test_keys_of_a_command_are_those_it_reads_or_writes(argv: Argv, expected: list[tuple[int, bytes]]) -> None:
    """In its own database, and in the one that it names."""
    assert keys_of(3, argv, 16) == expected


def test_keys_of_an_effect_lie_in_any_database_that_there_is() -> None:
    """A node may have more of them than is usual; where a key was moved to has to be copied, too."""
    copies = CommandCopies(Store(32))
    assert copies.keys_of(0, [b"MOVE", b"k", b"20"]) == [(0, b"k"), (20, b"k")]
    assert copies.keys_of(0, [b"MOVE", b"k", b"32"]) == [(0, b"k")]


@pytest.mark.parametrize("argv", [[b"NONE"], [b"SET", b"k"], [b"INCRBY", b"k", b"junk"]])
def test_an_effect_that_is_refused_changes_nothing(argv: Argv) -> None:
    """A copy in the making may lack what an effect works on."""
    copies = CommandCopies(_with(b"k", b"v"))
    copies.store.ledger.now_unix_ms = 5
    copies.apply(partition_of(b"k"), 0, argv)
    assert _state(copies.store) == _state(_with(b"k", b"v"))
    assert copies.store.ledger.now_unix_ms == 5


@pytest.mark.parametrize("policy", [Tracking.RECENCY, Tracking.FREQUENCY])
def test_a_copy_takes_what_is_written_for_used(policy: Tracking) -> None:
    """A mark that came with the copy says nothing of a key that was written since; one that is gone gets none."""
    copies = CommandCopies(Store())
    usage = copies.store.ledger.usage
    usage.follow(policy, START_UNIX_MS)
    number = partition_of(b"{k}")
    effects = [[b"SET", b"{k}", b"v"], [b"RENAME", b"{k}", b"{k}2"], [b"SET", b"{k}", b"v"], [b"DEL", b"{k}"]]
    effects.append([b"ENTRY", b"{k}3", dump_entry(b"v", None)])
    for argv in effects:
        copies.apply(number, 0, argv)
    held = copies.store.keyspace(0).partitions[number]
    assert {b"{k}2", b"{k}3"} <= held.marks.keys()
    now_unix_ms = START_UNIX_MS + 10 * MS_PER_MINUTE
    usage.tick(now_unix_ms)
    copies.apply(number, 0, [b"APPEND", b"{k}3", b"v"])
    if policy is Tracking.RECENCY:
        assert [usage.idle_ms(held, key, now_unix_ms) for key in (b"{k}2", b"{k}3")] == [10 * MS_PER_MINUTE, 0]
    else:
        assert usage.frequency(held, b"{k}2") == 0
        assert 0 < usage.frequency(held, b"{k}3") <= NEW_COUNT


def test_a_copy_notes_no_uses_that_nobody_asks_for() -> None:
    """No marks without a policy that goes by them."""
    copies = CommandCopies(Store())
    copies.apply(partition_of(b"k"), 0, [b"SET", b"k", b"v"])
    assert not copies.store.keyspace(0).at(b"k").marks


@pytest.mark.parametrize("words", [(b"EXPIRE", b"h", b"100", b"LT"), (b"PEXPIRE", b"h", b"100000", b"LT")])
def test_a_deadline_that_was_refused_is_none_on_a_copy(words: tuple[bytes, ...]) -> None:
    """Though the command has taken a field out whose time was over: what copies are told is that alone."""
    primary = Primary([partition_of(b"h")])
    primary.call([b"HSET", b"h", b"f", b"1", b"g", b"2"], START_UNIX_MS)
    primary.call([b"HPEXPIRE", b"h", b"10", b"FIELDS", b"1", b"f"], START_UNIX_MS)
    primary.call([b"EXPIRE", b"h", b"50"], START_UNIX_MS)
    primary.call(list(words), START_UNIX_MS + 100)
    copies = CommandCopies(Store())
    for partition, database, argv in primary.effects:
        copies.apply(partition, database, argv)
    assert _state(copies.store) == _state(primary.store)
