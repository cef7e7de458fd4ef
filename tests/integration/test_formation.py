"""That nodes find each other: formation, seeds, views."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from time import time

import pytest

from integration.clients import clients, cluster_info, page, until
from integration.stores import voters
from loopback import HOST, free_ports
from respcache.cluster.membership import MemberState, NameConflict
from respcache.cluster.membership.wire import rumor_of
from respcache.cluster.sealing.keyring import Key
from respcache.errors import ConfigError, JoinTimeout
from respcache.net.runtime import Runtime
from respcache.testing import Cluster

pytestmark = pytest.mark.integration


async def test_a_second_node_is_seen_by_both_within_a_second() -> None:
    """Alone a node sees itself; `start` returns only once joined; both then see two, however they are asked."""
    async with Cluster() as cluster:
        first = await cluster.add_member()
        assert [member.name for member in first.members()] == [first.name]

        loop = asyncio.get_running_loop()
        started = loop.time()
        second = await cluster.add_member()
        assert second.name in {member.name for member in second.members()}
        await cluster.wait_for_convergence(2, timeout_s=1.0)
        assert loop.time() - started < 1.0

        async with clients([first, second]) as both:
            for redis in both:
                info = await cluster_info(redis)
                assert info["cluster_known_nodes"] == "2"
                assert info["cluster_state"] == "ok"
        assert first.address[1] > 0
        assert first.cluster_address[1] > 0
        assert first.cluster_address != first.address


async def test_prometheus_counts_the_members_that_the_node_sees() -> None:
    """`cluster_members{state="alive"}` is what `members()` says."""
    async with Cluster(nodes=2) as cluster:
        for node in cluster.members():
            metrics = await page(node.http_address, "/metrics")
            alive = [line for line in metrics.splitlines() if "cluster_members{" in line and '"alive"' in line]
            assert [line.split()[-1] for line in alive] == ["2.0"], alive


@pytest.mark.parametrize(("count", "expect"), [(2, 0), (3, 0), (5, 0), (5, 5)])
async def test_nodes_that_start_at_the_same_instant_form_one_cluster(count: int, expect: int) -> None:
    """Each has all the others for seeds, and none is up before the others; they may know how many they are."""
    async with Cluster() as cluster:
        ports = free_ports(count)
        seeds = tuple(f"{HOST}:{port}" for port in ports)
        await asyncio.gather(
            *(cluster.add_member(port=port, cluster_port=0, join=seeds, expect=expect) for port in ports)
        )
        await cluster.wait_for_convergence(count, timeout_s=5.0)
        for writer in cluster.members():
            await writer.set(writer.name, "here")
        for reader in cluster.members():
            assert [await reader.get(writer.name) for writer in cluster.members()] == [b"here"] * count


async def test_either_port_of_a_node_is_a_good_seed() -> None:
    """The RESP port does, the cluster port does, and so do both together with the node's own address."""
    async with Cluster() as cluster:
        first = await cluster.add_member()
        await cluster.add_member(join=(_joined(first.address),))
        await cluster.wait_for_convergence(2, timeout_s=2.0)
        await cluster.add_member(join=(_joined(first.cluster_address),))
        await cluster.wait_for_convergence(3, timeout_s=2.0)
        await cluster.add_member(join=(_joined(first.cluster_address), _joined(first.address)))
        await cluster.wait_for_convergence(4, timeout_s=2.0)


async def test_seeds_are_found_by_name_and_from_a_file(tmp_path: Path) -> None:
    """A name stands for its addresses; a file may come to hold one while the node already waits."""
    nodes = tmp_path / "nodes"
    async with Cluster() as cluster:
        first = await cluster.add_member()
        await cluster.add_member(join=(f"dns:localhost:{first.address[1]}",))
        await cluster.wait_for_convergence(2, timeout_s=5.0)
        joining = asyncio.create_task(cluster.add_member(join=(f"file:{nodes}",)))
        await asyncio.sleep(0)  # it has begun
        nodes.write_text(f"# ours\n{_joined(first.cluster_address)}\n", encoding="utf-8")
        await joining
        await cluster.wait_for_convergence(3, timeout_s=5.0)


async def test_nodes_may_advertise_a_name() -> None:
    """Others find them by it, over datagrams too: a dead one is noticed as soon as any."""
    async with Cluster(nodes=3, advertise="localhost") as cluster:
        assert {view.host for view in cluster.member(0).members()} == {"localhost"}
        await until(
            lambda: all(view.myself or view.round_trip_s is not None for view in cluster.member(0).members()),
            "pings are answered",
        )
        await cluster.kill(2)
        await cluster.wait_for_convergence(2, timeout_s=10.0)


async def test_dead_and_foreign_and_own_addresses_among_the_seeds_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    """A node joins by its one good seed, and says plainly what is wrong with another."""
    async with _http_server() as wrong, Cluster() as cluster:
        first = await cluster.add_member()
        dead, own = free_ports(2)
        seeds = (f"{HOST}:{dead}", f"{HOST}:{own}", f"{HOST}:{wrong}", _joined(first.address))
        await cluster.add_member(port=own, cluster_port=0, join=seeds)
        await cluster.wait_for_convergence(2, timeout_s=5.0)
    assert f"{HOST}:{wrong} is no respcache node" in caplog.text


