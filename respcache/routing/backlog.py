"""Writes that wait until copies have confirmed earlier ones: bounded, and overtaken by no later read of their keys."""

from typing import Final

from respcache.commands.replay import keys_named
from respcache.routing.order import Order
from respcache.store.copies import StoredKey


class Backlog:
    """What one node has been asked to write and does not, for now. Filled anew with each look at what waits."""

    def __init__(self, *, bytes_max: int, databases: int) -> None:
        self._bytes_max: Final = bytes_max
        self._databases: Final = databases
        self._keys: Final[set[StoredKey]] = set()
        self._bytes = 0
        self._everything = False
        """Whether a write waits that names no keys: it may be about any."""

    def clear(self) -> None:
        """Begin anew, before what waits is looked at again in its order."""
        self._keys.clear()
        self._bytes, self._everything = 0, False

    def add(self, order: Order) -> bool:
        """Let a write wait; False if too much waits already. A first one may be of any size."""
        size = _size(order)
        if self._bytes and self._bytes + size > self._bytes_max:
            return False
        self._bytes += size
        keys = self._named(order)
        self._keys.update(keys)
        self._everything |= not keys
        return True

    def blocks(self, order: Order) -> bool:
        """Tell whether a read has to wait behind a write: a pipeline sees its own writes, in their order."""
        if self._everything:
            return True
        if not self._keys:
            return False
        keys = self._named(order)
        return not keys or not self._keys.isdisjoint(keys)

    def _named(self, order: Order) -> set[StoredKey]:
        """Collect the keys that an order names, a transaction's watched ones too; none if it may be about any."""
        if order.unit is None:
            return set(keys_named(order.row, order.database, order.argv, self._databases))
        keys = set(order.unit.tokens)
        for call in order.unit.calls:
            named = call.keys(self._databases)
            if not named:
                return set()
            keys.update(named)
        return keys


def _size(order: Order) -> int:
    """Add up the bytes of an order's words; those of a transaction stand in its commands."""
    if order.unit is None:
        return sum(map(len, order.argv))
    return sum(len(word) for call in order.unit.calls for word in call.argv)
