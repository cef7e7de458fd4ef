"""Publish and subscribe beside a real Redis: what every client is sent, byte for byte."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from compat.conftest import Connect, port_of
from compat.conversation import Step, Talker, conversation, converse
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

CLIENTS: Final = 4
"""Two that speak RESP2, two that speak RESP3; in a cluster each on another node than the one before."""
SEEDS: Final = range(8)
LENGTH: Final = 60

WRITTEN: Final = """
0 SUBSCRIBE
0 SUBSCRIBE a b a
0 PSUBSCRIBE a* *
0 SSUBSCRIBE a x
0 GET k
0 CLIENT ID
0 NOTHING
0 CLIENT NOTHING
0 GET
0 AUTH x
0 HELLO 3
0 PUBLISH a m
0 PING
0 PING hi
0 PING a b
1 SUBSCRIBE a
1 PSUBSCRIBE a*
1 SSUBSCRIBE a
1 PUBLISH a m
1 SPUBLISH a m
1 GET k
1 PING
2 PUBLISH a m
2 PUBLISH nobody m
2 PUBLISH a
2 PUBLISH a b c
2 SPUBLISH a m
2 SPUBLISH nobody m
2 SPUBLISH a
3 PUBLISH ab m
3 PUBSUB
3 PUBSUB NOTHING
3 PUBSUB CHANNELS
3 PUBSUB CHANNELS a
3 PUBSUB CHANNELS [b-z]
3 PUBSUB CHANNELS a b
3 PUBSUB channels a b
3 PUBSUB NUMSUB
3 PUBSUB NUMSUB a b a nobody
3 PUBSUB NUMPAT
3 PUBSUB NUMPAT x
3 PUBSUB SHARDCHANNELS
3 PUBSUB SHARDCHANNELS x*
3 PUBSUB SHARDCHANNELS a b
3 PUBSUB SHARDNUMSUB
3 PUBSUB SHARDNUMSUB a x
3 PUBSUB HELP x
0 UNSUBSCRIBE nothing
0 PUNSUBSCRIBE nothing z
0 SUNSUBSCRIBE nothing
0 UNSUBSCRIBE b
0 UNSUBSCRIBE
0 UNSUBSCRIBE
0 GET k
0 PUNSUBSCRIBE
0 PUNSUBSCRIBE
0 SUNSUBSCRIBE
0 SUNSUBSCRIBE
0 GET k
1 HELLO 2
1 GET k
1 PING
2 PUBLISH a m
1 RESET
1 GET k
2 PUBLISH a m
1 UNSUBSCRIBE
1 PUNSUBSCRIBE x
1 SUNSUBSCRIBE x y
"""


@pytest.fixture(scope="module", params=[1, 3])
def ports(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Run one node, or three; give their ports."""
    with LocalCluster(nodes=request.param) as cluster:
        yield [port for _, port in cluster.addresses]


def _compare(oracle: Connect, ports: list[int], steps: list[Step]) -> None:
    """Have the same conversation with both, and fail at the first step that somebody hears something else of."""
    expected = converse(steps, _to([port_of(oracle)]), CLIENTS)
    answered = converse(steps, _to(ports), CLIENTS)
    for theirs, ours in zip(expected, answered, strict=True):
        script = "\n".join(f"{client} {argv}" for client, argv in steps[: ours.step + 1])
        assert ours == theirs, f"client {ours.client} hears something else at the end of:\n{script}"


def _to(ports: list[int]) -> Callable[[int], Talker]:
    """Connect each client to another node; every other one speaks RESP3."""
    return lambda client: Talker(ports[client % len(ports)], protocol=2 + client % 2)


def test_a_written_conversation_goes_as_with_redis(oracle: Connect, ports: list[int]) -> None:
    """Every command in every form, what a subscribed client may do, and who hears what."""
    words = [line.split(" ") for line in WRITTEN.strip().split("\n")]
    _compare(oracle, ports, [(int(client), [word.encode() for word in call]) for client, *call in words])


@pytest.mark.parametrize("seed", SEEDS)
def test_conversations_by_chance_go_as_with_redis(oracle: Connect, ports: list[int], seed: int) -> None:
    """Whatever names and patterns, in whatever order; the seed is the test's parameter."""
    _compare(oracle, ports, conversation(seed, clients=CLIENTS, length=LENGTH))
