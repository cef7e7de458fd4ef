"""That nodes find each other, and find each other again."""

import pytest

from respcache.cluster.membership import (
    LAN,
    LOCAL,
    Died,
    Joined,
    MemberState,
    NameConflict,
)
from simulation.membership.cluster import Cluster
from simulation.replay import each_seed


@each_seed(10)
def test_a_late_seed_is_called_until_it_answers(seed: int) -> None:
    """A node whose seed starts a minute later joins it within one reseed interval."""
    cluster = Cluster(seed, LAN)
    cluster.start("n1", seeds=["n0"])
    cluster.network.run(60)
    cluster.start("n0")

    assert cluster.network.run_until(cluster.agreed, within_s=LAN.reseed_interval_s + 2), cluster.describe()


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
def test_a_node_moved_to_another_address_takes_its_name_along(seed: int) -> None:
    """A node that died without a word and starts elsewhere is let in once its death is noticed."""
    cluster = Cluster.formed(seed, LOCAL, 3)
    cluster.network.crash("n1")
    cluster.start("n7", known_as="n1", seeds=["n0"])
    cluster.network.run(LOCAL.conflict_patience_s + LOCAL.reseed_interval_s)

    assert cluster.events(NameConflict) == []
    address = cluster.address("n7")
    assert {m.address for name in ("n0", "n2") for m in cluster.swims[name].members() if m.name == "n1"} == {address}
