"""Values to bytes, in RESP2 or RESP3. Pure.

The two protocols agree on most values; where they differ RESP2 gets what Redis
sends to its clients: maps become flat arrays, sets arrays, doubles bulk strings,
booleans integers. The protocol is described at redis.io under "RESP protocol spec".
"""

from collections.abc import Iterable
from typing import Final

from respcache.errors import CommandError
from respcache.reply import BigNumber, Digits, Members, Named, NullArray, Pairs, Push, Reply, Status, Verbatim, Waits

CRLF: Final = b"\r\n"
HEADED_MAX: Final = 1024
BULK_HEADS: Final[list[bytes]] = [b"$%d\r\n" % length for length in range(HEADED_MAX)]
"""Ready heads of short bulk strings: a list index costs a quarter of formatting one."""
SMALL_INTEGERS: Final[list[bytes]] = [b":%d\r\n" % number for number in range(HEADED_MAX)]

NULL_2: Final = b"$-1\r\n"
NULL_3: Final = b"_\r\n"


def encode(reply: Reply, protocol: int) -> bytes:
    """Encode one reply for a client that speaks RESP `protocol` (2 or 3)."""
    if type(reply) is bytes:
        return bulk(reply)
    if reply is None:
        return NULL_2 if protocol == 2 else NULL_3
    if type(reply) is int:
        return integer(reply)
    if isinstance(reply, Status):
        return reply.wire
    if isinstance(reply, CommandError):
        return error(reply)
    if isinstance(reply, dict):
        head = b"*%d\r\n" % (2 * len(reply)) if protocol == 2 else b"%%%d\r\n" % len(reply)
        return head + b"".join([encode(part, protocol) for pair in reply.items() for part in pair])
    if isinstance(reply, list):
        return array_head(len(reply), _array_kind(reply, protocol)) + b"".join(
            [encode(element, protocol) for element in reply]
        )
    return _rare(reply, protocol)


def bulk(value: bytes) -> bytes:
    """Encode a bulk string, the same in both protocols."""
    length = len(value)
    if length < HEADED_MAX:
        return BULK_HEADS[length] + value + CRLF
    return b"$%d\r\n%b\r\n" % (length, value)


def integer(number: int) -> bytes:
    """Encode an integer, the same in both protocols."""
    if 0 <= number < HEADED_MAX:
        return SMALL_INTEGERS[number]
    return b":%d\r\n" % number


def error(refusal: CommandError) -> bytes:
    """Encode an error; line ends in its text have been replaced."""
    return b"-%b\r\n" % refusal.line()


def array_head(length: int, kind: bytes = b"*") -> bytes:
    """Encode the head of an array, the elements follow; other kinds than `*` are RESP3's."""
    return kind + b"%d\r\n" % length


def _array_kind(reply: "list[Reply]", protocol: int) -> bytes:
    if protocol == 3 and isinstance(reply, Members):
        return b"~"
    if protocol == 3 and isinstance(reply, Push):
        return b">"
    return b"*"


def _rare(reply: Reply, protocol: int) -> bytes:  # noqa: C901 # one case for each type
    if isinstance(reply, bool):
        if protocol == 2:
            return SMALL_INTEGERS[reply]
        return b"#t\r\n" if reply else b"#f\r\n"
    if isinstance(reply, (float, Digits)):
        text = reply.text if isinstance(reply, Digits) else float_text(reply)
        return bulk(text) if protocol == 2 else b",%b\r\n" % text
    if isinstance(reply, Verbatim):
        if protocol == 2:
            return bulk(reply.text)
        return b"=%d\r\n%b:%b\r\n" % (len(reply.text) + 4, reply.form, reply.text)
    if isinstance(reply, BigNumber):
        return bulk(reply.digits) if protocol == 2 else b"(%b\r\n" % reply.digits
    if isinstance(reply, Pairs):
        each = b"" if protocol == 2 else b"*2\r\n"
        count = 2 * len(reply.pairs) if protocol == 2 else len(reply.pairs)
        parts = [each + encode(one, protocol) + encode(other, protocol) for one, other in reply.pairs]
        return array_head(count) + b"".join(parts)
    if isinstance(reply, Named):
        each, head = (b"*2\r\n", b"*%d\r\n") if protocol == 2 else (b"", b"%%%d\r\n")
        parts = [each + encode(one, protocol) + encode(other, protocol) for one, other in reply.pairs]
        return head % len(reply.pairs) + b"".join(parts)
    if isinstance(reply, NullArray):
        return b"*-1\r\n" if protocol == 2 else NULL_3
    if isinstance(reply, Waits):
        return encode(reply.instead, protocol)
    raise TypeError(f"no reply value: {type(reply).__name__}")


def float_text(number: float) -> bytes:
    """Write a double as Redis does: 17 significant digits at most, no exponent for whole numbers."""
    if number == int(number) if abs(number) < 1e17 else False:
        return b"%d" % int(number) if number or str(number)[0] != "-" else b"-0"
    return b"%.17g" % number


def request(argv: Iterable[bytes]) -> bytes:
    """Encode a request: an array of bulk strings."""
    arguments = [bulk(argument) for argument in argv]
    return b"*%d\r\n%b" % (len(arguments), b"".join(arguments))
