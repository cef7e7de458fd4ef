"""What commands on streams have in common: ids in requests and replies, and groups that must exist."""

import re
from typing import Final

from respcache.commands.arguments import INT64_MAX, INT64_MIN, integer
from respcache.errors import CommandError, NotAnInteger, echoed
from respcache.reply import Reply
from respcache.store.partition import Partition
from respcache.store.stream_blocks import ID_MAX, SEQUENCE_BITS, SEQUENCE_MAX
from respcache.store.stream_groups import Group
from respcache.store.streams import Entry, Stream

ID_BYTES_MAX: Final = 127
"""Redis looks at no longer ones."""
_LOOSE: Final = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)")
"""What the C library reads as a number."""


class InvalidId(CommandError):
    """An argument is no id of an entry."""

    def __init__(self) -> None:
        super().__init__("Invalid stream ID specified as stream command argument")


class NoGroup(CommandError):
    """The key, or the group of the stream there, does not exist."""

    code = "NOGROUP"


def id_text(number: int) -> bytes:
    """Write an id."""
    return b"%d-%d" % (number >> SEQUENCE_BITS, number & SEQUENCE_MAX)


def strict_id(text: bytes, missing: int = 0) -> int:
    """Read an id; `missing` is the sequence number of one that has none. Raises InvalidId."""
    moment, dash, sequence = _cut(text)
    return _unsigned(moment) << SEQUENCE_BITS | (_unsigned(sequence) if dash else missing)


def loose_id(text: bytes, missing: int = 0) -> int:
    """Read an id, or `-` and `+` for the lowest and the highest one. Raises InvalidId."""
    word = text.partition(b"\0")[0]
    if word == b"-" and len(text) <= ID_BYTES_MAX:
        return 0
    if word == b"+" and len(text) <= ID_BYTES_MAX:
        return ID_MAX
    return strict_id(text, missing)


def start_of(text: bytes) -> int:
    """Read where a range begins; behind that id if there is a bracket before it. Raises CommandError."""
    if len(text) < 2 or not text.startswith(b"("):
        return loose_id(text)
    number = strict_id(text[1:])
    if number == ID_MAX:
        raise CommandError("invalid start ID for the interval")
    return number + 1


def end_of(text: bytes) -> int:
    """Read where a range ends; before that id if there is a bracket before it. Raises CommandError."""
    if len(text) < 2 or not text.startswith(b"("):
        return loose_id(text, SEQUENCE_MAX)
    number = strict_id(text[1:], SEQUENCE_MAX)
    if number == 0:
        raise CommandError("invalid end ID for the interval")
    return number - 1


def partial_id(text: bytes) -> tuple[int, bool]:
    """Read an id whose sequence number may be `*`: the id with 0 in its place, and whether that is so."""
    moment, dash, sequence = _cut(text)
    if dash and sequence == b"*":
        return _unsigned(moment) << SEQUENCE_BITS, True
    return strict_id(text), False


def told_integer(text: bytes, refusal: str) -> int:
    """Read an integer. Raises CommandError with this text."""
    try:
        return integer(text)
    except NotAnInteger:
        raise CommandError(refusal) from None


def shown_name(text: bytes) -> str:
    """Make a name fit to stand in an error: Redis ends it at a zero byte, whatever its length."""
    return echoed(text.partition(b"\0")[0], len(text))


def passed(now_unix_ms: int, then_unix_ms: int) -> int:
    """Count the milliseconds since then. Too long for 64 bits, or yet to come, is none, as in Redis."""
    since_ms = now_unix_ms - then_unix_ms
    return since_ms if 0 <= since_ms <= INT64_MAX else 0


def shown(entries: list[Entry]) -> list[Reply]:
    """Make the reply for entries."""
    return [[id_text(number), list(fields)] for number, fields in entries]


def group_at(partition: Partition, key: bytes, name: bytes, *, where: str = "") -> tuple[Stream, Group]:
    """Give the stream at key and its group of that name. Raises WrongType or NoGroup."""
    found = partition.read_aggregate(key, Stream)
    group = None if found is None else found.groups.get(name)
    if found is None or group is None:
        raise NoGroup(f"No such key '{shown_name(key)}' or consumer group '{shown_name(name)}'{where}")
    return found, group


def _cut(text: bytes) -> tuple[bytes, bytes, bytes]:
    if len(text) > ID_BYTES_MAX:
        raise InvalidId
    return text.partition(b"\0")[0].partition(b"-")


def _unsigned(text: bytes) -> int:
    """Read an unsigned 64-bit integer, as Redis does: its own way first, then the C library's."""
    if text.isdigit():
        number = int(text)
    else:
        found = _LOOSE.fullmatch(text)
        if found is None:
            raise InvalidId
        number = int(found[2])
        if found[1] == b"-":
            if 0 < number <= -INT64_MIN and text == b"-%d" % number:
                raise InvalidId
            number = -number if number > SEQUENCE_MAX else -number & SEQUENCE_MAX
    if not 0 <= number <= SEQUENCE_MAX:
        raise InvalidId
    return number
