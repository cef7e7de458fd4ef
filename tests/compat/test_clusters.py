"""Nodes behind their sockets beside a real Redis: one alone, any of three, and all three in turn."""

from collections.abc import Iterator
from itertools import cycle
from typing import Final

import pytest

from compat.comparison import differences
from compat.conftest import Connect
from compat.generator import script
from compat.targets import Target
from compat.wire import Frame, RawConnection
from compat.written import scripts
from respcache.store.partition import Argv
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

SEEDS: Final = range(1_000, 1_060)
"""3,000 calls for each target; other ones than the handlers alone are asked."""
TURNS: Final = range(2_000, 2_020)
"""Fewer where each call waits for the one before."""


class InTurn:
    """Sends each call to another node, when the one before has been answered."""

    def __init__(self, connections: list[RawConnection]) -> None:
        self._connections: Final = connections
        self._turns: Final = cycle(connections)

    def run(self, calls: list[Argv]) -> list[Frame]:
        """Make calls in order, and give a reply for each; SELECT is for all connections."""
        frames: list[Frame] = []
        for argv in calls:
            turn = next(self._turns)
            frames += turn.run([argv])
            if argv[0].upper() == b"SELECT":
                for other in self._connections:
                    other.run([argv])
        return frames


@pytest.fixture(scope="module", params=[1, 3])
def ports(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Run one node, or three; give their ports."""
    with LocalCluster(nodes=request.param) as cluster:
        yield [port for _, port in cluster.addresses]


def _compare(oracle: Target, target: Target, chosen: dict[str, list[Argv]]) -> None:
    """Fail with the first difference of each script."""
    found = [
        difference for name, calls in chosen.items() for difference in differences(name, calls, oracle, target)[:1]
    ]
    assert not found, f"{len(found)} scripts differ, the first ones:\n" + "\n".join(map(str, found[:5]))


@pytest.mark.parametrize("protocol", [2, 3])
def test_written_calls_are_answered_as_by_redis(oracle: Connect, ports: list[int], protocol: int) -> None:
    """Through every node."""
    for port in ports:
        with RawConnection(port, protocol=protocol) as node:
            _compare(oracle(protocol), node, scripts())


@pytest.mark.parametrize("protocol", [2, 3])
def test_generated_calls_are_answered_as_by_redis(oracle: Connect, ports: list[int], protocol: int) -> None:
    """Through the node that was added last, which owns a third of the keys."""
    with RawConnection(ports[-1], protocol=protocol) as node:
        _compare(oracle(protocol), node, {f"script({seed})": script(seed) for seed in SEEDS})


def test_calls_to_all_nodes_in_turn_are_answered_as_by_one_redis(oracle: Connect, ports: list[int]) -> None:
    """What was written through one node is read through the next one."""
    connections = [RawConnection(port) for port in ports]
    try:
        _compare(oracle(2), InTurn(connections), {f"script({seed})": script(seed) for seed in TURNS})
    finally:
        for connection in connections:
            connection.close()
