"""Who is accused, who is told of it, and when a node doubts itself: the machine as a whole."""

import pytest

from respcache.cluster.membership import (
    Died,
    MemberState,
    SendStream,
    Suspected,
)
from respcache.cluster.membership.wire import (
    Ack,
    Gossip,
    Nack,
    Ping,
    PingReq,
    decode_stream,
)
from unit.cluster.membership.nodes import address, alive, events, member_of, next_ping, packet, sent


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


def test_a_suspect_is_told_over_the_stream_as_well() -> None:
    """Where datagrams do not reach it, the ping over TCP carries the suspicion."""
    node = member_of("b")
    node.datagram(0.0, address("b"), packet("b", Gossip(), alive("b", state=MemberState.SUSPECT)))
    now, _, _, _ = next_ping(node, 0.0)
    streams = [effect for effect in node.tick(now + 0.2) if isinstance(effect, SendStream)]

    rumors = [(rumor.name, rumor.state) for stream in streams for rumor in decode_stream(stream.payload).rumors]
    assert ("b", MemberState.SUSPECT) in rumors


def test_a_suspect_that_speaks_is_told() -> None:
    """Nobody else may hold it suspect any more, so nobody else would tell it; once per gossip interval is enough."""
    node = member_of("b", "c")
    node.datagram(0.0, address("c"), packet("c", Gossip(), alive("b", state=MemberState.SUSPECT)))

    def told(now: float) -> list[str]:
        answers = sent(node.datagram(now, address("b"), packet("b", Nack(1))))
        return [rumor.name for _, one in answers for rumor in one.rumors if rumor.state is MemberState.SUSPECT]

    assert "b" in told(0.0)
    assert told(0.01) == []
    assert "b" in told(0.2)


def test_a_measured_round_trip_shortens_the_wait_for_the_direct_ack() -> None:
    """Helpers are asked after a quarter of the timeout at the earliest, and then have a whole one."""
    node = member_of("b", "c")
    for _ in range(2):
        now, target, round_no, _ = next_ping(node, node.deadline)
        node.datagram(now + 0.001, address(target), packet(target, Ack(round_no, 4)))
    contact = node.contact(target)
    assert contact is not None
    assert contact.round_trip_s == pytest.approx(0.001)
    assert contact.lag_ms == 4

    now, target, round_no, _ = next_ping(node, node.deadline)
    asked = sent(node.tick(now + 0.05))
    assert PingReq(round_no, target) in [one.message for _, one in asked]
    assert Suspected not in events(node.tick(now + 0.24))
    assert Suspected in events(node.tick(now + 0.25))


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
    """Its clock was set back: once told, it raises its epoch; its digest counts for nothing until then."""
    node = member_of("b")
    node.datagram(0.0, address("b"), packet("b", Gossip(), alive("b", epoch=500)))

    effects = node.datagram(1.0, address("b"), packet("b", Ping(1, "a")))

    assert events(effects) == []
    assert 500 in [rumor.epoch_unix_ms for _, one in sent(effects) for rumor in one.rumors if rumor.name == "b"]
