"""Comparing copies with their primaries, in the background and without stopping anybody.

A check travels in the stream of effects, so what it says of some keys is compared with the copy as of the
same effect, whatever is written meanwhile: the sequences are equal, not the times. A primary goes
through its partitions one after the other, a few keys at a time:

    idle --its time has come--> listing keys --> chunk, chunk ... the last with the number of keys --> idle
                                  `-- the partition moves, or a copy comes or goes --------------------^

A copy that finds a difference refuses the effects of the partition, as it does when one is missing. So it
is demoted and made afresh, and the primary's word is what counts. A key that only the copy has shows in the
number of keys.
"""

import math
from collections.abc import Mapping
from random import Random
from typing import Final
from zlib import crc32

from respcache.cluster.ownership.slots import PARTITIONS
from respcache.cluster.replication.log import Log, Stream
from respcache.cluster.replication.storage import KeyList, Storage, StoredKey
from respcache.cluster.replication.wire import CHECK

CHUNK_KEYS: Final = 100
"""Keys compared at a time: at most about 2 ms of work."""
PAUSE_S: Final = 0.01
"""From one chunk to the next."""
SALT_MAX: Final = 2**31 - 1


class Checking:
    """The checks that one node makes of the copies of its partitions."""

    def __init__(self, storage: Storage, rng: Random, *, round_s: float) -> None:
        """`round_s` is how long it takes to get through all partitions of this node; 0 for no checks at all."""
        self._storage, self._rng = storage, rng
        self._round_s = round_s or math.inf
        self._pause_s = self._round_s / PARTITIONS
        self.due_s = math.inf
        """When `step` is due."""
        self._last = -1
        """The partition looked at last."""
        self._log: Log | None = None
        self._streams: tuple[Stream, ...] = ()
        self._keys = KeyList()
        self.checked = 0
        """Partitions compared to the end."""

    def step(self, now: float, logs: Mapping[int, Log]) -> None:
        """Send one chunk, if it is time. Where there was nothing to compare any call finds out whether there is now."""
        if self.due_s == math.inf and any(log.required for log in logs.values()):
            self.due_s = now + self._pause_s
        if now < self.due_s:
            return
        log = self._log
        if log is None or logs.get(log.partition) is not log or log.required != self._streams:
            log = self._log = self._choose(logs)
            if log is None:
                self.due_s = math.inf
                return
            self._streams = log.required
            self._keys = KeyList(self._storage, log.partition)
        self._chunk(log)
        if self._keys:
            self.due_s = now + PAUSE_S
        else:
            self.checked += 1
            self._log = None
            self.due_s = now + self._pause_s

    def _choose(self, logs: Mapping[int, Log]) -> Log | None:
        """Find the next partition that has copies."""
        mine = sorted(number for number, log in logs.items() if log.required)
        number = next((number for number in mine if number > self._last), mine[0] if mine else None)
        if number is None:
            return None
        self._last, self._pause_s = number, self._round_s / len(mine)
        return logs[number]

    def _chunk(self, log: Log) -> None:
        keys = self._keys.take(CHUNK_KEYS)
        salt = self._rng.randrange(SALT_MAX)
        digest = digest_of(self._storage, log.partition, keys, salt)
        count = b"" if self._keys else b"%d" % self._storage.count(log.partition)
        words = [word for database, key in keys for word in (b"%d" % database, key)]
        check = [b"%d" % digest, b"%d" % salt, count, *words]
        for stream in log.required:
            stream.open.add(log.partition, log.epoch, log.sequence, CHECK, check)


def digest_of(storage: Storage, partition: int, keys: list[StoredKey], salt: int) -> int:
    """Digest what some keys hold now, in 32 bits."""
    state = 0
    for database, key in keys:
        state = crc32(b"%d " % storage.digest(partition, database, key, salt), state)
    return state


def equals(storage: Storage, partition: int, argv: list[bytes]) -> bool:
    """Tell whether a copy holds what a check says. What is none is no reason to make a copy afresh."""
    if len(argv) < 3 or not all(word.isdigit() and len(word) <= 12 for word in argv[:2]):
        return True
    digest, salt, count = argv[:3]
    keys = [(_number(database), key) for database, key in zip(argv[3::2], argv[4::2], strict=False)]
    if count and count != b"%d" % storage.count(partition):
        return False
    return int(digest) == digest_of(storage, partition, keys, int(salt))


def _number(digits: bytes) -> int:
    return int(digits) if digits.isdigit() and len(digits) <= 9 else 0
