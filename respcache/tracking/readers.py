"""Which nodes have clients that cache a key: what the owner of the key remembers, and whom it has to tell.

A node that has read a key is told of its next change, once: then it has forgotten the key, and so
has the owner. A node with clients that want all keys with a prefix is told each time.

    unknown --read--> remembered --changed, expired, evicted, moved, one too many--> told, unknown

Changes are heard of by `observing`, in the partitions where that matters; elsewhere commands do nothing for it.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, TypeAlias

from respcache.cluster.ownership.slots import EVERYWHERE, partition_of
from respcache.commands.replay import changed_keys
from respcache.store.keyspace import Store
from respcache.store.partition import FLUSH, Argv
from respcache.store.swapping import SWAP

FORGOTTEN_AT_ONCE: Final = 256
"""Where there are too many keys, this part of them goes together: the more have gone, the longer is the oldest looked
for."""
SETS_MAX: Final = 10_000
"""Different sets of nodes that are shared by the keys that they have read."""

Writer: TypeAlias = tuple[str, int]
"""A client that does not want to hear of its own changes: its node, and its number there."""


class Reader:
    """A node with clients that cache, over one link to it; another link makes another one."""

    __slots__ = ("changed", "dropped", "flushed", "flushes", "name", "prefixes")

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.flushes = False
        """Whether it wants to hear that all was deleted."""
        self.prefixes: frozenset[bytes] = frozenset()
        self.changed: dict[bytes, Writer | None] = {}
        """Keys that it has to be told of, by whom they were changed."""
        self.dropped: dict[bytes, None] = {}
        """Keys that are not remembered for it any more."""
        self.flushed = False


class Readers:
    """All keys of one node that somebody caches."""

    def __init__(self, store: Store, *, remark: Callable[[Iterable[int]], None]) -> None:
        """`remark` is to give partitions their logs anew."""
        self._store: Final = store
        self._remark: Final = remark
        self._read: Final[dict[bytes, frozenset[Reader]]] = {}
        """By key, whatever its database (as in Redis); the one remembered for longest comes first."""
        self._sets: Final[dict[frozenset[Reader], frozenset[Reader]]] = {}
        self._keys: Final[dict[int, set[bytes]]] = {}
        """By partition; an empty set stays until the next sweep, for a command may be under way that needs the log."""
        self._prefixes: dict[bytes, list[Reader]] = {}
        self._known: Final[dict[str, Reader]] = {}
        """By node; those with a link, and this node itself."""
        self._dirty: Final[dict[Reader, None]] = {}
        self._partitions: Final[set[int]] = set()
        """Where something has changed since `take`."""
        self.writer: Writer | None = None
        """Who runs commands right now, if it is one that does not want to hear of its own changes."""
        self.wake: Callable[[], None] = _asleep
        """Called when there is something to be told."""
        store.flushed = self._flushed

    def __len__(self) -> int:
        """Count the keys that are remembered."""
        return len(self._read)

    # -- observing ----------------------------------------------------------------------

    def observes(self, number: int) -> bool:
        """Tell whether changes in a partition matter to anybody, or did until now."""
        return bool(self._prefixes) or number in self._keys

    def touched(self, number: int, database: int, argv: Argv) -> None:
        """Take note of an effect on a partition."""
        self._partitions.add(number)
        if argv[0] in (FLUSH, SWAP):
            return  # told at once for all partitions
        for _, key in changed_keys(database, argv, len(self._store)):
            self._change(key)

    # -- nodes --------------------------------------------------------------------------

    def meet(self, name: str) -> None:
        """Have a link to a node, or a new one."""
        self.part(name)
        self._known[name] = Reader(name)

    def part(self, name: str) -> None:
        """Have no link to a node any more: it knows itself that it is told nothing."""
        reader = self._known.pop(name, None)
        if reader is not None:
            self._dirty.pop(reader, None)
            self._want(reader, frozenset())

    def want(self, name: str, *, flushes: bool, prefixes: frozenset[bytes]) -> None:
        """Take note of what a node wants to hear besides what it reads."""
        reader = self._known.get(name)
        if reader is not None:
            reader.flushes = flushes
            self._want(reader, prefixes)

    def read(self, name: str, database: int, keys: Iterable[bytes], keys_max: int) -> None:
        """Remember that clients of a node are about to read keys; of more than `keys_max` the oldest are forgotten.

        0 is no limit. It does not matter whether this node owns the keys: where it does not, or not any more, their
        reader will hear of that from others.
        """
        reader = self._known.get(name)
        if reader is None:
            return
        for key in keys:
            self._settle(database, key)
            nodes = self._read.get(key)
            if nodes is None:
                self._read[key] = self._shared(frozenset((reader,)))
                number = partition_of(key)
                mine = self._keys.get(number)
                if mine is None:
                    mine = self._keys[number] = set()
                    if not self._prefixes:
                        self._remark((number,))
                mine.add(key)
            elif reader not in nodes:
                self._read[key] = self._shared(nodes | {reader})
        self.limit(keys_max)

    def limit(self, keys_max: int) -> None:
        """Forget the oldest keys, and say so, if there are more; 0 is no limit."""
        excess = len(self._read) - keys_max
        if excess > 0 and keys_max:
            for key in list(islice(self._read, max(excess, keys_max // FORGOTTEN_AT_ONCE))):
                self._drop(key)

    def void(self, number: int) -> None:
        """Forget the keys of a partition that changes hands, and say so."""
        for key in list(self._keys.get(number, ())):
            self._drop(key)

    # -- what is to be told ----------------------------------------------------------------

    def take(self) -> tuple[list[Reader], list[int]]:
        """Give whom there is something to tell, and the partitions whose effects have to be safe before; begin anew."""
        told: list[Reader] = []
        for reader in self._dirty:
            news = Reader(reader.name)
            news.changed, news.dropped, news.flushed = reader.changed, reader.dropped, reader.flushed
            reader.changed, reader.dropped, reader.flushed = {}, {}, False
            told.append(news)
        partitions = sorted(self._partitions)
        self._store.ledger.gone.clear()
        self._dirty.clear()
        self._partitions.clear()
        return told, partitions

    def sweep(self) -> None:
        """Let partitions that matter to nobody be as all others. To be called between commands, now and then."""
        self._store.ledger.gone.clear()
        idle = [number for number, keys in self._keys.items() if not keys]
        for number in idle:
            del self._keys[number]
        self._remark(idle)

    # -- inside ------------------------------------------------------------------------------

    def _change(self, key: bytes) -> None:
        """Have all told who cache a key."""
        nodes: Iterable[Reader] = self._forget(key)
        if self._prefixes:
            found = dict.fromkeys(nodes)
            for prefix, wanting in self._prefixes.items():
                if key.startswith(prefix):
                    found.update(dict.fromkeys(wanting))
            nodes = found
        writer = None if key in self._store.ledger.gone else self.writer  # whoever has found that did not do it
        for reader in nodes:
            if self._known.get(reader.name) is reader:
                alone = reader.changed.get(key, writer) == writer
                reader.changed[key] = writer if alone else None  # each of several is told of the others'
                self._soil(reader)

    def _drop(self, key: bytes) -> None:
        for reader in self._forget(key):
            if self._known.get(reader.name) is reader:
                reader.dropped[key] = None
                self._soil(reader)

    def _forget(self, key: bytes) -> frozenset[Reader]:
        nodes = self._read.pop(key, None)
        if nodes is None:
            return frozenset()
        self._keys[partition_of(key)].discard(key)
        return nodes

    def _flushed(self) -> None:
        """Take note that all keys of a database were deleted, or will be at once; none is remembered, of any."""
        for reader in self._known.values():
            if reader.flushes:
                reader.flushed = True
                reader.changed.clear()
                reader.dropped.clear()
                self._soil(reader)
        self._read.clear()
        for keys in self._keys.values():
            keys.clear()

    def _settle(self, database: int, key: bytes) -> None:
        """See to it that a key whose deadline has passed is deleted, and told of, before it is read."""
        if database < len(self._store):
            partition = self._store.keyspace(database).at(key)
            if partition.serving and partition.value(key) is None and partition.changed:
                partition.ship(None)

    def _want(self, reader: Reader, prefixes: frozenset[bytes]) -> None:
        before = bool(self._prefixes)
        for prefix in reader.prefixes - prefixes:
            self._prefixes[prefix].remove(reader)
            if not self._prefixes[prefix]:
                del self._prefixes[prefix]
        for prefix in prefixes - reader.prefixes:
            self._prefixes.setdefault(prefix, []).append(reader)
        reader.prefixes = prefixes
        if before != bool(self._prefixes):
            self._remark(EVERYWHERE)

    def _shared(self, nodes: frozenset[Reader]) -> frozenset[Reader]:
        if len(self._sets) >= SETS_MAX:
            self._sets.clear()
        return self._sets.setdefault(nodes, nodes)

    def _soil(self, reader: Reader) -> None:
        self._dirty[reader] = None
        self.wake()


def _asleep() -> None:
    """Nobody tells anybody."""
