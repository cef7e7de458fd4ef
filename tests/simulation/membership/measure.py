"""The figures of the membership protocol, measured in virtual time: tests hold them, docs/membership.md prints them."""

import cProfile
import gc
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from respcache.cluster.membership import LAN, Died, GossipConfig, Joined, Meta, PartitionSuspected, Suspected, Swim
from respcache.cluster.membership.member import encode_meta
from simulation.membership.crowd import Crowd
from simulation.network import Happening, Link

HOP: Final = Link(latency_s=0.05, jitter_s=0.0)
"""The link of the published figures of other gossip systems."""
RUMOR_PROFILE: Final = replace(LAN, gossip_interval_s=0.2, gossip_fanout=3, probe_interval_s=1.0)
"""Their intervals: three members every 200 ms. Probes, which carry rumours as well, come once a second."""
MEMBERLIST_PING: Final = {
    "SeqNo": 70_000,
    "Node": "n50",
    "SourceAddr": bytes(4),
    "SourcePort": 7946,
    "SourceNode": "n5",
}
MEMBERLIST_ACK: Final = {"SeqNo": 70_000, "Payload": b""}
MEMBERLIST_STATE: Final = {
    "Name": "n50",
    "Addr": bytes(4),
    "Port": 7946,
    "Meta": encode_meta(Meta(client_port=6_379, http_port=9_379)),
    "Incarnation": 1,
    "State": 0,
    "Vsn": [1, 5, 5, 0, 0, 0],
}
"""One member in its exchange of states, with the metadata that our nodes carry."""
STALL_S: Final = 5.0
STALLED: Final = 4


@dataclass(slots=True)
class Detection:
    """How soon deaths were noticed, over several of them."""

    first_periods: list[float] = field(default_factory=list)
    """From each death to its first suspicion, in probe intervals."""
    dead_s: list[float] = field(default_factory=list)
    """From each death to each survivor's verdict, in seconds."""
    wrong: int = 0
    """Nodes that were suspected or held dead though they ran."""
    unnoticed: int = 0
    """Pairs of survivor and victim without a verdict in time."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an idle node costs, per second."""

    datagrams: float
    bytes: float
    cpu_s: float
    """CPU time of all machines and of the simulator, by nodes: an upper bound of a node's own."""


def rumor_s(count: int, seed: int, *, share: float = 0.99) -> float:
    """Time until one node's news has reached that share of all."""
    crowd = Crowd(seed, RUMOR_PROFILE, count, link=HOP)
    crowd.network.run(crowd.network.rng.random())
    teller = crowd.swims["n0"]
    crowd.network.apply("n0", teller.publish(crowd.network.clock("n0"), Meta(client_port=1, http_port=1)))

    def knows(swim: Swim) -> bool:
        held = swim.member("n0")
        return held is not None and held.meta.client_port == 1

    return crowd.until_share(share, knows, within_s=10)


def detection(profile: GossipConfig, count: int, seed: int, *, deaths: int) -> Detection:
    """Let a node die in one cluster after the other, of those whose nodes know each other's round trips."""
    found = Detection()
    for round_no in range(deaths):
        _die(found, profile, Crowd(seed * 1_000_003 + round_no, profile, count, link=Link()))
    return found


def _die(found: Detection, profile: GossipConfig, crowd: Crowd) -> None:
    crowd.acquaint()
    network, others = crowd.network, len(crowd.swims) - 1
    network.run(profile.probe_interval_s * network.rng.uniform(2, 4))
    victim, died_at_s = network.rng.choice(sorted(crowd.swims)), network.now
    network.crash(victim)
    network.run_until(
        lambda: _verdicts(network.happenings) >= others,
        within_s=1.5 * profile.conflict_patience_s,
        step_s=profile.probe_timeout_s,
    )
    _take_down(found, network.happenings, victim, died_at_s, profile)
    found.unnoticed += others - _verdicts(network.happenings)


def _verdicts(happenings: list[Happening]) -> int:
    return sum(isinstance(happening.event, Died) for happening in happenings)


def _take_down(
    found: Detection, happenings: list[Happening], victim: str, died_at_s: float, profile: GossipConfig
) -> None:
    first_s = math.inf
    for happening in happenings:
        match happening.event:
            case Suspected(member=member) | Died(member=member) if member.name != victim:
                found.wrong += 1
            case Suspected():
                first_s = min(first_s, happening.at_s - died_at_s)
            case Died():
                found.dead_s.append(happening.at_s - died_at_s)
            case _:
                pass
    found.first_periods.append(first_s / profile.probe_interval_s)


def without_lifeguard(profile: GossipConfig) -> GossipConfig:
    """Plain SWIM: no health, no shrinking suspicion, no notice of own stalls, no doubt at many suspects."""
    return replace(
        profile,
        health_max=0,
        suspicion_max_multiplier=1,
        suspicion_confirmations=0,
        stall_s=1e9,
        partition_share=1,
    )


def false_deaths(profile: GossipConfig, count: int, seed: int, *, duration_s: float) -> int:
    """Count verdicts on nodes that ran all the time, while a few others stall for 5 s again and again."""
    crowd = Crowd(seed, profile, count, link=Link())
    network = crowd.network
    network.run(2.0)
    stalling = network.rng.sample(sorted(crowd.swims), STALLED)
    ends_s = network.now + duration_s
    for name in stalling:
        _stall(crowd, name, ends_s)
    network.run(duration_s + STALL_S)
    return sum(
        isinstance(happening.event, Died) and happening.event.member.name not in stalling
        for happening in network.happenings
    )


