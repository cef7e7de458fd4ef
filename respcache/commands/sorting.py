"""SORT and SORT_RO: the elements of a list, set or sorted set in another order, or what stands under keys made of them.

`BY weight_* GET data_*->field` reads keys that the request does not name: they follow from the elements. `beyond`
lists them, for whoever has to see to it that they can be read (`Command.beyond`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from sys import float_info
from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.doubles import double
from respcache.commands.events import SORT_STORED
from respcache.commands.registry import FIRST, FIRST_AND_SORTED, Flags, keys_command
from respcache.errors import CommandError, NotAFloat, SyntaxRefused, WrongType
from respcache.reply import Reply
from respcache.store import lists
from respcache.store.copies import entry_effect
from respcache.store.hashes import Hash
from respcache.store.keyspace import Keyspace
from respcache.store.lists import List
from respcache.store.partition import Argv
from respcache.store.sets import Set
from respcache.store.sorted_sets import SortedSet
from respcache.store.texts import string_of
from respcache.store.values import Value

ITSELF: Final = b"#"
"""The pattern that stands for the element."""
ARROW: Final = b"->"
BLANKS: Final = b" \t\n\v\f\r"


@dataclass(frozen=True, slots=True)
class Pattern:
    """What an element is replaced by: the value of a key with the element in its name, or of a field there."""

    before: bytes
    behind: bytes
    field: bytes
    """Empty for the key itself."""

    def key(self, element: bytes) -> bytes:
        """Name the key."""
        return b"".join((self.before, element, self.behind))

    def value(self, space: Keyspace, element: bytes) -> bytes | None:
        """Look the value up; None if there is none, or one of another kind."""
        key = self.key(element)
        found = space.at(key).read(key)
        if self.field:
            return found.get(self.field) if isinstance(found, Hash) else None
        return string_of(found)


@dataclass(frozen=True, slots=True)
class Request:
    """What the words of SORT ask for."""

    descending: bool
    alphabetical: bool
    ordered: bool
    """Whether anything is to be put in order: not where BY names no pattern."""
    by: Pattern | None
    gets: Sequence[bytes]
    start: int
    count: int
    """How many; negative for all."""
    target: bytes | None

    def slice(self, elements: list[bytes]) -> list[bytes]:
        """Take the part that is wanted."""
        start = max(self.start, 0)
        return elements[start:] if self.count < 0 else elements[start : start + self.count]


def beyond(space: Keyspace, argv: Argv) -> list[bytes]:
    """List the keys that a request reads besides those that it names; none where it will be refused.

    Those of GET are of all elements, where which are wanted depends on the keys of BY.
    """
    patterns = [word for name, word in pairwise(argv[2:]) if option(name) in {b"BY", b"GET"}]
    if not any(b"*" in pattern for pattern in patterns):
        return []
    try:
        request = _request(argv, readonly=option(argv[0]) == b"SORT_RO")
        found = _sortable(space.at(argv[1]).value(argv[1]))
        if request.by is not None:
            elements = _elements(found, descending=False)
            keys = [request.by.key(element) for element in elements]
        else:
            elements, keys = request.slice(_in_order(space, request, found)), []
    except CommandError:
        return []
    for get in request.gets:
        pattern = _pattern(get)
        if pattern is not None:
            keys += [pattern.key(element) for element in elements]
    return keys


@keys_command(
    "SORT",
    arity=-2,
    flags=Flags.WRITE | Flags.DENYOOM | Flags.MOVABLEKEYS,
    since="1.0.0",
    keys=FIRST_AND_SORTED,
    beyond=beyond,
)
def sort(space: Keyspace, argv: Argv) -> Reply:
    """Return the elements of a list, set or sorted set in order, or values named by them, or STORE them as a list."""
    request = _request(argv, readonly=False)
    found = _results(space, request, argv[1])
    if request.target is None:
        return list(found)
    key, partition = request.target, space.at(request.target)
    partition.place(key, lists.of([value or b"" for value in found]) if found else None, SORT_STORED)
    if partition.changed:
        partition.rewrite(entry_effect(partition, key))
    return len(found)


@keys_command("SORT_RO", arity=-2, flags=Flags.READONLY | Flags.MOVABLEKEYS, since="7.0.0", keys=FIRST, beyond=beyond)
def sort_ro(space: Keyspace, argv: Argv) -> Reply:
    """Return the elements of a list, set or sorted set in order, or values named by them."""
    return list(_results(space, _request(argv, readonly=True), argv[1]))


def _request(argv: Argv, *, readonly: bool) -> Request:
    """Read the words behind the key. Raises CommandError."""
    descending, alphabetical, by, start, count = False, False, b"*", 0, -1
    plain = True
    gets: list[bytes] = []
    target: bytes | None = None
    place = 2
    while place < len(argv):
        word, more = option(argv[place]), len(argv) - place - 1
        place += 1
        if word in {b"ASC", b"DESC"}:
            descending = word == b"DESC"
        elif word == b"ALPHA":
            alphabetical = True
        elif word == b"LIMIT" and more >= 2:
            start, count = integer(argv[place]), integer(argv[place + 1])
            place += 2
        elif word == b"STORE" and more and not readonly:
            target = argv[place]
            place += 1
        elif word == b"BY" and more:
            by, plain = argv[place], False
            place += 1
        elif word == b"GET" and more:
            gets.append(argv[place])
            place += 1
        else:
            raise SyntaxRefused
    pattern = None if plain else _pattern(by)
    return Request(descending, alphabetical, plain or pattern is not None, pattern, gets, start, count, target)


def _pattern(text: bytes) -> Pattern | None:
    """Read a pattern; None for one without a star, which names no key. As in C it ends at a zero byte."""
    shown = text.partition(b"\0")[0]
    star = shown.find(b"*")
    if star < 0:
        return None
    arrow = shown.find(ARROW, star + 1)
    if arrow < 0 or arrow + len(ARROW) == len(shown):
        return Pattern(text[:star], text[star + 1 :], b"")
    return Pattern(text[:star], text[star + 1 : arrow], text[arrow + len(ARROW) :])


def _sortable(found: Value | None) -> Value | None:
    """Give what is to be sorted. Raises WrongType."""
    if found is not None and not isinstance(found, List | Set | SortedSet):
        raise WrongType
    return found


def _elements(found: Value | None, *, descending: bool) -> list[bytes]:
    """List the elements of what is to be sorted, in its own order."""
    if isinstance(found, List):
        elements = list(found)
    elif isinstance(found, SortedSet):
        elements = found.ranking.members(0, len(found) - 1)
    elif isinstance(found, Set):
        return sorted(found.members(), reverse=descending)  # it has none of its own, and copies should agree
    else:
        return []
    if descending:
        elements.reverse()
    return elements


def _results(space: Keyspace, request: Request, key: bytes) -> list[bytes | None]:
    """Give the elements that are wanted, or the values that they stand for. Raises CommandError."""
    chosen = request.slice(_in_order(space, request, _sortable(space.at(key).read(key))))
    if not request.gets:
        return list(chosen)
    patterns = [(get, _pattern(get)) for get in request.gets]
    return [_got(space, get, pattern, element) for element in chosen for get, pattern in patterns]


def _got(space: Keyspace, get: bytes, pattern: Pattern | None, element: bytes) -> bytes | None:
    if pattern is not None:
        return pattern.value(space, element)
    return element if get == ITSELF else None


def _in_order(space: Keyspace, request: Request, found: Value | None) -> list[bytes]:
    """Put the elements in order. Raises CommandError."""
    if not request.ordered:
        return _elements(found, descending=request.descending)
    elements, by = _elements(found, descending=False), request.by
    weights = [by.value(space, element) for element in elements] if by is not None else list[bytes | None](elements)
    if request.alphabetical:
        stored = request.target is not None
        names = [_name(weight, whole=stored) for weight in weights]
        places = sorted(range(len(elements)), key=names.__getitem__, reverse=request.descending)
        return [elements[place] for place in places]
    pairs = list(zip([_number(weight) for weight in weights], elements, strict=True))
    pairs.sort(reverse=request.descending)
    return [element for _, element in pairs]


def _name(weight: bytes | None, *, whole: bool) -> tuple[bool, bytes]:
    """Give what is compared: nothing comes first; and as C's text it ends at a zero byte, unless it is to be stored."""
    if weight is None:
        return False, b""
    return True, weight if whole else weight.partition(b"\0")[0]


def _number(weight: bytes | None) -> float:
    """Read a number as strtod does; what is not there is 0. Raises CommandError."""
    text = b"" if weight is None else weight.partition(b"\0")[0]
    try:
        number = double(text.lstrip(BLANKS)) if text else 0.0
    except NotAFloat:
        number = None
    if number is None or 0 < abs(number) < float_info.min:  # C says of such that they are out of range
        raise CommandError("One or more scores can't be converted into double")
    return number
