"""That redis-py in all its forms takes a node, or the cluster, for Redis."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import redis.asyncio
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.cluster import ClusterNode, LoadBalancingStrategy, RedisCluster

from integration.clients import command, until
from integration.stores import owner, settled
from respcache.cli.client import Client
from respcache.testing import Cluster, LocalCluster

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Run three nodes for all tests of this module."""
    with LocalCluster(nodes=3) as running:
        running.wait_for_copies()  # owners stay who they are from now on
        yield running


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_blocking_client_does_everything_on_any_node(cluster: LocalCluster, protocol: int) -> None:
    """Handshake, strings, deadlines, many keys, errors, INFO: through each node."""
    for url in cluster.node_urls:
        with redis.Redis.from_url(url, protocol=protocol, client_name="tester", decode_responses=True) as client:
            client.flushall()
            assert client.client_getname() == "tester"
            assert client.set("a", "1", ex=100, get=True) is None
            assert client.incrby("a", 41) == 42
            assert client.mset({f"k{n}": n for n in range(50)})
            assert client.mget([f"k{n}" for n in range(50)]) == [str(n) for n in range(50)]
            assert client.ttl("a") in {99, 100}
            assert client.delete(*(f"k{n}" for n in range(50))) == 50
            with pytest.raises(redis.ResponseError, match="not an integer"):
                client.incrby("a", "x")
            assert client.info("server")["redis_mode"] in {"cluster", "standalone"}
            assert client.ping()
            assert client.dbsize() == 1


@pytest.mark.parametrize("protocol", [2, 3])
def test_pipelines_are_answered_in_order(cluster: LocalCluster, protocol: int) -> None:
    """A pipeline of 1,000 commands without MULTI, on keys of all nodes, errors in their places."""
    with redis.Redis.from_url(cluster.url, protocol=protocol) as client:
        client.flushall()
        pipe = client.pipeline(transaction=False)
        for number in range(250):
            pipe.set(f"k{number}", number).get(f"k{number}").incr(f"k{number}").execute_command(
                "INCR", f"k{number}", "x"
            )
        replies = pipe.execute(raise_on_error=False)
        for number in range(250):
            done, read, increased, refused = replies[4 * number : 4 * number + 4]
            assert (done, read, increased) == (True, b"%d" % number, number + 1)
            assert "wrong number of arguments for 'incr' command" in str(refused)


@pytest.mark.parametrize("protocol", [2, 3])
def test_an_asyncio_client_does_the_same(cluster: LocalCluster, protocol: int) -> None:
    """One pool, a hundred commands at once."""

    async def work(url: str) -> None:
        async with redis.asyncio.Redis.from_url(url, protocol=protocol, decode_responses=True) as client:
            await asyncio.gather(*(client.set(f"async:{n}", n) for n in range(100)))
            assert await asyncio.gather(*(client.get(f"async:{n}") for n in range(100))) == [str(n) for n in range(100)]
            async with client.pipeline(transaction=False) as pipe:
                pipe.set("async:p", 1)
                pipe.incr("async:p")
                assert await pipe.execute() == [True, 2]

    for url in cluster.node_urls:
        asyncio.run(work(url))


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_cluster_client_goes_straight_to_the_owners(cluster: LocalCluster, protocol: int) -> None:
    """RedisCluster, started at any one node, finds all and none of its commands has to be passed on."""
    for host, port in cluster.addresses:
        with RedisCluster(host=host, port=port, protocol=protocol, decode_responses=True) as client:
            assert {(node.host, node.port) for node in client.get_nodes()} == set(cluster.addresses)
            before = _forwards(cluster)
            for number in range(200):
                assert client.set(f"direct:{number}", number, ex=100)
                assert client.get(f"direct:{number}") == str(number)
            assert _forwards(cluster) == before
            assert client.mget_nonatomic([f"direct:{n}" for n in range(200)]) == [str(n) for n in range(200)]
            assert client.delete(*(f"direct:{n}" for n in range(200))) == 200
            pipe = client.pipeline()
            for number in range(100):
                pipe.set(f"direct:{number}", number)
            assert pipe.execute() == [True] * 100


def test_a_cluster_client_that_asks_node_by_node_gets_each_key_once(cluster: LocalCluster) -> None:
    """If its connections say READONLY; without, each node answers for the cluster, and no key is missed."""
    host, port = cluster.addresses[0]
    readonly = LoadBalancingStrategy.ROUND_ROBIN
    with (
        RedisCluster(host=host, port=port) as plain,
        RedisCluster(host, port, load_balancing_strategy=readonly) as aware,
    ):
        plain.flushall()
        for number in range(50):
            aware.set(f"once:{number}", number)
        walked = list(aware.scan_iter())
        assert len(walked) == len(set(walked)) == 50
        assert sum(len(aware.keys(target_nodes=node)) for node in aware.get_nodes()) == 50
        assert set(plain.scan_iter()) == set(walked)


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="needs redis-cli on PATH")
def test_the_cluster_tools_of_redis_cli_count_each_key_once(cluster: LocalCluster) -> None:
    """They ask each node for its keys and add up; a person who types the same commands sees the whole cluster."""
    host, port = cluster.addresses[0]
    with redis.Redis.from_url(cluster.url) as client:
        client.flushall()
        client.mset({f"once:{number}": number for number in range(50)})
    told = subprocess.run(
        ["redis-cli", "--cluster", "info", f"{host}:{port}"], check=True, capture_output=True, text=True
    ).stdout
    assert "50 keys in 3 masters" in told
    with Client(f"{host}:{port}") as person:
        person.ask("COMMAND", "DOCS", "GET")
        person.ask("CLUSTER", "NODES")
        assert person.ask("DBSIZE") == 50


