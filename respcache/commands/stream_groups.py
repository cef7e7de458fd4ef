"""Commands on the groups of consumers of a stream."""

from typing import Final

from respcache.commands.arguments import integer, option, ranged
from respcache.commands.events import CONSUMER_MADE
from respcache.commands.registry import Flags, KeySpec, command, family, key_command
from respcache.commands.session import Session
from respcache.commands.stream_arguments import (
    InvalidId,
    NoGroup,
    end_of,
    group_at,
    id_text,
    loose_id,
    passed,
    shown,
    shown_name,
    start_of,
    strict_id,
    told_integer,
)
from respcache.errors import CommandError, SyntaxRefused, echoed
from respcache.reply import NULL_ARRAY, OK, Reply, Status
from respcache.store.partition import Argv, Partition
from respcache.store.stream_groups import NEVER_ACTIVE, Consumer, Group
from respcache.store.streams import UNKNOWN, Stream

SECOND: Final = KeySpec(2, 2, 1)
_CLAIMS: Final = Flags.WRITE | Flags.FAST
COUNT_DEFAULT: Final = 100
COUNT_MAX: Final = (2**63 - 1) // 16
LOOKED_AT: Final = 10
"""How many deliveries XAUTOCLAIM looks at for each that it may claim."""

XGROUP_HELP: Final[list[Reply]] = [
    Status(line)
    for line in (
        b"XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"CREATE <key> <groupname> <id|$> [option]",
        b"    Create a new consumer group. Options are:",
        b"    * MKSTREAM",
        b"      Create the empty stream if it does not exist.",
        b"    * ENTRIESREAD entries_read",
        b"      Set the group's entries_read counter (internal use).",
        b"CREATECONSUMER <key> <groupname> <consumer>",
        b"    Create a new consumer in the specified group.",
        b"DELCONSUMER <key> <groupname> <consumer>",
        b"    Remove the specified consumer.",
        b"DESTROY <key> <groupname>",
        b"    Remove the specified group.",
        b"SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        b"    Set the current group ID and entries_read counter.",
        b"HELP",
        b"    Prints this help.",
    )
]


class BusyGroup(CommandError):
    """There is a group of that name already; nothing was done."""

    code = "BUSYGROUP"

    def __init__(self) -> None:
        super().__init__("Consumer Group name already exists")


class Malformed(CommandError):
    """The arguments fit no form of the subcommand; nothing was done."""

    def __init__(self, family: str, given: bytes) -> None:
        super().__init__(f"unknown subcommand or wrong number of arguments for '{echoed(given)}'. Try {family} HELP.")


family("XGROUP", since="5.0.0", group="stream")


@key_command("XGROUP|CREATE", arity=-5, flags=Flags.WRITE | Flags.DENYOOM, since="5.0.0", keys=SECOND)
def xgroup_create(partition: Partition, argv: Argv) -> Reply:
    """Make a group of consumers, that begins to read behind an id."""
    makes, read = _group_options(argv, makes=True)
    found = partition.aggregate(argv[2], Stream)
    if found is None and not makes:
        raise _KeyNeeded
    if len(argv) > 8:
        raise Malformed("XGROUP", argv[1])
    last = (0 if found is None else found.last) if argv[4] == b"$" else strict_id(argv[4])
    if found is not None and argv[3] in found.groups:
        raise BusyGroup
    if found is None:
        found = Stream()
        partition.put(argv[2], found)
    found.groups[argv[3]] = Group(last, read)
    partition.changed = True
    return OK


@key_command("XGROUP|SETID", arity=-5, flags=Flags.WRITE, since="5.0.0", keys=SECOND)
def xgroup_setid(partition: Partition, argv: Argv) -> Reply:
    """Have a group go on behind an id."""
    _, read = _group_options(argv, makes=False)
    found, group = _group_of(partition, argv)
    if len(argv) not in {5, 7}:
        raise Malformed("XGROUP", argv[1])
    group.last = found.last if argv[4] == b"$" else loose_id(argv[4])
    group.read = read
    partition.changed = True
    return OK


@key_command("XGROUP|DESTROY", arity=4, flags=Flags.WRITE, since="5.0.0", keys=SECOND)
def xgroup_destroy(partition: Partition, argv: Argv) -> Reply:
    """Remove a group; return whether there was one."""
    found = partition.aggregate(argv[2], Stream)
    if found is None:
        raise _KeyNeeded
    if found.groups.pop(argv[3], None) is None:
        return 0
    partition.changed = True
    return 1


