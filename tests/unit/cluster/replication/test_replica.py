"""Replicas apply what fits, once and in order, and say what does not."""

import gc

import pytest

from respcache.cluster.ownership.wire import DecodeError
from respcache.cluster.replication import tail
from respcache.cluster.replication.inbound import Copy, Inbound
from respcache.cluster.replication.items import Item, Items, items_of
from respcache.cluster.replication.parts import Parts
from respcache.cluster.replication.replica import UNKNOWN, Replica
from respcache.cluster.replication.wire import (
    ABSENT,
    BEGIN,
    END,
    LAST,
    MARK,
    PIECE,
    USES,
    Ack,
    Frame,
    Part,
    decode_items,
    encode_frame,
)
from respcache.cluster.wire import decode
from simulation.ownership.store import ModelStore

LIFE = ("a", 1)


class Node:
    """A node with a whole copy of partition 7, at sequence 10 of epoch 3, of which `a` is the primary."""

    def __init__(self, store: ModelStore | None = None) -> None:
        self.store = store or ModelStore()
        self.replica = Replica(self.store)
        self.copy: Copy = self.replica.follow(7, 3, LIFE)
        self.copy.whole, self.copy.sequence, self.copy.floor = True, 10, 10
        self.inbound: Inbound = self.replica.inbound(LIFE)

    def receive(self, number: int, *items: Item, inbound: Inbound | None = None) -> None:
        """Take a frame in."""
        made = items_of(*items)
        frame, encoded = Frame(number, (1, 1), made.numbers, made.words), encode_frame(number, (1, 1), made)
        self.replica.receive(inbound or self.inbound, frame, encoded)

    def tails(self, wanted: dict[int, int]) -> dict[int, list[Item]]:
        """Return what is kept of effects after some."""
        return self.replica.tail.after(self.replica.copies, wanted)

    def acks(self) -> list[tuple[str, Ack]]:
        """Return the acks of this tick."""
        return list(self.replica.acks())

    def value(self) -> bytes | None:
        """Return the value of the key."""
        return self.store.dump(7, 0, b"key")


@pytest.fixture
def node() -> Node:
    """Return a node."""
    return Node()


def effect(sequence: int, *, epoch: int = 3, partition: int = 7) -> Item:
    """Return an effect that appends its own number."""
    return (partition, epoch, sequence, 0, [b"APPEND", b"key", b"%d;" % sequence])


def test_effects_in_order_are_applied_and_acked_once_per_tick(node: Node) -> None:
    """Acks are cumulative."""
    node.receive(1, effect(11), effect(12))
    node.receive(4, effect(13))
    assert node.value() == b"11;12;13;"
    assert node.acks() == [("a", Ack(1, 4))]
    assert node.acks() == []


def test_frames_that_come_twice_are_applied_once(node: Node) -> None:
    """After a broken link the primary may send again; it is acked again."""
    node.receive(1, effect(11))
    node.acks()
    node.receive(1, effect(11))
    node.receive(2, effect(11), effect(12))
    assert node.value() == b"11;12;"
    assert node.acks() == [("a", Ack(1, 2))]


@pytest.mark.parametrize(
    "item", [effect(11, epoch=2), effect(11, epoch=4), effect(12), effect(11, partition=8)], ids=str
)
def test_what_does_not_fit_is_refused_by_name(node: Node, item: Item) -> None:
    """Another epoch, a gap, a partition not held here; told once on each link, until the copy is made afresh."""
    node.receive(1, item)
    assert node.value() is None
    refusal = Ack(1, 1, ((item[0], item[1]),))
    assert node.acks() == [("a", refusal)]
    node.receive(2)
    assert node.acks() == [("a", Ack(1, 2))]
    node.replica.applied("a")
    assert node.acks() == [("a", Ack(1, 2, refusal.refused))]


def test_a_copy_that_is_made_afresh_is_named_no_more(node: Node) -> None:
    """The primary hears of that, too."""
    node.receive(1, effect(12))
    assert node.acks() == [("a", Ack(1, 1, ((7, 3),)))]
    node.receive(2, (7, 3, 20, BEGIN, []))
    assert node.acks() == [("a", Ack(1, 2, ()))]
    node.receive(3, (7, 3, 20, END, []))
    assert node.acks() == [("a", Ack(1, 3))]


