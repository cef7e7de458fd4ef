"""Waits, pushes, hand-overs and departures in any order: every element is somewhere exactly once."""

from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import partition_of
from respcache.pending import Pending
from unit.neighbours import NAMES
from unit.town import A, B, C, Town

EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("wait"), st.sampled_from(NAMES), st.sampled_from([A, B, b"%b %b" % (A, B), b"%b %b" % (C, A)])
        ),
        st.tuples(
            st.just("move"),
            st.sampled_from(NAMES),
            st.sampled_from([b"%b %b" % (A, B), b"%b %b" % (B, C), b"%b %b" % (A, A)]),
        ),
        st.tuples(st.just("push"), st.sampled_from(NAMES), st.sampled_from([A, B, C])),
        st.tuples(st.just("hand"), st.sampled_from(NAMES), st.sampled_from([A, B, C])),
        st.tuples(st.just("leave"), st.integers(0, 20)),
        st.tuples(st.just("deliver"), st.integers(1, 4)),
    ),
    max_size=40,
)


class Day(Town):
    """What happens in a town, in any order, with everything on its way as long as one likes."""

    def __init__(self) -> None:
        super().__init__()
        self.pushed = 0
        self.waits: list[Pending] = []
        self.gone: Final[set[Pending]] = set()
        """Of those, whose clients have left before the answer: what it had taken was given back."""

    def happen(self, event: tuple[object, ...]) -> None:
        """Let one thing happen."""
        match event:
            case ("wait", str(name), bytes(keys)):
                self._begin(name, b"BLPOP %b 0" % keys)
            case ("move", str(name), bytes(keys)):
                self._begin(name, b"BLMOVE %b LEFT LEFT 0" % keys)
            case ("push", str(name), bytes(key)):
                self.pushed += 1
                self.nodes[name].batch(self.client(name), [b"RPUSH", key, b"%d" % self.pushed])
            case ("hand", str(name), bytes(key)) if not any(question.order.row.writes for question in self.questions):
                self.settle()
                self.hand_over(key, name)
            case ("leave", int(number)) if number < len(self.waits) and self.waits[number].wire is None:
                self.gone.add(self.waits[number])
                self.waits[number].abandon()
            case ("deliver", int(count)):
                for _ in range(min(count, len(self.questions))):
                    self.deliver(self.questions.popleft())
                self.end_turn()

    def _begin(self, name: str, line: bytes) -> None:
        [reply] = self.nodes[name].batch(self.client(name), line.split())
        wait = Pending()
        wait.follow(reply)
        self.waits.append(reply if isinstance(reply, Pending) else wait)

    def hand_over(self, key: bytes, owner: str) -> None:
        """Move a partition with what is in it."""
        number = partition_of(key)
        before = self.nodes["a"].table.primary[number]
        partition = self.nodes[before].store.keyspace(0).partitions[number]
        values = dict(partition.values)
        partition.clear()
        self.nodes[owner].store.keyspace(0).partitions[number].values.update(values)
        self.move(key, owner)

    def end(self) -> None:
        """Let everything come to rest."""
        for _ in range(5):
            self.settle()
            for node in self.nodes.values():
                node.router.sweep()

    def elements(self, key: bytes) -> list[bytes]:
        """List what is in a list."""
        owner = self.nodes["a"].table.primary[partition_of(key)]
        wire = self.ask(self.client(owner), b"LRANGE", key, b"0", b"-1", node=owner)
        return wire.split(b"\r\n")[2:-1:2]


@settings(deadline=None, max_examples=60)
@given(events=EVENTS)
@example(events=[("wait", "a", A), ("push", "a", A), ("wait", "a", A), ("leave", 0)])
def test_every_element_is_somewhere_exactly_once(events: list[tuple[object, ...]]) -> None:
    """Whoever waits, goes or moves meanwhile: an element is in a list, or one client has it."""
    day = Day()
    for event in events:
        day.happen(event)
    day.end()
    left = [element for key in (A, B, C) for element in day.elements(key)]
    served = [wait.wire for wait in day.waits if wait not in day.gone and wait.wire and wait.wire.startswith(b"*")]
    given_ = [wire.split(b"\r\n")[-2] for wire in served]
    assert sorted(map(int, left + given_)) == list(range(1, day.pushed + 1))
