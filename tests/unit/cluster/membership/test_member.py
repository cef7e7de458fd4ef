"""Precedence of beliefs, and the size of metadata."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.membership.member import META_BYTES_MAX, Member, MemberState, Meta, encode_meta
from respcache.errors import ConfigError


def member(epoch_unix_ms: int, incarnation: int, state: MemberState) -> Member:
    """Make a belief about one node."""
    meta = Meta(client_port=6_379, http_port=0)
    return Member("a", epoch_unix_ms, incarnation, state, ("10.0.0.1", 1), meta, since_s=0.0)


def test_beliefs_are_ordered_by_epoch_then_incarnation_then_state() -> None:
    """A restart beats everything older, a refutation beats an accusation, a good-bye beats a death."""
    ascending = [
        member(epoch, incarnation, state).precedence
        for epoch, incarnation, state in itertools.product((1, 2), (0, 1), MemberState)
    ]

    assert ascending == sorted(ascending)
    assert [state.name for state in MemberState] == ["ALIVE", "SUSPECT", "DEAD", "LEFT"]


def test_a_suspect_still_counts_as_a_member() -> None:
    """Alive and suspect members are live, dead and left ones are not."""
    assert [member(1, 0, state).live for state in MemberState] == [True, True, False, False]


def test_metadata_has_a_size_limit() -> None:
    """Metadata that would not fit into a datagram is refused where it is made."""
    with pytest.raises(ConfigError, match="512"):
        encode_meta(Meta(client_port=1, http_port=0, features=("x" * 128,) * 4))


@given(label=st.text(max_size=64), zone=st.text(max_size=100), weight=st.floats(0.1, 1_000))
def test_ordinary_metadata_fits(label: str, zone: str, weight: float) -> None:
    """Whatever encodes at all is within the limit."""
    try:
        encoded = encode_meta(Meta(client_port=1, http_port=2, label=label, zone=zone, weight=weight))
    except ConfigError:
        return
    assert len(encoded) <= META_BYTES_MAX
