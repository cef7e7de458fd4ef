"""Transactions of clients: as on one node, or not done at all, or the client is told that nobody knows."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.session import Session
from respcache.pending import Pending
from respcache.reply import OK, QUEUED
from respcache.resp.encode import bulk, integer
from respcache.routing.internal import COMMIT, EXEC, EXEC_RO, LOCK
from respcache.store.snapshot import dump_entry
from unit.alone import NotedLog
from unit.neighbours import NAMES, TIMEOUT_S, Street, arrived, key_of

A, B, C = (key_of(name) for name in NAMES)
B2 = key_of("b", 1)
KEYS = st.sampled_from((A, B, C, B2))
WORDS = st.sampled_from((b"", b"1", b"v"))
NULL = b"*-1\r\n"

COMMANDS = st.one_of(
    st.tuples(st.just(b"SET"), KEYS, WORDS),
    st.tuples(st.sampled_from((b"INCR", b"GET", b"DEL", b"LLEN")), KEYS),
    st.tuples(st.just(b"RPUSH"), KEYS, WORDS),
    st.tuples(st.just(b"OBJECT"), st.just(b"ENCODING"), KEYS),
    st.tuples(st.sampled_from((b"RENAME", b"COPY", b"MGET", b"EXISTS")), KEYS, KEYS),
    st.tuples(st.just(b"MOVE"), KEYS, st.sampled_from((b"0", b"1"))),
    st.tuples(st.sampled_from((b"MSET", b"MSETNX")), KEYS, WORDS, KEYS, WORDS),
    st.tuples(st.just(b"MSET"), KEYS, WORDS, KEYS),
    st.tuples(st.just(b"SINTERCARD"), st.just(b"0"), KEYS),
    st.sampled_from(((b"DBSIZE",), (b"FLUSHDB",), (b"FLUSHALL",), (b"RANDOMKEY", b"x"))),
    st.tuples(st.just(b"SELECT"), st.sampled_from((b"0", b"1", b"17", b"x"))),
    st.sampled_from(((b"HELLO", b"9"), (b"CLIENT", b"GETNAME"), (b"PING",), (b"PUBLISH", b"c", b"m"))),
    st.sampled_from(((b"MULTI",), (b"EXEC",), (b"EXEC", b"x"), (b"DISCARD",), (b"UNWATCH",), (b"RESET",))),
    st.tuples(st.just(b"WATCH"), KEYS, KEYS),
    st.sampled_from(((b"NOTHING",), (b"GET",), (b"SHUTDOWN", b"x"), (b"CLIENT", b"NOTHING"))),
)
SCRIPTS = st.lists(st.tuples(st.sampled_from((0, 0, 0, 1)), COMMANDS), max_size=25)


@settings(max_examples=60, deadline=None)
@given(SCRIPTS, st.sampled_from((2, 3)))
def test_several_nodes_answer_like_one(script: list[tuple[int, tuple[bytes, ...]]], protocol: int) -> None:
    """Two clients, who watch and change the same keys; replies, and what is left."""
    streets = Street(("a",), databases=2), Street(databases=2)
    clients = [[street.client(), street.client()] for street in streets]
    for client in (*clients[0], *clients[1]):
        client.protocol = protocol
    for pair in clients:
        for street_client in pair:
            street_client.database = 0
    for who, words in [*script, (0, (b"EXEC",))]:
        expected, given_ = (street.ask(pair[who], *words) for street, pair in zip(streets, clients, strict=True))
        assert given_ == expected, words
    one, several = streets
    assert dumped(several) == dumped(one)
    assert all(
        partition.serving is (NAMES[partition.number % 3] == name)
        for name in NAMES
        for partition in several.nodes[name].store.keyspace(0).partitions
    )


def dumped(street: Street) -> dict[tuple[int, bytes], bytes]:
    """Collect all keys, with their values and deadlines as bytes."""
    stores = [node.store for node in street.nodes.values()]
    spaces = [space for store in stores for space in store.used()]
    partitions = [partition for space in spaces for partition in space.partitions]
    return {
        (partition.database, key): dump_entry(value, partition.deadline(key))
        for partition in partitions
        for key, value in partition.values.items()
    }


def begin(street: Street, client: Session, *requests: Sequence[bytes]) -> bytes | Pending:
    """Send MULTI, commands and EXEC; give EXEC's reply, which may have yet to come."""
    return street.nodes["a"].batch(client, [b"MULTI"], *requests, [b"EXEC"])[-1]


