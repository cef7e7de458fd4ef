"""The one path that every command takes."""

from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import partition_of
from respcache.cluster.replication.log import Gate
from respcache.commands.registry import TABLE
from respcache.commands.replay import CommandCopies
from respcache.commands.resolving import resolve
from respcache.config import Config, ServerConfig
from respcache.errors import CommandError, ProtocolError, UnknownCommand, UnknownSubcommand, WrongArity
from respcache.pending import Pending
from respcache.resp.encode import request
from respcache.store.keyspace import Store
from unit.alone import Alone, NotedLog, received
from unit.neighbours import Street

K, L = b"k", b"l"
K_AT = partition_of(K)


def logged(node: Alone, *keys: bytes) -> list[NotedLog]:
    """Give the partitions of keys other copies."""
    logs = [NotedLog() for _ in keys]
    for key, log in zip(keys, logs, strict=True):
        node.store.mark(partition_of(key), serving=True, log=log)
    return logs


@given(st.lists(st.sampled_from((b"SET k 1", b"get k", b"INCR k", b"PING", b"Get k", b"APPEND k 1")), max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_batch_answers_like_single_requests(lines: list[bytes]) -> None:
    """One reply for each, in order, however the requests come in."""
    whole, singly = Alone(), Alone()
    client, other = whole.front.client(), singly.front.client()
    assert whole.run(client, *lines) == [singly.run(other, line)[0] for line in lines]
    assert whole.stats.calls == singly.stats.calls
    assert sum(whole.stats.calls) == len(lines)


def test_every_kind_of_reply_comes_in_the_clients_protocol() -> None:
    """It changes within a batch, as the database does."""
    node = Alone()
    out = node.run(
        node.front.client(), b"SET k v", b"GET k", b"STRLEN k", b"GET l", b"HELLO 3", b"GET l", b"SELECT 1", b"GET k"
    )
    assert out[:4] == [b"+OK\r\n", b"$1\r\nv\r\n", b":1\r\n", b"$-1\r\n"]
    assert out[5:] == [b"_\r\n", b"+OK\r\n", b"_\r\n"]
    long = b"v" * 5000
    assert node.batch(node.front.client(), [b"SET", K, long], [b"GET", K])[1] == b"$5000\r\n%b\r\n" % long


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"NOPE a", b"-ERR unknown command 'NOPE', with args beginning with: 'a' \r\n"),
        (b"GET", b"-ERR wrong number of arguments for 'get' command\r\n"),
        (b"get k l", b"-ERR wrong number of arguments for 'get' command\r\n"),
        (b"OBJECT NOPE k", b"-ERR unknown subcommand 'NOPE'. Try OBJECT HELP.\r\n"),
        (b"OBJECT ENCODING", b"-ERR wrong number of arguments for 'object|encoding' command\r\n"),
        (b"INCRBY k junk", b"-ERR value is not an integer or out of range\r\n"),
        (b"SELECT 99", b"-ERR DB index is out of range\r\n"),
    ],
)
def test_a_refused_command_changes_nothing_and_the_next_one_runs(line: bytes, error: bytes) -> None:
    """The connection goes on, and the error is counted by its prefix."""
    node = Alone()
    assert node.run(node.front.client(), b"SET k 1", line, b"GET k") == [b"+OK\r\n", error, b"$1\r\n1\r\n"]
    assert node.stats.errors == {"ERR": 1}


def test_unknown_commands_and_failed_ones_are_told_apart() -> None:
    """The former have no row to be counted under."""
    node = Alone()
    node.run(node.front.client(), b"NOPE", b"GET", b"INCRBY k junk")
    assert node.stats.unknown_calls == 1
    assert node.stats.rejected[TABLE[b"GET"].index] == 1
    assert node.stats.failed[TABLE[b"INCRBY"].index] == 1


def test_a_client_without_the_password_can_do_nothing_else() -> None:
    """Within one batch: what comes behind AUTH runs."""
    node = Alone(Config(server=ServerConfig(requirepass="secret")))
    out = node.run(node.front.client(), b"GET k", b"MGET k l", b"PING", b"NOPE", b"AUTH secret", b"SET k v", b"QUIT")
    assert [line[:8] for line in out if isinstance(line, bytes)] == [
        *[b"-NOAUTH "] * 3,
        b"-ERR unk",
        *[b"+OK\r\n"] * 3,
    ]
    assert node.stats.errors == {"NOAUTH": 3, "ERR": 1}


