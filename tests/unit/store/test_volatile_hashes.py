"""Hashes some of whose fields have deadlines."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respcache.store.hashes import Hash
from respcache.store.snapshot import dump, load
from respcache.store.volatile_hashes import VolatileHash, volatile

FIELDS = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f"])
VALUES = st.binary(max_size=2)
SOON_MS = st.integers(min_value=1, max_value=60)


class Model(RuleBasedStateMachine):
    """A hash beside a plain dict of (value, deadline), from which what is over is deleted at once."""

    def __init__(self) -> None:
        super().__init__()
        self.hash = VolatileHash()
        self.model: dict[bytes, tuple[bytes, int | None]] = {}
        self.now_unix_ms = 0

    @rule(field=FIELDS, value=VALUES)
    def set(self, field: bytes, value: bytes) -> None:
        """A new value has no deadline."""
        assert self.hash.set(field, value) == (field not in self.model)
        self.model[field] = (value, None)

    @rule(field=FIELDS, value=VALUES)
    def keep(self, field: bytes, value: bytes) -> None:
        """Unless the old one is kept."""
        _, deadline = self.model.get(field, (b"", None))
        assert self.hash.keep(field, value) == (field not in self.model)
        self.model[field] = (value, deadline)

    @rule(field=FIELDS, in_ms=SOON_MS)
    def expire(self, field: bytes, in_ms: int) -> None:
        """A field that is there gets a deadline."""
        if field in self.model:
            self.hash.expire(field, self.now_unix_ms + in_ms)
            self.model[field] = (self.model[field][0], self.now_unix_ms + in_ms)

    @rule(field=FIELDS)
    def persist(self, field: bytes) -> None:
        """And loses it."""
        value, deadline = self.model.get(field, (b"", None))
        assert self.hash.persist(field) == (deadline is not None)
        if deadline is not None:
            self.model[field] = (value, None)

    @rule(field=FIELDS)
    def remove(self, field: bytes) -> None:
        """Gone, whether or not it had one."""
        assert self.hash.remove(field) == (self.model.pop(field, None) is not None)

    @rule(by_ms=SOON_MS)
    def advance(self, by_ms: int) -> None:
        """Time passes."""
        self.now_unix_ms += by_ms
        over = [field for field, (_, at) in self.model.items() if at is not None and at <= self.now_unix_ms]
        assert self.hash.advance(self.now_unix_ms) == len(over)
        for field in over:
            del self.model[field]

    @rule(count=st.integers(min_value=0, max_value=3))
    def take_out(self, count: int) -> None:
        """What is over takes its place for some more time, which nobody notices."""
        overdue = self.hash.overdue
        assert self.hash.take_out(count) == min(count, overdue)

    @rule(whole=st.booleans())
    def travel(self, whole: bool) -> None:  # noqa: FBT001 # drawn
        """A copy, and one that was written and read, are as good."""
        other = load(dump(self.hash)) if whole and self.model else self.hash.copy()
        assert isinstance(other, VolatileHash)
        assert dump(other) == dump(self.hash)
        self.hash = other

    @invariant()
    def alike(self) -> None:
        """All that is asked of it is answered as by the model."""
        found, model = self.hash, self.model
        assert len(found) == len(model)
        assert dict(found.items()) == {field: value for field, (value, _) in model.items()}
        assert sorted(found.fields()) == sorted(model)
        assert dict(zip(found.fields(), found.contents(), strict=True)) == dict(found.items())
        names = found.table.names
        assert [names[at] for at in found.in_view(range(len(names)))] == found.fields()
        for field in (b"a", b"b", b"c", b"d", b"e", b"f"):
            value, deadline = model.get(field, (None, None))
            assert found.get(field) == value
            if value is not None:
                assert found.deadline(field) == deadline
        timed = [deadline for _, deadline in model.values() if deadline is not None]
        due = found.due_unix_ms()
        assert due == min(timed, default=None) if not found.overdue else due is not None and due <= self.now_unix_ms
        latest = max(timed, default=self.now_unix_ms)
        assert found.over_by(latest) == (len(timed) == len(model))


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_plain_hash_becomes_one_with_its_fields() -> None:
    """In the same order; as in Valkey it is a table from then on."""
    plain = Hash()
    plain.set(b"b", b"1")
    plain.set(b"a", b"2")
    made = volatile(plain)
    assert list(made.items()) == [(b"b", b"1"), (b"a", b"2")]
    assert made.encoding() == b"hashtable"


def test_deadlines_beyond_what_a_float_tells_apart_are_exact() -> None:
    """The latest of all, and the one before."""
    found = VolatileHash()
    for place in range(2):
        found.set(b"%d" % place, b"")
        found.expire(b"%d" % place, 2**63 - 1 - place)
    again = load(dump(found))
    assert isinstance(again, VolatileHash)
    assert [again.deadline(b"0"), again.deadline(b"1")] == [2**63 - 1, 2**63 - 2]


def test_its_memory_counts_and_is_freed_in_parts() -> None:
    """Deadlines take some, and `waste` leaves what it was not asked to free."""
    found = VolatileHash()
    for number in range(100):
        found.set(b"%d" % number, b"x")
    before = found.size_bytes(0)
    for number in range(100):
        found.expire(b"%d" % number, 1_000 + number)
    assert found.size_bytes(0) > before + 100 * 48
    freed = [found.waste(30)]
    while freed[-1] == 30:
        freed.append(found.waste(30))
    assert sum(freed) == 300  # fields, their positions, and their deadlines
    assert not len(found)