@key_command("XGROUP|CREATECONSUMER", arity=5, flags=Flags.WRITE | Flags.DENYOOM, since="6.2.0", keys=SECOND)
def xgroup_createconsumer(partition: Partition, argv: Argv) -> Reply:
    """Make a consumer of a group; return whether it is new."""
    _, group = _group_of(partition, argv)
    if argv[4] in group.consumers:
        return 0
    now = partition.ledger.now_unix_ms
    group.consumer(argv[4], now)
    partition.changed = True
    tell_seen(partition, argv[2], argv[3], group.consumers[argv[4]])
    return 1


@key_command("XGROUP|DELCONSUMER", arity=5, flags=Flags.WRITE, since="5.0.0", keys=SECOND)
def xgroup_delconsumer(partition: Partition, argv: Argv) -> Reply:
    """Remove a consumer of a group; return how many entries it had not acknowledged."""
    _, group = _group_of(partition, argv)
    if argv[4] not in group.consumers:
        return 0
    partition.changed = True
    return group.dismiss(argv[4])


@command("XGROUP|HELP", arity=2, flags=Flags.LOADING | Flags.STALE, since="5.0.0")
def xgroup_help(session: Session, argv: Argv) -> Reply:
    """Describe the XGROUP commands."""
    del session, argv
    return XGROUP_HELP


@key_command("XACK", arity=-4, flags=_CLAIMS, since="5.0.0")
def xack(partition: Partition, argv: Argv) -> Reply:
    """Acknowledge entries that were delivered to a group; return how many it were."""
    found = partition.read_aggregate(argv[1], Stream)
    group = None if found is None else found.groups.get(argv[2])
    if group is None:
        return 0
    acknowledged = sum([group.forget(number) for number in [strict_id(text) for text in argv[3:]]])
    if acknowledged:
        partition.changed = True
    return acknowledged


@key_command("XPENDING", arity=-3, flags=Flags.READONLY, since="5.0.0")
def xpending(partition: Partition, argv: Argv) -> Reply:
    """Return what was delivered to a group and not acknowledged: a summary, or entry by entry."""
    if len(argv) == 3:
        _, group = group_at(partition, argv[1], argv[2])
        return _summary(group)
    if not 6 <= len(argv) <= 9:
        raise SyntaxRefused
    place, idle_ms = 3, 0
    if option(argv[3]) == b"IDLE":
        idle_ms, place = integer(argv[4]), 5
        if len(argv) < 8:
            raise SyntaxRefused
    count = max(integer(argv[place + 2]), 0)
    start, end = start_of(argv[place]), end_of(argv[place + 1])
    _, group = group_at(partition, argv[1], argv[2])
    deliveries = group.pending
    if place + 3 < len(argv):
        consumer = group.consumers.get(argv[place + 3])
        if consumer is None:
            return []
        deliveries = consumer.pending
    now, listed = partition.ledger.now_unix_ms, list[Reply]()
    for number, one in deliveries.following(start):
        if number > end or len(listed) == count:
            break
        passed_ms = passed(now, one.at_unix_ms)
        if not idle_ms or passed_ms >= idle_ms:
            listed.append([id_text(number), one.consumer, passed_ms, one.count])
    return listed


@key_command("XCLAIM", arity=-6, flags=_CLAIMS, since="5.0.0")
def xclaim(partition: Partition, argv: Argv) -> Reply:
    """Give a consumer entries that others have not acknowledged for some time; return them."""
    found, group = group_at(partition, argv[1], argv[2])
    least_ms = max(told_integer(argv[4], "Invalid min-idle-time argument for XCLAIM"), 0)
    numbers, place = _leading_ids(argv)
    now = partition.ledger.now_unix_ms
    options = _Claim(now)
    options.read(argv, place)
    told_last = options.last > group.last
    group.last = max(group.last, options.last)
    name, at = argv[3], options.at_unix_ms
    seen = now or at
    touched = told_last
    if not now:  # a copy: the primary has found that this consumer was there
        _note_seen(group.consumer(name, seen), numbers, options)
    claimed, gone = list[int](), list[int]()
    for number in numbers:
        delivery = group.pending.found.get(number)
        if found.get(number) is None:
            if group.forget(number):
                gone.append(number)
            continue
        if delivery is None and not options.force:
            continue
        if delivery is not None and least_ms and now - delivery.at_unix_ms < least_ms:
            continue
        count = 1 if delivery is None else delivery.count
        if options.retries >= 0:
            count = options.retries
        elif not options.only_ids:
            count += 1
        consumer = consumer_of(partition, argv[1], group, name, seen)
        consumer.active_unix_ms = seen
        group.give(number, consumer, at, count)
        claimed.append(number)
    if claimed or gone or touched:
        partition.changed = True
        tell(partition, argv, group, claimed, gone, seen if claimed else -1)
    return _claims(found, claimed, only_ids=options.only_ids)


