"""That every key is readable everywhere at once and lies on as many nodes as it should."""

import asyncio
import random
from itertools import permutations

import pytest
from redis.asyncio import Redis

from integration.clients import clients, command, in_batches, until
from integration.stores import copies, owner, partition, stored
from respcache.errors import NodeClosed
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

KEYS = [b"key:%d" % number for number in range(200)]


async def test_an_acknowledged_write_lies_on_both_nodes() -> None:
    """Set on one node of two: the other reads it at once, and each has it in its own memory."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as (one, other):
        await cluster.wait_for_copies()
        for key in KEYS:
            await one.set(key, b"value of " + key)
            assert copies(cluster.members(), key) == [b"value of " + key] * 2
            assert await other.get(key) == b"value of " + key


@pytest.mark.parametrize(("replica_count", "nodes"), [(1, 3), (2, 3), (3, 3), (3, 2)])
async def test_every_key_has_as_many_copies_as_configured(replica_count: int, nodes: int) -> None:
    """`replica_count` copies, or one on every node if there are fewer nodes; and one node alone serves it."""
    async with Cluster(nodes, replica_count=replica_count) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        for number, key in enumerate(KEYS):
            await redis[number % nodes].set(key, key)
            assert copies(cluster.members(), key) == [key] * min(replica_count, nodes)
            assert stored(owner(cluster.members(), key), key) == key


async def test_every_kind_of_write_reaches_the_copy() -> None:
    """Whatever a command does to a key, its copies are the same afterwards, deadline included."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        for key, commands in _histories().items():
            for number, words in enumerate(commands):
                await command(redis[number % 2], *words)
            values = [stored(node, key) for node in cluster.members()]
            deadlines = [partition(node, key).expires.get(key) for node in cluster.members()]
            assert values[0] == values[1], commands
            assert deadlines[0] == deadlines[1], commands


async def test_a_transaction_of_megabytes_lies_on_both_nodes() -> None:
    """In parts or not, all of it has come to the copy when it is answered, and so has what is behind it."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        for number, one in enumerate(redis):
            values = {b"{%d}:%d" % (number, size): bytes([size % 256]) * size for size in (1, 3_000_000, 10, 700_000)}
            async with one.pipeline(transaction=True) as calls:
                for key, value in values.items():
                    calls.set(key, value)
                await calls.execute()
            await one.append(b"{%d}:10" % number, b"more")
            values[b"{%d}:10" % number] += b"more"
            for key, value in values.items():
                assert copies(cluster.members(), key) == [value] * 2


async def test_three_writers_are_read_by_all_at_once() -> None:
    """A key written through each node; each is read, overwritten and deleted through every other one."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        for round_number in range(30):
            for writer, reader in permutations(range(3), 2):
                key = f"key:{round_number}:{writer}"
                await redis[writer].set(key, "first")
                assert await redis[reader].get(key) == b"first"
                await redis[reader].set(key, "second")
                assert [await one.get(key) for one in redis] == [b"second"] * 3
                assert await redis[writer].delete(key) == 1
                assert [await one.exists(key) for one in redis] == [0] * 3


async def test_alternating_writers_read_their_writes() -> None:
    """Each write through one node is read through the next one, a thousand times, by ten clients at once."""

    async def alternate(redis: list[Redis], key: str) -> None:
        for number in range(100):
            await redis[number % 3].set(key, number)
            assert await redis[(number + 1) % 3].get(key) == b"%d" % number

    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await asyncio.gather(*(alternate(redis, f"key:{number}") for number in range(10)))


