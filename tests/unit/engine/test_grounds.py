"""Scripts on keys of one owner and of several: as on one node, or out of reach."""

from collections.abc import Callable
from time import perf_counter_ns

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import PARTITIONS, partition_of
from respcache.pubsub.audience import Kind
from respcache.resp.encode import bulk, encode, integer
from respcache.store.copies import StoredKey
from unit.neighbours import BACKLOG_BYTES, NAMES, Neighbour, Street, key_of
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
    """Replies, errors, and the keys that are left."""
    one, several = Street(("a",), databases=2), Street(databases=2)
    clients = [street.client() for street in (one, several)]
    for client in clients:
        client.protocol = protocol
    for words in calls:
        expected, given_ = (street.ask(client, *words) for street, client in zip((one, several), clients, strict=True))
        assert given_ == expected, words
    assert several.values() == one.values()


def test_a_script_reaches_what_it_does_not_declare() -> None:
    """On its own node, on others, with declared keys of one owner, of several and without any."""
    street = Street()
    client = street.client()
    text = b"return redis.call('SET', ARGV[1], 1)"
    for keys, named in (((A,), A2), ((B,), A2), ((A,), B), ((A, B), B), ((A, B), A2), ((), A), ((), C)):
        asked = street.ask(client, b"EVAL", text, b"%d" % len(keys), *keys, named)
        assert asked == b"+OK\r\n", (keys, named)
        assert street.ask(client, b"GETDEL", named) == bulk(b"1")


def entries(street: Street) -> dict[StoredKey, bytes | None]:
    """Give all that is stored, by key, in a form that compares."""
    copies = [node.router._participant._copies for node in street.nodes.values()]
    return {
        (database, key): copy.dump(number, database, key)
        for copy in copies
        for number in range(PARTITIONS)
        for database in copy.databases(number)
        for key in copy.keys(number, database, 0)[0]
    }


WANDERINGS = st.sampled_from(
    (
        b"redis.call('INCR', ARGV[1]) return redis.call('INCR', ARGV[2])",
        b"redis.call('SET', KEYS[1], ARGV[3]) redis.call('RPUSH', ARGV[1], 'x') return redis.call('GET', ARGV[2])",
        b"local n = redis.call('INCR', ARGV[1]) redis.call('APPEND', 'made:' .. n, 'x') return n",
        b"redis.call('RPUSH', ARGV[1], 'x', 'y') return redis.call('RPOPLPUSH', ARGV[1], ARGV[2])",
        b"redis.call('SET', ARGV[1], 'v') redis.call('RENAME', ARGV[1], ARGV[2]) error('enough')",
        b"redis.pcall('LPUSH', ARGV[1], 'x') redis.call('SELECT', 1) return redis.call('INCR', ARGV[2])",
        b"local sum = 0 for i = 1, 20 do sum = sum + redis.call('INCR', ARGV[1] .. i) end return sum",
        b"for i = 1, 5 do local n = redis.call('INCR', ARGV[1]) redis.call('SET', 'n' .. n, i) end",
        b"redis.call('PEXPIREAT', ARGV[1], 33000000000000) return redis.call('PERSIST', ARGV[2])",
    )
)
NAMED = st.sampled_from((A, B, C, A2))
WANDERS = st.one_of(
    st.tuples(st.just(b"EVAL"), WANDERINGS, st.just(b"1"), NAMED, NAMED, NAMED, st.sampled_from((b"1", b"v"))).map(
        lambda words: [words]
    ),
    st.tuples(st.just(b"SET"), NAMED, st.sampled_from((b"1", b"v"))).map(lambda words: [words]),
    st.tuples(NAMED, WANDERINGS, NAMED, NAMED).map(
        lambda drawn: [
            (b"MULTI",),
            (b"APPEND", drawn[0], b"1"),
            (b"EVAL", drawn[1], b"1", *drawn[2:], drawn[0], b"1"),
            (b"INCR", drawn[2]),
            (b"EXEC",),
        ]
    ),
)