def test_nothing_runs_behind_a_farewell() -> None:
    """The requests behind QUIT are not even looked at."""
    node = Alone()
    client = node.front.client()
    assert node.run(client, b"QUIT", b"SET k v") == [b"+OK\r\n"]
    assert client.closing
    assert not node.store.keyspace(0).at(K).values


def test_nothing_runs_behind_a_barrier_until_it_is_lifted() -> None:
    """The parser keeps the requests."""
    node = Alone()
    node.away.barriers.add(b"DBSIZE")
    client = node.front.client()
    requests = received([b"DBSIZE"], [b"PING"])
    out: list[bytes | Pending] = []
    node.executor.batch(client, requests, out)
    assert out == [client.barrier]
    client.barrier = None
    node.executor.batch(client, requests, out)
    assert out[1:] == [b"+PONG\r\n"]


def test_what_is_no_request_ends_the_batch() -> None:
    """What was before it has run."""
    node = Alone()
    requests = received([b"SET", K, b"v"])
    requests.feed(b"*1\r\n:1\r\n" + request([b"PING"]))
    out: list[bytes | Pending] = []
    with pytest.raises(ProtocolError):
        node.executor.batch(node.front.client(), requests, out)
    assert out == [b"+OK\r\n"]
    assert sum(node.stats.calls) == 1


def test_several_keys_that_are_all_served_here_need_no_router() -> None:
    """One that is not makes the whole command the router's; so does one that may wait, or name no key."""
    node = Alone()
    client = node.front.client()
    space = node.store.keyspace(0)
    assert node.run(client, b"MSET k 1 l 2", b"MGET k l", b"DEL k", b"RENAME l m") == [
        b"+OK\r\n",
        b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n",
        b":1\r\n",
        b"+OK\r\n",
    ]
    assert space.at(b"m").values == {b"m": b"2"}
    assert not node.away.asked

    space.at(L).serving = False
    node.run(client, b"MSET k 3 l 4", b"SINTERCARD 1 m", b"BLMPOP 0 1 k LEFT", b"SINTERCARD 0 m")
    assert [argv[0] for argv in node.away.asked] == [b"MSET", b"BLMPOP", b"SINTERCARD"]
    assert K not in space.at(K).values


def test_the_copies_are_told_each_key_that_several_set() -> None:
    """An effect a partition, and the reply waits for all of them."""
    node = Alone()
    one, other = logged(node, K, L)
    node.run(node.front.client(), b"MSET k 1 l 2")
    assert one.effects == [(0, [b"SET", K, b"1"])]
    assert other.effects == [(0, [b"SET", L, b"2"])]
    [(waited, replies)] = node.away.held
    assert sorted(map(id, waited)) == sorted([id(one), id(other)])
    assert replies == [b"+OK\r\n"]


def test_a_key_that_is_served_elsewhere_leaves_a_gap() -> None:
    """The replies around it are there; subcommands find the way as well."""
    node = Alone()
    node.store.mark(K_AT, serving=False, log=None)
    out = node.run(node.front.client(), b"GET l", b"GET k", b"OBJECT ENCODING k", b"MGET k l", b"SET l v")
    assert [isinstance(reply, Pending) for reply in out] == [False, True, True, True, False]
    assert node.away.asked == [[b"GET", K], [b"OBJECT", b"ENCODING", K], [b"MGET", K, L]]
    assert out[1:4] == node.away.waiting


def test_effects_go_to_the_logs_in_order() -> None:
    """Of every partition its own, with their database; reads have none."""
    node = Alone()
    of_k, of_l = logged(node, K, L)
    node.run(
        node.front.client(), b"SET k 1", b"INCR l", b"GET k", b"APPEND k 2", b"SELECT 3", b"SETEX k 9 v", b"DECR l"
    )
    assert of_k.effects[:2] == [(0, [b"SET", K, b"1"]), (0, [b"APPEND", K, b"2"])]
    database, expiring = of_k.effects[2]
    assert (database, expiring[:4]) == (3, [b"SET", K, b"v", b"PXAT"])
    assert of_l.effects == [(0, [b"INCR", L]), (3, [b"DECR", L])]


def test_what_a_refused_command_found_expired_is_told_to_the_copies() -> None:
    """And the command itself is not."""
    node = Alone()
    (log,) = logged(node, K)
    partition = node.store.keyspace(0).at(K)
    partition.put(K, b"v")
    partition.expire_at(K, 1)
    partition.take_effects(None)
    node.run(node.front.client(), b"INCRBY k 1junk", b"SETRANGE k 536870912 x")
    assert log.effects == [(0, [b"DEL", K])]
    assert not partition.changed


