"""Keys, deadlines and effects of one partition."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from respcache.store.field_expiry import SWEPT_OUT
from respcache.store.keyspace import Store
from respcache.store.partition import NEVER_UNIX_MS, Argv, Partition

KEYS = st.sampled_from([b"a", b"b", b"c"])
VALUES = st.binary(max_size=3)


class Recorder:
    """A log with one other copy that has everything."""

    def __init__(self) -> None:
        self.streams: list[object] = ["copy"]
        self.clean = True
        self.effects: list[Argv] = []

    def append(self, database: int, argv: Argv) -> None:
        """Take one effect."""
        del database
        self.effects.append(argv)


def _partition() -> Partition:
    partition = Store().keyspace(0).partitions[0]
    partition.log = Recorder()
    return partition


class Model(RuleBasedStateMachine):
    """A partition beside a plain dict of (value, deadline)."""

    def __init__(self) -> None:
        super().__init__()
        self.partition = _partition()
        self.model: dict[bytes, tuple[bytes, int]] = {}
        self.now = 1_000
        self.partition.ledger.now_unix_ms = self.now

    def _live(self, key: bytes) -> bytes | None:
        value, deadline = self.model.get(key, (None, 0))
        return value if deadline > self.now else None

    @rule(milliseconds=st.integers(min_value=0, max_value=100))
    def time_passes(self, milliseconds: int) -> None:
        """The clock of the batch goes on."""
        self.now += milliseconds
        self.partition.ledger.now_unix_ms = self.now

    @rule(key=KEYS, value=VALUES)
    def put(self, key: bytes, value: bytes) -> None:
        """A new value, and no deadline any more."""
        self.partition.put(key, value)
        self.model[key] = (value, NEVER_UNIX_MS)

    @rule(key=KEYS, value=VALUES)
    def keep(self, key: bytes, value: bytes) -> None:
        """A new value, and the deadline stays; handlers look the key up before."""
        old = self.partition.value(key)
        assert old == self._live(key)
        deadline = self.model[key][1] if old is not None else NEVER_UNIX_MS
        self.partition.keep(key, value)
        self.model[key] = (value, deadline)

    @rule(key=KEYS)
    def remove(self, key: bytes) -> None:
        """A key is gone."""
        assert self.partition.remove(key) == (self._live(key) is not None)
        self.model.pop(key, None)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        """The same, told to the copies."""
        assert self.partition.delete(key) == (self._live(key) is not None)
        self.model.pop(key, None)

    @rule(key=KEYS, milliseconds=st.integers(min_value=-50, max_value=100))
    def expire(self, key: bytes, milliseconds: int) -> None:
        """A key gets a deadline, or is deleted."""
        if self.partition.value(key) is not None:
            self.partition.expire_or_delete(key, self.now + milliseconds)
            self.model[key] = (self.model[key][0], self.now + milliseconds)

    @rule(key=KEYS)
    def persist(self, key: bytes) -> None:
        """A deadline is taken away."""
        had = self._live(key) is not None and self.model[key][1] != NEVER_UNIX_MS
        assert self.partition.persist(key) == had
        if had:
            self.model[key] = (self.model[key][0], NEVER_UNIX_MS)

    @rule()
    def sweep(self) -> None:
        """What is over is deleted in the background."""
        self.partition.sweep()
        assert len(self.partition.values) == sum(self._live(key) is not None for key in self.model)

    @precondition(lambda self: self.partition.changed)
    @rule()
    def effects_are_taken(self) -> None:
        """As behind every command."""
        self.partition.take_effects(None)
        assert not self.partition.changed

    @invariant()
    def reads_agree(self) -> None:
        """Keys that live are those of the model, whichever way one looks."""
        alive = {key: value for key in self.model if (value := self._live(key)) is not None}
        assert {key: self.partition.values[key] for key in self.partition.live_keys()} == alive
        assert set(self.partition.expires) <= set(self.partition.values)
        assert self.partition.due_unix_ms <= min(self.partition.expires.values(), default=NEVER_UNIX_MS)
        assert not self.partition.expires or self.partition.due_unix_ms < NEVER_UNIX_MS


TestModel = Model.TestCase


def test_keys_that_are_due_at_once_go_a_few_at_a_time() -> None:
    """A partition may hold a million of them: each sweep deletes so many, and the copies are told of each once."""
    partition = _partition()
    for number in range(2 * SWEPT_OUT + 1):
        partition.put(b"%d" % number, b"v")
        partition.expire_at(b"%d" % number, 2_000)
    partition.put(b"lasts", b"v")
    partition.expire_at(b"lasts", 3_000)
    partition.take_effects(None)
    partition.ledger.now_unix_ms = 2_000

    assert (partition.sweep(), partition.sweep(), partition.due_unix_ms) == (SWEPT_OUT, SWEPT_OUT, 2_000)
    assert (partition.sweep(), list(partition.values), partition.due_unix_ms) == (1, [b"lasts"], 3_000)
    assert partition.sweep() == 0
    told = partition.take_effects(None)
    assert sorted(told) == sorted([b"DEL", b"%d" % number] for number in range(2 * SWEPT_OUT + 1))
    assert partition.ledger.expired_active == 2 * SWEPT_OUT + 1


def test_an_expired_key_is_gone_for_all_readers_and_the_copies_are_told_once() -> None:
    """The first reader deletes it, with an effect; the next one finds nothing to delete."""
    partition = _partition()
    partition.put(b"k", b"v")
    partition.expire_at(b"k", 2_000)
    partition.take_effects(None)
    partition.ledger.now_unix_ms = 2_000

    assert partition.read_string(b"k") is None
    assert partition.value(b"k") is None
    assert partition.take_effects(None) == [[b"DEL", b"k"]]
    assert (partition.ledger.lookups, partition.ledger.misses, partition.ledger.expired_lazy) == (1, 1, 1)


def test_while_expired_keys_are_kept_readers_do_not_see_them_and_writers_delete_them() -> None:
    """Neither a reader nor the sweep changes anything; whoever writes finds the key gone, with its deadline."""
    partition = _partition()
    ledger = partition.ledger
    ledger.now_unix_ms = 100
    for key in (b"a", b"b"):
        partition.put(key, b"v")
        partition.expire_at(key, 150)
    ledger.now_unix_ms, ledger.keeps_expired = 200, True
    assert (partition.read(b"a"), partition.read_string(b"a"), partition.inspect(b"a"), partition.sweep()) == (
        None,
        None,
        None,
        0,
    )
    assert (sorted(partition.values), ledger.expired_lazy, list(partition.live_keys())) == ([b"a", b"b"], 0, [])
    assert partition.string(b"a") is None
    partition.keep(b"a", b"w")
    assert (partition.read(b"a"), partition.deadline(b"a"), ledger.expired_lazy) == (b"w", None, 1)
    ledger.keeps_expired = False
    assert (partition.read(b"b"), ledger.expired_lazy, sorted(partition.values)) == (None, 2, [b"a"])


def test_a_rewritten_effect_stands_for_the_command() -> None:
    """A handler that says what its effect is has no other one; the next command begins anew."""
    partition = _partition()
    partition.put(b"k", b"v")
    partition.rewrite([b"SET", b"k", b"v"])
    assert partition.take_effects([b"GETSET", b"k", b"v"]) == [[b"SET", b"k", b"v"]]
    partition.put(b"k", b"w")
    assert partition.take_effects([b"SET", b"k", b"w"]) == [[b"SET", b"k", b"w"]]


def test_replies_wait_for_what_was_sent_until_the_copies_have_it() -> None:
    """And nobody asks the log again after that, until more is sent; a new log is asked once."""
    store, log = Store(), Recorder()
    store.mark(0, serving=True, log=log)
    partition = store.keyspace(0).partitions[0]
    assert partition.awaits() is None
    partition.put(b"k", b"v")
    log.clean = False
    assert partition.awaits() is None, "nothing was sent yet"
    partition.ship([b"SET", b"k", b"v"])
    assert (log.effects, partition.changed, partition.awaits()) == ([[b"SET", b"k", b"v"]], False, log)
    log.clean = True
    assert partition.awaits() is None
    assert not partition.unsafe

    other = Recorder()
    other.clean = False
    store.mark(0, serving=True, log=other)
    assert partition.awaits() is other


def test_changes_that_nobody_has_a_copy_of_are_forgotten() -> None:
    """As on a node of its own."""
    partition = _partition()
    assert isinstance(partition.log, Recorder)
    partition.log.streams.clear()
    partition.put(b"k", b"v")
    partition.ship([b"SET", b"k", b"v"])
    assert (partition.log.effects, partition.changed, partition.unsafe) == ([], False, False)


def test_without_copies_nothing_is_left_for_the_first_command_that_has_them() -> None:
    """What was rewritten for nobody does not hide a later effect."""
    partition = _partition()
    recorder, partition.log = partition.log, None
    partition.put(b"k", b"v")
    partition.rewrite([b"SET", b"k", b"v"])
    partition.delete(b"k")
    partition.delete(b"k")
    partition.changed = False
    partition.log = recorder
    partition.put(b"k", b"w")
    assert partition.take_effects([b"SET", b"k", b"w"]) == [[b"SET", b"k", b"w"]]


@given(keys=st.lists(st.binary(max_size=3), unique=True, max_size=5))
def test_flush_is_one_effect_however_many_keys_there_are(keys: list[bytes]) -> None:
    """Copies are told nothing of a partition that was empty already."""
    partition = _partition()
    for key in keys:
        partition.put(key, b"v")
    partition.take_effects(None)
    partition.flush()
    assert not partition.values
    assert partition.take_effects(None) == ([[b"FLUSHDB"]] if keys else [])
