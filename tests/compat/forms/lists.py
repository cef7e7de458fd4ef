"""How commands on lists are called."""

from typing import Final

from compat.forms.words import Argument, any_value, integer, key, maybe, one_of, options, position, some, timeout

element: Final = one_of((b"a", b"b", b"c", b"", b"1", b"x" * 70))
_counted: Final = one_of((b"1", b"2", b"2", b"3", b"0", b"-1", b"x"))
_count: Final = options(b"0", b"1", b"2", b"100", b"-1", b"x", likely=0.4)
_end: Final = one_of((b"LEFT", b"RIGHT", b"left", b"Right", b"LEFT", b"RIGHT", b"MIDDLE"))

FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"LPUSH": (key, some(element)),
    b"RPUSH": (key, some(element)),
    b"LPUSHX": (key, some(element)),
    b"RPUSHX": (key, some(any_value)),
    b"LPOP": (key, _count),
    b"RPOP": (key, _count),
    b"LLEN": (key,),
    b"LRANGE": (key, position, position),
    b"LINDEX": (key, position),
    b"LSET": (key, position, element),
    b"LINSERT": (key, one_of((b"BEFORE", b"AFTER", b"after", b"x")), element, element),
    b"LREM": (key, position, element),
    b"LTRIM": (key, position, position),
    b"LPOS": (key, element, maybe(b"RANK", position), maybe(b"COUNT", position), maybe(b"MAXLEN", integer)),
    b"RPOPLPUSH": (key, key),
    b"LMOVE": (key, key, _end, _end),
    b"LMPOP": (_counted, some(key, most=3), _end, maybe(b"COUNT", position)),
    b"BLPOP": (some(key, most=3), timeout),
    b"BRPOP": (some(key, most=3), timeout),
    b"BRPOPLPUSH": (key, key, timeout),
    b"BLMOVE": (key, key, _end, _end, timeout),
    b"BLMPOP": (timeout, _counted, some(key, most=3), _end, maybe(b"COUNT", position)),
}  # fmt: skip
