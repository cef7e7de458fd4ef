"""The commands whose cost could depend on the size of the value that they work on, and how to make such values."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from respcache.store.partition import Argv

KEY: Final = b"value"
STRING_UNIT_BYTES: Final = 100
"""Of a string, what counts as one element."""
WORDS_AT_ONCE: Final = 1_000

Call: TypeAlias = Callable[[int, int], Argv]
"""From the size of the value and the number of the call to the call."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One command."""

    kind: str
    name: str
    call: Call
    undo: Call | None = None
    """What makes the value as large as it was, unmeasured."""


def element(number: int) -> bytes:
    """Name an element, one that is there if its number is less than the size."""
    return b"element:%09d" % number


def new(call: int) -> bytes:
    """Name an element that is not there."""
    return b"new:%012d" % call


def filling(kind: str, size: int) -> Iterator[Argv]:
    """Make the calls that make a value of so many elements."""
    yield [b"DEL", KEY]
    if kind == "string":
        yield [b"SETRANGE", KEY, b"%d" % (size * STRING_UNIT_BYTES - 1), b"x"]
        return
    if kind == "stream":
        for number in range(size):
            yield [b"XADD", KEY, b"%d-1" % (number + 1), b"field", element(number)]
        return
    name = {"list": b"RPUSH", "set": b"SADD", "hash": b"HSET", "sorted set": b"ZADD"}[kind]
    for first in range(0, size, WORDS_AT_ONCE):
        argv = [name, KEY]
        for number in range(first, min(size, first + WORDS_AT_ONCE)):
            argv += _words(kind, number)
        yield argv


def _words(kind: str, number: int) -> Argv:
    if kind == "hash":
        return [element(number), b"value"]
    return [b"%d" % number, element(number)] if kind == "sorted set" else [element(number)]


def _some(size: int, call: int) -> int:
    """Choose a number below the size, spread over all of them."""
    return call * 7_919 * 104_729 % size


def _fixed(*words: bytes) -> Call:
    return lambda _size, _call: [words[0], KEY, *words[1:]]


