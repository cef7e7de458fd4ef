"""What a stream, its groups and their consumers say of themselves: XINFO."""

from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.registry import Flags, command, family, key_command
from respcache.commands.session import Session
from respcache.commands.stream_arguments import NoGroup, id_text, passed, shown, shown_name
from respcache.commands.stream_groups import SECOND, Malformed
from respcache.errors import CommandError
from respcache.reply import Reply, Status
from respcache.store.partition import Argv, Partition
from respcache.store.stream_blocks import ID_MAX
from respcache.store.stream_groups import NEVER_ACTIVE, Consumer, Deliveries
from respcache.store.streams import UNKNOWN, Stream

FULL_COUNT: Final = 10
"""Entries and deliveries that XINFO STREAM FULL lists, unless told."""

XINFO_HELP: Final[list[Reply]] = [
    Status(line)
    for line in (
        b"XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"CONSUMERS <key> <groupname>",
        b"    Show consumers of <groupname>.",
        b"GROUPS <key>",
        b"    Show the stream consumer groups.",
        b"STREAM <key> [FULL [COUNT <count>]",
        b"    Show information about the stream.",
        b"HELP",
        b"    Prints this help.",
    )
]


family("XINFO", since="5.0.0", group="stream")


@key_command("XINFO|STREAM", arity=-3, flags=Flags.READONLY, since="5.0.0", keys=SECOND)
def xinfo_stream(partition: Partition, argv: Argv) -> Reply:
    """Describe a stream; FULL with its groups, consumers and first entries."""
    found = _stream(partition, argv)
    count = _full_count(argv)
    shape: dict[Reply, Reply] = {
        b"length": found.length,
        b"radix-tree-keys": found.blocks,
        b"radix-tree-nodes": found.blocks + 1,
        b"last-generated-id": id_text(found.last),
        b"max-deleted-entry-id": id_text(found.deleted),
        b"entries-added": found.added,
        b"recorded-first-entry-id": id_text(found.first),
    }
    if count < 0:
        first, last = shown(found.range(0, ID_MAX, 1)), shown(found.backwards(0, ID_MAX, 1))
        ends: dict[Reply, Reply] = {
            b"groups": len(found.groups),
            b"first-entry": first[0] if first else None,
            b"last-entry": last[0] if last else None,
        }
        return shape | ends
    groups: list[Reply] = [_in_full(found, name, count) for name in sorted(found.groups)]
    whole: dict[Reply, Reply] = {b"entries": shown(found.range(0, ID_MAX, count)), b"groups": groups}
    return shape | whole


@key_command("XINFO|GROUPS", arity=3, flags=Flags.READONLY, since="5.0.0", keys=SECOND)
def xinfo_groups(partition: Partition, argv: Argv) -> Reply:
    """Describe the groups of a stream."""
    found = _stream(partition, argv)
    listed: list[Reply] = []
    for name in sorted(found.groups):
        group = found.groups[name]
        listed.append(
            {
                b"name": name,
                b"consumers": len(group.consumers),
                b"pending": len(group.pending),
                b"last-delivered-id": id_text(group.last),
                b"entries-read": _known(group.read),
                b"lag": found.lag(group),
            }
        )
    return listed


@key_command("XINFO|CONSUMERS", arity=4, flags=Flags.READONLY, since="5.0.0", keys=SECOND)
def xinfo_consumers(partition: Partition, argv: Argv) -> Reply:
    """Describe the consumers of a group."""
    group = _stream(partition, argv).groups.get(argv[3])
    if group is None:
        raise NoGroup(f"No such consumer group '{shown_name(argv[3])}' for key name '{shown_name(argv[2])}'")
    now = partition.ledger.now_unix_ms
    listed: list[Reply] = []
    for one in group.sorted_consumers():
        never = one.active_unix_ms == NEVER_ACTIVE
        listed.append(
            {
                b"name": one.name,
                b"pending": len(one.pending),
                b"idle": passed(now, one.seen_unix_ms),
                b"inactive": NEVER_ACTIVE if never else passed(now, one.active_unix_ms),
            }
        )
    return listed


@command("XINFO|HELP", arity=2, flags=Flags.LOADING | Flags.STALE, since="5.0.0")
def xinfo_help(session: Session, argv: Argv) -> Reply:
    """Describe the XINFO commands."""
    del session, argv
    return XINFO_HELP


def _stream(partition: Partition, argv: Argv) -> Stream:
    found = partition.read_aggregate(argv[2], Stream)
    if found is None:
        raise CommandError("no such key")
    return found


def _full_count(argv: Argv) -> int:
    """Read `[FULL [COUNT count]]`; -1 without. Raises CommandError."""
    words = argv[3:]
    if not words:
        return -1
    if len(words) not in {1, 3} or option(words[0]) != b"FULL" or (len(words) == 3 and option(words[1]) != b"COUNT"):
        raise Malformed("XINFO", argv[1])
    count = integer(words[2]) if len(words) == 3 else FULL_COUNT
    return FULL_COUNT if count < 0 else count


def _in_full(found: Stream, name: bytes, count: int) -> Reply:
    group = found.groups[name]
    return {
        b"name": name,
        b"last-delivered-id": id_text(group.last),
        b"entries-read": _known(group.read),
        b"lag": found.lag(group),
        b"pel-count": len(group.pending),
        b"pending": _listed(group.pending, count, named=True),
        b"consumers": [_consumer(one, count) for one in group.sorted_consumers()],
    }


def _consumer(consumer: Consumer, count: int) -> Reply:
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen_unix_ms,
        b"active-time": consumer.active_unix_ms,
        b"pel-count": len(consumer.pending),
        b"pending": _listed(consumer.pending, count, named=False),
    }


def _listed(deliveries: Deliveries, count: int, *, named: bool) -> Reply:
    listed: list[Reply] = []
    for number, one in deliveries.following(0):
        name: list[Reply] = [one.consumer] if named else []
        listed.append([id_text(number), *name, one.at_unix_ms, one.count])
        if len(listed) == count:
            break
    return listed


def _known(count: int) -> Reply:
    return None if count == UNKNOWN else count
