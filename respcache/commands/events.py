"""Which keyspace events a command on one key makes; those on several keys say so themselves.

Most make one that is named after them, of the class of their group, if they have changed the
key. Where it was not there before `new` comes first; where it is not there any more `del` comes last.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

from respcache.commands.arguments import CLOCKS, option
from respcache.commands.registry import Command
from respcache.reply import Reply
from respcache.store import events
from respcache.store.events import DELETED, EXPIRED, FIELDS_EXPIRED, MADE, Event
from respcache.store.hashes import Hash
from respcache.store.partition import Argv, Partition
from respcache.store.values import Value

CLASSES: Final = {
    "bitmap": events.STRING,
    "geo": events.SORTED_SET,
    "hash": events.HASH,
    "hyperloglog": events.STRING,
    "list": events.LIST,
    "set": events.SET,
    "sorted-set": events.SORTED_SET,
    "stream": events.STREAM,
    "string": events.STRING,
}
"""Classes of events by Redis' group of commands; all else is generic."""

NAMES: Final = {
    "DECR": "incrby",
    "DECRBY": "incrby",
    "GEOADD": "zadd",
    "GETSET": "set",
    "HGETDEL": "hdel",
    "HMSET": "hset",
    "HSETNX": "hset",
    "INCR": "incrby",
    "LPUSHX": "lpush",
    "RPUSHX": "rpush",
    "SETNX": "set",
    "ZINCRBY": "zincr",
}
"""Events by command, where they are named otherwise."""

EXPIRE: Final = Event(events.GENERIC, b"expire")
PERSIST: Final = Event(events.GENERIC, b"persist")
FIELDS_SET: Final = Event(events.HASH, b"hset")
FIELDS_EXPIRE: Final = Event(events.HASH, b"hexpire")
FIELDS_PERSIST: Final = Event(events.HASH, b"hpersist")
WRITTEN: Final = Event(events.STRING, b"set")
BITS_WRITTEN: Final = Event(events.STRING, b"setbit")
APPENDED: Final = Event(events.STREAM, b"xadd")
TRIMMED: Final = Event(events.STREAM, b"xtrim")
SCORED: Final = Event(events.SORTED_SET, b"zadd")
RAISED: Final = Event(events.SORTED_SET, b"zincr")
POPPED_LEFT: Final = Event(events.LIST, b"lpop")
POPPED_RIGHT: Final = Event(events.LIST, b"rpop")
PUSHED_LEFT: Final = Event(events.LIST, b"lpush")
PUSHED_RIGHT: Final = Event(events.LIST, b"rpush")
ADDED: Final = Event(events.SET, b"sadd")
REMOVED: Final = Event(events.SET, b"srem")
POPPED_LOWEST: Final = Event(events.SORTED_SET, b"zpopmin")
POPPED_HIGHEST: Final = Event(events.SORTED_SET, b"zpopmax")
CONSUMER_MADE: Final = Event(events.STREAM, b"xgroup-createconsumer")
RENAMED_FROM: Final = Event(events.GENERIC, b"rename_from")
RENAMED_TO: Final = Event(events.GENERIC, b"rename_to")
MOVED_FROM: Final = Event(events.GENERIC, b"move_from")
MOVED_TO: Final = Event(events.GENERIC, b"move_to")
RESTORED: Final = Event(events.GENERIC, b"restore")
COPIED_TO: Final = Event(events.GENERIC, b"copy_to")
COUNTED: Final = Event(events.STRING, b"pfadd")
SORT_STORED: Final = Event(events.LIST, b"sortstore")
SET_INTERSECTION_STORED: Final = Event(events.SET, b"sinterstore")
SET_UNION_STORED: Final = Event(events.SET, b"sunionstore")
SET_DIFFERENCE_STORED: Final = Event(events.SET, b"sdiffstore")
INTERSECTION_STORED: Final = Event(events.SORTED_SET, b"zinterstore")
UNION_STORED: Final = Event(events.SORTED_SET, b"zunionstore")
DIFFERENCE_STORED: Final = Event(events.SORTED_SET, b"zdiffstore")
RANGE_STORED: Final = Event(events.SORTED_SET, b"zrangestore")
SEARCH_STORED: Final = Event(events.SORTED_SET, b"geosearchstore")
RADIUS_STORED: Final = Event(events.SORTED_SET, b"georadiusstore")


class Change:
    """What a command on one key has done to it."""

    __slots__ = ("argv", "existed", "grown", "reply", "value")

    def __init__(self, argv: Argv, reply: Reply, value: Value | None, *, existed: bool, size: int) -> None:
        self.argv: Final = argv
        self.reply: Final = reply
        self.value: Final = value
        """What the key holds now."""
        self.existed: Final = existed
        """Whether the key was there before."""
        self.grown: Final = (0 if value is None else len(value)) - size
        """How many elements there are more than before."""

    @property
    def stays(self) -> bool:
        """Whether the key is still there."""
        return self.value is not None


