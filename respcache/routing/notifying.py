"""Keyspace events, told to whoever listens once the writes that made them are safe.

An event happens on the owner of its key. It is noted in the journal while the command runs, and at
the end of that turn of the event loop published on the channels that Redis has for it; or, where
copies still lack effects of the partition, behind the same gate as the reply. So whoever hears of a write
can rely on it, and the events of a key keep their order. What became uncertain is not told.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from respcache.routing.holding import Held
from respcache.routing.observing import true_log
from respcache.store.events import KEYEVENT, KEYSPACE, Happening, chosen_by
from respcache.store.keyspace import Store
from respcache.store.partition import Log


class Notifier:
    """Tells of the events of one node."""

    def __init__(
        self,
        store: Store,
        held: Held,
        *,
        publish: Callable[[bytes, bytes], None],
        flush: Callable[[], None],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        """`publish` is given channel and message, and `flush` sends what was published.

        `soon` calls back at the end of this turn of the event loop.
        """
        self._store: Final = store
        self._ledger: Final = store.ledger
        self._held: Final = held
        self._publish: Final = publish
        self._flush: Final = flush
        self._soon: Final = soon
        self.letters = ""
        """What it tells of."""
        self.told = 0
        """Events that were published so far."""
        self._ledger.journal.wake = self._wake

    def choose(self, letters: str) -> None:
        """Tell of what `notify-keyspace-events` says from now on. Raises ValueError where that has no meaning."""
        self._ledger.journal.choose(chosen_by(letters))
        self.letters = letters
        self._ledger.note_what_is_wanted()

    def _wake(self) -> None:
        self._soon(self._tell)

    def _tell(self) -> None:
        """Publish what has happened in this turn, or wait with it."""
        certain: list[Happening] = []
        waiting: dict[Log, list[Happening]] = {}
        for happening in self._ledger.journal.take():
            partition = self._store.keyspace(happening.database).partitions[happening.number]
            if true_log(partition.log) is not true_log(happening.log):
                continue  # it has another owner since, and nobody knows what that one has of it
            log = partition.awaits()
            if log is None:
                certain.append(happening)
            else:
                waiting.setdefault(log, []).append(happening)
        self._publish_all(certain)
        for log, happenings in waiting.items():
            tell = partial(self._publish_all, happenings)
            if not self._held.when_safe([log], tell, or_in_doubt=False):
                tell()

    def _publish_all(self, happenings: list[Happening]) -> None:
        channels = self._ledger.journal.channels
        self.told += len(happenings)
        for happening in happenings:
            name, key, database = happening.event.name, happening.key, happening.database
            if channels & KEYSPACE:
                self._publish(b"__keyspace@%d__:%b" % (database, key), name)
            if channels & KEYEVENT:
                self._publish(b"__keyevent@%d__:%b" % (database, name), key)
        self._flush()  # before anything else is run: a client then hears of it before the reply to what it sends next
