"""That a crash costs nothing that was acknowledged."""

import asyncio
import random

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from integration.clients import clients, command, in_batches, until
from integration.stores import copies, partition, stored
from integration.workload import Workload
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

SEED = 77
OUTAGE_S = 5.0
"""How long a command waits for a failover (`command-timeout`); detection and takeover take a fifth of it."""


async def test_a_crash_under_load_loses_no_acknowledged_write() -> None:
    """Commands through the survivors wait for the failover; only writes that the dead node had may end in doubt."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis, Workload(SEED) as workload:
        await in_batches(redis[0], [("SET", f"old:{n}", n) for n in range(2000)])
        await cluster.wait_for_copies()
        for node in cluster.members()[:2]:
            workload.use(node.address)
        async with workload.running(workers=12) as report:
            await _commands(workload, 200)
            await cluster.kill(2)
            await cluster.wait_for_convergence(2, timeout_s=5.0)
            await _commands(workload, 200)
        await workload.check()
        assert [failure for failure in report.failures if "UNCERTAIN" not in failure] == []
        assert not [failure for failure in report.failures if failure.startswith("GET")]
        assert report.longest_s < OUTAGE_S
        for one in redis[:2]:
            assert await in_batches(one, [("GET", f"old:{n}") for n in range(2000)]) == [b"%d" % n for n in range(2000)]


async def test_copies_are_rebuilt_after_a_crash_so_that_a_second_one_loses_nothing() -> None:
    """One of four dies, the copies are rebuilt, another one dies: all keys are there."""
    async with Cluster(nodes=4, rebuild_delay_s=0.5) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        await in_batches(redis[0], [("SET", f"key:{n}", n) for n in range(1200)])
        await cluster.kill(0)
        await cluster.wait_for_convergence(3)
        await cluster.wait_for_copies(timeout_s=20.0)
        assert {len(copies(cluster.members(), b"key:%d" % n)) for n in range(1200)} == {2}
        await cluster.kill(1)
        await cluster.wait_for_convergence(2)
        assert await in_batches(redis[2], [("GET", f"key:{n}") for n in range(1200)]) == [
            b"%d" % n for n in range(1200)
        ]


@pytest.mark.parametrize("how", ["leaves", "dies"])
async def test_a_delete_is_final_whoever_goes_afterwards(how: str) -> None:
    """Keys deleted before or after a node went stay deleted when it, or another one, comes and goes."""
    async with Cluster(nodes=3, rebuild_delay_s=0.5, quorum="any") as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        await in_batches(redis[0], [("SET", f"key:{n}", n) for n in range(600)])
        assert await in_batches(redis[1], [("DEL", f"key:{n}") for n in range(200)]) == [1] * 200
        await (cluster.close(0) if how == "leaves" else cluster.kill(0))
        await cluster.wait_for_convergence(2)
        assert await in_batches(redis[2], [("DEL", f"key:{n}") for n in range(200, 400)]) == [1] * 200
        await cluster.wait_for_copies(timeout_s=20.0)
        assert await in_batches(redis[1], [("DEL", f"key:{n}") for n in range(400, 500)]) == [1] * 100
        await cluster.kill(1)
        await cluster.add_member()
        await cluster.wait_for_convergence(2)
        async with clients(cluster.members()) as survivors:
            for one in survivors:
                there = await in_batches(one, [("EXISTS", f"key:{n}") for n in range(600)])
                assert there == [0] * 500 + [1] * 100
        assert not any(copies(cluster.members(), b"key:%d" % n) for n in range(500))


async def test_no_lock_has_two_holders_after_a_failover() -> None:
    """SET NX on 400 keys that exist fails on every one, during the failover and after it."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        locks = [f"lock:{n}" for n in range(400)]
        assert await in_batches(redis[0], [("SET", lock, "first", "NX") for lock in locks]) == [True] * 400
        await cluster.kill(1)
        during = await in_batches(redis[0], [("SET", lock, "second", "NX") for lock in locks])
        assert [reply for reply in during if not isinstance(reply, RedisError) and reply] == []
        await cluster.wait_for_convergence(2)
        for one in (redis[0], redis[2]):
            assert await in_batches(one, [("SET", lock, "third", "NX") for lock in locks]) == [None] * 400
            assert await in_batches(one, [("GET", lock) for lock in locks]) == [b"first"] * 400


@pytest.mark.parametrize("seed", range(3))
async def test_a_counter_counts_every_acknowledged_increment_of_a_crash(seed: int) -> None:
    """INCR through the survivors of a crash: at least what was acknowledged, at most that and the doubtful ones."""
    rng = random.Random(seed)
    acknowledged: dict[str, int] = {}
    doubtful: dict[str, int] = {}
    stopping = False

    async def count(redis: Redis, number: int) -> None:
        while not stopping:
            name = f"counter:{number % 8}"
            try:
                await redis.incr(name)
                acknowledged[name] = acknowledged.get(name, 0) + 1
            except RedisError as failure:
                if "UNCERTAIN" not in str(failure):
                    raise
                doubtful[name] = doubtful.get(name, 0) + 1

    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        victim = rng.randrange(3)
        survivors = [one for place, one in enumerate(redis) if place != victim]
        tasks = [asyncio.create_task(count(survivors[number % 2], number)) for number in range(16)]
        await until(lambda: sum(acknowledged.values()) >= 500, "the counting is under way")
        await cluster.kill(victim)
        await cluster.wait_for_convergence(2, timeout_s=5.0)
        stopping = True
        await asyncio.gather(*tasks)
        for name, least in acknowledged.items():
            total = int(await survivors[0].get(name) or 0)
            assert least <= total <= least + doubtful.get(name, 0), f"{name}, seed {seed}"