def test_keys_of_another_owner_cost_one_question() -> None:
    """The whole list goes there; with reads alone it may be asked twice, so it is another question."""
    street = Street()
    reply = begin(street, street.client(), [b"SET", B, b"1"], [b"INCR", B], [b"PING"], [b"SET", B2, b"x"])
    assert [question.name for question in street.questions] == [EXEC.name]
    street.settle()
    assert arrived(reply) == b"*4\r\n+OK\r\n:2\r\n+PONG\r\n+OK\r\n"
    reply = begin(street, street.client(), [b"GET", B])
    assert [question.name for question in street.questions] == [EXEC_RO.name]


def test_own_keys_are_answered_at_once() -> None:
    """Without a question, and without a barrier."""
    street = Street()
    client = street.client()
    assert begin(street, client, [b"SET", A, b"1"], [b"INCR", A]) == b"*2\r\n+OK\r\n:2\r\n"
    assert client.barrier is None


def test_the_effects_on_one_owner_are_told_in_one_go() -> None:
    """In the order of the commands, and the reply waits for all of them together."""
    log = NotedLog()
    street = Street(("a",), log=log)
    begin(street, street.client(), [b"SET", b"{t}1", b"v"], [b"GET", b"{t}1"], [b"DEL", b"{t}1"])
    assert [argv[0] for _, argv in log.effects] == [b"SET", b"DEL"]


def test_nobody_sees_half_of_it() -> None:
    """Keys of several owners are read as they were before, or as they are afterwards."""
    street = Street()
    one, other = street.client(), street.client("b")
    reply = begin(street, one, [b"SET", B, b"1"], [b"SET", C, b"1"])
    commit = street.take(COMMIT.name)
    read = street.nodes["b"].batch(other, [b"MULTI"], [b"MGET", B, C], [b"EXEC"])[-1]
    street.deliver(commit)
    for _ in range(3):
        street.settle()
        for node in street.nodes.values():
            node.router.sweep()
    assert arrived(reply) == b"*2\r\n" + 2 * OK.wire
    assert arrived(read) == b"*1\r\n*2\r\n" + 2 * bulk(b"1")


def test_what_follows_a_transaction_waits_for_it() -> None:
    """The client's next commands would overtake it, and might be in another database."""
    street = Street()
    client = street.client()
    out = street.nodes["a"].batch(
        client, [b"MULTI"], [b"SET", B, b"1"], [b"SELECT", b"1"], [b"EXEC"], [b"SET", B, b"2"]
    )
    assert len(out) == 4
    assert client.barrier is out[-1]
    street.settle()
    assert client.database == 1


# -- watching -------------------------------------------------------------------------


@pytest.mark.parametrize("watched", [(A,), (B,), (A, B), (B, C), (A, B, C)])
@pytest.mark.parametrize("used", [(), (A,), (B,), (B, C)])
@pytest.mark.parametrize("changed", [True, False])
def test_a_watched_key_counts_wherever_it_is(
    watched: tuple[bytes, ...],
    used: tuple[bytes, ...],
    changed: bool,  # noqa: FBT001 # a table of cases
) -> None:
    """Whether the transaction uses it or not; nothing is run if it has changed, and nothing stays locked."""
    street = Street()
    client, other = street.client(), street.client("b")
    assert street.ask(client, b"WATCH", *watched) == OK.wire
    if changed:
        street.ask(other, b"SET", watched[-1], b"x", node="b")
    reply = begin(street, client, [b"PING"], *([b"SET", key, b"1"] for key in used))
    street.settle()
    assert arrived(reply) == (NULL if changed else b"*%d\r\n+PONG\r\n" % (1 + len(used)) + len(used) * OK.wire)
    for key in used:
        seen = street.ask(other, b"GET", key, node="b")
        assert seen == (bulk(b"1") if not changed else bulk(b"x") if key == watched[-1] else b"$-1\r\n")


