"""Mutated packets, and what becomes of a node that is pelted with them. Processes of their own import this."""

import gc
import math
import random
import sys
from dataclasses import replace
from typing import Final

from respcache.cluster.membership import LAN, Member, MemberState, Swim
from respcache.cluster.membership.wire import (
    Ack,
    Conflict,
    Gossip,
    Message,
    Nack,
    Ping,
    PingReq,
    SyncReply,
    SyncRequest,
)
from unit.cluster.membership.nodes import address, alive, member_of, packet

PACKETS: Final = 1_000_000
"""Mutated packets in all."""
CHUNKS: Final = 4
WARM_UP: Final = 20_000
"""Packets after which whatever is bounded has reached its bounds."""
GROWTH_MAX_BLOCKS: Final = 1_000
"""Blocks of memory that 230,000 packets may leave behind; a single object for each would be 230,000."""
PROFILE: Final = replace(LAN, members_max=20, rumors_max=16)

MESSAGES: Final[tuple[Message, ...]] = (
    Ping(1, "a"),
    Ack(1, 3),
    Nack(1),
    PingReq(1, "b"),
    Gossip(),
    SyncRequest(bytes(512)),
    SyncReply(bytes(512)),
    Conflict(7, "10.0.0.9", 16_379),
)


def originals() -> list[bytes]:
    """Write one packet of every kind from a member, a stranger and ourselves, with rumours of all states."""
    told = [alive("a", 3), alive("b", 1, state=MemberState.SUSPECT), alive("d"), alive("c", state=MemberState.DEAD)]
    return [packet(sender, message, *told) for message in MESSAGES for sender in ("b", "x", "a")]


def mutated(rng: random.Random, whole: bytes) -> bytes:
    """Change a packet in one to three places: a byte or two replaced, removed or put in, its end cut off or doubled."""
    payload, dice = whole, rng.random  # `randrange` takes four times as long, which a million packets show
    for _ in range(1 + int(3 * dice())):
        place, kind = int((len(payload) + 1) * dice()), int(5 * dice())
        match kind:
            case 0:
                payload = payload[:place] + rng.randbytes(1) + payload[place + 1 :]
            case 1:
                payload = payload[:place] + payload[place + 1 :]
            case 2:
                payload = payload[:place] + rng.randbytes(2) + payload[place:]
            case 3:
                payload = payload[:place]
            case _:
                payload = payload + payload[place:]
    return payload


def pelt(seed: int) -> None:
    """Throw a chunk of the packets at a node."""
    rng = random.Random(seed)
    packets = originals()
    node = member_of("b", "c", profile=PROFILE)
    held, before = state(node), received(node)
    read = refused = blocks = 0
    now = 1.0
    for turn in range(PACKETS // CHUNKS):
        if turn == WARM_UP:
            blocks = allocated_blocks()
        if node.deadline == math.inf:  # a packet told it that its name is another's
            node = member_of("b", "c", profile=PROFILE, now=now)
            held, before = state(node), received(node)
        feed(node, now, turn, mutated(rng, packets[turn % len(packets)]))
        changed = received(node) > before
        if changed:
            read += 1
            before = received(node)
        else:
            refused += 1
            assert state(node) == held
        now += 0.001
        changed |= now >= node.deadline
        node.tick(now)
        if changed:
            held = state(node)

    assert refused > 0.8 * PACKETS / CHUNKS, "most mutations are to break a packet"
    assert read > 0.02 * PACKETS / CHUNKS, "and some are not to"
    assert len(node.members()) <= PROFILE.members_max
    assert node.rumors_queued <= PROFILE.rumors_max
    assert allocated_blocks() - blocks < GROWTH_MAX_BLOCKS


def feed(node: Swim, now: float, turn: int, payload: bytes) -> None:
    """Let a packet in, one way or the other."""
    match turn % 4:
        case 0:
            node.stream(now, payload)
        case 1:
            node.stream_reply(now, address("b"), payload)
        case _:
            node.datagram(now, address("b"), payload)


def state(node: Swim) -> tuple[int, int, Member]:
    """Say what a node knows, briefly."""
    return node.fingerprint(), len(node.members()), node.me


def received(node: Swim) -> int:
    """Count the packets that a node has read."""
    return sum(node.stats.received.values())


def allocated_blocks() -> int:
    """Count what Python holds in memory."""
    gc.collect()
    return sys.getallocatedblocks()
