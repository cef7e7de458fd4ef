"""Scripts on keys of one owner and of several: as on one node, or out of reach."""

from collections.abc import Callable
from time import perf_counter_ns

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import partition_of
from respcache.resp.encode import bulk, encode, integer
from unit.neighbours import NAMES, Neighbour, Street, key_of
from unit.town import Town, popped

A, B, C = (key_of(name) for name in NAMES)
A2 = key_of("a", 1)
KEYS = st.sampled_from((A, B, C, A2))
BODIES = st.sampled_from(
    (
        b"return redis.call('INCR', KEYS[1]) + redis.call('INCR', KEYS[2])",
        b"redis.call('SET', KEYS[1], ARGV[1]) return redis.call('MGET', KEYS[1], KEYS[2])",
        b"return redis.call('RENAME', KEYS[1], KEYS[2])",
        b"redis.call('DEL', KEYS[1]) error('enough')",
        b"redis.call('APPEND', KEYS[1], 'x') return redis.call('APPEND', KEYS[2], 'y')",
        b"redis.call('SELECT', 1) return redis.call('GET', KEYS[1])",
        b"redis.call('PEXPIREAT', KEYS[1], 33000000000000) return redis.call('PEXPIRETIME', KEYS[1])",
        b"return redis.pcall('INCR', KEYS[1])",
        b"return redis.call('COPY', KEYS[1], KEYS[2], 'REPLACE')",
        b"#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 1)",
        b"return {redis.call('TIME') and 1, redis.call('ECHO', KEYS[1])}",
    )
)
CALLS = st.one_of(
    st.tuples(st.sampled_from((b"EVAL", b"EVAL_RO")), BODIES, st.just(b"2"), KEYS, KEYS, st.sampled_from((b"1", b"v"))),
    st.tuples(st.just(b"SET"), KEYS, st.sampled_from((b"1", b"v"))),
)
NON_LOCAL = b"-ERR Script attempted to access a non local key in a cluster node script: "


@settings(max_examples=12, deadline=None)
@given(calls=st.lists(CALLS, max_size=10), protocol=st.sampled_from((2, 3)))
def test_scripts_on_several_nodes_answer_like_those_on_one(calls: list[tuple[bytes, ...]], protocol: int) -> None:
    """Replies, errors, and the keys that are left; but for other databases, which a transaction has not locked."""
    one, several = Street(("a",), databases=2), Street(databases=2)
    clients = [street.client() for street in (one, several)]
    for client in clients:
        client.protocol = protocol
    for words in calls:
        expected, given_ = (street.ask(client, *words) for street, client in zip((one, several), clients, strict=True))
        assert given_ == expected or (b"'SELECT'" in words[1] and given_.startswith(NON_LOCAL)), words
    assert several.values() == one.values()


def test_a_script_reaches_what_its_node_serves() -> None:
    """Declared or not; keys of other nodes only if they are declared, and then no others at all."""
    street = Street()
    client = street.client()
    text = b"return redis.call('SET', ARGV[1], 1)"
    assert street.ask(client, b"EVAL", text, b"1", A, A2) == b"+OK\r\n"
    assert street.ask(client, b"EVAL", text, b"1", B, A2).startswith(NON_LOCAL)
    assert street.ask(client, b"EVAL", text, b"1", A, B).startswith(NON_LOCAL)
    assert street.ask(client, b"EVAL", text, b"2", A, B, B) == b"+OK\r\n"
    assert street.ask(client, b"EVAL", text, b"2", A, B, A2).startswith(NON_LOCAL)
    assert street.ask(client, b"EVAL", text, b"0", A) == b"+OK\r\n"


def test_whole_databases_are_for_a_node_that_has_all() -> None:
    """Part of the keys would be taken for all."""
    alone, several = Street(("a",)), Street()
    for call in (b"return #redis.call('KEYS', '*')", b"return redis.call('DBSIZE')"):
        client = alone.client()
        alone.ask(client, b"SET", A, b"1")
        assert alone.ask(client, b"EVAL", call, b"1", A) == integer(1)
        assert b"is about the keys of all nodes" in several.ask(several.client(), b"EVAL", call, b"1", A)
        assert b"is about the keys of all nodes" in several.ask(several.client(), b"EVAL", call, b"2", A, B)


