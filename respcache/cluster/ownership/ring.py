"""Where the copies of every partition should be: pure placement, without history.

`place` maps a set of nodes to the nodes that should hold each partition. It keeps
no state, reads no clock and draws no dice, so every node computes the same table
from the same members, and a cluster that grew and shrank again is back where it was.
It knows nothing of what is alive, owned or in sync: the control record decides who
*does* own a partition, the ring only says who *should*.

The draft
---------
Think of teams picking players. Every node owns a wish list: all partitions, shuffled
by a hash of its name, always the same. The clock runs, and each node in turn reaches
the next entry of its list. It takes that partition, unless

- the partition has all its copies already,
- the node is full: it holds 1.10 x its fair share, or
- a node of the same zone holds a copy of the partition.

That is the whole algorithm. What it gives:

*Weights.* A node reaches entry k of its list at (1/P + 1/(P-1) + ... + 1/(P-k)) / weight,
which is when the k-th of P exponential clocks is expected to ring (Renyi 1953). The
first node to reach a partition is thus chosen as by weighted rendezvous hashing, with
probability weight / total. The plain hash would give independent clocks, hence node
sizes with a multinomial spread; a *list* has exactly one entry at each time, and the
spread of node sizes is about 1.7 times smaller before the limit has to cut anything.

*Stability.* A newcomer adds its own picks and alters nobody's list, so it takes about
its fair share and the rest stays. When a node leaves, the next one to reach the
partition steps in. Only the limit couples nodes with each other: a full node that
loses a partition to a newcomer has room for one that it had to pass over. With three
copies a join moved 0.96 to 1.15 x the newcomer's share up to 50 nodes. Towards 100,
a share is some 30 partitions, the limit cuts often, and it was 1.2 on average, 1.8 at
the sizes where the rounded limit drops by one.

*A stable matching.* Both sides rank a pair by the same number, its time, so taking pairs
in order of time ends where deferred acceptance would (Gale and Shapley 1962): no node
and no partition would both rather have each other than what they got.

What the draft leaves open
--------------------------
Where zones are too few, or those with room are, the draft is repeated without the rule
of zones, and the places still open are filled; copies that do honour zones never give
way. The limit ranks above zones: one node alone in its zone is not made to carry all.
The draft does not look ahead, so among zones of unlike weight a few partitions may share
a zone that need not. A node with no zone is a zone of its own. In corners where every
node with room holds the partition already, the draft is repeated without the limit, so
the table is always full.

Primaries
---------
The copies of a partition, in order of time, are the candidates for its primary. A second
draft among them, with a limit of 1.15 x the fair share of primaries, takes the first
that has room; if all are full, a chain of exchanges makes room at one. Going by time
keeps failover cheap: whoever steps in for a leaver came later than the copies that stay,
so the new primary is nearly always one that holds the data.

Steps
-----
A hundred nodes take some 20 ms to place, and a node serves clients meanwhile. So `Placing` does it in steps; `place`
takes them all at once. Wish lists are long and drafts soon over: who reaches what is found out as far as it matters.
"""

import hashlib
import math
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from respcache.cluster.ownership.slots import PARTITIONS

COPIES_LIMIT: Final = 1.10
"""Copies on a node over its fair share. Lower is more even and moves more on a join."""

PRIMARIES_LIMIT: Final = 1.15
"""Primaries on a node over its fair share. Lower makes more newcomers primary without data."""

_ENTRY_TIMES: Final = tuple(accumulate((1 / (PARTITIONS - k) for k in range(PARTITIONS)), initial=0.0))
"""When a node of weight 1 has reached k entries of its wish list: additions and
divisions only, which IEEE 754 fixes to the last bit; a logarithm may differ by platform."""

WEIGHT_MIN: Final = 1e-6
WEIGHT_MAX: Final = 1e6
"""Bounds of a weight, within which no sum or quotient of placement overflows."""

LISTS_PER_STEP: Final = 4
"""Wish lists made in a step, at 0.2 ms each."""
PICKS_PER_STEP: Final = 1_000
"""Picks granted or passed over in a step, at 0.2 to 0.5 us each, and about as many found out."""
STRETCH: Final = 1.2
"""How much further in time each look ahead ends than the last one: picks come ever more slowly."""

_HASHES: Final = struct.Struct(f"<{PARTITIONS}Q")

Rows = tuple[tuple[str, ...], ...]

_Pick = tuple[int, int]
"""The index of a node, in the order of names, and a partition that it reaches."""


