"""Fills a store and prints the growth that the scale estimates, and that of the process: KIND [SIZE] KEYS."""

import gc
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from respcache.commands import families  # noqa: F401 # it fills the table
from respcache.commands.registry import TABLE
from respcache.store.aggregate import ALIGNMENT
from respcache.store.keyspace import Store
from respcache.store.partition import Argv
from respcache.store.scale import Scale

ELEMENTS_AT_ONCE = 100
POOLED_MAX_BYTES = 512
FILLED = 1000
"""Objects of each size that take the room which the allocator has left from before."""


def private_bytes() -> int:
    """Tell how much memory is this process' alone."""
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Private_Dirty"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no figure")


def writes(kind: str, size: int, key: bytes, rng: random.Random) -> Iterator[Argv]:
    """Make the commands that fill a key."""
    if kind == "string":
        yield [b"SET", key, rng.randbytes(size)]
    elif kind == "skewed":
        yield [b"SET", key, rng.randbytes(int(50 * rng.paretovariate(1.2)))]
    elif kind == "expiring":
        yield [b"SET", key, rng.randbytes(50), b"EX", b"1000"]
    else:
        name = {"hash": b"HSET", "set": b"SADD", "list": b"RPUSH", "zset": b"ZADD"}[kind]
        for start in range(0, size, ELEMENTS_AT_ONCE):
            argv = [name, key]
            for _ in range(min(ELEMENTS_AT_ONCE, size - start)):
                if kind == "hash":
                    argv.append(rng.randbytes(12))
                if kind == "zset":
                    argv.append(b"%f" % rng.random())
                argv.append(rng.randbytes(20))
            yield argv


def main() -> None:
    """Measure."""
    kind, *words, keys = sys.argv[1:]
    rng = random.Random(1)  # values by chance, no secrets
    store = Store()
    scale = Scale(store)
    gc.collect()
    gc.freeze()
    filling = [bytes(size) for size in range(0, POOLED_MAX_BYTES, ALIGNMENT) for _ in range(FILLED)]
    before = private_bytes()
    space = store.keyspace(0)
    for number in range(int(keys)):
        key = b"key:%08d" % number
        for argv in writes(kind, int(words[0]) if words else 0, key, rng):
            partition = space.at(key)
            TABLE[argv[0]].on_key(partition, argv)
            partition.ship(None)
    scale.count()
    while not scale.walk():
        pass
    gc.collect()
    assert filling
    print(store.ledger.weight_bytes, private_bytes() - before)  # noqa: T201 # it is what this is for


if __name__ == "__main__":
    main()