@pytest.mark.parametrize("names", [("a",), NAMES])
def test_a_watched_key_counts_for_commands_on_a_whole_database(names: tuple[str, ...]) -> None:
    """Also where they are all that there is to be run."""
    street = Street(names)
    client = street.client()
    for changed in (False, True):
        street.ask(client, b"WATCH", B)
        if changed:
            street.ask(client, b"SET", B, b"x")
        reply = begin(street, client, [b"DBSIZE"])
        street.settle()
        client.barrier = None
        assert arrived(reply) == (NULL if changed else b"*1\r\n:0\r\n")


def test_a_watch_ends_with_the_transaction() -> None:
    """With EXEC, DISCARD, UNWATCH and RESET alike."""
    street = Street()
    for ending in ([b"MULTI", b"EXEC"], [b"MULTI", b"DISCARD"], [b"UNWATCH"], [b"RESET"]):
        client = street.client()
        street.ask(client, b"WATCH", B)
        for word in ending:
            street.ask(client, word)
        street.ask(client, b"SET", B, b"x")
        street.ask(client, b"MULTI")
        assert street.ask(client, b"EXEC") == b"*0\r\n"


def test_a_key_whose_owner_changed_counts_as_changed() -> None:
    """The new owner cannot know what the old one did last."""
    street = Street()
    client = street.client()
    street.ask(client, b"WATCH", B)
    number = partition_of(B)
    for node in street.nodes.values():
        node.table.primary[number] = "c"
    street.nodes["b"].locks.close(number)
    street.nodes["c"].locks.open(number, None)
    reply = begin(street, client, [b"SET", B, b"1"])
    street.settle()
    assert arrived(reply) == NULL


def test_watching_waits_for_an_owner() -> None:
    """A link that breaks is no reason to fail; a deadline is, and then nothing new is watched."""
    street = Street()
    client = street.client()
    reply = street.nodes["a"].batch(client, [b"WATCH", A, B])[0]
    street.lose(street.questions.popleft())
    street.cut.add("b")
    street.now += TIMEOUT_S
    street.nodes["a"].router.sweep()
    assert arrived(reply).startswith(b"-CLUSTERDOWN")
    assert client.watched == {}
    street.cut.clear()
    client.barrier = None
    reply = street.nodes["a"].batch(client, [b"WATCH", A, B])[0]
    street.lose(street.questions.popleft())
    street.nodes["a"].router.sweep()
    street.settle()
    assert arrived(reply) == OK.wire
    assert len(client.watched) == 2


# -- limits ---------------------------------------------------------------------------


def test_a_queue_beyond_the_limit_is_refused() -> None:
    """The command that is too much is told, and EXEC runs none of them."""
    street = Street(("a",))
    node = street.nodes["a"]
    node.front.host.settings.set({"client-query-buffer-limit": "1048576"})
    client = street.client()
    out = node.batch(client, [b"MULTI"], [b"SET", A, b"x" * 600_000], [b"SET", B, b"x" * 600_000], [b"EXEC"])
    assert out[1] == QUEUED.wire
    assert b"client-query-buffer-limit" in arrived(out[2])
    assert arrived(out[3]).startswith(b"-EXECABORT")
    assert street.values() == {}


def test_watched_keys_beyond_the_limit_are_refused() -> None:
    """The client goes on watching the others."""
    street = Street(("a",))
    street.nodes["a"].front.host.settings.set({"client-query-buffer-limit": "1048576"})
    client = street.client()
    assert street.ask(client, b"WATCH", b"1" * 600_000) == OK.wire
    assert b"client-query-buffer-limit" in street.ask(client, b"WATCH", b"2" * 600_000)
    assert len(client.watched) == 1


