"""The scenarios once more, with each node in a process of its own, ended by the signals that end processes."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from itertools import permutations

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as HungUp
from redis.exceptions import RedisError, ResponseError

from integration.clients import client, command, in_batches, page, until
from integration.processes import Processes, ServerProcess, eventually
from loopback import HOST, free_ports
from respcache.cli.serve import INCOMPLETE
from respcache.pending import INCOMPLETE as LEFT_BEHIND

pytestmark = pytest.mark.integration

KEYS = int(os.environ.get("RESPCACHE_TEST_KEYS", "20000"))
"""How many keys are written while nodes come and go; 100,000 for the whole experiment."""
PIPELINE = 100
TTL_S = 3600
NAMES = ("one", "two", "three")


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keep a measured figure with the result of the test."""
    return lambda text: record_property("measured", text)


async def test_a_cluster_forms_joins_and_leaves() -> None:
    """One, two, three nodes: each says when it is ready, all agree in every way of asking, SIGTERM ends one with 0."""
    async with Processes() as processes:
        first = await processes.add()
        assert await first.members() == 1
        for count in (2, 3):
            await processes.add()
            await processes.converge(count, timeout_s=2.0)
        for server in processes.servers:
            metrics = await page(server.http_address, "/metrics")
            alive = [line for line in metrics.splitlines() if "cluster_members{" in line and '"alive"' in line]
            assert [float(line.split()[-1]) for line in alive] == [3.0]
            await eventually(server.ready, "the node is ready")
        assert await processes.servers[1].stop() == 0
        await processes.converge(2, timeout_s=1.0)


async def test_a_link_that_breaks_is_looked_into_at_once() -> None:
    """Hours before the next probe is due, the side that has not dialled suspects a node that was killed."""
    never = ("--gossip-probe-interval=7200", "--gossip-reseed-interval=7200", "--gossip-tombstone=1000000")
    async with Processes() as processes:
        dialler, other = await processes.add("--name=a", *never), await processes.add("--name=b", *never)
        await processes.converge(2)
        await dialler.stop(signal.SIGKILL)

        async def suspected() -> bool:
            return 'respcache_cluster_members{state="suspect"} 1.0' in await page(other.http_address, "/metrics")

        await eventually(suspected, "a suspicion", timeout_s=30.0)


async def test_every_write_is_read_everywhere_at_once() -> None:
    """Written, overwritten, deleted through each node, read through every other one, without a pause."""
    async with Processes() as processes:
        for _ in range(3):
            await processes.add()
        redis = [server.redis for server in processes.servers]
        for turn in range(50):
            for writer, reader in permutations(range(3), 2):
                key = f"key:{turn}:{writer}"
                await redis[writer].set(key, turn)
                assert await redis[reader].get(key) == b"%d" % turn
                assert await redis[reader].append(key, "x") == len(str(turn)) + 1
                assert await redis[writer].get(key) == b"%dx" % turn
                assert await redis[writer].delete(key) == 1
                assert await redis[reader].get(key) is None


async def test_sigterm_hands_over_and_sigkill_loses_nothing(report: Callable[[str], None]) -> None:
    """Two nodes: one is asked to go, its keys are there; another comes, the first dies, the keys are still there."""
    async with Processes() as processes:
        await processes.add()
        second = await processes.add()
        await processes.converge(2)
        await in_batches(processes.servers[0].redis, [("SET", f"key:{n}", n, "EX", TTL_S) for n in range(3000)])
        assert await processes.servers[0].stop() == 0
        await _all_there(second.redis, 3000)
        third = await processes.add()
        await processes.converge(2)
        await _replicated(processes, 2)
        await second.stop(signal.SIGKILL)
        outage = await eventually(lambda: _served(third.redis, 3000), "the survivor serves every key")
        await _all_there(third.redis, 3000)
        report(f"all keys served {outage:.2f} s after the kill")