async def test_a_node_that_finds_nobody_says_whom_it_asked() -> None:
    """`start` gives up in time, names the addresses, and leaves nothing behind."""
    (dead,) = free_ports(1)
    async with Cluster() as cluster:
        with pytest.raises(JoinTimeout, match=f"{HOST}:{dead}"):
            await cluster.add_member(join=(f"{HOST}:{dead}",), join_timeout_s=0.5)
        assert cluster.member_count == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_nodes_that_wait_for_another_one_say_so(caplog: pytest.LogCaptureFixture) -> None:
    """Two of three that are to form a cluster: nothing else is wrong, and nothing else tells. Each says it once."""
    ports = free_ports(3)
    seeds = tuple(f"{HOST}:{port}" for port in ports)
    async with Cluster() as cluster:
        ends = await asyncio.gather(
            *(
                cluster.add_member(port=port, cluster_port=0, join=seeds, expect=3, join_timeout_s=4.5)
                for port in ports[:2]
            ),
            return_exceptions=True,
        )
    assert [isinstance(end, JoinTimeout) for end in ends] == [True, True]
    assert "waiting for 3 nodes (expect), 2 are here" in "\n".join(map(str, ends)), "before one of them has left"
    assert [told.startswith("waiting for 3 nodes") for told in caplog.messages].count(True) == 2


@pytest.mark.parametrize("seed", ["nonsense", "host:", ":1", "host:0", "host:65536", "host:http"])
async def test_a_seed_that_is_no_address_is_refused_at_once(seed: str) -> None:
    """The error repeats the seed and says what it must look like."""
    async with Cluster() as cluster:
        with pytest.raises(ConfigError, match="must be host:port"):
            await cluster.add_member(join=(seed,))


async def test_a_name_that_a_live_node_has_is_refused() -> None:
    """The newcomer is told and does not start; the other goes on."""
    async with Cluster() as cluster:
        await cluster.add_member(name="one")
        with pytest.raises(ConfigError, match="has the name one"):
            await cluster.add_member(name="one", join_timeout_s=5.0)
        await cluster.wait_for_convergence(1, timeout_s=5.0)
        await cluster.member(0).set("key", "value")


async def test_a_node_whose_name_another_one_has_taken_stops() -> None:
    """It was away for so long that it was replaced; whoever runs it is told to close it."""
    async with Cluster() as cluster:
        node = await cluster.add_member(name="one")
        assert not node.stopping.is_set()
        node._running()._on_event(NameConflict("one", (HOST, 1)))
        assert node.stopping.is_set()


async def test_a_node_that_was_replaced_while_it_was_away_stops_where_its_successor_is_dead() -> None:
    """Gossip takes it for alive once more, and nothing else does: no member of its cluster lets this run in again."""
    async with Cluster(nodes=2) as cluster:
        node, other = cluster.members()
        await until(lambda: voters(node) == voters(other) == 2, "neither can decide alone")
        gossip = other._running().membership
        member = gossip.snapshot.members[node.name]
        successor = replace(member, epoch_unix_ms=member.epoch_unix_ms + 1, state=MemberState.DEAD, address=(HOST, 1))

        def hear(now: float) -> None:
            gossip._swim._view.hear(now, rumor_of(successor, now=now))

        gossip._have(hear)
        async with asyncio.timeout(20.0):
            await node.stopping.wait()
        assert "has had the name" in str(node.refusal)


async def test_a_node_with_other_databases_is_kept_out() -> None:
    """Keys of a database that one node lacks would have no copies there; nothing happens to the cluster."""
    async with Cluster() as cluster:
        first = await cluster.add_member()
        events = first.events()
        with pytest.raises(ConfigError, match=f"databases = 4, but 16 on {first.name}: all nodes .* must have as many"):
            await cluster.add_member(databases=4)
        async with asyncio.timeout(10.0):
            came, went = await anext(events), await anext(events)
        assert (came.type, went.type) == ("joined", "left"), "nobody takes it for dead"
        await first.set("key", "value")
        assert await first.get("key") == b"value"


async def test_a_node_with_other_leases_is_kept_out() -> None:
    """It would serve for longer than the voters believe; nothing happens to the cluster."""
    async with Cluster(lease_s=2.0) as cluster:
        first = await cluster.add_member()
        with pytest.raises(ConfigError, match=f"leases of 4.5 s .* but of 2 s on {first.name}: all nodes"):
            await cluster.add_member(lease_s=4.5)
        await first.set("key", "value")
        assert await first.get("key") == b"value"


