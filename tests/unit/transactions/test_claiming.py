"""Partitions of several owners locked for one command: in one round trip if they are free, and never in a circle."""

import random
from collections import deque

import pytest

from respcache.cluster.ownership.slots import EVERYWHERE, partition_of
from respcache.pending import Pending
from respcache.reply import OK
from respcache.resp.encode import bulk
from respcache.routing.internal import COMMIT, LOCK
from respcache.routing.locking import Locks
from respcache.store.keyspace import Store
from unit.neighbours import NAMES, Question, Street, arrived, key_of

ASCENDING = sorted((b"k%d" % number for number in range(60)), key=partition_of)
"""Keys of all owners, by partition."""


def locked(street: Street) -> list[int]:
    """List the partitions that are locked anywhere."""
    return [number for number in EVERYWHERE if any(number in node.locks.held for node in street.nodes.values())]


def deliver_all(street: Street, name: str) -> int:
    """Deliver what is on its way, which is all of one kind; tell how many there were."""
    on_the_way = [street.questions.popleft() for _ in range(len(street.questions))]
    assert {question.name for question in on_the_way} == {name}
    for question in on_the_way:
        street.deliver(question)
    return len(on_the_way)


def test_all_owners_are_asked_at_once() -> None:
    """A transaction on sixty keys is two round trips to each of the others."""
    street = Street()
    client = street.client()
    reply = street.nodes["a"].batch(client, [b"MSETNX", *[word for key in ASCENDING for word in (key, b"v")]])[0]
    assert deliver_all(street, LOCK.name) == 2
    assert deliver_all(street, COMMIT.name) == 2
    assert arrived(reply) == b":1\r\n"


@pytest.mark.parametrize("place", [0, 29, 30, 31, 59])
def test_one_partition_that_is_locked_is_waited_for_with_nothing_held_above_it(place: int) -> None:
    """What is below is kept, and once it is unlocked one more round trip locks all the others."""
    street = Street()
    client = street.client()
    obstacle = partition_of(ASCENDING[place])
    owner = street.nodes[NAMES[obstacle % 3]]
    owner.locks.lock(b"z:1", [obstacle])
    reply = street.nodes["a"].batch(client, [b"MSETNX", *[word for key in ASCENDING for word in (key, b"v")]])[0]
    street.settle()
    assert isinstance(reply, Pending)
    assert reply.wire is None
    assert locked(street) == [partition_of(key) for key in ASCENDING if partition_of(key) <= obstacle]
    owner.locks.release([obstacle])
    owner.router.routes_changed()
    asked = 0
    while street.questions:
        question = street.questions.popleft()
        asked += question.name == LOCK.name
        street.deliver(question)
    assert arrived(reply) == b":1\r\n"
    assert asked <= 2, "one to each of the other owners"
    assert not locked(street)


def test_what_was_given_back_is_read_anew() -> None:
    """A key above the one that is waited for may change meanwhile, and that is what the command sees."""
    street = Street()
    first, second = (
        key_of("b"),
        next(
            key for key in (key_of("c", count) for count in range(50)) if partition_of(key) > partition_of(key_of("b"))
        ),
    )
    street.ask(street.client(), b"SET", second, b"old")
    street.nodes["b"].locks.lock(b"z:1", [partition_of(first)])
    reply = street.nodes["a"].batch(street.client(), [b"RENAME", second, first])[0]
    street.settle()
    assert street.ask(street.client("c"), b"SET", second, b"new", node="c") == OK.wire
    street.nodes["b"].locks.release([partition_of(first)])
    street.nodes["b"].router.routes_changed()
    street.settle()
    assert arrived(reply) == OK.wire
    assert street.ask(street.client(), b"GET", first) == bulk(b"new")


@pytest.mark.parametrize("seed", range(15))
def test_crossing_claims_all_come_to_their_end(seed: int) -> None:
    """Whatever the order in which questions arrive, no time has to pass: nobody waits in a circle."""
    dice = random.Random(seed)
    street = Street()
    replies = []
    for number in range(12):
        name = dice.choice(NAMES)
        keys = dice.sample(ASCENDING, dice.randint(2, 20))
        words = [word for key in keys for word in (key, b"%d" % number)]
        command = [b"SWAPDB", b"0", b"1"] if dice.random() < 0.1 else [b"MSETNX", *words]
        replies += street.nodes[name].batch(street.client(name), command)
        for _ in range(dice.randint(0, 6)):
            deliver_any(street, dice)
    rounds = 0
    while street.questions:
        deliver_any(street, dice)
        rounds += 1
        assert rounds < 10_000, "they keep each other from their end"
    assert all(arrived(reply)[:1] in b":+" for reply in replies), seed
    assert not locked(street)


def deliver_any(street: Street, dice: random.Random) -> None:
    """Deliver the first question of any link."""
    links: dict[tuple[str, str], deque[Question]] = {}
    for question in street.questions:
        links.setdefault((question.asker.name, question.owner), deque()).append(question)
    if links:
        question = links[dice.choice(sorted(links))][0]
        street.questions.remove(question)
        street.deliver(question)


@pytest.mark.parametrize(("taken", "gets"), [([], [1, 2, 3]), ([1], []), ([2], [1]), ([3], [1, 2])])
def test_what_is_locked_at_once_is_all_below_the_first_obstacle(taken: list[int], gets: list[int]) -> None:
    """So who is refused learns which one it has to wait for."""
    locks = Locks(Store(), run=b"n:1")
    for number in (1, 2, 3):
        locks.open(number, None)
    locks.lock(b"z:1", taken)
    assert list(locks.lock_lowest(b"a:1", (1, 2, 3))) == gets
    assert locks.holds(b"a:1", gets)
    assert locks.holds(b"z:1", taken)


def test_nothing_is_locked_without_a_lease() -> None:
    """Another node may serve the keys by then."""
    locks = Locks(Store(), run=b"n:1")
    locks.open(1, None)
    locks.suspend()
    assert list(locks.lock_lowest(b"a:1", (1,))) == []
    assert 1 not in locks.held
