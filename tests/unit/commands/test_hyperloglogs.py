"""What copies are told of HyperLogLogs, and that they end with the bytes of their primary."""

from respcache.commands.hyperloglogs import pfadd, pfcount, pfdebug, pfmerge
from respcache.commands.replay import CommandCopies
from respcache.store import hyperloglog
from respcache.store.copies import ENTRY
from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Partition
from unit.alone import NotedLog
from unit.commands.front import Front

NOW_UNIX_MS = 1_700_000_000_000


class Pair:
    """A primary of one key, and a copy with other limits."""

    def __init__(self, *, sparse_max_bytes: int, of_copy: int) -> None:
        self.primary, self.copy = Store(), Store()
        self.primary.ledger.now_unix_ms = NOW_UNIX_MS
        self.copy.ledger.now_unix_ms = NOW_UNIX_MS
        self.primary.ledger.limits.hll_sparse_max_bytes = sparse_max_bytes
        self.copy.ledger.limits.hll_sparse_max_bytes = of_copy
        self.log = NotedLog()
        self.partition: Partition = self.primary.keyspace(0).at(b"k")
        self.partition.log = self.log

    def ship(self, default: Argv | None) -> list[Argv]:
        """Send what has changed; give it."""
        before = len(self.log.effects)
        if self.partition.changed:
            self.partition.ship(default)
        sent = [argv for _, argv in self.log.effects[before:]]
        for argv in sent:
            CommandCopies(self.copy).apply(self.partition.number, 0, argv)
        held = self.copy.keyspace(0).partitions[self.partition.number]
        assert held.string(b"k") == self.partition.string(b"k")
        return sent

    def add(self, *elements: bytes) -> list[Argv]:
        """Add elements; give what the copy was told."""
        argv = [b"PFADD", b"k", *elements]
        pfadd(self.partition, argv)
        return self.ship(argv)


def test_a_copy_becomes_dense_when_its_primary_does() -> None:
    """Not by its own setting, be that smaller or larger; the value is told once, when it changes its form."""
    for own, other in ((200, 20), (20, 200), (200, 3000)):
        pair, values = Pair(sparse_max_bytes=own, of_copy=other), 0
        for number in range(300):
            sent = pair.add(b"%d" % number)
            values += sum(argv[0] == ENTRY for argv in sent)
            assert all(argv[0] in {ENTRY, b"PFADD"} for argv in sent)
        assert hyperloglog.is_dense(bytes(pair.partition.string(b"k") or b""))
        assert values == 1


def test_what_changes_no_register_is_not_told() -> None:
    """Neither in the sparse form nor in the dense one."""
    pair = Pair(sparse_max_bytes=3000, of_copy=3000)
    assert pair.add(b"a", b"b")
    assert not pair.add(b"b", b"a")
    pfdebug(pair.partition, [b"PFDEBUG", b"TODENSE", b"k"])
    assert [argv[0] for argv in pair.ship(None)] == [ENTRY]
    assert not pair.add(b"b", b"a")
    assert pair.add(b"c") == [[b"PFADD", b"k", b"c"]]


def test_a_count_is_noted_on_the_copies_once() -> None:
    """Eight bytes, although counting is no write."""
    pair = Pair(sparse_max_bytes=3000, of_copy=3000)
    pair.add(b"a", b"b")
    assert pfcount(pair.primary.keyspace(0), [b"PFCOUNT", b"k"]) == 2
    assert pair.ship(None) == [[b"SETRANGE", b"k", b"8", b"\2" + bytes(7)]]
    assert pfcount(pair.primary.keyspace(0), [b"PFCOUNT", b"k"]) == 2
    assert not pair.ship(None)


def test_a_union_is_told_as_the_value_that_it_is() -> None:
    """What it was made of stays where it is."""
    pair = Pair(sparse_max_bytes=3000, of_copy=20)
    space = pair.primary.keyspace(0)
    pfadd(space.at(b"other"), [b"PFADD", b"other", b"a", b"b"])
    pfmerge(space, [b"PFMERGE", b"k", b"other"])
    assert [argv[:2] for argv in pair.ship(None)] == [[ENTRY, b"k"]]
    assert pfcount(space, [b"PFCOUNT", b"k", b"other"]) == 2


def test_the_test_of_itself_passes() -> None:
    """Both forms agree."""
    front = Front()
    assert str(front.ask(front.client(), b"PFSELFTEST")) == "Status(b'OK')"
