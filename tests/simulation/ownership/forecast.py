"""What storm each seed brings, and how the nodes see each other in it.

Most storms are small: they cost a quarter of a large one and find nearly as much, so that a thousand fit into a run of
all tests. What takes more nodes, more clients or more time to come about is left to every tenth and every hundredth.
"""

from dataclasses import replace
from typing import Final

from respcache.cluster.ownership.record import Quorum
from simulation.ownership.chaos import Aftermath, Storm, weather
from simulation.ownership.gossip import Gossip
from simulation.ownership.views import Eyes, Views

SMALL: Final = {
    copies: Storm(copies, 1.2, nodes_max=4, writers=4, counters=1, registers=1, pauses_s=(0.05, 0.4, 1.2), after_s=0.4)
    for copies in (2, 3)
}
"""By the number of copies."""
PART_BYTES: Final = 40
"""So little that every effect travels in several parts."""

LONGER_S: Final = 1.0
UNCLEAN_S: Final = 3.0
"""How long partitions without an owner wait before they begin anew, where sides may be without any."""


def storm_of(seed: int) -> Storm:
    """Choose a storm: of any size, and in every fourth all effects are large."""
    storm = _sized(seed)
    return replace(storm, frame_bytes=PART_BYTES) if seed % 4 == 3 else storm


def _sized(seed: int) -> Storm:
    """Choose one over two or three copies: small, or, by the last digits of its seed, large or huge."""
    copies = 2 + (seed // 10 + seed) % 2
    if seed % 100 == 99:
        return Storm(copies, 2.0, nodes=7 + seed // 100 % 3, nodes_max=11)
    if seed % 10 == 9:
        return Storm(copies, 1.5, nodes=3 + seed // 10 % 3)
    return SMALL[copies]


def sight_of(seed: int) -> Eyes:
    """Choose how nodes see each other: every other four times by real failure detectors, else by a hastier model."""
    return Gossip if seed % 8 >= 4 else Views


def weather_of(seed: int) -> Aftermath:
    """Let the storm of a seed pass; return what it did. Raises Violation."""
    return weather(seed, storm_of(seed), sight=sight_of(seed))


def scarce_of(seed: int) -> Aftermath:
    """Let one pass over three copies, of which two have to have what is acknowledged."""
    return weather(seed, replace(storm_of(seed), replica_count=3, nodes_max=5, min_in_sync=2), sight=sight_of(seed))


def hasty_of(seed: int) -> Aftermath:
    """Let one pass over nodes that answer at once."""
    return weather(seed, replace(storm_of(seed), asynchronous=True), sight=sight_of(seed))


def parted_of(seed: int) -> Aftermath:
    """Let one pass over nodes of which every side of a split goes on."""
    return weather(seed, split(storm_of(seed), Quorum.ANY), sight=sight_of(seed))


def pair_of(seed: int) -> Aftermath:
    """Let one pass over a pair, every other time until others join it."""
    storm = split(storm_of(seed), Quorum.AUTO)
    return weather(seed, replace(storm, nodes=2, nodes_max=2 + seed % 2 * 2), sight=sight_of(seed))


def split(storm: Storm, quorum: Quorum) -> Storm:
    """Let each side of a split go on.

    What clients have of their own they know of one truth only, so all keys are shared; and what is on no side has to
    begin anew, though not before most splits have ended. It takes longer until a side goes on than a majority.
    """
    shared = replace(storm, writers=0, counters=2, registers=4)
    return replace(shared, quorum=quorum, unclean_after_s=UNCLEAN_S, duration_s=storm.duration_s + LONGER_S)
