"""How commands on sorted sets are called."""

from typing import Final

from compat.forms.words import (
    PATTERNS,
    Argument,
    floating,
    integer,
    key,
    maybe,
    one_of,
    options,
    position,
    some,
    timeout,
)

member: Final = one_of((b"a", b"b", b"c", b"d", b"", b"x" * 65, b"\x00\xff", b"1"))
_score: Final = one_of((b"0", b"1", b"2", b"3", b"-1.5", b"2", b"1e3", b"inf", b"-inf", b"0.1", b"nan", b"0x10", b"-0"))
_few: Final = one_of((b"0", b"1", b"2", b"100", b"-1", b"x"))
_scores: Final = one_of(
    (b"-inf", b"+inf", b"0", b"(1", b"2", b"(2", b"3", b"", b"(", b" 1", b"1 ", b"abc", b"(inf", b"1e400")
)
_lex: Final = one_of((b"-", b"+", b"[a", b"(a", b"[c", b"(c", b"[", b"(", b"a", b"", b"--", b"[\xff"))
_counted: Final = one_of((b"1", b"2", b"2", b"3", b"0", b"-1", b"x"))
_limit: Final = maybe(b"LIMIT", position, position)
_weights: Final = maybe(b"WEIGHTS", some(floating, most=3))
_aggregate: Final = maybe(b"AGGREGATE", one_of((b"SUM", b"MIN", b"max", b"AVG")))
_with: Final = options(b"WITHSCORES", likely=0.4)
_any_range: Final = options(b"BYSCORE", b"REV", b"WITHSCORES", likely=0.4)
_bound: Final = one_of((b"0", b"1", b"-1", b"-2", b"(1", b"+inf", b"-inf", b"-", b"+", b"[a", b"(c", b"x"))
_how_many: Final = options(b"0", b"1", b"-3", b"100", b"9223372036854775807", b"x", likely=0.6)

FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"ZADD": (key, options(b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR", likely=0.3), some(_score, member, most=3)),
    b"ZINCRBY": (key, floating, member),
    b"ZREM": (key, some(member)),
    b"ZCARD": (key,),
    b"ZSCORE": (key, member),
    b"ZMSCORE": (key, some(member)),
    b"ZRANK": (key, member),
    b"ZREVRANK": (key, member),
    b"ZPOPMIN": (key, options(b"0", b"1", b"2", b"100", b"-1", b"x", likely=0.4)),
    b"ZPOPMAX": (key, options(b"0", b"1", b"2", b"100", b"-1", b"x", likely=0.4)),
    b"ZMPOP": (_counted, some(key, most=3), one_of((b"MIN", b"MAX", b"min", b"MID")), maybe(b"COUNT", _few)),
    b"BZPOPMIN": (some(key, most=3), timeout),
    b"BZPOPMAX": (some(key, most=3), timeout),
    b"BZMPOP": (timeout, _counted, some(key, most=3), one_of((b"MIN", b"MAX", b"min", b"MID")), maybe(b"COUNT", _few)),
    b"ZRANDMEMBER": (key, _how_many, _with),
    b"ZSCAN": (key, one_of((b"0", b"0", b"0", b"7", b"", b"x")), maybe(b"MATCH", one_of(PATTERNS)),
               maybe(b"COUNT", integer)),
    b"ZRANGE": (key, _bound, _bound, _any_range, _limit),
    b"ZREVRANGE": (key, position, position, _with),
    b"ZRANGEBYSCORE": (key, _scores, _scores, _with, _limit),
    b"ZREVRANGEBYSCORE": (key, _scores, _scores, _limit, _with),
    b"ZRANGESTORE": (key, key, _bound, _bound, options(b"BYSCORE", b"REV", likely=0.4), _limit),
    b"ZCOUNT": (key, _scores, _scores),
    b"ZREMRANGEBYRANK": (key, position, position),
    b"ZREMRANGEBYSCORE": (key, _scores, _scores),
    b"ZUNION": (_counted, some(key, most=3), _weights, _aggregate, _with),
    b"ZINTER": (_counted, some(key, most=3), _weights, _aggregate, _with),
    b"ZDIFF": (_counted, some(key, most=3), _with),
    b"ZINTERCARD": (_counted, some(key, most=3), maybe(b"LIMIT", _few)),
    b"ZUNIONSTORE": (key, _counted, some(key, most=3), _weights, _aggregate),
    b"ZINTERSTORE": (key, _counted, some(key, most=3), _weights, _aggregate),
    b"ZDIFFSTORE": (key, _counted, some(key, most=3)),
}  # fmt: skip

_by_lex: Final = one_of((b"BYLEX", b"bylex"))

OF_ONE_SCORE: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"ZADD": (key, some(one_of((b"0",)), member, most=3)),
    b"ZREM": (key, some(member)),
    b"ZRANGE": (key, _lex, _lex, _by_lex, options(b"REV", b"WITHSCORES", likely=0.3), _limit),
    b"ZRANGEBYLEX": (key, _lex, _lex, _limit),
    b"ZREVRANGEBYLEX": (key, _lex, _lex, _limit),
    b"ZRANGESTORE": (key, key, _lex, _lex, _by_lex, options(b"REV", likely=0.3), _limit),
    b"ZLEXCOUNT": (key, _lex, _lex),
    b"ZREMRANGEBYLEX": (key, _lex, _lex),
}  # fmt: skip
"""Ranges by member, where all members have one score: what they are otherwise is not specified."""
