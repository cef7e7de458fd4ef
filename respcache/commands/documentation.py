"""COMMAND: the command table, as clients read it to learn what may be sent and where the keys are.

Everything here is derived from the rows, and from `key_uses`. What rows do not say (the
kinds of all arguments) is left out or given as far as it follows.
"""

from collections.abc import Iterable
from typing import Final

from respcache.commands.arguments import option
from respcache.commands.key_uses import uses_in, uses_of
from respcache.commands.registry import TABLE, Command, Flags, KeySpec, Merge, command, family, flag_names, lookup
from respcache.commands.session import Session
from respcache.commands.summaries import summary_of
from respcache.errors import CommandError, SyntaxRefused, UnknownSubcommand
from respcache.glob import matcher
from respcache.reply import Members, Reply, Status
from respcache.store.partition import Argv

_TABLE: Final = Flags.LOADING | Flags.STALE

TIPS: Final[dict[Merge, tuple[bytes, ...]]] = {
    Merge.NONE: (),
    Merge.SUM: (b"response_policy:agg_sum",),
    Merge.EACH: (),
    Merge.OK: (b"response_policy:all_succeeded",),
    Merge.CONCAT: (b"nondeterministic_output_order",),
    Merge.LEAST: (b"response_policy:agg_min",),
    Merge.ANY: (b"nondeterministic_output",),
    Merge.MOST: (b"response_policy:agg_logical_and",),
    Merge.XOR: (b"response_policy:special",),
}
"""How a client that sends the parts of a command itself puts the replies together."""


def every_row(session: Session, argv: Argv) -> Reply:
    """List all commands with what is known of them."""
    del session, argv
    return [_row(row) for row in commands()]


family("COMMAND", since="2.8.13", group="server", flags=_TABLE, alone=every_row, help_since="5.0.0")


@command("COMMAND|COUNT", arity=2, flags=_TABLE, since="2.8.13")
def command_count(session: Session, argv: Argv) -> Reply:
    """Count the commands."""
    del session, argv
    return len(commands())


@command("COMMAND|INFO", arity=-2, flags=_TABLE, since="2.8.13")
def command_info(session: Session, argv: Argv) -> Reply:
    """List the named commands with what is known of them; null for an unknown one."""
    if len(argv) == 2:
        return every_row(session, argv)
    found = [named(name) for name in argv[2:]]
    return [None if row is None else _row(row) for row in found]


@command("COMMAND|DOCS", arity=-2, flags=_TABLE, since="7.0.0")
def command_docs(session: Session, argv: Argv) -> Reply:
    """Explain the named commands, or all."""
    session.interactive = True
    rows = commands() if len(argv) == 2 else [row for name in argv[2:] if (row := named(name)) is not None]
    return {row.name.lower().encode(): _docs(row) for row in rows}


@command("COMMAND|LIST", arity=-2, flags=_TABLE, since="7.0.0")
def command_list(session: Session, argv: Argv) -> Reply:
    """List the names of all commands, or of those FILTERBY MODULE, ACLCAT or PATTERN."""
    del session
    rows = [row for parent in commands() for row in (parent, *parent.subcommands.values())]
    if len(argv) == 2:
        return [row.name.lower().encode() for row in rows]
    if len(argv) != 5 or option(argv[2]) != b"FILTERBY":
        raise SyntaxRefused
    match option(argv[3]):
        case b"MODULE":
            rows = []
        case b"ACLCAT":
            rows = [row for row in rows if argv[4].lower().decode("utf-8", "replace") in row.categories]
        case b"PATTERN":
            fits = matcher(argv[4], ignore_case=True)
            rows = [row for row in rows if fits(row.name.lower().encode())]
        case _:
            raise SyntaxRefused
    return [row.name.lower().encode() for row in rows]


@command("COMMAND|GETKEYS", arity=-4, flags=_TABLE, since="2.8.13")
def command_getkeys(session: Session, argv: Argv) -> Reply:
    """List the keys in a whole request."""
    del session
    row = _request_row(argv[2:])
    return list(row.keys.of(argv[2:]))


@command("COMMAND|GETKEYSANDFLAGS", arity=-4, flags=_TABLE, since="7.0.0")
def command_getkeysandflags(session: Session, argv: Argv) -> Reply:
    """List the keys in a whole request, with what is done to them."""
    del session
    row = _request_row(argv[2:])
    return [[key, _statuses(uses)] for key, uses in uses_in(row, argv[2:])]


def commands() -> list[Command]:
    """List all commands, without subcommands, by name."""
    return [row for name, row in sorted(TABLE.items()) if name.isupper()]


def named(name: bytes) -> Command | None:
    """Find a command, or with `family|member` a subcommand."""
    parent, _, member = name.partition(b"|")
    row = lookup(parent)
    return row if row is None or not member else row.subcommands.get(member.upper())