def test_an_asyncio_cluster_client_goes_straight_to_the_owners(cluster: LocalCluster) -> None:
    """The same for the asynchronous client."""

    async def work() -> None:
        host, port = cluster.addresses[-1]
        async with AsyncRedisCluster(host=host, port=port) as client:
            before = _forwards(cluster)
            for number in range(200):
                assert await client.set(f"direct:{number}", number)
                assert await client.get(f"direct:{number}") == b"%d" % number
            assert _forwards(cluster) == before

    asyncio.run(work())


def test_a_cluster_client_follows_a_failover_and_a_join() -> None:
    """RedisCluster goes on with the owners of the hour when a node dies and another one comes."""
    with LocalCluster(nodes=3) as cluster:
        cluster.wait_for_copies()
        nodes = [
            ClusterNode(*address)  # type: ignore[no-untyped-call] # redis-py leaves it so
            for address in cluster.addresses
        ]
        with RedisCluster(startup_nodes=nodes) as client:
            for number in range(200):
                client.set(f"key:{number}", number)
            cluster.kill(0)
            cluster.wait_for_convergence(2)
            assert [client.get(f"key:{number}") for number in range(200)] == [b"%d" % n for n in range(200)]
            cluster.add_member()
            cluster.wait_for_convergence(3)
            for number in range(200):
                assert client.incr(f"key:{number}") == number + 1


def test_threads_share_a_client(cluster: LocalCluster) -> None:
    """Eight threads with one pool count one counter exactly."""
    with redis.Redis.from_url(cluster.url) as client, ThreadPoolExecutor(8) as threads:
        client.delete("shared")
        numbers = list(threads.map(lambda _: client.incr("shared"), range(800)))
        assert sorted(numbers) == list(range(1, 801))


def test_databases_are_apart(cluster: LocalCluster) -> None:
    """`/3` in the URL is another key space, on all nodes."""
    first, second, _ = cluster.node_urls
    with redis.Redis.from_url(f"{first}/0") as zero, redis.Redis.from_url(f"{second}/3") as three:
        zero.flushall()
        zero.set("key", "zero")
        assert three.get("key") is None
        three.set("key", "three")
        assert (zero.get("key"), three.get("key")) == (b"zero", b"three")
        assert (zero.dbsize(), three.dbsize()) == (1, 1)
        three.flushdb()
        assert (zero.dbsize(), three.dbsize()) == (1, 0)


def test_a_password_holds_on_every_node() -> None:
    """Without it NOAUTH, with a wrong one WRONGPASS, with the right one service; nodes need none among themselves."""
    with LocalCluster(nodes=2, requirepass="secret") as cluster:
        for url in cluster.node_urls:
            host = url.removeprefix("redis://")
            with (
                redis.Redis.from_url(url, protocol=2) as client,
                pytest.raises(redis.AuthenticationError, match="required"),
            ):
                client.get("key")
            with redis.Redis.from_url(f"redis://:wrong@{host}") as client, pytest.raises(redis.AuthenticationError):
                client.get("key")
            for protocol in (2, 3):
                with redis.Redis.from_url(f"redis://:secret@{host}", protocol=protocol) as client:
                    for number in range(50):
                        client.set(f"key:{number}", number)
                        assert client.get(f"key:{number}") == b"%d" % number


async def test_moved_is_only_for_those_who_know_the_slots() -> None:
    """A plain connection is served anywhere; once it has asked for the slot table, it is told the owner's address."""
    async with Cluster(nodes=2) as cluster:
        first, second = cluster.members()
        await until(lambda: settled(cluster.members()), "the keys are spread over both nodes")
        number = next(n for n in range(1000) if owner(cluster.members(), b"key:%d" % n) is second)
        async with redis.asyncio.Redis(
            host=first.address[0], port=first.address[1], single_connection_client=True
        ) as one:
            await one.set(f"key:{number}", "value")
            await command(one, "CLUSTER SLOTS")
            with pytest.raises(redis.exceptions.MovedError) as moved:
                await one.get(f"key:{number}")
            assert (moved.value.host, moved.value.port) == second.address


def _forwards(cluster: LocalCluster) -> int:
    runtimes = [cluster.member(index)._runtime for index in range(3)]
    return sum(runtime.stats.forwards for runtime in runtimes if runtime is not None)
