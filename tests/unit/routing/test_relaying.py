"""Commands of a batch that other nodes run: asked one by one, and answered as if each were alone."""

from collections.abc import Iterable

from respcache.pending import Pending
from respcache.resp.encode import bulk, integer
from respcache.routing.sheaf import Sheaf
from unit.neighbours import Street, key_of

A, B, B2, C = key_of("a"), key_of("b"), key_of("b", 1), key_of("c")
OK = b"+OK\r\n"


def replies(out: Iterable[bytes | Pending]) -> list[bytes | None]:
    """Take the replies as a connection does; None for each that is not there."""
    found: list[bytes | None] = []
    held: set[Pending] = set()
    for reply in out:
        if isinstance(reply, bytes):
            found.append(reply)
            continue
        wire = None if reply in held else reply.wire
        found.append(wire)
        if wire is None:
            held.add(reply)
        elif isinstance(reply, Sheaf):
            reply.take()
    return found


def test_commands_for_one_owner_share_an_object_and_are_asked_in_their_order() -> None:
    """Each owner has one, and others stand between them."""
    street = Street()
    out = street.nodes["a"].batch(
        street.client(), [b"SET", B, b"1"], [b"SET", A, b"2"], [b"APPEND", B2, b"3"], [b"SET", C, b"4"], [b"GET", B]
    )
    assert out[0] is out[2] is out[4]
    assert isinstance(out[3], Sheaf)
    assert out[3] is not out[0]
    asked = [(question.owner, question.order.argv[0]) for question in street.questions]
    assert asked == [("b", b"SET"), ("b", b"APPEND"), ("c", b"SET"), ("b", b"GET")]
    street.settle()
    assert replies(out) == [OK, OK, integer(1), OK, bulk(b"1")]
    assert street.nodes["a"].stats.forwards == 4


def test_another_batch_has_a_sheaf_of_its_own() -> None:
    """Nothing is added to what may have been sent, and answered."""
    street = Street()
    client = street.client()
    (first,) = street.nodes["a"].batch(client, [b"SET", B, b"1"])
    (second,) = street.nodes["a"].batch(client, [b"GET", B])
    assert first is not second


def test_what_changes_in_the_midst_of_a_batch_holds_for_what_follows() -> None:
    """The protocol and the database are those that the client had at each command."""
    street = Street()
    client = street.client()
    out = street.nodes["a"].batch(
        client,
        [b"SET", B, b"1"],
        [b"SELECT", b"1"],
        [b"GET", B],
        [b"HELLO", b"3"],
        [b"GET", B],
        [b"SELECT", b"0"],
        [b"GET", B],
    )
    street.settle()
    found = replies(out)
    assert [found[0], *found[2::2]] == [OK, b"$-1\r\n", b"_\r\n", bulk(b"1")]


def test_one_that_is_sent_back_keeps_its_place() -> None:
    """It is run when its owner is known again; those behind it were answered, and wait for it."""
    street = Street()
    node = street.nodes["a"]
    out = node.batch(street.client(), [b"SET", B, b"1"], [b"SET", B2, b"2"])
    street.refuse(street.questions.popleft())
    street.settle()
    assert replies(out) == [None, None]
    assert node.stats.forward_errors["refused"] == 1
    node.router.routes_changed()
    street.settle()
    assert replies(out) == [OK, OK]


def test_a_broken_link_leaves_writes_in_doubt_and_has_reads_asked_again() -> None:
    """Command by command."""
    street = Street()
    node = street.nodes["a"]
    out = node.batch(street.client(), [b"GET", B], [b"SET", B, b"1"], [b"GET", B2])
    street.deliver(street.questions.popleft())
    for question in list(street.questions):
        street.lose(question)
    street.questions.clear()
    node.router.routes_changed()
    street.settle()
    found = replies(out)
    assert found[0] == found[2] == b"$-1\r\n"
    assert (found[1] or b"").startswith(b"-UNCERTAIN")


def test_a_client_that_waits_its_turn_waits_for_every_command_of_a_sheaf() -> None:
    """A command on keys of several owners is run behind all that was sent before."""
    street = Street()
    client = street.client()
    out = street.nodes["a"].batch(client, [b"SET", B, b"1"], [b"SET", B2, b"2"], [b"RENAME", B, C])
    assert [question.name for question in street.questions] == ["SET", "SET"]
    street.deliver(street.questions.popleft())
    assert len(street.questions) == 1
    street.deliver(street.questions.popleft())
    assert street.questions
    street.settle()
    assert replies(out) == [OK, OK, OK]


def test_without_a_link_they_are_orders_that_wait_for_one() -> None:
    """As a command does that came alone."""
    street = Street()
    street.cut.add("b")
    (reply,) = street.nodes["a"].batch(street.client(), [b"GET", B])
    assert not isinstance(reply, Sheaf)
    assert not street.questions
    street.cut.clear()
    street.nodes["a"].router.routes_changed()
    street.settle()
    assert replies([reply]) == [b"$-1\r\n"]
