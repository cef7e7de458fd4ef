"""The record and all messages survive the wire; bytes that are no message change nothing."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.changes import Admit, Bury, Demote, Drop, InSync, Learn, Move, Retire, Surrender
from respcache.cluster.ownership.record import NOTHING, Node, Record, found
from respcache.cluster.ownership.ring import place
from respcache.cluster.ownership.slots import PARTITIONS
from respcache.cluster.ownership.wire import (
    Accept,
    Accepted,
    Chosen,
    Decided,
    DecodeError,
    Doubted,
    Fence,
    Fenced,
    Fetch,
    Granted,
    Lacking,
    Prepare,
    Promised,
    Propose,
    Refused,
    Renew,
    Update,
    difference,
    patched,
    version_of,
)
from respcache.cluster.replication.wire import Ack, Frame, Inquiry, Part, Positions
from respcache.cluster.wire import Hello, Message, decode, encode


def placed(*names: str, version: tuple[int, int] = (1, 2)) -> Record:
    """Return a record in which every partition is where it should be."""
    record = found("cluster", Node(names[0], 1), 2).with_nodes(Node(name, 1, 1.0, "zone") for name in names)
    learned = Learn(tuple((p, name) for p, row in enumerate(place(record.ring(), 2)) for name in row)).apply(record)
    return _versioned(learned, version)


def _versioned(record: Record, version: tuple[int, int]) -> Record:
    return replace(record, version=version)


OLD = placed("a", "b", "c")
NEW = _versioned(Bury((("b", 1),), ((),) * PARTITIONS, frozenset("acd")).apply(Admit(Node("d", 1)).apply(OLD)), (1, 3))
FULL = difference(None, NEW)

MESSAGES: list[Message] = [
    Hello(7, "cluster", (1, 2), 3, 4),
    Frame(9, (1, 2), [5, 1, 8, 0, 1, 3], [b"SET", b"key", b"\x00\xff"]),
    Frame(9, (1, 2), [], [], 3),
    Part(9, 2, goes_on=True, unfinished=100, numbers=[5, 1, 8, 0, 1, 1], words=[b"\x00\xff"]),
    Ack(7, 9, ((5, 1),)),
    Ack(7, 9),
    Ack(7, 9, (), (10, 3)),
    Inquiry((1, 2), ((5, 1),)),
    Positions((1, 2), ((5, 1, -1),)),
    Prepare(3, (1, 2)),
    Promised(3, (1, 3), FULL),
    Promised(3, (1, 2), None),
    Refused(3, 4),
    Accept(difference(OLD, NEW)),
    Accepted((1, 3)),
    Lacking((1, 3)),
    Chosen((1, 3), FULL),
    Chosen((1, 3), None),
    Fetch(NOTHING),
    Renew(1, (1, 3)),
    Granted(1, (1, 3)),
    Fence((1, 3), (("a", 1),)),
    Fenced((1, 3), (("a", 1, 250_000),)),
    *(
        Propose(1, change)
        for change in (
            Retire("a", 1),
            InSync("a", 1, ((0, 1),)),
            Demote("a", 1, ((0, 1),)),
            Move(((0, 1, "b"),)),
            Surrender("a", 1, ((0, 1),)),
            Drop(((0, 1, "b"),)),
        )
    ),
    Propose(1, Retire("a", 1), 2.5),
    Doubted(1, 2.5),
    Decided(1),
    Decided(1, (2, 3)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_survive_the_wire(message: Message) -> None:
    """Decoding what was encoded gives the message back."""
    assert decode(encode(message)) == message


def test_a_full_record_needs_no_other() -> None:
    """The difference to nothing is the record."""
    assert patched(None, FULL) == NEW
    assert patched(OLD, FULL) == NEW


def test_a_difference_leads_from_version_to_version_and_from_no_other() -> None:
    """It is small, and it is refused where it does not fit."""
    update = difference(OLD, NEW)
    assert len(encode(Accept(update))) < len(encode(Accept(FULL)))
    assert patched(OLD, update) == NEW
    assert patched(NEW, update) is None
    assert patched(None, update) is None


def test_versions_compare_by_term_first() -> None:
    """A record of a later term is newer, whatever the counters."""
    assert version_of(_versioned(OLD, (2, 1))) > version_of(NEW) > version_of(None) == NOTHING


def _entry(update: Update, **changes: object) -> Update:
    first = msgspec.structs.replace(update.entries[0], **changes)
    return msgspec.structs.replace(update, entries=(first, *update.entries[1:]))


@pytest.mark.parametrize(
    "update",
    [
        _entry(FULL, in_sync=(99,)),
        _entry(FULL, in_sync=(-1,)),
        _entry(FULL, in_sync=(0, 0)),
        _entry(FULL, in_sync=(0,), learners=(0,)),
        _entry(FULL, primary=3, in_sync=(0,), learners=()),
        _entry(FULL, partition=1),
        msgspec.structs.replace(FULL, voters=FULL.voters * 2),
        msgspec.structs.replace(FULL, nodes=(*FULL.nodes, FULL.nodes[0])),
        msgspec.structs.replace(difference(OLD, NEW), nodes=(Node("d", 1),), entries=()),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(update: Update) -> None:
    """Copies must be distinct nodes of the record, primaries in sync, partitions complete."""
    with pytest.raises(DecodeError):
        patched(OLD, update)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_mangled_bytes_are_a_message_or_a_decode_error(data: st.DataObject) -> None:
    """No bytes make the decoder fail in any other way."""
    whole = encode(data.draw(st.sampled_from(MESSAGES)))
    cut = data.draw(st.integers(0, len(whole)))
    noise = data.draw(st.binary(max_size=8))
    frame = data.draw(
        st.sampled_from([whole[:cut], whole[:cut] + noise, whole[:cut] + noise + whole[cut + len(noise) :]])
    )
    try:
        message = decode(frame)
        if isinstance(message, Accept | Chosen) and message.update is not None:
            patched(OLD, message.update)
    except DecodeError:
        pass


@pytest.mark.parametrize("partition", [-1, PARTITIONS])
def test_partitions_beyond_the_last_are_refused(partition: int) -> None:
    """An index from the wire can be used as it is."""
    with pytest.raises(DecodeError):
        decode(encode(Inquiry((1, 1), ((partition, 1),))))
