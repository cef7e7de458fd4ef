"""Scripts on keys of one owner and of several: as on one node, or out of reach."""

from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.resp.encode import bulk, integer
from unit.neighbours import NAMES, Street, key_of

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
