"""A copy, where its effects come from, and the loop through which they go: the path of every write on a replica."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from respcache.cluster.replication.items import STAMP, Items, Place
from respcache.cluster.replication.parts import Gathering

if TYPE_CHECKING:
    from respcache.cluster.ownership.record import Life
    from respcache.cluster.replication.storage import Assembly


NO_SEQUENCE: Final = -2
"""Neither that of an effect nor what comes before one."""


class Inbound:
    """What arrives from one life of a peer."""

    __slots__ = ("applied", "arrived", "failure", "gathered", "has_news", "life", "refused", "unacked")

    def __init__(self, life: "Life") -> None:
        self.life = life
        self.applied = 0
        """The number of the last frame applied."""
        self.unacked = False
        self.refused: dict[int, int] = {}
        """Partition to epoch of effects refused, until the copy is made afresh."""
        self.has_news = False
        """Whether the next ack has to name them: they have changed, or an ack that did may be lost with its link."""
        self.gathered: dict[int, Gathering] = {}
        """Frames that come in parts, by number, the latest last, until they are applied."""
        self.arrived = (0, 0)
        """The last one of which a part has come over the present link, and how many have."""
        self.failure: Exception | None = None
        """On what defect of this program an effect failed; its copy is given up."""

    @property
    def gathered_bytes(self) -> int:
        """What is held of those."""
        return sum([gathering.bytes for gathering in self.gathered.values()])


class Arriving:
    """A value that comes in pieces."""

    __slots__ = ("assembly", "at", "pieces")

    def __init__(self, at: tuple[bytes, bytes], assembly: "Assembly") -> None:
        self.at = at
        """Database and key."""
        self.assembly = assembly
        self.pieces = 0
        """So many have come."""


class Copy:
    """This node's copy of a partition that another node is the primary of.

    absent --BEGIN--> learning --END--> whole
       ^----------- void -----'-----------'
    """

    __slots__ = ("arriving", "epoch", "floor", "learning", "orphaned", "sequence", "source", "whole")

    def __init__(self) -> None:
        self.epoch = 0
        self.source: Inbound | None = None
        """Whose effects are taken; None while there is no primary."""
        self.sequence = NO_SEQUENCE
        """Of the last effect applied."""
        self.floor = 0
        """Effects up to this sequence are not among the recent ones that this node has kept."""
        self.learning = False
        self.arriving: Arriving | None = None
        """The large value that is coming in, while the copy is being made: one at a time."""
        self.whole = False
        self.orphaned = False
        """Whether this node was the primary until a record took that away while it was cut off."""

    def void(self) -> None:
        """Be no copy any more: no effect fits, and none is to be acked as if it were here, until it is made afresh."""
        self.whole = self.learning = False
        self.arriving = None
        self.sequence = NO_SEQUENCE


def apply_next(
    items: Items,
    place: Place,
    copies: dict[int, Copy],
    inbound: Inbound,
    apply: Callable[[int, int, list[bytes]], None],
) -> None:
    """Apply effects from a place on, as long as each is the next one of a copy that is fed from there.

    Goes on to the first that is not, or that fails, on which `inbound.failure` is set.
    """
    numbers, words = items.numbers, items.words
    at, taken, word = place.at, place.taken, place.word
    while at < len(numbers):
        partition, database = numbers[at], numbers[at + 3]
        copy = copies.get(partition)
        if (
            copy is None
            or copy.epoch != numbers[at + 1]
            or copy.source is not inbound
            or numbers[at + 2] + taken != copy.sequence + 1
            or database < 0
        ):
            break
        first = at + STAMP
        at = first + numbers[at + 4]
        for nth in range(first + taken, at):
            end = word + numbers[nth]
            try:
                apply(partition, database, words[word:end])
            except Exception as failure:  # noqa: BLE001 # whoever called raises it
                inbound.failure = failure
                place.at, place.taken, place.word = first - STAMP, nth - first, word
                return
            copy.sequence += 1
            word = end
        taken = 0
    place.at, place.taken, place.word = at, taken, word