async def test_a_node_takes_over_what_the_cluster_has_agreed_on(caplog: pytest.LogCaptureFixture) -> None:
    """Its own number of copies does not count, and is not shown; ports and name are shown as they became."""
    async with Cluster() as cluster:
        await cluster.add_member()
        second = await cluster.add_member(replica_count=3, quorum="any", min_in_sync=2, requirepass="secret")
        assert "replica-count = 3 is ignored: the cluster has been formed with 2" in caplog.text
        assert "quorum = any is ignored: the cluster has been formed with auto" in caplog.text
        assert "min-in-sync = 0 on" in caplog.text
        assert "min-in-sync = 2 on" in caplog.text
        assert "all nodes give access to all keys" in caplog.text
        shown = await second.execute(
            "CONFIG", "GET", "replica-count", "quorum", "name", "port", "cluster-port", "http-port"
        )
        assert shown == {
            b"replica-count": b"2",
            b"quorum": b"auto",
            b"name": second.name.encode(),
            b"port": b"%d" % second.address[1],
            b"cluster-port": b"%d" % second.cluster_address[1],
            b"http-port": b"%d" % second.http_address[1],  # type: ignore[index] # there is one
        }


async def test_a_taken_port_is_named() -> None:
    """Two nodes cannot have one port, and the second one says which."""
    async with Cluster(nodes=1) as cluster:
        port = cluster.member(0).address[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            await cluster.add_member(port=port, cluster_port=0)


async def test_a_restarted_node_is_a_new_one_under_its_old_name() -> None:
    """A node that crashed and comes back at once, with the same name and ports, is taken in without waiting."""
    async with Cluster(nodes=2) as cluster:
        settings = {"name": "phoenix"}
        third = await cluster.add_member(**settings)
        await cluster.wait_for_convergence(3)
        await cluster.wait_for_copies()
        for number in range(300):
            await cluster.member(0).set(f"key:{number}", number)
        (_, port), (_, cluster_port) = third.address, third.cluster_address
        await cluster.kill(2)
        await cluster.add_member(port=port, cluster_port=cluster_port, **settings)
        await cluster.wait_for_convergence(3, timeout_s=5.0)
        for number in range(300):
            for node in cluster.members():
                assert await node.get(f"key:{number}") == b"%d" % number


async def test_two_clusters_in_one_process_share_nothing() -> None:
    """The same key, and the member count, differ between them."""
    async with Cluster(nodes=2) as one, Cluster(nodes=3) as other:
        await one.member(0).set("key", "one")
        await other.member(0).set("key", "other")
        assert await one.member(1).get("key") == b"one"
        assert await other.member(2).get("key") == b"other"
        assert len(one.member(0).members()) == 2
        assert len(other.member(0).members()) == 3


async def test_members_that_never_come_leave_a_node_waiting_until_they_do() -> None:
    """With `expect = 3`, two nodes wait; the third one completes the cluster."""
    ports = free_ports(3)
    seeds = tuple(f"{HOST}:{port}" for port in ports)
    async with Cluster() as cluster:
        starts = [
            asyncio.create_task(cluster.add_member(port=port, cluster_port=0, join=seeds, expect=3))
            for port in ports[:2]
        ]
        await asyncio.sleep(0)  # both have begun
        waiting = [cluster.member(0), cluster.member(1)]
        await until(lambda: all(len(node.members()) == 2 for node in waiting), "two nodes see each other")
        assert not any(start.done() for start in starts)
        await cluster.add_member(port=ports[2], cluster_port=0, join=seeds, expect=3)
        await asyncio.gather(*starts)
        await cluster.wait_for_convergence(3, timeout_s=5.0)


def _joined(address: tuple[str, int]) -> str:
    return "{}:{}".format(*address)


@asynccontextmanager
async def _http_server() -> AsyncIterator[int]:
    """Serve answers that no node of ours gives; every connection is gone when the block ends."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        with suppress(ConnectionError):  # it may hang up before it has read everything
            await writer.wait_closed()

    async with asyncio.TaskGroup() as answers:

        def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            answers.create_task(refuse(reader, writer))

        server = await asyncio.start_server(answer, HOST, 0)
        async with server:
            yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("keys", [(), (Key.of(bytes([1]) * 32).text,)], ids=["plain", "sealed"])
async def test_a_node_whose_clock_was_set_back_joins_again(keys: tuple[str, ...]) -> None:
    """Its earlier run, a day ahead, has died: the others would take it for that one otherwise, for a day."""
    port, cluster_port = free_ports(2)
    async with Cluster(nodes=2, cluster_keys=keys) as cluster:
        config = (await cluster.add_member(name="third", port=port, cluster_port=cluster_port)).config
        await cluster.kill(2)
        ahead = (int(time()) + 86_400) * 1000
        earlier = Runtime(config, Random(1), state=lambda: "serving", shut_down=lambda: None, later_than=ahead)
        await earlier.open()
        await earlier.joined()
        await earlier.close()

        third = await cluster.add_member(name="third", port=port, cluster_port=cluster_port)
        await cluster.wait_for_convergence()
        await third.set("greeting", "hello")
        assert await cluster.member(0).get("greeting") == b"hello"
