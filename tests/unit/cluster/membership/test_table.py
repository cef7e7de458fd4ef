"""The member table and its digests."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.membership.member import Member, MemberState, Meta
from respcache.cluster.membership.table import MemberTable

META = Meta(client_port=1, http_port=0)


def member(name: str, epoch: int = 1, incarnation: int = 0, state: MemberState = MemberState.ALIVE) -> Member:
    """Make a member."""
    return Member(name, epoch, incarnation, state, ("h", 1), META, since_s=0.0)


def filled(*members: Member, own: str = "me") -> MemberTable:
    """Make a table of these."""
    table = MemberTable(member(own))
    for one in members:
        table.put(one)
    return table


beliefs = st.builds(
    member, st.sampled_from("abcdef"), st.integers(1, 3), st.integers(0, 2), st.sampled_from(MemberState)
)


@given(history=st.lists(beliefs, max_size=30), seed=st.integers(0, 100))
def test_the_digest_depends_on_what_is_held_alone(history: list[Member], seed: int) -> None:
    """After any history it equals that of a new table with the same members in another order."""
    table = filled(*history)
    members = [one for one in table if one.name != "me"]
    random.Random(seed).shuffle(members)
    anew = filled(*members)

    assert (table.digest, table.buckets) == (anew.digest, anew.buckets)
    assert set(table.live_peers) == table.live_names == {one.name for one in members if one.live}
    assert table.live_count == len(table.live_peers) + 1


def test_the_digest_tells_incarnations_and_runs_apart_but_neither_suspicion_nor_the_dead() -> None:
    """Two nodes compare who is live, not what passes by itself."""
    digest = filled(member("a")).digest

    assert filled(member("a", incarnation=1)).digest != digest
    assert filled(member("a", epoch=2)).digest != digest
    assert filled(member("a", state=MemberState.SUSPECT)).digest == digest
    assert filled(member("a"), member("b", state=MemberState.DEAD)).digest == digest


def test_removal_undoes_addition() -> None:
    """A member added and removed leaves no trace."""
    table = filled()
    before = (table.digest, table.buckets, len(table))
    table.put(member("a"))
    table.remove("a")
    table.remove("never there")

    assert (table.digest, table.buckets, len(table)) == before


def test_only_what_differs_is_named() -> None:
    """Of a thousand common members one that is missing costs its own bucket."""
    common = [member(f"n{number}") for number in range(1_000)]
    left, right = filled(*common), filled(*common[1:])

    assert left.differing(left.buckets) == []
    differing = left.differing(right.buckets)
    assert common[0] in differing
    assert len(differing) < 50


def test_a_tombstone_goes_along_with_its_bucket() -> None:
    """Where views differ the dead are named as well: the other side may hold them alive."""
    left = filled(replace(member("a"), state=MemberState.DEAD))

    assert [one.name for one in left.differing(filled(member("a")).buckets)] == ["a"]
