"""Commands on places on the earth: members of sorted sets whose scores are geohashes.

GEOSEARCH, and before it GEORADIUS, find the members within a shape; the forms with a target
store them, the others return them. Their options are read after the sorted set has been looked
at, as in Redis: what is wrong with the set is told before what is wrong with the words.
"""

from dataclasses import dataclass, field
from typing import Final

from respcache.commands.arguments import INT64_MIN, integer, option
from respcache.commands.doubles import double
from respcache.commands.events import RADIUS_STORED, SEARCH_STORED
from respcache.commands.registry import (
    FIRST_AND_STORED_FIFTH,
    FIRST_TWO,
    STORES,
    Flags,
    key_command,
    keys_command,
)
from respcache.commands.sorted_sets import zadd
from respcache.errors import CommandError, NotAFloat, SyntaxRefused, echoed
from respcache.reply import NULL_ARRAY, Digits, Reply
from respcache.store.events import Event
from respcache.store.geohash import LATITUDE_MAX, LONGITUDE_MAX, Place, distance_m, place_of, score_of, text_of
from respcache.store.geosearch import Circle, Found, Rectangle, Shape, search
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv, Partition
from respcache.store.sorted_sets import SortedSet, of

UNITS_M: Final = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}
ADD_OPTIONS: Final = frozenset((b"NX", b"XX", b"CH"))
SHOWN: Final = frozenset((b"WITHDIST", b"WITHHASH", b"WITHCOORD"))
ORDERS: Final = frozenset((b"ASC", b"DESC"))
_STORES: Final = Flags.WRITE | Flags.DENYOOM


@dataclass(frozen=True, slots=True)
class Form:
    """Which of the search commands it is."""

    names_shape: bool
    """Whether words say what shape to search, and around what; otherwise it is a circle."""
    stores: bool


SEARCH: Final = Form(names_shape=True, stores=False)
SEARCH_STORE: Final = Form(names_shape=True, stores=True)
RADIUS: Final = Form(names_shape=False, stores=True)
RADIUS_RO: Final = Form(names_shape=False, stores=False)


@dataclass(slots=True)
class Query:
    """What to search for, and what to do with it."""

    middle: Place | None = None
    """None as long as none is known: it may be that of a member of a sorted set that does not exist."""
    shape: Shape | None = None
    unit_m: float = 1.0
    from_member: bool = False
    shown: set[bytes] = field(default_factory=set)
    """Those of SHOWN that were given."""
    order: bytes | None = None
    """One of ORDERS."""
    count: int = 0
    """0 for all."""
    any: bool = False
    target: bytes | None = None
    stores_distance: bool = False


@key_command("GEOADD", arity=-5, flags=_STORES, since="3.2.0")
def geoadd(partition: Partition, argv: Argv) -> Reply:
    """Give members places, and return how many are new; options for conditions and counts."""
    start = 2
    while start < len(argv) and option(argv[start]) in ADD_OPTIONS:
        start += 1
    options = {option(word) for word in argv[2:start]}
    if (len(argv) - start) % 3 or {b"NX", b"XX"} <= options:
        raise SyntaxRefused
    scored: Argv = []
    for at in range(start, len(argv), 3):
        scored += [b"%d" % score_of(_place(argv, at)), argv[at + 2]]
    return zadd(partition, [*argv[:start], *scored])


@key_command("GEODIST", arity=-4, flags=Flags.READONLY, since="3.2.0")
def geodist(partition: Partition, argv: Argv) -> Reply:
    """Return the distance between two members, in metres or another unit."""
    unit_m = _unit_m(argv[4]) if len(argv) == 5 else 1.0
    if len(argv) > 5:
        raise SyntaxRefused
    found = partition.read_aggregate(argv[1], SortedSet)
    one = None if found is None else found.score(argv[2])
    other = None if found is None else found.score(argv[3])
    if one is None or other is None:
        return None
    return _distance(distance_m(place_of(one), place_of(other)) / unit_m)


@key_command("GEOHASH", arity=-2, flags=Flags.READONLY, since="3.2.0")
def geohash(partition: Partition, argv: Argv) -> Reply:
    """Return the geohashes of members as texts of 11 letters; null for one that does not exist."""
    found = partition.read_aggregate(argv[1], SortedSet)
    scores = [None if found is None else found.score(member) for member in argv[2:]]
    return [None if score is None else text_of(place_of(score)) for score in scores]


@key_command("GEOPOS", arity=-2, flags=Flags.READONLY, since="3.2.0")
def geopos(partition: Partition, argv: Argv) -> Reply:
    """Return the longitudes and latitudes of members; null for one that does not exist."""
    found = partition.read_aggregate(argv[1], SortedSet)
    scores = [None if found is None else found.score(member) for member in argv[2:]]
    return [NULL_ARRAY if score is None else _coordinates(place_of(score)) for score in scores]


