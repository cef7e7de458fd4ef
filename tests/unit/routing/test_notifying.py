"""Keyspace events are told once the writes that made them are safe, in order for each key, and at most once."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import partition_of
from respcache.cluster.replication.log import Gate
from respcache.commands.events import WRITTEN
from respcache.routing.holding import Held
from respcache.routing.notifying import Notifier
from respcache.store.events import DELETED
from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Log

KEYS = (b"a", b"b", b"c")


class SlowLog:
    """A partition's log with one other copy, which acks when the test says so."""

    streams: Sequence[object] = ("copy",)

    def __init__(self) -> None:
        self.written = self.acked = 0

    @property
    def clean(self) -> bool:
        """Whether the copy has everything."""
        return self.acked == self.written

    def append(self, database: int, argv: Argv) -> None:
        """Take an effect."""
        del database, argv
        self.written += 1


class Owner:
    """The primary of some keys, whose partitions have one other copy each, and what it tells."""

    def __init__(self, letters: str = "KA") -> None:
        self.store = Store()
        self.store.ledger.now_unix_ms = 1_000
        self.logs = {key: SlowLog() for key in KEYS}
        for key, log in self.logs.items():
            self.store.mark(partition_of(key), serving=True, log=log)
        self.told: list[tuple[bytes, bytes]] = []
        self.flushes = 0
        self._gates: list[tuple[Gate, SlowLog, int]] = []
        self._soon: list[Callable[[], None]] = []
        self.held = Held(self._gate_of, clock=lambda: 0.0, timeout_s=5.0)
        self.notifier = Notifier(
            self.store,
            self.held,
            publish=lambda channel, message: self.told.append((channel, message)),
            flush=self._flush,
            soon=self._soon.append,
        )
        self.notifier.choose(letters)

    def write(self, key: bytes, value: bytes) -> None:
        """Set a key, and say so, with the value for the name of the event: so that events can be told apart."""
        partition = self.store.keyspace(0).at(key)
        partition.put(key, value)
        partition.happened(type(WRITTEN)(WRITTEN.kind, value), key)
        partition.ship([b"SET", key, value])

    def turn(self) -> None:
        """End a turn of the event loop."""
        soon, self._soon[:] = list(self._soon), []
        for callback in soon:
            callback()

    def ack(self, key: bytes) -> None:
        """Hear of the copy that it has everything."""
        log = self.logs[key]
        log.acked = log.written
        opened = [entry for entry in self._gates if entry[1] is log and entry[2] <= log.acked]
        for entry in opened:
            self._gates.remove(entry)
            entry[0].committed = True
        self.held.resolved([gate for gate, _, _ in opened])

    def lose(self, key: bytes) -> None:
        """Hear that another node is the primary now, nobody knows of which writes."""
        lost = [entry for entry in self._gates if entry[1] is self.logs[key]]
        for entry in lost:
            self._gates.remove(entry)
            entry[0].committed = False
        self.store.mark(partition_of(key), serving=False, log=None)
        self.held.resolved([gate for gate, _, _ in lost])

    def _gate_of(self, logs: list[Log]) -> Gate | None:
        (log,) = logs
        assert isinstance(log, SlowLog)
        if log.clean:
            return None
        gate = Gate([], {})
        self._gates.append((gate, log, log.written))
        return gate

    def _flush(self) -> None:
        self.flushes += 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(KEYS)),
        st.tuples(st.just("ack"), st.sampled_from(KEYS)),
        st.tuples(st.just("turn"), st.just(b"")),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_no_event_is_told_before_the_copies_have_its_write(steps: list[tuple[str, bytes]]) -> None:
    """Whenever they ack: what is told of a key is a beginning of what was written, never longer than what is safe."""
    owner = Owner()
    written: dict[bytes, list[bytes]] = {key: [] for key in KEYS}
    for step, key in steps:
        match step:
            case "write":
                written[key].append(b"%d" % len(written[key]))
                owner.write(key, written[key][-1])
            case "ack":
                owner.ack(key)
            case _:
                owner.turn()
        for each in KEYS:
            told = [message for channel, message in owner.told if channel == b"__keyspace@0__:" + each]
            assert told == written[each][: len(told)]
            assert len(told) <= owner.logs[each].acked
    owner.turn()
    for key in KEYS:
        owner.ack(key)
        owner.turn()
    assert len(owner.told) == sum(map(len, written.values()))


def test_what_became_uncertain_is_not_told() -> None:
    """Nor what was written in the turn in which the partition got another owner."""
    owner = Owner()
    owner.write(b"a", b"1")
    owner.turn()
    owner.write(b"b", b"1")
    owner.lose(b"a")
    owner.lose(b"b")
    owner.turn()
    assert owner.told == []


def test_each_channel_is_told_of_if_it_was_chosen() -> None:
    """First by key, then by event; and a client hears of it before anything else is run."""
    for letters, expected in {
        "KEg": [(b"__keyspace@0__:a", b"del"), (b"__keyevent@0__:del", b"a")],
        "Eg": [(b"__keyevent@0__:del", b"a")],
        "K$": [],
    }.items():
        owner = Owner(letters)
        owner.store.keyspace(0).at(b"a").happened(DELETED, b"a")
        owner.turn()
        assert (owner.told, owner.flushes) == (expected, bool(expected))
