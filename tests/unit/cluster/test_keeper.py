"""The keeper as its driver meets it: one node, two nodes, and bytes from anywhere."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.config import KeeperConfig
from respcache.cluster.effects import Drained, Effect, Formed, LeaseChanged, RecordChanged, RoutesChanged, Send
from respcache.cluster.keeper import Keeper
from respcache.cluster.ownership.record import NOTHING, SEATS, Node
from respcache.cluster.ownership.slots import PARTITIONS, SLOTS
from respcache.cluster.ownership.wire import DecodeError, Prepare
from respcache.cluster.wire import Hello, encode
from respcache.errors import ConfigError
from simulation.ownership.store import ModelStore

SET = [b"SET", b"key", b"value"]


def keeper(name: str = "a", run: int = 1, *, seeded: bool = False) -> Keeper:
    """Return a keeper that has not been started."""
    return Keeper(Node(name, run), KeeperConfig(seeded=seeded, settle_s=1.0), ModelStore(), Random(run), ())


def kinds(effects: list[Effect]) -> list[type]:
    """Return what has to be done, in order."""
    return [type(effect) for effect in effects]


def test_a_node_without_seeds_serves_everything_at_once() -> None:
    """It founds a cluster of one, needs no acks, and waits for nothing."""
    alone = keeper()
    effects = alone.start(0.0)
    assert kinds(effects) == [Formed, RecordChanged, LeaseChanged, RoutesChanged]
    assert None not in alone.serving
    assert alone.table.ranges() == [(0, SLOTS - 1, ("a",))]
    log = alone.serving[0]
    assert log is not None
    log.append(0, SET)
    assert alone.leased(1e9)
    assert alone.gate([log]) is None
    assert alone.flush(0.0) == []
    while alone.deadline == 0.0:
        assert alone.tick(0.0) == [], "it finds out where copies should be, step by step"
    assert alone.deadline == float("inf")


def test_a_node_with_seeds_serves_nothing_until_it_knows_a_cluster() -> None:
    """It never founds one alone."""
    lonely = keeper(seeded=True)
    assert lonely.start(0.0) == []
    assert lonely.tick(1_000.0) == []
    assert set(lonely.serving) == {None}


def test_leaving_alone_is_done_at_once() -> None:
    """There is nobody to hand over to."""
    alone = keeper()
    alone.start(0.0)
    assert Drained() in alone.leave(1.0)
    assert Drained() in keeper(seeded=True).leave(0.0)


def test_the_first_words_on_a_link_are_hello() -> None:
    """They say who speaks, of which cluster, and how far it has applied the peer's frames."""
    alone = keeper()
    formed = alone.start(0.0)[0]
    assert isinstance(formed, Formed)
    assert alone.peer_connected(0.0, "b") == [Send("b", encode(Hello(1, formed.cluster_id, (SEATS, 1), 0, 0)))]


def test_a_newer_version_on_a_relayed_command_is_fetched() -> None:
    """The executor asks, and the keeper knows what to send."""
    alone = keeper()
    alone.start(0.0)
    assert alone.table.behind((SEATS, 2))
    assert not alone.table.behind((SEATS, 1))
    assert kinds(alone.catch_up("b", (SEATS, 9))) == [Send]
    assert alone.catch_up("b", (SEATS, 9)) == []
    assert kinds(alone.catch_up("b", (SEATS, 10))) == [Send]
    assert kinds(alone.catch_up("b", (SEATS, 10), again=True)) == [Send]


def test_figures_of_a_single_node() -> None:
    """Every partition is primary here; a copy that nobody could hold is not missed."""
    alone = keeper()
    alone.start(0.0)
    figures = alone.figures(0.0)
    assert figures.partitions_primary == PARTITIONS
    assert figures.partitions_under_replicated == figures.partitions_unowned == figures.pending_bytes == 0
    assert figures.version == (SEATS, 1)


def test_messages_before_hello_are_not_heeded() -> None:
    """Nobody knows yet which life speaks."""
    alone = keeper()
    alone.start(0.0)
    alone.peer_connected(0.0, "b")
    alone.receive(0.0, "b", encode(Prepare(9 * SEATS, NOTHING)))
    assert alone.table.version == (SEATS, 1)


@settings(deadline=None)
@given(frame=st.binary(max_size=64))
def test_bytes_that_are_no_message_change_nothing(frame: bytes) -> None:
    """They raise DecodeError, or mean something harmless."""
    waiting = keeper(seeded=True)
    waiting.start(0.0)
    waiting.peer_connected(0.0, "b")
    waiting.receive(0.0, "b", encode(Hello(2, "", (0, 0), 0, 0)))
    try:
        waiting.receive(0.0, "b", frame)
    except DecodeError:
        assert set(waiting.serving) == {None}


@pytest.mark.parametrize("field", ["replica_count", "expect", "copy_step_keys", "unacked_bytes_max"])
def test_counts_below_one_are_no_configuration(field: str) -> None:
    """They name what is wrong."""
    with pytest.raises(ConfigError, match=field):
        KeeperConfig(**{field: 0})  # type: ignore[arg-type]  # the field is what varies


@pytest.mark.parametrize("field", ["settle_s", "rebuild_delay_s", "unseen_after_s", "replica_timeout_s"])
def test_negative_times_are_no_configuration(field: str) -> None:
    """They name what is wrong."""
    with pytest.raises(ConfigError, match=field):
        KeeperConfig(**{field: -1.0})  # type: ignore[arg-type]  # the field is what varies
