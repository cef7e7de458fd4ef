"""Who listens to what."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.pubsub.audience import SUBSCRIPTION_BYTES, Audiences, Kind, size_of
from unit.pubsub.exchanges import Listener

STEPS = st.tuples(
    st.sampled_from(("join", "quit")),
    st.sampled_from((0, 1, "p", "q")),
    st.sampled_from(Kind),
    st.sampled_from((b"", b"a", b"ab")),
)


@given(st.lists(STEPS, max_size=60))
def test_counts_and_tables_are_those_of_a_plain_set(steps: list[tuple[str, int | str, Kind, bytes]]) -> None:
    """Whoever comes and goes; nothing is left of a name that nobody listens to."""
    audiences = Audiences()
    clients = (Listener(), Listener())
    present: set[tuple[int | str, Kind, bytes]] = set()
    for verb, who, kind, name in steps:
        entry = (who, kind, name)
        if (entry in present) == (verb == "join"):
            continue
        others_here = any((other, kind, name) in present for other in (0, 1) if other != who)
        present.symmetric_difference_update({entry})
        if isinstance(who, str):
            (audiences.peer_joins if verb == "join" else audiences.peer_quits)(kind, name, who)
        else:
            change = audiences.join if verb == "join" else audiences.quit
            assert change(kind, name, clients[who]) is not others_here
    here = {(kind, name) for who, kind, name in present if isinstance(who, int)}
    subscriptions = sum(isinstance(who, int) for who, _, _ in present)
    assert [{*audiences.tables[kind]} for kind in Kind] == [
        {name for _, k, name in present if k is kind} for kind in Kind
    ]
    assert {(kind, name) for kind in Kind for name in audiences.here(kind)} == here
    assert sum(audiences.names_here) == len(here)
    assert audiences.subscriptions == subscriptions
    assert audiences.memory_bytes == sum(size_of(*name) for name in here) + SUBSCRIPTION_BYTES * subscriptions
    for kind in Kind:
        for name, audience in audiences.tables[kind].items():
            assert audience.peers == {who for who, k, n in present if isinstance(who, str) and (k, n) == (kind, name)}


def test_patterns_match_channels_for_those_who_are_meant() -> None:
    """With `here` those of other nodes are not even looked at."""
    audiences = Audiences()
    audiences.join(Kind.PATTERN, b"a*", Listener())
    audiences.peer_joins(Kind.PATTERN, b"*b", "p")
    assert [pattern for pattern, _ in audiences.matching(b"ab", here=False)] == [b"a*", b"*b"]
    assert [pattern for pattern, _ in audiences.matching(b"ab", here=True)] == [b"a*"]
    assert not list(audiences.matching(b"c", here=False))
