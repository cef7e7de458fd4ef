"""The parts of a node, connected."""

import asyncio
import dataclasses
import logging
import random
import re
import sys
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from respcache.cluster.membership import PROFILES
from respcache.cluster.ownership.slots import PARTITIONS, SLOTS
from respcache.config import ClusterConfig, Config, GossipSettings, HttpConfig, ServerConfig
from respcache.engine.expiring import SWEEP_PARTITIONS
from respcache.errors import ConfigError
from respcache.net.keeping import gossip_profile
from respcache.net.runtime import Runtime
from respcache.net.scripts import LUA
from respcache.net.sockets import bind_stream
from respcache.net.views import node_id

Scenario = Callable[[Runtime], Awaitable[None]]


def config(*, join: tuple[str, ...] = (), port: int = 0, http: bool = True, name: str = "") -> Config:
    """Configure a node on free ports."""
    return Config(
        server=ServerConfig(port=port),
        cluster=ClusterConfig(name=name, environment="local", join=join, port=0),
        http=HttpConfig(enabled=http, port=0),
    )


def run(scenario: Scenario, wanted: Config | None = None) -> None:
    """Run a scenario on a node that listens."""

    async def main() -> None:
        runtime = Runtime(wanted or config(), random.Random(1), state=lambda: "serving", shut_down=lambda: None)
        await runtime.open()
        try:
            await scenario(runtime)
        finally:
            await runtime.close()

    asyncio.run(main())


def test_a_node_without_seeds_is_a_cluster() -> None:
    """It has all slots, and is named after its address."""

    async def scenario(runtime: Runtime) -> None:
        await runtime.joined()
        (view,) = runtime.topology()
        host, port = runtime.address
        assert (view.name, view.host, view.port) == (f"{host}:{port}", host, port)
        assert (view.slots, view.myself, view.state) == (((0, SLOTS - 1),), True, "alive")
        assert (view.host, view.cluster_port) == runtime.cluster_address
        assert runtime.http_address == (view.host, view.http_port)
        assert all(partition.serving for partition in runtime.store.keyspace(0).partitions)

    run(scenario)


def test_a_node_of_its_own_is_ready_by_itself() -> None:
    """It has all copies that there can be, which it finds out without being asked."""

    async def scenario(runtime: Runtime) -> None:
        await runtime.joined()
        async with asyncio.timeout(5.0):
            while not runtime.preparation.done:  # noqa: ASYNC110 # there is no event for it
                await asyncio.sleep(0.01)
        assert runtime.preparation.verdict().ready

    run(scenario)


def test_a_process_that_has_imported_lua_starts_it_with_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """So no script waits for it; a program that embeds a node and runs no scripts pays nothing."""
    pytest.importorskip(LUA)

    async def scenario(runtime: Runtime) -> None:
        assert runtime.scripts._machine is not None
        monkeypatch.delitem(sys.modules, LUA)

    async def without(runtime: Runtime) -> None:
        assert runtime.scripts._machine is None

    run(scenario)
    run(without)


def test_who_expects_others_without_looking_for_them_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """By the first node of three that was started without `join`, say: it would be alone without a word."""
    wanted = config()
    run(Runtime.joined, msgspec.structs.replace(wanted, cluster=msgspec.structs.replace(wanted.cluster, expect=3)))
    assert "expect = 3 without join" in caplog.text
    caplog.clear()
    run(Runtime.joined, wanted)
    assert "without join" not in caplog.text


def test_numbers_of_the_failure_detector_that_contradict_are_refused_at_start() -> None:
    """The sentence says which numbers, why, and which profile the other one is from; no port was taken."""
    contradicting = msgspec.structs.replace(config(), gossip=GossipSettings(probe_timeout_s=0.15))
    reason = r"\[gossip\], with environment = local: probe-interval = 0.2 is below twice probe-timeout = 0.15: ind"
    with pytest.raises(ConfigError, match=reason):
        run(nothing, contradicting)


async def nothing(_: Runtime) -> None:
    """Let a node start and stop."""


