"""Locks: what a node serves is what ownership lets it, less what is locked."""

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respcache.routing.locking import SCRIPT, Locks, node_of
from respcache.store.keyspace import Store
from respcache.store.partition import Log
from unit.alone import NotedLog

NUMBERS = (3, 4, 5, 6)
LOGS = (NotedLog(), NotedLog())
SOME = st.lists(st.sampled_from(NUMBERS), min_size=1, unique=True)
TRANSACTIONS = st.sampled_from((b"a:1", b"a:2", b"a:1:7", b"b:1"))


class LockMachine(RuleBasedStateMachine):
    """Any sequence of calls, beside a model of two plain collections."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.locks = Locks(self.store, run=b"n:1")
        self.open: dict[int, object] = {}
        self.frozen: set[int] = set()
        self.held: dict[int, bytes] = {}
        self.leased = True
        self.seized = False
        self.intact = True
        self.scarce: frozenset[int] = frozenset()
        self.congested: frozenset[int] = frozenset()
        for number in NUMBERS:
            self.locks.close(number)

    @rule(number=st.sampled_from(NUMBERS), log=st.sampled_from(LOGS))
    def opens(self, number: int, log: Log) -> None:
        """Ownership lets the node serve a partition; a lock on it stays if it has been this node's all the time."""
        self.locks.open(number, log)
        if self.open.get(number) is not log:
            self.voids(number)
        self.open[number] = log
        self.frozen.discard(number)

    @rule(number=st.sampled_from(NUMBERS))
    def freezes(self, number: int) -> None:
        """The partition is about to move; a lock on it stays."""
        if number in self.open:
            self.locks.freeze(number)
            self.frozen.add(number)

    @rule(number=st.sampled_from(NUMBERS))
    def closes(self, number: int) -> None:
        """The partition has moved away, and its lock is void, with all others of the same transaction."""
        self.locks.close(number)
        self.open.pop(number, None)
        self.frozen.discard(number)
        self.voids(number)

    @rule(transaction=TRANSACTIONS, numbers=SOME)
    def locks_some(self, transaction: bytes, numbers: list[int]) -> None:
        """All or none."""
        free = self.leased and set(numbers) <= self.free
        assert self.locks.lock(transaction, numbers) is free
        if free:
            self.held.update(dict.fromkeys(numbers, transaction))

    @rule(numbers=SOME)
    def releases(self, numbers: list[int]) -> None:
        """What is not locked stays as it is."""
        self.locks.release(numbers)
        for number in numbers:
            self.held.pop(number, None)

    @rule(node=st.sampled_from(("a", "a:1", "b", "")))
    def loses(self, node: str) -> None:
        """A node is gone with its transactions, and no other node's."""
        note(f"{node} of {self.held}")
        self.locks.release_of(node)
        owned = {"a": (b"a:1", b"a:2"), "a:1": (b"a:1:7",), "b": (b"b:1",)}.get(node, ())
        self.held = {number: holder for number, holder in self.held.items() if holder not in owned}

    @rule()
    def seizes(self) -> None:
        """A script is to be alone: it has what is free, and nobody gets anything else."""
        if not self.seized:
            self.locks.seize()
            self.held.update(dict.fromkeys(self.free, SCRIPT))
            self.seized = self.intact = True

    @rule()
    def unseizes(self) -> None:
        """The script has ended."""
        if self.seized:
            self.locks.unseize()
            self.held = {number: holder for number, holder in self.held.items() if holder != SCRIPT}
            self.seized = False

    @rule()
    def lapses(self) -> None:
        """The lease ends: locks stay, but nothing is served."""
        self.locks.suspend()
        self.leased = False

    @rule()
    def is_granted(self) -> None:
        """There is a lease again."""
        self.locks.resume()
        self.leased = True

    @rule(numbers=st.frozensets(st.sampled_from(NUMBERS)))
    def rations(self, numbers: frozenset[int]) -> None:
        """Too few copies of some partitions are in sync: they can be read."""
        self.locks.ration(numbers)
        self.scarce = numbers

    @rule(numbers=st.frozensets(st.sampled_from(NUMBERS)))
    def congests(self, numbers: frozenset[int]) -> None:
        """Copies of some partitions do not keep up: they can be read."""
        self.locks.congest(numbers)
        self.congested = numbers

    def voids(self, number: int) -> None:
        """Unlock all that the holder of a partition has locked."""
        holder = self.held.get(number)
        self.intact = self.intact and holder != SCRIPT
        self.held = {other: name for other, name in self.held.items() if name != holder}

    @property
    def free(self) -> set[int]:
        """The partitions that are neither locked nor about to move."""
        return set() if self.seized else self.open.keys() - self.held.keys() - self.frozen

    @invariant()
    def serves_what_is_open_and_free(self) -> None:
        """In every database."""
        for database in (0, 7):
            partitions = self.store.keyspace(database).partitions
            served = self.free - self.scarce - self.congested if self.leased else set()
            assert {number for number in NUMBERS if partitions[number].serving} == served
        for number in NUMBERS:
            assert self.locks.scarce([number]) is (number in self.scarce)
            assert self.locks.congested([number]) is (number in self.congested)
            assert self.locks.readable([number]) is (self.leased and number in self.free)
            assert (number in self.locks.held) is (number in self.held)

    @invariant()
    def knows_the_holders(self) -> None:
        """A transaction holds what the model says, and an empty wish is always granted."""
        for transaction in (b"a:1", b"a:2", b"a:1:7", b"b:1"):
            for number in NUMBERS:
                assert self.locks.holds(transaction, [number]) is (self.held.get(number) == transaction)
                partition = self.store.keyspace(0).partitions[number]
                if number in self.held:
                    assert partition.log is self.open[number], "a commit has nowhere to tell its effects"
        assert self.locks.holds(b"a:1", [])

    @invariant()
    def knows_what_a_script_has(self) -> None:
        """It may go on with what it can write, and is told if it has lost anything."""
        for number in NUMBERS:
            usable = self.leased and number not in self.scarce | self.congested
            assert self.locks.seized(number) is (usable and self.held.get(number) == SCRIPT)
        assert self.locks.intact is self.intact


TestLocks = LockMachine.TestCase
TestLocks.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize(("transaction", "node"), [(b"a:1", "a"), (b"127.0.0.1:6379:12", "127.0.0.1:6379")])
def test_a_transaction_names_its_node(transaction: bytes, node: str) -> None:
    """The name of the node may have colons itself."""
    assert node_of(transaction) == node