@settings(max_examples=20, deadline=None)
@given(calls=st.lists(WANDERS, max_size=8))
def test_scripts_that_make_up_their_keys_end_as_on_one_node(calls: list[list[tuple[bytes, ...]]]) -> None:
    """Replies, errors, and the keys that are left: nothing of a run that was stopped remains. Inside MULTI, too."""
    one, several = Street(("a",), databases=2), Street(databases=2)
    clients = [street.client() for street in (one, several)]
    for words in [words for call in calls for words in call]:
        expected, found = (street.ask(client, *words) for street, client in zip((one, several), clients, strict=True))
        assert found == expected, words
    assert entries(several) == entries(one)


def test_what_a_script_published_before_it_is_stopped_is_not_said_twice() -> None:
    """It is said when the run that counts has ended."""
    street = Street()
    client, listener = street.client(), street.client()
    exchange = street.nodes["a"].front.host.exchange
    exchange.subscribe(listener, Kind.CHANNEL, b"news")
    text = b"local n = redis.call('PUBLISH', 'news', 'x') redis.call('SET', ARGV[1], n) return n"
    for named in (A, B, C):
        assert street.ask(client, b"EVAL", text, b"1", A, named) == integer(1)
        assert exchange.take(listener).count(b"news") == 1


def test_what_a_script_publishes_is_bounded_by_the_memory_of_scripts() -> None:
    """It is kept until the script has ended, outside Lua."""
    street = Street(("a",))
    client, listener = street.client(), street.client()
    exchange = street.nodes["a"].front.host.exchange
    exchange.subscribe(listener, Kind.CHANNEL, b"news")
    text = b"for n = 1, tonumber(ARGV[1]) do redis.call('PUBLISH', 'news', ('x'):rep(1e6)) end return 1"
    assert street.ask(client, b"EVAL", text, b"1", A, b"10") == integer(1)
    assert b"not enough memory" in street.ask(client, b"EVAL", text, b"1", A, b"20")


def test_a_large_value_is_not_copied_for_a_script_that_is_known_to_stay() -> None:
    """The first time it is run as a transaction; from then on on the data, and is trusted."""
    street = Street()
    client, node = street.client(), street.nodes["a"]
    street.ask(client, b"RPUSH", A, *[b"x" * 100] * 2000)
    text = b"return redis.call('RPUSH', KEYS[1], 'x')"
    habit = node.scripts.library.of_text(text).habit
    street.ask(client, b"EVAL", text, b"1", A2)
    assert (habit.homely, habit.wanders) == (True, False)
    value = node.store.keyspace(0).at(A).values[A]
    assert street.ask(client, b"EVAL", text, b"1", A) == integer(2001)
    assert node.store.keyspace(0).at(A).values[A] is value
    strays = b"redis.call('RPUSH', KEYS[1], 'x') redis.call('SET', ARGV[1], 1) return redis.call('LLEN', KEYS[1])"
    assert street.ask(client, b"EVAL", strays, b"1", A, B) == integer(2002)
    assert street.ask(client, b"EVAL", strays, b"1", A, B) == integer(2003)


def test_a_script_without_end_to_its_keys_is_given_up() -> None:
    """After so many rounds; nothing of it remains."""
    street = Street()
    client = street.client()
    text = b"local n = 0 while true do n = n + redis.call('INCR', 'k' .. n) end"
    assert b"too many keys of other nodes" in street.ask(client, b"EVAL", text, b"0")
    assert street.values() == {}


