"""The keys of one partition of one database: values, deadlines, and what a command changed.

A partition knows nothing of who may use it or where its copies are. It carries two
marks for those who do (`serving`, `log`), because they are asked for with every
command and a partition is what every command has in its hand.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from respcache.errors import WrongType
from respcache.store.aggregate import Aggregate
from respcache.store.events import DELETED, EVICTED, EXPIRED, MADE, MISSED, Event, Happening
from respcache.store.field_expiry import TAKEN_OUT, drain, expire_fields, is_drained, note_fields, seen
from respcache.store.key_expiry import LARGE, Agenda, schedule, sweep_keys
from respcache.store.ledger import Ledger
from respcache.store.rubbish import HUGE
from respcache.store.texts import Readable, Text, overwritten, readable, whole
from respcache.store.values import Value
from respcache.store.volatile_hashes import VolatileHash

if TYPE_CHECKING:
    from mypy_extensions import i64

NEVER_UNIX_MS: Final = 2**63 - 1
"""No deadline at all."""
LATEST_UNIX_MS: Final = NEVER_UNIX_MS - 1
"""A deadline that no clock reaches."""
FLUSH: Final = b"FLUSHDB"
"""An effect of this name and without a key is about its partition alone."""

Argv = list[bytes]
A = TypeVar("A", bound=Aggregate)


class Log(Protocol):
    """Where the effects of a partition go when it has other copies."""

    @property
    def streams(self) -> Sequence[object]:
        """The copies that get the effects; empty while there is no other copy. One object as long as the log lives."""

    @property
    def clean(self) -> bool:
        """Whether all effects so far are on every copy that counts."""

    def append(self, database: int, argv: Argv) -> None:
        """Take one effect; the caller does not change it afterwards."""


class Partition:
    """Values and deadlines by key. All methods see a key whose deadline has passed as absent.

    A handler changes keys through `put`, `keep`, `remove`, `expire_at` and `persist`, and says by
    `touched` that it has changed an aggregate in place.
    Its effect on the other copies is its own argv, unless it says otherwise with
    `rewrite`: a copy must come to the same result at any time and on any machine.
    """

    __slots__ = (
        "_copied",
        "_effects",
        "_log",
        "_rewritten",
        "agenda",
        "changed",
        "database",
        "due_unix_ms",
        "expires",
        "heavy",
        "keys_weighed",
        "ledger",
        "marks",
        "number",
        "serving",
        "unsafe",
        "values",
        "volatile",
        "weight_bytes",
    )

    def __init__(self, number: int, database: int, ledger: Ledger) -> None:
        # What every command asks for stands first: it is then in the same lines of the processor's cache.
        self.values: dict[bytes, Value] = {}
        self.due_unix_ms: i64 = NEVER_UNIX_MS
        """No deadline in `expires` or `volatile` is earlier; NEVER_UNIX_MS if there is none."""
        self.serving = True
        """Whether this node may run commands here now."""
        self.changed = False
        """Set by every change; whoever takes the effects clears it."""
        self.unsafe = False
        """Whether the copies may still lack effects of this partition; `awaits` knows."""
        self.heavy = False
        """Whether there was ever a value here that has to be freed bit by bit."""
        self.ledger: Final = ledger
        self._log: Log | None = None
        self._copied: Sequence[object] = ()
        """The log's streams. To ask the log for them with each write took a twentieth of a SET."""
        self.expires: dict[bytes, int] = {}
        """Deadlines in Unix milliseconds; most keys have none."""
        self.agenda: Agenda | None = None
        """The keys in `expires` by the time at which they are due, where there are many."""
        self.volatile: dict[bytes, int] = {}
        """Hashes with deadlines of fields, none of which is earlier than this."""
        self.marks: dict[bytes, object] = {}
        """How keys are used (see `usage`), those of some that are gone included."""
        self.weight_bytes = 0
        """What all this takes, estimated, when there were so many keys (see `scale`)."""
        self.keys_weighed = 0
        self.number: Final = number
        self.database: Final = database
        self._effects: list[Argv] = []
        self._rewritten = False

    @property
    def log(self) -> Log | None:
        """Where effects go; None on copies, and where there is no cluster."""
        return self._log

    @log.setter
    def log(self, log: Log | None) -> None:
        self._log = log
        self._copied = () if log is None else log.streams

    def value(self, key: bytes) -> Value | None:
        """Give what the key holds, of whatever kind."""
        found = self.values.get(key)
        if found is not None and self.due_unix_ms <= self.ledger.now_unix_ms and self._is_over(key):
            return None
        return found

    def string(self, key: bytes) -> bytes | None:
        """Give the string at key. Raises WrongType if it holds another kind."""
        found = self.value(key)
        if found is None or type(found) is bytes:
            return found
        return whole(found)

    def read(self, key: bytes) -> Value | None:
        """Look a key up for a command that only reads: hits and misses count."""
        self.ledger.lookups += 1
        found = self.values.get(key)
        if found is not None and self.due_unix_ms <= self.ledger.now_unix_ms:
            found = self._seen(key, found)
        if found is None:
            self.ledger.misses += 1
            self.happened(MISSED, key)
        return found

    def inspect(self, key: bytes) -> Value | None:
        """Like `read`, for a command that asks how a key is kept: a miss is counted, and no event."""
        self.ledger.lookups += 1
        found = self.values.get(key)
        if found is not None and self.due_unix_ms <= self.ledger.now_unix_ms:
            found = self._seen(key, found)
        self.ledger.misses += found is None
        return found

    def read_string(self, key: bytes) -> bytes | None:
        """Like `read`, written out for GET. Raises WrongType if the key holds another kind than a string."""
        ledger = self.ledger
        ledger.lookups += 1
        found = self.values.get(key)
        if found is None or (self.due_unix_ms <= ledger.now_unix_ms and self._seen(key, found) is None):
            ledger.misses += 1
            self.happened(MISSED, key)
            return None
        if type(found) is not bytes:
            return whole(found)
        return found

    def text(self, key: bytes) -> Readable | None:
        """Like `string`, for a command that reads a part: a long string is given as what it is kept in."""
        return readable(self.value(key))

    def read_text(self, key: bytes) -> Readable | None:
        """Like `text`, for a command that only reads: hits and misses count."""
        return readable(self.read(key))

    def overwrite(self, key: bytes, offset: int, piece: bytes) -> int:
        """Write over the string at key, if any, from a byte on; return its length. A gap is zeros; a deadline stays."""
        found = self.values.get(key)
        if isinstance(found, Text):
            found.write(offset, piece)
            self.changed = True
            return len(found)
        made = overwritten(found if type(found) is bytes else b"", offset, piece)
        self.keep(key, made)
        return len(made)

    def aggregate(self, key: bytes, kind: type[A]) -> A | None:
        """Give the value at key, which is to be of that kind. Raises WrongType if it is of another."""
        found = self.value(key)
        if found is None or isinstance(found, kind):
            return found
        raise WrongType

    def read_aggregate(self, key: bytes, kind: type[A]) -> A | None:
        """Like `aggregate`, for a command that only reads: hits and misses count."""
        found = self.read(key)
        if found is None or isinstance(found, kind):
            return found
        raise WrongType

    def touched(self, key: bytes, value: Aggregate) -> None:
        """Note that the value at key was changed in place; without elements it is deleted."""
        size = len(value)
        self.grown(size)
        if not size:
            drain(self, key, value)
            del self.values[key]
            self.undate(key)

    def grown(self, size: int) -> None:
        """Note that a value was changed in place, and has so many elements now."""
        self.changed = True
        if size > HUGE:
            self.heavy = True

    def put(self, key: bytes, value: Value) -> None:
        """Set a value; a deadline that the key had is gone."""
        if self.due_unix_ms != NEVER_UNIX_MS:
            self.undate(key)
        if self.heavy or type(value) is not bytes:
            self._note_large(key, value)
        self.values[key] = value
        self.changed = True

    def undate(self, key: bytes) -> None:
        """Forget the deadlines of a key and of its fields."""
        self._lift_deadline(key)
        if self.volatile:
            self.volatile.pop(key, None)

    def place(self, key: bytes, value: Value | None, event: Event) -> None:
        """Set or, with None, delete the value that a command on several keys has made, and tell of it."""
        if value is None:
            if self.remove(key):
                self.happened(DELETED, key)
            return
        if key not in self.values:
            self.happened(MADE, key)
        self.put(key, value)
        self.happened(event, key)

    def keep(self, key: bytes, value: Value) -> None:
        """Set a value; a deadline that the key has stays."""
        if self.heavy or type(value) is not bytes:
            self._note_large(key, value)
        self.values[key] = value
        self.changed = True

    def remove(self, key: bytes) -> bool:
        """Delete a key; False if there was none."""
        if self.value(key) is None:
            return False
        if self.heavy:
            self.retire(key)
        self.detach(key)
        return True

    def detach(self, key: bytes) -> None:
        """Take a key that is there away from its value, which goes on under another one."""
        del self.values[key]
        self.undate(key)
        self.changed = True

    def retire(self, key: bytes) -> None:
        """Have the value of a key freed bit by bit, if it is a large one: it is about to go."""
        self.ledger.rubbish.add(self.values.get(key))

    def delete(self, key: bytes) -> bool:
        """Like `remove`, and the copies are told just that, whatever the command was."""
        if not self.remove(key):
            self.did_nothing()
            return False
        self.rewrite([b"DEL", key])
        return True

    def evict(self, key: bytes) -> None:
        """Delete a key that is there, for want of memory; the copies are told at once."""
        if self.heavy:
            self.retire(key)
        del self.values[key]
        self.undate(key)
        self.marks.pop(key, None)
        self.tell_gone(key)
        self.happened(EVICTED, key)
        self.ship(None)

    def gain(self, weight_bytes: int, keys: int) -> None:
        """Note that there are so many keys more, and that all together weigh so much more."""
        self.weight_bytes += weight_bytes
        self.keys_weighed += keys
        self.ledger.weight_bytes += weight_bytes

    def deadline(self, key: bytes) -> int | None:
        """Give the deadline of an existing key in Unix milliseconds, None if it has none."""
        return self.expires.get(key)

    def expire_at(self, key: bytes, deadline_unix_ms: int) -> None:
        """Give an existing key a deadline, in the future."""
        self._set_deadline(key, deadline_unix_ms)
        self.changed = True

    def expire_or_delete(self, key: bytes, deadline_unix_ms: int) -> None:
        """Give an existing key a deadline, or delete it if that has passed; the copies are told just that."""
        if deadline_unix_ms <= self.ledger.now_unix_ms:
            self.delete(key)
            return
        self.expire_at(key, deadline_unix_ms)
        self.rewrite([b"PEXPIREAT", key, b"%d" % deadline_unix_ms])

    def persist(self, key: bytes) -> bool:
        """Take the deadline from a key; False if it has none."""
        if self.value(key) is None or not self._lift_deadline(key):
            return False
        self.changed = True
        return True

    def restore(self, key: bytes, value: Value | None, deadline_unix_ms: int | None) -> None:
        """Give a key the state that it has elsewhere, without an effect; no value deletes it."""
        self.undate(key)
        self._note_large(key, value)
        if value is None:
            self.values.pop(key, None)
            return
        self.values[key] = value
        if deadline_unix_ms is not None:
            self._set_deadline(key, deadline_unix_ms)

    def happened(self, event: Event, key: bytes) -> None:
        """Note an event that does not follow from the command and its one key, if somebody wants to hear of it.

        Copies, whose time stands at 0, say nothing: their primary does.
        """
        ledger = self.ledger
        if ledger.journal.listening & event.kind and ledger.now_unix_ms:
            ledger.journal.note(Happening(self.number, self.database, self._log, key, event))

    def tell(self, effect: Argv) -> None:
        """Tell the copies this besides what a command does: what had to be done whether or not it was run."""
        if self._copied:
            self._effects.append(effect)

    def tell_gone(self, key: bytes) -> None:
        """Tell the copies, and those who cache it, that a key is gone: no client has deleted it."""
        if self._copied:
            self._effects.append([b"DEL", key])
            self.ledger.gone.add(key)

    def rewrite(self, argv: Argv) -> None:
        """Tell the copies this instead of the command's own argv; callable several times."""
        if self._copied:
            self._rewritten = True
            self._effects.append(argv)

    def did_nothing(self) -> None:
        """Do not have the copies run a command that has changed nothing itself: they are told of what had expired."""
        self._rewritten = bool(self._effects)

    @property
    def has_copies(self) -> bool:
        """Whether anybody gets effects: else there is no need to write them."""
        return len(self._copied) > 0

    @property
    def rewritten(self) -> bool:
        """Whether a command has said itself what the copies must do."""
        return self._rewritten

    def take_effects(self, default: Argv | None) -> list[Argv]:
        """Give what the copies must do, and begin anew. `default` is the argv of a write."""
        effects = self._effects
        if default is not None and not self._rewritten:
            effects.append(default)
        self._effects, self._rewritten, self.changed = [], False, False
        return effects

    def ship(self, default: Argv | None) -> None:
        """Send what has changed to the copies, if there are any. `default` is the argv of a write."""
        if not self._copied:
            self.changed = False
            return
        log = self._log
        assert log is not None  # it has streams
        if default is not None and not self._effects and not self._rewritten:
            self.changed = False
            log.append(self.database, default)
            self.unsafe = True
            return
        for effect in self.take_effects(default):
            log.append(self.database, effect)
            self.unsafe = True

    def settle(self) -> None:
        """Tell nobody what has changed: this is a copy itself."""
        self.changed = False
        if self._effects or self._rewritten:
            self._effects, self._rewritten = [], False

    def awaits(self) -> Log | None:
        """Give the log until which replies about these keys have to wait; None if all effects are on all copies."""
        if self.unsafe:
            log = self._log
            if log is not None and not log.clean:
                return log
            self.unsafe = False
        return None

    def live_keys(self) -> Iterator[bytes]:
        """Go through the keys that have not expired; nothing may change meanwhile."""
        now, deadlines = self.ledger.now_unix_ms, self.expires
        if self.due_unix_ms > now:
            return iter(self.values)
        over = frozenset([key for key, due in self.volatile.items() if due <= now and is_drained(self, key)])
        return (key for key in self.values if deadlines.get(key, NEVER_UNIX_MS) > now and key not in over)

    def sweep(self) -> int:
        """Delete what is over, up to SWEPT_OUT keys and fields; return how many keys. What is left is still due."""
        ledger = self.ledger
        if self.due_unix_ms > ledger.now_unix_ms or not ledger.active_expiry or ledger.keeps_expired:
            return 0
        return sweep_keys(self)

    def flush(self) -> None:
        """Delete everything, here and on the copies."""
        if self.clear():
            self.changed = True
            self.rewrite([FLUSH])

    def clear(self) -> int:
        """Drop everything without an effect, and return how many keys went."""
        dropped = len(self.values)
        for table in (self.values, self.expires, self.marks, self.volatile):
            self.ledger.rubbish.add_table(table)
        self.values, self.expires, self.marks, self.volatile, self.due_unix_ms = {}, {}, {}, {}, NEVER_UNIX_MS
        if self.agenda is not None:
            self.agenda.retire(self.ledger.rubbish)
            self.agenda = None
        self.gain(-self.weight_bytes, -self.keys_weighed)
        return dropped

    def _set_deadline(self, key: bytes, deadline_unix_ms: int) -> None:
        if self.agenda is not None or len(self.expires) >= LARGE:
            schedule(self, key, deadline_unix_ms)
        self.expires[key] = deadline_unix_ms
        self.note_due(deadline_unix_ms)

    def _lift_deadline(self, key: bytes) -> bool:
        deadline = self.expires.pop(key, None)
        if deadline is None:
            return False
        if self.agenda is not None:
            self.agenda.discard(key, deadline)
        return True

    def note_due(self, deadline_unix_ms: int) -> None:
        """Note that a deadline of a key or of a field is no later than this."""
        self.due_unix_ms = min(self.due_unix_ms, deadline_unix_ms, LATEST_UNIX_MS)

    def _is_over(self, key: bytes) -> bool:
        """Tell whether its deadline, or that of its last field, has passed; it is deleted then, on copies too."""
        now = self.ledger.now_unix_ms
        deadline = self.expires.get(key)
        if deadline is None or deadline > now:
            return self.volatile.get(key, NEVER_UNIX_MS) <= now and expire_fields(self, key, TAKEN_OUT)
        if key in self.values:
            self.forget(key)
            self.ledger.expired_lazy += 1
        return True

    def _seen(self, key: bytes, found: Value) -> Value | None:
        """Give what a command that only reads sees, None if the key has expired; it may have to delete nothing."""
        if not self.ledger.keeps_expired:
            return None if self._is_over(key) else found
        over = self.expires.get(key, NEVER_UNIX_MS) <= self.ledger.now_unix_ms
        return None if over else seen(self, found)

    def _note_large(self, key: bytes, value: Value | None) -> None:
        """Have what a key holds freed bit by bit if it is large, and note whether what comes in its place is."""
        if self.heavy and self.values.get(key) is not value:
            self.retire(key)
        if isinstance(value, Aggregate) and len(value) > HUGE:
            self.heavy = True
        if isinstance(value, VolatileHash):
            note_fields(self, key, value)

    def forget(self, key: bytes) -> None:
        """Delete a key that is over; the copies are told."""
        if self.heavy:
            self.retire(key)
        del self.values[key]
        self.undate(key)
        self.changed = True
        self.happened(EXPIRED, key)
        self.tell_gone(key)
