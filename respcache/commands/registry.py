"""The command table: one immutable row a command, the single source of all that is known of it.

Dispatch, routing, COMMAND, metric labels and the README's table read it. A command is
a function under one of four decorators, by what it works on:

    @key_command    one key       handler(partition, argv)   runs where the key is served
    @keys_command   several keys  handler(keyspace, argv)    is split, or runs under locks
    @command        no key        handler(session, argv)     runs where the client is
    @script_command several keys  handler(scripts, ground, argv), as with @keys_command

`argv` is the request, command name first. A handler returns a reply value, or raises
CommandError; then it must not have changed anything.
"""

import enum
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from respcache.commands.categories import categories_of, group_of
from respcache.commands.session import Session
from respcache.commands.stage import Ground, Scripts
from respcache.commands.traits import ABOUT_KEYS, BY_DIGEST, PROTECTED
from respcache.errors import CommandError, UnknownSubcommand
from respcache.pending import Pending
from respcache.reply import Reply, Status
from respcache.store.aggregate import Aggregate
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv, Partition

KeyHandler: TypeAlias = Callable[[Partition, Argv], Reply]
KeysHandler: TypeAlias = Callable[[Keyspace, Argv], Reply]
Answer: TypeAlias = "Reply | Pending"
"""A reply; or, where it has yet to come or consists of several values, a Pending with the wire of it."""
Beyond: TypeAlias = Callable[[Keyspace, Argv], list[bytes]]
SessionHandler: TypeAlias = Callable[[Session, Argv], Answer]
ScriptHandler: TypeAlias = Callable[[Scripts, Ground, Argv], Reply]


class Flags(enum.Flag):
    """What a command does, in Redis' words (COMMAND INFO shows them in this order)."""

    NONE = 0
    WRITE = enum.auto()
    READONLY = enum.auto()
    DENYOOM = enum.auto()
    ADMIN = enum.auto()
    PUBSUB = enum.auto()
    NOSCRIPT = enum.auto()
    BLOCKING = enum.auto()
    LOADING = enum.auto()
    STALE = enum.auto()
    SKIP_MONITOR = enum.auto()
    SKIP_SLOWLOG = enum.auto()
    ASKING = enum.auto()
    FAST = enum.auto()
    NO_AUTH = enum.auto()
    MOVABLEKEYS = enum.auto()
    MAY_REPLICATE = enum.auto()
    NO_MANDATORY_KEYS = enum.auto()
    PROTECTED = enum.auto()
    NO_ASYNC_LOADING = enum.auto()
    NO_MULTI = enum.auto()
    ALLOW_BUSY = enum.auto()
    CONNECTION = enum.auto()
    """It changes or ends its client's connection, and makes no sense without one. Redis has no word for it."""


class Merge(enum.Enum):
    """How the replies of the parts of a command become one."""

    NONE = enum.auto()
    """It has no parts: with keys on several owners it runs under locks."""
    SUM = enum.auto()
    """Integers add up (DEL, DBSIZE)."""
    EACH = enum.auto()
    """Elements go back to the positions of their keys (MGET)."""
    OK = enum.auto()
    """OK from all (MSET, FLUSHALL)."""
    CONCAT = enum.auto()
    """Arrays are put behind each other (KEYS)."""
    WALK = enum.auto()
    """A cursor and what was found (SCAN)."""
    LEAST = enum.auto()
    """The smallest of integers counts (WAIT)."""
    ANY = enum.auto()
    """One of them that is not null (RANDOMKEY)."""
    MOST = enum.auto()
    """The greatest of the integers at each place (SCRIPT EXISTS)."""
    XOR = enum.auto()
    """Hexadecimal digits, bit by bit (DEBUG DIGEST)."""