def test_a_script_finds_keys_of_all_nodes() -> None:
    """Those of others, those that it has made, and not those that it has deleted, wherever it runs."""
    street = Street()
    client = street.client()
    text = (
        b"redis.call('SET', KEYS[1], 1) local found = redis.call('KEYS', 'x:*') table.sort(found) "
        b"for at, key in ipairs(found) do redis.call('DEL', key) end redis.call('SET', 'x:new', 1) "
        b"return {found, redis.call('KEYS', 'x:*')}"
    )
    made = [b"x:%d" % number for number in range(9)]
    for name in ("a", "b"):
        for key in made:
            street.ask(client, b"SET", key, b"1")
        street.ask(client, b"DEL", b"x:new")
        asked = street.ask(street.client(name), b"EVAL", text, b"1", b"x:own")
        assert asked == encode([[*sorted([*made, b"x:own"])], [b"x:new"]], 2)
        assert street.ask(client, b"KEYS", b"x:*") == encode([b"x:new"], 2)


@pytest.mark.parametrize("verb", [b"KEYS", b"SCAN"])
def test_a_pattern_with_a_hash_tag_is_about_its_owner(verb: bytes) -> None:
    """Nobody else can have such keys."""
    street = Street()
    client = street.client()
    for number in range(9):
        street.ask(client, b"SET", b"{%d}:x" % number, b"1")
        rest = (b"0", b"MATCH", b"{%d}:*" % number) if verb == b"SCAN" else (b"{%d}:*" % number,)
        words = b", ".join(b"'%b'" % word for word in rest)
        text = b"local found = redis.call('%b', %b) return %b" % (
            verb,
            words,
            b"found[2]" if verb == b"SCAN" else b"found",
        )
        assert street.ask(client, b"EVAL", text, b"1", b"{%d}" % number) == encode([b"{%d}:x" % number], 2)


def test_whole_databases_are_for_a_node_that_has_all() -> None:
    """Part of the keys would be taken for all."""
    alone, several = Street(("a",)), Street()
    for call in (b"return #redis.call('SCAN', 0)[2]", b"return redis.call('DBSIZE')"):
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


class Brief:
    """Ends a node's lease with the first write of a script."""

    def __init__(self, node: Neighbour) -> None:
        self._node = node

    def reads(self) -> None:
        """Let it read."""

    def writes(self) -> None:
        """Let it write this, and nothing else."""
        self._node.executor.lease_ends_ns = 0


@pytest.mark.parametrize("names", [("a",), NAMES], ids=["alone", "among others"])
@pytest.mark.parametrize("call", [b"redis.call", b"redis.pcall"])
def test_a_script_whose_lease_ends_when_it_has_written_is_in_doubt(call: bytes, names: tuple[str, ...]) -> None:
    """Of its next command nothing is done, and nobody knows what becomes of what it wrote."""
    street = Street(names)
    client, node = street.client(), street.nodes["a"]
    node.executor.runner.declared = Brief(node)
    text = b"redis.call('SET', KEYS[1], 1) return %b('GET', KEYS[1])" % call
    assert street.ask(client, b"EVAL", text, b"1", A).startswith(b"-UNCERTAIN Its keys went to another node")
    assert node.stats.errors.keys() == {"UNCERTAIN"}


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


def test_a_script_that_has_written_too_much_writes_no_more() -> None:
    """Copies have to be told of all of it at once. What it wrote before stays, it can go on, and it may still read."""
    street = Street()
    client = street.client()
    owner = street.nodes["a"]
    write = b"return {redis.call('SET', KEYS[1], 1), redis.pcall('GET', KEYS[1])}"
    owner.untold = 10**12  # by others, before
    owner.untold_more = BACKLOG_BYTES + 1
    refused = street.ask(client, b"EVAL", write, b"1", A)
    assert refused.startswith(b"-ERR the script writes more than copies can be told at once (see unacked-limit)")
    read = b"return {redis.pcall('SET', KEYS[1], 1).err, redis.call('EXISTS', KEYS[1])}"
    assert street.ask(client, b"EVAL", read, b"1", A).endswith(b":0\r\n")
    assert owner.stats.writes_rejected["unacked"] == 2
    owner.untold_more = 0
    assert street.ask(client, b"EVAL", write, b"1", A) == b"*2\r\n+OK\r\n$1\r\n1\r\n"