@dataclass(frozen=True, slots=True)
class RingNode:
    """A node as placement sees it.

    Raises ValueError for a weight out of WEIGHT_MIN to WEIGHT_MAX.
    """

    name: str
    weight: float = 1.0
    """Share of the data relative to the other nodes' weights."""
    zone: str = ""
    """What fails together; copies go to different zones. Empty: a zone of its own."""

    def __post_init__(self) -> None:
        if not WEIGHT_MIN <= self.weight <= WEIGHT_MAX:
            raise ValueError(f"weight of {self.name!r} must be {WEIGHT_MIN} to {WEIGHT_MAX}, not {self.weight}")


def place(nodes: Sequence[RingNode], replica_count: int) -> Rows:
    """Return the names of each partition's copies, the preferred primary first.

    The table has PARTITIONS rows of `min(replica_count, len(nodes))` distinct names;
    without nodes the rows are empty. The order of `nodes` is of no account.

    Raises ValueError for a replica count below 1 and for two nodes of one name.
    """
    placing = Placing(nodes, replica_count)
    while placing.rows is None:
        placing.step()
    return placing.rows


class Placing:
    """A placement under way, in steps of about half a millisecond.

    lists --all made--> copies --none open--> primaries --none open--> rows

    Raises what `place` does.
    """

    def __init__(self, nodes: Sequence[RingNode], replica_count: int) -> None:
        if replica_count < 1:
            raise ValueError(f"replica count must be at least 1, not {replica_count}")
        self._ring = sorted(nodes, key=lambda node: node.name)
        self._names = [node.name for node in self._ring]
        if len(set(self._names)) < len(self._names):
            raise ValueError("two nodes have the same name")
        self._copies_each = min(replica_count, len(self._ring))
        self._picks = _Picks(self._ring)
        self._steps = self._run()
        self.rows: Rows | None = None
        """The table, once the last step was taken."""

    def step(self) -> None:
        """Go on for a while."""
        next(self._steps, None)

    def _run(self) -> Iterator[None]:
        ring, names = self._ring, self._names
        if not ring:
            self.rows = tuple([()] * PARTITIONS)  # not of a tuple: mypyc makes a type of 1,024 fields of that
            return
        while self._picks.make_lists():
            yield
        copies = _Draft(self._copies_each, _limits(ring, PARTITIONS * self._copies_each, COPIES_LIMIT))
        yield from self._draft(copies, _zones(ring))
        yield from self._draft(copies, list(range(len(ring))))
        if copies.open:
            copies.limits = [PARTITIONS] * len(ring)
            yield from self._draft(copies, list(range(len(ring))))
        primaries = _Draft(1, _limits(ring, PARTITIONS, PRIMARIES_LIMIT))
        for at in range(0, len(copies.granted), PICKS_PER_STEP):
            primaries.run(copies.granted[at : at + PICKS_PER_STEP], list(range(len(ring))))
            yield
        for partition in range(PARTITIONS):
            if not primaries.holders[partition]:
                _exchange(partition, primaries, copies)
                yield
        rows: list[tuple[str, ...]] = []
        for holders, chosen in zip(copies.holders, primaries.holders, strict=True):
            primary = chosen[0]
            rows.append((names[primary], *[names[node] for node in holders if node != primary]))
        self.rows = tuple(rows)

    def _draft(self, draft: "_Draft", zones: Sequence[int]) -> Iterator[None]:
        """Go through the picks in their order, until all places are taken or nobody wants anything more."""
        at = 0
        while draft.open:
            if at == len(self._picks.known):
                if not self._picks.look_ahead():
                    return
                yield
            some = self._picks.known[at : at + PICKS_PER_STEP]
            draft.run(some, zones)
            at += len(some)
            yield


class _Draft:
    """Nodes picking partitions: who holds what so far, and how many places are open."""

    def __init__(self, copies_each: int, limits: list[int]) -> None:
        self.limits = limits
        """The most partitions that each node may hold."""
        self.held = [0] * len(limits)
        self.holders: list[list[int]] = [[] for _ in range(PARTITIONS)]
        self.granted: list[_Pick] = []
        self.open = PARTITIONS * copies_each
        self._copies_each = copies_each

    def run(self, picks: Sequence[_Pick], zones: Sequence[int]) -> None:
        """Grant picks in their order, as far as copies, limits and `zones`, one per node, allow."""
        held, limits, copies_each = self.held, self.limits, self._copies_each
        for pick in picks:
            node, partition = pick
            holders = self.holders[partition]
            if held[node] >= limits[node] or len(holders) >= copies_each:
                continue
            if zones[node] in [zones[holder] for holder in holders]:
                continue
            holders.append(node)
            held[node] += 1
            self.granted.append(pick)
            self.open -= 1
            if not self.open:
                return