def test_effects_of_a_node_that_is_not_the_primary_are_refused(node: Node) -> None:
    """The epoch alone would not tell two sides of a split apart."""
    node.receive(1, effect(11), inbound=node.replica.inbound(("b", 1)))
    assert node.value() is None


def test_a_copy_in_the_making_is_not_whole_before_the_end(node: Node) -> None:
    """BEGIN forgets what was there; only END makes it count."""
    node.store.restore(7, 0, b"key", b"old")
    node.receive(1, (7, 3, 20, BEGIN, []))
    assert (node.value(), node.replica.position(7, 3)) == (None, UNKNOWN)
    node.receive(2, effect(21))
    assert node.replica.position(7, 3) == UNKNOWN
    node.receive(3, (7, 3, 21, END, []))
    assert node.replica.position(7, 3) == 21
    assert node.replica.position(7, 4) == UNKNOWN


def test_an_end_without_a_beginning_makes_nothing_whole(node: Node) -> None:
    """A copy that lost its way stays out."""
    node.copy.void()
    node.receive(1, (7, 3, 20, END, []))
    assert node.replica.position(7, 3) == UNKNOWN


@pytest.mark.parametrize(
    ("numbers", "words"), [([7, 3, 11, 0, 1], []), ([7, 3, 11, 0, 1, 2], [b"DEL"]), ([9_999, 3, 11, 0, 1, 0], [])]
)
def test_what_is_no_list_of_effects_is_refused_before_anything_is_done(
    node: Node, numbers: list[int], words: list[bytes]
) -> None:
    """The link that it came over is cut."""
    with pytest.raises(DecodeError):
        node.replica.check(node.inbound, Frame(1, (1, 1), numbers, words))


def test_effects_that_were_applied_before_do_not_hold_up_those_behind_them(node: Node) -> None:
    """In one run; and one that comes too early costs the copy."""
    node.receive(1, effect(10), effect(11), effect(12))
    assert node.replica.position(7, 3) == 12
    node.receive(2, effect(14), effect(15))
    assert node.replica.position(7, 3) == UNKNOWN


def test_a_mark_changes_nothing(node: Node) -> None:
    """It is there to be acked."""
    node.receive(1, (7, 3, 10, MARK, []))
    assert node.replica.position(7, 3) == 10
    assert node.acks() == [("a", Ack(1, 1))]


def test_the_tail_is_what_was_received_since(node: Node) -> None:
    """Whoever is within it can be sent what is missing; whoever is not gets no partial answer."""
    node.receive(1, effect(11), effect(12), effect(13))
    assert node.tails({7: 11}) == {7: [effect(12), effect(13)]}
    assert node.tails({7: 10}) == {7: [effect(11), effect(12), effect(13)]}
    assert node.tails({7: 9}) == {}


def test_of_the_tail_no_more_is_read_than_what_is_missing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are megabytes of it, and all copies of all partitions ask at once when a node has died."""
    read: list[bytes] = []

    def counted(frame: bytes) -> Items:
        read.append(frame)
        return decode_items(frame)

    monkeypatch.setattr(tail, "decode_items", counted)
    for number in range(1, 11):
        node.receive(number, effect(10 + number))
    assert node.tails({7: 18}) == {7: [effect(19), effect(20)]}
    assert len(read) == 2
    assert node.tails({}) == {}
    assert len(read) == 2


def test_the_tail_costs_the_garbage_collector_nothing(node: Node) -> None:
    """However many effects are kept, there are no more objects to go through than before."""
    node.receive(1, effect(11))
    gc.collect()
    objects = len(gc.get_objects())
    for number in range(2, 102):
        node.receive(number, *(effect(10 * number + place) for place in range(-8, 2)))
    gc.collect()
    assert node.copy.sequence == 1_011
    assert len(gc.get_objects()) < objects + 100


def test_what_was_refused_is_no_part_of_the_tail() -> None:
    """A deposed primary sends again what nobody acked: a copy that lacks its successor's effects must not get those."""
    heir, late = Node(), Node()
    for each in (heir, late):
        each.replica.follow(7, 4, ("b", 1))
    written = [(7, 4, sequence, 0, [b"APPEND", b"key", b"b%d;" % sequence]) for sequence in (11, 12)]
    heir.receive(1, *written, inbound=heir.replica.inbound(("b", 1)))
    heir.receive(2, effect(11), effect(12))
    assert heir.value() == b"b11;b12;"
    assert heir.tails({7: 10}) == {7: written}


