"""The control record: which nodes make up the cluster, and who holds each partition.

A record is immutable. It is edited by changes (see `changes`), agreed on by the
register, and read by everybody. The names in its entries stand for one life of a
node each, the one that `nodes` gives: before another life of that name is let in,
the former one is taken out of all entries, so a node that lost its memory is
never mistaken for the copy that it was.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

import msgspec

from respcache.cluster.ownership.ring import WEIGHT_MAX, WEIGHT_MIN, RingNode
from respcache.cluster.ownership.slots import PARTITIONS

Version = tuple[int, int]
"""(term, counter): every change raises the counter, every new proposer the term. Greater is newer."""

NOTHING: Final = (0, 0)
"""The version of no record at all: a full one is the difference to that."""

Life = tuple[str, int]
"""(name, run epoch): a node from its start to its end."""

NAME_CHARACTERS_MAX: Final = 64
NODES_MAX: Final = 1_024
"""A record names no more nodes than there are partitions."""
NUMBER_MAX: Final = 2**53
PAIR: Final = 2
"""The most members of a cluster in which a majority would be everybody."""
VOTERS_MAX: Final = 7
"""Five deaths in a row are outlived by two votes each; more voters would slow every change down."""
SEATS: Final = 2**20
"""Seats are numbered on and on, and begin anew after so many."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
Number = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
PartitionNumber = Annotated[int, msgspec.Meta(ge=0, lt=PARTITIONS)]
Weight = Annotated[float, msgspec.Meta(ge=WEIGHT_MIN, le=WEIGHT_MAX)]
Zone = Annotated[str, msgspec.Meta(max_length=128)]


class Standing(enum.IntEnum):
    """What place a node has in the cluster."""

    MEMBER = 0
    """In the ring: partitions are placed on it."""
    LEAVING = 1
    """Lives, wants no partitions, and hands over those that it has."""
    GONE = 2
    """Dead for so long that its copies are made elsewhere; named only because it was the last to hold something."""


class Quorum(enum.IntEnum):
    """Who may go on when the members do not all reach each other."""

    AUTO = 0
    """As ANY while the cluster never had more than two members, as MAJORITY from the third on."""
    MAJORITY = 1
    """The side with a majority of the voters; every other side stops within a lease."""
    ANY = 2
    """Every side; on healing the newer record wins, and what the others wrote is dropped."""


class Voter(msgspec.Struct, frozen=True, array_like=True):
    """A life of a node that the record is agreed among."""

    name: Name
    run: Number
    seat: Annotated[int, msgspec.Meta(ge=0, lt=SEATS)]
    """No two voters ever have the same one, so no two ever propose in the same term: see `next_term`."""

    @property
    def life(self) -> Life:
        """Name and run epoch."""
        return self.name, self.run


class Node(msgspec.Struct, frozen=True, array_like=True):
    """One life of a node."""

    name: Name
    run: Number
    """Its run epoch; a restart has a greater one."""
    weight: Weight = 1.0
    zone: Zone = ""
    standing: Standing = Standing.MEMBER

    @property
    def life(self) -> Life:
        """Name and run epoch."""
        return self.name, self.run


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Who holds one partition. Nobody does while `primary` is empty.

    A change may make a thousand of them, and a struct is made and compared ten times as fast as a dataclass.
    """

    epoch: int = 0
    """Raised when another node becomes primary; effects carry it, and those of an older one are refused."""
    revision: int = 0
    """Raised with the epoch, and when a copy is taken out of `in_sync`. A change that was meant for
    another revision does nothing, so changes may be proposed again and again."""
    born: int = 0
    """The epoch in which the partition began, empty. In this epoch alone a primary may start from nothing."""
    primary: str = ""
    in_sync: tuple[str, ...] = ()
    """The copies that have every acknowledged write. The last one stays named when it dies: it may return."""
    learners: tuple[str, ...] = ()
    """Copies in the making."""

    @property
    def holders(self) -> tuple[str, ...]:
        """All who have the partition or a part of it."""
        return self.in_sync + self.learners

    def without(self, name: str, *, revision: int | None = None) -> "Entry":
        """Return the entry with one copy taken out of both lists."""
        return msgspec.structs.replace(
            self,
            revision=self.revision if revision is None else revision,
            in_sync=tuple(other for other in self.in_sync if other != name),
            learners=tuple(other for other in self.learners if other != name),
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One version of the truth."""

    cluster_id: str
    version: Version
    replica_count: int
    nodes: Mapping[str, Node]
    entries: tuple[Entry, ...]
    voters: tuple[Voter, ...]
    """Among whom the next version is agreed."""
    electors: tuple[Voter, ...]
    """Among whom this one was, or is to be."""
    seats: int
    """Seats given out so far."""
    widest: int
    """The most members that the cluster ever had at a time."""
    quorum: Quorum
    parent: Version
    """The version that this one was edited from."""

    @property
    def splits(self) -> bool:
        """Whether each side of a split goes on alone."""
        return self.quorum is Quorum.ANY or (self.quorum is Quorum.AUTO and self.widest <= PAIR)

    @property
    def leaving(self) -> bool:
        """Whether any member is on its way out."""
        return any(node.standing is Standing.LEAVING for node in self.nodes.values())

    def votes(self, life: Life) -> bool:
        """Whether this life of a node is a voter."""
        return any(voter.life == life for voter in self.voters)

    def has(self, life: Life) -> bool:
        """Whether the record speaks of this life of the node."""
        node = self.nodes.get(life[0])
        return node is not None and node.run == life[1]

    def ring(self) -> tuple[RingNode, ...]:
        """Return the nodes that partitions are placed on, in the order of names."""
        return tuple(
            RingNode(node.name, node.weight, node.zone)
            for _, node in sorted(self.nodes.items())
            if node.standing is Standing.MEMBER
        )

    def holders(self) -> set[str]:
        """Return the names that occur in entries."""
        return {name for entry in self.entries for name in entry.holders}

    def edited(self, entries: Mapping[int, Entry]) -> "Record":
        """Return the record with some entries replaced; the very same one when none is."""
        if not entries:
            return self
        edited = list(self.entries)
        for partition, entry in entries.items():
            edited[partition] = entry
        return replace(self, entries=tuple(edited))

    def with_nodes(self, nodes: Iterable[Node]) -> "Record":
        """Return the record with these nodes and no others."""
        return replace(self, nodes={node.name: node for node in nodes})