# -- clients that know the slots ------------------------------------------------------


def test_clients_that_know_the_slots_are_sent_to_the_owner() -> None:
    """With the command, with the keys to watch, and with EXEC if the keys have several slots."""
    street = Street()
    client = street.client()
    client.cluster_aware = True
    assert street.ask(client, b"WATCH", B).startswith(b"-MOVED ")
    assert street.ask(client, b"WATCH", A, B).startswith(b"-CROSSSLOT ")
    street.ask(client, b"MULTI")
    assert street.ask(client, b"SET", B, b"1").startswith(b"-MOVED ")
    assert street.ask(client, b"EXEC").startswith(b"-EXECABORT ")
    again = key_of("a", 1)
    assert arrived(begin(street, client, [b"SET", A, b"1"], [b"SET", again, b"1"])).startswith(b"-CROSSSLOT ")
    assert arrived(begin(street, client, [b"SET", A, b"1"])) == b"*1\r\n+OK\r\n"


# -- crashes --------------------------------------------------------------------------


def test_an_owner_that_is_lost_with_the_only_question_leaves_writes_uncertain() -> None:
    """Reads are asked for again."""
    street = Street()
    wrote = begin(street, street.client(), [b"SET", B, b"1"])
    street.lose(street.take(EXEC.name))
    assert arrived(wrote).startswith(b"-UNCERTAIN ")
    read = begin(street, street.client(), [b"GET", B])
    street.lose(street.take(EXEC_RO.name))
    street.nodes["a"].router.sweep()
    street.settle()
    assert arrived(read) == b"*1\r\n$-1\r\n"


def test_an_owner_that_is_lost_before_the_writes_changes_nothing() -> None:
    """All is tried again; it is done once, and whole."""
    street = Street()
    reply = begin(street, street.client(), [b"INCR", B], [b"INCR", C])
    street.lose(street.take(LOCK.name))
    street.settle()
    street.nodes["a"].router.sweep()
    street.settle()
    assert arrived(reply) == b"*2\r\n" + 2 * integer(1)


def test_an_owner_that_is_lost_with_the_writes_leaves_the_outcome_uncertain() -> None:
    """What the others were sent is written, all of it; the client is told that nobody knows the whole."""
    street = Street()
    reply = begin(street, street.client(), [b"SET", B, b"1"], [b"SET", C, b"1"], [b"SET", B2, b"1"])
    commit = street.take(COMMIT.name)
    assert commit.owner == "b"
    street.lose(commit)
    street.settle()
    assert arrived(reply).startswith(b"-UNCERTAIN ")
    assert set(street.values()) == {(0, C)}


def test_the_death_of_the_client_s_node_unlocks_what_was_not_written() -> None:
    """An owner that got its writes has them all; another has none of its own, and serves its keys again."""
    street = Street()
    begin(street, street.client(), [b"SET", B, b"1"], [b"SET", C, b"1"], [b"SET", B2, b"1"])
    first = street.take(COMMIT.name)
    street.deliver(first)
    street.questions.clear()
    for name in ("b", "c"):
        street.nodes[name].router.peer_gone("a")
    assert set(street.values()) == {(0, B), (0, B2)}
    assert street.nodes["c"].store.keyspace(0).at(C).serving


def test_a_transaction_on_a_whole_database_that_lost_its_owner_is_refused_whole() -> None:
    """It was to be run on one node that owned everything; it cannot be locked for, and nothing was done."""
    street = Street(("a",))
    node = street.nodes["a"]
    node.locks.lock(b"z:1", [partition_of(A)])
    client = street.client()
    reply = begin(street, client, [b"SET", A, b"1"], [b"DBSIZE"])
    node.table.primary[partition_of(B)] = "b"
    node.router.routes_changed()
    assert arrived(reply).startswith(b"-TRYAGAIN ")
    assert street.values() == {}
