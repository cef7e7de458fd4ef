"""Names by position, positions by name, and walks."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respcache.store.spread import SHARDS, SPLIT
from respcache.store.table import Table

NAMES = st.sampled_from([bytes([letter]) for letter in b"abcdefghij"])


class TableAgainstADict(RuleBasedStateMachine):
    """A table does what a dict does, and keeps its positions right."""

    def __init__(self) -> None:
        super().__init__()
        self.table: Table[int] = Table()
        self.model: dict[bytes, int] = {}

    @rule(name=NAMES, value=st.integers())
    def set(self, name: bytes, value: int) -> None:
        """Setting tells whether the name is new."""
        assert self.table.set(name, value) == (name not in self.model)
        self.model[name] = value

    @rule(name=NAMES)
    def remove(self, name: bytes) -> None:
        """Removing tells whether there was one."""
        assert self.table.remove(name) == (self.model.pop(name, None) is not None)

    @rule()
    def grow(self) -> None:
        """Large tables do not keep the order."""
        self.table.compact = False

    @invariant()
    def agrees(self) -> None:
        """Names, values and positions are those of the model, in its order while compact."""
        table = self.table
        assert dict(table.items()) == self.model
        assert len(table) == len(self.model)
        assert [table.where(name)[name] for name in table.names] == list(range(len(table)))
        if table.compact:
            assert list(table.items()) == list(self.model.items())


TestTableAgainstADict = TableAgainstADict.TestCase


@given(
    size=st.integers(min_value=0, max_value=60),
    count=st.integers(min_value=1, max_value=7),
    changes=st.lists(st.tuples(st.booleans(), st.integers(min_value=0, max_value=80)), max_size=60),
)
def test_a_walk_meets_everything_that_stays(size: int, count: int, changes: list[tuple[bool, int]]) -> None:
    """Names come and go between the steps; those there all the time are met, and the walk ends."""
    table: Table[None] = Table()
    table.compact = False
    for number in range(size):
        table.set(b"%d" % number, None)
    stayed, met, cursor, steps = set(table.names), set[bytes](), 0, 0
    pending = iter(changes)
    while True:
        cursor, positions = table.walk(cursor, count)
        met.update(table.names[position] for position in positions)
        steps += 1
        if not cursor:
            break
        comes, number = next(pending, (False, -1))
        name = b"%d" % number
        if comes:
            table.set(name, None)
        elif table.remove(name):
            stayed.discard(name)
    assert stayed <= met
    assert steps <= size // count + 1


def test_a_compact_table_is_walked_in_one_step() -> None:
    """As Redis does with its listpacks, whatever cursor and count say."""
    table: Table[None] = Table()
    for name in (b"b", b"a"):
        table.set(name, None)
    assert table.walk(7, 1) == (0, range(2))


def test_positions_of_many_names_are_in_many_dicts() -> None:
    """Each of them a small one, so that none takes long to grow; the table does what it did before."""
    rng = Random(5)
    table: Table[int] = Table()
    table.compact = False
    for number in range(2 * SPLIT):
        table.set(b"%d" % number, number)
    model = {b"%d" % number: number for number in range(2 * SPLIT)}
    for _ in range(SPLIT):
        name = b"%d" % rng.randrange(3 * SPLIT)
        if rng.random() < 0.5:
            assert table.remove(name) == (model.pop(name, None) is not None)
        else:
            assert table.set(name, 7) == (name not in model)
            model[name] = 7
    assert dict(table.items()) == model
    assert dict(table.copy().items()) == model
    assert all(table.get(name) == value and name in table for name, value in model.items())
    assert table._shards is not None
    assert max(map(len, table._shards)) < 2 * len(model) / SHARDS

    size = len(table)
    freed: list[int] = []
    while not freed or freed[-1] == 1_000:
        left = sum(map(len, table._shards)) + len(table)
        freed.append(table.waste(1_000))
        assert sum(map(len, table._shards)) + len(table) == left - freed[-1]
    assert sum(freed) == 2 * size  # their positions, too


def test_a_copy_shares_nothing() -> None:
    """Changes of one are not seen by the other."""
    table: Table[int] = Table()
    table.set(b"a", 1)
    other = table.copy()
    other.set(b"a", 2)
    other.set(b"b", 3)
    assert list(table.items()) == [(b"a", 1)]
