"""The timing profiles and what they refuse."""

from dataclasses import FrozenInstanceError, replace

import pytest

from respcache.cluster.membership.profile import LAN, LOCAL, PROFILES, WAN
from respcache.errors import ConfigError


def test_profiles_are_known_by_name() -> None:
    """Each profile stands under the name that users write."""
    assert dict(PROFILES) == {"local": LOCAL, "lan": LAN, "wan": WAN}


def test_a_profile_is_immutable() -> None:
    """Nodes of one process may share a profile."""
    with pytest.raises(FrozenInstanceError):
        LAN.gossip_fanout = 9  # type: ignore[misc]  # that it fails is the point


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"probe_interval_s": 0.3}, "twice probe_timeout_s"),
        ({"gossip_interval_s": 0.6}, "exceeds probe_interval_s"),
        ({"reseed_interval_s": 0.4}, "below probe_interval_s"),
        ({"tombstone_s": 12.0}, "longest suspicion"),
        ({"probe_timeout_s": 0.0}, "above 0 seconds"),
        ({"stall_s": float("nan")}, "finite"),
        ({"stream_timeout_s": float("inf")}, "finite"),
        ({"indirect_probes": 17}, "between 0 and 16"),
        ({"gossip_fanout": 0}, "between 1 and 16"),
        ({"members_max": 1}, "between 2 and 65536"),
        ({"suspicion_confirmations": 6}, "between 0 and 5"),
    ],
)
def test_contradictions_are_refused_with_a_reason(changes: dict[str, float], complaint: str) -> None:
    """A bad number or a bad pair of numbers is named, with why it is bad."""
    with pytest.raises(ConfigError, match=complaint) as refusal:
        replace(LAN, **changes)  # type: ignore[arg-type]  # floats and ints alike

    assert next(iter(changes)) in str(refusal.value)
