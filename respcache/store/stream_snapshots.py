"""Streams as words and back, with their groups, consumers and deliveries.

The first word is the head of the stream. Each of the others begins with a byte that says what it is: a block of
entries, a group with its consumers, or some deliveries of the group that came last.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeAlias

import msgspec

from respcache.store.packing import NotASnapshot
from respcache.store.stream_blocks import ID_MAX, SEQUENCE_BITS, SEQUENCE_MAX, restored
from respcache.store.stream_groups import Group
from respcache.store.streams import UNKNOWN, Stream
from respcache.unreadable import UNREADABLE

BLOCK: Final = b"b"
GROUP: Final = b"g"
DELIVERIES: Final = b"d"
DELIVERIES_MAX: Final = 200
"""Deliveries in one word."""
WEIGHT: Final = 100
"""As many entries has a block by default (`stream-node-max-entries`), and each is read and packed again."""

_Id: TypeAlias = tuple[int, int]
_Head: TypeAlias = tuple[_Id, int, _Id]
"""Last id, entries ever added, highest deleted id."""
_Block: TypeAlias = tuple[_Id, bytes, int, int]
"""First id, entries, how many there ever were, size."""
_Group: TypeAlias = tuple[bytes, _Id, int, list[tuple[bytes, int, int]]]
"""Name, last id, entries read, consumers with when they were seen and when they were active."""
_Deliveries: TypeAlias = list[tuple[_Id, bytes, int, int]]
"""Id, consumer, when, count."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_HEADS: Final = msgspec.msgpack.Decoder(_Head)
_BLOCKS: Final = msgspec.msgpack.Decoder(_Block)
_GROUPS: Final = msgspec.msgpack.Decoder(_Group)
_DELIVERIES: Final = msgspec.msgpack.Decoder(_Deliveries)


def words(value: Stream) -> Iterator[bytes]:
    """Write a stream."""
    yield _ENCODER.encode((_cut(value.last), value.added, _cut(value.deleted)))
    for one in value.each_block():
        yield BLOCK + _ENCODER.encode((_cut(one.first), one.blob(), one.appended, one.size_bytes))
    for name in sorted(value.groups):
        group = value.groups[name]
        consumers = [(one.name, one.seen_unix_ms, one.active_unix_ms) for one in group.sorted_consumers()]
        yield GROUP + _ENCODER.encode((name, _cut(group.last), group.read, consumers))
        deliveries = group.pending.following(0)
        while some := list(islice(deliveries, DELIVERIES_MAX)):
            yield DELIVERIES + _ENCODER.encode(
                [(_cut(number), one.consumer, one.at_unix_ms, one.count) for number, one in some]
            )


def begin(head: bytes) -> Stream:
    """Begin to read a stream. Raises NotASnapshot."""
    try:
        last, added, deleted = _HEADS.decode(head)
    except UNREADABLE:
        raise NotASnapshot("not a stream") from None
    if added < 0:
        raise NotASnapshot("a stream of less than no entries")
    found = Stream()
    found.last, found.added, found.deleted = _whole(last), added, _whole(deleted)
    return found


def extend(value: Stream, some: list[bytes]) -> None:
    """Go on with some of its blocks and groups. Raises NotASnapshot."""
    try:
        for word in some:
            match word[:1]:
                case b"b":
                    _load_block(value, _BLOCKS.decode(word[1:]))
                case b"g":
                    _load_group(value, _GROUPS.decode(word[1:]))
                case b"d":
                    _load_deliveries(value, _DELIVERIES.decode(word[1:]))
                case _:
                    raise NotASnapshot("not a part of a stream")
    except UNREADABLE:
        raise NotASnapshot("not a part of a stream") from None


def _load_block(value: Stream, written: _Block) -> None:
    first, entries, appended, size_bytes = written
    block = restored(_whole(first), entries, appended, size_bytes)
    if value.blocks and block.first <= value.top:
        raise NotASnapshot("blocks of a stream out of order")
    if block.last > value.last:
        raise NotASnapshot("a stream beyond its last id")
    value.adopt(block)


def _load_group(value: Stream, written: _Group) -> None:
    name, last, read, consumers = written
    if read < UNKNOWN:
        raise NotASnapshot("a group that has read less than nothing")
    if name in value.groups:
        raise NotASnapshot("a group that comes twice")
    group = value.groups[name] = Group(_whole(last), read)
    for consumer, seen_unix_ms, active_unix_ms in consumers:
        group.consumer(consumer, seen_unix_ms).active_unix_ms = active_unix_ms


def _load_deliveries(value: Stream, written: _Deliveries) -> None:
    if not value.groups:
        raise NotASnapshot("deliveries of no group")
    group = value.groups[next(reversed(value.groups))]
    for number, name, at_unix_ms, count in written:
        consumer = group.consumers.get(name)
        if consumer is None:
            raise NotASnapshot("a delivery to no consumer")
        group.give(_whole(number), consumer, at_unix_ms, count)


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
