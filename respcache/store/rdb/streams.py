"""Streams in a payload: nodes of entries, and the groups with what was delivered and not acknowledged. Pure.

    stream      number of nodes, nodes; number of entries, last id, [first id, highest deleted id, entries ever added],
                number of groups, groups
    node        id of its master entry (16 bytes, big-endian, as a string), listpack
    listpack    entries, deleted entries, number of names, names, 0 (the master entry); entries
    entry       flags (1: deleted, 2: its names are those of the master), differences of its id to the master's,
                number of names, names and values by turns or just values, number of words before this one
    group       name, last id, [entries read], number of deliveries, deliveries, number of consumers, consumers
    delivery    id (16 bytes), time (8 bytes, little-endian), how often
    consumer    name, when it was seen, [when it was active], number of deliveries, their ids

What stands in brackets came later: the first two with version 2, the third with version 3. After Redis' rdb.c and
t_stream.c.
"""

from typing import Final

from respcache.store.digits import is_int64
from respcache.store.limits import STREAM_NODE_BYTES_MAX, STREAM_NODE_ENTRIES_MAX
from respcache.store.rdb.listpack import add, unpacked, wrapped
from respcache.store.rdb.wire import Reader, Writer
from respcache.store.rdb.wrong import BadFormat
from respcache.store.stream_blocks import ID_MAX, SEQUENCE_BITS, SEQUENCE_MAX, Block, Fields
from respcache.store.stream_groups import Group
from respcache.store.streams import UNKNOWN, Stream

DELETED: Final = 1
SAME_NAMES: Final = 2
ID_BYTES: Final = 16
INT64_MAX: Final = 2**63 - 1
UINT64: Final = 2**64


def read_stream(reader: Reader, version: int) -> Stream:
    """Read a stream. Raises BadFormat."""
    found = Stream()
    for _ in range(reader.count(least=0)):
        _read_node(reader, found)
    for block in list(found.each_block())[:-1]:
        block.pack()
    length = reader.length()
    found.last = _read_id(reader)
    found.added = length
    if version > 1:
        _read_id(reader)  # of the first entry, which can be seen
        found.deleted = _read_id(reader)
        found.added = reader.length()
    if length != found.length or found.last < found.top or found.added > INT64_MAX:
        raise BadFormat("a stream that contradicts itself")
    for _ in range(reader.count(least=0)):
        name = reader.string()
        if name in found.groups:
            raise BadFormat("two groups of one name")
        found.groups[name] = _read_group(reader, version, found)
    return found


def _read_node(reader: Reader, stream: Stream) -> None:
    key = reader.string()
    if len(key) != ID_BYTES:
        raise BadFormat("a node of a stream without an id")
    words = unpacked(reader.string())
    reader.admit(len(words))
    master = int.from_bytes(key, "big")
    block = Block()
    last = stream.top
    for number, fields in _entries(words, master):
        size_bytes = sum(map(len, fields))
        reader.spend(size_bytes)
        if number <= last or number > ID_MAX:
            raise BadFormat("entries of a stream out of order")
        full = block.count == STREAM_NODE_ENTRIES_MAX or block.size_bytes + size_bytes > 2 * STREAM_NODE_BYTES_MAX
        if full and block.count:
            stream.adopt(block)
            block.pack()
            block = Block()
        block.append(number, fields, size_bytes)
        last = number
    if block.count:
        stream.adopt(block)


def _entries(words: list[bytes], master: int) -> list[tuple[int, Fields]]:
    """Take the words of a node apart. Raises BadFormat."""
    try:
        count, deleted, names_count = (_number(word) for word in words[:3])
        names = words[3 : 3 + names_count]
        at = 4 + names_count
        found: list[tuple[int, Fields]] = []
        gone = 0
        while at < len(words):
            start = at
            flags = _number(words[at])
            moment = (master >> SEQUENCE_BITS) + _difference(words[at + 1]) & SEQUENCE_MAX
            sequence = (master & SEQUENCE_MAX) + _difference(words[at + 2]) & SEQUENCE_MAX
            at += 3
            if flags & SAME_NAMES:
                values = words[at : at + names_count]
                fields = [word for pair in zip(names, values, strict=True) for word in pair]
                at += names_count
            else:
                size = 2 * _number(words[at])
                fields = words[at + 1 : at + 1 + size]
                at += 1 + size
            if _number(words[at]) != at - start or not fields:
                raise BadFormat("no entry of a stream")
            at += 1
            if flags & DELETED:
                gone += 1
            else:
                found.append((moment << SEQUENCE_BITS | sequence, fields))
    except (ValueError, IndexError):
        raise BadFormat("a node of a stream that is cut off") from None
    if len(found) != count or gone != deleted or len(names) != names_count or words[3 + names_count] != b"0":
        raise BadFormat("a node of other entries than it says")
    return found


def _number(word: bytes) -> int:
    """Read an integer that is not below 0. Raises BadFormat."""
    number = _difference(word)
    if number < 0:
        raise BadFormat("a number below 0")
    return number