def _request_row(request: Argv) -> Command:
    """Find what a request would run. Raises CommandError if it has no keys or would not run."""
    row = lookup(request[0])
    try:
        if row is not None and row.subcommands and len(request) > 1:
            row = row.member(request)
    except UnknownSubcommand:
        row = None
    if row is None:
        raise CommandError("Invalid command specified")
    if not row.keys.names_keys or row.on_session is not None:
        raise CommandError("The command has no key arguments")
    if not row.argc_min <= len(request) <= row.argc_max:
        raise CommandError("Invalid number of arguments specified for command")
    return row


def _row(row: Command) -> Reply:
    return [
        row.name.lower().encode(),
        row.arity,
        _statuses(sorted(flag_names(row.flags))),
        row.keys.first,
        row.keys.last,
        row.keys.step,
        _statuses(f"@{category}" for category in row.categories),
        Members(_tips(row)),
        Members(_key_specs(row)),
        Members(_row(member) for _, member in sorted(row.subcommands.items())),
    ]


def _statuses(words: Iterable[str]) -> Members:
    return Members(Status(word.encode()) for word in words)


def _tips(row: Command) -> tuple[bytes, ...]:
    if row.merge is Merge.NONE:
        return ()
    if row.merge is Merge.WALK:
        return (b"nondeterministic_output", b"request_policy:special")
    policy = b"request_policy:multi_shard" if row.keys.names_keys else b"request_policy:all_shards"
    if row.on_script is not None and row.merge is Merge.OK:
        policy = b"request_policy:all_nodes"
    return (policy, *TIPS[row.merge])


def _key_specs(row: Command) -> list[Reply]:
    keys, uses = row.keys, [_statuses(words) for words in uses_of(row)]
    if row.on_session is not None:
        uses = [_statuses(("not_key",))]
    specs: list[Reply] = []
    if keys.first:
        last, step = _last_from_first(keys), keys.step
        apart = len(uses) > 1 and last
        """Whether the first key is one by itself, since it is used otherwise than those behind it."""
        specs.append(_range(uses[0], keys.first, 0 if apart else last, step))
        if apart:
            specs.append(_range(uses[1], keys.first + step, last if last < 0 else last - step, step))
    if keys.count_at:
        following: Reply = {b"keynumidx": 0, b"firstkey": 1, b"keystep": 1}
        specs.append(_key_spec(uses[-1], keys.count_at, b"keynum", following))
    if keys.behind_streams:
        begins: Reply = {b"keyword": b"STREAMS", b"startfrom": 4 if row.writes else 1}
        specs.append(
            {
                b"flags": uses[0],
                b"begin_search": {b"type": b"keyword", b"spec": begins},
                b"find_keys": {b"type": b"range", b"spec": {b"lastkey": -1, b"keystep": 1, b"limit": 2}},
            }
        )
    return specs


def _range(uses: Members, first: int, last: int, step: int) -> Reply:
    return _key_spec(uses, first, b"range", {b"lastkey": last, b"keystep": step, b"limit": 0})


def _key_spec(uses: Members, index: int, kind: bytes, spec: Reply) -> Reply:
    return {
        b"flags": uses,
        b"begin_search": {b"type": b"index", b"spec": {b"index": index}},
        b"find_keys": {b"type": kind, b"spec": spec},
    }


def _last_from_first(keys: KeySpec) -> int:
    """Count the last key from the first, or if negative from the end of the request."""
    return keys.last if keys.last < 0 else keys.last - keys.first


def _docs(row: Command) -> Reply:
    docs: dict[Reply, Reply] = {
        b"summary": summary_of(row).encode(),
        b"since": row.since.encode(),
        b"group": row.group.encode(),
    }
    arguments = _arguments(row)
    if arguments:
        docs[b"arguments"] = arguments
    if row.subcommands:
        docs[b"subcommands"] = {
            member.name.lower().encode(): _docs(member) for _, member in sorted(row.subcommands.items())
        }
    return docs


def _arguments(row: Command) -> list[Reply]:
    """Name the keys as such, and what must or may follow them."""
    if row.subcommands:
        return []
    places = row.keys.of([b"%d" % at for at in range(row.argc_min)])
    first = row.name.count("|") + 1
    arguments = [_argument(is_key=b"%d" % at in places) for at in range(first, row.argc_min)]
    if row.arity < 0:
        more = _argument(is_key=row.keys.last < 0 and row.keys.step == 1)
        arguments.append(more | {b"flags": _statuses(("optional", "multiple"))})
    return list(arguments)


def _argument(*, is_key: bool) -> dict[Reply, Reply]:
    if is_key:
        return {b"name": b"key", b"type": b"key", b"key_spec_index": 0}
    return {b"name": b"argument", b"type": b"string"}
