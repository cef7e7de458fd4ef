"""The record and the register's messages as MessagePack arrays; limits and consistency are checked while decoding."""

import math
from collections.abc import Iterable
from typing import Annotated

import msgspec

from respcache.cluster.ownership.changes import Proposal
from respcache.cluster.ownership.record import (
    NODES_MAX,
    NOTHING,
    VOTERS_MAX,
    Entry,
    Name,
    Node,
    Number,
    PartitionNumber,
    Quorum,
    Record,
    Version,
    Voter,
    differing,
)
from respcache.cluster.ownership.slots import PARTITIONS
from respcache.errors import RespcacheError

_Index = Annotated[int, msgspec.Meta(ge=-1, lt=NODES_MAX)]
_Indices = Annotated[tuple[_Index, ...], msgspec.Meta(max_length=NODES_MAX)]
_Version = tuple[Number, Number]
_Voters = Annotated[tuple[Voter, ...], msgspec.Meta(min_length=1, max_length=VOTERS_MAX)]


class DecodeError(RespcacheError):
    """Bytes from a peer that are no message, or contradict themselves. They were dropped; nothing changed."""


class _WireEntry(msgspec.Struct, frozen=True, array_like=True):
    """An entry; names are positions in the list of nodes, -1 is nobody."""

    partition: PartitionNumber
    epoch: Number
    revision: Number
    born: Number
    primary: _Index
    in_sync: _Indices
    learners: _Indices


class Update(msgspec.Struct, frozen=True, array_like=True):
    """A record, as what it differs in from an earlier version of it."""

    cluster_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    base: _Version
    """The version that this builds on; NOTHING for a full record."""
    version: _Version
    parent: _Version
    replica_count: Annotated[int, msgspec.Meta(ge=1, le=NODES_MAX)]
    quorum: Quorum
    widest: Annotated[int, msgspec.Meta(ge=1, le=NODES_MAX)]
    seats: Number
    voters: _Voters
    electors: _Voters
    nodes: Annotated[tuple[Node, ...], msgspec.Meta(max_length=NODES_MAX)]
    entries: Annotated[tuple[_WireEntry, ...], msgspec.Meta(max_length=PARTITIONS)]


