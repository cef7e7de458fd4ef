"""Many calls by chance, right and wrong ones, beside a real Redis: 170,000 of them, or as many as one likes.

`RESPCACHE_COMPAT_CALLS` says how many; `RESPCACHE_COMPAT_SEED` the seed to begin with, for others each time.
Most are asked of the handlers alone, for that is what differs from one call to the next.
"""

import os
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import cycle
from typing import Final

import pytest

from compat.comparison import differences, shortened
from compat.conftest import Connect
from compat.generator import WAITING, script
from compat.targets import Direct, Target
from compat.wire import Frame, RawConnection
from respcache.store.partition import Argv
from respcache.testing import LocalCluster

CALLS: Final = int(os.environ.get("RESPCACHE_COMPAT_CALLS", "170000"))
FIRST: Final = int(os.environ.get("RESPCACHE_COMPAT_SEED", "10000"))
CALLS_A_SCRIPT: Final = 500
SHARES: Final = {"handlers": 0.86, "one node": 0.08, "any of three": 0.06}
"""How the calls are divided; half of each in RESP2, half in RESP3."""
SHOWN: Final = 3


def seeds_of(target: str, protocol: int) -> range:
    """Choose the scripts that a target is asked, others for each."""
    place = 2 * list(SHARES).index(target) + protocol - 2
    scripts = max(1, round(CALLS * SHARES[target] / 2 / CALLS_A_SCRIPT))
    first = FIRST + place * CALLS
    return range(first, first + scripts)


def compare(oracle: Target, targets: Iterator[Target], seeds: range, without: AbstractSet[bytes] = frozenset()) -> None:
    """Fail with the first differences, shortened; each script is asked of the next target, some commands left out."""
    shown: list[str] = []
    for seed, target in zip(seeds, targets, strict=False):
        calls = [argv for argv in script(seed, CALLS_A_SCRIPT) if argv[0].upper() not in without]
        found = differences(f"script({seed}, {CALLS_A_SCRIPT})", calls, oracle, target)
        if found:
            shown.append(str(shortened(found[0], oracle, target)))
            if len(shown) == SHOWN:
                break
    assert not shown, "\n".join(shown)


def handlers(protocol: int) -> Iterator[Target]:
    """Give them a store of their own for each script."""
    while True:
        yield Direct(protocol=protocol, now_unix_ms=int(time.time() * 1000))


@pytest.fixture(scope="module", params=[1, 3], ids=["one node", "any of three"])
def ports(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Run one node, or three; give their ports."""
    with LocalCluster(nodes=request.param, environment="lan") as cluster:  # a lease that outlasts a busy machine
        yield [port for _, port in cluster.addresses]


@pytest.mark.parametrize("protocol", [2, 3])
def test_handlers_answer_as_redis_does(oracle: Connect, protocol: int) -> None:
    """Without a server around them."""
    compare(oracle(protocol), handlers(protocol), seeds_of("handlers", protocol))


@pytest.mark.integration
@pytest.mark.parametrize("protocol", [2, 3])
def test_nodes_answer_as_redis_does(oracle: Connect, ports: list[int], protocol: int) -> None:
    """One alone, and three, each script through the next of them.

    What waits for a millisecond is not asked of three: a busy machine may not hear of the last key in time.
    """
    connections = [RawConnection(port, protocol=protocol) for port in ports]
    try:
        if len(ports) == 1:
            compare(oracle(protocol), cycle(connections), seeds_of("one node", protocol))
        else:
            compare(oracle(protocol), cycle(connections), seeds_of("any of three", protocol), without=WAITING)
    finally:
        for connection in connections:
            connection.close()


WRONG: Final = b"+thing\r\n"


class Faulty:
    """Answers as the handlers do, but for one command."""

    def __init__(self) -> None:
        self._handlers: Final = Direct(now_unix_ms=int(time.time() * 1000))

    def run(self, calls: list[Argv]) -> list[Frame]:
        """Make calls in order, and give a reply for each."""
        answers = self._handlers.run(calls)
        return [
            Frame(WRONG) if argv[0] == b"TYPE" and answer.wire[:1] == b"+" and answer.wire != b"+none\r\n" else answer
            for argv, answer in zip(calls, answers, strict=True)
        ]


def test_a_fault_is_found_and_shown_with_no_more_calls_than_it_takes(oracle: Connect) -> None:
    """A command that is answered wrongly, and those that make the key that it is about."""
    found = [
        difference
        for seed in range(10_000, 10_060)
        for difference in differences("script", script(seed), oracle(2), Faulty())[:1]
    ]
    assert found
    for difference in found:
        short = shortened(difference, oracle(2), Faulty())
        assert short.calls[-1][0] == b"TYPE"
        assert 2 <= len(short.calls) <= 4
        assert f"respcache: {Frame(WRONG).wire!r}" in str(short)
