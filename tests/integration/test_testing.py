"""That the clusters for tests start, change and stop as promised, and leave nothing behind."""

import asyncio
import gc
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from integration.conftest import alone
from respcache.errors import ConfigError, NodeClosed
from respcache.testing import Cluster, LocalCluster, NotConverged

pytestmark = pytest.mark.integration


async def test_members_keep_their_index() -> None:
    """Nodes are counted while they run, and found under their index whatever became of the others."""
    async with Cluster() as cluster:
        added = [await cluster.add_member() for _ in range(3)]
        assert [cluster.member(index) for index in range(3)] == added
        assert cluster.member_count == 3
        assert await cluster.close(1)
        assert cluster.member_count == 2
        await cluster.kill(0)
        assert cluster.members() == [added[2]]
        assert cluster.member(2) is added[2]
        with pytest.raises(IndexError, match="no member 3: 3 have been added"):
            cluster.member(3)
        with pytest.raises(IndexError, match="no member 7"):
            await cluster.kill(7)


async def test_a_wait_in_vain_says_what_each_node_sees() -> None:
    """The error has the goal, the time, and a line a node: name, members with their states and slots."""
    async with Cluster(nodes=2) as cluster:
        await cluster.kill(1)
        with pytest.raises(NotConverged) as caught:
            await cluster.wait_for_convergence(3, timeout_s=0.05)
        text = str(caught.value)
        assert "not 3 members within 0.05 s" in text
        assert f"0: {cluster.member(0).name} sees" in text
        assert " slots" in text
        assert "1: left" in text


async def test_everything_may_be_ended_twice() -> None:
    """Closing, killing and shutting down what has ended does nothing; commands of the node raise NodeClosed."""
    cluster = Cluster(nodes=3)
    async with cluster:
        node = cluster.member(0)
        assert await cluster.close(0)
        assert await cluster.close(0)
        await cluster.kill(0)
        await cluster.kill(1)
        assert await node.close()
    await cluster.shutdown()
    await cluster.shutdown()
    assert cluster.member_count == 0
    with pytest.raises(NodeClosed):
        await node.get("key")


async def test_settings_reach_the_nodes() -> None:
    """Those of the cluster hold for all nodes, those of a member outweigh them; an unknown one is named."""
    async with Cluster(databases=4, rebuild_delay_s=1.0) as cluster:
        first = await cluster.add_member()
        second = await cluster.add_member(databases=4, maxclients=7, name="second", http_enabled=False)
        assert (first.config.server.databases, first.config.cluster.rebuild_delay_s) == (4, 1.0)
        assert (second.config.server.maxclients, second.name) == (7, "second")
        assert not second.config.http.enabled
        for settings, told in (
            ({"replica_cont": 2}, "did you mean replica_count"),
            ({"enabled": False}, "unknown setting enabled; did you mean http_enabled"),
            ({"replica_count": 9}, "replica_count = 9: must be a whole number from 1 to 7"),
            ({"quorum": "x"}, "quorum = 'x': must be one of"),
            ({"http_port": -1}, "^http_port = -1: must be"),
        ):
            with pytest.raises(ConfigError, match=told):
                await cluster.add_member(**settings)
        assert cluster.member_count == 2


def test_nothing_is_left_behind() -> None:
    """After clusters of both kinds have ended, clients and all, no task, thread or file descriptor is left."""

    async def use() -> None:
        async with (
            Cluster(nodes=3) as cluster,
            redis.asyncio.Redis(host=cluster.member(0).address[0], port=cluster.member(0).address[1]) as client,
        ):
            await client.set("key", "value")
            _, idle = await asyncio.open_connection(*cluster.member(0).address)
            await cluster.close(1)
            await cluster.kill(2)
        idle.close()
        await idle.wait_closed()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(use())  # what is made once for the process is made now
    with LocalCluster(nodes=1):
        pass
    gc.collect()
    threads, descriptors = set(threading.enumerate()), _descriptors()
    asyncio.run(use())
    with LocalCluster(nodes=3) as cluster, redis.Redis.from_url(cluster.url) as client:
        client.set("key", "value")
        cluster.close(2)
        cluster.kill(1)
    gc.collect()
    assert set(threading.enumerate()) == threads
    assert _descriptors() == descriptors


