"""A simulated cluster of membership machines, and the questions that scenarios ask of it."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from respcache.cluster.membership import (
    Address,
    Died,
    GossipConfig,
    Joined,
    Left,
    Member,
    MemberState,
    Meta,
    NameConflict,
    PartitionSuspected,
    Recovered,
    Suspected,
    Swim,
    Updated,
)
from simulation.network import Happening, Link, Network

EPOCH_UNIX_MS = 1_700_000_000_000
"""When virtual time begins."""


class Cluster:
    """Nodes n0, n1, ... in one network, each with its own dice."""

    def __init__(self, seed: int, profile: GossipConfig, *, link: Link | None = None) -> None:
        self.network = Network(seed, link)
        self.profile = profile
        self.swims: dict[str, Swim] = {}
        """The machine of each node's present or last run."""
        self.known: dict[tuple[str, int], set[str]] = {}
        """The members that a run of a node knew from the first, without having seen them join."""

    @classmethod
    def formed(cls, seed: int, profile: GossipConfig, count: int, *, link: Link | None = None) -> "Cluster":
        """Start `count` nodes, with n0 as seed, and wait until they agree."""
        cluster = cls(seed, profile, link=link)
        for index in range(count):
            cluster.start(f"n{index}", seeds=["n0"])
        assert cluster.network.run_until(cluster.agreed, within_s=30), cluster.describe()
        cluster.network.run(2 * profile.probe_interval_s * cluster.network.rng.random() + 2.0)
        return cluster

    @classmethod
    def settled(cls, seed: int, profile: GossipConfig, count: int, *, link: Link | None = None) -> "Cluster":
        """Make `count` nodes that have long agreed, each at a random point of its probe interval.

        Forming takes most of a short run, and is a scenario of its own.
        """
        cluster = cls(seed, profile, link=link)
        names = [f"n{index}" for index in range(count)]
        for name in names:
            cluster.start(name, seeds=names[:1])
        for name in names:
            settle(cluster.swims[name], [cluster.swims[other].me for other in names])
            cluster.known[name, cluster.network.nodes[name].run] = set(names) - {name}
        cluster.network.run(profile.gossip_interval_s + 0.1)
        cluster.network.happenings.clear()
        assert cluster.agreed(), cluster.describe()
        return cluster

    @property
    def running(self) -> list[str]:
        """Names of the nodes whose process runs, paused ones included."""
        return [name for name, node in self.network.nodes.items() if node.machine is not None]

    def address(self, name: str) -> Address:
        """Tell a node's address, whether or not it was ever started."""
        return (f"10.0.0.{name[1:]}", 16_379)

    def start(
        self,
        name: str,
        *,
        seeds: Iterable[str] = (),
        epoch_unix_ms: int | None = None,
        host: str | None = None,
        known_as: str | None = None,
    ) -> Swim:
        """Start a node's process, or start it anew; its epoch is the time unless given."""
        network = self.network
        address = (host, 16_379) if host else self.address(name)
        if name not in network.nodes:
            network.add(name, address)
        epoch = EPOCH_UNIX_MS + round(network.now * 1_000) if epoch_unix_ms is None else epoch_unix_ms
        swim = Swim(
            name=known_as or name,
            address=address,
            meta=Meta(client_port=6_379, http_port=9_379),
            profile=self.profile,
            rng=random.Random(f"{network.seed} {name} {network.nodes[name].run}"),
            now=network.clock(name),
            epoch_unix_ms=epoch,
        )
        self.swims[name] = swim
        network.start(name, swim, swim.join(network.clock(name), [self.address(seed) for seed in seeds]))
        return swim

    def leave(self, name: str) -> None:
        """Let a node say good-bye, gossip for half a second, and end."""
        self.network.apply(name, self.swims[name].leave(self.network.clock(name)))
        self.network.at(self.network.now + 0.5, lambda: self.network.crash(name))

    def agreed(self, names: Sequence[str] | None = None) -> bool:
        """Whether these nodes (all running ones) see exactly each other, alive, and equal fingerprints."""
        names = self.running if names is None else names
        fingerprints = {self.swims[name].fingerprint() for name in names}
        return len(fingerprints) == 1 and all(self._sees_exactly(name, set(names)) for name in names)

    def _sees_exactly(self, viewer: str, names: set[str]) -> bool:
        live = [member for member in self.swims[viewer].members() if member.live]
        return {m.name for m in live} == names and all(m.state is MemberState.ALIVE for m in live)

    def state(self, viewer: str, name: str) -> MemberState | None:
        """What one node holds of another."""
        member = self.swims[viewer].member(name)
        return None if member is None else member.state

    def events(self, *kinds: type, since_s: float = 0.0, about: str | None = None) -> list[Happening]:
        """List what happened, by kind, time and member."""
        return [
            happening
            for happening in self.network.happenings
            if isinstance(happening.event, kinds)
            and happening.at_s >= since_s
            and (about is None or _subject(happening.event) == about)
        ]

    def describe(self) -> str:
        """Say what each running node sees."""
        return "\n".join(
            f"{name}: {[(m.name, m.epoch_unix_ms, m.incarnation, m.state.name) for m in self.swims[name].members()]}"
            for name in self.running
        )


def settle(swim: Swim, members: Iterable[Member]) -> None:
    """Let a node that has just started know the members, as if it had joined long ago."""
    for member in members:
        if member.name != swim.me.name:
            swim._view.table.put(replace(member, since_s=swim.me.since_s))
    swim._answered = True


def _subject(event: object) -> str | None:
    match event:
        case Joined(member=Member(name=name)) | Died(member=Member(name=name)) | Left(member=Member(name=name)):
            return name
        case Suspected(member=Member(name=name)) | Recovered(member=Member(name=name)):
            return name
        case Updated(member=Member(name=name)) | NameConflict(name=name):
            return name
        case _:
            return None


__all__ = ["Cluster", "PartitionSuspected"]
