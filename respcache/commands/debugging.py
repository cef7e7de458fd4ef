"""DEBUG: what test suites of Redis and of its clients use. Off unless `enable-debug-command` says otherwise."""

import logging
from time import sleep
from typing import Final

from respcache.commands.arguments import bounded
from respcache.commands.doubles import double
from respcache.commands.registry import (
    NO_KEYS,
    Answer,
    Flags,
    KeySpec,
    Merge,
    command,
    family,
    key_command,
    keys_command,
)
from respcache.commands.session import Session
from respcache.errors import CommandError, NotAFloat, echoed
from respcache.glob import matcher
from respcache.pending import Pending
from respcache.reply import OK, BigNumber, Members, Reply, Status, Verbatim
from respcache.resp.encode import encode
from respcache.store.aggregate import Aggregate
from respcache.store.copies import entry_effect
from respcache.store.fingerprint import BYTES, fingerprint, of_key
from respcache.store.hashes import Hash
from respcache.store.keyspace import Keyspace
from respcache.store.limits import DEFAULT
from respcache.store.lists import List
from respcache.store.partition import Argv, Partition
from respcache.store.rdb import payload
from respcache.store.rdb.writing import list_nodes
from respcache.store.sorted_sets import SortedSet
from respcache.store.values import encoding, references

log: Final = logging.getLogger(__name__)

_DEBUG: Final = Flags.ADMIN | Flags.NOSCRIPT | Flags.LOADING | Flags.STALE
_SINCE: Final = "1.0.0"
_KEY: Final = KeySpec(2, 2, 1)
_KEYS: Final = KeySpec(2, -1, 1)
SLEEP_MAX_S: Final = 3600.0
PLAIN_MAX_BYTES: Final = 4 * 1024 * 1024 * 1024
PLAIN_UNITS: Final = {
    b"": 1,
    b"b": 1,
    b"kb": 1024,
    b"mb": 1024**2,
    b"gb": 1024**3,
    b"k": 10**3,
    b"m": 10**6,
    b"g": 10**9,
}
ATTRIBUTE: Final = b"|1\r\n"
"""The head of a RESP3 attribute of one pair, which stands before a reply."""
PUSH: Final = b">2\r\n"
SHAPES: Final[dict[bytes, Reply]] = {
    b"STRING": b"Hello World",
    b"INTEGER": 12345,
    b"DOUBLE": 3.141,
    b"NULL": None,
    b"ARRAY": [0, 1, 2],
    b"SET": Members([0, 1, 2]),
    b"MAP": {0: False, 1: True, 2: False},
    b"VERBATIM": Verbatim(b"This is a verbatim\nstring"),
    b"TRUE": True,
    b"FALSE": False,
    b"BIGNUM": BigNumber(b"1234567999999999999999999999999999999"),
}
"""What DEBUG PROTOCOL answers, as Redis does."""

family("DEBUG", since=_SINCE, group="server", flags=_DEBUG, help_since=_SINCE)


class _Said(CommandError):
    """An error in the words of the client."""

    code = ""


@command("DEBUG|SLEEP", arity=3, flags=_DEBUG, since=_SINCE)
def debug_sleep(session: Session, argv: Argv) -> Reply:
    """Hold this node up for some seconds, as if its process stood still; it goes on gossiping."""
    del session
    try:
        seconds = double(argv[2], beyond_range=True)
    except NotAFloat:
        seconds = 0.0  # Redis goes by what the C library makes of it
    if not seconds <= SLEEP_MAX_S:
        raise CommandError("value is out of range")
    sleep(max(0.0, seconds))
    return OK


@command("DEBUG|ERROR", arity=3, flags=_DEBUG, since=_SINCE)
def debug_error(session: Session, argv: Argv) -> Reply:
    """Answer with an error of this text."""
    del session
    raise _Said(argv[2].decode("utf-8", "surrogateescape"))


@command("DEBUG|LOG", arity=3, flags=_DEBUG, since=_SINCE)
def debug_log(session: Session, argv: Argv) -> Reply:
    """Write a text to the log of this node."""
    del session
    log.warning("DEBUG LOG: %s", echoed(argv[2]))
    return OK


