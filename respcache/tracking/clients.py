"""The clients of one node that cache what they read, and the keys that each of them may have.

A client is told of a key once, then it is expected to have forgotten it, as this table has.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, TypeAlias

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.session import Session
from respcache.commands.tracker import CHANGING_MAX, Tracker
from respcache.errors import CommandError
from respcache.resp.encode import NULL_2, NULL_3, array_head, bulk
from respcache.tracking.readers import FORGOTTEN_AT_ONCE
from respcache.tracking.wire import PREFIXES_MAX

PREFIXES_BYTES_MAX: Final = 4 * 1024 * 1024
"""All prefixes of a node's clients together: each node keeps those of all others, and looks at them with each write."""

INVALIDATE: Final = b">2\r\n$10\r\ninvalidate\r\n"
"""What stands in front of the keys, in RESP3."""
MESSAGE: Final = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"
"""The same in RESP2, for a connection that is subscribed to something."""
BROKEN: Final = b">2\r\n$21\r\ntracking-redir-broken\r\n:%d\r\n"

_Ids: TypeAlias = "int | set[int]"
"""Numbers of clients: for most keys it is one, and a set takes 200 bytes."""


class TooManyPrefixes(CommandError):
    """All prefixes of this node's clients would be too many, or too long; the client is tracked as it was before."""

    def __init__(self) -> None:
        super().__init__(
            f"the prefixes of all clients may be {PREFIXES_MAX}, and {PREFIXES_BYTES_MAX} bytes, at most together"
        )