class Prepare(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """I want to propose in this term. Promise to accept nothing of earlier ones, and show me what you accepted."""

    term: Number
    have: _Version
    """What I hold myself: no need to send that."""


class Promised(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """Promised; this is the newest record that I have accepted, unless you have it."""

    term: Number
    have: _Version
    update: Update | None


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """Not in this term: I have promised a later one, or keep to a proposer that I can reach."""

    term: Number
    promised: Number


class Accept(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """The proposer's next record, in the term of its version."""

    update: Update


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """I hold this version now, until I accept another one."""

    version: _Version


class Lacking(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """I do not hold what the accepted version builds on: send all of it."""

    version: _Version


class Chosen(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """A majority of the voters has accepted this version: it is the record."""

    version: _Version
    update: Update | None
    """For those that were not asked to accept it."""


class Fetch(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """I hold only this version: show me yours."""

    have: _Version


class Propose(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """Please decide this change. Sent again until answered."""

    number: Number
    change: Proposal
    asked_s: float = -math.inf
    """What Doubted said, if this answers it."""


class Decided(msgspec.Struct, frozen=True, array_like=True, tag=19):
    """The change with this number was applied, or found void, and the record it led to is committed.

    The answer counts where that version of the record, or a later one, is known, and not before.
    """

    number: Number
    version: _Version = NOTHING


class Renew(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """Grant me a lease. I know this version of the record."""

    number: Number
    version: _Version


class Granted(msgspec.Struct, frozen=True, array_like=True, tag=22):
    """You have a lease from me, if you know at least this version."""

    number: Number
    version: _Version


class Fence(msgspec.Struct, frozen=True, array_like=True, tag=23):
    """This version took something away from these lives. For how long may they still serve by your leases?"""

    version: _Version
    lives: Annotated[tuple[tuple[Name, Number], ...], msgspec.Meta(max_length=NODES_MAX)]


class Fenced(msgspec.Struct, frozen=True, array_like=True, tag=24):
    """For so many microseconds each."""

    version: _Version
    lives: Annotated[tuple[tuple[Name, Number, Number], ...], msgspec.Meta(max_length=NODES_MAX)]


class Doubted(msgspec.Struct, frozen=True, array_like=True, tag=25):
    """Is the change with this number still wanted? Whoever asked for it may have died since."""

    number: Number
    asked_s: float
    """The leader's time, which the answer has to carry."""


RegisterMessage = (
    Prepare | Promised | Refused | Accept | Accepted | Lacking | Chosen | Fetch | Propose | Decided | Doubted
)
LeaseMessage = Renew | Granted | Fence | Fenced


def difference(old: Record | None, new: Record) -> Update:
    """Return what turns `old`, an earlier version of the same record, into `new`; all of it for None."""
    positions = {name: index for index, name in enumerate(new.nodes)}
    known: dict[tuple[str, ...], tuple[int, ...]] = {}  # few nodes hold all partitions between them

    def placed(names: tuple[str, ...]) -> tuple[int, ...]:
        found = known.get(names)
        if found is None:
            found = known[names] = tuple(positions[name] for name in names)
        return found

    entries = tuple(
        _WireEntry(
            partition,
            entry.epoch,
            entry.revision,
            entry.born,
            positions[entry.primary] if entry.primary else -1,
            placed(entry.in_sync),
            placed(entry.learners),
        )
        for partition in differing(old, new)
        for entry in (new.entries[partition],)
    )
    base = NOTHING if old is None else old.version
    return Update(
        cluster_id=new.cluster_id,
        base=base,
        version=new.version,
        parent=new.parent,
        replica_count=new.replica_count,
        quorum=new.quorum,
        widest=new.widest,
        seats=new.seats,
        voters=new.voters,
        electors=new.electors,
        nodes=tuple(new.nodes.values()),
        entries=entries,
    )


def patched_one(olds: Iterable[Record | None], update: Update) -> Record | None:
    """Return what `patched` does of the first of some records that an update builds on."""
    return next((record for old in olds if (record := patched(old, update)) is not None), None)


def patched(old: Record | None, update: Update) -> Record | None:
    """Return the record that an update leads to, or None when it does not build on `old`.

    Raises DecodeError when the update contradicts itself.
    """
    names = [node.name for node in update.nodes]
    if len(set(names)) < len(names):
        raise DecodeError("a record names a node twice")
    if len({voter.name for voter in update.voters}) < len(update.voters):
        raise DecodeError("a record names a voter twice")
    entries = _entries(update, names)
    if update.base == NOTHING:
        if not entries or len(entries) != max(entries) + 1:
            raise DecodeError("a full record lacks partitions")
        whole = tuple(entries[partition] for partition in range(len(entries)))
    elif old is None or (old.cluster_id, old.version) != (update.cluster_id, update.base):
        return None
    elif entries and max(entries) >= len(old.entries):
        raise DecodeError("an entry of a partition that the record does not have")
    else:
        whole = old.edited(entries).entries
    nodes = {node.name: node for node in update.nodes}
    record = Record(
        cluster_id=update.cluster_id,
        version=update.version,
        replica_count=update.replica_count,
        nodes=nodes,
        entries=whole,
        voters=update.voters,
        electors=update.electors,
        seats=update.seats,
        widest=update.widest,
        quorum=update.quorum,
        parent=update.parent,
    )
    gone = old is not None and not old.nodes.keys() <= nodes.keys()
    if gone and not record.holders() <= nodes.keys():  # entries of the update itself cannot name others
        raise DecodeError("an entry names a node that the record does not know")
    return record


def _entries(update: Update, names: list[str]) -> dict[int, Entry]:
    """Put names in the place of numbers."""
    entries: dict[int, Entry] = {}
    known: dict[tuple[int, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for wired in update.entries:
        placed = (wired.primary, len(wired.in_sync), *wired.in_sync, *wired.learners)
        holders = known.get(placed)
        if holders is None:  # few nodes hold all partitions between them
            holders = known[placed] = _holders(wired, names)
        primary = names[wired.primary] if wired.primary >= 0 else ""
        entries[wired.partition] = Entry(wired.epoch, wired.revision, wired.born, primary, *holders)
    return entries


def _holders(wired: _WireEntry, names: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Name those who are in sync, and those who learn. Raises DecodeError if they cannot be that."""
    indices = wired.in_sync + wired.learners
    if indices and (len(set(indices)) < len(indices) or min(indices) < 0 or max(indices) >= len(names)):
        raise DecodeError(f"copies of partition {wired.partition} are not distinct nodes of the record")
    if wired.primary not in (-1, *wired.in_sync):
        raise DecodeError(f"the primary of partition {wired.partition} is not in sync")
    return tuple(names[index] for index in wired.in_sync), tuple(names[index] for index in wired.learners)


def version_of(record: Record | None) -> Version:
    """Return a record's version, NOTHING for none."""
    return NOTHING if record is None else record.version
