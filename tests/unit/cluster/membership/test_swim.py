"""The machine as a whole: packets in, effects out."""

import math
import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from respcache.cluster.membership import (
    LAN,
    Address,
    Died,
    Effect,
    GossipConfig,
    Joined,
    MemberState,
    Meta,
    NameConflict,
    PeerRecordVersion,
    Send,
    SendStream,
    Suspected,
    Swim,
    Updated,
)
from respcache.cluster.membership.member import encode_meta
from respcache.cluster.membership.wire import (
    DATAGRAM_BYTES_MAX,
    Ack,
    Gossip,
    Message,
    Nack,
    Packer,
    Packet,
    Ping,
    PingReq,
    Rumor,
    SyncReply,
    SyncRequest,
    close_packet,
    decode_datagram,
    decode_stream,
    encode_rumor,
)
from respcache.errors import ConfigError

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


def packet(
    sender: str, message: Message, *rumors: Rumor, digest: int = 0, label: str = "shop", version: int = 0
) -> bytes:
    """Write what a node sends."""
    head = Packer(label=label, sender=sender, epoch_unix_ms=100).head(message, digest=digest, record_version=version)
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
    node.datagram(0.0, address(names[0]), packet(names[0], Gossip(), *map(alive, names)))
    return node


def next_ping(node: Swim, now: float) -> tuple[float, str, int, list[Effect]]:
    """Let time pass until the node pings somebody: (when, whom, round, all effects)."""
    while True:
        now = max(now, node.deadline)
        effects = node.tick(now)
        for _, sent_packet in sent(effects):
            if isinstance(sent_packet.message, Ping):
                return now, sent_packet.message.target, sent_packet.message.round_no, effects


def test_two_nodes_join_by_one_sync() -> None:
    """Request, reply: each holds the other, their fingerprints agree, and nothing is left to say."""
    a, b = swim("a"), swim("b")
    requests = a.join(0.0, [address("b"), address("a")])
    assert [type(effect) for effect in requests] == [SendStream]
    request = requests[0]
    assert isinstance(request, SendStream)
    assert request.address == address("b")

    reply, at_b = b.stream(0.0, request.payload)
    at_a = a.stream_reply(0.0, address("b"), reply)

    assert events(at_b) == events(at_a) == [Joined]
    assert a.fingerprint() == b.fingerprint()
    assert a.joined
    assert {member.name for member in a.members()} == {"a", "b"}


def test_a_ping_is_acked_to_where_it_came_from() -> None:
    """The ack has the ping's number, and what this node shows of itself."""
    node = member_of("b")
    node.set_payload(17, lag_ms=3)
    source = ("192.168.0.1", 999)

    answers = sent(node.datagram(1.0, source, packet("b", Ping(5, "a"))))

    assert [(to, answer.message) for to, answer in answers] == [(source, Ack(5, 3))]
    assert (answers[0][1].record_version, answers[0][1].digest) == (17, node.fingerprint())


def test_a_ping_for_another_name_is_not_answered() -> None:
    """Whoever took over a dead node's address does not keep it alive."""
    assert sent(member_of("b").datagram(0.0, address("b"), packet("b", Ping(5, "gone")))) == []


def test_silence_leads_to_helpers_stream_and_suspicion() -> None:
    """Ping, then two helpers and a stream, then suspected within two probe timeouts."""
    node = member_of("b", "c", "d")
    now, target, round_no, _ = next_ping(node, 0.0)
    others = {"b", "c", "d"} - {target}

    effects = node.tick(now + 0.2)
    asked = [(to, one.message) for to, one in sent(effects) if isinstance(one.message, PingReq)]
    assert sorted(asked) == sorted((address(name), PingReq(round_no, target)) for name in others)
    streams = [effect for effect in effects if isinstance(effect, SendStream)]
    assert [stream.address for stream in streams] == [address(target)]
    assert decode_stream(streams[0].payload).message == Ping(round_no, target)

    effects = node.tick(now + 0.4)
    assert Suspected in events(effects)