async def test_a_rolling_restart_needs_to_wait_for_nothing_but_readiness() -> None:
    """Three nodes are restarted twice, each by SIGTERM as soon as the one before it is ready; no key is lost."""
    async with Processes() as processes:
        for name in NAMES:
            await processes.add(f"--name={name}")
        for server in processes.servers:
            await eventually(server.ready, "the node is ready", timeout_s=30.0)
        await in_batches(processes.servers[0].redis, [("SET", f"key:{n}", n) for n in range(5000)])
        for name in NAMES * 2:
            oldest = processes.servers[0]
            assert await oldest.stop() == 0
            processes.servers.remove(oldest)
            back = await processes.add(f"--name={name}")
            await eventually(back.ready, "the node is ready again", timeout_s=30.0)
        for server in processes.servers:
            await _all_there(server.redis, 5000)


async def test_a_node_that_cannot_hand_over_says_so() -> None:
    """Its only peer is dead and one of two is no majority: it goes in time, with an exit status of its own."""
    async with Processes() as processes:
        first = await processes.add("--quorum=majority", "--shutdown-timeout=1")
        second = await processes.add("--quorum=majority")
        await processes.converge(2)
        await second.stop(signal.SIGKILL)
        assert await first.stop() == INCOMPLETE


async def test_a_name_that_is_taken_is_an_error() -> None:
    """Whoever supervises the process must not take it for one that was told to stop."""
    async with Processes() as processes:
        server = await processes.add("--name=one")
        seed = "--join={}:{}".format(*server.address)
        process = await _serve("--port=0", "--cluster-port=0", "--name=one", seed)
        async with asyncio.timeout(30.0):
            told, _ = await process.communicate()
        assert process.returncode == 1
        assert "has the name one" in told.decode().splitlines()[-1]


async def test_a_node_that_waits_to_be_let_in_leaves_and_says_so() -> None:
    """It has nothing to hand over, and whoever tells it to leave hears that."""
    port, seed = free_ports(2)
    process = await _serve(f"--port={port}", "--cluster-port=0", f"--join={HOST}:{seed}")
    asked = client((HOST, port))
    await eventually(lambda: _answers(asked), "the node answers")
    await asked.aclose()
    status, told = await _leave((HOST, port))
    assert (status, "everything was handed over" in told) == (0, True), told
    async with asyncio.timeout(5.0):
        await process.communicate()
    assert process.returncode == 0


async def test_the_command_line_has_a_node_leave_and_says_how_that_went() -> None:
    """A node of three hands everything over and is gone; one whose only peer is dead goes by force, with its keys."""
    async with Processes() as processes:
        first = await processes.add("--quorum=majority", "--shutdown-timeout=1")
        second, _ = [await processes.add("--quorum=majority") for _ in range(2)]
        await processes.converge(3)
        await in_batches(first.redis, [("SET", f"key:{n}", n) for n in range(3000)])
        status, told = await _leave(second.address)
        assert (status, "everything was handed over" in told) == (0, True), told
        async with asyncio.timeout(5.0):
            assert await second.process.wait() == 0
        await processes.converge(2, timeout_s=1.0)
        await _all_there(first.redis, 3000)
        await processes.servers[2].stop(signal.SIGKILL)
        await eventually(lambda: _is_cut_off(first), "no lease", timeout_s=10.0)
        status, told = await _leave(first.address)
        assert (status, "a copy of 3000 of its 3000 keys" in told, "TAKEOVER" in told) == (1, True, True), told
        assert first.process.returncode is None
        status, told = await _leave(first.address, "--force")
        assert (status, "3000 keys are gone" in told) == (INCOMPLETE, True), told
        async with asyncio.timeout(5.0):
            assert await first.process.wait() == INCOMPLETE


async def test_the_last_node_leaves_with_its_keys_only_by_force() -> None:
    """Of a pair each goes on alone; the last one says how many keys would be gone, and then that they are."""
    async with Processes() as processes:
        first, second = [await processes.add() for _ in range(2)]
        await processes.converge(2)
        await in_batches(first.redis, [("SET", f"key:{n}", n) for n in range(300)])
        assert (await _leave(second.address))[0] == 0
        assert await second.process.wait() == 0
        await processes.converge(1)
        status, told = await _leave(first.address)
        assert (status, "300 keys would be gone" in told, "--force" in told) == (1, True, True), told
        assert await first.redis.get("key:7") == b"7"
        with pytest.raises(ResponseError, match=r"INCOMPLETE .*: 300 keys are gone"):
            await command(first.redis, "CLUSTER", "LEAVE", "FORCE")
        async with asyncio.timeout(5.0):
            assert await first.process.wait() == 0