def _exchange(partition: int, primaries: _Draft, copies: _Draft) -> None:
    """Find a primary for a partition whose copies all lie on full nodes.

    Searches, breadth first, the shortest chain in which each full node hands a primary
    to another copy of it, until a node has room. If there is none, the least loaded
    of the copies goes over its limit.
    """
    led: list[list[int]] = [[] for _ in primaries.limits]
    for owned, holders in enumerate(primaries.holders):
        if holders:
            led[holders[0]].append(owned)
    takes = dict.fromkeys(copies.holders[partition], partition)
    queue = list(takes)
    for last in queue:
        if primaries.held[last] < primaries.limits[last]:
            break
        for owned in led[last]:
            for other in copies.holders[owned]:
                if other not in takes:
                    takes[other] = owned
                    queue.append(other)
    else:
        last = min(copies.holders[partition], key=lambda node: primaries.held[node] / primaries.limits[node])
    primaries.held[last] += 1
    gaining, moved = last, takes[last]
    while moved != partition:
        losing = primaries.holders[moved][0]
        primaries.holders[moved] = [gaining]
        gaining, moved = losing, takes[losing]
    primaries.holders[partition] = [gaining]


class _WishList:
    """All partitions in the order in which one node reaches them, and how far that has been looked at."""

    __slots__ = ("at", "partitions", "shares", "weight")

    def __init__(self, node: RingNode) -> None:
        hashes = _HASHES.unpack(hashlib.shake_128(node.name.encode()).digest(_HASHES.size))
        order = sorted(range(PARTITIONS), key=hashes.__getitem__)
        self.partitions = array("H", order)
        # The low 32 bits put an entry at random between its time and the next, lest nodes tie.
        self.shares = array("I", [hashes[partition] & 0xFFFF_FFFF for partition in order])
        self.weight = node.weight
        self.at = 0

    def reach(self, until: float, index: int, times: list[float], picks: list[_Pick]) -> None:
        """Append what the node, number `index`, reaches before a time, and when."""
        at, weight = self.at, self.weight
        while at < PARTITIONS:
            start = _ENTRY_TIMES[at]
            time = (start + self.shares[at] / 2**32 * (_ENTRY_TIMES[at + 1] - start)) / weight
            if time >= until:
                break
            times.append(time)
            picks.append((index, self.partitions[at]))
            at += 1
        self.at = at


class _Picks:
    """Every pair of node and partition, in the order in which nodes reach them."""

    def __init__(self, ring: Sequence[RingNode]) -> None:
        self.known: list[_Pick] = []
        """The first of them."""
        self._ring = ring
        self._lists: list[_WishList] = []
        self._ahead = 1 / math.fsum([node.weight for node in ring]) if ring else 0.0
        self._until = 0.0

    def make_lists(self) -> bool:
        """Make some more of the wish lists; return whether there were any to make."""
        made = len(self._lists)
        self._lists += [_WishList(node) for node in self._ring[made : made + LISTS_PER_STEP]]
        return len(self._lists) > made

    def look_ahead(self) -> bool:
        """Find out who comes next; return False if nobody does."""
        times: list[float] = []
        picks: list[_Pick] = []
        while not picks:
            if all(one.at == PARTITIONS for one in self._lists):
                return False
            self._until += self._ahead
            self._ahead *= STRETCH
            for index, one in enumerate(self._lists):
                one.reach(self._until, index, times, picks)
        self.known += [picks[at] for at in sorted(range(len(picks)), key=times.__getitem__)]
        return True


def _zones(ring: Sequence[RingNode]) -> list[int]:
    """Number the zones, one number per node; equal numbers are equal zones."""
    first_of_zone: dict[str, int] = {}
    return [first_of_zone.setdefault(node.zone, index) if node.zone else index for index, node in enumerate(ring)]


def _limits(ring: Sequence[RingNode], places: int, factor: float) -> list[int]:
    """Return how many of `places` each node may take: `factor` x its fair share.

    Shares go by weight, but a node holds a partition at most once: what is too much
    for a heavy node is shared among the lighter ones. Rounding never cuts the share.
    """
    limits = [0] * len(ring)
    light_to_heavy = sorted(range(len(ring)), key=lambda index: ring[index].weight)
    weights = list(accumulate(ring[index].weight for index in light_to_heavy))
    places_left = float(places)
    for index, weight_left in zip(reversed(light_to_heavy), reversed(weights), strict=True):
        share = min(PARTITIONS, places_left * ring[index].weight / weight_left)
        limits[index] = min(PARTITIONS, max(int(factor * share), math.ceil(share)))
        places_left -= share
    return limits