@pytest.mark.parametrize("way", ["direct", "helper", "stream"])
def test_a_sign_of_life_ends_the_probe(way: str) -> None:
    """Whether it comes directly, through a helper or over the stream."""
    node = member_of("b", "c")
    now, target, round_no, _ = next_ping(node, 0.0)
    helper = ({"b", "c"} - {target}).pop()
    if way != "direct":
        node.tick(now + 0.2)
    match way:
        case "stream":
            node.stream_reply(now + 0.3, address(target), packet(target, Ack(round_no)))
        case "helper":
            node.datagram(now + 0.3, address(helper), packet(helper, Ack(round_no)))
        case _:
            node.datagram(now + 0.01, address(target), packet(target, Ack(round_no)))

    assert Suspected not in events(node.tick(now + 0.4))
    assert sum(node.stats.probes.values()) == 1
    assert node.stats.probes["timeout"] == 0


def test_an_ack_of_a_bystander_proves_nothing() -> None:
    """Only the target and the helpers that were asked may answer."""
    node = member_of("b", "c", profile=replace(LAN, indirect_probes=0))
    now, target, round_no, _ = next_ping(node, 0.0)
    bystander = ({"b", "c"} - {target}).pop()
    node.datagram(now, address(bystander), packet(bystander, Ack(round_no)))
    node.tick(now + 0.2)

    assert Suspected in events(node.tick(now + 0.4))


def test_a_helper_pings_and_forwards_or_says_that_it_heard_nothing() -> None:
    """The requester's number comes back in the ack, or in a nack in time."""
    node = member_of("b", "c")
    pings = sent(node.datagram(0.0, address("b"), packet("b", PingReq(5, "c"))))
    assert [to for to, _ in pings] == [address("c")]
    own_round_no = pings[0][1].message.round_no  # type: ignore[union-attr]  # it is a Ping

    acked = sent(node.datagram(0.05, address("c"), packet("c", Ack(own_round_no, 9))))
    assert [(to, one.message) for to, one in acked] == [(address("b"), Ack(5, 9))]

    node.datagram(0.1, address("b"), packet("b", PingReq(6, "c")))
    nacks: list[tuple[Address, Packet]] = []
    while not nacks:
        nacks = [(to, one) for to, one in sent(node.tick(node.deadline)) if isinstance(one.message, Nack)]
    assert [(to, one.message) for to, one in nacks] == [(address("b"), Nack(6))]


def test_a_helper_that_cannot_help_says_so_at_once() -> None:
    """A stranger is not pinged: nobody can aim our pings at an address."""
    answers = sent(member_of("b").datagram(0.0, address("b"), packet("b", PingReq(5, "stranger"))))

    assert [(to, one.message) for to, one in answers] == [(address("b"), Nack(5))]


def test_a_node_told_that_it_is_dead_refutes_at_once() -> None:
    """The teller is answered directly with a higher incarnation; gossip tells the others."""
    node = member_of("b", "c")

    answers = sent(node.datagram(1.0, address("b"), packet("b", Gossip(), alive("a", state=MemberState.DEAD))))

    assert address("b") in [to for to, _ in answers]
    assert answers[0][1].rumors[0].incarnation == 1
    assert node.me.incarnation == 1
    assert node.stats.refutations == 1


def test_a_suspect_is_told_in_the_next_ping() -> None:
    """Whoever is accused learns it from the one that probes it."""
    node = member_of("b")
    node.datagram(0.0, address("b"), packet("b", Gossip(), alive("b", state=MemberState.SUSPECT)))
    _, target, _, effects = next_ping(node, 0.0)

    rumors = [rumor for to, one in sent(effects) if to == address(target) for rumor in one.rumors]
    assert ("b", MemberState.SUSPECT) in [(rumor.name, rumor.state) for rumor in rumors]


