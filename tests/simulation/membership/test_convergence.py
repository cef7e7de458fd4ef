"""That nodes find each other, and find each other again."""

import pytest

from respcache.cluster.membership import (
    LAN,
    LOCAL,
    Died,
    GossipConfig,
    Joined,
    Left,
    MemberState,
    NameConflict,
    PeerRecordVersion,
    Suspected,
)
from simulation.membership.cluster import EPOCH_UNIX_MS, Cluster
from simulation.network import Link
from simulation.replay import each_seed


@pytest.mark.parametrize(("profile", "count"), [(LOCAL, 2), (LAN, 5), (LAN, 20)])
@each_seed(10)
def test_joining_nodes_agree_within_two_seconds(seed: int, profile: GossipConfig, count: int) -> None:
    """Nodes that start together with one seed hold the same members, all alive, within 2 s."""
    cluster = Cluster(seed, profile)
    for index in range(count):
        cluster.start(f"n{index}", seeds=["n0"])

    assert cluster.network.run_until(cluster.agreed, within_s=2.0), cluster.describe()
    assert cluster.events(Died, Suspected) == []


@pytest.mark.parametrize("count", [2, 3, 5])
@each_seed(15)
def test_nodes_started_at_the_same_instant_form_one_cluster(seed: int, count: int) -> None:
    """Each node has all the others as seeds, and none of them is up a moment before."""
    cluster = Cluster(seed, LOCAL)
    names = [f"n{index}" for index in range(count)]
    for name in names:
        cluster.start(name, seeds=names)

    assert cluster.network.run_until(cluster.agreed, within_s=1.0), cluster.describe()


@each_seed(10)
def test_a_late_seed_is_called_until_it_answers(seed: int) -> None:
    """A node whose seed starts a minute later joins it within one reseed interval."""
    cluster = Cluster(seed, LAN)
    cluster.start("n1", seeds=["n0"])
    cluster.network.run(60)
    cluster.start("n0")

    assert cluster.network.run_until(cluster.agreed, within_s=LAN.reseed_interval_s + 2), cluster.describe()


@each_seed(10)
def test_no_member_is_missed_when_a_quarter_of_the_packets_is_lost(seed: int) -> None:
    """Under 25 % loss a joining crowd sees all of itself after a few syncs."""
    cluster = Cluster(seed, LAN, link=Link(loss=0.25, duplication=0.05))
    for index in range(10):
        cluster.start(f"n{index}", seeds=["n0"])
    cluster.network.run(15)

    assert all(len(swim.members()) == 10 for swim in cluster.swims.values()), cluster.describe()


@pytest.mark.parametrize("sides", [(1, 1), (1, 2), (3, 3)])
@each_seed(12)
def test_a_healed_split_merges_by_itself(seed: int, sides: tuple[int, int]) -> None:
    """Each side held the other dead; a reseed interval and 2 s after the healing all agree again, seeds or not."""
    cluster = Cluster.formed(seed, LAN, sum(sides))
    names = list(cluster.swims)
    if seed % 2:
        for name in names:
            cluster.swims[name].join(cluster.network.clock(name), [])
    left, right = names[: sides[0]], names[sides[0] :]
    cluster.network.split(left, right)
    cluster.network.run(40)
    assert all(cluster.state(viewer, name) is MemberState.DEAD for viewer in left for name in right)
    assert all(cluster.state(viewer, name) is MemberState.DEAD for viewer in right for name in left)

    cluster.network.heal()
    healed_at_s = cluster.network.now

    assert cluster.network.run_until(cluster.agreed, within_s=LAN.reseed_interval_s + 2), cluster.describe()
    assert cluster.events(Died, since_s=healed_at_s) == []


@pytest.mark.parametrize("down_s", [0.0, 0.3, 1.5, 10.0])
@each_seed(12)
def test_a_restarted_node_is_back_at_once(seed: int, down_s: float) -> None:
    """With a new run epoch it is alive everywhere within 1 s, whether or not its death had been noticed."""
    cluster = Cluster.formed(seed, LAN, 4)
    cluster.network.crash("n2")
    cluster.network.run(down_s)
    restarted_at_s = cluster.network.now
    swim = cluster.start("n2", seeds=["n0"])

    def is_back() -> bool:
        return all(
            (member := cluster.swims[name].member("n2")) is not None
            and member.state is MemberState.ALIVE
            and member.epoch_unix_ms == swim.me.epoch_unix_ms
            for name in cluster.running
        )

    assert cluster.network.run_until(is_back, within_s=1.0), cluster.describe()
    cluster.network.run(15)
    assert cluster.agreed(), cluster.describe()
    assert {event.node for event in cluster.events(Joined, since_s=restarted_at_s, about="n2")} == {"n0", "n1", "n3"}