def test_a_script_that_ends_in_an_error_leaves_what_it_wrote() -> None:
    """On the data as under locks, where all of it is committed."""
    street = Street()
    client = street.client()
    text = b"for _, key in ipairs(KEYS) do redis.call('SET', key, 'v') end error('enough')"
    assert b"enough" in street.ask(client, b"EVAL", text, b"1", A)
    assert b"enough" in street.ask(client, b"EVAL", text, b"2", B, C)
    for key in (A, B, C):
        assert street.ask(client, b"GET", key) == bulk(b"v")


def test_a_script_whose_lease_ends_is_refused_further_commands() -> None:
    """Nothing is read that may be somebody else's by now."""
    street = Street()
    client, node = street.client(), street.nodes["a"]
    text = b"return redis.call('GET', KEYS[1])"
    node.executor.lease_ends_ns = 0
    assert street.ask(client, b"EVAL", text, b"1", A).startswith(b"-CLUSTERDOWN")


@pytest.mark.parametrize(
    "close",
    [
        lambda node: node.locks.freeze(partition_of(A)),
        lambda node: node.locks.lock(b"z:1", (partition_of(A),)),
        lambda node: node.locks.ration(frozenset({partition_of(A)})),
        lambda node: node.locks.congest(frozenset({partition_of(A)})),
    ],
    ids=["freeze", "lock", "ration", "congest"],
)
def test_whole_databases_are_refused_where_a_partition_is_not_served(close: Callable[[Neighbour], object]) -> None:
    """A part of the keys is neither flushed nor listed as if it were all."""
    street = Street(("a",))
    client, node = street.client(), street.nodes["a"]
    street.ask(client, b"MSET", A, b"1", B, b"2")
    before = street.values()
    close(node)
    for call in (b"FLUSHALL", b"DBSIZE"):
        assert street.ask(client, b"EVAL", b"return redis.call(ARGV[1])", b"0", call).startswith(NON_LOCAL)
    assert street.values() == before


def test_whole_databases_are_refused_once_the_lease_has_ended() -> None:
    """Nothing is flushed that may be somebody else's by now."""
    street = Street(("a",))
    client, node = street.client(), street.nodes["a"]
    street.ask(client, b"SET", A, b"1")
    node.executor.lease_ends_ns = perf_counter_ns() - 1
    assert street.ask(client, b"EVAL", b"return redis.call('FLUSHALL')", b"0").startswith(b"-CLUSTERDOWN")
    assert len(street.values()) == 1


PUSHES = b"redis.call('RPUSH', ARGV[1], '1') redis.call('RPUSH', ARGV[1], '2') return redis.call('LLEN', ARGV[1])"


def test_a_script_goes_on_with_an_undeclared_key_that_somebody_waits_for() -> None:
    """Its first push ends the serving of the key to others; who waits is served when the script is over."""
    town = Town(("a",))
    _, waiting = town.blocked("a", b"BLPOP", A, b"0")
    text = PUSHES + b" + redis.call('DBSIZE') + redis.call('EXISTS', ARGV[1], ARGV[2])"
    assert town.ask(town.client(), b"EVAL", text, b"0", A, B) == integer(4)
    town.settle()
    assert waiting.wire == popped(A, b"1")
    assert town.ask(town.client(), b"LRANGE", A, b"0", b"-1") == encode([b"2"], 2)


@pytest.mark.parametrize("first", [(b"RPUSH", A, b"0"), (b"EVAL", PUSHES, b"0", A)], ids=["command", "script"])
def test_a_script_reaches_what_its_transaction_has_changed(first: tuple[bytes, ...]) -> None:
    """Declared or not, and whether a command or another script got there first."""
    town = Town(("a",))
    _, waiting = town.blocked("a", b"BLPOP", A, b"0")
    client = town.client()
    for words in ((b"MULTI",), first, (b"EVAL", PUSHES, b"0", A)):
        town.ask(client, *words)
    replies = town.ask(client, b"EXEC")
    assert b"-" not in replies, replies
    town.settle()
    assert waiting.wire is not None
