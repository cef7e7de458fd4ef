"""How commands on places are called."""

from typing import Final

from compat.forms.words import Argument, key, maybe, one_of, options, some

member: Final = one_of((b"a", b"b", b"c", b"d", b"", b"\x00\xff"))
_longitude: Final = one_of(
    (b"13.361389", b"15.087269", b"2.35", b"-73.9857", b"139.69", b"179.99", b"-179.99", b"180", b"-180", b"0",
     b"-0.001", b"180.1", b"x", b"nan", b"inf")
)  # fmt: skip
_latitude: Final = one_of(
    (b"38.115556", b"37.502669", b"48.85", b"40.7484", b"-33.86", b"67.5", b"-81", b"85", b"-85.05", b"0", b"0.001",
     b"85.05112878", b"-85.05112878", b"86", b"x")
)  # fmt: skip
_length: Final = one_of((b"0", b"1", b"200", b"500.5", b"1e3", b"5000", b"20000", b"1e9", b"0.5", b"inf", b"-1", b"x"))
_unit: Final = one_of((b"m", b"km", b"KM", b"mi", b"ft", b"km", b"km", b"yd"))
_count: Final = one_of((b"1", b"2", b"3", b"10", b"0", b"-1", b"x"))
_shown: Final = options(b"WITHDIST", b"WITHCOORD", b"WITHHASH", likely=0.5)
_ordered: Final = options(b"ASC", b"DESC", likely=0.4)
_counted: Final = (maybe(b"COUNT", _count), options(b"ANY", likely=0.2))


def _one(*forms: tuple[Argument, ...]) -> Argument:
    """Give the arguments of one of several forms."""
    return lambda rng: [word for part in rng.choice(forms) for word in part(rng)]


def _word(text: bytes) -> Argument:
    return one_of((text, text.lower()))


_from: Final = _one((_word(b"FROMMEMBER"), member), (_word(b"FROMLONLAT"), _longitude, _latitude))
_by: Final = _one((_word(b"BYRADIUS"), _length, _unit), (_word(b"BYBOX"), _length, _length, _unit))
_stored: Final = _one((), (one_of((b"STORE", b"STOREDIST", b"store")), key))

FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"GEOADD": (key, options(b"NX", b"XX", b"CH", likely=0.2), some(_longitude, _latitude, member, most=3)),
    b"GEODIST": (key, member, member, options(b"m", b"km", b"FT", b"mi", b"x", likely=0.5)),
    b"GEOHASH": (key, some(member)),
    b"GEOPOS": (key, some(member)),
    b"GEOSEARCH": (key, _from, _by, _shown, *_counted, _ordered),
    b"GEOSEARCHSTORE": (key, key, _from, _by, *_counted, _ordered, options(b"STOREDIST", b"WITHDIST", likely=0.2)),
    b"GEORADIUS": (key, _longitude, _latitude, _length, _unit, _shown, *_counted, _ordered, _stored),
    b"GEORADIUS_RO": (key, _longitude, _latitude, _length, _unit, _shown, *_counted, _ordered),
    b"GEORADIUSBYMEMBER": (key, member, _length, _unit, *_counted, _ordered, _stored),
    b"GEORADIUSBYMEMBER_RO": (key, member, _length, _unit, _shown, *_counted, _ordered, _stored),
}  # fmt: skip