def test_replies_of_a_batch_wait_together() -> None:
    """As soon as one of them depends on effects that are not safe, even a read of them."""
    node = Alone()
    (log,) = logged(node, K)
    client = node.front.client()
    node.run(client, b"GET k")
    assert not node.away.held
    node.run(client, b"SET k v", b"PING")
    node.run(client, b"GET k")
    node.run(client, b"GET l")
    assert node.away.held == [([log], [b"+OK\r\n", b"+PONG\r\n"]), ([log], [b"$1\r\nv\r\n"])]


def test_a_batch_that_waits_says_which_replies_are_of_writes() -> None:
    """From the first on that depends on effects; those to commands that wait by themselves, if at all, are no runs."""
    node = Alone()
    logged(node, K)
    client = node.front.client()
    node.run(client, b"PING", b"GET k", b"SET l 1", b"SET k 1", b"SET l 2", b"GET k", b"GET l", b"PING", b"GET k")
    node.run(client, b"GET k", b"PING", b"PING", b"INCR k", b"INCR l", b"DECR l")
    assert node.away.runs == [
        [(3, True), (5, False), (7, None), (8, False)],
        [(0, False), (1, None), (3, True), (5, True)],
    ]


def test_a_command_that_waits_by_itself_says_whether_it_writes() -> None:
    """Whichever way it takes."""
    node = Alone()
    logged(node, K)
    node.run(node.front.client(), b"MSET k 1 l 2", b"MGET k l", b"OBJECT ENCODING k")
    assert node.away.wrote == [True, False, False]


def test_several_keys_have_their_results_for_effects() -> None:
    """A copy need not have the other keys; the reply waits for all the logs concerned."""
    node = Alone()
    of_k, of_l = logged(node, K, L)
    space = node.store.keyspace(0)
    space.at(K).put(K, b"v")
    wire = node.executor.run(TABLE[b"RENAME"], [b"RENAME", K, L], space, 2, tuple(sorted({K_AT, partition_of(L)})))
    assert wire == b"+OK\r\n"
    assert of_k.effects == [(0, [b"ENTRY", K])]
    assert [argv[:2] for _, argv in of_l.effects] == [[b"ENTRY", L]]
    logs, _ = node.away.held[0]
    assert set(map(id, logs)) == {id(of_k), id(of_l)}


def test_copies_rename_within_a_partition_themselves() -> None:
    """They have the value, which need not be written for them; where there are no copies nothing is."""
    node = Alone()
    space = node.store.keyspace(0)
    source, target = b"{k}1", b"{k}2"
    space.at(source).put(source, b"v")
    space.at(source).expire_at(source, 4_102_444_800_000)
    number = partition_of(source)
    assert node.executor.run(TABLE[b"RENAME"], [b"RENAME", source, target], space, 2, (number,)) == b"+OK\r\n"
    (log,) = logged(node, source)
    assert node.executor.run(TABLE[b"RENAME"], [b"RENAME", target, source], space, 2, (number,)) == b"+OK\r\n"
    assert node.executor.run(TABLE[b"RENAMENX"], [b"RENAMENX", source, target], space, 2, (number,)) == b":1\r\n"
    assert log.effects == [(0, [b"RENAME", target, source]), (0, [b"RENAME", source, target])]
    copies = CommandCopies(Store())
    copy = copies.store.keyspace(0).partitions[number]
    copy.restore(target, b"v", 4_102_444_800_000)
    for database, effect in log.effects:
        copies.apply(number, database, effect)
    assert (copy.values, copy.expires) == ({target: b"v"}, {target: 4_102_444_800_000})


def test_a_part_of_a_database_is_all_that_a_part_of_a_command_sees() -> None:
    """Another node answers for the rest, even if keys of it are left here."""
    node = Alone()
    space = node.store.keyspace(0)
    space.at(K).put(K, b"v")
    space.at(L).put(L, b"v")
    assert node.executor.run(TABLE[b"KEYS"], [b"KEYS", b"*"], space, 2, (K_AT,)) == b"*1\r\n$1\r\nk\r\n"
    assert node.executor.run(TABLE[b"FLUSHDB"], [b"FLUSHDB"], space, 2, (K_AT,)) == b"+OK\r\n"
    assert (space.at(K).values, space.at(L).values) == ({}, {L: b"v"})


def test_a_single_key_of_a_peer_runs_as_a_clients_does() -> None:
    """Refusals are raised, for the peer has to send them."""
    node = Alone()
    space = node.store.keyspace(0)
    assert node.executor.run(TABLE[b"INCR"], [b"INCR", K], space, 2, (K_AT,)) == b":1\r\n"
    with pytest.raises(CommandError, match="not an integer"):
        node.executor.run(TABLE[b"INCRBY"], [b"INCRBY", K, b"x"], space, 2, (K_AT,))


