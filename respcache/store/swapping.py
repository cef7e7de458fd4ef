"""Two databases exchanged: partition by partition, each by exchanging its tables, whatever they hold.

The keys stay where they are and change hands: a `Partition` is in the hand of whoever uses it, and goes on to
stand for its database. So it takes as long as there are partitions, not keys.
"""

from collections.abc import Iterable
from typing import Final

from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Partition

SWAP: Final = b"SWAPDB"
"""An effect of this name and the numbers of two databases is about its partition alone."""


def swap(store: Store, numbers: Iterable[int], one: int, other: int) -> None:
    """Exchange these partitions of two databases, and tell the copies; nobody may be in the midst of one."""
    for number in numbers:
        if _exchange(store, number, one, other):
            first, second = store.keyspace(one).partitions[number], store.keyspace(other).partitions[number]
            first.changed = True
            first.rewrite([SWAP, b"%d" % one, b"%d" % other])
            first.ship(None)
            second.unsafe |= first.unsafe  # they have one log


def swap_copy(store: Store, number: int, argv: Argv) -> None:
    """Do to a copy of a partition what was done to the partition. What names no databases changes nothing."""
    databases = swapped(argv)
    if databases is not None and max(databases) < len(store):
        _exchange(store, number, *databases)


def swapped(argv: Argv) -> tuple[int, int] | None:
    """Tell which two databases an effect exchanges; None if it does not."""
    if argv[0] != SWAP or len(argv) != 3 or not (argv[1].isdigit() and argv[2].isdigit()):
        return None
    return int(argv[1]), int(argv[2])


def _exchange(store: Store, number: int, one: int, other: int) -> bool:
    """Exchange the contents of a partition; False if there are none."""
    if one == other or not any(space.partitions[number].values for space in store.used()):
        return False
    first, second = store.keyspace(one).partitions[number], store.keyspace(other).partitions[number]
    if not first.values and not second.values:
        return False
    for partition in (first, second):
        partition.ship(None)  # what was found expired there
    _exchange_contents(first, second)
    return True


def _exchange_contents(one: Partition, other: Partition) -> None:
    one.values, other.values = other.values, one.values
    one.expires, other.expires = other.expires, one.expires
    one.agenda, other.agenda = other.agenda, one.agenda
    one.volatile, other.volatile = other.volatile, one.volatile
    one.marks, other.marks = other.marks, one.marks
    one.due_unix_ms, other.due_unix_ms = other.due_unix_ms, one.due_unix_ms
    one.heavy, other.heavy = other.heavy, one.heavy
    one.weight_bytes, other.weight_bytes = other.weight_bytes, one.weight_bytes
    one.keys_weighed, other.keys_weighed = other.keys_weighed, one.keys_weighed