@command("DEBUG|CHANGE-REPL-ID", arity=2, flags=_DEBUG, since=_SINCE)
def debug_change_repl_id(session: Session, argv: Argv) -> Reply:
    """Do nothing: copies are not told apart by such an id."""
    del session, argv
    return OK


@command("DEBUG|STRINGMATCH-LEN", arity=4, flags=_DEBUG, since=_SINCE)
def debug_stringmatch_len(session: Session, argv: Argv) -> Reply:
    """Tell whether a pattern matches a text."""
    del session
    return int(matcher(argv[2])(argv[3]))


@command("DEBUG|PROTOCOL", arity=3, flags=_DEBUG, since=_SINCE)
def debug_protocol(session: Session, argv: Argv) -> Answer:
    """Answer with an example of a type of reply."""
    kind, protocol = argv[2].upper(), session.protocol
    if kind in SHAPES:
        return SHAPES[kind]
    answer = Pending()
    if kind == b"ATTRIB":
        attribute = ATTRIBUTE + encode(b"key-popularity", 3) + encode([b"key:123", 90], 3) if protocol > 2 else b""
        answer.resolve(attribute + encode(b"Some real reply following the attribute", protocol))
        return answer
    if kind == b"PUSH":
        if protocol == 2:
            raise CommandError("RESP2 is not supported by this command")
        pushed = PUSH + encode(b"server-cpu-usage", 3) + encode(42, 3)
        answer.resolve(pushed + encode(b"Some real reply following the push reply", 3))
        return answer
    raise CommandError(
        "Wrong protocol type name. Please use one of the following: "
        "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
    )


@command("DEBUG|SEGFAULT", arity=-2, flags=_DEBUG, since=_SINCE)
@command("DEBUG|RESTART", arity=-2, flags=_DEBUG, since=_SINCE)
@command("DEBUG|PANIC", arity=-2, flags=_DEBUG, since=_SINCE)
@command("DEBUG|OOM", arity=-2, flags=_DEBUG, since=_SINCE)
@command("DEBUG|CRASH-AND-RECOVER", arity=-2, flags=_DEBUG, since=_SINCE)
@command("DEBUG|ASSERT", arity=-2, flags=_DEBUG, since=_SINCE)
def debug_crash(session: Session, argv: Argv) -> Reply:
    """Refuse: a node is ended by its process, or by SHUTDOWN."""
    del session
    raise CommandError(f"DEBUG {echoed(argv[1].upper())} is not supported: end the process, or use SHUTDOWN")


