"""Commands that put sorted sets together: unions, intersections, differences."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from respcache.commands.arguments import bounded, integer, option
from respcache.commands.doubles import double
from respcache.commands.events import DIFFERENCE_STORED, INTERSECTION_STORED, UNION_STORED
from respcache.commands.registry import COUNTED, FIRST_AND_COUNTED, Flags, keys_command
from respcache.errors import CommandError, NotAFloat, SyntaxRefused, WrongType
from respcache.reply import Pairs, Reply
from respcache.store.events import Event
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv
from respcache.store.sets import Set
from respcache.store.sorted_sets import SortedSet, of

_READS = Flags.READONLY | Flags.MOVABLEKEYS
_STORES = Flags.WRITE | Flags.DENYOOM | Flags.MOVABLEKEYS

Scored: TypeAlias = dict[bytes, float]


def _sum(one: float, other: float) -> float:
    """Add; where infinities cancel out Redis takes 0."""
    total = one + other
    return 0.0 if math.isnan(total) else total


AGGREGATES: Final[dict[bytes, Callable[[float, float], float]]] = {b"SUM": _sum, b"MIN": min, b"MAX": max}


@dataclass(slots=True)
class Source:
    """A set, plain or sorted, as it stands: it may have a million members, and nothing of it is copied."""

    found: SortedSet | Set | None
    weight: float = 1.0

    def __len__(self) -> int:
        return 0 if self.found is None else len(self.found)

    def score(self, member: bytes) -> float | None:
        """Give the score of a member times the weight, 1 in a plain set; None if there is no such member."""
        found = self.found
        if isinstance(found, SortedSet):
            score = found.table.get(member)
            return None if score is None else _product(score, self.weight)
        return self.weight if found is not None and member in found.table else None

    def items(self) -> Iterator[tuple[bytes, float]]:
        """Go through the members and their scores, times the weight."""
        if isinstance(self.found, SortedSet):
            for member, score in self.found.table.items():
                yield member, _product(score, self.weight)
        elif self.found is not None:
            for member in self.found.table.names:
                yield member, self.weight


@dataclass(slots=True)
class Inputs:
    """The sets that a command names, and its options."""

    sources: list[Source]
    aggregate: Callable[[float, float], float] = _sum
    with_scores: bool = False
    limit: int = 0
    """Of ZINTERCARD; 0 for none."""


@keys_command("ZUNION", arity=-3, flags=_READS, since="6.2.0", keys=COUNTED)
def zunion(space: Keyspace, argv: Argv) -> Reply:
    """Return the members of all of the sorted sets, each with its scores put together."""
    inputs = _inputs(space, argv, 1, weighs=True, shows=True)
    return _shown(_union(inputs), inputs)


@keys_command("ZINTER", arity=-3, flags=_READS, since="6.2.0", keys=COUNTED)
def zinter(space: Keyspace, argv: Argv) -> Reply:
    """Return the members that all of the sorted sets have, each with its scores put together."""
    inputs = _inputs(space, argv, 1, weighs=True, shows=True)
    return _shown(_intersection(inputs), inputs)


@keys_command("ZDIFF", arity=-3, flags=_READS, since="6.2.0", keys=COUNTED)
def zdiff(space: Keyspace, argv: Argv) -> Reply:
    """Return the members of the first sorted set that none of the others has."""
    inputs = _inputs(space, argv, 1, weighs=False, shows=True)
    return _shown(_difference(inputs), inputs)


@keys_command("ZINTERCARD", arity=-3, flags=_READS, since="7.0.0", keys=COUNTED)
def zintercard(space: Keyspace, argv: Argv) -> Reply:
    """Return how many members all of the sorted sets have, counting no further than a limit."""
    return len(_intersection(_inputs(space, argv, 1, weighs=False, shows=False, counts=True)))


@keys_command("ZUNIONSTORE", arity=-4, flags=_STORES, since="2.0.0", keys=FIRST_AND_COUNTED)
def zunionstore(space: Keyspace, argv: Argv) -> Reply:
    """Store the members of all of the sorted sets, each with its scores put together; return how many."""
    return _store(space, argv[1], _union(_inputs(space, argv, 2, weighs=True, shows=False)), UNION_STORED)


@keys_command("ZINTERSTORE", arity=-4, flags=_STORES, since="2.0.0", keys=FIRST_AND_COUNTED)
def zinterstore(space: Keyspace, argv: Argv) -> Reply:
    """Store the members that all of the sorted sets have, each with its scores put together; return how many."""
    return _store(space, argv[1], _intersection(_inputs(space, argv, 2, weighs=True, shows=False)), INTERSECTION_STORED)


@keys_command("ZDIFFSTORE", arity=-4, flags=_STORES, since="6.2.0", keys=FIRST_AND_COUNTED)
def zdiffstore(space: Keyspace, argv: Argv) -> Reply:
    """Store the members of the first sorted set that none of the others has; return how many."""
    return _store(space, argv[1], _difference(_inputs(space, argv, 2, weighs=False, shows=False)), DIFFERENCE_STORED)


def _inputs(space: Keyspace, argv: Argv, at: int, *, weighs: bool, shows: bool, counts: bool = False) -> Inputs:
    """Read keys and options; plain sets count as sorted ones with scores of 1. Raises CommandError."""
    count = integer(argv[at])
    if count < 1:
        raise CommandError(f"at least 1 input key is needed for '{argv[0].decode().lower()}' command")
    if count > len(argv) - at - 1:
        raise SyntaxRefused
    inputs = Inputs([Source(_set_of(space, key)) for key in argv[at + 1 : at + 1 + count]])
    words = argv[at + 1 + count :]
    while words:
        word = option(words[0])
        if word == b"WEIGHTS" and weighs and len(words) > count:
            for source, text in zip(inputs.sources, words[1 : count + 1], strict=True):
                source.weight = _weight(text)
            words = words[count + 1 :]
        elif word == b"AGGREGATE" and weighs and len(words) > 1:
            aggregate = AGGREGATES.get(option(words[1]))
            if aggregate is None:
                raise SyntaxRefused
            inputs.aggregate, words = aggregate, words[2:]
        elif word == b"WITHSCORES" and shows:
            inputs.with_scores, words = True, words[1:]
        elif word == b"LIMIT" and counts and len(words) > 1:
            inputs.limit, words = bounded(words[1], least=0, refusal="LIMIT can't be negative"), words[2:]
        else:
            raise SyntaxRefused
    return inputs


def _set_of(space: Keyspace, key: bytes) -> SortedSet | Set | None:
    found = space.at(key).read(key)
    if found is not None and not isinstance(found, SortedSet | Set):
        raise WrongType
    return found


def _weight(text: bytes) -> float:
    try:
        return double(text)
    except NotAFloat:
        raise CommandError("weight value is not a float") from None


def _product(score: float, weight: float) -> float:
    product = score * weight
    return 0.0 if math.isnan(product) else product


def _union(inputs: Inputs) -> Scored:
    together: Scored = {}
    for source in inputs.sources:
        for member, score in source.items():
            before = together.get(member)
            together[member] = score if before is None else inputs.aggregate(before, score)
    return together


def _intersection(inputs: Inputs) -> Scored:
    first, *others = sorted(inputs.sources, key=len)
    together: Scored = {}
    for member, score in first.items():
        total = score
        for other in others:
            further = other.score(member)
            if further is None:
                break
            total = inputs.aggregate(total, further)
        else:
            together[member] = total
            if len(together) == inputs.limit:
                break
    return together


def _difference(inputs: Inputs) -> Scored:
    first, *others = inputs.sources
    left: Scored = {}
    for member, score in first.items():
        for other in others:
            if other.score(member) is not None:
                break
        else:
            left[member] = score
    return left


def _ordered(scored: Scored) -> Iterable[tuple[float, bytes]]:
    return sorted((score, member) for member, score in scored.items())


def _shown(scored: Scored, inputs: Inputs) -> Reply:
    if inputs.with_scores:
        return Pairs([(member, score) for score, member in _ordered(scored)])
    return [member for _, member in _ordered(scored)]


def _store(space: Keyspace, target: bytes, scored: Scored, event: Event) -> int:
    space.at(target).place(target, of(_ordered(scored), space.ledger.limits) if scored else None, event)
    return len(scored)
