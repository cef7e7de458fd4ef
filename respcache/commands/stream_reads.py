"""Reading streams: from an id on, or as a consumer of a group; both may wait for entries."""

from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.registry import STREAMS, Awaited, Flags, keys_command
from respcache.commands.stream_arguments import group_at, id_text, shown, strict_id
from respcache.commands.stream_groups import consumer_of, tell
from respcache.errors import CommandError, SyntaxRefused
from respcache.reply import NULL_ARRAY, Named, Reply, Waits
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv
from respcache.store.stream_blocks import ID_MAX
from respcache.store.stream_groups import Consumer, Group
from respcache.store.streams import UNKNOWN, Stream


class _StreamGone(CommandError):
    """The stream that a consumer waited for is there no more; nothing was done."""

    code = "UNBLOCKED"

    def __init__(self) -> None:
        super().__init__("the stream key no longer exists")


class _GroupGone(CommandError):
    """The group that a consumer waited in is there no more; nothing was done."""

    code = "NOGROUP"

    def __init__(self) -> None:
        super().__init__("the consumer group this client was blocked on no longer exists")


class _Wish:
    """What a command wants to read."""

    __slots__ = ("acknowledged", "at", "consumer", "count", "group", "keys", "patience_ms", "texts")

    def __init__(self, argv: Argv, *, grouped: bool) -> None:
        """Raises CommandError."""
        self.patience_ms = -1
        """How long it waits; 0 for ever, -1 not at all."""
        self.count = 0
        self.group: bytes | None = None
        self.consumer = b""
        self.acknowledged = False
        """Whether what it reads needs no acknowledgement."""
        self.at = 0
        """Where the keys begin."""
        self.keys: list[bytes] = []
        self.texts: list[bytes] = []
        place = 1
        while place < len(argv) and not self.at:
            place += self._option(argv, place, grouped=grouped)
        if not self.at:
            raise SyntaxRefused
        words = argv[self.at :]
        if len(words) % 2:
            raise CommandError("Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.")
        if grouped and self.group is None:
            raise CommandError("Missing GROUP option for XREADGROUP")
        self.keys, self.texts = words[: len(words) // 2], words[len(words) // 2 :]

    def _option(self, argv: Argv, place: int, *, grouped: bool) -> int:
        """Read an option, and say how many words it is. Raises CommandError."""
        word, more = option(argv[place]), len(argv) - place - 1
        if word == b"BLOCK" and more:
            self.patience_ms = _patience_ms(argv[place + 1])
            return 2
        if word == b"COUNT" and more:
            self.count = max(integer(argv[place + 1]), 0)
            return 2
        if word == b"STREAMS" and more:
            self.at = place + 1
            return 1
        if word == b"GROUP" and more >= 2:
            if not grouped:
                raise CommandError("The GROUP option is only supported by XREADGROUP. You called XREAD instead.")
            self.group, self.consumer = argv[place + 1], argv[place + 2]
            return 3
        if word != b"NOACK":
            raise SyntaxRefused
        if not grouped:
            raise CommandError("The NOACK option is only supported by XREADGROUP. You called XREAD instead.")
        self.acknowledged = True
        return 1


def _may_wait(argv: Argv) -> bool:
    """Tell whether a command that is read without complaint has BLOCK."""
    for place in range(1, len(argv)):
        word = option(argv[place])
        if word == b"STREAMS":
            return False
        if word == b"BLOCK":
            return True
    return False


def _settled(space: Keyspace, argv: Argv) -> list[bytes]:
    """Say `$` and `+` as the ids that they stand for now: while it waits these would be others."""
    wish = _Wish(argv, grouped=False)
    return [
        id_text(_read_start(space, key, text)) if text.partition(b"\0")[0] in {b"$", b"+"} else text
        for key, text in zip(wish.keys, wish.texts, strict=True)
    ]


def _has_entries(space: Keyspace, argv: Argv) -> bool:
    """Tell whether a stream has entries behind the id that is given for it."""
    wish = _Wish(argv, grouped=False)
    for key, text in zip(wish.keys, wish.texts, strict=True):
        found = space.at(key).aggregate(key, Stream)
        if found is not None and found.length and found.top > strict_id(text):
            return True
    return False


def _has_deliveries(space: Keyspace, argv: Argv) -> bool:
    """Tell whether a stream has entries for a group, or the group is gone, which is an answer, too."""
    wish = _Wish(argv, grouped=True)
    for key in wish.keys:
        try:
            found, group = group_at(space.at(key), key, wish.group or b"")
        except CommandError:
            return True
        if found.length and found.top > group.last:
            return True
    return False


def _gone(space: Keyspace, argv: Argv) -> CommandError | None:
    """Tell whether a stream that a consumer waits at is gone, or its group."""
    wish = _Wish(argv, grouped=True)
    for key in wish.keys:
        partition = space.at(key)
        if not isinstance(partition.value(key), Stream):
            return _StreamGone()
        try:
            group_at(partition, key, wish.group or b"")
        except CommandError:
            return _GroupGone()
    return None


ENTRIES: Final = Awaited(Stream, only=_may_wait, settled=_settled, ready=_has_entries)
DELIVERIES: Final = Awaited(Stream, only=_may_wait, ready=_has_deliveries, gone=_gone)
_READS: Final = Flags.READONLY | Flags.BLOCKING | Flags.MOVABLEKEYS
_DELIVERS: Final = Flags.WRITE | Flags.BLOCKING | Flags.MOVABLEKEYS


@keys_command("XREAD", arity=-4, flags=_READS, since="5.0.0", keys=STREAMS, awaits=ENTRIES)
def xread(space: Keyspace, argv: Argv) -> Reply:
    """Return the entries of streams behind an id each; wait for one if there is none."""
    wish = _Wish(argv, grouped=False)
    starts = [_read_start(space, key, text) for key, text in zip(wish.keys, wish.texts, strict=True)]
    read: list[tuple[Reply, Reply]] = []
    for key, start in zip(wish.keys, starts, strict=True):
        found = space.at(key).read_aggregate(key, Stream)
        if found is not None and found.length and found.top > start:
            read.append((key, shown(found.range(start + 1, ID_MAX, wish.count))))
    return Named(read) if read else _nothing(wish)


@keys_command("XREADGROUP", arity=-7, flags=_DELIVERS, since="5.0.0", keys=STREAMS, awaits=DELIVERIES)
def xreadgroup(space: Keyspace, argv: Argv) -> Reply:
    """Return entries of streams that no other consumer of the group was given, or (an id) what this one was."""
    wish = _Wish(argv, grouped=True)
    name = wish.group or b""
    starts = [_group_start(space, name, key, text) for key, text in zip(wish.keys, wish.texts, strict=True)]
    read: list[tuple[Reply, Reply]] = []
    for key, start in zip(wish.keys, starts, strict=True):
        partition = space.at(key)
        found, group = group_at(partition, key, name)
        now = partition.ledger.now_unix_ms
        if start == ID_MAX:
            if not found.length or found.top <= group.last:
                continue
            consumer = consumer_of(partition, key, group, wish.consumer, now)
            reply, given = _deliver(found, group, consumer, wish, now)
        else:
            consumer = consumer_of(partition, key, group, wish.consumer, now)
            reply, given = _history(found, consumer, start, wish.count, now)
        partition.changed = True
        tell(partition, [b"", key, name, wish.consumer], group, given, [], now)
        read.append((key, reply))
    return Named(read) if read else _nothing(wish)


def _deliver(
    found: Stream, group: Group, consumer: Consumer, wish: _Wish, now_unix_ms: int
) -> tuple[list[Reply], list[int]]:
    """Give a consumer what nobody in its group has had: the reply, and what it has to acknowledge."""
    entries = found.range(group.last + 1, ID_MAX, wish.count)
    for number, _ in entries:
        if group.read != UNKNOWN and not found.has_gaps_from(number):
            group.read += 1
        elif found.added:
            group.read = found.read_until(number)
        group.last = number
        if not wish.acknowledged:
            consumer.active_unix_ms = now_unix_ms
            group.give(number, consumer, now_unix_ms, 1)
    return shown(entries), [] if wish.acknowledged else [number for number, _ in entries]


def _history(
    found: Stream, consumer: Consumer, start: int, count: int, now_unix_ms: int
) -> tuple[list[Reply], list[int]]:
    """Give a consumer again what it has not acknowledged: the reply, and which entries those are."""
    listed: list[Reply] = []
    given: list[int] = []
    for number, delivery in consumer.pending.following(start + 1):
        fields = found.get(number)
        listed.append([id_text(number), NULL_ARRAY if fields is None else list(fields)])
        if fields is not None:
            delivery.at_unix_ms, delivery.count = now_unix_ms, delivery.count + 1
            given.append(number)
        if len(listed) == count:
            break
    return listed, given


def _read_start(space: Keyspace, key: bytes, text: bytes) -> int:
    """Give the id behind which XREAD reads. Raises CommandError."""
    found = space.at(key).read_aggregate(key, Stream)
    word = text.partition(b"\0")[0]
    if word == b"$":
        return 0 if found is None else found.last
    if word == b"+":
        return 0 if found is None or not found.length else found.top - 1
    if word == b">":
        raise CommandError(
            "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
        )
    return strict_id(text)


def _group_start(space: Keyspace, name: bytes, key: bytes, text: bytes) -> int:
    """Give the id behind which XREADGROUP reads; ID_MAX for what is new. Raises CommandError."""
    group_at(space.at(key), key, name, where=" in XREADGROUP with GROUP option")
    word = text.partition(b"\0")[0]
    if word == b"$":
        raise CommandError(
            "The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by "
            "specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result "
            "set."
        )
    return ID_MAX if word == b">" else strict_id(text)


def _patience_ms(text: bytes) -> int:
    try:
        patience_ms = integer(text)
    except CommandError:
        raise CommandError("timeout is not an integer or out of range") from None
    if patience_ms < 0:
        raise CommandError("timeout is negative")
    return patience_ms


def _nothing(wish: _Wish) -> Reply:
    return NULL_ARRAY if wish.patience_ms < 0 else Waits(wish.patience_ms, instead=NULL_ARRAY)