@pytest.mark.parametrize(("slower_than_us", "kept"), [(-1, 0), (0, 3), (10**9, 0)])
def test_slow_commands_are_remembered(slower_than_us: int, kept: int) -> None:
    """One entry for a run of equal commands, which count one by one; negative switches it off."""
    node = Alone()
    server = msgspec.structs.replace(node.host.config.server, slowlog_log_slower_than_us=slower_than_us)
    node.executor.slow.configure(server, node.host.latency, node.host.slowlog)
    node.run(node.front.client(), b"SET k 1", b"SET k 2", b"PING", b"GET k")
    assert len(node.host.slowlog) == kept
    assert node.stats.slow_commands == (4 if kept else 0)
    if kept:
        assert [entry.argv[0] for entry in node.host.slowlog.newest(None)] == [b"GET", b"PING", b"SET"]


def test_times_and_counts_are_kept_by_command() -> None:
    """Every call is in exactly one bucket of its command."""
    node = Alone()
    node.run(node.front.client(), b"SET k 1", b"SET k 2", b"PING", b"SET k 3")
    index = TABLE[b"SET"].index
    assert node.stats.calls[index] == sum(node.stats.durations[index]) == 3
    assert node.stats.duration_ns[index] > 0
    assert node.stats.batches == 1


@pytest.mark.parametrize(
    ("argv", "refusal"),
    [
        ([b"NOPE"], UnknownCommand),
        ([b"GET"], WrongArity),
        ([b"CONFIG"], WrongArity),
        ([b"CONFIG", b"NOPE"], UnknownSubcommand),
        ([b"CONFIG", b"GET"], WrongArity),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(argv: list[bytes], refusal: type[CommandError]) -> None:
    """Each with the error that says which part is wrong."""
    with pytest.raises(refusal):
        resolve(argv)


def test_names_are_found_however_they_are_spelt() -> None:
    """Down to the subcommand."""
    assert resolve([b"gEt", K]) is TABLE[b"GET"]
    assert resolve([b"object", b"eNcoding", K]).name == "OBJECT|ENCODING"


PUSH: Final = b"return redis.pcall('LPUSH', KEYS[1], 'v')"
UNION: Final = b"return redis.pcall('SUNION', KEYS[1])"


@pytest.mark.parametrize(
    ("first", "refused"),
    [
        ([b"SET", b"s", b"v"], [[b"LPUSH", b"s", b"v"]]),
        ([b"XGROUP", b"CREATE", b"s", b"g", b"$", b"MKSTREAM"], [[b"XGROUP", b"CREATE", b"s", b"g", b"$"]]),
        ([b"SET", b"s", b"v"], [[b"SUNION", b"s", b"{s}2"]]),
        ([b"SET", b"s", b"v"], [[b"EVAL", PUSH, b"1", b"s"]]),
        ([b"SET", b"s", b"v"], [[b"EVAL", UNION, b"1", b"s"]]),
        ([b"SET", b"s", b"v"], [[b"MULTI"], [b"LPUSH", b"s", b"v"], [b"EXEC"]]),
        ([b"SET", b"s", b"v"], [[b"MULTI"], [b"SUNION", b"s", b"{s}2"], [b"EVAL", UNION, b"1", b"s"], [b"EXEC"]]),
    ],
)
def test_a_refusal_waits_for_what_it_tells_of(first: list[bytes], refused: list[list[bytes]]) -> None:
    """What it has seen may still be lost. It is counted all the same, once."""
    node = Street(("a",), log=NotedLog()).nodes["a"]
    client = node.front.client()
    gates = [Gate([], {}), Gate([], {})]
    node.gates.extend(gates)
    for argv in (first, *refused):
        replies = node.batch(client, argv)
    [reply] = replies
    assert isinstance(reply, Pending)
    assert not reply.wire
    assert node.gates == []
    told: list[bool] = []
    reply.then(lambda: told.append((reply.wire or b"").startswith(doubt)))
    doubt = b"-UNCERTAIN" if refused[-2 if len(refused) > 1 else -1][0] == b"EVAL" else b"-CLUSTERDOWN"
    gates[-1].committed = False
    node.router.held.resolved(gates[-1:])
    assert told == [True], "what was refused has certainly changed nothing, unless it is a script"
    if len(refused) == 1 and refused[0][0] != b"EVAL":
        assert sum(node.stats.errors.values()) == 1