def test_a_dead_node_that_speaks_is_told_that_it_is_dead() -> None:
    """So that it can refute; and what it says of others is not believed until then."""
    node = member_of("b", "c")
    node.datagram(0.0, address("c"), packet("c", Gossip(), alive("b", state=MemberState.DEAD)))

    accusation = packet("b", Ping(1, "a"), alive("c", state=MemberState.DEAD))
    answers = sent(node.datagram(1.0, address("b"), accusation))

    told = [(rumor.name, rumor.state) for _, one in answers for rumor in one.rumors]
    assert ("b", MemberState.DEAD) in told
    held = node.member("c")
    assert held is not None
    assert held.state is MemberState.ALIVE


def test_a_node_that_did_not_run_judges_nobody() -> None:
    """After a stall in the midst of a probe there is neither verdict nor death, and health suffers."""
    node = member_of("b", "c")
    now, _, _, _ = next_ping(node, 0.0)
    node.datagram(now, address("b"), packet("b", Gossip(), alive("c", state=MemberState.SUSPECT)))

    effects = node.tick(now + 60)

    assert Suspected not in events(effects)
    assert Died not in events(effects)
    assert node.stats.stalls == 1
    assert node.health_score == 1
    assert node.datagram(now + 60, address("b"), b"") == []
    assert node.stats.stalls == 1


def test_a_stall_while_helpers_are_asked_is_no_verdict() -> None:
    """The answers may lie unread in our own socket."""
    node = member_of("b", "c")
    now, _, _, _ = next_ping(node, 0.0)
    node.tick(now + 0.2)

    assert Suspected not in events(node.tick(now + 60))
    assert node.stats.probes["timeout"] == 0


@pytest.mark.parametrize(("nacks", "score"), [(0, 2), (1, 1), (2, 0)])
def test_helpers_that_say_nothing_make_us_doubt_ourselves(nacks: int, score: int) -> None:
    """Each helper that sent not even a nack worsens our health by one; an answered probe improves it."""
    node = member_of("b", "c", "d")
    now, target, round_no, _ = next_ping(node, 0.0)
    node.tick(now + 0.2)
    for helper in sorted({"b", "c", "d"} - {target})[:nacks]:
        node.datagram(now + 0.3, address(helper), packet(helper, Nack(round_no)))
    node.tick(now + 0.4)
    assert node.health_score == score

    now, target, round_no, _ = next_ping(node, now + 0.4)
    node.datagram(now, address(target), packet(target, Ack(round_no)))
    assert node.health_score == max(0, score - 1)


def test_an_earlier_run_that_still_speaks_is_told_of_the_later_one() -> None:
    """Its clock was set back: once told, it raises its epoch; its digest and record count for nothing until then."""
    node = member_of("b")
    node.datagram(0.0, address("b"), packet("b", Gossip(), alive("b", epoch=500)))

    effects = node.datagram(1.0, address("b"), packet("b", Ping(1, "a"), version=9))

    assert events(effects) == []
    assert 500 in [rumor.epoch_unix_ms for _, one in sent(effects) for rumor in one.rumors if rumor.name == "b"]


def test_a_difference_of_views_starts_one_sync() -> None:
    """A foreign digest in a ping, once rumours had time to settle; no second sync while the first is under way."""
    node = member_of("b")
    ping = packet("b", Ping(1, "a"), digest=12_345)
    assert not any(isinstance(effect, SendStream) for effect in node.datagram(0.1, address("b"), ping))

    now = 0.1
    streams: list[Effect] = []
    while now < 3.0:
        now = min(now + 0.1, 3.0)
        effects = [*node.tick(now), *node.datagram(now, address("b"), ping)]
        streams += [
            effect
            for effect in effects
            if isinstance(effect, SendStream) and isinstance(decode_stream(effect.payload).message, SyncRequest)
        ]

    assert [stream.address for stream in streams if isinstance(stream, SendStream)] == [address("b")]