async def test_a_pair_survives_the_death_of_either() -> None:
    """Two nodes, one dies: the other has every key and takes writes again."""
    for victim in (0, 1):
        async with Cluster(nodes=2) as cluster, clients(cluster.members()) as redis:
            await cluster.wait_for_copies()
            await in_batches(redis[0], [("SET", f"key:{n}", n) for n in range(500)])
            await cluster.kill(victim)
            survivor = redis[1 - victim]
            assert await in_batches(survivor, [("GET", f"key:{n}") for n in range(500)]) == [
                b"%d" % n for n in range(500)
            ]
            assert await in_batches(survivor, [("SET", f"key:{n}", "x") for n in range(500)]) == [True] * 500


async def test_a_crash_in_the_middle_of_a_join_loses_nothing() -> None:
    """A newcomer dies while it is being given copies: the old owners go on as if it had never come."""
    async with (
        Cluster(nodes=2, rebuild_delay_s=0.5) as cluster,
        clients(cluster.members()) as redis,
        Workload(SEED) as workload,
    ):
        await in_batches(redis[0], [("SET", f"old:{n}", n) for n in range(3000)])
        for node in cluster.members():
            workload.use(node.address)
        async with workload.running() as report:
            await cluster.add_member()
            await cluster.kill(2)
            await cluster.wait_for_convergence(2, timeout_s=5.0)
        await workload.check()
        assert [failure for failure in report.failures if "UNCERTAIN" not in failure] == []
        for one in redis:
            assert await in_batches(one, [("GET", f"old:{n}") for n in range(3000)]) == [b"%d" % n for n in range(3000)]


async def test_a_crash_in_the_middle_of_a_leave_loses_nothing() -> None:
    """With three copies two may go at once: one is leaving when another one dies."""
    async with Cluster(nodes=4, replica_count=3, rebuild_delay_s=0.5) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        await in_batches(redis[0], [("SET", f"old:{n}", n) for n in range(2000)])
        leaving = asyncio.create_task(cluster.close(3))
        await asyncio.sleep(0)
        await cluster.kill(2)
        await leaving
        await cluster.wait_for_convergence(2, timeout_s=10.0)
        for one in redis[:2]:
            assert await in_batches(one, [("GET", f"old:{n}") for n in range(2000)]) == [b"%d" % n for n in range(2000)]


async def _commands(workload: Workload, count: int) -> None:
    """Let the workers get so many commands further."""
    wanted = workload.report.commands + count
    await until(lambda: workload.report.commands >= wanted, "the workers get further")


@pytest.mark.parametrize("how", [(), ("FORCE",)])
async def test_an_operator_chooses_the_primary(how: tuple[str, ...]) -> None:
    """The node serves all keys that it has copies of, and every key is still there."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        keys = [b"key:%d" % number for number in range(300)]
        for key in keys:
            await redis[0].set(key, key)
        chosen = cluster.member(1)
        held = [key for key in keys if stored(chosen, key) == key]
        await command(redis[1], "CLUSTER", "FAILOVER", *how)
        await until(lambda: all(partition(chosen, key).serving for key in held), "it serves", timeout_s=30)
        for key in keys:
            assert await redis[2].get(key) == key
        await cluster.wait_for_copies()
        with pytest.raises(ResponseError, match="syntax error"):
            await command(redis[1], "CLUSTER", "FAILOVER", "NOW")


async def test_who_asks_for_a_failover_without_a_majority_is_told_what_helps() -> None:
    """Neither form of it can do anything then. TAKEOVER can, and nobody can have it by mistake while there is one."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        survivor = cluster.member(0)
        await cluster.wait_for_copies()
        await in_batches(redis[0], [("SET", f"key:{n}", f"key:{n}") for n in range(100)])
        held = next(key for n in range(100) if stored(survivor, key := b"key:%d" % n) == key)
        with pytest.raises(ResponseError, match=r"a majority of the voters is in reach \(3 of 3\)"):
            await command(redis[0], "CLUSTER", "FAILOVER", "TAKEOVER")
        await cluster.kill(1)
        await cluster.kill(2)
        await until(lambda: len(survivor.members()) == 1, "the others are gone")
        for how in ((), ("FORCE",)):
            with pytest.raises(ResponseError, match=r"no majority of the voters is in reach .* FAILOVER TAKEOVER"):
                await command(redis[0], "CLUSTER", "FAILOVER", *how)
        assert await command(redis[0], "CLUSTER", "FAILOVER", "TAKEOVER")
        assert await redis[0].get(held) == held