def found(
    cluster_id: str, founder: Node, replica_count: int, quorum: Quorum = Quorum.AUTO, partitions: int = PARTITIONS
) -> Record:
    """Return the first record of a cluster: one node that holds everything, which is nothing."""
    entry = Entry(epoch=1, revision=1, born=1, primary=founder.name, in_sync=(founder.name,))
    voter = Voter(founder.name, founder.run, 0)
    return Record(
        cluster_id=cluster_id,
        version=(next_term(0, voter.seat), 1),
        replica_count=replica_count,
        nodes={founder.name: founder},
        entries=(entry,) * partitions,
        voters=(voter,),
        electors=(voter,),
        seats=1,
        widest=1,
        quorum=quorum,
        parent=NOTHING,
    )


def next_term(after: int, seat: int) -> int:
    """Return the first term greater than `after` in which the voter with this seat, and nobody else, may propose."""
    return (after // SEATS + 1) * SEATS + seat


def majority(voters: int) -> int:
    """Return how many of so many voters are a majority: any two majorities have a voter in common."""
    return voters // 2 + 1


def blocking(voters: int) -> int:
    """Return how many of so many voters have one in common with every majority."""
    return voters - majority(voters) + 1


def differing(old: Record | None, new: Record) -> list[int]:
    """Return the partitions whose entries differ: all of them where there was no record or that of another cluster."""
    if old is None:
        return list(range(len(new.entries)))
    return [
        partition
        for partition, (before, after) in enumerate(zip(old.entries, new.entries, strict=True))
        if before is not after and before != after
    ]


def same_line(old: Record | None, new: Record) -> bool:
    """Whether one version has become the other, by however many that this node did not see.

    The versions of a term have one proposer, who makes each out of the one before (see `register`). Those of different
    terms may lie on two branches, where an operator, or `quorum = any`, has had one side go on alone.
    """
    return old is not None and old.cluster_id == new.cluster_id and old.version[0] == new.version[0]


def same_ring(old: Record | None, new: Record) -> bool:
    """Whether partitions are placed on the same lives of the same nodes as before."""
    if old is None:
        return False
    return old.nodes is new.nodes or _placed_on(old) == _placed_on(new)


def _placed_on(record: Record) -> dict[str, Node]:
    return {name: node for name, node in record.nodes.items() if node.standing is Standing.MEMBER}


def handed_over(before: Entry, after: Entry) -> bool:
    """Tell whether one version made another node primary because the former one, which still is a copy, wanted it."""
    return (
        before.primary not in ("", after.primary)
        and before.primary in after.in_sync
        and before.born == after.born
        and after.revision == before.revision + 1
    )


def broke(old: Record | None, new: Record, *, leap: bool) -> bool:
    """Tell whether a primary was replaced that has not handed over: then it is no copy in sync any more."""
    return old is not None and (
        leap
        or any(
            bool(before.primary)
            and (
                before.primary not in after.in_sync
                or before.born != after.born
                or (before.primary != after.primary and not handed_over(before, after))
            )
            for before, after in zip(old.entries, new.entries, strict=True)
            if before is not after
        )
    )