class Clients:
    """All clients of one node that are tracked."""

    def __init__(self) -> None:
        self.sessions: Final[dict[int, Session]] = {}
        """By number; those with a tracker."""
        self.prefixes: Final[dict[bytes, dict[Session, None]]] = {}
        """Who wants to hear of all keys with a prefix."""
        self.prefixes_bytes = 0
        self.items = 0
        """Keys that clients may have, each counted for each of them."""
        self._cached: Final[dict[bytes, _Ids]] = {}
        """Who may have a key; the key that was read first comes first."""
        self._keys: Final[dict[int, set[bytes]]] = {}
        """By partition."""
        self._own: Final[dict[bytes, dict[int, bool]]] = {}
        """Who of these, wanting not to hear of own changes, has sent a command that may change the key; and whether
        it has read the key behind such a command, or while one was not answered yet: then the change counts as one by
        others."""
        self._pushes: dict[Session, list[bytes]] = {}
        """What is to be sent, by the connection that it is sent over."""
        self.sent = 0
        """Messages to clients so far."""

    def __len__(self) -> int:
        """Count the keys that anybody may have."""
        return len(self._cached)

    # -- clients ------------------------------------------------------------------------

    def enter(self, session: Session, tracker: Tracker) -> None:
        """Track a client, or track it in another way. Raises TooManyPrefixes."""
        news = [prefix for prefix in tracker.prefixes if prefix not in self.prefixes]
        more_bytes = sum(map(len, news))
        if len(self.prefixes) + len(news) > PREFIXES_MAX or self.prefixes_bytes + more_bytes > PREFIXES_BYTES_MAX:
            raise TooManyPrefixes
        if session.tracker is not None:
            tracker.caching = session.tracker.caching
        self.leave(session)
        self.sessions[session.client_id] = session
        session.tracker = tracker
        for prefix in tracker.prefixes:
            if prefix not in self.prefixes:
                self.prefixes[prefix] = {}
                self.prefixes_bytes += len(prefix)
            self.prefixes[prefix][session] = None

    def leave(self, session: Session) -> None:
        """Track a client no more. The keys that it has read are forgotten when they change."""
        tracker = session.tracker
        if tracker is None:
            return
        session.tracker = None
        self.sessions.pop(session.client_id, None)
        for prefix in tracker.prefixes:
            del self.prefixes[prefix][session]
            if not self.prefixes[prefix]:
                del self.prefixes[prefix]
                self.prefixes_bytes -= len(prefix)

    # -- keys ---------------------------------------------------------------------------

    def remember(self, session: Session, key: bytes) -> bool:
        """Take note that a client reads a key; True if nobody had it before."""
        ids = self._cached.get(key)
        if ids is None:
            self._cached[key] = session.client_id
            self._keys.setdefault(partition_of(key), set()).add(key)
            self.items += 1
        elif isinstance(ids, int):
            if ids != session.client_id:
                self._cached[key] = {ids, session.client_id}
                self.items += 1
        elif session.client_id not in ids:
            ids.add(session.client_id)
            self.items += 1
        changing = _changing(session)
        is_changing = hash(key) in changing or len(changing) == CHANGING_MAX
        if is_changing or (key in self._own and session.client_id in self._own[key]):
            self._own.setdefault(key, {})[session.client_id] = True
        return ids is None

    def writes(self, session: Session, key: bytes) -> None:
        """Take note that a client that does not want to hear of its own changes may change a key."""
        ids = self._cached.get(key)
        if ids == session.client_id or (isinstance(ids, set) and session.client_id in ids):
            self._own.setdefault(key, {}).setdefault(session.client_id, False)
        changing = _changing(session)
        if len(changing) < CHANGING_MAX:
            changing.add(hash(key))

    def oldest(self, keys_max: int) -> list[bytes]:
        """List the keys that have to go if there are to be no more than that; 0 is no limit."""
        excess = len(self._cached) - keys_max
        if excess <= 0 or not keys_max:
            return []
        return list(islice(self._cached, max(excess, keys_max // FORGOTTEN_AT_ONCE)))

    def in_partitions(self, numbers: Iterable[int]) -> list[bytes]:
        """List the keys of some partitions that anybody may have."""
        return [key for number in numbers for key in self._keys.get(number, ())]

    def forget_in(self, numbers: Iterable[int]) -> None:
        """Forget the keys of some partitions; nobody is told."""
        for key in self.in_partitions(numbers):
            self._forget(key)

    def _forget(self, key: bytes) -> Sequence[int]:
        ids = self._cached.pop(key, None)
        if ids is None:
            return ()
        self._own.pop(key, None)
        number = partition_of(key)
        mine = self._keys[number]
        mine.discard(key)
        if not mine:
            del self._keys[number]
        found = [ids] if isinstance(ids, int) else sorted(ids)
        self.items -= len(found)
        return found

    # -- what is sent -----------------------------------------------------------------------

    def changed(self, keys: Iterable[tuple[bytes, int]]) -> None:
        """Tell of changed keys, each with the number of the client here that has changed it, or 0."""
        broadcast: dict[bytes, dict[bytes, int]] = {}
        for key, writer in keys:
            self.invalidate(key, writer)
            for prefix in self.prefixes:
                if key.startswith(prefix):
                    broadcast.setdefault(prefix, {})[key] = writer
        for prefix, found in sorted(broadcast.items()):
            everybody = _array(sorted(found))
            for session in self.prefixes[prefix]:
                tracker = session.tracker
                assert tracker is not None  # it has a prefix
                if not tracker.noloop:
                    self._tell(session, tracker, everybody)
                elif rest := sorted(key for key, writer in found.items() if writer != session.client_id):
                    self._tell(session, tracker, _array(rest))

    def invalidate(self, key: bytes, writer: int = 0) -> None:
        """Tell those who have read a key that it is not what it was, or may not be, but for the one who knows."""
        own = self._own.get(key, {})
        for client_id in self._forget(key):
            session = self.sessions.get(client_id)
            tracker = None if session is None else session.tracker
            if session is None or tracker is None or tracker.bcast:
                continue
            if not (tracker.noloop and client_id == writer and own.get(client_id) is False):
                self._tell(session, tracker, _array([key]))

    def flush(self, *, everybody: bool) -> None:
        """Tell clients to forget all they have: everybody, or those that want keys with a prefix."""
        for session in self.sessions.values():
            tracker = session.tracker
            if tracker is not None and (everybody or tracker.bcast):
                self._tell(session, tracker, NULL_2 if session.protocol == 2 else NULL_3)

    def take(self) -> list[tuple[Session, bytes]]:
        """Give what is to be sent to whom, all messages to one connection as one; begin anew."""
        pushes, self._pushes = self._pushes, {}
        return [(session, b"".join(wires)) for session, wires in pushes.items()]

    def _tell(self, session: Session, tracker: Tracker, what: bytes) -> None:
        target = session if tracker.target is None else tracker.target
        if target.transmit is None or target.closing:
            if tracker.redirect:
                tracker.broken = True
                if session.protocol == 3:
                    self._push(session, BROKEN % tracker.redirect)
            return
        if target.protocol == 3:
            self._push(target, INVALIDATE + what)
        elif tracker.redirect and target.subscribed:
            self._push(target, MESSAGE + what)

    def _push(self, session: Session, wire: bytes) -> None:
        self.sent += 1
        self._pushes.setdefault(session, []).append(wire)


def _changing(session: Session) -> set[int]:
    """Give the hashes of the keys that a client may be changing by commands that have no reply yet.

    Of a key among them that it reads it may seem to the owner that it was read first: reads are announced before what
    is in front of them is run, be it on its way to another node, or between MULTI and EXEC.
    """
    tracker = session.tracker
    if tracker is None:
        return set()
    if session.queue is None and (session.turns is None or not session.turns.under_way):
        tracker.changing.clear()
    return tracker.changing


def _array(keys: Sequence[bytes]) -> bytes:
    return array_head(len(keys)) + b"".join([bulk(key) for key in keys])