@key_command("GEOSEARCH", arity=-7, flags=Flags.READONLY, since="6.2.0")
def geosearch(partition: Partition, argv: Argv) -> Reply:
    """Return the members within a circle or a rectangle around a place or a member."""
    members = partition.read_aggregate(argv[1], SortedSet)
    query = Query()
    _read_options(query, argv, 2, members, SEARCH)
    return _shown(_found(members, query), query)


@keys_command("GEOSEARCHSTORE", arity=-8, flags=_STORES, since="6.2.0", keys=FIRST_TWO)
def geosearchstore(space: Keyspace, argv: Argv) -> Reply:
    """Store the members within a circle or a rectangle, and return how many there are."""
    members = space.at(argv[2]).read_aggregate(argv[2], SortedSet)
    query = Query(target=argv[1])
    _read_options(query, argv, 3, members, SEARCH_STORE)
    return _store(space, argv[1], _found(members, query), query, SEARCH_STORED)


@keys_command("GEORADIUS", arity=-6, flags=_STORES | Flags.MOVABLEKEYS, since="3.2.0", keys=FIRST_AND_STORED_FIFTH)
def georadius(space: Keyspace, argv: Argv) -> Reply:
    """Return or store the members within a circle around a place."""
    members = space.at(argv[1]).read_aggregate(argv[1], SortedSet)
    query = _around_place(argv, members, RADIUS)
    return _answer(space, members, query)


@key_command("GEORADIUS_RO", arity=-6, flags=Flags.READONLY, since="3.2.10")
def georadius_ro(partition: Partition, argv: Argv) -> Reply:
    """Return the members within a circle around a place."""
    members = partition.read_aggregate(argv[1], SortedSet)
    query = _around_place(argv, members, RADIUS_RO)
    return _shown(_found(members, query), query)


@keys_command(
    "GEORADIUSBYMEMBER", arity=-5, flags=_STORES | Flags.MOVABLEKEYS, since="3.2.0", keys=FIRST_AND_STORED_FIFTH
)
def georadiusbymember(space: Keyspace, argv: Argv) -> Reply:
    """Return or store the members within a circle around one of them."""
    members = space.at(argv[1]).read_aggregate(argv[1], SortedSet)
    query = _around_member(argv, members, RADIUS)
    return _answer(space, members, query)


@key_command("GEORADIUSBYMEMBER_RO", arity=-5, flags=Flags.READONLY, since="3.2.10")
def georadiusbymember_ro(partition: Partition, argv: Argv) -> Reply:
    """Return the members within a circle around one of them."""
    members = partition.read_aggregate(argv[1], SortedSet)
    query = _around_member(argv, members, RADIUS_RO)
    return _shown(_found(members, query), query)


def _around_place(argv: Argv, members: SortedSet | None, form: Form) -> Query:
    query = Query(middle=_place(argv, 2))
    query.shape, query.unit_m = _circle(argv, 4)
    _read_options(query, argv, 6, members, form)
    return query


def _around_member(argv: Argv, members: SortedSet | None, form: Form) -> Query:
    query = Query(from_member=True)
    if members is not None:  # without members, Redis does not look at the radius
        query.middle = _place_of_member(members, argv[2])
        query.shape, query.unit_m = _circle(argv, 3)
    _read_options(query, argv, 5, members, form)
    return query


def _read_options(query: Query, argv: Argv, start: int, members: SortedSet | None, form: Form) -> None:
    """Read the options of a search. Raises CommandError."""
    at = start
    while at < len(argv):
        word, more = option(argv[at]), len(argv) - at - 1
        if word in SHOWN:
            query.shown.add(word)
        elif word in ORDERS:
            query.order = word
        elif word == b"ANY":
            query.any = True
        elif word == b"COUNT" and more:
            query.count = integer(argv[at + 1])
            if query.count <= 0:
                raise CommandError("COUNT must be > 0")
            at += 1
        elif word in STORES and form is RADIUS and more:
            query.target, query.stores_distance = argv[at + 1], word == b"STOREDIST"
            at += 1
        elif word == b"STOREDIST" and form is SEARCH_STORE:
            query.stores_distance = True
        elif form.names_shape:
            at += _read_where(query, argv, at, members)
        else:
            raise SyntaxRefused
        at += 1
    _refuse_contradictions(query, argv, form)


def _read_where(query: Query, argv: Argv, at: int, members: SortedSet | None) -> int:
    """Read what to search, and around what: the number of words behind the first one. Raises CommandError."""
    word, more = option(argv[at]), len(argv) - at - 1
    if word == b"FROMMEMBER" and more and (query.middle is None or query.from_member):
        query.from_member = True
        if members is not None:
            query.middle = _place_of_member(members, argv[at + 1])
        return 1
    if word == b"FROMLONLAT" and more > 1 and not query.from_member:
        query.middle = _place(argv, at + 1)
        return 2
    if word == b"BYRADIUS" and more > 1 and not isinstance(query.shape, Rectangle):
        query.shape, query.unit_m = _circle(argv, at + 1)
        return 2
    if word == b"BYBOX" and more > 2 and not isinstance(query.shape, Circle):
        query.shape, query.unit_m = _rectangle(argv, at + 1)
        return 3
    raise SyntaxRefused