async def test_a_test_that_fails_leaves_no_connection_to_the_next_one() -> None:
    """Whatever it had opened is closed when its failure gets out."""
    sockets: list[socket.socket] = []

    async def failing() -> None:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            sockets.append(writer.get_extra_info("socket"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await alone(failing())
    assert [one.fileno() for one in sockets] == [-1]


async def test_shutdown_does_not_wait_for_anything() -> None:
    """Not for a client that does not read, nor for commands that wait for an owner; and connections end with it."""
    async with Cluster(nodes=3, replica_count=1) as cluster:
        await cluster.member(0).set("large", b"x" * 8_000_000)
        reader, writer = await asyncio.open_connection(*cluster.member(0).address)
        writer.write(b"GET large\r\n" * 4)
        await cluster.kill(1)
        writer.write(b"".join(b"SET key:%d value\r\n" % number for number in range(100)))
        await writer.drain()
        loop = asyncio.get_running_loop()
        started = loop.time()
        await cluster.shutdown()
        with suppress(ConnectionError):
            while await reader.read(1 << 20):
                pass
        assert loop.time() - started < 1.0
        writer.close()


def test_a_local_cluster_changes_while_blocking_clients_use_it() -> None:
    """Addresses and URLs are those of the nodes that run, in order."""
    with LocalCluster(nodes=2, quorum="any") as cluster:  # the last one goes on, after there were three
        assert len(cluster.addresses) == len(cluster.node_urls) == cluster.member_count == 2
        assert cluster.url == cluster.node_urls[0]
        with redis.Redis.from_url(cluster.url) as client:
            for number in range(200):
                client.set(f"key:{number}", number)
        added = cluster.add_member()
        cluster.wait_for_convergence(3)
        assert cluster.addresses[2] == added.address
        assert cluster.members() == [cluster.member(index) for index in range(3)]
        assert cluster.close(0)
        cluster.wait_for_copies()
        cluster.kill(1)
        cluster.wait_for_convergence(1)
        with redis.Redis.from_url(cluster.url) as client:
            assert [client.get(f"key:{number}") for number in range(200)] == [b"%d" % n for n in range(200)]
    cluster.shutdown()


async def test_kill_heal_and_kill_again() -> None:
    """With no setting at all: waiting for copies covers a death that nobody has noticed yet, and loses no key."""
    async with Cluster(nodes=3) as cluster:
        await cluster.member(0).execute("MSET", *(word for n in range(300) for word in (f"key:{n}", n)))
        for victim in range(3):
            await cluster.wait_for_copies()
            await cluster.kill(victim)
            await cluster.add_member()
        await cluster.wait_for_copies()
        assert cluster.member_count == 3
        assert await cluster.member(5).execute("DBSIZE") == 300


def test_both_kinds_of_cluster_have_the_same_members() -> None:
    """What was learnt with one fixture holds with the other."""

    def names(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert names(LocalCluster) - names(Cluster) == {"start", "run"}
    assert names(Cluster) <= names(LocalCluster)


def test_a_cluster_without_nodes_has_no_url() -> None:
    """Rather than an error about a list."""
    with LocalCluster(nodes=1) as cluster:
        cluster.kill(0)
        with pytest.raises(NodeClosed, match="none of the 1 nodes runs"):
            assert cluster.url


def test_local_clusters_run_side_by_side() -> None:
    """Several in one process, started and used at once by threads, share nothing."""
    failures: list[BaseException] = []

    def use(name: str) -> None:
        try:
            with LocalCluster(nodes=2) as cluster, redis.Redis.from_url(cluster.node_urls[1]) as client:
                assert client.dbsize() == 0
                client.set("who", name)
                assert client.get("who") == name.encode()
                cluster.wait_for_convergence(2)
        except BaseException as failure:  # noqa: BLE001 # it is raised again where pytest sees it
            failures.append(failure)

    threads = [threading.Thread(target=use, args=(f"cluster {number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_cluster_that_does_not_run_says_so() -> None:
    """Before its start and after its end, at once, and with nothing left that was to be done."""
    told = "has not been started yet, or has been shut down"
    cluster = LocalCluster(nodes=1)
    with pytest.raises(NodeClosed, match=told):
        cluster.add_member()
    with cluster:
        cluster.wait_for_convergence()
    for work in (cluster.add_member, cluster.wait_for_convergence, lambda: cluster.kill(0)):
        with pytest.raises(NodeClosed, match=told):
            work()


def test_the_fixtures_are_there(respcache_cluster: type[Cluster], respcache_local_cluster: LocalCluster) -> None:
    """Without an import and without a conftest: the package brings them."""
    with redis.Redis.from_url(respcache_local_cluster.url) as client:
        assert client.set("key", "value")
    assert respcache_local_cluster.member_count == 3

    async def use() -> None:
        async with respcache_cluster(nodes=2) as cluster:
            await cluster.member(0).set("key", "value")
            assert await cluster.member(1).get("key") == b"value"

    asyncio.run(use())


def test_a_pytest_run_that_uses_no_cluster_does_not_load_one() -> None:
    """Importing the plugin imports neither the node nor what it stands on."""
    script = "import sys, respcache.testing; print({'respcache.node', 'hiredis', 'msgspec', 'uvloop'} & {*sys.modules})"
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert said == "set()\n"


def _descriptors() -> int:
    """Count the open files and sockets of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))