async def test_an_empty_last_node_may_leave() -> None:
    """There is nothing to lose."""
    async with Processes() as processes:
        empty = await processes.add()
        assert await _leave(empty.address) == (0, "{}:{} has left; everything was handed over\n".format(*empty.address))


async def test_shutdown_is_an_error_where_not_everything_was_handed_over() -> None:
    """Where it was, the connection ends without a reply, as clients expect of a success."""
    async with Processes() as processes:
        first = await processes.add("--quorum=majority", "--shutdown-timeout=1")
        second, third = await processes.add("--quorum=majority"), await processes.add("--quorum=majority")
        await processes.converge(3)
        with pytest.raises(HungUp):
            await command(third.redis, "SHUTDOWN")
        assert await third.process.wait() == 0
        await processes.converge(2)
        await second.stop(signal.SIGKILL)
        with pytest.raises(ResponseError, match=LEFT_BEHIND):
            await command(first.redis, "SHUTDOWN")


async def test_all_nodes_that_are_stopped_at_once_are_soon_gone() -> None:
    """None waits for room for its copies, or for another one's vote, until its time is up."""
    async with Processes() as processes:
        for _ in range(3):
            await processes.add("--shutdown-timeout=60")
        await processes.converge(3)
        await in_batches(processes.servers[0].redis, [("SET", f"key:{n}", n) for n in range(3000)])
        assert await asyncio.gather(*(server.stop() for server in processes.servers)) == [0, 0, 0]


async def test_a_deadline_passes_everywhere() -> None:
    """A key that lives for 2 s is gone from all nodes at its time, and lives until then."""
    async with Processes() as processes:
        for _ in range(3):
            await processes.add()
        await processes.servers[0].redis.set("short", "value", px=2000)
        deadline = int(str(await command(processes.servers[1].redis, "PEXPIRETIME", "short"))) / 1000

        async def gone() -> bool:
            asked_at = time.time()
            found = [await server.redis.get("short") for server in processes.servers]
            assert all(found) or time.time() >= deadline
            assert not any(found) or asked_at <= deadline + 0.05
            return not any(found)

        await eventually(gone, "the key has expired")


async def test_no_acknowledged_key_is_lost_while_nodes_join_leave_and_die(report: Callable[[str], None]) -> None:
    """Every acknowledged key reads back from every node with its deadline.

    Keys are written through one node while a fourth one joins, one leaves by SIGTERM and one is killed.
    """
    async with Processes() as processes:
        for _ in range(3):
            await processes.add()
        await processes.converge(3)
        writer = processes.servers[0]
        progress = Progress()
        started = time.monotonic()
        writing = asyncio.create_task(_write(writer.redis, progress))
        await progress.reach(1 / 7)
        await processes.add()
        await processes.converge(4)
        await progress.reach(3 / 7)
        assert await processes.servers[1].stop() == 0
        await processes.converge(3)
        assert progress.refused == 0, "joins and leaves fail no command"
        await _replicated(processes, 3)
        await progress.reach(5 / 7)
        await processes.servers[2].stop(signal.SIGKILL)
        await processes.converge(2)
        await writing
        report(
            f"{progress.acknowledged} of {KEYS} keys acknowledged, {progress.refused} in doubt, in "
            f"{time.monotonic() - started:.1f} s; longest batch {progress.longest_s:.2f} s"
        )
        assert progress.acknowledged + progress.refused == KEYS
        assert progress.refused <= 4 * PIPELINE
        for server in processes.servers:
            if server.process.returncode is None:
                await _acknowledged_are_there(server, progress)