@key_command("XAUTOCLAIM", arity=-6, flags=_CLAIMS, since="6.2.0")
def xautoclaim(partition: Partition, argv: Argv) -> Reply:
    """Give a consumer the entries that others have not acknowledged for some time, a few at a time."""
    least_ms = max(told_integer(argv[4], "Invalid min-idle-time argument for XAUTOCLAIM"), 0)
    start = start_of(argv[5])
    count, only_ids = _autoclaim_options(argv)
    found, group = group_at(partition, argv[1], argv[2])
    now, name = partition.ledger.now_unix_ms, argv[3]
    claimed, gone = list[int](), list[int]()
    cursor = 0
    for looked, (number, delivery) in enumerate(group.pending.following(start)):
        if looked == count * LOOKED_AT or len(claimed) + len(gone) == count:
            cursor = number
            break
        if found.get(number) is None:
            gone.append(number)
        elif not least_ms or now - delivery.at_unix_ms >= least_ms:
            claimed.append(number)
            consumer = consumer_of(partition, argv[1], group, name, now)
            consumer.active_unix_ms = now
            group.give(number, consumer, now, delivery.count + (not only_ids))
    for number in gone:
        group.forget(number)
    if claimed or gone:
        partition.changed = True
        tell(partition, argv, group, claimed, gone, now if claimed else -1)
    return [id_text(cursor), _claims(found, claimed, only_ids=only_ids), [id_text(number) for number in gone]]


def consumer_of(partition: Partition, key: bytes, group: Group, name: bytes, seen_unix_ms: int) -> Consumer:
    """Give the consumer of that name, a new one if there was none, which is an event."""
    if name not in group.consumers:
        partition.happened(CONSUMER_MADE, key)
    return group.consumer(name, seen_unix_ms)


def tell(  # the outcome of a command, in its parts
    partition: Partition, argv: Argv, group: Group, given: list[int], gone: list[int], seen_unix_ms: int
) -> None:
    """Tell the copies which entries a consumer has now, and which nobody has any more.

    argv begins with command, key, group and consumer. `seen_unix_ms` is -1 where the consumer did nothing.
    """
    key, name, consumer = argv[1:4]
    if gone:
        partition.rewrite([b"XACK", key, name, *map(id_text, gone)])
    alike: dict[tuple[int, int], list[bytes]] = {}
    for number in given:
        one = group.pending.found[number]
        alike.setdefault((one.at_unix_ms, one.count), []).append(id_text(number))
    head = [b"XCLAIM", key, name, consumer, b"0"]
    for (at, count), texts in alike.items():
        how = [b"TIME", b"%d" % at, b"RETRYCOUNT", b"%d" % count, b"FORCE", b"JUSTID"]
        partition.rewrite([*head, *texts, *how])
    if seen_unix_ms >= 0:
        tell_seen(partition, key, name, group.consumers[consumer])
    partition.rewrite([b"XGROUP", b"SETID", key, name, id_text(group.last), b"ENTRIESREAD", b"%d" % group.read])


def tell_seen(partition: Partition, key: bytes, group: bytes, consumer: Consumer) -> None:
    """Tell the copies when a consumer was seen last, which makes it where it is new: it claims nothing then.

    No entry has the id 0-0, so the count that stands behind RETRYCOUNT can be the time when it was active.
    """
    told = [b"XCLAIM", key, group, consumer.name, b"0", b"0-0", b"TIME", b"%d" % consumer.seen_unix_ms, b"JUSTID"]
    if consumer.active_unix_ms != NEVER_ACTIVE:
        told += [b"RETRYCOUNT", b"%d" % consumer.active_unix_ms]
    partition.rewrite(told)


