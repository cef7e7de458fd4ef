"""Writes that wait are bounded, and hold back the reads that came after them."""

import pytest

from respcache.commands.registry import TABLE
from respcache.routing.backlog import Backlog
from respcache.routing.internal import EXEC
from respcache.routing.order import Order
from respcache.transactions.unit import Call, Unit


def order(*argv: bytes, database: int = 0) -> Order:
    """Make an order for a command."""
    return Order(TABLE[argv[0]], list(argv), database=database, protocol=2, partitions=(0,), deadline_s=1.0)


def transaction(*commands: tuple[bytes, ...], watched: bytes | None = None) -> Order:
    """Make an order for what a client of the node has queued."""
    made = Order(EXEC, [EXEC.name.encode()], database=0, protocol=2, partitions=(0,), deadline_s=1.0)
    tokens = {} if watched is None else {(0, watched): b"token"}
    made.unit = Unit([Call(TABLE[argv[0]], list(argv), 0, 2) for argv in commands], tokens)
    return made


def test_a_read_waits_behind_a_write_of_its_key_alone() -> None:
    """In the same database; what names no keys is about all."""
    backlog = Backlog(bytes_max=1_000, databases=16)
    assert not backlog.blocks(order(b"GET", b"k"))
    assert backlog.add(order(b"MSET", b"k", b"v", b"l", b"v"))
    assert backlog.blocks(order(b"GET", b"k"))
    assert backlog.blocks(order(b"MGET", b"x", b"l"))
    assert not backlog.blocks(order(b"GET", b"x"))
    assert not backlog.blocks(order(b"GET", b"k", database=1))
    assert backlog.blocks(order(b"DBSIZE"))
    backlog.clear()
    assert not backlog.blocks(order(b"DBSIZE"))


def test_a_copy_into_another_database_is_waited_for_there() -> None:
    """A read of the copy comes after it."""
    backlog = Backlog(bytes_max=1_000, databases=16)
    assert backlog.add(order(b"COPY", b"k", b"l", b"DB", b"3"))
    assert backlog.blocks(order(b"GET", b"l", database=3))


def test_behind_a_flush_everything_waits() -> None:
    """It names no keys."""
    backlog = Backlog(bytes_max=1_000, databases=16)
    assert backlog.add(order(b"FLUSHALL"))
    assert backlog.blocks(order(b"GET", b"k"))


@pytest.mark.parametrize(("first", "second", "fits"), [(500, 400, True), (500, 600, False), (5_000, 1, False)])
def test_what_waits_is_bounded(first: int, second: int, fits: bool) -> None:  # noqa: FBT001 # a table of cases
    """By bytes; one write may be of any size, else it could never be done."""
    backlog = Backlog(bytes_max=1_000, databases=16)
    assert backlog.add(order(b"SET", b"k", bytes(first)))
    assert backlog.add(order(b"SET", b"l", bytes(second))) is fits
    backlog.clear()
    assert backlog.add(order(b"SET", b"l", bytes(second)))


def test_a_transaction_counts_with_what_it_has_queued() -> None:
    """Not with the one word that stands for it."""
    backlog = Backlog(bytes_max=1_000, databases=16)
    assert backlog.add(transaction((b"SET", b"k", bytes(600))))
    assert not backlog.add(transaction((b"GET", b"k"), (b"SET", b"k", bytes(600))))
    assert backlog.add(transaction((b"SET", b"k", bytes(300))))


def test_a_read_waits_behind_a_transaction_on_its_key_alone() -> None:
    """Behind one that flushes it waits in any case."""
    backlog = Backlog(bytes_max=1_000, databases=16)
    assert backlog.add(transaction((b"SET", b"k", b"v"), (b"INCR", b"l")))
    assert backlog.blocks(order(b"GET", b"l"))
    assert not backlog.blocks(order(b"GET", b"x"))
    assert backlog.blocks(order(b"DBSIZE"))
    assert backlog.add(transaction((b"SET", b"k", b"v"), (b"FLUSHALL",)))
    assert backlog.blocks(order(b"GET", b"x"))


def test_a_transaction_that_reads_waits_behind_a_write_of_its_keys_alone() -> None:
    """Those that it watches are its keys too."""
    backlog = Backlog(bytes_max=1_000, databases=16)
    assert backlog.add(order(b"SET", b"k", b"v"))
    assert backlog.blocks(transaction((b"GET", b"x"), (b"GET", b"k")))
    assert backlog.blocks(transaction((b"GET", b"x"), watched=b"k"))
    assert backlog.blocks(transaction((b"GET", b"x"), (b"DBSIZE",)))
    assert not backlog.blocks(transaction((b"GET", b"x"), watched=b"y"))
