"""That a network which breaks in whatever shape breaks no promise, and that the cluster is whole once it is mended."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chaos import namespaces
from chaos.figures import Figure, at_least, at_most, check, keep, stated
from chaos.fleet import Fleet, wait_for
from chaos.judging import Judgement, Load, judged
from chaos.load import Sent
from chaos.namespaces import CLIENTS, Network
from chaos.node import Memory

SEED = 5
NODES = 5
LEASE_S = 0.3
"""How long a node of environment `local` may serve after it last heard from a majority."""
MARGIN_S = 0.7
"""For what was under way, on a machine that others use too."""
CALM_S = 4.0
"""For how long the load is measured before anything is cut: afterwards clients of the smaller side wait, by design."""
CALM_WRITES = 8_000
"""Of 2,400 commands a second two thirds write: five seconds."""
CUT_S = 10.0
HEALED_S = 10.0


@pytest.fixture
def net() -> Iterator[Network]:
    """Have a place for each node, and one for the clients."""
    reason = namespaces.missing()
    if reason:
        pytest.skip(reason)
    with namespaces.network([*range(1, NODES + 1), CLIENTS]) as made, made.entered(CLIENTS):
        yield made


def minority(shape: str) -> set[int]:
    """Name the nodes, from 0 on, that hear from no majority."""
    return {"halves": {3, 4}, "isolated": {4}, "bridge": set[int](), "one-way": {4}, "ring": set[int]()}[shape]


def late(history: Sequence[Sent], nodes: set[int], since_s: float, until_s: float) -> int:
    """Count what these nodes acknowledged that was sent to them between two moments."""
    return sum(
        sent.node in nodes and sent.outcome == "ok" and sent.invoked_s >= since_s and sent.returned_s <= until_s
        for sent in history
    )


def unequal(memories: Sequence[Memory]) -> str:
    """Say what differs between the copies of nodes at rest; empty if nothing does."""
    if len({memory.version for memory in memories}) != 1:
        return f"versions {[memory.version for memory in memories]}"
    by_name = {memory.name: memory for memory in memories}
    for number, (primary, in_sync) in enumerate(zip(memories[0].primaries, memories[0].in_sync, strict=True)):
        digests = {by_name[name].digests[number] if name in by_name else "gone" for name in in_sync}
        if len(digests) != 1 or not primary or "gone" in digests:
            return f"partition {number}: {digests}, primary {primary!r}"
        if len(in_sync) < 2:
            return f"partition {number} has one copy"
        serving = [memory.name for memory in memories if memory.serving[number]]
        if serving != [primary]:
            return f"partition {number} is served by {serving}"
    return ""


def equal_after(fleet: Fleet, since_s: float) -> float:
    """Wait until all copies are equal; return how many seconds that is after a moment."""
    wait_for(
        lambda: not unequal([server.memory() for server in fleet.servers]),
        lambda: unequal([server.memory() for server in fleet.servers]),
        timeout_s=90.0,
    )
    return time.monotonic() - since_s


def figures_of(judgement: Judgement, calm: float, late_acks: int, healed_s: float, shape: str) -> list[Figure]:
    """Say what is to be said of a run."""
    figures = [
        at_least("acknowledged writes", 1_000, judgement.writes),
        at_least("commands a second before the cut", 2_000, calm),
        stated("commands in the median second, the cut included", judgement.commands_a_second),
        at_most("keys with a wrong reply", 0, judgement.wrong, promise=2),
        at_most("keys lost", 0, judgement.lost, promise=1),
        at_most("keys undecided", 0, judgement.undecided),
        at_most("copies equal after healing", HEALED_S, healed_s, " s"),
    ]
    if minority(shape):
        figures.insert(0, at_most("acknowledged by the minority after its lease", 0, late_acks, promise=3))
    return figures


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("shape", namespaces.shapes(NODES))
def test_a_partition_breaks_no_promise(tmp_path: Path, net: Network, shape: str) -> None:
    """Five nodes, three copies, cut for ten seconds: the minority falls silent, afterwards all copies are equal."""
    flags = ["--environment=local", "--replica-count=3", "--protected-mode=no", "--loglevel=warning"]
    with Fleet(tmp_path, *flags) as fleet:
        for place in range(1, NODES + 1):
            fleet.add(inside=net.inside(place), host=net.address(place))
        fleet.whole()
        with Load.running(fleet, tmp_path, seed=SEED, timeout_s=2.0, stays=True, commands_a_second=2_400.0) as load:
            load.go_on(CALM_WRITES)
            cut_at_s = time.monotonic()
            net.cut(namespaces.shapes(NODES)[shape])
            healed_at_s = cut_at_s + CUT_S
            wait_for(lambda: time.monotonic() >= healed_at_s, "the end of the cut", CUT_S + 5.0)
            healed_at_s = time.monotonic()
            net.heal()
            history = load.stop()
            mended_s = equal_after(fleet, healed_at_s)
            judgement = judged(history, fleet)
    acks = late(judgement.history, minority(shape), cut_at_s + LEASE_S + MARGIN_S, healed_at_s)
    figures = figures_of(judgement, judgement.rate(cut_at_s - CALM_S, cut_at_s), acks, mended_s, shape)
    print(judgement)  # noqa: T201 # what happened, if it fails
    keep(f"network partition, {shape}, five nodes, three copies", figures)
    check(figures)