class Progress:
    """How far the writer is, and how far it may go: two sevenths of the keys are written from each change on."""

    def __init__(self) -> None:
        self.written = bytearray(KEYS)
        """1 for each key whose write was acknowledged."""
        self.tried = 0
        self.refused = 0
        self.longest_s = 0.0
        self.limit = 0.0
        """The writer waits where this part of the keys is written."""

    @property
    def acknowledged(self) -> int:
        """How many writes were acknowledged."""
        return self.written.count(1)

    async def reach(self, part: float) -> None:
        """Wait until this part of the keys is written, and let the writer go on for two sevenths."""
        self.limit = part

        async def reached() -> bool:
            return self.tried >= part * KEYS - PIPELINE

        await eventually(reached, f"{part:.0%} of the keys are written", timeout_s=60.0)
        self.limit = part + 2 / 7


async def _write(redis: Redis, progress: Progress) -> None:
    for start in range(0, KEYS, PIPELINE):
        numbers = range(start, min(start + PIPELINE, KEYS))
        await until(lambda: numbers.stop <= progress.limit * KEYS + PIPELINE, "the next change", timeout_s=60.0)  # noqa: B023 # called in this round only
        began = time.monotonic()
        replies = await in_batches(redis, [("SET", f"key:{n}", n, "EX", TTL_S) for n in numbers])
        for number, reply in zip(numbers, replies, strict=True):
            if isinstance(reply, RedisError):
                assert "UNCERTAIN" in str(reply), reply
                progress.refused += 1
            else:
                assert reply is True
                progress.written[number] = 1
        progress.tried = numbers.stop
        progress.longest_s = max(progress.longest_s, time.monotonic() - began)


async def _acknowledged_are_there(server: ServerProcess, progress: Progress) -> None:
    numbers = [number for number in range(KEYS) if progress.written[number]]
    found = await in_batches(server.redis, [("GET", f"key:{n}") for n in numbers])
    missing = [n for n, value in zip(numbers, found, strict=True) if value != b"%d" % n]
    assert not missing, f"{len(missing)} of {len(numbers)} keys are not at {server.address}, such as {missing[:5]}"
    deadlines = await in_batches(server.redis, [("TTL", f"key:{n}") for n in numbers])
    assert all(isinstance(rest, int) and TTL_S - 300 < rest <= TTL_S for rest in deadlines)


async def _is_cut_off(server: ServerProcess) -> bool:
    return not await server.ready()


async def _serve(*flags: str) -> asyncio.subprocess.Process:
    """Start a node that may never be ready, whose log is its output."""
    program = (sys.executable, "-P", "-m", "respcache", "serve", "--http-enabled=no", "--environment=local")
    return await asyncio.create_subprocess_exec(*program, *flags, stdout=PIPE, stderr=STDOUT, cwd="/", env=os.environ)


async def _answers(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except (RedisError, OSError):
        return False


async def _leave(address: tuple[str, int], *flags: str) -> tuple[int | None, str]:
    """Have a node leave by the command line; return the exit status, and what was said."""
    program = (sys.executable, "-P", "-m", "respcache", "leave", "{}:{}".format(*address), *flags)
    process = await asyncio.create_subprocess_exec(*program, stdout=PIPE, stderr=STDOUT, cwd="/", env=os.environ)
    told, _ = await process.communicate()
    return process.returncode, told.decode()


async def _all_there(redis: Redis, count: int) -> None:
    assert await in_batches(redis, [("GET", f"key:{n}") for n in range(count)]) == [b"%d" % n for n in range(count)]


async def _served(redis: Redis, count: int) -> bool:
    replies = await in_batches(redis, [("EXISTS", f"key:{n}") for n in range(count)])
    return replies == [1] * count


async def _replicated(processes: Processes, members: int) -> None:
    """Wait until no partition lacks a copy, by the nodes' own metrics."""

    async def complete() -> bool:
        await processes.converge(members)
        for server in processes.servers:
            if server.process.returncode is None:
                metrics = await page(server.http_address, "/metrics")
                lines = [line for line in metrics.splitlines() if "under_replicated" in line and line[0] != "#"]
                assert lines, "there is such a metric"
                if any(float(line.split()[-1]) for line in lines):
                    return False
        return True

    await eventually(complete, "every partition has its copies", timeout_s=30.0)
