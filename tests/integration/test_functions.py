"""Functions of applications, through any node of a cluster."""

import pytest
from redis import Redis as BlockingRedis
from redis.exceptions import NoScriptError, ResponseError

from integration.clients import clients
from respcache.testing import Cluster, LocalCluster

pytestmark = pytest.mark.integration

LIBRARY = """#!lua name=counters
redis.register_function('count', function(keys) return redis.call('INCR', keys[1]) end)
redis.register_function('total', function(keys)
  local total = 0
  for _, key in ipairs(keys) do total = total + (tonumber(redis.call('GET', key)) or 0) end
  return total
end)
redis.register_function{function_name='read', callback=function(keys) return redis.call('GET', keys[1]) end,
  flags={'no-writes'}}
"""


def test_functions_are_called_through_any_node() -> None:
    """Loaded on one, on keys of all owners, of several at once, inside MULTI; deleted on another, gone everywhere."""
    with LocalCluster(nodes=3) as cluster:
        nodes = [BlockingRedis(host, port) for host, port in cluster.addresses]
        assert nodes[0].function_load(LIBRARY) == b"counters"
        keys = [f"key:{number}" for number in range(12)]
        for node in nodes:
            with pytest.raises(ResponseError, match="Library 'counters' already exists"):
                node.function_load(LIBRARY)
            for key in keys:
                node.fcall("count", 1, key)
            with node.pipeline() as pipeline:
                pipeline.fcall("count", 1, keys[0])
                pipeline.fcall_ro("read", 1, keys[1])
                pipeline.execute()
        assert [node.fcall("total", len(keys), *keys) for node in nodes] == [3 * len(keys) + 3] * 3
        payload = nodes[1].function_dump()
        nodes[2].function_delete("counters")
        for node in nodes:
            with pytest.raises(ResponseError, match="Function not found"):
                node.fcall("count", 1, "key:1")
        nodes[0].function_restore(payload)  # type: ignore[arg-type] # redis-py says it takes no bytes
        assert [len(node.function_list()) for node in nodes] == [1] * 3
        nodes[1].function_flush()
        assert [node.function_list() for node in nodes] == [[]] * 3
        for node in nodes:
            node.close()


async def test_functions_outlive_nodes_and_reach_those_that_join() -> None:
    """One after the other all nodes are replaced; functions go on, and nothing that was deleted comes back."""
    async with Cluster(nodes=3) as cluster:
        await cluster.wait_for_copies()
        async with clients(cluster.members()) as nodes:
            await nodes[0].function_load(LIBRARY)
            await nodes[0].function_load(
                LIBRARY.replace("counters", "gone").replace("('", "('gone_").replace("='", "='gone_")
            )
            await nodes[1].function_delete("gone")
        for _ in range(3):
            await cluster.kill(0)
            await cluster.add_member()
            await cluster.wait_for_copies()
        members = cluster.members()
        async with clients(members) as nodes:
            for redis in nodes:
                assert [library[1] for library in await redis.function_list()] == [b"counters"]
            before = int(await nodes[0].fcall("count", 1, "key"))
            assert int(await nodes[2].fcall("count", 1, "key")) == before + 1


def test_scripts_are_forgotten_by_nodes_that_own_nothing() -> None:
    """SCRIPT FLUSH is for all nodes, not for owners alone."""
    with LocalCluster(nodes=2) as cluster:
        cluster.wait_for_copies()
        nodes = [BlockingRedis(host, port) for host, port in cluster.addresses]
        digest = nodes[0].script_load("return 1")
        for node in nodes:
            assert node.evalsha(digest, 0) == 1
        nodes[1].script_flush()
        for node in nodes:
            with pytest.raises(NoScriptError):
                node.evalsha(digest, 0)
            node.close()