def _refuse_contradictions(query: Query, argv: Argv, form: Form) -> None:
    if query.target is not None and query.shown:
        what = "GEOSEARCHSTORE" if form is SEARCH_STORE else "STORE option in GEORADIUS"
        raise CommandError(f"{what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
    if form.names_shape and query.middle is None and not query.from_member:
        raise CommandError(f"exactly one of FROMMEMBER or FROMLONLAT can be specified for {echoed(argv[0])}")
    if form.names_shape and query.shape is None:
        raise CommandError(f"exactly one of BYRADIUS and BYBOX can be specified for {echoed(argv[0])}")
    if query.any and not query.count:
        raise CommandError("the ANY argument requires COUNT argument")


def _found(members: SortedSet | None, query: Query) -> list[Found]:
    """Search, and give what is asked for in its order: without one, the nearest come first if they are counted."""
    if members is None or query.middle is None or query.shape is None:
        return []
    found = search(members, query.middle, query.shape, most=query.count if query.any else 0)
    if query.order == b"DESC":
        found.sort(key=lambda each: -each.distance_m)
    elif query.order == b"ASC" or (query.count and not query.any):
        found.sort(key=lambda each: each.distance_m)
    return found[: query.count] if query.count else found


def _answer(space: Keyspace, members: SortedSet | None, query: Query) -> Reply:
    found = _found(members, query)
    return _shown(found, query) if query.target is None else _store(space, query.target, found, query, RADIUS_STORED)


def _shown(found: list[Found], query: Query) -> Reply:
    if not query.shown:
        return [each.member for each in found]
    return [_details(each, query) for each in found]


def _details(found: Found, query: Query) -> list[Reply]:
    details: list[Reply] = [found.member]
    if b"WITHDIST" in query.shown:
        details.append(_distance(found.distance_m / query.unit_m))
    if b"WITHHASH" in query.shown:
        details.append(int(found.score) if abs(found.score) < -INT64_MIN else INT64_MIN)
    if b"WITHCOORD" in query.shown:
        details.append(_coordinates(found.place))
    return details


def _store(space: Keyspace, target: bytes, found: list[Found], query: Query, event: Event) -> int:
    partition = space.at(target)
    if found:
        distances = query.stores_distance
        scored = [(each.distance_m / query.unit_m if distances else each.score, each.member) for each in found]
        partition.place(target, of(sorted(scored), space.ledger.limits), event)
    else:
        partition.place(target, None, event)
    return len(found)


def _place(argv: Argv, at: int) -> Place:
    """Read a longitude and a latitude. Raises NotAFloat, or CommandError beyond the limits."""
    longitude, latitude = double(argv[at]), double(argv[at + 1])
    if not (-LONGITUDE_MAX <= longitude <= LONGITUDE_MAX and -LATITUDE_MAX <= latitude <= LATITUDE_MAX):
        raise CommandError(f"invalid longitude,latitude pair {longitude:f},{latitude:f}")
    return Place(longitude, latitude)


def _place_of_member(members: SortedSet, member: bytes) -> Place:
    score = members.score(member)
    if score is None:
        raise CommandError("could not decode requested zset member")
    return place_of(score)


def _circle(argv: Argv, at: int) -> tuple[Circle, float]:
    """Read a radius and its unit, which is given in metres besides. Raises CommandError."""
    radius = _length(argv[at], "need numeric radius")
    if radius < 0:
        raise CommandError("radius cannot be negative")
    unit_m = _unit_m(argv[at + 1])
    return Circle(radius * unit_m), unit_m


def _rectangle(argv: Argv, at: int) -> tuple[Rectangle, float]:
    """Read width, height and their unit, which is given in metres besides. Raises CommandError."""
    width, height = _length(argv[at], "need numeric width"), _length(argv[at + 1], "need numeric height")
    if width < 0 or height < 0:
        raise CommandError("height or width cannot be negative")
    unit_m = _unit_m(argv[at + 2])
    return Rectangle(width * unit_m, height * unit_m), unit_m


def _length(text: bytes, refusal: str) -> float:
    try:
        return double(text)
    except NotAFloat:
        raise CommandError(refusal) from None


def _unit_m(word: bytes) -> float:
    unit_m = UNITS_M.get(option(word))
    if unit_m is None:
        raise CommandError("unsupported unit provided. please use M, KM, FT, MI")
    return unit_m


def _distance(distance: float) -> bytes:
    return b"%.4f" % distance


def _coordinates(place: Place) -> list[Reply]:
    return [Digits(_written_out(place.longitude)), Digits(_written_out(place.latitude))]


def _written_out(degrees: float) -> bytes:
    """Write degrees as Redis does: 17 decimal places, without zeros at the end."""
    return (b"%.17f" % degrees).rstrip(b"0").rstrip(b".")