async def test_a_key_expires_everywhere_within_50_ms_of_its_deadline() -> None:
    """No node gives it later, none gives nil earlier, and in the end no copy holds memory for it."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        keys = [b"short:%d" % number for number in range(20)]
        for key in keys:
            await redis[0].set(key, "value", px=2000)
        deadlines = {key: int(str(await command(redis[1], "PEXPIRETIME", key))) / 1000 for key in keys}
        gone: dict[bytes, float] = {}
        while len(gone) < len(keys):
            for key in keys:
                if key not in gone:
                    asked_at, answers, answered_at = await _ask(redis, key)
                    if not any(answers):
                        gone[key] = answered_at
                    elif asked_at > deadlines[key] + 0.05:
                        pytest.fail(f"{key!r} outlives its deadline by {asked_at - deadlines[key]} s")
                    if not all(answers):
                        assert answered_at >= deadlines[key], f"{key!r} was gone before its deadline"
        await until(lambda: not any(copies(cluster.members(), key) for key in keys), "the copies are gone too")


async def test_deadlines_survive_the_death_of_the_owner() -> None:
    """After a failover a key has the deadline that it had, or none if that was taken away; and it still expires."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        await in_batches(redis[0], [("SET", b"kept:%d" % n, "value", "EX", 1000) for n in range(100)])
        await in_batches(redis[1], [("EXPIRE", b"kept:%d" % n, 500) for n in range(50)])
        await in_batches(redis[2], [("PERSIST", b"kept:%d" % n) for n in range(50, 100)])
        await in_batches(redis[0], [("SET", b"short:%d" % n, "value", "PX", 4000) for n in range(100)])
        await cluster.kill(1)
        await cluster.wait_for_convergence(2)
        for one in (redis[0], redis[2]):
            for n in range(100):
                ttl = await one.ttl(f"kept:{n}")
                assert ttl == -1 if n >= 50 else 480 < ttl <= 500
            rest = [await one.pttl(f"short:{n}") for n in range(100)]
            assert all(ms == -2 or 0 < ms <= 4000 for ms in rest)
        names = [b"short:%d" % n for n in range(100)]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 6
        while await redis[0].exists(*names):
            assert loop.time() < deadline, "keys outlive their deadline"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\0",
        b"\r\n",
        bytes(range(256)),
        b"x" * (8 * 1024 * 1024),
        "žluťoučký".encode(),
        b"-ERR no error\r\n",
        b"9" * 19,
    ],
    ids=["empty", "nul", "crlf", "all-bytes", "8-MiB", "utf-8", "like-an-error", "digits"],
)
async def test_any_bytes_are_a_value_and_a_key(value: bytes) -> None:
    """They come back the same through the owner, through others, and embedded; as a key, too."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        for place, one in enumerate(redis):
            await one.set(f"key:{place}", value)
            assert [await other.get(f"key:{place}") for other in redis] == [value] * 3
            assert await cluster.member(place).get(f"key:{place}") == value
        await redis[0].set(value, "held")
        assert [await one.get(value) for one in redis] == [b"held"] * 3
        assert [await one.exists(value) for one in redis] == [1] * 3


async def test_a_missing_key_is_nil_and_a_closed_node_has_an_error_of_its_own() -> None:
    """None from every node; NodeClosed from one that was closed, or killed, or never started."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as redis:
        assert [await one.get("missing") for one in redis] == [None, None]
        assert [await node.get("missing") for node in cluster.members()] == [None, None]
        await cluster.close(0)
        await cluster.kill(1)
        for index in (0, 1):
            with pytest.raises(NodeClosed):
                await cluster.member(index).get("missing")