def test_steps_of_a_copy_in_parts_are_kept_as_they_came(node: Node) -> None:
    """Only what did not fit is taken out."""
    inbound = node.replica.inbound(("b", 1))
    written = (9, 4, 1, 0, [b"SET", b"other", b"v"])
    other = node.replica.follow(9, 4, ("b", 1))
    other.whole, other.sequence, other.floor = True, 0, 0
    parts = Parts(1, (1, 1), items_of(written, (7, 2, 11, 0, [b"APPEND", b"key", b"x"])), 100, 60)
    while not parts.ended:
        encoded = parts.next()
        message = decode(encoded)
        if isinstance(message, Part):
            node.replica.gather(inbound, message, encoded)
        else:
            assert isinstance(message, Frame)
            node.replica.receive(inbound, message, encoded)
    assert node.value() is None
    assert node.tails({9: 0}) == {9: [written]}


class Failing(ModelStore):
    """A store with a defect: it can neither append twelve nor restore a key of that name."""

    def apply(self, partition: int, database: int, argv: list[bytes]) -> None:
        """Apply an effect, or fail."""
        if argv[-1] == b"12;":
            raise MemoryError
        super().apply(partition, database, argv)

    def restore(self, partition: int, database: int, key: bytes, blob: bytes | None) -> None:
        """Put an entry in place, or fail."""
        if key == b"12;":
            raise ZeroDivisionError
        super().restore(partition, database, key, blob)


def test_what_fails_is_not_acked_as_if_it_were_there() -> None:
    """The copy is given up, by name; effects on others that stand behind it are applied."""
    node = Node(Failing())
    other = node.replica.follow(8, 3, LIFE)
    other.whole, other.sequence = True, 10
    with pytest.raises(MemoryError):
        node.receive(1, effect(11), effect(12), effect(13), effect(11, partition=8))
    assert node.value() == b"11;"
    assert node.acks() == [("a", Ack(1, 1, ((7, 3),)))]
    assert node.replica.position(7, 3) == UNKNOWN
    assert node.replica.position(8, 3) == 11
    assert node.tails({8: 10}) == {8: [effect(11, partition=8)]}
    node.receive(2, effect(14))
    assert node.acks() == [("a", Ack(1, 2))]


def test_a_step_that_fails_ends_the_copy() -> None:
    """It is to be begun again."""
    node = Node(Failing())
    with pytest.raises(ZeroDivisionError):
        node.receive(1, (7, 3, 20, BEGIN, []), (7, 3, 20, ABSENT, [b"0", b"12;"]), (7, 3, 20, END, []))
    assert node.acks() == [("a", Ack(1, 1, ((7, 3),)))]
    assert node.replica.position(7, 3) == UNKNOWN


@pytest.mark.parametrize("sequence", [1, 11])
def test_what_is_no_copy_acks_nothing_as_its_own(node: Node, sequence: int) -> None:
    """A new life of a learner has nothing, whatever its primary believes: it says so, once."""
    node.copy.void()
    node.receive(1, effect(sequence))
    assert node.value() is None
    assert node.acks() == [("a", Ack(1, 1, ((7, 3),)))]
    node.receive(2, effect(sequence + 1))
    assert node.acks() == [("a", Ack(1, 2))]


