"""How commands on sets are called."""

from typing import Final

from compat.forms.words import INTEGERS, PATTERNS, Argument, integer, key, maybe, one_of, options, some

member: Final = one_of((*INTEGERS, b"a", b"b", b"c", b"", b"01", b"\x00\xff", b"h[lo"))
_counted: Final = one_of((b"1", b"2", b"2", b"3", b"0", b"-1", b"x"))

FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"SADD": (key, some(member)),
    b"SREM": (key, some(member)),
    b"SISMEMBER": (key, member),
    b"SMISMEMBER": (key, some(member)),
    b"SCARD": (key,),
    b"SMEMBERS": (key,),
    b"SPOP": (key, one_of((b"100", b"0", b"100", b"-1", b"x", b"9223372036854775807"))),
    b"SRANDMEMBER": (key, options(b"0", b"1", b"-3", b"100", b"9223372036854775807", b"x", likely=0.6)),
    b"SSCAN": (key, one_of((b"0", b"0", b"0", b"7", b"", b"x")), maybe(b"MATCH", one_of(PATTERNS)),
               maybe(b"COUNT", integer)),
    b"SMOVE": (key, key, member),
    b"SINTER": (some(key, most=3),),
    b"SUNION": (some(key, most=3),),
    b"SDIFF": (some(key, most=3),),
    b"SINTERCARD": (_counted, some(key, most=3), maybe(b"LIMIT", integer)),
    b"SINTERSTORE": (key, some(key, most=3)),
    b"SUNIONSTORE": (key, some(key, most=3)),
    b"SDIFFSTORE": (key, some(key, most=3)),
}  # fmt: skip