def test_numbers_of_the_failure_detector_outweigh_the_profile() -> None:
    """What is set is taken, and the rest is the profile's."""
    chosen = gossip_profile(Config(cluster=ClusterConfig(environment="wan"), gossip=GossipSettings(gossip_fanout=9)))

    assert chosen == dataclasses.replace(PROFILES["wan"], gossip_fanout=9)


def test_a_node_with_seeds_waits_for_them() -> None:
    """Meanwhile it serves nothing, however long the seeds are silent."""

    async def scenario(runtime: Runtime) -> None:
        assert not runtime.keeper.joined
        assert not any(partition.serving for partition in runtime.store.keyspace(0).partitions)
        assert runtime.topology()[0].slots == ()

    with bind_stream("127.0.0.1", 0) as silent:
        run(scenario, config(join=(f"127.0.0.1:{silent.getsockname()[1]}",)))


@pytest.mark.parametrize("join", ["nonsense", "host:0", ":1"])
def test_an_address_that_is_none_is_refused_before_anything_is_bound(join: str) -> None:
    """Nothing is left behind."""
    with pytest.raises(ConfigError, match="must be host:port"):
        run(_nothing, config(join=(join,)))


def test_a_port_that_is_taken_is_refused() -> None:
    """With the port in the message."""
    with bind_stream("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=str(port)):
            run(_nothing, config(port=port))


async def _nothing(_runtime: Runtime) -> None:
    raise AssertionError("this is not reached")


def test_http_can_be_switched_off() -> None:
    """Then there is no address."""

    async def scenario(runtime: Runtime) -> None:
        assert runtime.http_address is None

    run(scenario, config(http=False))


def test_settings_take_effect_while_the_node_runs() -> None:
    """On the parts that keep them."""

    async def scenario(runtime: Runtime) -> None:
        runtime.settings.set({"maxclients": "7", "slowlog-log-slower-than": "42"})
        assert (runtime.server.config.maxclients, runtime.executor.slow.bound_us) == (7, 42)

    run(scenario)


def test_expired_keys_are_swept_a_few_partitions_at_a_time() -> None:
    """All of them in the end, though nobody asks for them."""

    async def scenario(runtime: Runtime) -> None:
        await runtime.joined()
        partitions = runtime.store.keyspace(0).partitions
        for partition in partitions:
            partition.put(b"k", b"v")
            partition.expire_at(b"k", 1)
        for number in range(PARTITIONS // SWEEP_PARTITIONS):
            left = sum(len(partition.values) for partition in partitions)
            assert left >= PARTITIONS - number * SWEEP_PARTITIONS - SWEEP_PARTITIONS
            runtime.expiry.round()
            while runtime.expiry.busy:  # noqa: ASYNC110 # the sweep has no events
                await asyncio.sleep(0)
        assert not any(partition.values for partition in partitions)

    run(scenario)


def test_leaving_ends_everything() -> None:
    """A node alone has nobody to hand over to; its ports are free again."""

    async def scenario(runtime: Runtime) -> None:
        await runtime.joined()
        await runtime.leave(5.0)
        assert runtime.handed_over
        bind_stream(*runtime.address).close()

    run(scenario)


def test_the_keys_of_the_last_node_are_counted_in_its_log(caplog: pytest.LogCaptureFixture) -> None:
    """It leaves as if everything was handed over, whoever asked it to: all nodes may be stopped at once."""

    async def scenario(runtime: Runtime) -> None:
        await runtime.joined()
        runtime.store.keyspace(0).at(b"k").put(b"k", b"v")
        await runtime.leave(5.0)
        assert runtime.handed_over

    with caplog.at_level(logging.INFO):
        run(scenario)
    (record,) = (record for record in caplog.records if "nobody was left" in record.message)
    assert "nobody was left to hand everything over to: 1 key is gone" in record.message
    assert record.levelno == logging.INFO, "it never was more than one node"


def test_a_node_has_an_id_for_each_run() -> None:
    """40 hexadecimal digits, as Redis' clients expect; always the same for one run."""
    ids = {node_id(name, epoch) for name in ("a", "b") for epoch in (1, 2)}
    assert len(ids) == 4
    assert all(re.fullmatch("[0-9a-f]{40}", one) for one in ids)
    assert node_id("a", 1) in ids
