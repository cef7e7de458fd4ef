"""Membership machines for tests, what they are told, and what they answer."""

import random
from collections.abc import Iterable

from respcache.cluster.membership import (
    LAN,
    Address,
    Effect,
    GossipConfig,
    MemberState,
    Meta,
    Send,
    SendStream,
    Swim,
)
from respcache.cluster.membership.member import encode_meta
from respcache.cluster.membership.wire import (
    Gossip,
    Message,
    Packer,
    Packet,
    Ping,
    Rumor,
    close_packet,
    decode_datagram,
    encode_rumor,
)

META = Meta(client_port=6_379, http_port=0, label="shop")


def address(name: str) -> Address:
    """Give each name an address."""
    return (f"10.0.0.{ord(name[:1] or '?')}", 16_379)


def swim(
    name: str = "a", *, now: float = 0.0, epoch: int = 100, profile: GossipConfig = LAN, **changes: object
) -> Swim:
    """Make a node."""
    given = {"meta": META, "address": address(name), **changes}
    return Swim(name=name, profile=profile, rng=random.Random(name), now=now, epoch_unix_ms=epoch, **given)  # type: ignore[arg-type]  # a test's shorthand


def alive(name: str, incarnation: int = 0, epoch: int = 100, state: MemberState = MemberState.ALIVE) -> Rumor:
    """Make a rumour of a node."""
    return Rumor(name, epoch, incarnation, state, *address(name), encode_meta(META))


def packet(sender: str, message: Message, *rumors: Rumor, digest: int = 0, label: str = "shop") -> bytes:
    """Write what a node sends."""
    head = Packer(label=label, sender=sender, epoch_unix_ms=100).head(message, digest=digest)
    return close_packet(head, [encode_rumor(rumor) for rumor in rumors])


def sent(effects: Iterable[Effect]) -> list[tuple[Address, Packet]]:
    """Decode the datagrams among effects."""
    return [(effect.address, decode_datagram(effect.payload)) for effect in effects if isinstance(effect, Send)]


def events(effects: Iterable[Effect]) -> list[type]:
    """Name what is neither datagram nor stream."""
    return [type(effect) for effect in effects if not isinstance(effect, Send | SendStream)]


def member_of(*names: str, **arguments: object) -> Swim:
    """Make node a of a cluster with these others."""
    node = swim(**arguments)  # type: ignore[arg-type]  # a test's shorthand
    now = node.me.since_s
    node.datagram(now, address(names[0]), packet(names[0], Gossip(), *map(alive, names)))
    return node


def next_ping(node: Swim, now: float) -> tuple[float, str, int, list[Effect]]:
    """Let time pass until the node pings somebody: (when, whom, round, all effects)."""
    while True:
        now = max(now, node.deadline)
        effects = node.tick(now)
        for _, sent_packet in sent(effects):
            if isinstance(sent_packet.message, Ping):
                return now, sent_packet.message.target, sent_packet.message.round_no, effects
