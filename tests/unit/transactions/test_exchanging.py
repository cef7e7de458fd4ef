"""SWAPDB on keys of several owners: whole, or not at all, or the client is told that nobody knows."""

import pytest

from respcache.cluster.ownership.slots import EVERYWHERE, PARTITIONS, partition_of
from respcache.commands.session import Session
from respcache.pending import Pending
from respcache.resp.encode import bulk
from respcache.routing.internal import COMMIT, LOCK
from unit.neighbours import NAMES, TIMEOUT_S, Street, arrived, key_of

A, B, C = (key_of(name) for name in NAMES)
EXCHANGED = [b"SWAPDB", b"0", b"1"]


def filled() -> tuple[Street, Session]:
    """Give nodes with a key each in database 0, and one in database 1."""
    street = Street()
    client = street.client()
    for key in (A, B, C):
        street.ask(client, b"SET", key, b"0")
    street.ask(client, b"SELECT", b"1")
    street.ask(client, b"SET", B, b"1")
    street.ask(client, b"SELECT", b"0")
    return street, client


def seen(street: Street, client: Session) -> list[bytes]:
    """Read the keys."""
    return [street.ask(client, b"GET", key) for key in (A, B, C)]


def locked(street: Street) -> list[int]:
    """List the partitions that are locked anywhere."""
    return [number for number in EVERYWHERE if any(number in node.locks.held for node in street.nodes.values())]


BEFORE = [bulk(b"0")] * 3
AFTER = [b"$-1\r\n", bulk(b"1"), b"$-1\r\n"]


def test_it_takes_one_question_to_each_owner_and_one_more() -> None:
    """Nobody is waited for in turn where nothing is locked."""
    street, client = filled()
    reply = street.nodes["a"].batch(client, EXCHANGED)[0]
    assert [question.name for question in street.questions] == [LOCK.name] * 2
    for _ in range(2):
        street.deliver(street.questions.popleft())
    assert [question.name for question in street.questions] == [COMMIT.name] * 2
    street.settle()
    assert arrived(reply) == b"+OK\r\n"
    assert seen(street, client) == AFTER
    assert street.ask(client, *EXCHANGED) == b"+OK\r\n"
    assert seen(street, client) == BEFORE


def test_nobody_sees_it_half_done() -> None:
    """A reader at another node waits from the first lock on, and sees all of it."""
    street, client = filled()
    other = street.client("b")
    reply = street.nodes["a"].batch(client, EXCHANGED)[0]
    street.deliver(street.questions.popleft())
    street.deliver(street.questions.popleft())
    reads = [street.nodes["b"].batch(other, [b"GET", key])[0] for key in (A, B, C)]
    assert all(isinstance(read, Pending) and read.wire is None for read in reads)
    street.settle()
    assert [arrived(read) for read in reads] == AFTER
    assert arrived(reply) == b"+OK\r\n"


def test_it_waits_for_a_transaction_without_a_deadlock() -> None:
    """What cannot be had at once is unlocked, and locked again in order."""
    street, client = filled()
    other = street.client("b")
    renamed = street.nodes["b"].batch(other, [b"RENAME", B, C])[0]
    ours = [street.questions.popleft() for _ in range(len(street.questions))]
    assert locked(street), "the other one has begun"
    reply = street.nodes["a"].batch(client, EXCHANGED)[0]
    while street.questions:
        street.deliver(street.questions.popleft())
    assert isinstance(reply, Pending)
    assert reply.wire is None
    street.questions.extend(ours)
    street.settle()
    assert arrived(renamed) == b"+OK\r\n"
    assert arrived(reply) == b"+OK\r\n"
    street.ask(client, b"SELECT", b"1")
    assert seen(street, client) == [bulk(b"0"), b"$-1\r\n", bulk(b"0")]
    assert not locked(street)


@pytest.mark.parametrize("lost", NAMES[1:])
def test_an_owner_that_is_lost_in_the_commit_makes_the_outcome_uncertain(lost: str) -> None:
    """The client is told so."""
    street, client = filled()
    reply = street.nodes["a"].batch(client, EXCHANGED)[0]
    while street.questions:
        question = street.questions.popleft()
        if question.name == COMMIT.name and question.owner == lost:
            street.lose(question)
        else:
            street.deliver(question)
    assert arrived(reply).startswith(b"-UNCERTAIN ")


def test_an_owner_that_is_out_of_reach_leaves_everything_as_it_was() -> None:
    """Nothing stays locked, and the client is told to try again."""
    street, client = filled()
    street.cut.add("c")
    reply = street.nodes["a"].batch(client, EXCHANGED)[0]
    street.settle()
    street.now += TIMEOUT_S + 1
    street.nodes["a"].router.sweep()
    street.settle()
    assert arrived(reply).startswith((b"-TRYAGAIN ", b"-CLUSTERDOWN "))
    street.cut.clear()
    assert seen(street, client) == BEFORE
    assert not locked(street)


def test_it_is_refused_where_too_few_copies_are_in_sync() -> None:
    """With NOREPLICAS, at once, and nothing is done."""
    street, client = filled()
    street.nodes["b"].locks.ration(frozenset({partition_of(B)}))
    assert street.ask(client, *EXCHANGED).startswith(b"-NOREPLICAS ")
    assert seen(street, client) == BEFORE
    assert not locked(street)


def test_who_waits_for_a_key_is_served_what_the_other_database_holds() -> None:
    """Through any node."""
    street = Street()
    client, waiting = street.client(), street.client("b")
    reply = street.nodes["b"].batch(waiting, [b"BLPOP", C, b"0"])[0]
    street.settle()
    for words in ([b"SELECT", b"1"], [b"RPUSH", C, b"v"], EXCHANGED):
        street.ask(client, *words)
    street.settle()
    assert arrived(reply) == b"*2\r\n" + bulk(C) + bulk(b"v")


def test_in_a_transaction_it_stands_in_its_place() -> None:
    """Between the commands before and behind it."""
    street, client = filled()
    for words in ([b"MULTI"], [b"GET", B], EXCHANGED, [b"GET", B]):
        street.ask(client, *words)
    assert street.ask(client, b"EXEC") == b"*3\r\n" + bulk(b"0") + b"+OK\r\n" + bulk(b"1")


def test_every_partition_of_every_node_is_exchanged() -> None:
    """No key is left where it was."""
    street = Street()
    client = street.client()
    keys = [b"key:%d" % number for number in range(3000)]
    street.ask(client, b"MSET", *[word for key in keys for word in (key, b"v")])
    assert len({partition_of(key) for key in keys}) > PARTITIONS * 0.9
    assert street.ask(client, *EXCHANGED) == b"+OK\r\n"
    assert street.ask(client, b"DBSIZE") == b":0\r\n"
    street.ask(client, b"SELECT", b"1")
    assert street.ask(client, b"DBSIZE") == b":3000\r\n"