COUNT_DIGITS_MAX: Final = 7
"""No request has more arguments than a number of so many digits says."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """Positions of the keys in argv: from `first` to `last` (negative: from the end), every `step`.

    Where `count_at` is not 0 an argument there says how many keys follow it, besides.
    Where `stored_at` is not 0 the last STORE or STOREDIST from there on has a key behind it.
    """

    first: int
    last: int
    step: int
    count_at: int = 0
    stored_at: int = 0
    operands: dict[bytes, int] | None = None
    """How many words behind these are no STORE, whatever they are."""
    behind_streams: bool = False
    """Whether they are the first half of what follows the word STREAMS instead."""

    @property
    def names_keys(self) -> bool:
        """Whether the command has keys."""
        return bool(self.first or self.count_at or self.behind_streams)

    def of(self, argv: Argv) -> list[bytes]:
        """Pick the keys; none where there are none, or where their number is none."""
        if self.behind_streams:
            at = streams_at(argv)
            return argv[at : (at + len(argv)) // 2]
        at = self.count_at
        if at and not self.first and not self.stored_at and len(argv) > at + 1 and argv[at] == b"1":
            return [argv[at + 1]]
        keys: list[bytes] = []
        if self.first:
            last = self.last if self.last >= 0 else len(argv) + self.last
            keys = argv[self.first : last + 1 : self.step]
        if self.count_at and len(argv) > self.count_at and argv[self.count_at].isdigit():
            start, digits = self.count_at + 1, argv[self.count_at]
            count = int(digits) if len(digits) <= COUNT_DIGITS_MAX else 0
            keys += argv[start : start + count]
        if self.stored_at:
            keys += stored_key(argv, self.stored_at, self.operands or {})
        return keys

    def narrowed(self, argv: Argv, keys: list[bytes]) -> Argv:
        """Write the same command with these keys in place of its own."""
        if self.behind_streams:
            at = streams_at(argv)
            half, wanted = (at + len(argv)) // 2, set(keys)
            places = [place for place in range(at, half) if argv[place] in wanted]
            ids = [argv[place + half - at] for place in places]
            return [*argv[:at], *[argv[place] for place in places], *ids]
        if self.count_at:
            following = self.count_at + 1 + len(self.of(argv))
            return [*argv[: self.count_at], b"%d" % len(keys), *keys, *argv[following:]]
        last = self.last if self.last >= 0 else len(argv) + self.last
        return [*argv[: self.first], *keys, *argv[last + 1 :]]


def stored_key(argv: Argv, at: int, operands: dict[bytes, int]) -> list[bytes]:
    """Find the key behind STORE or STOREDIST, from a position on: the last one counts."""
    found: list[bytes] = []
    while at < len(argv) - 1:
        word = argv[at].partition(b"\0")[0].upper()
        if word in STORES:
            at += 1
            found = [argv[at]]
        at += 1 + operands.get(word, 0)
    return found


def streams_at(argv: Argv) -> int:
    """Find where the keys behind the word STREAMS begin, as Redis does; the end where they have not an id each."""
    place = 1
    while place < len(argv):
        word = argv[place].partition(b"\0")[0].upper()
        if word == b"STREAMS":
            return len(argv) if (len(argv) - place) % 2 == 0 else place + 1
        place += OPERANDS.get(word, len(argv)) + 1
    return len(argv)


OPERANDS: Final = {b"BLOCK": 1, b"COUNT": 1, b"GROUP": 2, b"NOACK": 0}
"""How many words follow an option in front of STREAMS."""
STORES: Final = (b"STORE", b"STOREDIST")
NO_KEYS: Final = KeySpec(0, 0, 0)
FIRST: Final = KeySpec(1, 1, 1)
FIRST_TWO: Final = KeySpec(1, 2, 1)
ALL: Final = KeySpec(1, -1, 1)
ALL_BUT_LAST: Final = KeySpec(1, -2, 1)
ALL_BUT_FIRST: Final = KeySpec(2, -1, 1)
PAIRS: Final = KeySpec(1, -1, 2)
COUNTED: Final = KeySpec(0, 0, 0, count_at=1)
COUNTED_SECOND: Final = KeySpec(0, 0, 0, count_at=2)
STREAMS: Final = KeySpec(0, 0, 0, behind_streams=True)
FIRST_AND_COUNTED: Final = KeySpec(1, 1, 1, count_at=2)
FIRST_AND_SORTED: Final = KeySpec(1, 1, 1, stored_at=2, operands={b"LIMIT": 2, b"BY": 1, b"GET": 1})
FIRST_AND_STORED_FIFTH: Final = KeySpec(1, 1, 1, stored_at=5)


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a command waits for whose handler returns `Waits`: that one of its keys holds a value of a kind.

    Then it is run again; with that key alone, unless only some of its keys (`of`) are waited for.
    """

    kind: type[Aggregate]
    of: KeySpec | None = None
    back: Callable[[Argv, bytes, list[bytes]], Argv] | None = None
    """Writes the command that gives back, to a key, what was taken for a client that has gone; from the command,
    and all that its reply says behind the key. None where the reply is not the only place where it is."""
    only: Callable[[Argv], bool] | None = None
    """Tells whether the request is one that may wait; None where all are."""
    settled: Callable[[Keyspace, Argv], list[bytes]] | None = None
    """Gives the ids with which a command that ends in ids is to be run later, when it begins to wait."""
    ready: Callable[[Keyspace, Argv], bool] | None = None
    """Tells whether a value of that kind is one that the command, with that key alone, need not wait with; None
    where any is. To call it for a value that it finds nothing in would be in vain again and again."""
    gone: Callable[[Keyspace, Argv], CommandError | None] | None = None
    """Gives the error that ends the wait if what the command, with that key alone, waits at is there no more; None
    where commands just wait on."""


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """One row. Immutable: every node in the process shares it, so rows are compared as objects."""

    name: str
    """In capitals; a subcommand has the name of its family in front: CLIENT|ID."""
    arity: int
    argc_min: int
    argc_max: int
    flags: Flags
    keys: KeySpec
    since: str
    """The Redis version that introduced it."""
    group: str
    """Redis' name for the kind of command: string, connection, server ..."""
    categories: tuple[str, ...]
    """ACL categories, without the @."""
    summary: str
    """The first line of the handler's docstring; empty where compilation took it away."""
    merge: Merge
    index: int
    """Position in a node's per-command counters."""
    key_at: int
    """Where the one key stands in argv; 0 for commands that are not key_commands."""
    writes: bool
    """Whether it may change keys: Flags.WRITE in flags, or scripts that are not read-only."""
    denies_oom: bool
    """Whether it may take memory: Flags.DENYOOM in flags, paid once."""
    uses: bool
    """Whether the key counts as used by it; not where it only asks about the key."""
    no_auth: bool
    """Flags.NO_AUTH in flags, paid once."""
    can_queue: bool
    """Whether it may stand between MULTI and EXEC: Flags.NO_MULTI not in flags, paid once."""
    on_key: KeyHandler
    """Only to be called if `key_at` says so."""
    on_keys: KeysHandler | None
    on_session: SessionHandler | None
    awaits: Awaited | None = None
    """None for commands that never wait."""
    beyond: Beyond | None = None
    """Lists the keys that a request reads besides those that it names, for they follow
    from what these hold. None for commands that read no such keys."""
    on_script: ScriptHandler | None = None
    by_digest: bool = False
    """Whether it names its script by a digest."""
    protected: bool = False
    """Whether a setting says who may use it."""
    no_script: bool = False
    """Flags.NOSCRIPT in flags, paid once."""
    subcommands: "dict[bytes, Command]" = field(default_factory=dict)
    """By name in capitals; empty unless the command is a family."""

    def awaited(self, argv: Argv) -> list[bytes]:
        """Pick the keys that it may have to wait for."""
        if self.awaits is None:
            return []
        return (self.awaits.of or self.keys).of(argv)

    def member(self, argv: Argv) -> "Command":
        """Find the subcommand that argv names. Raises UnknownSubcommand."""
        row = self.subcommands.get(argv[1].upper())
        if row is None:
            raise UnknownSubcommand(self.name, argv[1])
        return row


