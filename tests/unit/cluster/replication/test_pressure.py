"""Writes wait above a limit and go on at half of it."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.replication.log import Log, Replication, Stream
from respcache.cluster.replication.pressure import Pressure

PEER_MAX, MAX = 100, 150


def streams(*sizes: int) -> list[Stream]:
    """Return streams with so many bytes waiting for acks."""
    made = []
    for number, size in enumerate(sizes):
        stream = Stream(f"n{number}", 1)
        stream.unacked_bytes = size
        made.append(stream)
    return made


def log_to(*peers: Stream) -> Log:
    """Return the log of a partition with copies there."""
    log = Log(Replication(), 1, 1, 0)
    log.attach((), peers)
    return log


def test_only_what_goes_to_the_full_peer_waits() -> None:
    """Until half of it is acked; a partition without copies never does."""
    pressure = Pressure(peer_bytes_max=PEER_MAX, bytes_max=MAX)
    full, free = peers = streams(101, 10)
    assert pressure.measure(peers)
    assert bool(pressure)
    assert pressure.pending_bytes == 111
    assert [pressure.presses(log_to(*to)) for to in ((full,), (full, free), (free,), ())] == [True, True, False, False]
    full.unacked_bytes = 51
    assert not pressure.measure(peers)
    assert pressure.presses(log_to(full))
    full.unacked_bytes = 50
    assert pressure.measure(peers)
    assert not pressure
    assert not pressure.presses(log_to(full))


def test_all_peers_together_have_a_limit_too() -> None:
    """Everything that has copies waits then."""
    pressure = Pressure(peer_bytes_max=PEER_MAX, bytes_max=MAX)
    one, other = peers = streams(80, 71)
    assert pressure.measure(peers)
    assert pressure.presses(log_to(one))
    assert pressure.presses(log_to(*streams(0)))
    assert not pressure.presses(log_to())
    other.unacked_bytes = 0
    assert not pressure.measure(peers)
    one.unacked_bytes = 75
    assert pressure.measure(peers)
    assert not pressure


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=20))
def test_no_order_of_sizes_leaves_it_open_above_a_limit_or_shut_below_half(sizes: list[tuple[int, int]]) -> None:
    """Whatever was measured before."""
    pressure = Pressure(peer_bytes_max=PEER_MAX, bytes_max=MAX)
    peers = streams(0, 0)
    for one, other in sizes:
        peers[0].unacked_bytes, peers[1].unacked_bytes = one, other
        before = bool(pressure), pressure.presses(log_to(peers[0]))
        changed = pressure.measure(peers)
        pressed = pressure.presses(log_to(peers[0]))
        if one > PEER_MAX or one + other > MAX:
            assert pressed
        if one <= PEER_MAX // 2 and one + other <= MAX // 2:
            assert not pressed
        if before != (bool(pressure), pressed):
            assert changed
