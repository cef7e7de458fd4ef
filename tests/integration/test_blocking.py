"""Workers that wait for work, through any node, while nodes and clients come and go."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisError, ResponseError

from integration.clients import client, clients, command, until
from integration.stores import key_of, owner, settled
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

QUEUES = [f"queue:{number}" for number in range(12)]
WORKERS = 12
STOP = b"stop"


async def blocked(nodes: Sequence[Redis]) -> int:
    """Count the clients that wait, of several nodes."""
    return sum([(await one.info("clients"))["blocked_clients"] for one in nodes])


async def pop(redis: Redis | RedisCluster, *keys: str, timeout: float = 0) -> list[bytes]:  # noqa: ASYNC109 # BLPOP's own
    """Take an element: key and element."""
    reply = await redis.execute_command("BLPOP", *keys, timeout)
    assert isinstance(reply, list | tuple), reply
    return list(reply)


async def all_wait(nodes: Sequence[Redis], count: int) -> None:
    """Wait until so many clients wait for a key."""
    async with asyncio.timeout(10):
        while await blocked(nodes) != count:  # noqa: ASYNC110 # the nodes are asked, they do not call
            await asyncio.sleep(0.01)


async def test_workers_on_all_nodes_share_the_work() -> None:
    """Each element goes to one of them, each of them waits for queues of all owners, in RESP2 and RESP3."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()

        async def work(number: int) -> list[bytes]:
            done: list[bytes] = []
            async with client(cluster.addresses[number % 3], protocol=2 + number % 2) as redis:
                while True:
                    _, element = await pop(redis, *QUEUES, f"stop:{number}")
                    if element == STOP:
                        return done
                    done.append(element)

        workers = [asyncio.create_task(work(number)) for number in range(WORKERS)]
        await all_wait(nodes, WORKERS)
        work_items = [b"%d" % number for number in range(240)]
        for number, item in enumerate(work_items):
            await nodes[number % 3].rpush(QUEUES[number % len(QUEUES)], item)
        await all_wait(nodes, WORKERS)
        for number in range(WORKERS):
            await nodes[0].rpush(f"stop:{number}", STOP)
        done = [element for worker in await asyncio.gather(*workers) for element in worker]
        assert sorted(done) == sorted(work_items)
        assert await nodes[1].exists(*QUEUES) == 0


async def test_first_come_first_served_whatever_the_node() -> None:
    """Waiters of all nodes get the elements in the order in which they began to wait."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        waiters: list[asyncio.Task[list[bytes]]] = []
        for number in range(9):
            waiters.append(asyncio.create_task(pop(nodes[number % 3], "queue")))
            await all_wait(nodes, number + 1)
        assert await nodes[1].rpush("queue", *range(9)) == 9
        assert await nodes[2].llen("queue") == 0
        assert [element for _, element in await asyncio.gather(*waiters)] == [b"%d" % number for number in range(9)]


async def test_nothing_is_taken_for_a_client_that_has_hung_up() -> None:
    """Through the owner and through others: the element stays for the next one."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        for address in cluster.addresses:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"BLPOP queue 0\r\nSET ran 1\r\n")
            await all_wait(nodes, 1)
            writer.close()
            await writer.wait_closed()
            await all_wait(nodes, 0)
            assert await nodes[0].rpush("queue", "x") == 1
            assert await pop(nodes[1], "queue", timeout=5) == [b"queue", b"x"]
            assert await nodes[2].exists("ran") == 0
            assert await reader.read() == b""


