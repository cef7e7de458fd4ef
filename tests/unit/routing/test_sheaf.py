"""One object for the commands of a client that go to one node: its replies are those of all of them, in their order."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from respcache.commands.session import Turns
from respcache.routing.sheaf import Sheaf


def sheaf_of(count: int) -> Sheaf:
    """Make one of so many commands, with numbers from 10 on."""
    sheaf = Sheaf(Turns(), database=0, protocol=2, version=(1, 1), deadline_s=5.0)
    for number in range(10, 10 + count):
        sheaf.sent((number, (number * 7 % 5,), [b"GET", b"%d" % number]))
    return sheaf


@given(st.integers(1, 20), st.integers(0, 2**32))
def test_replies_are_taken_in_the_order_of_the_commands(count: int, seed: int) -> None:
    """In whatever order they come, and whenever the client's queue is looked at; who listens is told once a wait."""
    rng, sheaf, taken, told = Random(seed), sheaf_of(count), list[bytes](), list[int]()
    coming = list(range(10, 10 + count))
    rng.shuffle(coming)
    waits = 0
    for number in coming:
        if sheaf.wire is None:
            waits += not sheaf._listener
            sheaf.then(lambda: told.append(1))
        sheaf.come(number, b"%d" % number)
        while sheaf.wire is not None and len(taken) < count and rng.random() < 0.7:
            assert sheaf.argv == [b"GET", sheaf.wire]
            taken.append(sheaf.wire)
            sheaf.take()
    while len(taken) < count:
        assert sheaf.wire is not None
        taken.append(sheaf.wire)
        sheaf.take()
    assert taken == [b"%d" % number for number in range(10, 10 + count)]
    assert sheaf.wire is None
    assert len(told) <= waits
    assert not sheaf._wires


def test_what_is_under_way_is_counted_command_by_command() -> None:
    """So the client's commands on several keys wait for all of them."""
    sheaf = sheaf_of(3)
    assert (sheaf.turns.under_way, sheaf.turns.sent) == (3, 3)
    assert sheaf.request(11) == (11, (2,), [b"GET", b"11"])


def test_partitions_are_those_of_what_was_not_taken() -> None:
    """Whoever looks for what has to go elsewhere need not look at what is over."""
    sheaf = sheaf_of(3)
    assert sheaf.partitions == {0, 2, 4}
    sheaf.come(10, b"x")
    sheaf.take()
    assert sheaf.partitions == {2, 4}


def test_nothing_is_kept_for_a_client_that_is_gone() -> None:
    """Neither what has come by then, nor what is still to come."""
    sheaf = sheaf_of(3)
    sheaf.come(11, b"x" * 1000)
    sheaf.come(10, b"y" * 10)
    assert sheaf.held_bytes() == 1010
    sheaf.take()
    assert sheaf.held_bytes() == 1000
    sheaf.abandon()
    sheaf.come(12, b"z" * 1000)
    assert sheaf.held_bytes() == 0
