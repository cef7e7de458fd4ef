"""The edits of the control record, as data: each a value with a pure `apply`.

A change says which state it was meant for, by revisions of entries and by lives of
nodes. Where that state has passed, it does nothing. So whoever wants a change may
propose it until told that it was decided, to one proposer after the other, and
changes that were decided twice have happened once.

Revisions are not raised by additions, hence two learners that become ready in the
same instant are not in each other's way. They are raised by all that takes something
away, hence "this learner is in sync", said of a copy that has been demoted since, is void.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Protocol

import msgspec

from respcache.cluster.ownership.record import (
    NODES_MAX,
    SEATS,
    VOTERS_MAX,
    Entry,
    Life,
    Name,
    Node,
    Number,
    PartitionNumber,
    Record,
    Standing,
    Voter,
)
from respcache.cluster.ownership.slots import PARTITIONS

Target = Sequence[tuple[str, ...]]
"""Where the copies of every partition should be, the preferred primary first."""

At = tuple[PartitionNumber, Number]
"""A partition, and the revision that its entry is expected to have."""

_Spots = Annotated[tuple[At, ...], msgspec.Meta(max_length=PARTITIONS)]
_NamedSpots = Annotated[tuple[tuple[PartitionNumber, Number, Name], ...], msgspec.Meta(max_length=PARTITIONS * 8)]

KINDS = ("failover", "handover", "isr", "members", "unclean", "voters")
"""What changes are counted by."""


class Change(Protocol):
    """An edit of the record."""

    kind: ClassVar[str]
    """One of KINDS."""

    def apply(self, record: Record) -> Record:
        """Return the edited record; the very same one when there is nothing to do."""
        ...


class Retire(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Take a node out of the ring: it asked for it (LEAVING) or is dead for too long (GONE).

    The last one stays if it is dead, for it may come back, and the partitions have nowhere else to go. If it leaves,
    nobody stays: with the ring empty nothing holds the others back.
    """

    kind: ClassVar[str] = "members"
    name: Name
    run: Number
    standing: Standing = Standing.LEAVING

    def apply(self, record: Record) -> Record:
        """Change the node's standing."""
        node = record.nodes.get(self.name)
        if node is None or node.run != self.run or node.standing is not Standing.MEMBER:
            return record
        if self.standing is Standing.GONE and len(record.ring()) == 1:
            return record
        retired = msgspec.structs.replace(node, standing=self.standing)
        return record.with_nodes({**record.nodes, self.name: retired}.values())


