"""The steps of a rotation, and when they are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.sealing.keyring import Key, KeyRefused, Keyring
from respcache.cluster.sealing.rotation import Report, Step, Verb, check, decode, encode, stepped
from respcache.errors import ProtocolError

OLD, NEW = (Key.of(bytes([number]) * 32) for number in (1, 2))
A, B = OLD.fingerprint, NEW.fingerprint


def report(*keys: str, connections: tuple[str, ...] = ()) -> Report:
    """Make the report of a node."""
    return Report(1, "", keys, connections, "")


@pytest.mark.parametrize(
    ("verb", "subject", "reports", "silent", "told"),
    [
        (Verb.USE, B, {"a": report(A, B), "b": report(A)}, [], "b lack .*; install it first"),
        (Verb.USE, B, {"a": report(A, B)}, ["b"], "not all live members answer: b"),
        (Verb.USE, "ffffffff", {"a": report(A)}, [], "no node has a key ffffffff"),
        (Verb.REMOVE, A, {"a": report(B, A), "b": report(A, B)}, [], "primary key of b; use another one first"),
        (Verb.REMOVE, A, {"a": report(B, A)}, ["b"], "not all live members answer: b"),
        (Verb.REMOVE, A, {"a": report(B, A), "b": report(B, A, connections=(A,))}, [], "connections of b rest on"),
        (Verb.REMOVE, B, {"a": report(A, B), "b": report("cccccccc", B)}, [], "lack a key that others use"),
        (Verb.REMOVE, "ffffffff", {"a": report(A)}, [], "no node has a key"),
        (Verb.INSTALL, "secret", {}, [], "must be 32 bytes"),
    ],
)
def test_a_step_waits_for_the_one_before(
    verb: Verb, subject: str, reports: dict[str, Report], silent: list[str], told: str
) -> None:
    """On all live members; the refusal says what is to be done first."""
    with pytest.raises(KeyRefused, match=told):
        check(verb, subject, reports, silent)


def test_safe_steps_are_taken() -> None:
    """And those that do no harm in any case."""
    check(Verb.LIST, "", {}, ["b"])
    check(Verb.INSTALL, NEW.text, {"a": report(A)}, ["b"])
    check(Verb.USE, B, {"a": report(A, B), "b": report(B, A)}, [])
    check(Verb.REMOVE, A, {"a": report(B, A, connections=(B,)), "b": report(B)}, [])


def test_one_node_takes_the_steps() -> None:
    """And refuses on its own account what would cut its own connections."""
    ring = stepped(Keyring((OLD,)), Verb.INSTALL, NEW.text, connections=[A])
    assert stepped(ring, Verb.LIST, "", connections=[]) == ring
    ring = stepped(ring, Verb.USE, B, connections=[A])
    with pytest.raises(KeyRefused, match="rests on"):
        stepped(ring, Verb.REMOVE, A, connections=[A, B])
    assert stepped(ring, Verb.REMOVE, A, connections=[B]).keys == (NEW,)
    with pytest.raises(KeyRefused, match="must be 32 bytes") as caught:
        stepped(ring, Verb.INSTALL, "topsecret", connections=[])
    assert "topsecret" not in str(caught.value)


@given(st.lists(st.tuples(st.sampled_from(list(Verb)), st.sampled_from("abc"), st.booleans()), max_size=30))
def test_whatever_is_permitted_all_nodes_can_open_what_any_of_them_seals(
    steps: list[tuple[Verb, str, bool]],
) -> None:
    """In any order of steps and keys, and where steps fail to reach a node."""
    keys = {name: Key.of(name.encode() * 32) for name in "abc"}
    rings = {name: Keyring((keys["a"],)) for name in ("x", "y", "z")}
    for verb, name, reaches_all in steps:
        key = keys[name]
        subject = key.text if verb is Verb.INSTALL else key.fingerprint
        reports = {node: report(*ring.fingerprints) for node, ring in rings.items()}
        try:
            check(verb, subject, reports, [])
            for node in rings if reaches_all else ["x", "y"]:
                rings[node] = stepped(rings[node], verb, subject, connections=[])
        except KeyRefused:
            continue
        assert all(one.find(other.primary.id) for one in rings.values() for other in rings.values())


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(garbage: bytes) -> None:
    """And not repeated."""
    with pytest.raises(ProtocolError, match=r"^no message about keys$"):
        decode(garbage)


def test_messages_are_read_as_they_were_written() -> None:
    """And a step shows no key in its repr."""
    step = Step(1, Verb.INSTALL, NEW.text)
    assert decode(encode(step)) == step
    assert decode(encode(report(A, B))) == report(A, B)
    assert NEW.text not in repr(step)
