"""Values of every kind, in every form and size that is written."""

from random import Random

from respcache.store import lists, sets, sorted_sets
from respcache.store.hashes import Hash
from respcache.store.stream_groups import Group
from respcache.store.streams import Stream
from respcache.store.values import Value

EDGES = (0, 1, 127, 128, 4095, 4096, 32767, 32768, 2**23 - 1, 2**23, 2**31 - 1, 2**31, 2**63 - 1)
LENGTHS = (0, 1, 5, 11, 20, 63, 64, 65, 127, 128, 300, 4095, 4096, 9000, 16383, 16384, 17000)
SCORES = (0.0, 1.0, -3.0, 0.1, 1.5, 1e20, float("inf"), float("-inf"), 2.0**52, 2.0**52 - 1, 1e-300)


def word(rng: Random) -> bytes:
    """Make up a string: an integer near an edge, a short text, a long one."""
    kind = rng.random()
    if kind < 0.3:
        return b"%d" % (rng.choice(EDGES) * rng.choice((1, -1)))
    if kind < 0.4:
        return rng.choice((b"01", b"-0", b" 1", b"+1", b"-", b"9223372036854775808"))
    if kind < 0.9:
        return bytes(rng.choices(b"abc\x00\xff0123", k=rng.randrange(20)))
    return bytes(rng.choices(b"ab", k=rng.choice(LENGTHS)))


def value(rng: Random) -> Value:
    """Make up a value."""
    count = rng.choice((1, 1, 2, 2, 10, 10, 100, 600))
    words = [word(rng) for _ in range(count)]
    match rng.randrange(7):
        case 0:
            return words[0]
        case 1:
            return lists.of(words)
        case 2:
            found = Hash()
            for name in words:
                found.set(name, word(rng))
            return found
        case 3:
            return sets.of(words)
        case 4:
            return sets.of(b"%d" % (rng.choice(EDGES) * rng.choice((1, -1)) + at) for at in range(-count, 0))
        case 5:
            return sorted_sets.of((rng.choice((*SCORES, rng.random())), name) for name in words)
        case _:
            return stream(rng, count)


def stream(rng: Random, count: int) -> Stream:
    """Make up a stream: names that repeat and others, gaps, groups of consumers."""
    found, number, ids = Stream(), rng.randrange(1, 2**100), []
    names = [word(rng), word(rng)]
    for _ in range(count):
        number += rng.choice((1, 2, 2**40, 2**64 + 1, 2**70 - 5))
        ids.append(number)
        found.append(number, [names[0], word(rng), names[1], word(rng)] if rng.random() < 0.7 else [word(rng), b"v"])
    for gone in rng.sample(ids, count // 3):
        found.remove(gone)
    for name in (b"g", b"h")[: rng.randrange(3)]:
        found.groups[name] = group = Group(rng.choice((0, found.last)), rng.choice((-1, 0, count)))
        for given in ids[: rng.randrange(count + 1)]:
            consumer = group.consumer(rng.choice((b"c", b"d", b"")), 1_700_000_000_000 + rng.randrange(1000))
            group.give(given, consumer, 1_700_000_000_000 + rng.randrange(1000), rng.randrange(1, 200))
    return found
