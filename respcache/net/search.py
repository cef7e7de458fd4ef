"""Looks for other nodes, again and again: they may move, and splits must heal."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from respcache.cluster.membership import Address
from respcache.cluster.membership.snapshot import MembershipSnapshot
from respcache.errors import ConfigError
from respcache.net.names import Names
from respcache.net.seeds import DnsSeed, FileSeed, HostSeed, Seed, discover, read_seeds
from respcache.net.sockets import reason_of

ADDRESSES_MAX: Final = 64
"""Addresses of one name that are asked in one attempt, drawn at random; a node that is in knows all others."""
SEEDS_MAX: Final = 256
"""Seeds that are kept, those from files and from CLUSTER MEET included; of more, the first."""
TOLD_MAX: Final = 256
"""Lines that are remembered for not to be logged again."""
SETTLED_PAUSES: Final = 10
"""A node that has found its cluster looks for others this much less often."""
NOT_LET_IN: Final = (
    "answered, but has not let this node in: has its cluster a majority of its voters (CLUSTER HEALTH there tells), "
    "and this node's cluster-label?"
)

log: Final = logging.getLogger(__name__)


class Search:
    """Finds the cluster addresses behind seeds, and has the membership machine call them."""

    def __init__(  # noqa: PLR0913 # what it asks, what it tells, and how it is paced
        self,
        seeds: Sequence[Seed],
        *,
        known: Callable[[], MembershipSnapshot],
        call: Callable[[Sequence[Address]], None],
        names: Names,
        own: Iterable[Address],
        joined: Callable[[], bool],
        pause_s: float,
        default_port: int,
        rng: random.Random,
    ) -> None:
        """`known` gives the members seen so far, `call` calls cluster addresses in place of earlier ones.

        `own` are this node's addresses, `joined` tells whether it belongs to a cluster, `pause_s` paces attempts.
        """
        self._seeds: Final = list(dict.fromkeys(seeds))
        self._known: Final = known
        self._call: Final = call
        self._names: Final = names
        self._own: Final = set(own)
        self._joined: Final = joined
        self._pause_s: Final = pause_s
        self._default_port: Final = default_port
        self._rng: Final = rng
        self._told: Final[set[str]] = set()
        self._called: set[Address] = set()
        self._more: Final = asyncio.Event()
        self.tried: Final[dict[str, str]] = {}
        """What became of the last attempt at each address, or seed: a sentence each."""

    @property
    def only_itself(self) -> bool:
        """Whether there are seeds, and all of them are this node's own addresses."""
        return bool(self._seeds) and all(
            isinstance(seed, HostSeed) and (seed.host, seed.port) in self._own for seed in self._seeds
        )

    def add(self, seed: Seed) -> None:
        """Look for one more, at once, until the node ends."""
        if seed not in self._seeds and len(self._seeds) < SEEDS_MAX:
            self._seeds.append(seed)
        self._more.set()

    async def run(self) -> None:
        """Look for all seeds, for ever."""
        while True:
            self._more.clear()
            found = await self.attempt() if self._seeds else set()
            if not found and self._seeds and not self._joined():
                self._tell("none of the join addresses answers yet: " + ", ".join(map(str, self._seeds)))
            pauses = SETTLED_PAUSES if self._joined() and (found or not self._seeds) else 1
            try:
                async with asyncio.timeout(self._pause_s * pauses):
                    await self._more.wait()
            except TimeoutError:
                pass

    async def attempt(self) -> set[Address]:
        """Look once; call whoever is found as soon as it is. Returns the cluster addresses of all that were found."""
        found: set[Address] = set()
        for finding in asyncio.as_completed([self._find(seed) for seed in self._listed()]):
            found |= await finding
            if found - self._called or (found and not self._joined()):
                self._call(sorted(found))
                self._called = set(found)
        return found

    def _listed(self) -> list[HostSeed | DnsSeed]:
        """Put the contents of files in their places."""
        listed: list[HostSeed | DnsSeed] = []
        for seed in self._seeds:
            if not isinstance(seed, FileSeed):
                listed.append(seed)
                continue
            try:
                listed += read_seeds(seed.path, default_port=self._default_port)
            except ConfigError as reason:
                self._tell(f"join address ignored: {reason}")
                self._note(seed, str(reason))
        return list(dict.fromkeys(listed))[:SEEDS_MAX]

    async def _find(self, seed: HostSeed | DnsSeed) -> set[Address]:
        """Find the nodes behind a seed; none if nobody answers."""
        try:
            host = seed.name if isinstance(seed, DnsSeed) else seed.host
            addresses = await self._names.look_up(host, seed.port)
        except ConfigError as reason:
            self._tell(f"join address ignored: {reason}")
            self._note(seed, str(reason))
            return set()
        except OSError as reason:
            self._note(seed, f"{seed}: {reason_of(reason)}")
            return set()
        if isinstance(seed, DnsSeed):
            drawn = self._rng.sample(addresses, min(len(addresses), ADDRESSES_MAX))
            return set().union(*await asyncio.gather(*(self._ask(address) for address in drawn)))
        for address in addresses:
            if there := await self._ask(address):
                return there
        return set()

    async def _ask(self, address: Address) -> set[Address]:
        """Ask who is at an address, unless that is known."""
        place = "{}:{}".format(*address)
        if address in self._own:
            self._note(place, f"{place} is this node itself")
            return set()
        for member in self._known().members.values():
            host, port = member.address
            if member.live and address in {(host, port), (host, member.meta.client_port)}:
                return {member.address} - self._own
        try:
            there = {await discover(address)} - self._own
        except ConfigError as reason:
            self._tell(f"join address ignored: {reason}")
            self._note(place, str(reason))
        except OSError as reason:
            self._note(place, f"{place}: {reason_of(reason)}")
        else:
            self._note(place, f"{place} {NOT_LET_IN if there else 'is this node itself'}")
            return there
        return set()

    def _note(self, place: object, sentence: str) -> None:
        if len(self.tried) >= TOLD_MAX:
            self.tried.clear()
        self.tried[str(place)] = sentence

    def _tell(self, line: str) -> None:
        """Log a line once."""
        if line not in self._told:
            if len(self._told) >= TOLD_MAX:
                self._told.clear()
            self._told.add(line)
            log.warning("%s", line)