def test_a_sync_reply_names_what_differs_and_gets_the_rest() -> None:
    """What the other side lacks is pushed to it in a second message."""
    node = member_of("b", "c")
    node.join(0.0, [address("d")])
    reply = packet("d", SyncReply(swim("d").stream(0.0, b"")[0] or bytes(512)), alive("d"))

    effects = node.stream_reply(0.1, address("d"), reply)

    pushes = [decode_stream(effect.payload) for effect in effects if isinstance(effect, SendStream)]
    assert [type(push.message) for push in pushes] == [Gossip]
    assert {rumor.name for rumor in pushes[0].rumors} == {"a", "b", "c", "d"}
    assert events(effects) == [Joined]


def test_another_cluster_is_not_spoken_to() -> None:
    """A packet of another label changes nothing and is counted."""
    node = swim()
    effects = node.datagram(0.0, address("b"), packet("b", Ping(1, "a"), alive("b"), label="other"))

    assert effects == []
    assert len(node.members()) == 1
    assert node.stats.dropped["label"] == 1
    assert node.stream(0.0, packet("b", SyncRequest(bytes(512)), alive("b"), label="other")) == (b"", [])


def test_a_seed_that_leads_back_to_us_is_recognized() -> None:
    """Called under an alias, a node finds out that it talks to itself, and is no conflict."""
    node = swim()
    alias = ("alias.example.org", 16_379)
    request = node.join(0.0, [alias])[0]
    assert isinstance(request, SendStream)
    reply, _ = node.stream(0.1, request.payload)

    assert events(node.stream_reply(0.1, alias, reply)) == []
    now = 0.1
    calls = []
    while now < 60:
        now = node.deadline
        calls += [effect for effect in node.tick(now) if isinstance(effect, SendStream)]
    assert calls == []


def test_the_newcomer_of_a_taken_name_is_told_and_falls_silent() -> None:
    """Same name, both alive, another address, no newer epoch: at once; and then not a packet more."""
    holder = swim("b")
    holder.datagram(0.0, address("a"), packet("a", Gossip(), alive("a")))
    newcomer = swim("a", epoch=100, address=("10.9.9.9", 16_379))
    request = newcomer.join(0.0, [address("b")])[0]
    assert isinstance(request, SendStream)
    reply, at_holder = holder.stream(0.0, request.payload)

    assert newcomer.stream_reply(0.0, address("b"), reply) == [NameConflict("a", address("a"))]
    assert events(at_holder) == []
    assert newcomer.deadline == math.inf
    assert newcomer.datagram(1.0, address("b"), packet("b", Ping(1, "a"))) == []
    assert newcomer.tick(100.0) == []


def test_a_newer_record_is_told_once() -> None:
    """A version above any that this member showed before is an event, the same again is none."""
    node = member_of("b")

    assert PeerRecordVersion("b", 7) in node.datagram(0.0, address("b"), packet("b", Ping(1, "a"), version=7))
    assert events(node.datagram(0.0, address("b"), packet("b", Ping(2, "a"), version=7))) == []
    assert events(node.datagram(0.0, address("b"), packet("b", Ping(3, "a"), version=6))) == []


def test_leaving_is_told_to_several_members_at_once() -> None:
    """The good-bye goes out with the call itself, and nobody is probed afterwards."""
    node = member_of("b", "c", "d")
    farewells = sent(node.leave(0.0))

    assert {to for to, _ in farewells} == {address(name) for name in "bcd"}
    assert all(("a", MemberState.LEFT) in [(r.name, r.state) for r in one.rumors] for _, one in farewells)
    now = 0.0
    while node.spreading:
        now = node.deadline
        assert not any(isinstance(one.message, Ping) for _, one in sent(node.tick(now)))
    assert now < 5.0


