"""Commands on keys of several owners: as on one node, or not done at all, or the client is told that nobody knows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import partition_of
from respcache.pending import Pending
from respcache.reply import OK
from respcache.resp.encode import bulk, integer
from respcache.routing.internal import COMMIT, LOCK
from respcache.routing.locking import Locks
from respcache.routing.order import Order
from respcache.store.copies import Copies
from respcache.store.keyspace import Store
from respcache.store.rubbish import HUGE
from respcache.transactions import transaction
from respcache.transactions.participant import Participant
from unit.alone import NotedLog
from unit.neighbours import NAMES, TIMEOUT_S, Street, arrived, key_of

A, B, C = (key_of(name) for name in NAMES)
A2 = key_of("a", 1)
KEYS = st.sampled_from((A, B, C, A2))
WORDS = st.sampled_from((b"", b"1", b"v", b"w" * 50))
REFUSED = b"-TRYAGAIN"

COMMANDS = st.one_of(
    st.tuples(st.just(b"SET"), KEYS, WORDS),
    st.tuples(st.just(b"SET"), KEYS, WORDS, st.just(b"PXAT"), st.just(b"33000000000000")),
    st.tuples(st.just(b"SET"), KEYS, WORDS, st.just(b"PXAT"), st.just(b"1")),
    st.tuples(st.sampled_from((b"RENAME", b"RENAMENX")), KEYS, KEYS),
    st.tuples(st.just(b"COPY"), KEYS, KEYS),
    st.tuples(st.just(b"COPY"), KEYS, KEYS, st.just(b"REPLACE"), st.just(b"DB"), st.sampled_from((b"0", b"1", b"17"))),
    st.tuples(st.just(b"MOVE"), KEYS, st.sampled_from((b"0", b"1", b"17", b"junk"))),
    st.tuples(st.sampled_from((b"MSETNX", b"MSET")), KEYS, WORDS, KEYS, WORDS),
    st.tuples(st.just(b"MSETNX"), KEYS, WORDS, KEYS),
    st.tuples(st.sampled_from((b"MGET", b"DEL", b"EXISTS")), KEYS, KEYS, KEYS),
    st.tuples(st.sampled_from((b"PEXPIRETIME", b"INCR", b"GET")), KEYS),
    st.tuples(st.sampled_from((b"DBSIZE", b"FLUSHDB"))),
    st.tuples(st.just(b"SWAPDB"), st.just(b"0"), st.sampled_from((b"0", b"1", b"17", b"junk"))),
    st.tuples(st.just(b"SELECT"), st.sampled_from((b"0", b"1"))),
)


@settings(max_examples=25, deadline=None)
@given(script=st.lists(COMMANDS, max_size=12), protocol=st.sampled_from((2, 3)))
def test_several_nodes_answer_like_one(script: list[tuple[bytes, ...]], protocol: int) -> None:
    """Replies, refusals, and the keys that are left, with their deadlines."""
    one, several = Street(("a",), databases=2), Street(databases=2)
    clients = [street.client() for street in (one, several)]
    for client in clients:
        client.protocol = protocol
    for words in script:
        expected, given_ = (street.ask(client, *words) for street, client in zip((one, several), clients, strict=True))
        assert given_ == expected, words
    assert several.values() == one.values()
    assert all(_serves_its_own(several, name) for name in NAMES)


def _serves_its_own(street: Street, name: str) -> bool:
    partitions = street.nodes[name].store.keyspace(0).partitions
    return all(partition.serving is (NAMES[partition.number % 3] == name) for partition in partitions)


def test_databases_beyond_the_sixteenth_take_part() -> None:
    """A copy to another owner and another database arrives there."""
    street = Street(databases=32)
    client = street.client()
    street.ask(client, b"SET", A, b"v")
    assert street.ask(client, b"COPY", A, B, b"DB", b"20") == integer(1)
    client.database = 20
    assert street.ask(client, b"GET", B) == bulk(b"v")


def test_an_owner_that_refuses_to_lock_is_tried_again() -> None:
    """Before anything was written a refusal changes nothing; the next attempt succeeds."""
    street = Street()
    client = street.client()
    street.ask(client, b"SET", B, b"v")
    reply = street.nodes["a"].batch(client, [b"RENAME", B, C])[0]
    street.refuse(street.take(LOCK.name))
    street.settle()
    street.nodes["a"].router.routes_changed()
    street.settle()
    assert arrived(reply) == OK.wire


def test_an_owner_that_no_longer_holds_the_locks_refuses_to_write() -> None:
    """Others may have been written by then, so nobody can tell what became of the command."""
    street = Street()
    client = street.client()
    street.ask(client, b"SET", B, b"v")
    reply = street.nodes["a"].batch(client, [b"RENAME", B, C])[0]
    commit = street.take(COMMIT.name)
    street.nodes[commit.owner].locks.release_of("a")
    street.deliver(commit)
    street.settle()
    assert arrived(reply).startswith(b"-UNCERTAIN")


def test_a_command_that_every_owner_refuses_to_write_is_tried_again() -> None:
    """Nothing was written, so nothing is uncertain."""
    street = Street()
    client = street.client()
    reply = street.nodes["a"].batch(client, [b"MSETNX", B, b"1", C, b"2"])[0]
    commits = [street.take(COMMIT.name), street.take(COMMIT.name)]
    for commit in commits:
        street.nodes[commit.owner].locks.release_of("a")
        street.deliver(commit)
    street.nodes["a"].router.routes_changed()
    street.settle()
    assert arrived(reply) == integer(1)
    assert street.ask(client, b"MGET", B, C) == b"*2\r\n" + bulk(b"1") + bulk(b"2")


def test_a_partition_that_is_to_move_takes_the_writes_of_whoever_has_locked_it() -> None:
    """Nobody else is served there any more; once it is unlocked it may move."""
    street = Street()
    client = street.client()
    street.ask(client, b"SET", B, b"v")
    reply = street.nodes["a"].batch(client, [b"RENAME", B, C])[0]
    commit = street.take(COMMIT.name)
    owner, number = street.nodes["b"], partition_of(B)
    owner.locks.freeze(number)
    read = owner.batch(street.client("b"), [b"EXISTS", B])[0]
    assert number in owner.locks.held
    street.deliver(commit)
    street.settle()
    assert arrived(reply) == OK.wire
    assert number not in owner.locks.held
    assert isinstance(read, Pending)
    assert read.wire is None
    assert not owner.locks.lock(b"z:1", [number])


def test_a_commit_that_is_given_up_leaves_nothing_locked() -> None:
    """Its node waits for no answer any more, and would never say so again."""
    street = Street()
    client = street.client()
    street.ask(client, b"SET", B, b"v")
    reply = street.nodes["a"].batch(client, [b"RENAME", B, C])[0]
    owner, number = street.nodes["b"], partition_of(B)
    commit = street.take(COMMIT.name)
    owner.locks.suspend()
    street.deliver(commit)
    street.now += TIMEOUT_S + 1
    owner.router.sweep()
    street.settle()
    assert arrived(reply).startswith(b"-UNCERTAIN")
    owner.locks.resume()
    assert number not in owner.locks.held


def test_a_transaction_that_has_lost_one_partition_has_no_other_locked() -> None:
    """The commit of these is refused, or goes to somebody else."""
    store = Store()
    locks = Locks(store, run=b"n:1")
    for number in (1, 2, 3):
        locks.open(number, None)
    locks.lock(b"a:1", [1, 2])
    locks.lock(b"a:2", [3])
    locks.close(1)
    assert [number in locks.held for number in (1, 2, 3)] == [False, False, True]


def test_what_is_only_unlocked_needs_no_lease() -> None:
    """Else a node that is cut off would keep its own partitions locked."""
    store = Store()
    locks = Locks(store, run=b"n:1")
    participant = Participant(store, locks, Copies(store))
    locks.open(partition_of(B), None)
    locks.lock(b"a:1", [partition_of(B)])
    locks.suspend()
    commit = lock_order(COMMIT.name, b"a:1")
    assert participant.commit(commit) == []
    assert partition_of(B) not in locks.held
    assert commit.refused, "another node may have served the key meanwhile, so what was read of it is worth nothing"


def test_what_was_read_must_be_safe_before_it_is_told() -> None:
    """A commit that writes nothing waits for what others have written before."""
    store = Store()
    store.keyspace(0)
    locks = Locks(store, run=b"n:1")
    participant = Participant(store, locks, Copies(store))
    log = NotedLog()
    log.clean = False
    locks.open(partition_of(B), log)
    locks.lock(b"a:1", [partition_of(B)])
    assert participant.commit(lock_order(COMMIT.name, b"a:1")) == [log]


def test_an_owner_whose_lease_has_lapsed_writes_when_it_is_renewed() -> None:
    """Nobody can have taken over a partition that is still locked here."""
    street = Street()
    client = street.client()
    street.ask(client, b"SET", B, b"v")
    reply = street.nodes["a"].batch(client, [b"RENAME", B, C])[0]
    owner = street.nodes["b"]
    commit = street.take(COMMIT.name)
    owner.locks.suspend()
    street.deliver(commit)
    street.settle()
    assert owner.store.keyspace(0).at(B).values.keys() == {B}
    owner.locks.resume()
    owner.router.routes_changed()
    street.settle()
    assert arrived(reply) == OK.wire


def test_an_owner_that_is_lost_before_it_has_locked_is_tried_again() -> None:
    """Nothing was written, so nothing is uncertain."""
    street = Street()
    client = street.client()
    street.ask(client, b"SET", B, b"v")
    reply = street.nodes["a"].batch(client, [b"RENAME", B, C])[0]
    street.lose(street.take(LOCK.name))
    street.settle()
    street.nodes["a"].router.sweep()
    street.settle()
    assert arrived(reply) == OK.wire
    assert street.ask(client, b"MGET", B, C) == b"*2\r\n$-1\r\n" + bulk(b"v")


def test_an_owner_that_is_lost_while_it_writes_leaves_the_outcome_uncertain() -> None:
    """The client is told; a command that wrote nothing is run again, for nobody says that the locks have held."""
    street = Street()
    client = street.client()
    street.ask(client, b"SET", B, b"v")
    wrote = street.nodes["a"].batch(client, [b"RENAME", B, C])[0]
    street.lose(street.take(COMMIT.name))
    street.settle()
    assert arrived(wrote).startswith(b"-UNCERTAIN")

    again = Street()
    client = again.client()
    nothing = again.nodes["a"].batch(client, [b"RENAME", B, C])[0]
    again.lose(again.take(COMMIT.name))
    again.settle()
    assert isinstance(nothing, Pending)
    assert nothing.wire is None
    for node in again.nodes.values():
        node.router.peer_gone("a")
    again.settle()
    assert arrived(nothing) == b"-ERR no such key\r\n"


def test_nobody_sees_the_keys_in_between() -> None:
    """Reads of a locked key wait until it is written, and then see the result."""
    street = Street()
    one, other = street.client(), street.client("b")
    street.ask(one, b"SET", B, b"v")
    renamed = street.nodes["a"].batch(one, [b"RENAME", B, C])[0]
    commit = street.take(COMMIT.name)
    read = street.nodes["b"].batch(other, [b"EXISTS", B])[0]
    assert commit.owner == "b"
    street.deliver(commit)
    street.settle()
    assert (arrived(renamed), arrived(read)) == (OK.wire, integer(0))


def test_crossing_transactions_end_both() -> None:
    """Everyone locks in ascending order, so nobody waits in a circle."""
    street = Street()
    one, other = street.client("a"), street.client("b")
    street.ask(one, b"MSET", A, b"1", B, b"2")
    replies = [
        street.nodes["a"].batch(one, [b"COPY", A, B, b"REPLACE"])[0],
        street.nodes["b"].batch(other, [b"COPY", B, A, b"REPLACE"])[0],
    ]
    for _ in range(5):
        street.settle()
        for node in street.nodes.values():
            node.router.sweep()
    assert [arrived(reply) for reply in replies] == [integer(1), integer(1)]
    values = street.values()
    assert values[0, A] == values[0, B]


def test_a_lock_that_is_never_released_is_waited_for_until_the_deadline() -> None:
    """Wherever it is held: then the command was certainly not run, and what it had locked is free."""
    first = next(key for key in (key_of("a", count) for count in range(100)) if partition_of(key) < partition_of(B))
    for blocked, mine in ((A, A), (B, A), (C, A), (first, first)):
        street = Street()
        client = street.client()
        owner = NAMES[partition_of(blocked) % 3]
        street.nodes[owner].locks.lock(b"z:1", [partition_of(blocked)])
        reply = street.nodes["a"].batch(client, [b"MSETNX", mine, b"1", B, b"2", C, b"3"])[0]
        for elapsed_s in (0.0, 1.0, TIMEOUT_S, 0.1, 0.1):
            street.now += elapsed_s
            street.settle()
            for node in street.nodes.values():
                node.router.sweep()
        street.settle()
        assert arrived(reply).startswith(REFUSED), owner
        street.nodes[owner].locks.release_of("z")
        assert all(_serves_its_own(street, name) for name in NAMES), owner


def test_what_a_peer_waits_to_lock_is_forgotten_with_the_peer() -> None:
    """Else it would be locked for a transaction that nobody goes on with."""
    street = Street()
    number = partition_of(B)
    owner = street.nodes["b"]
    owner.locks.lock(b"z:1", [number])
    street.nodes["a"].batch(street.client(), [b"RENAME", B, C])
    street.deliver(street.take(LOCK.name))
    owner.router.peer_gone("a")
    owner.locks.release_of("z")
    owner.router.routes_changed()
    assert owner.store.keyspace(0).partitions[number].serving


def lock_order(row_name: str, *words: bytes) -> Order:
    """Make what a peer sends about the key B."""
    row = LOCK if row_name == LOCK.name else COMMIT
    return Order(
        row,
        [row_name.encode(), *words],
        database=0,
        protocol=2,
        partitions=(partition_of(B),),
        deadline_s=0.0,
        relayed=True,
    )


def test_a_commit_without_its_locks_writes_nothing() -> None:
    """They are void once the partition has moved, or was locked by another transaction."""
    store = Store()
    locks = Locks(store, run=b"n:1")
    participant = Participant(store, locks, Copies(store))
    locks.open(partition_of(B), None)
    locks.lock(b"a:2", [partition_of(B)])
    commit = lock_order(COMMIT.name, b"a:1", b"0", B, b"entry")
    assert participant.commit(commit) == []
    assert commit.refused
    assert store.keyspace(0).at(B).values == {}
    assert locks.holds(b"a:2", [partition_of(B)])


@pytest.mark.parametrize("words", [(), (b"x",), (b"1",), (b"1", b"0"), (b"0", b"0", B), (b"0", b"99", B, b"token")])
def test_a_lock_that_is_malformed_locks_nothing(words: tuple[bytes, ...]) -> None:
    """A peer of another version, or none at all, gets an error."""
    store = Store()
    locks = Locks(store, run=b"n:1")
    locks.open(partition_of(B), None)
    order = lock_order(LOCK.name, b"a:1", *words)
    assert Participant(store, locks, Copies(store)).lock(order)
    assert (order.wire or b"").startswith(b"-ERR ")
    assert store.keyspace(0).at(B).serving


def test_a_lock_answers_with_the_entries_of_the_keys() -> None:
    """And how many partitions are locked; null is for a key that is not there; a second transaction has to wait."""
    store = Store()
    locks = Locks(store, run=b"n:1")
    locks.open(partition_of(B), None)
    participant = Participant(store, locks, Copies(store))
    first, second = lock_order(LOCK.name, b"a:1", b"1", b"0", B), lock_order(LOCK.name, b"c:1", b"1", b"0", B)
    assert participant.lock(first)
    assert first.wire == b"*2\r\n:1\r\n$-1\r\n"
    assert not participant.lock(second)
    assert second.wire is None


def test_a_commit_that_is_given_up_while_copies_are_behind_leaves_nothing_locked() -> None:
    """It goes back as not done, though a write that waits for copies would be refused instead."""
    street = Street()
    client = street.client()
    street.ask(client, b"SET", B, b"v")
    street.nodes["a"].batch(client, [b"RENAME", B, C])
    commit = street.take(COMMIT.name)
    owner = street.nodes[commit.owner]
    numbers = frozenset(commit.order.partitions)
    owner.locks.congest(numbers)
    owner.locks.suspend()
    street.deliver(commit)
    street.now += TIMEOUT_S + 1
    owner.router.sweep()
    owner.locks.congest(frozenset())
    owner.locks.resume()
    owner.router.routes_changed()
    street.settle()
    assert not any(number in owner.locks.held for number in numbers)


def test_nobody_is_told_that_a_commit_is_safe_on_fewer_copies_than_are_needed() -> None:
    """Some may have been lost since its keys were locked. It is done all the same: others may have done their part."""
    street = Street()
    client = street.client()
    street.ask(client, b"SET", B, b"v")
    reply = street.nodes["a"].batch(client, [b"RENAME", B, C])[0]
    commits = [street.take(COMMIT.name), street.take(COMMIT.name)]
    for commit in commits:
        street.nodes[commit.owner].locks.ration(frozenset(commit.order.partitions))
        street.deliver(commit)
    street.settle()
    assert arrived(reply).startswith(b"-UNCERTAIN")
    assert street.ask(client, b"MGET", B, C) == b"*2\r\n$-1\r\n" + bulk(b"v")
    assert all(partition_of(B) not in node.locks.held for node in street.nodes.values())


def test_a_defect_of_the_program_leaves_nothing_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is told of it; others go on."""
    street = Street()
    client = street.client()
    with monkeypatch.context() as broken:
        broken.setattr(transaction, "check_pairs", _fail)
        with pytest.raises(MemoryError):
            street.ask(client, b"MSETNX", B, b"1", C, b"2")
        street.settle()
    assert street.ask(client, b"MGET", B, C) == b"*2\r\n$-1\r\n$-1\r\n"
    assert street.ask(client, b"SET", B, b"v") == OK.wire


def _fail(*_: object) -> None:
    raise MemoryError


@pytest.mark.parametrize("words", [(b"SINTER", A, B), (b"SMOVE", A, B, b"1"), (b"RENAME", A, B)])
def test_what_a_transaction_has_worked_on_is_freed(words: tuple[bytes, ...]) -> None:
    """Large values bit by bit, as what goes of the node's own keys; the scratch store keeps nothing of them."""
    street = Street()
    client = street.client()
    for key in (A, B):
        street.ask(client, b"SADD", key, *[b"%d" % number for number in range(2 * HUGE)])
    node = street.nodes["c"]
    assert not street.ask(client, *words, node="c").startswith(b"-")
    rubbish = node.store.ledger.rubbish
    assert len(rubbish) >= 2 * HUGE
    rubbish.free(10 * HUGE)
    assert not rubbish
