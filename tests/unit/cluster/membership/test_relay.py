"""Pings on behalf of others."""

import math

from respcache.cluster.membership.relay import RELAYS_MAX, Relay, Relays

REQUESTER = ("10.0.0.9", 1)


def relay(round_no: int = 5) -> Relay:
    """Take on a request at time 0: nack at 1 s, over at 3 s."""
    return Relay(REQUESTER, round_no, nack_at=1.0, ends_at=3.0)


def test_an_ack_ends_a_request() -> None:
    """It is forwarded once; a second one is nobody's."""
    relays = Relays()
    assert relays.start(7, relay())

    assert relays.ack(7) == relay()
    assert relays.ack(7) is None
    assert relays.tick(1.0) == []


def test_silence_is_told_once_and_a_late_ack_still_forwarded() -> None:
    """A nack does not close the request; its end does."""
    relays = Relays()
    relays.start(7, relay())
    relays.start(8, relay(6))

    assert relays.tick(0.9) == []
    assert [owed.round_no for owed in relays.tick(1.0)] == [5, 6]
    assert relays.tick(2.0) == []
    assert relays.ack(7) is not None
    assert relays.deadline == 3.0
    relays.tick(3.0)
    assert relays.ack(8) is None
    assert relays.deadline == math.inf


def test_requests_are_bounded() -> None:
    """Beyond the limit a request is refused."""
    relays = Relays()
    assert all(relays.start(number, relay()) for number in range(RELAYS_MAX))
    assert not relays.start(RELAYS_MAX, relay())

    relays.clear()

    assert relays.deadline == math.inf
    assert relays.start(RELAYS_MAX, relay())