def flag_names(flags: Flags) -> frozenset[str]:
    """Spell flags as COMMAND INFO does."""
    return frozenset(str(flag.name).lower() for flag in flags & ~Flags.CONNECTION)


TABLE: Final[dict[bytes, Command]] = {}
"""Rows by name, in capitals and in small letters. Filled by imports, then left alone."""
ROWS: Final[list[Command]] = []
"""All rows, subcommands included, by index."""


def lookup(name: bytes) -> Command | None:
    """Find a row. The two usual spellings hit without allocating."""
    return TABLE.get(name) or TABLE.get(name.upper())


def row_of(argv: Argv) -> Command | None:
    """Find the row that a request names, down to the subcommand, whatever else is wrong with it."""
    row = lookup(argv[0])
    if row is None or not row.subcommands or len(argv) == 1:
        return row
    return row.subcommands.get(argv[1].upper(), row)


def key_command(
    name: str, *, arity: int, flags: Flags, since: str, keys: KeySpec = FIRST
) -> Callable[[KeyHandler], KeyHandler]:
    """Register a command on one key; the function itself comes back unchanged.

    `arity` counts the command name (and the subcommand's); negative means "at least".
    Registering a name twice raises RuntimeError at import.
    """

    def register(handler: KeyHandler) -> KeyHandler:
        group = group_of(handler.__module__)
        _enter(name, arity, flags, since, keys, Merge.NONE, handler.__doc__, group, on_key=handler)
        return handler

    return register


def keys_command(
    name: str,
    *,
    arity: int,
    flags: Flags,
    since: str,
    keys: KeySpec,
    merge: Merge = Merge.NONE,
    awaits: Awaited | None = None,
    beyond: Beyond | None = None,
) -> Callable[[KeysHandler], KeysHandler]:
    """Register a command on several keys, or (`NO_KEYS`) on a whole database.

    With `merge` it can be run in parts, each with the keys of one owner, or on each
    node. Without, it is atomic over all its keys wherever they are. With `awaits` its
    handler may return `Waits`.
    """

    def register(handler: KeysHandler) -> KeysHandler:
        group = group_of(handler.__module__)
        _enter(
            name,
            arity,
            flags,
            since,
            keys,
            merge,
            handler.__doc__,
            group,
            on_keys=handler,
            awaits=awaits,
            beyond=beyond,
        )
        return handler

    return register