async def test_waiters_are_ended_and_shown() -> None:
    """CLIENT UNBLOCK, CLIENT KILL and time; CLIENT LIST says who waits."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as nodes:
        for redis in nodes:
            async with client(cluster.addresses[nodes.index(redis)]) as patient:
                number = await patient.client_id()
                waiter = asyncio.create_task(pop(patient, "queue"))
                await all_wait(nodes, 1)
                [shown] = [one for one in await redis.client_list() if int(one["id"]) == number]
                assert shown["flags"] == "b"
                assert await command(redis, "CLIENT UNBLOCK", number, "ERROR") == 1
                with pytest.raises(ResponseError, match="UNBLOCKED client unblocked via CLIENT UNBLOCK"):
                    await waiter
                assert await patient.blpop("queue", timeout=0.05) is None
                waiter = asyncio.create_task(pop(patient, "queue"))
                await all_wait(nodes, 1)
                assert await redis.client_kill_filter(_id=str(number)) == 1
                with pytest.raises(RedisError):
                    await waiter
                await all_wait(nodes, 0)


async def test_waiters_survive_the_owner() -> None:
    """It dies while they wait, under load: they are served by the next one, and no element is lost or comes twice.

    But for those in doubt, of which clients are told.
    """
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        await until(lambda: settled(cluster.members()), "the keys are spread over all nodes")
        lost_key = key_of(cluster.members(), cluster.member(2), "lost").decode()
        queues = [*QUEUES, lost_key]
        got: list[bytes] = []
        doubts = 0
        survivors = cluster.addresses[:2]

        async def work(number: int) -> None:
            nonlocal doubts
            async with client(survivors[number % 2]) as redis:
                while True:
                    try:
                        _, element = await pop(redis, *queues, f"stop:{number}")
                    except ResponseError as doubt:
                        assert "UNCERTAIN" in str(doubt)  # noqa: PT017 # the others are awaited below
                        doubts += 1
                        continue
                    if element == STOP:
                        return
                    got.append(element)

        workers = [asyncio.create_task(work(number)) for number in range(WORKERS)]
        await all_wait(nodes, WORKERS)
        pushed: list[bytes] = []

        async def push(number: int) -> None:
            nonlocal doubts
            try:
                await nodes[number % 2].rpush(queues[number % len(queues)], number)
                pushed.append(b"%d" % number)
            except ResponseError as doubt:
                assert "UNCERTAIN" in str(doubt)  # noqa: PT017 # not the reply of a test
                doubts += 1

        for number in range(200):
            await push(number)
        pushing = asyncio.create_task(_each(push, range(200, 400)))
        await cluster.kill(2)
        await pushing
        await cluster.wait_for_convergence(2)
        assert owner(cluster.members(), lost_key.encode()) in cluster.members()
        for number in range(400, 500):
            await push(number)
        await all_wait(nodes[:2], WORKERS)
        for number in range(WORKERS):
            await nodes[number % 2].rpush(f"stop:{number}", STOP)
        await asyncio.gather(*workers)
        assert max(Counter(got).values()) == 1
        assert len(set(pushed) - set(got)) <= doubts
        assert await nodes[0].exists(*queues) == 0


async def _each(push: Callable[[int], Awaitable[None]], numbers: Sequence[int]) -> None:
    for number in numbers:
        await push(number)


async def test_waiters_move_to_a_node_that_joins_and_back() -> None:
    """Hand-overs of their keys are not noticed: they wait on, in their order, and are served."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        waiters = {
            queue: [asyncio.create_task(pop(nodes[number % 2], queue)) for number in range(2)] for queue in QUEUES
        }
        await all_wait(nodes, 2 * len(QUEUES))
        joined = await cluster.add_member()
        await cluster.wait_for_convergence(3)
        await cluster.wait_for_copies()
        await until(lambda: settled(cluster.members()), "the keys are spread over all nodes")
        moved = [queue for queue in QUEUES if owner(cluster.members(), queue.encode()) is joined]
        assert moved
        for queue in moved[::2]:
            await nodes[0].rpush(queue, "first")
        await cluster.close(2)
        await cluster.wait_for_convergence(2)
        for queue in QUEUES:
            await nodes[1].rpush(queue, *([] if queue in moved[::2] else ["first"]), "second")
        for queue, tasks in waiters.items():
            assert sorted(await asyncio.gather(*tasks)) == [[queue.encode(), b"first"], [queue.encode(), b"second"]]


async def test_clients_of_the_cluster_protocol_wait_at_the_owner() -> None:
    """RedisCluster is sent there; several slots it is refused."""
    async with Cluster(nodes=3) as cluster:
        host, port = cluster.addresses[0]
        async with RedisCluster(host=host, port=port) as redis, client(cluster.addresses[1]) as other:
            for queue in QUEUES:
                waiter = asyncio.create_task(pop(redis, queue, timeout=10))
                await other.rpush(queue, "x")
                assert await waiter == [queue.encode(), b"x"]
            await command(other, "CLUSTER SLOTS")
            with pytest.raises(ResponseError, match="hash to the same slot"):
                await other.blpop(QUEUES, timeout=1)


async def test_a_program_that_embeds_a_node_may_give_up() -> None:
    """Whoever cancels the call leaves the element to the next one."""
    async with Cluster(nodes=2) as cluster:
        one, other = cluster.members()
        for node in (one, other):
            waiting = asyncio.create_task(node.execute("BLPOP", "queue", 0))
            second = asyncio.create_task(node.execute("BLPOP", "queue", 0))
            desk = node._runtime
            assert desk is not None
            waits = desk.router._desk.waits
            async with asyncio.timeout(10):
                while [wait.waiting for wait in waits] != [True, True]:  # noqa: ASYNC110 # it calls nobody
                    await asyncio.sleep(0.01)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
            await other.execute("RPUSH", "queue", "x")
            assert await second == [b"queue", b"x"]


async def test_nothing_is_kept_for_a_client_that_hangs_up_behind_a_pause() -> None:
    """Neither an element for its BLPOP nor a place among the clients for its WAIT."""
    async with Cluster(nodes=1) as cluster, client(cluster.addresses[0]) as redis:
        async with client(cluster.addresses[0]) as popper, client(cluster.addresses[0]) as waiter:
            await popper.ping()
            await waiter.ping()
            await redis.client_pause(100)
            calls = [asyncio.ensure_future(pop(popper, "key")), asyncio.ensure_future(command(waiter, "WAIT", 3, 0))]
            await redis.ping()
            await all_wait([redis], 2)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        async with asyncio.timeout(10):
            while len(await redis.client_list()) != 1:  # noqa: ASYNC110 # the node is asked, it does not call
                await asyncio.sleep(0.01)
        assert await redis.rpush("key", "element") == 1
        assert await redis.llen("key") == 1
