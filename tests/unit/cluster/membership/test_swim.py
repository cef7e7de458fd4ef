"""The machine as a whole: packets in, effects out."""

import math
from dataclasses import replace

import pytest

from respcache.cluster.membership import (
    LAN,
    Address,
    Effect,
    Joined,
    MemberState,
    Meta,
    NameConflict,
    Send,
    SendStream,
    Suspected,
    Updated,
)
from respcache.cluster.membership.wire import (
    DATAGRAM_BYTES_MAX,
    Ack,
    Gossip,
    Nack,
    Packet,
    Ping,
    PingReq,
    Rumor,
    SyncReply,
    SyncRequest,
    decode_stream,
)
from respcache.errors import ConfigError
from unit.cluster.membership.nodes import address, alive, events, member_of, next_ping, packet, sent, swim


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
    node.set_lag(3)
    source = ("192.168.0.1", 999)

    answers = sent(node.datagram(1.0, source, packet("b", Ping(5, "a"))))

    assert [(to, answer.message) for to, answer in answers] == [(source, Ack(5, 3))]
    assert answers[0][1].digest == node.fingerprint()


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


@pytest.mark.parametrize(("lag_ms", "told_ms"), [(-3, 0), (3, 3), (2**40, 2**31)])
def test_the_lag_that_rides_along_stays_in_range(lag_ms: int, told_ms: int) -> None:
    """What has no room in an ack is cut down to what has."""
    node = member_of("b")
    node.set_lag(lag_ms)

    answer = sent(node.datagram(1.0, address("b"), packet("b", Ping(5, "a"))))[0][1]
    assert answer.message == Ack(5, told_ms)


def test_a_farewell_reaches_everybody_however_few_times_a_rumor_is_sent() -> None:
    """Eight members, four transmissions: each of the seven others is told of the leave at once."""
    node = member_of("b", "c", "d", "e", "f", "g", "h")

    told = [[rumor.state for rumor in one.rumors if rumor.name == "a"] for _, one in sent(node.leave(1.0))]

    assert len(told) == 7
    assert all(MemberState.LEFT in states for states in told)


def test_an_oversize_datagram_is_counted_as_such() -> None:
    """It is not even looked at."""
    node = swim()
    node.datagram(0.0, address("b"), bytes(DATAGRAM_BYTES_MAX + 1))

    assert (node.stats.dropped["oversize"], node.stats.dropped["decode"]) == (1, 0)


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


@pytest.mark.parametrize(("newcomers", "syncs"), [(20, 0), (100, 1)])
def test_more_news_than_gossip_can_carry_is_fetched(newcomers: int, syncs: int) -> None:
    """Half a sync interval after a crowd came a difference is looked into; with fewer, rumours are waited for."""
    node = member_of("b")
    names = [f"n{number}" for number in range(newcomers)]
    node.stream(0.1, packet("b", Gossip(), *map(alive, names)))

    now = 0.1 + LAN.sync_interval_s / 2
    effects = node.datagram(now, address("b"), packet("b", Ping(1, "a"), digest=12_345))

    requests = [decode_stream(effect.payload).message for effect in effects if isinstance(effect, SendStream)]
    assert [type(message) for message in requests] == [SyncRequest] * syncs


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
