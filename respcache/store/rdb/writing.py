"""Values in the forms in which redis-server 7.0 writes them. Pure.

Where Redis' order is that of a hash table, the bytes differ, and what they mean does not. So it is with strings beyond
COMPRESSED_MAX, which Redis compresses, and with lists that grew at both ends: their nodes are cut anew.
"""

import struct
from collections.abc import Iterable
from typing import Final

from respcache.store.hashes import Hash
from respcache.store.limits import Limits
from respcache.store.lists import List
from respcache.store.rdb import reading
from respcache.store.rdb.listpack import HEADER_BYTES, add, packed, wrapped
from respcache.store.rdb.streams import write_stream
from respcache.store.rdb.wire import Writer
from respcache.store.rdb.ziplist import intset
from respcache.store.sets import Set
from respcache.store.sorted_sets import SortedSet
from respcache.store.streams import Stream
from respcache.store.texts import Text
from respcache.store.values import Value
from respcache.store.volatile_hashes import VolatileHash

NODE_OVERHEAD_BYTES: Final = 8
"""What Redis takes an element to need in a node besides its own bytes."""
WHOLE_MAX: Final = 1 << 52
"""Scores between this and its negative are written as integers if they are whole."""
_SCORE: Final = struct.Struct("<d")


def write(writer: Writer, value: Value, limits: Limits) -> None:
    """Write a value, the byte that names its form in front."""
    match value:
        case bytes():
            writer.text.append(reading.STRING)
            writer.string(value)
        case Text():
            writer.text.append(reading.STRING)
            writer.string(bytes(value.body))
        case List():
            writer.text.append(reading.LIST_QUICKLIST_2)
            _write_list(writer, value, limits)
        case VolatileHash() if value.lifetimes:
            writer.text.append(reading.HASH_VOLATILE)
            _write_volatile_hash(writer, value)
        case Hash():
            _write_hash(writer, value)
        case Set():
            _write_set(writer, value)
        case SortedSet():
            _write_zset(writer, value)
        case Stream():
            writer.text.append(reading.STREAM_LISTPACKS_2)
            write_stream(writer, value)
        case _:
            raise AssertionError(f"no kind of value: {type(value)}")


def _write_list(writer: Writer, elements: Iterable[bytes], limits: Limits) -> None:
    nodes = list_nodes(elements, limits)
    writer.length(len(nodes))
    for container, node in nodes:
        writer.length(container)
        writer.string(node)


def list_nodes(elements: Iterable[bytes], limits: Limits) -> list[tuple[int, bytes]]:
    """Cut a list into nodes as they come about where elements are added at the end: kind, and content."""
    nodes: list[tuple[int, bytes]] = []
    body = bytearray()
    count = 0
    bytes_max, elements_max, plain_bytes = limits.node_bytes, limits.node_elements, limits.plain_bytes
    for element in elements:
        size = len(element)
        full = count >= elements_max or HEADER_BYTES + 1 + len(body) + size + NODE_OVERHEAD_BYTES > bytes_max
        if count and (full or size >= plain_bytes):
            nodes.append((reading.PACKED, wrapped(body, count)))
            body, count = bytearray(), 0
        if size >= plain_bytes:
            nodes.append((reading.PLAIN, element))
        else:
            add(body, element)
            count += 1
    if count:
        nodes.append((reading.PACKED, wrapped(body, count)))
    return nodes


def _write_hash(writer: Writer, value: Hash) -> None:
    table = value.table
    if table.compact:
        writer.text.append(reading.HASH_LISTPACK)
        writer.string(packed([word for pair in table.items() for word in pair]))
        return
    writer.text.append(reading.HASH)
    writer.length(len(value))
    string = writer.string
    for name, content in value.items():
        string(name)
        string(content)


def _write_volatile_hash(writer: Writer, value: VolatileHash) -> None:
    """Write fields, values and deadlines; what is over, and only takes memory, is left out."""
    writer.length(len(value))
    for name, content in value.items():
        deadline = value.deadline(name)
        writer.string(name)
        writer.string(content)
        writer.raw((reading.LASTS if deadline is None else deadline).to_bytes(8, "little"))


def _write_set(writer: Writer, value: Set) -> None:
    if value.table.compact:
        writer.text.append(reading.SET_INTSET)
        writer.string(intset(value.members()))
        return
    writer.text.append(reading.SET)
    writer.length(len(value))
    string = writer.string
    for member in value.table.names:
        string(member)


def _write_zset(writer: Writer, value: SortedSet) -> None:
    entries = value.ranking.slice(0, len(value) - 1)
    if value.table.compact:
        writer.text.append(reading.ZSET_LISTPACK)
        writer.string(packed([word for score, member in entries for word in (member, _score(score))]))
        return
    writer.text.append(reading.ZSET_2)
    writer.length(len(entries))
    string, raw = writer.string, writer.raw
    for score, member in reversed(entries):
        string(member)
        raw(_SCORE.pack(score))


def _score(score: float) -> bytes:
    """Write a score as a listpack has it."""
    if -WHOLE_MAX < score < WHOLE_MAX and score == int(score):
        return b"%d" % int(score)
    return b"%.17g" % score
