"""A million mutated packets into every way in: nothing is raised, nothing grows, what is refused changes nothing."""

import random
from typing import Final

import pytest

from cores import Cores
from respcache.cluster.membership.member import encode_meta
from respcache.cluster.membership.wire import DecodeError, decode_meta
from unit.cluster.membership.fuzzing import CHUNKS, mutated, pelt
from unit.cluster.membership.nodes import META

pytestmark = pytest.mark.timeout(600)
"""Seconds of CPU on a quiet machine; one that is busy with other things may take many times that."""

METADATA: Final = 100_000


def test_no_packet_makes_a_node_raise_or_grow(cores: Cores) -> None:
    """Datagrams, stream requests and replies: what is refused changes no member, what is read stays within limits."""
    cores.each(pelt, range(CHUNKS))


@pytest.mark.parametrize("seed", range(2))
def test_no_metadata_makes_the_decoder_raise(seed: int) -> None:
    """What a member tells of itself is read, or refused as a whole."""
    rng = random.Random(f"meta {seed}")
    whole = encode_meta(META)
    refused = 0
    for _ in range(METADATA // 2):
        try:
            decode_meta(mutated(rng, whole))
        except DecodeError:
            refused += 1

    assert refused > METADATA // 8