def _difference(word: bytes) -> int:
    """Read an integer. Raises BadFormat."""
    if not is_int64(word):
        raise BadFormat("no number where one belongs")
    return int(word)


def _wrapped_difference(number: int, base: int) -> bytes:
    """Write a difference of 64-bit numbers, as one with a sign."""
    difference = number - base & SEQUENCE_MAX
    return b"%d" % (difference - UINT64 if difference > INT64_MAX else difference)


def _read_id(reader: Reader) -> int:
    moment = reader.length()
    return moment << SEQUENCE_BITS | reader.length()


def _read_raw_id(reader: Reader) -> int:
    return int.from_bytes(reader.take(ID_BYTES), "big")


def _read_time(reader: Reader) -> int:
    return int.from_bytes(reader.take(8), "little", signed=True)


def _read_group(reader: Reader, version: int, stream: Stream) -> Group:
    last = _read_id(reader)
    read = stream.read_until(last)
    if version > 1:
        read = reader.length()
        read = read - UINT64 if read > INT64_MAX else read
    if read < UNKNOWN:
        raise BadFormat("a group that has read less than nothing")
    group = Group(last, read)
    delivered = _read_deliveries(reader)
    owners: dict[int, bytes] = {}
    for _ in range(reader.count(least=0)):
        name = reader.string()
        if name in group.consumers:
            raise BadFormat("two consumers of one name")
        consumer = group.consumer(name, _read_time(reader))
        if version > 2:
            consumer.active_unix_ms = _read_time(reader)
        for _ in range(reader.count(least=0)):
            number = _read_raw_id(reader)
            if number not in delivered or number in owners:
                raise BadFormat("a delivery that the group does not know, or knows as another's")
            owners[number] = name
    if len(owners) != len(delivered):
        raise BadFormat("a delivery to no consumer")
    for number in sorted(owners):
        at_unix_ms, times = delivered[number]
        group.give(number, group.consumers[owners[number]], at_unix_ms, times)
    return group


def _read_deliveries(reader: Reader) -> dict[int, tuple[int, int]]:
    """Read what a group has delivered: when, and how often, by id."""
    found: dict[int, tuple[int, int]] = {}
    count = reader.count(least=0)
    for _ in range(count):
        number = _read_raw_id(reader)
        at_unix_ms, times = _read_time(reader), reader.length()
        if times > INT64_MAX:
            raise BadFormat("delivered too often")
        found[number] = (at_unix_ms, times)
    if len(found) != count:
        raise BadFormat("a delivery twice")
    return found


def write_stream(writer: Writer, stream: Stream) -> None:
    """Write a stream, in version 2."""
    writer.length(stream.blocks)
    for block in stream.each_block():
        writer.string(block.first.to_bytes(ID_BYTES, "big"))
        writer.string(_node(block))
    writer.length(stream.length)
    _write_id(writer, stream.last)
    _write_id(writer, stream.first)
    _write_id(writer, stream.deleted)
    writer.length(stream.added)
    writer.length(len(stream.groups))
    for name in sorted(stream.groups):
        writer.string(name)
        _write_group(writer, stream.groups[name])


def _node(block: Block) -> bytes:
    run = block.opened()
    names = run.entries[0][::2]
    body = bytearray()
    words = 0
    for word in (b"%d" % len(run), b"0", b"%d" % len(names), *names, b"0"):
        add(body, word)
        words += 1
    base, first = block.first >> SEQUENCE_BITS, block.first & SEQUENCE_MAX
    for number, fields in run.slice(0, len(run)):
        same = fields[::2] == names
        stored = fields[1::2] if same else [b"%d" % (len(fields) // 2), *fields]
        add(body, b"2" if same else b"0")
        add(body, _wrapped_difference(number >> SEQUENCE_BITS, base))
        add(body, _wrapped_difference(number & SEQUENCE_MAX, first))
        for word in stored:
            add(body, word)
        add(body, b"%d" % (len(stored) + 3))
        words += len(stored) + 4
    return wrapped(body, words)


def _write_id(writer: Writer, number: int) -> None:
    writer.length(number >> SEQUENCE_BITS)
    writer.length(number & SEQUENCE_MAX)


def _write_group(writer: Writer, group: Group) -> None:
    _write_id(writer, group.last)
    writer.length(group.read % UINT64)
    writer.length(len(group.pending))
    for number, delivery in group.pending.following(0):
        writer.raw(number.to_bytes(ID_BYTES, "big"))
        writer.raw(delivery.at_unix_ms.to_bytes(8, "little", signed=True))
        writer.length(delivery.count)
    consumers = group.sorted_consumers()
    writer.length(len(consumers))
    for consumer in consumers:
        writer.string(consumer.name)
        writer.raw(consumer.seen_unix_ms.to_bytes(8, "little", signed=True))
        writer.length(len(consumer.pending))
        for number, _ in consumer.pending.following(0):
            writer.raw(number.to_bytes(ID_BYTES, "big"))