def test_new_metadata_reaches_a_peer() -> None:
    """The others learn of it as an update."""
    node, peer = member_of("b"), member_of("a", name="b")
    node.publish(0.0, Meta(client_port=7_000, http_port=0, label="shop"))
    told: list[Effect] = []
    while Updated not in events(told):
        for effect in node.tick(node.deadline):
            if isinstance(effect, Send):
                told += peer.datagram(0.0, address("a"), effect.payload)

    held = peer.member("a")
    assert held is not None
    assert held.meta.client_port == 7_000


def test_a_running_node_stays_in_its_cluster() -> None:
    """Another label would cut it off from everybody."""
    with pytest.raises(ConfigError, match="label"):
        swim().publish(0.0, Meta(client_port=1, http_port=0, label="other"))


def test_every_datagram_fits_the_mtu() -> None:
    """A thousand rumours at once are spread over many packets, none above the limit."""
    node = swim()
    crowd = [replace_name(alive("x"), f"member-{number:04}") for number in range(1_000)]
    for start in range(0, 1_000, 5):
        node.datagram(0.0, address("b"), packet("b", Gossip(), *crowd[start : start + 5]))
    now, sizes = 0.0, []
    while node.rumors_queued and now < 60:
        now = node.deadline
        sizes += [len(effect.payload) for effect in node.tick(now) if isinstance(effect, Send)]

    assert len(node.members()) == 1_001
    assert max(sizes) <= DATAGRAM_BYTES_MAX
    assert max(sizes) > DATAGRAM_BYTES_MAX - 200


def replace_name(rumor: Rumor, name: str) -> Rumor:
    """Tell the same of another node."""
    return Rumor(name, rumor.epoch_unix_ms, rumor.incarnation, rumor.state, rumor.host, rumor.port, rumor.meta)


def test_no_bytes_make_it_raise_or_grow() -> None:
    """Mutated packets of all kinds, 15,000 of them, into datagram, stream and stream_reply."""
    rng = random.Random(7)
    profile = replace(LAN, members_max=20, rumors_max=16)
    node = member_of("b", "c", profile=profile)
    told = [alive("a", 3), alive("b", 1, state=MemberState.SUSPECT), alive("d"), alive("c", state=MemberState.DEAD)]
    kinds: list[Message] = [
        Ping(1, "a"),
        Ack(1),
        Nack(1),
        PingReq(1, "b"),
        Gossip(),
        SyncRequest(bytes(512)),
        SyncReply(bytes(512)),
    ]
    originals = [packet(sender, kind, *told) for kind in kinds for sender in ("b", "x", "a")]
    now = 0.0
    for turn in range(15_000):
        payload = bytearray(rng.choice(originals))
        for _ in range(rng.randint(0, 3)):
            place = rng.randrange(len(payload))
            payload[place : place + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 2))
            payload = payload or bytearray(1)
        now += 0.001
        match turn % 3:
            case 0:
                node.datagram(now, address("b"), bytes(payload))
            case 1:
                node.stream(now, bytes(payload))
            case _:
                node.stream_reply(now, address("b"), bytes(payload))
        node.tick(now)

    assert len(node.members()) <= 20
    assert node.rumors_queued <= 16
    assert node.stats.dropped["decode"] > 1_000


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "two words"}, "name"),
        ({"name": ""}, "name"),
        ({"epoch": -1}, "epoch"),
        ({"address": ("10.0.0.1", 0)}, "port"),
        ({"address": ("", 1)}, "host"),
        ({"meta": Meta(client_port=1, http_port=0, features=("x" * 128,) * 5)}, "512"),
    ],
)
def test_what_does_not_fit_the_wire_is_refused_at_the_start(changes: dict[str, object], complaint: str) -> None:
    """A node that nobody could hear of does not start."""
    given = {"name": "a", "address": ("10.0.0.1", 1), **changes}
    with pytest.raises(ConfigError, match=complaint):
        swim(**given)  # type: ignore[arg-type]  # a test's shorthand