@each_seed(10)
def test_a_restart_with_a_clock_set_back_is_no_trap(seed: int) -> None:
    """An epoch below the earlier run's is raised above it, and the node is a member again."""
    cluster = Cluster.formed(seed, LAN, 3)
    cluster.network.crash("n2")
    swim = cluster.start("n2", seeds=["n0"], epoch_unix_ms=EPOCH_UNIX_MS - 3_600_000)

    assert cluster.network.run_until(cluster.agreed, within_s=2.0), cluster.describe()
    assert swim.me.epoch_unix_ms > EPOCH_UNIX_MS


@each_seed(10)
def test_all_nodes_restarted_at_once_see_each_other(seed: int) -> None:
    """Within two sync intervals every node holds every other one's new run alive."""
    cluster = Cluster.formed(seed, LAN, 5)
    names = cluster.running
    for name in names:
        cluster.network.crash(name)
    cluster.network.run(1)
    for name in names:
        cluster.start(name, seeds=names)

    assert cluster.network.run_until(cluster.agreed, within_s=2 * LAN.sync_interval_s), cluster.describe()


@pytest.mark.parametrize("count", [2, 3, 10])
@each_seed(12)
def test_leaving_is_not_dying(seed: int, count: int) -> None:
    """All others see the node leave within half a second; nobody suspects it, before or after."""
    cluster = Cluster.formed(seed, LAN, count)
    cluster.leave("n1")
    left_at_s = cluster.network.now
    others = [name for name in cluster.running if name != "n1"]

    assert cluster.network.run_until(
        lambda: all(cluster.state(name, "n1") is MemberState.LEFT for name in others), within_s=0.5
    ), cluster.describe()
    cluster.network.run(20)
    assert cluster.agreed(others), cluster.describe()
    assert cluster.events(Died, Suspected, since_s=left_at_s) == []
    assert sorted(event.node for event in cluster.events(Left)) == others


@each_seed(10)
def test_the_second_node_of_a_name_is_told(seed: int) -> None:
    """A newcomer elsewhere that uses the name of a live node learns it; the older node stays a member."""
    cluster = Cluster.formed(seed, LOCAL, 3)
    cluster.start("n7", known_as="n1", seeds=["n0"])
    cluster.network.run(LOCAL.conflict_patience_s + LOCAL.reseed_interval_s + 1)

    assert [event.node for event in cluster.events(NameConflict)] == ["n7"]
    assert cluster.agreed(["n0", "n1", "n2"]), cluster.describe()


@each_seed(10)
def test_a_node_moved_to_another_address_takes_its_name_along(seed: int) -> None:
    """A node that died without a word and starts elsewhere is let in once its death is noticed."""
    cluster = Cluster.formed(seed, LOCAL, 3)
    cluster.network.crash("n1")
    cluster.start("n7", known_as="n1", seeds=["n0"])
    cluster.network.run(LOCAL.conflict_patience_s + LOCAL.reseed_interval_s)

    assert cluster.events(NameConflict) == []
    address = cluster.address("n7")
    assert {m.address for name in ("n0", "n2") for m in cluster.swims[name].members() if m.name == "n1"} == {address}


@each_seed(10)
def test_a_record_version_is_seen_by_all(seed: int) -> None:
    """What one node shows in its packets reaches every peer within a few probe rounds, once."""
    cluster = Cluster.formed(seed, LAN, 4)
    cluster.swims["n3"].set_payload(17)
    cluster.network.run(4.0)

    seen = [(happening.node, happening.event) for happening in cluster.events(PeerRecordVersion)]
    assert sorted(seen, key=lambda pair: pair[0]) == [
        (name, PeerRecordVersion("n3", 17)) for name in ("n0", "n1", "n2")
    ]
