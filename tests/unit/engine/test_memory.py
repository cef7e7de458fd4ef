"""The limit of a node's memory, and what becomes of commands when it is reached."""

from collections.abc import Callable

import pytest

from respcache.cluster.ownership.slots import partition_of
from respcache.config import Config, ServerConfig
from respcache.engine.memory import Memory
from respcache.store.scale import KEYSPACE_BYTES
from unit.alone import Alone, NotedLog

LIMIT_BYTES = KEYSPACE_BYTES + 100_000
OOM = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"


def node(policy: str = "noeviction", limit_bytes: int = LIMIT_BYTES) -> Alone:
    """Make a node with a limit."""
    alone = Alone(Config(server=ServerConfig(maxmemory_bytes=limit_bytes, maxmemory_policy=policy)))  # type: ignore[arg-type] # one of the words
    alone.store.keyspace(0)
    alone.memory.tick()
    return alone


def fill(alone: Alone, keys: int, size: int = 1000) -> list[bytes]:
    """Set keys one by one; give the answers."""
    client = alone.front.client()
    return [alone.batch(client, [b"SET", b"key:%d" % number, bytes(size)])[0] for number in range(keys)]  # type: ignore[misc] # all are there at once


def test_writes_are_refused_beyond_the_limit_and_reads_are_not() -> None:
    """Within a batch too many may be let in, but from the next on each is refused, until keys were deleted."""
    alone = node()
    answers = fill(alone, 200)
    refused = answers.index(OOM)
    assert answers == [b"+OK\r\n"] * refused + [OOM] * (200 - refused)
    assert 70 < refused < 110
    assert alone.stats.writes_rejected["oom"] == alone.stats.errors["OOM"] == 200 - refused
    client = alone.front.client()
    assert alone.batch(client, [b"GET", b"key:0"], [b"SET", b"a", b"1"], [b"GETDEL", b"key:0"]) == [
        b"$1000\r\n%b\r\n" % bytes(1000),
        OOM,
        b"$1000\r\n%b\r\n" % bytes(1000),
    ]
    alone.run(client, b"GETDEL key:1")
    assert alone.run(client, b"SET a 1") == [b"+OK\r\n"]


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_with_a_policy_every_write_is_let_in(policy: str) -> None:
    """And the node stays at its limit, all but the batch that has just been run."""
    alone = node(policy)
    assert fill(alone, 500) == [b"+OK\r\n"] * 500
    ledger = alone.store.ledger
    assert ledger.weight_bytes <= LIMIT_BYTES + 2000
    held = sum(len(partition.values) for partition in alone.store.keyspace(0).partitions)
    assert (held, ledger.full) == (500 - ledger.evicted, False)
    assert ledger.evicted > 300


def test_volatile_policies_refuse_writes_when_no_key_expires() -> None:
    """As Redis does; with keys that expire these go, and writes are let in."""
    alone = node("volatile-lru")
    assert OOM in fill(alone, 200)
    client = alone.front.client()
    assert alone.run(client, *[b"EXPIRE key:%d 100" % number for number in range(30)]) == [b":1\r\n"] * 30
    alone.memory.tick()
    assert alone.run(client, b"SET a 1", b"EXISTS key:5")[0] == b"+OK\r\n"
    assert alone.store.ledger.evicted > 0


def test_the_keys_that_are_used_stay() -> None:
    """Of keys set at the same time, those that are read meanwhile outlive the others."""
    alone = node("allkeys-lfu")
    client = alone.front.client()
    fill(alone, 40)
    for _ in range(20):
        for number in range(20):
            alone.run(client, b"GET key:%d" % number)
    for number in range(1000, 1400):
        alone.batch(client, [b"SET", b"key:%d" % number, bytes(1000)])
    kept = [alone.store.keyspace(0).at(b"key:%d" % number).values.get(b"key:%d" % number) for number in range(40)]
    assert sum(value is not None for value in kept[:20]) >= 18
    assert sum(value is not None for value in kept[20:]) <= 10


def test_what_goes_is_told_to_copies_and_sent() -> None:
    """One DEL for each key, before the write for which it went."""
    alone = node("allkeys-random")
    sent: list[int] = []
    memory = Memory(alone.store, deleted=lambda: sent.append(1), soon=lambda _again: None)
    memory.configure(alone.host.config.server)
    fill(alone, 60)
    log = NotedLog()
    for number in range(60):
        alone.store.mark(partition_of(b"key:%d" % number), serving=True, log=log)
    alone.store.ledger.limit_bytes = KEYSPACE_BYTES + 30_000
    memory.make_room()
    assert len(log.effects) == alone.store.ledger.evicted > 20
    assert {effect[1][0] for effect in log.effects} == {b"DEL"}
    assert sent == [1]


def test_deleting_goes_on_when_there_was_no_time() -> None:
    """A limit that is lowered by far is reached step by step, with other work in between."""
    again: list[Callable[[], None]] = []
    alone = node("allkeys-random", limit_bytes=1 << 30)
    fill(alone, 20_000, size=1)
    memory = Memory(alone.store, deleted=lambda: None, soon=again.append)
    memory.configure(ServerConfig(maxmemory_bytes=KEYSPACE_BYTES + 50_000, maxmemory_policy="allkeys-random"))
    steps = 0
    while again:
        steps += 1
        again.pop()()
    assert steps > 0
    assert alone.store.ledger.weight_bytes <= KEYSPACE_BYTES + 50_000


def test_what_clients_queue_is_refused_while_the_node_is_full() -> None:
    """Any command, for a queue takes memory, too; and EXEC will run nothing."""
    alone = node(limit_bytes=1)
    client = alone.front.client()
    alone.memory.tick()
    assert alone.run(client, b"MULTI", b"GET a") == [b"+OK\r\n", OOM]
    assert client.queue is not None
    assert client.queue.spoiled


def test_the_weight_is_right_between_two_walks() -> None:
    """Values that grow, shrink, go and come back are weighed as they are written, all but the last percents."""
    alone = node(limit_bytes=1 << 40)
    client, ledger = alone.front.client(), alone.store.ledger
    alone.memory.tick()
    empty = ledger.weight_bytes
    alone.batch(client, [b"SET", b"a", bytes(1_000_000)], [b"APPEND", b"a", bytes(1_000_000)])
    assert ledger.weight_bytes - empty == pytest.approx(2_000_000, rel=0.01)
    alone.batch(client, *[[b"RPUSH", b"l", bytes(1_000)] for _ in range(1000)])
    assert ledger.weight_bytes - empty == pytest.approx(3_000_000, rel=0.05)
    alone.batch(client, [b"GETDEL", b"a"])
    alone.batch(client, *[[b"LPOP", b"l"] for _ in range(500)])
    assert ledger.weight_bytes - empty == pytest.approx(500_000, rel=0.2)
    alone.batch(client, [b"SET", b"l", b"x"])
    assert ledger.weight_bytes - empty < 50_000
