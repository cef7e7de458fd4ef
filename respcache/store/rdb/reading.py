"""The values in payloads, of every form that Redis up to 7.4, and Valkey, writes of a type that is known here. Pure."""

import struct
from collections.abc import Callable, Sequence
from typing import Final

from respcache.store import sorted_sets
from respcache.store.digits import is_int64
from respcache.store.hashes import Hash
from respcache.store.limits import Limits
from respcache.store.lists import List
from respcache.store.ranking import Entry
from respcache.store.rdb import listpack, ziplist
from respcache.store.rdb.streams import read_stream
from respcache.store.rdb.wire import Reader
from respcache.store.rdb.wrong import BadFormat
from respcache.store.sets import Set
from respcache.store.sorted_sets import SortedSet
from respcache.store.values import Value
from respcache.store.volatile_hashes import LATEST_UNIX_MS, VolatileHash

Unpack = Callable[[bytes], list[bytes]]

STRING: Final = 0
LIST: Final = 1
SET: Final = 2
ZSET: Final = 3
HASH: Final = 4
ZSET_2: Final = 5
HASH_ZIPMAP: Final = 9
LIST_ZIPLIST: Final = 10
SET_INTSET: Final = 11
ZSET_ZIPLIST: Final = 12
HASH_ZIPLIST: Final = 13
LIST_QUICKLIST: Final = 14
STREAM_LISTPACKS: Final = 15
HASH_LISTPACK: Final = 16
ZSET_LISTPACK: Final = 17
LIST_QUICKLIST_2: Final = 18
STREAM_LISTPACKS_2: Final = 19
SET_LISTPACK: Final = 20
STREAM_LISTPACKS_3: Final = 21
HASH_VOLATILE: Final = 22
HASH_TIMED_FIRST: Final = 22
HASH_TIMED_LISTPACK_FIRST: Final = 23
HASH_TIMED: Final = 24
HASH_TIMED_LISTPACK: Final = 25
"""The forms by the byte in front (Redis' rdb.h). 22 is Valkey's RDB_TYPE_HASH_2, and another one in Redis.

The last four are Redis' hashes with lifetimes of fields (RDB_TYPE_HASH_METADATA, _LISTPACK_EX): candidates of 7.4
wrote them without the earliest deadline in front (_PRE_GA).
"""
TIMED_LATEST_UNIX_MS: Final = 2**48 - 1
"""The last deadline that a field can have in Redis (EB_EXPIRE_TIME_MAX)."""
LASTS: Final = 2**64 - 1
"""In place of the deadline of a field that has none (-1)."""

PLAIN: Final = 1
PACKED: Final = 2
"""Nodes of a list: one element, or a listpack."""
SPECIAL_SCORES: Final = {253: float("nan"), 254: float("inf"), 255: float("-inf")}
"""In place of the length of a score's text."""
_SCORE: Final = struct.Struct("<d")
_STREAMS: Final = {STREAM_LISTPACKS: 1, STREAM_LISTPACKS_2: 2, STREAM_LISTPACKS_3: 3}
_HASHES: Final[dict[int, Unpack]] = {
    HASH_ZIPMAP: ziplist.unmapped,
    HASH_ZIPLIST: ziplist.unpacked,
    HASH_LISTPACK: listpack.unpacked,
}
_SETS: Final[dict[int, Unpack]] = {SET_INTSET: ziplist.integers, SET_LISTPACK: listpack.unpacked}
_ZSETS: Final[dict[int, Unpack]] = {ZSET_ZIPLIST: ziplist.unpacked, ZSET_LISTPACK: listpack.unpacked}


def read(reader: Reader, limits: Limits, *, is_valkey: bool) -> Value:
    """Read a value, small or not as Redis would have it with these limits. Raises BadFormat.

    `is_valkey` says whose form 22 is.
    """
    form = reader.byte()
    if form == STRING:
        return reader.string()
    if form in {LIST, LIST_ZIPLIST, LIST_QUICKLIST, LIST_QUICKLIST_2}:
        return _list(reader, form)
    if form == HASH or HASH_VOLATILE <= form <= HASH_TIMED_LISTPACK:
        return _hash(reader, limits, form, is_valkey=is_valkey)
    if form == SET:
        return _set(_strings(reader, reader.count()), limits)
    if form in {ZSET, ZSET_2}:
        return _zset(_scored(reader, binary=form == ZSET_2), limits, small=False)
    if form in _HASHES:
        return _small_hash(_small(reader, _HASHES[form], step=2), limits, form)
    if form in _SETS:
        return _set(_small(reader, _SETS[form], step=1), limits)
    if form in _ZSETS:
        words = _small(reader, _ZSETS[form], step=2)
        scores = [_score(word) + 0.0 for word in words[1::2]]  # a listpack has no -0
        return _zset(list(zip(scores, words[::2], strict=True)), limits, small=True)
    if form in _STREAMS:
        return read_stream(reader, _STREAMS[form])
    raise BadFormat("no form of a value that is known")


def _small(reader: Reader, unpack: Unpack, *, step: int) -> list[bytes]:
    """Read what is packed into one string: something, and a whole number of steps."""
    words = unpack(reader.string())
    reader.admit(len(words))
    if not words or len(words) % step:
        raise BadFormat("an empty collection, or half an element")
    return words


def _strings(reader: Reader, count: int) -> list[bytes]:
    string = reader.string
    found: list[bytes] = []
    for _ in range(count):
        found.append(string())  # noqa: PERF401 # compiled code does this quicker
    return found