class InSync(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A learner has everything that the primary has, and the primary waits for its acks: it counts."""

    kind: ClassVar[str] = "isr"
    name: Name
    run: Number
    partitions: _Spots

    def apply(self, record: Record) -> Record:
        """Move the node from the learners to the copies in sync."""

        def synced(entry: Entry) -> Entry:
            if self.name not in entry.learners:
                return entry
            return msgspec.structs.replace(entry.without(self.name), in_sync=(*entry.in_sync, self.name))

        return _edit(record, self.partitions, synced) if record.has((self.name, self.run)) else record


class Demote(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A copy is not what the record says, or does not keep up: it has to be made again."""

    kind: ClassVar[str] = "isr"
    name: Name
    run: Number
    partitions: _Spots

    def apply(self, record: Record) -> Record:
        """Move the node, unless it is the primary, to the learners."""

        def demoted(entry: Entry) -> Entry:
            if self.name not in entry.in_sync or self.name == entry.primary:
                return entry
            bare = entry.without(self.name, revision=entry.revision + 1)
            return msgspec.structs.replace(bare, learners=(*bare.learners, self.name))

        return _edit(record, self.partitions, demoted) if record.has((self.name, self.run)) else record


class Move(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Primaries hand partitions, frozen and acked, over to other copies in sync."""

    kind: ClassVar[str] = "handover"
    partitions: _NamedSpots
    """(partition, revision, next primary)."""

    def apply(self, record: Record) -> Record:
        """Begin a new epoch of each partition."""
        edits = {}
        for partition, revision, name in self.partitions:
            entry = record.entries[partition]
            if entry.revision == revision and name in entry.in_sync and name != entry.primary:
                edits[partition] = _crowned(entry, name)
        return record.edited(edits)


class Surrender(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A node that the record holds for in sync has nothing: it says so instead of serving emptiness."""

    kind: ClassVar[str] = "failover"
    name: Name
    run: Number
    partitions: _Spots

    def apply(self, record: Record) -> Record:
        """Take the node out; another copy in sync becomes primary, or none."""

        def surrendered(entry: Entry) -> Entry:
            if self.name not in entry.in_sync:
                return entry
            bare = entry.without(self.name, revision=entry.revision + 1)
            if entry.primary != self.name:
                return bare
            return _crowned(bare, bare.in_sync[0]) if bare.in_sync else msgspec.structs.replace(bare, primary="")

        return _edit(record, self.partitions, surrendered) if record.has((self.name, self.run)) else record


class Drop(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Copies that the ring places elsewhere have been replaced: they go."""

    kind: ClassVar[str] = "isr"
    partitions: _NamedSpots
    """(partition, revision, name of the surplus copy)."""

    def apply(self, record: Record) -> Record:
        """Take the copies out, but never a primary."""
        edits: dict[int, Entry] = {}
        for partition, revision, name in self.partitions:
            entry = edits.get(partition, record.entries[partition])
            if record.entries[partition].revision == revision and name in entry.holders and name != entry.primary:
                edits[partition] = entry.without(name, revision=revision + 1)
        return record.edited(edits)


class Seize(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """A copy in sync becomes the primary, though the present one has not handed over: an operator wants it so.

    What that one was about to acknowledge may be lost with it, and its clients are told that nobody knows.
    """

    kind: ClassVar[str] = "failover"
    name: Name
    run: Number
    partitions: _Spots

    def apply(self, record: Record) -> Record:
        """Begin a new epoch; the revision is raised twice, which tells this from a hand-over (see `record.broke`)."""

        def seized(entry: Entry) -> Entry:
            if self.name not in entry.in_sync or self.name == entry.primary:
                return entry
            return msgspec.structs.replace(_crowned(entry, self.name), revision=entry.revision + 2)

        return _edit(record, self.partitions, seized) if record.has((self.name, self.run)) else record


Proposal = Retire | InSync | Demote | Move | Surrender | Drop | Seize
"""What a member asks of the proposer. The changes below only the proposer has the view to make."""


class Admit(msgspec.Struct, frozen=True):
    """A member is let in, or back in. A former life of that name is taken out of everything first."""

    kind: ClassVar[str] = "members"
    node: Node

    def apply(self, record: Record) -> Record:
        """Put the node on the ring."""
        name = self.node.name
        known = record.nodes.get(name)
        if known is None and len(record.nodes) >= NODES_MAX:
            return record
        if known is not None and (known.run > self.node.run or known == self.node):
            return record
        if known is not None and known.run < self.node.run:
            record = _erased(record, name)
        admitted = record.with_nodes({**record.nodes, name: self.node}.values())
        return replace(admitted, widest=max(record.widest, len(admitted.ring())))


class Bury(msgspec.Struct, frozen=True):
    """Members are dead: their copies count no longer, and where they were primary another copy takes over.

    A copy is given up only if another one was heard of this instant. Otherwise the entry stays as it is, since
    the copy that comes back without a restart still has it all.
    """

    kind: ClassVar[str] = "failover"
    dead: tuple[Life, ...]
    preferred: Target
    """Whom to promote first."""
    heirs: frozenset[str]
    """Who has just been heard of."""

    def apply(self, record: Record) -> Record:
        """Take the dead out of every entry that has somebody else in sync."""
        dead = {name for name, run in self.dead if record.has((name, run))}
        edits: dict[int, Entry] = {}
        left: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[tuple[str, ...], tuple[str, ...]]] = {}
        for partition, entry in enumerate(record.entries):
            before = (entry.in_sync, entry.learners)
            after = left.get(before)
            if after is None:  # few sets of nodes hold all partitions between them
                after = left[before] = self._left(*before, dead)
            if after == before:
                continue
            alive, learners = after
            epoch, revision, primary = entry.epoch, entry.revision + 1, entry.primary
            if primary and primary not in alive:
                heirs = [name for name in alive if name in self.heirs]
                primary = next((name for name in self.preferred[partition] if name in heirs), heirs[0])
                epoch, revision = epoch + 1, revision + 1
            edits[partition] = Entry(epoch, revision, entry.born, primary, alive, learners)
        return record.edited(edits)

    def _left(
        self, in_sync: tuple[str, ...], learners: tuple[str, ...], dead: set[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Take the dead out of the copies of a partition; those in sync stay if nobody could take over."""
        alive = tuple(name for name in in_sync if name not in dead)
        if self.heirs.isdisjoint(alive):
            alive = in_sync
        return alive, tuple(name for name in learners if name not in dead)


class Enrol(msgspec.Struct, frozen=True):
    """A member becomes a voter. At most one voter comes or goes with each version."""

    kind: ClassVar[str] = "voters"
    life: Life

    def apply(self, record: Record) -> Record:
        """Give the member a seat of its own."""
        if not record.has(self.life) or len(record.voters) >= VOTERS_MAX:
            return record
        if any(voter.name == self.life[0] for voter in record.voters):  # perhaps a former life, not dismissed yet
            return record
        voter = Voter(*self.life, record.seats % SEATS)
        return replace(record, voters=(*record.voters, voter), seats=record.seats + 1)


class Dismiss(msgspec.Struct, frozen=True):
    """A voter is dead, or leaves. The last one stays."""

    kind: ClassVar[str] = "voters"
    life: Life

    def apply(self, record: Record) -> Record:
        """Take the seat away."""
        voters = tuple(voter for voter in record.voters if voter.life != self.life)
        return record if not voters or len(voters) == len(record.voters) else replace(record, voters=voters)


class Forget(msgspec.Struct, frozen=True):
    """A node that is off the ring, dead, and named in no entry is of no concern any more."""

    kind: ClassVar[str] = "members"
    life: Life

    def apply(self, record: Record) -> Record:
        """Remove the node."""
        name, run = self.life
        node = record.nodes.get(name)
        if node is None or node.run != run or node.standing is Standing.MEMBER or record.votes(self.life):
            return record
        if name in record.holders():
            return record
        return record.with_nodes(node for node in record.nodes.values() if node.name != name)


class Learn(msgspec.Struct, frozen=True):
    """Members should make copies of partitions."""

    kind: ClassVar[str] = "isr"
    partitions: tuple[tuple[int, str], ...]
    """(partition, learner)."""

    def apply(self, record: Record) -> Record:
        """Add learners."""
        edits: dict[int, Entry] = {}
        for partition, name in self.partitions:
            entry = edits.get(partition, record.entries[partition])
            if name in record.nodes and name not in entry.holders:
                edits[partition] = msgspec.structs.replace(entry, learners=(*entry.learners, name))
        return record.edited(edits)


class Recreate(msgspec.Struct, frozen=True):
    """All copies are lost for good: partitions begin anew, empty."""

    kind: ClassVar[str] = "unclean"
    partitions: tuple[tuple[int, int, str], ...]
    """(partition, revision, next primary)."""

    def apply(self, record: Record) -> Record:
        """Begin a new epoch from nothing."""
        edits = {}
        for partition, revision, name in self.partitions:
            entry = record.entries[partition]
            if entry.revision == revision and name in record.nodes:
                epoch = entry.epoch + 1
                edits[partition] = Entry(epoch, revision + 1, epoch, name, (name,))
        return record.edited(edits)


def _edit(record: Record, spots: Iterable[At], edit: Callable[[Entry], Entry]) -> Record:
    """Edit the entries whose revision is the expected one."""
    edits = {}
    for partition, revision in spots:
        entry = record.entries[partition]
        if entry.revision == revision and (edited := edit(entry)) is not entry:
            edits[partition] = edited
    return record.edited(edits)


def _crowned(entry: Entry, name: str) -> Entry:
    """Return the entry with a new primary, hence a new epoch."""
    return msgspec.structs.replace(entry, epoch=entry.epoch + 1, revision=entry.revision + 1, primary=name)


def _erased(record: Record, name: str) -> Record:
    """Take a node that lost its memory out of every entry, even as the last copy."""
    edits: dict[int, Entry] = {}
    for partition, entry in enumerate(record.entries):
        if name in entry.in_sync:
            bare = entry.without(name, revision=entry.revision + 1)
            if entry.primary == name:
                bare = _crowned(bare, bare.in_sync[0]) if bare.in_sync else msgspec.structs.replace(bare, primary="")
            edits[partition] = bare
        elif name in entry.learners:
            edits[partition] = entry.without(name, revision=entry.revision + 1)
    return record.edited(edits)
