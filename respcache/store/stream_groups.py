"""Groups of consumers of a stream: what was delivered to whom, and not yet acknowledged."""

import sys
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

DEAD_MAX: Final = 64
"""Ids that are gone and still in the order, beyond as many as are there."""
NEVER_ACTIVE: Final = -1
"""Instead of the time, of a consumer that was given nothing yet."""


class Delivery:
    """One entry that a consumer has been given."""

    __slots__ = ("at_unix_ms", "consumer", "count")

    def __init__(self, consumer: bytes, at_unix_ms: int, count: int) -> None:
        self.consumer = consumer
        """The name of whoever has it. The consumer itself refers to this: such a cycle only a collection would free."""
        self.at_unix_ms = at_unix_ms
        """When it was last delivered."""
        self.count = count
        """How often it was delivered."""


class Deliveries:
    """Deliveries by id, and in its order.

    They mostly come with rising ids and go from the front. An id that goes stays in the order until there
    are too many such, so that nothing is moved for it.
    """

    __slots__ = ("_head", "_order", "found")

    def __init__(self) -> None:
        self.found: dict[int, Delivery] = {}
        self._order: list[int] = []
        self._head = 0
        """No id before this place is there any more."""

    def __len__(self) -> int:
        return len(self.found)

    def add(self, number: int, delivery: Delivery) -> None:
        """Put a delivery under an id, in place of another one."""
        if number not in self.found:
            order = self._order
            if not order or number > order[-1]:
                order.append(number)
            else:
                at = bisect_left(order, number)
                if order[at] != number:
                    insort(order, number)
                self._head = min(self._head, at)
        self.found[number] = delivery

    def remove(self, number: int) -> Delivery | None:
        """Take the delivery under an id away, if there is one."""
        gone = self.found.pop(number, None)
        if gone is None:
            return None
        order, found = self._order, self.found
        if not found:
            self._order, self._head = [], 0
        elif len(order) > 2 * len(found) + DEAD_MAX:
            self._order, self._head = [one for one in order if one in found], 0
        elif order[self._head] == number:
            while order[self._head] not in found:
                self._head += 1
        return gone

    def following(self, start: int) -> Iterator[tuple[int, Delivery]]:
        """Go through the deliveries from an id on; only that one may be removed meanwhile which was given last."""
        order, found = self._order, self.found
        for place in range(max(self._head, bisect_left(order, start)), len(order)):
            delivery = found.get(order[place])
            if delivery is not None:
                yield order[place], delivery

    def waste(self, count: int) -> int:
        """Free so many deliveries, or all; return how many. This is of no use any more."""
        freed = min(count, len(self.found))
        for _ in range(freed):
            self.found.popitem()
        del self._order[max(0, len(self._order) - count) :]
        return freed

    def edges(self) -> tuple[int, int]:
        """Give the lowest and the highest id; there must be one."""
        at = len(self._order) - 1
        while self._order[at] not in self.found:
            at -= 1
        return self._order[self._head], self._order[at]


class Consumer:
    """One reader of a group."""

    __slots__ = ("active_unix_ms", "name", "pending", "seen_unix_ms")

    def __init__(self, name: bytes, seen_unix_ms: int) -> None:
        self.name: Final = name
        self.seen_unix_ms = seen_unix_ms
        """When it last tried anything."""
        self.active_unix_ms = NEVER_ACTIVE
        """When it was last given an entry."""
        self.pending: Final = Deliveries()


class Group:
    """Consumers who share the entries of a stream."""

    __slots__ = ("consumers", "last", "pending", "read")

    def __init__(self, last: int, read: int) -> None:
        self.last = last
        """The highest id that was delivered."""
        self.read = read
        """How many entries were ever read, those before its time included; -1 where that is not known."""
        self.consumers: dict[bytes, Consumer] = {}
        self.pending: Final = Deliveries()

    def consumer(self, name: bytes, now_unix_ms: int) -> Consumer:
        """Give the consumer of that name, a new one if there was none."""
        found = self.consumers.get(name)
        if found is None:
            found = self.consumers[name] = Consumer(name, now_unix_ms)
        found.seen_unix_ms = now_unix_ms
        return found

    def give(self, number: int, consumer: Consumer, at_unix_ms: int, count: int) -> None:
        """Note that an entry was delivered; whoever had it before has it no more."""
        delivery = self.pending.found.get(number)
        if delivery is None:
            delivery = Delivery(consumer.name, at_unix_ms, count)
            self.pending.add(number, delivery)
            consumer.pending.add(number, delivery)
            return
        if delivery.consumer != consumer.name:
            self.consumers[delivery.consumer].pending.remove(number)
            consumer.pending.add(number, delivery)
            delivery.consumer = consumer.name
        delivery.at_unix_ms, delivery.count = at_unix_ms, count

    def forget(self, number: int) -> bool:
        """Take a delivery back, or as acknowledged; False if there was none."""
        gone = self.pending.remove(number)
        if gone is None:
            return False
        self.consumers[gone.consumer].pending.remove(number)
        return True

    def dismiss(self, name: bytes) -> int:
        """Remove a consumer, and all that it had; return how much that was."""
        gone = self.consumers.pop(name, None)
        if gone is None:
            return 0
        for number in gone.pending.found:
            self.pending.remove(number)
        return len(gone.pending)

    def waste(self, count: int) -> int:
        """Free so many deliveries, or all; return how many. The group is of no use any more."""
        freed = self.pending.waste(count)
        for consumer in self.consumers.values():
            if freed >= count:
                break
            freed += consumer.pending.waste(count - freed)
        return freed

    def sorted_consumers(self) -> list[Consumer]:
        """List the consumers by name, as Redis does."""
        return [self.consumers[name] for name in sorted(self.consumers)]

    def copy(self) -> "Group":
        """Give another group that is equal and shares nothing."""
        other = Group(self.last, self.read)
        for name, consumer in self.consumers.items():
            other.consumer(name, consumer.seen_unix_ms).active_unix_ms = consumer.active_unix_ms
        for number, delivery in self.pending.following(0):
            other.give(number, other.consumers[delivery.consumer], delivery.at_unix_ms, delivery.count)
        return other

    def size_bytes(self) -> int:
        """Estimate the memory that this takes."""
        held = sum(sys.getsizeof(name) + sys.getsizeof(one.pending.found) for name, one in self.consumers.items())
        return held + sys.getsizeof(self.consumers) + sys.getsizeof(self.pending.found) + 200 * len(self.pending)