def _stall(crowd: Crowd, name: str, ends_s: float) -> None:
    """Jam a node's packets, let them pass for a moment, and so on, as a machine does that is short of CPU."""
    network = crowd.network
    if network.now >= ends_s:
        return
    network.jam(name, STALL_S)
    again_s = network.now + STALL_S + network.rng.uniform(0.001, 1.0)
    network.at(again_s, lambda: _stall(crowd, name, ends_s))


def split_healed_s(profile: GossipConfig, count: int, seed: int, *, apart_s: float) -> float:
    """Cut a cluster into halves, mend it, and return the seconds until all hold all alive again."""
    crowd = Crowd(seed, profile, count, link=Link())
    network, names = crowd.network, list(crowd.swims)
    network.run(profile.reseed_interval_s * network.rng.random())
    left, right = names[: count // 2], names[count // 2 :]
    network.split(left, right)
    network.run(apart_s)
    held = {len(swim._view.table.live_peers) + 1 for swim in crowd.swims.values()}
    assert held == {len(left), len(right)}, held
    assert any(isinstance(happening.event, PartitionSuspected) for happening in network.happenings)
    network.heal()
    healed_at_s = network.now
    assert network.run_until(crowd.whole, within_s=3 * profile.reseed_interval_s, step_s=0.1), crowd.missing()
    return network.now - healed_at_s


def restarted_s(profile: GossipConfig, count: int, seed: int) -> float:
    """Restart all nodes at the same moment, and return the seconds until all hold all new runs alive."""
    crowd = Crowd(seed, profile, count, link=Link())
    crowd.network.run(1.0)
    begun_s = crowd.network.now
    for name in crowd.swims:
        crowd.network.crash(name)
    for name in list(crowd.swims):
        crowd.restart(name, knowing_nobody=True)
    assert crowd.network.run_until(crowd.whole, within_s=60, step_s=0.1), crowd.missing()
    return crowd.network.now - begun_s


def missed_under_loss(profile: GossipConfig, count: int, seed: int, *, loss: float) -> int:
    """Start nodes under packet loss; count the members missed by nodes that have synced since all others joined."""
    crowd = Crowd(seed, profile, count, link=Link(loss=loss))
    for name in crowd.swims:
        crowd.network.crash(name)
    for name in list(crowd.swims):
        crowd.restart(name, knowing_nobody=True)
    swims = list(crowd.swims.values())
    joined = crowd.network.run_until(
        lambda: all(swim.stats.syncs["done"] for swim in swims[1:]), within_s=60, step_s=0.05
    )
    assert joined, crowd.missing()
    waiting = {swim: swim.stats.syncs["done"] for swim in swims if len(swim.members()) < count}
    synced = crowd.network.run_until(
        lambda: all(
            swim.stats.syncs["done"] > before or len(swim.members()) == count for swim, before in waiting.items()
        ),
        within_s=60,
        step_s=0.01,
    )
    assert synced, crowd.missing()
    return sum(count - len(swim.members()) for swim in swims)


def idle_cost(profile: GossipConfig, count: int, seed: int, *, duration_s: float) -> Cost:
    """Let a cluster idle."""
    crowd = Crowd(seed, profile, count, link=Link())
    crowd.network.run(2 * profile.probe_interval_s)
    nodes = list(crowd.network.nodes.values())
    datagrams, size = sum(node.datagrams_sent for node in nodes), sum(node.bytes_sent for node in nodes)
    with _no_collection():
        begun_s = time.process_time()
        crowd.network.run(duration_s)
        cpu_s = time.process_time() - begun_s
    assert not any(isinstance(h.event, Suspected | Died | Joined) for h in crowd.network.happenings)
    share = duration_s * count
    return Cost(
        datagrams=(sum(node.datagrams_sent for node in nodes) - datagrams) / share,
        bytes=(sum(node.bytes_sent for node in nodes) - size) / share,
        cpu_s=cpu_s / share,
    )


def idle_calls(profile: GossipConfig, count: int, seed: int, *, duration_s: float) -> float:
    """Let a cluster idle; return the calls of functions, in Python and C, per node and second. No clock is read."""
    crowd = Crowd(seed, profile, count, link=Link())
    crowd.network.run(2 * profile.probe_interval_s)
    with cProfile.Profile() as calls:
        crowd.network.run(duration_s)
    return sum(entry.callcount for entry in calls.getstats()) / duration_s / count


def memberlist_bytes(count: int) -> float:
    """Bytes a second that an idle node sends in hashicorp/memberlist with its default settings for a LAN.

    One ping and one ack a second, and an exchange of all states over TCP every
    30 s, times 1 + ceil(log2(n) - log2(32)) above 32 nodes (its `pushPullScale`).
    Each node begins one exchange a period, and answers one in the mean.
    """
    scale = 1 if count <= 32 else 1 + math.ceil(math.log2(count) - math.log2(32))
    ping, ack, state = (
        len(msgspec.msgpack.encode(sent)) for sent in (MEMBERLIST_PING, MEMBERLIST_ACK, MEMBERLIST_STATE)
    )
    return ping + ack + 2 * count * state / (30 * scale)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector, which looks at all nodes at once, out of a measurement of one."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