LISTS: Final = (
    Probe("list", "LINDEX first", _fixed(b"LINDEX", b"0")),
    Probe("list", "LINDEX middle", lambda size, _: [b"LINDEX", KEY, b"%d" % (size // 2)]),
    Probe("list", "LINDEX last", _fixed(b"LINDEX", b"-1")),
    Probe("list", "LPUSH", _fixed(b"LPUSH", b"x"), _fixed(b"LPOP")),
    Probe("list", "LPOP", _fixed(b"LPOP"), _fixed(b"LPUSH", b"x")),
    Probe("list", "RPUSH", _fixed(b"RPUSH", b"x"), _fixed(b"RPOP")),
    Probe("list", "LSET middle", lambda size, _: [b"LSET", KEY, b"%d" % (size // 2), element(size // 2)]),
    Probe(
        "list",
        "LINSERT middle",
        lambda size, _: [b"LINSERT", KEY, b"BEFORE", element(size // 2), b"x"],
        _fixed(b"LREM", b"1", b"x"),
    ),
    Probe(
        "list",
        "LREM middle",
        lambda size, call: [b"LREM", KEY, b"1", element((size // 2 + call) % size)],
        lambda size, call: [b"RPUSH", KEY, element((size // 2 + call) % size)],
    ),
    Probe("list", "LPOS middle", lambda size, _: [b"LPOS", KEY, element(size // 2)]),
    Probe(
        "list", "LRANGE of 10, middle", lambda size, _: [b"LRANGE", KEY, b"%d" % (size // 2), b"%d" % (size // 2 + 9)]
    ),
    Probe("list", "LTRIM of one", _fixed(b"LTRIM", b"0", b"-2"), _fixed(b"RPUSH", b"x")),
)
SETS: Final = (
    Probe("set", "SADD", lambda _, call: [b"SADD", KEY, new(call)], lambda _, call: [b"SREM", KEY, new(call)]),
    Probe(
        "set",
        "SREM",
        lambda size, call: [b"SREM", KEY, element(_some(size, call))],
        lambda size, call: [b"SADD", KEY, element(_some(size, call))],
    ),
    Probe("set", "SISMEMBER", lambda size, call: [b"SISMEMBER", KEY, element(_some(size, call))]),
    Probe("set", "SPOP", _fixed(b"SPOP"), lambda _, call: [b"SADD", KEY, new(call)]),
    Probe("set", "SRANDMEMBER", _fixed(b"SRANDMEMBER")),
    Probe("set", "SRANDMEMBER 5", _fixed(b"SRANDMEMBER", b"5")),
    Probe("set", "SSCAN", _fixed(b"SSCAN", b"0", b"COUNT", b"10")),
)
HASHES: Final = (
    Probe(
        "hash", "HSET new", lambda _, call: [b"HSET", KEY, new(call), b"x"], lambda _, call: [b"HDEL", KEY, new(call)]
    ),
    Probe("hash", "HSET old", lambda size, call: [b"HSET", KEY, element(_some(size, call)), b"x"]),
    Probe("hash", "HGET", lambda size, call: [b"HGET", KEY, element(_some(size, call))]),
    Probe(
        "hash",
        "HDEL",
        lambda size, call: [b"HDEL", KEY, element(_some(size, call))],
        lambda size, call: [b"HSET", KEY, element(_some(size, call)), b"x"],
    ),
    Probe("hash", "HRANDFIELD", _fixed(b"HRANDFIELD")),
    Probe("hash", "HRANDFIELD 5", _fixed(b"HRANDFIELD", b"5", b"WITHVALUES")),
    Probe("hash", "HSCAN", _fixed(b"HSCAN", b"0", b"COUNT", b"10")),
)
SORTED_SETS: Final = (
    Probe(
        "sorted set",
        "ZADD new",
        lambda size, call: [b"ZADD", KEY, b"%d" % _some(size, call), new(call)],
        lambda _, call: [b"ZREM", KEY, new(call)],
    ),
    Probe(
        "sorted set",
        "ZADD old",
        lambda size, call: [b"ZADD", KEY, b"%d" % _some(size, call + 1), element(_some(size, call))],
        lambda size, call: [b"ZADD", KEY, b"%d" % _some(size, call), element(_some(size, call))],
    ),
    Probe(
        "sorted set",
        "ZREM",
        lambda size, call: [b"ZREM", KEY, element(_some(size, call))],
        lambda size, call: [b"ZADD", KEY, b"%d" % _some(size, call), element(_some(size, call))],
    ),
    Probe("sorted set", "ZSCORE", lambda size, call: [b"ZSCORE", KEY, element(_some(size, call))]),
    Probe("sorted set", "ZRANK", lambda size, call: [b"ZRANK", KEY, element(_some(size, call))]),
    Probe(
        "sorted set",
        "ZRANGE of 10, middle",
        lambda size, _: [b"ZRANGE", KEY, b"%d" % (size // 2), b"%d" % (size // 2 + 9)],
    ),
    Probe(
        "sorted set",
        "ZRANGEBYSCORE LIMIT 0 10",
        lambda size, call: [b"ZRANGEBYSCORE", KEY, b"%d" % _some(size, call), b"+inf", b"LIMIT", b"0", b"10"],
    ),
    Probe("sorted set", "ZCOUNT", lambda size, call: [b"ZCOUNT", KEY, b"%d" % _some(size, call), b"+inf"]),
    Probe(
        "sorted set",
        "ZPOPMIN",
        _fixed(b"ZPOPMIN"),
        lambda _, call: [b"ZADD", KEY, b"-%d" % (call + 1), new(call)],
    ),
    Probe("sorted set", "ZRANDMEMBER", _fixed(b"ZRANDMEMBER")),
    Probe("sorted set", "ZRANDMEMBER 5", _fixed(b"ZRANDMEMBER", b"5")),
    Probe("sorted set", "ZSCAN", _fixed(b"ZSCAN", b"0", b"COUNT", b"10")),
)
STREAMS: Final = (
    Probe("stream", "XADD", _fixed(b"XADD", b"*", b"field", b"x")),
    Probe("stream", "XLEN", _fixed(b"XLEN")),
    Probe(
        "stream",
        "XRANGE COUNT 10",
        lambda size, call: [b"XRANGE", KEY, b"%d" % (1 + _some(size, call)), b"+", b"COUNT", b"10"],
    ),
    Probe(
        "stream",
        "XREVRANGE COUNT 10",
        lambda size, call: [b"XREVRANGE", KEY, b"%d" % (1 + _some(size, call)), b"-", b"COUNT", b"10"],
    ),
    Probe(
        "stream",
        "XREAD COUNT 10",
        lambda size, call: [b"XREAD", b"COUNT", b"10", b"STREAMS", KEY, b"%d" % _some(size, call)],
    ),
    Probe(
        "stream",
        "XADD MAXLEN",
        lambda size, _: [b"XADD", KEY, b"MAXLEN", b"%d" % size, b"*", b"field", b"x"],
    ),
    Probe("stream", "XDEL", lambda size, call: [b"XDEL", KEY, b"%d-1" % (1 + _some(size, call))]),
)
STRINGS: Final = (
    Probe("string", "APPEND", _fixed(b"APPEND", b"x")),
    Probe(
        "string",
        "SETRANGE of 10, middle",
        lambda size, _: [b"SETRANGE", KEY, b"%d" % (size * STRING_UNIT_BYTES // 2), b"0123456789"],
    ),
    Probe(
        "string",
        "GETRANGE of 10, middle",
        lambda size, _: [
            b"GETRANGE",
            KEY,
            b"%d" % (size * STRING_UNIT_BYTES // 2),
            b"%d" % (size * STRING_UNIT_BYTES // 2 + 9),
        ],
    ),
    Probe(
        "string",
        "SETBIT",
        lambda size, call: [b"SETBIT", KEY, b"%d" % _some(size * STRING_UNIT_BYTES * 8, call), b"%d" % (call % 2)],
    ),
    Probe("string", "GETBIT", lambda size, call: [b"GETBIT", KEY, b"%d" % _some(size * STRING_UNIT_BYTES * 8, call)]),
    Probe(
        "string",
        "BITFIELD INCRBY",
        lambda size, call: [b"BITFIELD", KEY, b"INCRBY", b"u8", b"#%d" % _some(size * STRING_UNIT_BYTES, call), b"1"],
    ),
    Probe("string", "STRLEN", _fixed(b"STRLEN")),
)
PROBES: Final = (*LISTS, *SETS, *HASHES, *SORTED_SETS, *STREAMS, *STRINGS)
