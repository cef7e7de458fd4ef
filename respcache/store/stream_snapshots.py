"""Streams as bytes and back, with their groups, consumers and deliveries."""

from typing import Final, TypeAlias

import msgspec

from respcache.store.packing import NotASnapshot
from respcache.store.stream_groups import Group
from respcache.store.streams import ID_MAX, SEQUENCE_BITS, SEQUENCE_MAX, UNKNOWN, Stream, restored

_Id: TypeAlias = tuple[int, int]
_Block: TypeAlias = tuple[_Id, bytes, int, int]
"""First id, entries, how many there ever were, size."""
_Group: TypeAlias = tuple[bytes, _Id, int, list[tuple[bytes, int]], list[tuple[_Id, int, int, int]]]
"""Name, last id, entries read, consumers with when they were seen; deliveries: id, consumer's place, when, count."""
_Whole: TypeAlias = tuple[_Id, int, _Id, list[_Block], list[_Group]]
"""Last id, entries ever added, highest deleted id, blocks, groups."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Whole)


def dump(value: Stream) -> bytes:
    """Write a stream (as a MessagePack array)."""
    blocks = [(_cut(one.first), one.blob(), one.appended, one.size_bytes) for one in value.each_block()]
    groups = [_group(name, value.groups[name]) for name in sorted(value.groups)]
    return _ENCODER.encode((_cut(value.last), value.added, _cut(value.deleted), blocks, groups))


def load(blob: bytes) -> Stream:
    """Read a stream. Raises NotASnapshot."""
    try:
        last, added, deleted, blocks, groups = _DECODER.decode(blob)
    except msgspec.DecodeError:
        raise NotASnapshot("not a stream") from None
    found = Stream()
    for first, entries, appended, size_bytes in blocks:
        block = restored(_whole(first), entries, appended, size_bytes)
        if found.blocks and block.first <= found.top:
            raise NotASnapshot("blocks of a stream out of order")
        found.adopt(block)
    for block in list(found.each_block())[:-1]:
        block.pack()
    found.last, found.added, found.deleted = _whole(last), added, _whole(deleted)
    if found.last < found.top or added < 0:
        raise NotASnapshot("a stream beyond its last id")
    for group in groups:
        found.groups[group[0]] = _load_group(group)
    return found


def _group(name: bytes, group: Group) -> _Group:
    consumers = group.sorted_consumers()
    places = {consumer.name: place for place, consumer in enumerate(consumers)}
    deliveries = [
        (_cut(number), places[one.consumer.name], one.at_unix_ms, one.count)
        for number, one in group.pending.following(0)
    ]
    return name, _cut(group.last), group.read, [(one.name, one.seen_unix_ms) for one in consumers], deliveries


def _load_group(written: _Group) -> Group:
    _, last, read, consumers, deliveries = written
    if read < UNKNOWN:
        raise NotASnapshot("a group that has read less than nothing")
    group = Group(_whole(last), read)
    found = [group.consumer(name, seen) for name, seen in consumers]
    for number, place, at_unix_ms, count in deliveries:
        if not 0 <= place < len(found):
            raise NotASnapshot("a delivery to no consumer")
        group.give(_whole(number), found[place], at_unix_ms, count)
    return group


def _cut(number: int) -> _Id:
    return number >> SEQUENCE_BITS, number & SEQUENCE_MAX


def _whole(parts: _Id) -> int:
    moment, sequence = parts
    if moment < 0 or sequence < 0:
        raise NotASnapshot("an id below 0")
    number = moment << SEQUENCE_BITS | sequence
    if number > ID_MAX:
        raise NotASnapshot("an id beyond 128 bits")
    return number