def script_command(
    name: str, *, arity: int, flags: Flags, since: str, keys: KeySpec, merge: Merge = Merge.NONE
) -> Callable[[ScriptHandler], ScriptHandler]:
    """Register a command that runs a script on its keys, or (`NO_KEYS`) is about the scripts of all nodes."""

    def register(handler: ScriptHandler) -> ScriptHandler:
        group = group_of(handler.__module__)
        _enter(name, arity, flags, since, keys, merge, handler.__doc__, group, on_script=handler)
        return handler

    return register


def command(
    name: str, *, arity: int, flags: Flags, since: str, slots: KeySpec = NO_KEYS
) -> Callable[[SessionHandler], SessionHandler]:
    """Register a command on the client's session or on its node.

    `slots` says which arguments are no keys, but have slots as keys do: sharded channels.
    """

    def register(handler: SessionHandler) -> SessionHandler:
        group = group_of(handler.__module__)
        _enter(name, arity, flags, since, slots, Merge.NONE, handler.__doc__, group, on_session=handler)
        return handler

    return register


def family(
    name: str,
    *,
    since: str,
    group: str = "generic",
    flags: Flags = Flags.NONE,
    alone: SessionHandler | None = None,
    help_since: str | None = None,
) -> None:
    """Register a command that has subcommands; they follow as `FAMILY|MEMBER`.

    `group` is Redis' name for the kind of command. `alone` answers when no subcommand is
    given; without it one is required. With `help_since` there is a subcommand HELP, made
    from the docstrings of the others.
    """
    summary = f"A family of {name} commands." if alone is None else alone.__doc__
    _enter(name, -2 if alone is None else -1, flags, since, NO_KEYS, Merge.NONE, summary, group, on_session=alone)
    if help_since is None:
        return
    row = TABLE[name.encode()]

    def explain(_session: Session, _argv: Argv) -> Reply:
        return list(help_of(row))

    explained, told = f"{name}|HELP", "Print this help."
    flags = Flags.LOADING | Flags.STALE
    _enter(explained, 2, flags, help_since, NO_KEYS, Merge.NONE, told, group, on_session=explain)


def help_of(row: Command) -> list[Status]:
    """Say what the subcommands of a family do, a line each and what it does below."""
    lines = [f"{row.name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    if row.on_session is not None:
        lines += ["(no subcommand)", f"    {row.summary}"]
    for name, member in sorted(row.subcommands.items()):
        lines += [name.decode(), f"    {member.summary}"]
    return [Status(line.encode()) for line in lines]


def _on_no_key(_partition: Partition, _argv: Argv) -> Reply:
    raise AssertionError("this is no command on one key")


def _enter(  # noqa: PLR0913 # one row has so many columns
    name: str,
    arity: int,
    flags: Flags,
    since: str,
    keys: KeySpec,
    merge: Merge,
    summary: str | None,
    group: str,
    *,
    on_key: KeyHandler | None = None,
    on_keys: KeysHandler | None = None,
    on_session: SessionHandler | None = None,
    awaits: Awaited | None = None,
    beyond: Beyond | None = None,
    on_script: ScriptHandler | None = None,
) -> None:
    is_family = on_key is None and on_keys is None and on_session is None and on_script is None
    runs_script = on_script is not None and keys.names_keys
    row = Command(
        name=name,
        arity=arity,
        argc_min=abs(arity),
        argc_max=arity if arity > 0 else sys.maxsize,
        flags=flags,
        keys=keys,
        since=since,
        group=group,
        categories=categories_of(name, group, flag_names(flags), is_family=is_family),
        summary=(summary or "").partition("\n")[0],
        merge=merge,
        index=len(ROWS),
        key_at=keys.first if on_key is not None else 0,
        writes=Flags.WRITE in flags or (runs_script and Flags.READONLY not in flags),
        denies_oom=Flags.DENYOOM in flags,
        uses=name not in ABOUT_KEYS,
        no_auth=Flags.NO_AUTH in flags,
        can_queue=Flags.NO_MULTI not in flags,
        on_key=on_key or _on_no_key,
        on_keys=on_keys,
        on_session=on_session,
        awaits=awaits,
        beyond=beyond,
        on_script=on_script,
        by_digest=name in BY_DIGEST,
        protected=name.partition("|")[0] in PROTECTED,
        no_script=Flags.NOSCRIPT in flags,
    )
    parent, _, member = name.partition("|")
    spellings = (member.encode(),) if member else (name.encode(), name.lower().encode())
    table = TABLE[parent.encode()].subcommands if member else TABLE
    for spelling in spellings:
        if table.setdefault(spelling, row) is not row:
            raise RuntimeError(f"{name} is registered twice")
    ROWS.append(row)
