"""The record and the register's messages as MessagePack arrays; limits and consistency are checked while decoding."""

from typing import Annotated, Final

import msgspec

from respcache.cluster.ownership.changes import Proposal
from respcache.cluster.ownership.record import (
    NODES_MAX,
    Entry,
    Node,
    Number,
    PartitionNumber,
    Record,
    Version,
    differing,
)
from respcache.cluster.ownership.slots import PARTITIONS
from respcache.errors import RespcacheError

NOTHING: Final = (0, 0)
"""The version of no record at all: a full one is the difference to that."""

_Index = Annotated[int, msgspec.Meta(ge=-1, lt=NODES_MAX)]
_Indices = Annotated[tuple[_Index, ...], msgspec.Meta(max_length=NODES_MAX)]
_Version = tuple[Number, Number]


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
    replica_count: Annotated[int, msgspec.Meta(ge=1, le=NODES_MAX)]
    nodes: Annotated[tuple[Node, ...], msgspec.Meta(max_length=NODES_MAX)]
    entries: Annotated[tuple[_WireEntry, ...], msgspec.Meta(max_length=PARTITIONS)]


class Claim(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """I want to coordinate in this term. Promise to refuse records of earlier ones, and tell me yours."""

    term: Number


class Claimed(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """Promised; this is the newest record that I have accepted."""

    term: Number
    update: Update | None


class Refused(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """A claim or a record came too late: I have promised this term to somebody."""

    term: Number


class Accept(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """The coordinator's new record."""

    update: Update
    committed: bool


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """I hold this version now."""

    version: _Version


class Committed(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """Every live member holds this version."""

    version: _Version


class Fetch(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """I hold only this version: show me yours."""

    have: _Version


class Teach(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """A newer record, for one who is behind."""

    update: Update
    committed: bool


class Propose(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """Please decide this change. Sent again until answered."""

    number: Number
    change: Proposal


class Decided(msgspec.Struct, frozen=True, array_like=True, tag=19):
    """The change with this number was applied, or found void, and the record it led to is committed."""

    number: Number


RegisterMessage = Claim | Claimed | Refused | Accept | Accepted | Committed | Fetch | Teach | Propose | Decided


def difference(old: Record | None, new: Record) -> Update:
    """Return what turns `old`, an earlier version of the same record, into `new`; all of it for None."""
    positions = {name: index for index, name in enumerate(new.nodes)}
    entries = tuple(
        _WireEntry(
            partition,
            entry.epoch,
            entry.revision,
            entry.born,
            positions[entry.primary] if entry.primary else -1,
            tuple(positions[name] for name in entry.in_sync),
            tuple(positions[name] for name in entry.learners),
        )
        for partition in differing(old, new)
        for entry in (new.entries[partition],)
    )
    base = NOTHING if old is None else old.version
    return Update(new.cluster_id, base, new.version, new.replica_count, tuple(new.nodes.values()), entries)


def patched(old: Record | None, update: Update) -> Record | None:
    """Return the record that an update leads to, or None when it does not build on `old`.

    Raises DecodeError when the update contradicts itself.
    """
    names = [node.name for node in update.nodes]
    if len(set(names)) < len(names):
        raise DecodeError("a record names a node twice")
    entries: dict[int, Entry] = {}
    for wired in update.entries:
        indices = wired.in_sync + wired.learners
        if indices and (len(set(indices)) < len(indices) or min(indices) < 0 or max(indices) >= len(names)):
            raise DecodeError(f"copies of partition {wired.partition} are not distinct nodes of the record")
        if wired.primary not in (-1, *wired.in_sync):
            raise DecodeError(f"the primary of partition {wired.partition} is not in sync")
        entries[wired.partition] = Entry(
            wired.epoch,
            wired.revision,
            wired.born,
            names[wired.primary] if wired.primary >= 0 else "",
            tuple(names[index] for index in wired.in_sync),
            tuple(names[index] for index in wired.learners),
        )
    if update.base == NOTHING:
        if len(entries) != PARTITIONS:
            raise DecodeError("a full record lacks partitions")
        whole = tuple(entries[partition] for partition in range(PARTITIONS))
    elif old is None or (old.cluster_id, old.version) != (update.cluster_id, update.base):
        return None
    else:
        whole = old.edited(entries).entries
    nodes = {node.name: node for node in update.nodes}
    record = Record(update.cluster_id, update.version, update.replica_count, nodes, whole)
    gone = old is not None and not old.nodes.keys() <= nodes.keys()
    if gone and not record.holders() <= nodes.keys():  # entries of the update itself cannot name others
        raise DecodeError("an entry names a node that the record does not know")
    return record


def newest(one: Record | None, other: Record | None) -> Record | None:
    """Return the record of the greater version."""
    if one is None or (other is not None and other.version > one.version):
        return other
    return one


def version_of(record: Record | None) -> Version:
    """Return a record's version, NOTHING for none."""
    return NOTHING if record is None else record.version