def test_a_tail_never_crosses_the_beginning_of_a_copy(node: Node) -> None:
    """Effects from before it may belong to a history that was given up."""
    node.receive(1, effect(11), effect(12))
    node.receive(2, (7, 3, 11, BEGIN, []), (7, 3, 11, END, []), effect(12))
    assert node.tails({7: 10}) == {}
    assert node.tails({7: 11}) == {7: [effect(12)]}


def test_a_new_life_of_the_primary_starts_a_new_stream(node: Node) -> None:
    """Its frames count from one again."""
    node.receive(5, effect(11))
    assert node.replica.applied("a") == (1, 5)
    node.replica.follow(7, 4, ("a", 2))
    node.receive(1, effect(12, epoch=4), inbound=node.replica.inbound(("a", 2)))
    assert node.value() == b"11;12;"
    assert node.acks() == [("a", Ack(2, 1))]
    assert node.replica.applied("nobody") == (0, 0)


def test_orphans_are_counted_when_they_are_copied_over(node: Node) -> None:
    """What a cut-off primary had written and nobody else has is told, not just lost."""
    node.receive(1, effect(11))
    node.copy.orphaned = True
    node.receive(2, (7, 3, 20, BEGIN, []))
    assert node.replica.orphans == [(7, 1)]


def piece(number: int, content: bytes, *, kind: int = PIECE, key: bytes = b"key") -> Item:
    """Return a part of a value."""
    return (7, 3, 10, kind, [b"0", key, b"%d" % number, content])


def begin() -> Item:
    """Return the beginning of a copy."""
    return (7, 3, 10, BEGIN, [])


def test_a_large_value_is_there_with_its_last_piece(node: Node) -> None:
    """Not before, and what effects made of its key meanwhile is gone."""
    node.receive(1, begin(), piece(0, b"la"))
    assert node.value() is None
    node.receive(2, effect(11), piece(1, b"rg"))
    assert node.value() == b"11;"
    node.receive(3, piece(2, b"e", kind=LAST), (7, 3, 11, END, []))
    assert node.value() == b"large"
    assert node.copy.whole


def test_a_first_piece_begins_anew(node: Node) -> None:
    """The pieces before it were void."""
    node.receive(1, begin(), piece(0, b"old"), piece(0, b"la"), piece(1, b"rge", kind=LAST))
    assert node.value() == b"large"


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(1, b"rge", kind=LAST)],
        [piece(0, b"la"), piece(2, b"e", kind=LAST)],
        [piece(0, b"la"), piece(1, b"rge", kind=LAST, key=b"other")],
        [piece(0, b"la"), begin(), piece(1, b"rge", kind=LAST)],
        [piece(0, b"large", kind=LAST), piece(1, b"r", kind=LAST)],
    ],
    ids=["no first", "a gap", "another key", "a new copy", "one too many"],
)
def test_a_piece_that_is_not_the_next_one_is_refused(node: Node, pieces: list[Item]) -> None:
    """The copy is made afresh; nothing of the value is left."""
    node.receive(1, begin(), *pieces)
    assert not node.copy.learning
    assert node.copy.arriving is None
    assert node.acks() == [("a", Ack(1, 1, ((7, 3),)))]
    node.receive(2, begin(), (7, 3, 10, END, []))
    assert node.copy.whole
    assert node.value() is None
    assert node.acks() == [("a", Ack(1, 2, ()))]


def test_uses_are_taken_while_a_copy_is_made(node: Node) -> None:
    """As the primary has them; words that are left over are left out. A whole copy knows better."""
    use: Item = (7, 3, 10, USES, [b"0", b"key", b"once", b"0", b"key"])
    node.receive(1, use)
    assert node.store.uses == {}
    node.receive(2, begin(), use, (7, 3, 10, END, []))
    assert node.store.uses == {(7, 0, b"key"): b"once"}
    assert node.acks() == [("a", Ack(1, 2))]


def test_a_copy_that_ends_keeps_no_half_of_a_value(node: Node) -> None:
    """Memory is not held for what will not come."""
    node.receive(1, begin(), piece(0, b"la"), (7, 3, 10, END, []))
    assert node.copy.arriving is None
    assert node.value() is None