@key_command("DEBUG|OBJECT", arity=3, flags=_DEBUG, since=_SINCE, keys=_KEY)
def debug_object(partition: Partition, argv: Argv) -> Reply:
    """Tell how Redis would store the value of a key."""
    key, ledger = argv[2], partition.ledger
    found = partition.value(key)
    if found is None:
        raise CommandError("no such key")
    serialized = len(payload.dump(found, ledger.limits)) - payload.FOOTER_BYTES - 1
    idle_s = ledger.usage.idle_ms(partition, key, ledger.now_unix_ms) // 1000
    clock = (ledger.now_unix_ms // 1000 - idle_s) & 0xFFFFFF
    text = (
        f"Value at:{id(found):#x} refcount:{references(found)} encoding:{encoding(found).decode()} "
        f"serializedlength:{serialized} lru:{clock} lru_seconds_idle:{idle_s}"
    )
    if isinstance(found, List):
        nodes = list_nodes(found, ledger.limits)
        size = sum([len(node) for _, node in nodes])
        text += (
            f" ql_nodes:{len(nodes)} ql_avg_node:{len(found) / len(nodes):.2f} "
            f"ql_listpack_max:{ledger.limits.list_size} ql_compressed:0 ql_uncompressed_size:{size}"
        )
    return Status(text.encode())


@key_command("DEBUG|LISTPACK", arity=3, flags=_DEBUG, since=_SINCE, keys=_KEY)
def debug_listpack(partition: Partition, argv: Argv) -> Reply:
    """Tell whether Redis would store the value of a key as a listpack; there is none to be printed."""
    found = partition.value(argv[2])
    if found is None:
        raise CommandError("no such key")
    if not isinstance(found, Hash | SortedSet) or not found.table.compact:
        raise CommandError("Not a listpack encoded object.")
    return Status(b"Listpack structure printed on stdout")


@keys_command("DEBUG|DIGEST-VALUE", arity=-2, flags=_DEBUG, since=_SINCE, keys=_KEYS, merge=Merge.EACH)
def debug_digest_value(space: Keyspace, argv: Argv) -> Reply:
    """Return 40 digits for each key, the same where values are equal."""
    found: list[Reply] = []
    for key in argv[2:]:
        partition = space.at(key)
        value = partition.value(key)
        found.append(_digits(0 if value is None else fingerprint(value, partition.deadline(key))))
    return found


@keys_command("DEBUG|DIGEST", arity=2, flags=_DEBUG, since=_SINCE, keys=NO_KEYS, merge=Merge.XOR)
def debug_digest(space: Keyspace, argv: Argv) -> Reply:
    """Return 40 digits, the same where all keys hold equal values; zeros if there are no keys."""
    del argv
    combined = 0
    for database in space.databases():
        for partition in database.served():
            for key in partition.live_keys():
                combined ^= of_key(database.number, key, partition.values[key], partition.deadline(key))
    return _digits(combined)


@keys_command("DEBUG|SET-ACTIVE-EXPIRE", arity=3, flags=_DEBUG, since=_SINCE, keys=NO_KEYS, merge=Merge.OK)
def debug_set_active_expire(space: Keyspace, argv: Argv) -> Reply:
    """Have all nodes delete expired keys by themselves (1), or only those that are asked for (0)."""
    space.ledger.active_expiry = argv[2] != b"0"
    return OK


@keys_command("DEBUG|QUICKLIST-PACKED-THRESHOLD", arity=3, flags=_DEBUG, since=_SINCE, keys=NO_KEYS, merge=Merge.OK)
def debug_quicklist_packed_threshold(space: Keyspace, argv: Argv) -> Reply:
    """Set the length from which on DUMP writes elements of lists apart; 0 for 1 GB."""
    refusal = "argument must be a memory value bigger than 1 and smaller than 4gb"
    digits = argv[2].rstrip(b"bBkKmMgG")
    unit = PLAIN_UNITS.get(argv[2][len(digits) :].lower())
    amount = bounded(digits, least=0, refusal=refusal)
    if unit is None or amount * unit > PLAIN_MAX_BYTES:
        raise CommandError(refusal)
    space.ledger.limits.plain_bytes = amount * unit or DEFAULT.plain_bytes
    return OK


@keys_command("DEBUG|LOADAOF", arity=2, flags=_DEBUG | Flags.WRITE, since=_SINCE, keys=NO_KEYS, merge=Merge.OK)
@keys_command("DEBUG|RELOAD", arity=-2, flags=_DEBUG | Flags.WRITE, since=_SINCE, keys=NO_KEYS, merge=Merge.OK)
def debug_reload(space: Keyspace, argv: Argv) -> Reply:
    """Write all values in Redis' own format, and read them again in their place; nothing goes to disk."""
    words = {word.upper() for word in argv[2:]}
    if not words <= {b"MERGE", b"NOFLUSH", b"NOSAVE"}:
        raise CommandError("DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    if b"NOFLUSH" in words and b"MERGE" not in words:  # what is there already is in the way of what is read
        raise CommandError("Error trying to load the RDB dump, check server logs")
    for database in space.databases():
        for partition in database.served():
            for key in list(partition.live_keys()):
                _reload(partition, key)
    return OK


def _reload(partition: Partition, key: bytes) -> None:
    value = partition.values[key]
    if not isinstance(value, Aggregate):
        return  # a string has one form
    limits = partition.ledger.limits
    partition.keep(key, payload.load(payload.dump(value, limits), limits))
    if partition.log is not None:
        partition.rewrite(entry_effect(partition, key))


def _digits(number: int) -> Status:
    return Status(b"%0*x" % (2 * BYTES, number))
