"""One node's dealings with the others: what a peer may ask for, and what becomes of it."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable

import pytest

from respcache.cluster.effects import LeaseChanged, Resolved, RoutesChanged
from respcache.cluster.ownership.slots import partition_of
from respcache.commands.registry import TABLE
from respcache.config import ClusterConfig, Config, HttpConfig, ServerConfig
from respcache.errors import CommandError, ProtocolError
from respcache.net.messages import Ask
from respcache.net.replicator import BOOT_CLOCK, LOST_FOR_GOOD, SLEPT_S, Replicator
from respcache.net.runtime import Runtime
from respcache.resp.encode import bulk
from respcache.routing.order import Order

K = b"k"
K_AT = partition_of(K)
Answer = tuple[int, bytes | None]


def alone(scenario: Callable[[Replicator], Awaitable[None]]) -> None:
    """Run a scenario on a node that has founded a cluster of its own."""

    async def main() -> None:
        config = Config(
            server=ServerConfig(port=0),
            cluster=ClusterConfig(name="a", environment="local"),
            http=HttpConfig(enabled=False),
        )
        runtime = Runtime(config, random.Random(1), state=lambda: "serving", shut_down=lambda: None)
        await runtime.open()
        await runtime.joined()
        try:
            await scenario(runtime.replicator)
        finally:
            await runtime.close()

    asyncio.run(main())


def asked(replicator: Replicator, *argv: bytes, partition: int = K_AT, timeout_s: float = 5.0) -> list[Answer]:
    """Ask as a peer does; the list is filled when the answer comes."""
    answers: list[Answer] = []
    ask = Ask(replicator.keeper.table.version, 0, 2, timeout_s, [(1, [partition], list(argv))])
    replicator.asked("z", ask, lambda number, wire: answers.append((number, wire)))
    return answers


def test_a_peers_command_is_run() -> None:
    """Its errors are replies like others: it has been served."""

    async def scenario(replicator: Replicator) -> None:
        assert asked(replicator, b"SET", K, b"v") == [(1, b"+OK\r\n")]
        assert asked(replicator, b"get", K) == [(1, bulk(b"v"))]
        assert (asked(replicator, b"INCR", K)[0][1] or b"").startswith(b"-ERR value is not an integer")
        ((_, wire),) = asked(replicator, b"NOPE")
        assert wire is not None
        assert wire.startswith(b"-ERR unknown command")

    alone(scenario)


def test_a_peers_transaction_locks_writes_and_unlocks() -> None:
    """Meanwhile others wait."""

    async def scenario(replicator: Replicator) -> None:
        assert asked(replicator, b"RESPCACHE.LOCK", b"z:1", b"1", b"0", K) == [(1, b"*2\r\n:1\r\n$-1\r\n")]
        waiting = asked(replicator, b"GET", K)
        assert waiting == []
        assert asked(replicator, b"RESPCACHE.COMMIT", b"z:1") == [(1, b"+OK\r\n")]
        assert waiting == [(1, b"$-1\r\n")]
        assert asked(replicator, b"RESPCACHE.COMMIT", b"z:1") == [(1, None)]

    alone(scenario)


def test_a_peer_that_is_gone_holds_no_locks() -> None:
    """Neither those that it had nor those that it was waiting for."""

    async def scenario(replicator: Replicator) -> None:
        asked(replicator, b"RESPCACHE.LOCK", b"y:1", b"1", b"0", K)
        waiting = asked(replicator, b"RESPCACHE.LOCK", b"z:1", b"1", b"0", K)
        replicator.link_down("z")
        assert waiting == [(1, None)]
        replicator.link_down("y")
        assert asked(replicator, b"GET", K) == [(1, b"$-1\r\n")]

    alone(scenario)


def test_what_has_waited_for_too_long_goes_back() -> None:
    """Certainly not run."""

    async def scenario(replicator: Replicator) -> None:
        asked(replicator, b"RESPCACHE.LOCK", b"y:1", b"1", b"0", K)
        late = asked(replicator, b"INCR", K, timeout_s=0.0)
        assert late == []
        replicator.driver.router.sweep()
        assert late == [(1, None)]

    alone(scenario)


def test_nonsense_of_a_peers_keeper_is_a_protocol_error() -> None:
    """The link is cut for it."""

    async def scenario(replicator: Replicator) -> None:
        with pytest.raises(ProtocolError):
            replicator.keeper_frame("z", b"nonsense")

    alone(scenario)


def test_a_peer_that_nobody_knows_has_no_address() -> None:
    """And no link; this node itself has an address."""

    async def scenario(replicator: Replicator) -> None:
        assert replicator.client_address("z") == ("", 0)
        assert not replicator.connected("z")
        host, port = replicator.client_address("a")
        assert host == "127.0.0.1"
        assert port
        assert replicator.driver.gate([]) is None
        replicator.unreachable("z")

    alone(scenario)


def test_a_partition_that_has_moved_is_closed_before_replies_go() -> None:
    """A client's next command is run when its reply goes: it finds nothing served that is another node's by then."""

    async def scenario(replicator: Replicator) -> None:
        keeper, driver = replicator.keeper, replicator.driver
        log = keeper.serving[K_AT]
        assert log is not None
        log.attach([], [keeper.holdings.replication.stream("z", 1)])
        log.append(0, [b"SET", K, b"v"])
        partition = driver.router.executor._store.keyspace(0).partitions[K_AT]
        served: list[bool] = []
        assert driver.router.held.when_safe([log], lambda: served.append(partition.serving), or_in_doubt=True)
        (gate,) = keeper.holdings.replication.gates
        gate.committed = True
        assert partition.serving

        keeper.serving[K_AT] = None
        driver.perform([Resolved((gate,)), RoutesChanged(keeper.table.version, (), (K_AT,))])
        assert served == [False]

    alone(scenario)


def test_a_node_alone_has_nothing_to_hand_over() -> None:
    """It may go at once."""

    async def scenario(replicator: Replicator) -> None:
        assert not replicator.drained.is_set()
        replicator.leave()
        assert replicator.drained.is_set()

    alone(scenario)


def test_orders_that_are_lost_at_the_end_are_nobodys() -> None:
    """After closing the clients are gone as well."""

    async def scenario(replicator: Replicator) -> None:
        order = Order(TABLE[b"SET"], [b"SET", K, b"v"], database=0, protocol=2, partitions=(K_AT,), deadline_s=1e9)
        await replicator.close()
        replicator.lost(order)
        assert order.wire is None

    alone(scenario)


@pytest.mark.skipif(BOOT_CLOCK is None, reason="this system does not say when it was asleep")
def test_a_node_sees_once_that_its_machine_was_asleep() -> None:
    """Short sleeps add up, and a look at one clock that comes late is none."""

    async def scenario(replicator: Replicator) -> None:
        assert not replicator.slept()
        replicator._asleep_s -= 0.6 * SLEPT_S
        assert not replicator.slept()
        replicator._asleep_s -= 0.6 * SLEPT_S
        assert replicator.slept()
        assert not replicator.slept()
        replicator._asleep_s += 1.0
        assert not replicator.slept()

    alone(scenario)


def test_a_lease_is_over_when_either_clock_says_so() -> None:
    """That on the wall goes on while the machine sleeps, the other one is set by nobody."""

    async def scenario(replicator: Replicator) -> None:
        executor = replicator.driver.router.executor
        assert not replicator.lease_over()
        replicator.lease_until(-math.inf)
        assert replicator.lease_over()
        replicator.lease_until(replicator.exact_s() + 60.0)
        assert not replicator.lease_over()
        executor.lease_ends_unix_ms -= 61_000
        assert replicator.lease_over()
        executor.lease_ends_unix_ms += 61_000
        executor.lease_ends_ns -= 61_000_000_000
        assert replicator.lease_over()

    alone(scenario)


def test_a_node_warns_of_a_majority_that_it_has_had(caplog: pytest.LogCaptureFixture) -> None:
    """Not while it joins, when nobody has granted it a lease yet, and not of a moment without one."""

    async def scenario(replicator: Replicator) -> None:
        replicator._has_served = False
        caplog.clear()
        for held in (False, True, False, True):
            replicator.told(LeaseChanged(held))
            assert (replicator._lapse is not None) is (replicator._has_served and not held)
        assert not caplog.messages

        replicator.told(LeaseChanged(held=False))
        async with asyncio.timeout(30.0):
            while not caplog.messages:  # noqa: ASYNC110 # the log has no event
                await asyncio.sleep(0.01)
        replicator.told(LeaseChanged(held=True))
        assert caplog.messages == [
            f"this node reaches no majority of the voters: it serves nothing for now; {LOST_FOR_GOOD}",
            "this node reaches a majority of the voters again, and serves",
        ]

    alone(scenario)


def test_no_operator_takes_over_from_a_majority() -> None:
    """A node alone is one, and has nothing to become the primary of."""

    async def scenario(replicator: Replicator) -> None:
        version = replicator.keeper.table.version
        with pytest.raises(CommandError, match=r"a majority of the voters is in reach \(1 of 1\)"):
            replicator.take_over()
        with pytest.raises(CommandError, match="to a replica"):
            replicator.fail_over(force=True)
        assert replicator.keeper.table.version == version

    alone(scenario)