def note_events(row: Command, argv: Argv, reply: Reply, partition: Partition, *, existed: bool, size: int) -> None:
    """Note what has happened to the key of a command that has changed it.

    `existed` says whether it was there before, and `size` how many elements it had.
    """
    key = argv[row.key_at]
    value = partition.values.get(key)
    stays = value is not None
    if stays and not existed:
        partition.happened(MADE, key)
    special = SPECIAL.get(row.name)
    if special is None:
        partition.happened(event_of(row), key)
    else:
        for event in special(Change(argv, reply, value, existed=existed, size=size)):
            partition.happened(event, key)
    if existed and not stays and special is not _set:
        partition.happened(DELETED, key)


@cache
def event_of(row: Command) -> Event:
    """Give the event that is named after a command."""
    kind = CLASSES.get(row.group, events.GENERIC)
    return Event(kind, NAMES.get(row.name, row.name.lower().replace("|", "-")).encode())


def _set(change: Change) -> tuple[Event, ...]:
    """A deadline is an event of its own; one that has passed already comes true at once."""
    argv = change.argv
    if argv[0].upper() == b"SET" and not any(option(word) in CLOCKS for word in argv[3:]):
        return (WRITTEN,)
    return (WRITTEN, EXPIRE) if change.stays else (WRITTEN, EXPIRE, EXPIRED)


def _getex(change: Change) -> tuple[Event, ...]:
    if not change.stays:
        return ()
    return (PERSIST,) if option(change.argv[2]) == b"PERSIST" else (EXPIRE,)


def _expire(change: Change) -> tuple[Event, ...]:
    return (EXPIRE,) if change.stays else ()


def _restore(change: Change) -> tuple[Event, ...]:
    return (RESTORED,) if change.stays else ()


def _none(_change: Change) -> tuple[Event, ...]:
    return ()


def _bitfield(change: Change) -> tuple[Event, ...]:
    """It has made room even where every number was refused: its reply is null then."""
    words = [word for word in map(option, change.argv[2:]) if word in {b"GET", b"SET", b"INCRBY"}]
    replies = change.reply if isinstance(change.reply, list) else []
    written = [word != b"GET" and reply is not None for word, reply in zip(words, replies, strict=True)]
    return (BITS_WRITTEN,) if any(written) else ()


def _hexpire(change: Change) -> tuple[Event, ...]:
    """A deadline that has passed already comes true at once."""
    return (FIELDS_EXPIRE,) if isinstance(change.reply, list) and 1 in change.reply else (FIELDS_EXPIRED,)


def _hgetex(change: Change) -> tuple[Event, ...]:
    if option(change.argv[2]) == b"PERSIST":
        return (FIELDS_PERSIST,)
    return (FIELDS_EXPIRE,) if change.grown == 0 else (FIELDS_EXPIRED,)


def _hsetex(change: Change) -> tuple[Event, ...]:
    """Fields whose deadline has passed already are set all the same, be it in a hash that was not there."""
    words = [option(word) for word in change.argv[2:]]
    at = words.index(b"FIELDS")
    if CLOCKS.keys().isdisjoint(words[:at]):
        return (FIELDS_SET,)
    if isinstance(change.value, Hash) and change.value.get(change.argv[at + 4]) is not None:
        return FIELDS_SET, FIELDS_EXPIRE
    told = (FIELDS_SET, FIELDS_EXPIRE, FIELDS_EXPIRED)
    return told if change.existed else (MADE, *told, DELETED)


def _xadd(change: Change) -> tuple[Event, ...]:
    return (APPENDED,) if change.grown == 1 else (APPENDED, TRIMMED)


def _zadd(change: Change) -> tuple[Event, ...]:
    for word in change.argv[2:]:
        if option(word) == b"INCR":
            return (RAISED,)
        if option(word) not in {b"NX", b"XX", b"GT", b"LT", b"CH"}:
            break
    return (SCORED,)


SPECIAL: Final[dict[str, Callable[[Change], tuple[Event, ...]]]] = {
    "BITFIELD": _bitfield,
    "EXPIRE": _expire,
    "EXPIREAT": _expire,
    "GETDEL": _none,
    "GETEX": _getex,
    "HEXPIRE": _hexpire,
    "HEXPIREAT": _hexpire,
    "HGETEX": _hgetex,
    "HPEXPIRE": _hexpire,
    "HPEXPIREAT": _hexpire,
    "HSETEX": _hsetex,
    "PEXPIRE": _expire,
    "PEXPIREAT": _expire,
    "PFDEBUG": _none,
    "PSETEX": _set,
    "RESTORE": _restore,
    "SET": _set,
    "SETEX": _set,
    "XACK": _none,
    "XADD": _xadd,
    "XAUTOCLAIM": _none,
    "XCLAIM": _none,
    "ZADD": _zadd,
}
"""Commands whose events depend on what they have done."""
