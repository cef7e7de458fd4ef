"""How commands use their keys, in the words of COMMAND GETKEYSANDFLAGS and of key specifications.

RO, RW, OW (overwrites) and RM (removes) say what becomes of a key; access, that what it holds comes back or goes
elsewhere; update, insert and delete, what happens to what it holds; variable_flags, that a request may do less.
"""

from typing import Final

from respcache.commands.arguments import option
from respcache.commands.registry import Command
from respcache.store.partition import Argv

_NAMES: Final = {
    "OW insert": "MSETNX SETNX",
    "OW update": "MSET PSETEX RESTORE SETEX",
    "RM delete": "DEL UNLINK",
    "RO": (
        "EXISTS HEXISTS HLEN HSTRLEN LLEN MEMORY|USAGE OBJECT|ENCODING OBJECT|FREQ OBJECT|IDLETIME OBJECT|REFCOUNT "
        "SCARD SISMEMBER STRLEN TOUCH TYPE XLEN ZCARD"
    ),
    "RO access": "XREADGROUP",
    "RW access": "PFCOUNT PFDEBUG",
    "RW access delete": (
        "BLMPOP BLPOP BRPOP BZMPOP BZPOPMAX BZPOPMIN GETDEL LMPOP LPOP RPOP SPOP ZMPOP ZPOPMAX ZPOPMIN"
    ),
    "RW access update": (
        "DECR DECRBY EVAL EVALSHA GETEX GETSET HINCRBY HINCRBYFLOAT INCR INCRBY INCRBYFLOAT MOVE SETBIT ZINCRBY"
    ),
    "RW access update variable_flags": "BITFIELD SET",
    "RW delete": (
        "HDEL LREM LTRIM SREM XAUTOCLAIM XDEL XGROUP|DELCONSUMER XGROUP|DESTROY XTRIM ZREM ZREMRANGEBYLEX "
        "ZREMRANGEBYRANK ZREMRANGEBYSCORE"
    ),
    "RW insert": "APPEND HSETNX LINSERT LPUSH LPUSHX PFADD RPUSH RPUSHX SADD XGROUP|CREATE XGROUP|CREATECONSUMER",
    "RW update": (
        "EXPIRE EXPIREAT GEOADD HMSET HSET LSET PERSIST PEXPIRE PEXPIREAT SETRANGE XACK XADD XCLAIM XGROUP|SETID "
        "XSETID ZADD"
    ),
    "OW update; RO access": (
        "BITOP GEOSEARCHSTORE SDIFFSTORE SUNIONSTORE ZDIFFSTORE ZINTERSTORE ZRANGESTORE ZUNIONSTORE"
    ),
    "RO access; OW update": "COPY",
    "RW access delete; OW insert": "RENAMENX",
    "RW access delete; OW update": "RENAME",
    "RW access delete; RW insert": "BLMOVE BRPOPLPUSH LMOVE RPOPLPUSH SMOVE",
    "RW access insert; RO access": "PFMERGE",
    "RW update; RO access": "SINTERSTORE",
}
"""Commands by how they use their keys; behind a semicolon, how they use all but the first. What is not among them
reads, or reads and writes, and gives something back."""

USES: Final = {
    name: [use.split() for use in uses.split("; ")] for uses, names in _NAMES.items() for name in names.split()
}
READ: Final = ["RO", "access"]
CHANGED: Final = ["RW", "access", "update"]
OVERWRITTEN: Final = ["OW", "update"]
STORING: Final = frozenset({"SORT", "GEORADIUS", "GEORADIUSBYMEMBER"})
"""Commands that read one key, and may overwrite another."""


def uses_of(row: Command) -> list[list[str]]:
    """Say how a command may use its first key, and, where that is another way, the others."""
    found = USES.get(row.name)
    if found is not None:
        return found
    if row.name in STORING:
        return [READ, OVERWRITTEN]
    return [CHANGED if row.writes else READ]


def uses_in(row: Command, argv: Argv) -> list[tuple[bytes, list[str]]]:
    """Say how a request uses each of its keys."""
    keys, uses = row.keys.of(argv), uses_of(row)
    if row.name == "SET":
        uses = [CHANGED if any(option(word) == b"GET" for word in argv[3:]) else OVERWRITTEN]
    elif row.name == "BITFIELD":
        uses = [CHANGED if any(option(word) in {b"SET", b"INCRBY"} for word in argv[2:]) else READ]
    return [(key, uses[min(place, len(uses) - 1)]) for place, key in enumerate(keys)]
