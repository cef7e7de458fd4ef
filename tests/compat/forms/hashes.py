"""How commands on hashes are called."""

from typing import Final

from compat.forms.words import PATTERNS, Argument, any_value, floating, integer, key, maybe, one_of, options, some

field: Final = one_of((b"a", b"b", b"f", b"n", b"", b"h[lo", b"x" * 65, b"\x00\xff"))

FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"HSET": (key, some(field, any_value)),
    b"HMSET": (key, some(field, any_value)),
    b"HSETNX": (key, field, any_value),
    b"HGET": (key, field),
    b"HMGET": (key, some(field)),
    b"HDEL": (key, some(field)),
    b"HLEN": (key,),
    b"HEXISTS": (key, field),
    b"HSTRLEN": (key, field),
    b"HKEYS": (key,),
    b"HVALS": (key,),
    b"HGETALL": (key,),
    b"HINCRBY": (key, field, integer),
    b"HINCRBYFLOAT": (key, field, floating),
    b"HRANDFIELD": (key, options(b"0", b"1", b"-3", b"100", b"9223372036854775807", b"x", likely=0.6),
                    options(b"WITHVALUES", likely=0.4)),
    b"HSCAN": (key, one_of((b"0", b"0", b"0", b"7", b"", b"x")), maybe(b"MATCH", one_of(PATTERNS)),
               maybe(b"COUNT", integer)),
}  # fmt: skip