async def test_overwriting_compacts_nothing_away() -> None:
    """One key overwritten 20,000 times among others: the last value stands, and stays deleted once deleted."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        for turn in range(20):
            await in_batches(redis[turn % 3], [("SET", "key", f"{turn}:{n}") for n in range(1000)], size=1000)
            assert [await one.get("key") for one in redis] == [f"{turn}:999".encode()] * 3
            assert copies(cluster.members(), b"key") == [f"{turn}:999".encode()] * 2
        assert await redis[1].delete("key") == 1
        assert [await one.get("key") for one in redis] == [None] * 3
        assert copies(cluster.members(), b"key") == []


async def test_concurrent_writers_of_one_key_agree() -> None:
    """Whoever wins, all nodes and both copies have the same winner."""
    rng = random.Random(7)
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        for turn in range(50):
            key = b"contended:%d" % turn
            await asyncio.gather(*(one.set(key, rng.randbytes(16)) for one in redis for _ in range(4)))
            seen = [await one.get(key) for one in redis]
            assert len(set(seen)) == 1
            assert copies(cluster.members(), key) == [seen[0]] * 2


async def _ask(redis: list[Redis], key: bytes) -> tuple[float, list[bool], float]:
    """Ask all nodes for a key; give when that began, whether each had it, and when that ended, by the wall clock."""
    seconds, micros = await redis[0].time()
    asked_at = seconds + micros / 1e6
    answers = [await one.get(key) is not None for one in redis]
    seconds, micros = await redis[0].time()
    return asked_at, answers, seconds + micros / 1e6


def _histories() -> dict[bytes, list[tuple[object, ...]]]:
    """Make commands that change a key in every way there is."""
    lines = """
    SET k v | SET k w XX KEEPTTL | APPEND k tail
    SET k v EX 100 | SET k w
    SET k v PX 100000 | SET k w KEEPTTL
    SETEX k 100 v | PERSIST k
    PSETEX k 100000 v | EXPIRE k 50 LT
    SETNX k v | GETSET k w | EXPIREAT k 4000000000
    SET k v | GETEX k PX 5000000
    SET k v | PEXPIRE k 700000 NX | PEXPIREAT k 4000000000000 GT
    SET k v EXAT 4000000000 | SETRANGE k 10 tail
    INCR k | INCRBY k 41 | DECR k
    INCRBYFLOAT k 0.1 | INCRBYFLOAT k 0.2
    SET k v | DEL k
    SET k v | GETDEL k | APPEND k again
    SET k v | EXPIRE k -1
    SET k v | UNLINK k | SET k w NX GET
    MSET k v other w | MSETNX k x
    SET k v EX 100 | RENAME k {k}2 | RENAME {k}2 k
    SET k v EX 100 | COPY k {k}3 | DEL k | COPY {k}3 k
    """
    histories: dict[bytes, list[tuple[object, ...]]] = {}
    for number, line in enumerate(lines.strip().splitlines()):
        key = f"history:{number}"
        commands = [
            tuple(key if word == "k" else word.replace("{k}", key) for word in words.split())
            for words in line.split("|")
        ]
        histories[key.encode()] = [tuple(words) for words in commands]
    return histories


@pytest.mark.parametrize("replication", ["sync", "async"])
async def test_wait_counts_the_copies_through_any_node(replication: str) -> None:
    """Once it says 1, the copy has it; nobody waits for more copies than there are longer than he said."""
    async with Cluster(nodes=3, replication=replication) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        for number, key in enumerate(KEYS):
            pipeline = redis[number % 3].pipeline(transaction=False)
            pipeline.set(key, b"%d" % number)
            pipeline.wait(1, 10_000)
            assert await pipeline.execute() == [True, 1]
            assert copies(cluster.members(), key) == [b"%d" % number] * 2
        assert await redis[0].wait(5, 50) == 1
        assert await redis[1].wait(0, 0) == 1
        pipeline = redis[2].pipeline(transaction=True)
        pipeline.set(KEYS[0], "v")
        pipeline.wait(5, 0)
        answers = await pipeline.execute()
        assert answers[0] is True
        assert answers[1] in {0, 1}


async def test_wait_ends_when_a_copy_is_made() -> None:
    """A node alone has none; when another one joins and has everything, there is one, unasked."""
    async with Cluster(nodes=1) as cluster, clients(cluster.members()) as (redis,):
        await redis.set("k", "v")
        assert await redis.wait(1, 20) == 0
        waiting = asyncio.create_task(command(redis, b"WAIT", b"1", b"0"))
        await cluster.add_member()
        async with asyncio.timeout(30):
            assert await waiting == 1
        assert copies(cluster.members(), b"k") == [b"v"] * 2


async def test_a_copy_that_differs_is_made_afresh() -> None:
    """A value that was changed behind the node's back is right again on both nodes, and that is counted."""
    async with Cluster(nodes=2, copy_check_interval_s=2.0) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        for key in KEYS:
            await redis[0].set(key, b"right")
        spoilt = next(key for key in KEYS if owner(cluster.members(), key) is cluster.member(0))
        partition(cluster.member(1), spoilt).values[spoilt] = b"wrong"
        await until(lambda: copies(cluster.members(), spoilt) == [b"right"] * 2, "equal copies", timeout_s=30)
        assert await redis[1].get(spoilt) == b"right"
        await cluster.wait_for_copies()
        assert cluster.member(1)._running().keeper.holdings.replica.differed == 1