class _Claim:
    """The options of XCLAIM."""

    __slots__ = ("_now_unix_ms", "at_unix_ms", "force", "last", "only_ids", "retries")

    def __init__(self, now_unix_ms: int) -> None:
        self._now_unix_ms: Final = now_unix_ms
        self.at_unix_ms = now_unix_ms
        self.force = self.only_ids = False
        self.retries = -1
        self.last = 0

    def read(self, argv: Argv, place: int) -> None:
        """Read what follows the ids. Raises CommandError."""
        arguments = iter(argv[place:])
        at = -1
        left = len(argv) - place
        for argument in arguments:
            word, left = option(argument), left - 1
            if word == b"FORCE":
                self.force = True
            elif word == b"JUSTID":
                self.only_ids = True
            elif left and word in {b"IDLE", b"TIME", b"RETRYCOUNT", b"LASTID"}:
                operand, left = next(arguments), left - 1
                if word == b"LASTID":
                    self.last = strict_id(operand)
                    continue
                amount = told_integer(operand, f"Invalid {word.decode()} option argument for XCLAIM")
                if word == b"RETRYCOUNT":
                    self.retries = amount
                else:
                    at = self._now_unix_ms - amount if word == b"IDLE" else amount
            else:
                raise CommandError(f"Unrecognized XCLAIM option '{shown_name(argument)}'")
        if at != -1:
            now = self._now_unix_ms
            self.at_unix_ms = now if now and not 0 <= at <= now else at


def _note_seen(consumer: Consumer, numbers: list[int], options: _Claim) -> None:
    """Note what `tell_seen` tells a copy, if that is what it is told."""
    if not any(numbers):
        consumer.active_unix_ms = options.retries


def _leading_ids(argv: Argv) -> tuple[list[int], int]:
    """Read ids as long as there are any: them, and where they end."""
    numbers = list[int]()
    for text in argv[5:]:
        try:
            numbers.append(strict_id(text))
        except InvalidId:
            break
    return numbers, 5 + len(numbers)


def _autoclaim_options(argv: Argv) -> tuple[int, bool]:
    count, only_ids, place = COUNT_DEFAULT, False, 6
    while place < len(argv):
        word = option(argv[place])
        if word == b"COUNT" and place + 1 < len(argv):
            place += 1
            count = _autoclaim_count(argv[place])
        elif word == b"JUSTID":
            only_ids = True
        else:
            raise SyntaxRefused
        place += 1
    return count, only_ids


def _autoclaim_count(text: bytes) -> int:
    try:
        return ranged(text, 1, COUNT_MAX)
    except CommandError:
        raise CommandError("COUNT must be > 0") from None


def _claims(found: Stream, claimed: list[int], *, only_ids: bool) -> list[Reply]:
    if only_ids:
        return [id_text(number) for number in claimed]
    return shown([(number, found.get(number) or []) for number in claimed])


def _summary(group: Group) -> Reply:
    if not len(group.pending):
        return [0, None, None, NULL_ARRAY]
    low, high = group.pending.edges()
    owners: list[Reply] = [[one.name, b"%d" % len(one.pending)] for one in group.sorted_consumers() if len(one.pending)]
    return [len(group.pending), id_text(low), id_text(high), owners]


def _group_options(argv: Argv, *, makes: bool) -> tuple[bool, int]:
    """Read MKSTREAM (where it `makes` streams) and ENTRIESREAD. Raises CommandError."""
    wanted, read, place = False, UNKNOWN, 5
    while place < len(argv):
        word = option(argv[place])
        if makes and word == b"MKSTREAM":
            wanted = True
        elif word == b"ENTRIESREAD" and place + 1 < len(argv):
            place += 1
            read = integer(argv[place])
            if read < UNKNOWN:
                raise CommandError("value for ENTRIESREAD must be positive or -1")
        else:
            raise Malformed("XGROUP", argv[1])
        place += 1
    return wanted, read


def _group_of(partition: Partition, argv: Argv) -> tuple[Stream, Group]:
    """Give the stream and the group that a subcommand names. Raises CommandError."""
    found = partition.aggregate(argv[2], Stream)
    if found is None:
        raise _KeyNeeded
    group = found.groups.get(argv[3])
    if group is None:
        raise NoGroup(f"No such consumer group '{shown_name(argv[3])}' for key name '{shown_name(argv[2])}'")
    return found, group


class _KeyNeeded(CommandError):
    """There is no stream at the key; nothing was done."""

    def __init__(self) -> None:
        super().__init__(
            "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM "
            "option to create an empty stream automatically."
        )
