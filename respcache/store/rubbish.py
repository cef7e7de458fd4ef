"""Values that are gone and still take memory: freed bit by bit, for to free a million elements takes tens of ms. Pure.

Nobody refers to what is in here any more, or it could change under somebody's hands.
"""

from typing import Any, Final

from respcache.store.aggregate import Aggregate
from respcache.store.indexed import Indexed

HUGE: Final = 1_000
"""Elements from which on a value is freed little by little."""
PAGE_BITS: Final = 12
"""To give a page of a long string back to the system takes about as long as to free an element."""


class Rubbish:
    """All that one node has to free. The latest goes first."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: Final[list[Aggregate | dict[Any, Any]]] = []

    def __bool__(self) -> bool:
        return bool(self._heap)

    def __len__(self) -> int:
        """Count the elements, and the keys of dropped partitions."""
        return sum([len(each) for each in self._heap])

    def add(self, value: object) -> None:
        """Take in what a key has held, if it is worth it."""
        if isinstance(value, Aggregate) and len(value) > HUGE:
            self._heap.append(value)

    def add_table(self, table: dict[Any, Any]) -> None:
        """Take in what many keys have held, or tables of keys."""
        if table:
            self._heap.append(table)
        if isinstance(table, Indexed):
            self._heap.append(dict(enumerate(table.parts)))

    def free(self, count: int) -> None:
        """Free about so many elements."""
        heap = self._heap
        while heap and count > 0:
            last = heap[-1]
            if isinstance(last, dict):
                count -= self._free_some(last, count)
                if not last:
                    del heap[_place(heap, last)]
            else:
                freed = last.waste(count)
                if freed < count:
                    heap.pop()
                count -= freed

    def _free_some(self, table: dict[Any, Any], count: int) -> int:
        """Free some keys of a table, or come to one whose value has to be freed before; return what that was worth."""
        freed = 0
        while table and freed < count:
            _, value = table.popitem()
            freed += 1
            if isinstance(value, (Aggregate, dict)):
                size = len(value)
                if size > HUGE:
                    self._heap.append(value)
                    break
                freed += size
            elif isinstance(value, bytes):
                freed += len(value) >> PAGE_BITS
        return freed


def _place(heap: list[Aggregate | dict[Any, Any]], table: dict[Any, Any]) -> int:
    """Find a table, which is the last but for one value at most."""
    return len(heap) - 1 if heap[-1] is table else len(heap) - 2
