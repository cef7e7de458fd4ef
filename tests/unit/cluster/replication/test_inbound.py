"""Effects go through as long as each is the next one of a copy that is fed from there."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.replication.inbound import Copy, Inbound, apply_next
from respcache.cluster.replication.items import Item, Place, items_of
from respcache.cluster.replication.wire import BEGIN

PARTITIONS = st.integers(0, 2)
"""There are copies of 0 and 1."""
ITEMS = st.lists(st.tuples(PARTITIONS, st.integers(2, 3), st.integers(10, 13), st.integers(BEGIN, 1)), max_size=12)


def fits(copies: dict[int, Copy], inbound: Inbound, item: Item) -> bool:
    """Tell whether an effect is the next one of its copy."""
    partition, epoch, sequence, database, _ = item
    copy = copies.get(partition)
    own = copy is not None and copy.source is inbound and copy.epoch == epoch
    return own and copies[partition].sequence + 1 == sequence and database >= 0


@given(drawn=ITEMS, start=st.integers(0, 12), is_source=st.booleans())
def test_all_go_through_up_to_the_first_that_does_not_fit(
    drawn: list[tuple[int, int, int, int]], start: int, *, is_source: bool
) -> None:
    """In order, each once, and the copies know how far they are; what does not fit changes nothing."""
    items: list[Item] = [(*fields, [b"%d" % place]) for place, fields in enumerate(drawn)]
    inbound, copies = Inbound(("a", 1)), {0: Copy(), 1: Copy()}
    for copy in copies.values():
        copy.epoch, copy.sequence, copy.source = 3, 10, inbound if is_source else None
    applied: list[tuple[int, int, list[bytes]]] = []
    sequences = {number: copy.sequence for number, copy in copies.items()}

    def apply(partition: int, database: int, argv: list[bytes]) -> None:
        applied.append((partition, database, argv))

    start = min(start, len(items))
    made, place = items_of(*items), Place()
    for _ in range(start):
        place.go_on(made)
    apply_next(made, place, copies, inbound, apply)
    end = place.word
    went = items[start:end]
    assert end >= start
    assert applied == [(partition, database, argv) for partition, _, _, database, argv in went]
    for partition, _, sequence, _, _ in went:
        assert sequence == sequences[partition] + 1
        sequences[partition] = sequence
    assert {number: copy.sequence for number, copy in copies.items()} == sequences
    assert end >= len(items) or not fits(copies, inbound, items[end])