def _list(reader: Reader, form: int) -> List:
    found = List()
    if form == LIST:
        found.extend(_strings(reader, reader.count()))
        return found
    for _ in range(reader.count() if form != LIST_ZIPLIST else 1):
        container = reader.length() if form == LIST_QUICKLIST_2 else PACKED
        if container == PLAIN:
            found.push_right(reader.string())
        elif container == PACKED:
            blob = reader.string()
            words = listpack.unpacked(blob) if form == LIST_QUICKLIST_2 else ziplist.unpacked(blob)
            reader.admit(len(words))
            found.extend(words)
        else:
            raise BadFormat("no node of a list")
    if not found:
        raise BadFormat("an empty collection")
    return found


def _hash(reader: Reader, limits: Limits, form: int, *, is_valkey: bool) -> Hash:
    if form == HASH:
        return _large_hash(reader, limits)
    if is_valkey and form == HASH_VOLATILE:
        return _volatile_hash(reader)
    earliest = reader.number(8) if form >= HASH_TIMED else 1
    if form in {HASH_TIMED_FIRST, HASH_TIMED}:
        return _timed_hash(_timed_fields(reader, earliest))
    words = _small(reader, listpack.unpacked, step=3)
    return _timed_hash([(words[at], words[at + 1], _deadline(words[at + 2])) for at in range(0, len(words), 3)])


def _timed_fields(reader: Reader, earliest_unix_ms: int) -> list[tuple[bytes, bytes, int]]:
    """Read deadlines, fields and values; a deadline of 0 is none, another one counts from the earliest, which is 1."""
    fields: list[tuple[bytes, bytes, int]] = []
    for _ in range(reader.count()):
        after = reader.length()
        fields.append((reader.string(), reader.string(), after + earliest_unix_ms - 1 if after else 0))
    return fields


def _timed_hash(fields: list[tuple[bytes, bytes, int]]) -> VolatileHash:
    """Make a hash of fields, values and deadlines; 0 is none."""
    found = VolatileHash()
    for name, value, _ in fields:
        found.table.set(name, value)
    if len(found) != len(fields):
        raise BadFormat("a field twice")
    if any(deadline > TIMED_LATEST_UNIX_MS for _, _, deadline in fields):
        raise BadFormat("a deadline after all time")
    found.load([(name, deadline) for name, _, deadline in fields if deadline])
    return found


def _deadline(text: bytes) -> int:
    if not is_int64(text) or text.startswith(b"-"):
        raise BadFormat("a deadline before all time, or none")
    return int(text)


def _large_hash(reader: Reader, limits: Limits) -> Hash:
    count = reader.count()
    reader.admit(count)
    found = Hash()
    longest = 0
    for _ in range(count):
        name, value = reader.string(), reader.string()
        found.table.set(name, value)
        longest = max(longest, len(name), len(value))
    if len(found) != count:
        raise BadFormat("a field twice")
    found.table.compact = count <= limits.hash_entries and longest <= limits.hash_value_bytes
    return found


def _volatile_hash(reader: Reader) -> VolatileHash:
    """Read fields, values and deadlines in milliseconds; one that has passed is found so when the hash is used."""
    count = reader.count()
    reader.admit(count)
    found = VolatileHash()
    lifetimes: list[tuple[bytes, int]] = []
    for _ in range(count):
        name, value, deadline = reader.string(), reader.string(), reader.number(8)
        found.table.set(name, value)
        if deadline <= LATEST_UNIX_MS:
            lifetimes.append((name, deadline))
        elif deadline != LASTS:
            raise BadFormat("a deadline before all time")
    if len(found) != count:
        raise BadFormat("a field twice")
    found.load(lifetimes)
    return found


def _small_hash(words: Sequence[bytes], limits: Limits, form: int) -> Hash:
    found = Hash()
    for name, value in zip(words[::2], words[1::2], strict=True):
        found.table.set(name, value)
    if 2 * len(found) != len(words):
        raise BadFormat("a field twice")
    found.table.compact = len(found) <= limits.hash_entries and (
        form != HASH_ZIPMAP or max(map(len, words)) <= limits.hash_value_bytes
    )
    return found


def _set(members: Sequence[bytes], limits: Limits) -> Set:
    found = Set()
    for member in members:
        found.table.set(member, None)
    if len(found) != len(members):
        raise BadFormat("a member twice")
    found.table.compact = len(members) <= limits.set_integers and all(map(is_int64, members))
    return found


def _scored(reader: Reader, *, binary: bool) -> list[Entry]:
    count = reader.count()
    reader.admit(count)
    found: list[Entry] = []
    for _ in range(count):
        member = reader.string()
        score: float = _SCORE.unpack(reader.take(8))[0] if binary else _score_text(reader)
        found.append((score, member))
    return found


def _score_text(reader: Reader) -> float:
    length = reader.byte()
    return SPECIAL_SCORES[length] if length in SPECIAL_SCORES else _score(reader.take(length))


def _score(text: bytes) -> float:
    try:
        return float(text.replace(b"_", b"?"))  # Python would take it in a number
    except ValueError:
        raise BadFormat("a score that is no number") from None


def _zset(entries: list[Entry], limits: Limits, *, small: bool) -> SortedSet:
    """Make a sorted set; `small` says that it was one, and how long its members are does not count."""
    if any(score != score for score, _ in entries):  # noqa: PLR0124 # NaN
        raise BadFormat("a score that is no number")
    found = sorted_sets.of(entries, limits)
    if len(found) != len(entries):
        raise BadFormat("a member twice")
    if small:
        found.table.compact = len(entries) <= limits.zset_entries
    return found
