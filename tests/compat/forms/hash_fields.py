"""How commands on the lifetime of the fields of hashes are called: Redis 7.0 has none of them."""

from random import Random
from typing import Final

from compat.forms.hashes import field
from compat.forms.words import Argument, a_lifetime, a_moment, any_value, conditions, key, options


def _counted(*parts: Argument) -> Argument:
    """Give FIELDS, a number, and so many fields; now and then another number."""

    def fields(rng: Random) -> list[bytes]:
        count = rng.randint(1, 3)
        words = [word for _ in range(count) for part in parts for word in part(rng)]
        told = (
            b"%d" % count if rng.random() < 0.9 else rng.choice((b"0", b"-1", b"2", b"x", b"", b"99999999999999999999"))
        )
        return [rng.choice((b"FIELDS", b"FIELDS", b"FIELDS", b"fields")), told, *words]

    return fields


_named: Final = _counted(field)
_set: Final = _counted(field, any_value)
_getting: Final = options(b"EX", b"PX", b"EXAT", b"PXAT", b"PERSIST", likely=0.5)
_setting: Final = options(b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL", b"FNX", b"FXX", b"NX", b"XX", likely=0.5)

FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"HEXPIRE": (key, a_lifetime(1000), conditions, _named),
    b"HPEXPIRE": (key, a_lifetime(1), conditions, _named),
    b"HEXPIREAT": (key, a_moment(1000), conditions, _named),
    b"HPEXPIREAT": (key, a_moment(1), conditions, _named),
    b"HTTL": (key, _named),
    b"HPTTL": (key, _named),
    b"HEXPIRETIME": (key, _named),
    b"HPEXPIRETIME": (key, _named),
    b"HPERSIST": (key, _named),
    b"HGETEX": (key, _getting, _named),
    b"HGETDEL": (key, _named),
    b"HSETEX": (key, _setting, _set),
}
