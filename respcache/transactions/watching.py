"""Which keys somebody watches, and whether they are still in the state in which they were then.

The primary of a key gives a *token* of its state to the node whose client watches it. The
token is good until the key changes in any way, were it back to the same value: then the
primary forgets it, and a token that it does not know stands for a key that has changed. So
a token from before a failover, a hand-over or a restart never counts, and nothing has to be
told when a client stops watching.

    unwatched --token--> watched --changed, moved, an hour without a new watcher--> unwatched

`observing` tells of changes, in partitions with watched keys only.
"""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Final

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.replay import changed_keys
from respcache.store.copies import StoredKey
from respcache.store.keyspace import Store
from respcache.store.partition import FLUSH, Argv
from respcache.store.swapping import SWAP, swapped

WATCHED_MAX: Final = 100_000
"""Watched keys that a primary remembers; beyond it the oldest counts as changed."""
DELETE: Final = b"DEL"
"""The effect on a key that expires."""
REMEMBERED_S: Final = 3600.0
"""How long a key that does not change is remembered after it was last watched; then it counts as changed."""


class _Watched:
    """One watched key."""

    __slots__ = ("at_s", "exists", "token")

    def __init__(self, token: bytes, *, exists: bool) -> None:
        self.token: Final = token
        self.exists: Final = exists
        self.at_s = 0.0
        """When it was last watched."""


class Watches:
    """The watched keys of the partitions that a node serves."""

    def __init__(self, store: Store, run: bytes, *, remark: Callable[[Iterable[int]], None]) -> None:
        """`run` names this run of this node as no other; `remark` is to give partitions their logs anew."""
        self._store: Final = store
        self._run: Final = run
        self._remark: Final = remark
        self._serials: Final = count(1)
        self._watched: Final[dict[StoredKey, _Watched]] = {}
        """The one longest not watched anew comes first."""
        self._keys: Final[dict[int, set[StoredKey]]] = {}
        """By partition; an empty set stays until the next sweep, for a command may be under way that needs the log."""

    def __len__(self) -> int:
        """Count the watched keys."""
        return len(self._watched)

    def observes(self, number: int) -> bool:
        """Tell whether a partition has, or had until now, watched keys."""
        return number in self._keys

    def token(self, database: int, key: bytes, now_s: float) -> bytes:
        """Watch a key of a partition that is served here."""
        stored = (database, key)
        exists = self._settled(stored)
        watched = self._watched.pop(stored, None)
        if watched is None:
            watched = _Watched(b"%b:%d" % (self._run, next(self._serials)), exists=exists)
        watched.at_s = now_s
        self._watched[stored] = watched
        number = partition_of(key)
        if number not in self._keys:
            self._keys[number] = set()
            self._remark((number,))
        self._keys[number].add(stored)
        if len(self._watched) > WATCHED_MAX:
            self._forget(next(iter(self._watched)))
        return watched.token

    def unchanged(self, tokens: dict[StoredKey, bytes]) -> bool:
        """Tell whether all these keys are as they were when the tokens were given."""
        for stored, token in tokens.items():
            self._settled(stored)
            watched = self._watched.get(stored)
            if watched is None or watched.token != token:
                return False
        return True

    def touched(self, number: int, database: int, argv: Argv) -> None:
        """Note an effect on a partition.

        A flush does not change the keys that did not exist, to exchange databases those that exist in neither. That a
        key is gone whose time was over before it was watched, or came to its place, is no change either.
        """
        if argv[0] == FLUSH:
            mine = [stored for stored in self._keys.get(number, ()) if stored[0] == database]
            changed = [stored for stored in mine if self._watched[stored].exists]
        elif argv[0] == SWAP:
            databases = swapped(argv) or ()
            mine = [stored for stored in self._keys.get(number, ()) if stored[0] in databases]
            changed = [stored for stored in mine if self._watched[stored].exists or self._settled(stored)]
        else:
            changed = [stored for stored in changed_keys(database, argv, len(self._store)) if stored in self._watched]
            if argv[0] == DELETE:
                changed = [stored for stored in changed if self._watched[stored].exists]
        for stored in set(changed):
            self._forget(stored)

    def void(self, number: int) -> None:
        """Forget a partition that changes hands; its log is the caller's business."""
        for stored in list(self._keys.get(number, ())):
            self._forget(stored)
        self._keys.pop(number, None)

    def sweep(self, now_s: float) -> None:
        """Forget what has not been watched for long, and let partitions without watched keys be as all others.

        To be called between commands, now and then.
        """
        while self._watched:
            stored, watched = next(iter(self._watched.items()))
            if watched.at_s > now_s - REMEMBERED_S:
                break
            self._forget(stored)
        idle = [number for number, keys in self._keys.items() if not keys]
        for number in idle:
            del self._keys[number]
        self._remark(idle)

    def _settled(self, stored: StoredKey) -> bool:
        """See to it that a key whose deadline has passed is deleted; tell whether the key exists.

        While a script rests the key stays for it: that it goes afterwards is a change.
        """
        database, key = stored
        partition = self._store.keyspace(database).at(key)
        if partition.ledger.still:
            return key in partition.values
        exists = partition.value(key) is not None
        if partition.changed:
            partition.ship(None)
        return exists

    def _forget(self, stored: StoredKey) -> None:
        del self._watched[stored]
        self._keys[partition_of(stored[1])].discard(stored)
