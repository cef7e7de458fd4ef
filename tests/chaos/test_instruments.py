"""That what judges the chaos sees what there is to see."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.figures import at_least, at_most, check
from chaos.fleet import fleet_of
from chaos.judging import Judgement
from chaos.load import Sent
from chaos.namespaces import shapes
from chaos.node import Memory
from chaos.test_partitions import late, minority, unequal
from chaos.test_rolling import figures_of
from respcache.cli.serve import INCOMPLETE
from simulation.linearizability import judge


def sent(client: int, invoked_s: float, returned_s: float, outcome: str = "ok", *, node: int = 0) -> Sent:
    """Make a write."""
    return Sent(client, node, "WRITE", b"key", b"value", invoked_s, returned_s, True, outcome)


def judgement(history: Sequence[Sent]) -> Judgement:
    """Make a judgement of which only the times are of interest."""
    return Judgement(history, judge([]), judge([]))


def test_an_outage_ends_with_a_good_reply() -> None:
    """Counted from the kill, or from a client's first command after it, over all that failed in between."""
    history = [sent(1, 9.9, 10.5), sent(2, 10.2, 10.4, "uncertain"), sent(2, 10.4, 10.6, "failed"), sent(2, 10.7, 12.2)]
    assert judgement(history).outages_s([10.0]) == [pytest.approx(2.0)]
    assert judgement(history[:1]).outages_s([10.0]) == [pytest.approx(0.5)]


def test_each_kill_has_its_own_outage() -> None:
    """What was sent after the next kill belongs to that one."""
    history = [sent(1, 10.0, 11.0), sent(1, 19.0, 19.1), sent(1, 20.0, 23.0), sent(1, 24.0, 24.1)]
    assert judgement(history).outages_s([10.0, 20.0]) == [pytest.approx(1.0), pytest.approx(3.0)]


def test_the_median_second_counts_empty_ones() -> None:
    """A second without a reply is a second."""
    three = judgement([sent(1, 0, 0.5), sent(1, 0, 0.6), sent(1, 0, 2.5)])
    assert three.commands_a_second == 1
    assert three.rate(0.5, 1.0) == 4
    assert three.rate(1.0, 2.5) == 0


def test_the_last_node_is_cut_off_in_the_shapes_that_have_a_minority() -> None:
    """Who cannot be heard by a majority, or hear it, is listed as the minority, and nobody else."""
    for shape, ways in shapes(5).items():
        for node in range(1, 6):
            both_ways = [
                other
                for other in range(1, 6)
                if other != node and (node, other) not in ways and (other, node) not in ways
            ]
            assert (len(both_ways) + 1 < 3) == (node - 1 in minority(shape)), shape


def test_in_a_ring_each_node_has_two_neighbours() -> None:
    """And in a bridge one node has all."""
    ring, bridge = shapes(5)["ring"], shapes(5)["bridge"]
    assert all(sum(way[0] == node for way in ring) == 2 for node in range(1, 6))
    assert [sum(way[0] == node for way in bridge) for node in range(1, 6)] == [2, 2, 0, 2, 2]


def test_late_acknowledgements_are_those_of_the_minority_within_the_cut() -> None:
    """What was sent before, or answered after the healing, or by others, does not count."""
    history = [
        sent(1, 10.5, 10.6, node=4),
        sent(1, 9.5, 10.6, node=4),
        sent(1, 10.5, 20.6, node=4),
        sent(1, 10.5, 10.6, node=3),
        sent(1, 10.5, 10.6, "failed", node=4),
    ]
    assert late(history, {4}, 10.0, 20.0) == 1


def memory(name: str, *digests: str, serving: bool = False, primary: str = "a") -> Memory:
    """Make what a node shows of partitions that two nodes have."""
    count = len(digests)
    return Memory(name, (1, 1), list(digests), [primary] * count, [("a", "b")] * count, 0, [serving] * count)


def test_unequal_copies_are_named() -> None:
    """Other bytes, a missing copy, two who serve: each is said; equal ones are not."""
    right = memory("a", "x", "y", serving=True)
    assert unequal([right, memory("b", "x", "y")]) == ""
    assert "partition 1" in unequal([right, memory("b", "x", "z")])
    assert "gone" in unequal([right])
    assert "served by ['a', 'b']" in unequal([right, memory("b", "x", "y", serving=True)])
    assert "versions" in unequal([right, Memory("b", (1, 2), right.digests, right.primaries, right.in_sync, 0, [])])


@pytest.mark.integration
def test_a_node_that_did_not_hand_everything_over_is_seen(tmp_path: Path) -> None:
    """By its exit status: its only peer is dead, and one of two is no majority."""
    with fleet_of(2, tmp_path, "--environment=local", "--quorum=majority", "--shutdown-timeout=1") as fleet:
        first, second = fleet.servers
        second.kill()
        unclean = int(first.terminate() != 0)
    assert first.process is not None
    assert first.process.returncode == INCOMPLETE
    with pytest.raises(AssertionError, match="nodes that did not hand everything over: 1, not 0"):
        check(figures_of(judgement([sent(1, 0, 1)]), 0, unclean))


def test_a_figure_that_misses_its_target_fails_and_is_named() -> None:
    """Those that meet it are not."""
    check([at_most("lost", 0, 0), at_least("writes", 10, 10)])
    with pytest.raises(AssertionError, match="lost: 3, not 0"):
        check([at_most("lost", 0, 3), at_least("writes", 10, 10)])
