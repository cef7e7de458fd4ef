"""Thousands of nodes in one simulation: what all of them know is held once, and what a node learns is its own.

A node's own table would be a dict of all members, and ten thousand of those take gigabytes. Here they share one, and
copy the list of the live when they first see it change. The machines themselves are the real ones.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, overload

from respcache.cluster.membership import Address, GossipConfig, Member, Meta, Swim
from respcache.cluster.membership.contact import Contact
from respcache.cluster.membership.table import MemberTable
from simulation.membership.cluster import EPOCH_UNIX_MS
from simulation.network import Link, Network


class SharedMembers:
    """The members that everybody knows, in the order of their numbers."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.by_name: Final = {member.name: member for member in members}
        self.names: Final = [member.name for member in members]
        self.numbers: Final = {name: number for number, name in enumerate(self.names)}
        self.addresses: Final = frozenset(member.address for member in members)
        whole = MemberTable(members[0])
        for member in members[1:]:
            whole.put(member)
        self.digest: Final = whole.digest
        self.buckets: Final = tuple(whole._buckets)


class AllBut(Sequence[str]):
    """The shared names without one: as good as a list of one's own, for who only reads."""

    def __init__(self, shared: SharedMembers, number: int) -> None:
        self._names, self._numbers, self._number = shared.names, shared.numbers, number

    def __contains__(self, name: object) -> bool:
        assert isinstance(name, str)
        return self._numbers.get(name, self._number) != self._number

    def __iter__(self) -> Iterator[str]:
        return iter(self._names[: self._number] + self._names[self._number + 1 :])

    def __len__(self) -> int:
        return len(self._names) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        assert isinstance(place, int)
        if not 0 <= place < len(self):
            raise IndexError(place)
        return self._names[place + (place >= self._number)]


class Overlay(dict[str, Member]):
    """A node's members: its own changes above the shared ones."""

    def __init__(self, shared: SharedMembers) -> None:
        super().__init__()
        self._shared = shared.by_name

    def __missing__(self, name: str) -> Member:
        return self._shared[name]

    def get(self, name: str, default: Member | None = None) -> Member | None:  # type: ignore[override]  # narrower
        """Find a member."""
        return super().get(name) or self._shared.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shared | dict(self.items()))

    def __len__(self) -> int:
        return len(self._shared)

    def values(self) -> Collection[Member]:  # type: ignore[override]  # nobody asks for more than a collection
        """Return all members."""
        return (self._shared | dict(self.items())).values()


class SharedTable(MemberTable):
    """A member table whose bulk is shared until the set of the live changes."""

    def __init__(self, me: Member, shared: SharedMembers) -> None:
        super().__init__(me)
        self._shared = shared
        self._members = Overlay(shared)
        self._own_live = False
        self._buckets = list(shared.buckets)
        self._live_addresses = shared.addresses
        self._all_but_me = AllBut(shared, shared.numbers[me.name])
        self.digest = shared.digest

    @property
    def live_peers(self) -> Sequence[str]:
        """The names of all live members but this one."""
        return self._live if self._own_live else self._all_but_me

    @property
    def live_names(self) -> Collection[str]:
        """The same names, for quick look-up."""
        return self._places.keys() if self._own_live else self._all_but_me

    @property
    def live_count(self) -> int:
        """Live members, this one included."""
        return len(self.live_peers) + 1

    def put(self, member: Member) -> None:
        """Replace what was held of a member."""
        addresses, held = self._live_addresses, self._members.get(member.name)
        super().put(member)
        if held is not None and held.live == member.live and held.address == member.address:
            self._live_addresses = addresses

    def _file(self, name: str, *, live: bool) -> None:
        if not self._own_live:
            if live:
                return
            self._own_live = True
            self._live = list(self._all_but_me)
            self._places = {peer: place for place, peer in enumerate(self._live)}
        super()._file(name, live=live)


class Acquaintances(dict[str, Contact]):
    """What a node knows first hand of its peers when it has long measured the way to each; made when asked for."""

    def __init__(self, round_trip_s: float) -> None:
        super().__init__()
        self._round_trip_s = round_trip_s

    def get(self, name: str, default: Contact | None = None) -> Contact:  # type: ignore[override]  # there always is one
        """Return what is known of a peer."""
        del default
        contact = super().get(name)
        if contact is None:
            contact = self[name] = Contact()
            contact.measured(self._round_trip_s)
        return contact


class Crowd:
    """Nodes n0, n1, ... that have long agreed on all of themselves."""

    def __init__(self, seed: int, profile: GossipConfig, count: int, *, link: Link) -> None:
        self.network = Network(seed, link)
        self.swims: dict[str, Swim] = {}
        self._profile = profile
        for number in range(count):
            name = f"n{number}"
            self.network.add(name, address(number))
            self.swims[name] = self._swim(name, epoch_unix_ms=EPOCH_UNIX_MS)
        shared = SharedMembers([swim.me for swim in self.swims.values()])
        for name, swim in self.swims.items():
            swim._view.table = SharedTable(swim.me, shared)
            swim._answered = True
            self.network.start(name, swim)

    def restart(self, name: str, *, knowing_nobody: bool = False) -> None:
        """Start a crashed node anew, with n0 as its seed, or a node that runs where that one does not."""
        running = [peer for peer, node in self.network.nodes.items() if node.machine is not None and peer != name]
        seed = "n0" if knowing_nobody or "n0" in running else running[0]
        swim = self._swim(name, epoch_unix_ms=EPOCH_UNIX_MS + 1 + round(self.network.now * 1_000))
        self.swims[name] = swim
        self.network.start(name, swim, swim.join(self.network.clock(name), [self.network.nodes[seed].address]))

    def acquaint(self) -> None:
        """Let all nodes have measured the round trips to all others, as they have after a while."""
        round_trip_s = 2 * (self.network.link.latency_s + self.network.link.jitter_s)
        for swim in self.swims.values():
            swim._prober.contacts = Acquaintances(round_trip_s)

    def whole(self) -> bool:
        """Whether all nodes hold all nodes alive, in the same runs."""
        swims = self.swims.values()
        return len({swim.fingerprint() for swim in swims}) == 1 and all(
            len(swim._view.table.live_peers) == len(swims) - 1 and not swim._view._suspicions for swim in swims
        )

    def missing(self) -> str:
        """Say how many live members nodes hold, and how many nodes hold so many."""
        counts = Counter(len(swim._view.table.live_peers) + 1 for swim in self.swims.values())
        return f"seed {self.network.seed}: live members held, and by how many nodes: {dict(counts)}"

    def _swim(self, name: str, *, epoch_unix_ms: int) -> Swim:
        return Swim(
            name=name,
            address=self.network.nodes[name].address,
            meta=Meta(client_port=6_379, http_port=9_379),
            profile=self._profile,
            rng=random.Random(f"{self.network.seed} {name} {self.network.nodes[name].run}"),
            now=self.network.clock(name),
            epoch_unix_ms=epoch_unix_ms,
        )

    def until_share(self, share: float, holds: Callable[[Swim], bool], *, within_s: float) -> float:
        """Let time pass until that share of the nodes fulfil a condition; return the seconds it took."""
        begun_s, waiting = self.network.now, list(self.swims.values())
        while True:
            waiting = [swim for swim in waiting if not holds(swim)]
            if len(waiting) <= (1 - share) * len(self.swims):
                return self.network.now - begun_s
            assert self.network.now - begun_s < within_s, f"{len(waiting)} nodes still wait"
            self.network.run(0.01)


def address(number: int) -> Address:
    """Give each number an address of its own."""
    return (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 16_379)
