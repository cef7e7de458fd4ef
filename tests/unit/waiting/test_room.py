"""Who waits for which keys: first come first served, and nothing that is there is waited for."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import partition_of
from respcache.commands import families  # noqa: F401 # it fills the table
from respcache.store.copies import StoredKey
from respcache.waiting.room import Room, Verdict, Waiter

A, B, C = (0, b"a"), (0, b"b"), (0, b"c")
KEYS = (A, B, C)


class Shop:
    """Things under keys, and those who wait for them: each takes one thing."""

    def __init__(self) -> None:
        self.marked: list[int] = []
        self.woken = 0
        self.room = Room(16, remark=self._remark)
        self.room.wake = self._wake
        self.stock = dict.fromkeys(KEYS, 0)
        self.served: list[tuple[Waiter, StoredKey]] = []
        self.shut: set[StoredKey] = set()
        """Keys that cannot be given out now."""

    def _remark(self, numbers: Iterable[int]) -> None:
        self.marked += numbers

    def _wake(self) -> None:
        self.woken += 1

    def wait(self, *keys: StoredKey, arrived_s: float = 0.0) -> Waiter:
        """Have somebody wait."""
        waiter = Waiter(keys, arrived_s)
        self.room.wait(waiter)
        return waiter

    def put(self, stored: StoredKey, count: int = 1) -> None:
        """Bring things, as a command does whose effect is heard of."""
        self.stock[stored] += count
        self.room.touched(partition_of(stored[1]), stored[0], [b"RPUSH", stored[1], *count * [b"x"]])

    def serve(self) -> None:
        """Give out what is there."""
        self.room.serve(self._offer)

    def _offer(self, waiter: Waiter, stored: StoredKey) -> Verdict:
        if not self.stock[stored]:
            return Verdict.NOTHING
        if stored in self.shut:
            return Verdict.LATER
        self.stock[stored] -= 1
        self.room.leave(waiter)
        self.served.append((waiter, stored))
        return Verdict.TAKEN


def test_first_come_first_served() -> None:
    """Each gets one thing while there are some; the others go on waiting."""
    shop = Shop()
    first, second, third = shop.wait(A), shop.wait(B, A), shop.wait(A)
    shop.put(A, 2)
    shop.serve()
    assert shop.served == [(first, A), (second, A)]
    shop.put(B)
    shop.serve()
    assert [waiter for waiter, _ in shop.served] == [first, second]
    shop.put(A)
    shop.serve()
    assert shop.served[2:] == [(third, A)]


def test_who_has_waited_elsewhere_does_not_go_to_the_end() -> None:
    """The time that has passed counts."""
    shop = Shop()
    late, early, same = shop.wait(A, arrived_s=5), shop.wait(A, arrived_s=2), shop.wait(A, arrived_s=5)
    shop.put(A, 3)
    shop.serve()
    assert [waiter for waiter, _ in shop.served] == [early, late, same]


def test_a_partition_is_pending_from_the_change_until_all_were_offered_it() -> None:
    """Nobody else is to see the key in between; without anybody who waits, nothing is pending."""
    shop = Shop()
    shop.put(A)
    assert not shop.room.observes(partition_of(b"a"))
    assert not shop.room.pending
    shop.wait(B)
    shop.put(A)
    assert not shop.room.pending
    shop.put(B)
    assert shop.room.pending == {partition_of(b"b")}
    assert shop.woken == 1
    shop.serve()
    assert not shop.room.pending
    assert shop.marked == 3 * [partition_of(b"b")]


def test_what_cannot_be_settled_holds_up_the_others() -> None:
    """The key stays ready, and the order is kept; other keys are served."""
    shop = Shop()
    first, second, other = shop.wait(A), shop.wait(A), shop.wait(B)
    shop.shut.add(A)
    shop.put(A, 2)
    shop.put(B)
    shop.serve()
    assert shop.served == [(other, B)]
    assert shop.room.pending == {partition_of(b"a")}
    shop.shut.clear()
    shop.serve()
    assert shop.served[1:] == [(first, A), (second, A)]


def test_keys_that_get_ready_meanwhile_are_served_too() -> None:
    """What one takes may be what another gets: BLMOVE."""
    shop = Shop()
    mover, taker = shop.wait(A), shop.wait(B)
    offer = shop._offer

    def move(waiter: Waiter, stored: StoredKey) -> Verdict:
        verdict = offer(waiter, stored)
        if waiter is mover and verdict is Verdict.TAKEN:
            shop.put(B)
        return verdict

    shop.put(A)
    shop.room.serve(move)
    assert shop.served == [(mover, A), (taker, B)]
    assert not shop.room.pending


@pytest.mark.parametrize("argv", [[b"COPY", b"a", b"b"], [b"RPUSH", b"other", b"x"], [b"ENTRY", b"b", b"x"]])
def test_changes_of_other_keys_wake_nobody(argv: list[bytes]) -> None:
    """The effects of the partition are heard, and passed over."""
    shop = Shop()
    shop.wait(A)
    shop.room.touched(partition_of(b"a"), 0, argv)
    shop.room.touched(partition_of(b"a"), 1, [b"RPUSH", b"a", b"x"])
    assert not shop.room.pending
    assert not shop.woken


def test_a_flush_makes_all_keys_of_its_database_and_partition_ready() -> None:
    """Whoever waits in a group of a stream is to hear that it is gone."""
    shop = Shop()
    offered: list[Waiter] = []
    waiter, in_other_database, in_other_partition = shop.wait(A), shop.wait((1, b"a")), shop.wait(B)
    shop.room.touched(partition_of(b"a"), 0, [b"FLUSHDB"])

    def offer(waiter: Waiter, _: StoredKey) -> Verdict:
        offered.append(waiter)
        return Verdict.PASSED

    shop.room.serve(offer)
    assert offered == [waiter]
    assert in_other_database.present
    assert in_other_partition.present


def test_a_partition_that_moves_sends_all_away() -> None:
    """They leave whole, whatever other keys they wait for, and are told once."""
    shop = Shop()
    told: list[Waiter] = []
    shop.room.dismissed = told.append
    both, only, other = shop.wait(A, B), shop.wait(A), shop.wait(B)
    shop.put(A)
    shop.room.void(partition_of(b"a"))
    assert told == [both, only]
    assert not shop.room.pending
    assert not shop.room.observes(partition_of(b"a"))
    shop.put(B, 2)
    shop.serve()
    assert shop.served == [(other, B)]
    shop.room.leave(both)
    shop.room.void(partition_of(b"a"))


def test_a_partition_is_as_all_others_once_nobody_waits() -> None:
    """From the next sweep on."""
    shop = Shop()
    waiter = shop.wait(A)
    shop.room.sweep()
    assert shop.room.observes(partition_of(b"a"))
    shop.room.leave(waiter)
    assert shop.room.observes(partition_of(b"a"))
    shop.room.sweep()
    assert not shop.room.observes(partition_of(b"a"))


@dataclass(frozen=True)
class Wait:
    """Somebody comes, who wants one of these."""

    keys: tuple[StoredKey, ...]


@dataclass(frozen=True)
class Put:
    """Things are brought."""

    key: StoredKey
    count: int


@dataclass(frozen=True)
class Leave:
    """Somebody goes."""

    number: int


@dataclass(frozen=True)
class Shut:
    """Nothing is given out of some keys, until the next time."""

    keys: frozenset[StoredKey]


keys = st.sampled_from(KEYS)
steps = st.lists(
    st.one_of(
        st.builds(Wait, st.lists(keys, min_size=1, max_size=3).map(tuple)),
        st.builds(Put, keys, st.integers(1, 3)),
        st.builds(Leave, st.integers(0, 30)),
        st.builds(Shut, st.frozensets(keys, max_size=1)),
    ),
    max_size=40,
)


@given(steps=steps)
def test_it_is_a_queue_for_each_key(steps: list[Wait | Put | Leave | Shut]) -> None:
    """Beside the simplest model: whenever something is there, the first of the present who wants it has it."""
    shop, everyone, present, expected = Shop(), list[Waiter](), list[Waiter](), list[Waiter]()
    stock = dict.fromkeys(KEYS, 0)
    for step in steps:
        match step:
            case Wait(wanted) if not any(stock[key] for key in wanted):
                everyone.append(shop.wait(*wanted, arrived_s=len(everyone)))
                present.append(everyone[-1])
            case Put(key, count):
                shop.put(key, count)
                stock[key] += count
            case Leave(number) if number < len(everyone):
                shop.room.leave(everyone[number])
                present = [waiter for waiter in present if waiter is not everyone[number]]
            case Shut(shut):
                shop.shut = set(shut)
        shop.serve()
        for key in KEYS:
            while key not in shop.shut and stock[key] and (first := next((w for w in present if key in w.keys), None)):
                stock[key] -= 1
                expected.append(first)
                present.remove(first)
        assert {waiter for waiter, _ in shop.served} == set(expected)
        assert len(shop.served) == len(expected)
        assert shop.stock == stock
        assert all(waiter.present == (waiter in present) for waiter in everyone)
