"""Keys whose deadline has passed, and how the sweep finds them. Pure.

A partition with few deadlines is looked through. One with many has an *agenda*, which names the keys by the time at
which they are due: to look through a million of them takes a tenth of a second, however few are over.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from respcache.store.field_expiry import SWEPT_OUT, sweep_fields
from respcache.store.rubbish import Rubbish

if TYPE_CHECKING:
    from respcache.store.partition import Partition

LARGE: Final = 10_000
"""Deadlines from which on a partition has an agenda: to look through so many takes a millisecond, and an agenda takes
about 70 bytes for each."""
NEAR_BITS: Final = 7
"""Keys that are due within the same 128 ms stand together ..."""
FAR_BITS: Final = 20
"""... and those that are due later within the same 17 minutes: there are no more of such times than keys, then."""
SORTED_AT_ONCE: Final = 1_000
"""Keys of a far time that are sorted in one step when it has come, half a millisecond of work."""
EXAMINED_MAX: Final = 1_000
"""Where no more than so many keys stand together they are looked at one by one before all of them are over."""
_NEVER: Final = 2**63 - 1


class Agenda:
    """The keys of a partition by their deadlines. Each stands in one place, and is taken out with its deadline.

    far --its 17 minutes begin--> near --its 128 ms are over--> swept
    """

    __slots__ = ("_far", "_near", "_opened")

    def __init__(self, deadlines: Iterable[tuple[bytes, int]] = ()) -> None:
        self._near: Final[dict[int, dict[bytes, None]]] = {}
        self._far: Final[dict[int, dict[bytes, None]]] = {}
        self._opened = 0
        """Up to this far time keys are put among the near ones; some of its own may yet have to be sorted."""
        for key, deadline_unix_ms in deadlines:
            self.add(key, deadline_unix_ms)

    def add(self, key: bytes, deadline_unix_ms: int) -> None:
        """Note a key that is not noted."""
        time, table = deadline_unix_ms >> FAR_BITS, self._far
        if time <= self._opened:
            time, table = deadline_unix_ms >> NEAR_BITS, self._near
        keys = table.get(time)
        if keys is None:
            table[time] = {key: None}
        else:
            keys[key] = None

    def discard(self, key: bytes, deadline_unix_ms: int) -> None:
        """Forget a key that was noted with this deadline."""
        time, table = deadline_unix_ms >> FAR_BITS, self._far
        keys = table.get(time)
        if keys is None or key not in keys:
            time, table = deadline_unix_ms >> NEAR_BITS, self._near
            keys = table.get(time)
        if keys is not None:
            keys.pop(key, None)
            if not keys:
                del table[time]

    def take(self, now_unix_ms: int, deadlines: Mapping[bytes, int]) -> list[bytes]:
        """Take out up to SWEPT_OUT keys that are over, the earliest; more may be left even if fewer are given."""
        self._sort(now_unix_ms, deadlines)
        near, now = self._near, now_unix_ms >> NEAR_BITS
        taken: list[bytes] = []
        if min(near, default=_NEVER) > now:
            return taken
        for time in sorted([time for time in near if time <= now]):
            keys = near[time]
            if time < now:
                taken += _take_some(keys, SWEPT_OUT - len(taken))
            elif len(keys) <= EXAMINED_MAX:
                over = [key for key in keys if deadlines[key] <= now_unix_ms][: SWEPT_OUT - len(taken)]
                for key in over:
                    del keys[key]
                taken += over
            if not keys:
                del near[time]
            if len(taken) == SWEPT_OUT:
                break
        return taken

    def is_behind(self, now_unix_ms: int) -> bool:
        """Tell whether there is more to do at once."""
        far, near = min(self._far, default=_NEVER), min(self._near, default=_NEVER)
        return far <= now_unix_ms >> FAR_BITS or near < now_unix_ms >> NEAR_BITS

    def earliest_unix_ms(self) -> int:
        """Give a time before which no key is due."""
        far, near = min(self._far, default=_NEVER), min(self._near, default=_NEVER)
        return min(far << FAR_BITS, near << NEAR_BITS)

    def retire(self, rubbish: Rubbish) -> None:
        """Have its memory freed bit by bit: it is not asked for any more."""
        rubbish.add_table(self._near)
        rubbish.add_table(self._far)

    def _sort(self, now_unix_ms: int, deadlines: Mapping[bytes, int]) -> None:
        """Put some keys of a far time that has come among the near ones."""
        if not self._far:
            return
        time = min(self._far)
        if time > now_unix_ms >> FAR_BITS:
            return
        self._opened = max(self._opened, time)
        keys = self._far[time]
        for key in _take_some(keys, SORTED_AT_ONCE):
            self.add(key, deadlines[key])
        if not keys:
            del self._far[time]


def _take_some(keys: dict[bytes, None], count: int) -> list[bytes]:
    """Take so many out, from the end: places at the beginning from which keys went are passed again with each look."""
    return [keys.popitem()[0] for _ in range(min(count, len(keys)))]


def schedule(partition: "Partition", key: bytes, deadline_unix_ms: int) -> None:
    """Note in the agenda of a partition, which gets one at need, that a key is about to have another deadline."""
    agenda = partition.agenda
    if agenda is None:
        agenda = partition.agenda = Agenda(partition.expires.items())
    before = partition.expires.get(key)
    if before is not None:
        agenda.discard(key, before)
    agenda.add(key, deadline_unix_ms)


def is_behind(partition: "Partition", now_unix_ms: int) -> bool:
    """Tell whether there is more to sweep at once: keys that are due together may have to wait until all are over."""
    agenda = partition.agenda
    if partition.due_unix_ms > now_unix_ms or agenda is None:
        return partition.due_unix_ms <= now_unix_ms
    if agenda.is_behind(now_unix_ms):
        return True
    return min(partition.volatile.values(), default=_NEVER) <= now_unix_ms


def sweep_keys(partition: "Partition") -> int:
    """Delete keys that are over, up to SWEPT_OUT, and fields of hashes; return how many keys.

    What is left is still due; `is_behind` tells whether another sweep would find more.
    """
    now_unix_ms, agenda = partition.ledger.now_unix_ms, partition.agenda
    if agenda is None:
        over: list[bytes] = []
        for key, deadline in partition.expires.items():  # compiled, a generator would be a list of all of them
            if deadline <= now_unix_ms:
                over.append(key)
            if len(over) == SWEPT_OUT:
                break
    else:
        over = agenda.take(now_unix_ms, partition.expires)
    for key in over:
        partition.forget(key)
    partition.ledger.expired_active += len(over)
    if len(over) == SWEPT_OUT:
        return SWEPT_OUT
    sweep_fields(partition)
    partition.due_unix_ms = _NEVER
    if partition.volatile:
        partition.note_due(min(partition.volatile.values()))
    if partition.expires:
        partition.note_due(min(partition.expires.values()) if agenda is None else agenda.earliest_unix_ms())
    return len(over)
