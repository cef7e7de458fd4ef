"""Sealed connections: who has no key gets nothing, and who changes a byte ends it."""

import random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.sealing import channel
from respcache.cluster.sealing.channel import RECORD_BYTES_MAX, Channel, ChannelBroken, Identity
from respcache.cluster.sealing.keyring import Key, Keyring

OLD, NEW, FOREIGN = (Key.of(bytes([number]) * 32) for number in (1, 2, 3))
A, B = Identity("a", 1), Identity("b", 2)
LINK, QUESTION = b"link", b"question"


class End:
    """One end of a connection, and the ring of its node."""

    def __init__(self, me: Identity, *keys: Key, label: str = "", seed: int = 0) -> None:
        self.ring = Keyring(keys or (OLD,))
        self.channel: Final = Channel(
            lambda: self.ring, me, label=label, entropy=random.Random(f"{me}{seed}").randbytes
        )


def connected(a: End | None = None, b: End | None = None) -> tuple[End, End]:
    """Connect two ends; the first one dials."""
    a, b = a or End(A), b or End(B)
    a.channel.welcomed(b.channel.welcome(a.channel.hail(LINK), LINK))
    return a, b


def carried(here: End, there: End, plaintext: bytes) -> bytes:
    """Carry bytes from one end to the other."""
    return b"".join(there.channel.open(record) for record in here.channel.seal(plaintext))


def broken(reason: str) -> "pytest.RaisesExc[ChannelBroken]":
    """Expect the connection to end for a reason."""
    return pytest.raises(ChannelBroken, check=lambda problem: problem.reason == reason)


def test_two_nodes_with_a_key_understand_each_other() -> None:
    """In both directions, and each knows whom it talks to."""
    a, b = connected()
    assert (a.channel.peer, b.channel.peer) == (B, A)
    for here, there in ((a, b), (b, a), (b, a), (a, b)):
        assert carried(here, there, b"words") == b"words"
    assert b"words" not in a.channel.seal(b"words")[0]


@pytest.mark.parametrize("size", [0, 1, RECORD_BYTES_MAX, RECORD_BYTES_MAX + 1, 3 * RECORD_BYTES_MAX + 7])
def test_records_are_of_limited_size(size: int) -> None:
    """Whatever is to be sent; the receiver never has to hold more than one."""
    a, b = connected()
    plaintext = random.Random(size).randbytes(size)
    records = a.channel.seal(plaintext)
    assert max(map(len, records)) <= RECORD_BYTES_MAX + 16
    assert b"".join(map(b.channel.open, records)) == plaintext


@pytest.mark.parametrize(
    ("stranger", "reason"), [(End(A, FOREIGN), "key"), (End(A, label="other"), "auth"), (End(B), "reflected")]
)
def test_who_does_not_belong_here_is_refused_at_once(stranger: End, reason: str) -> None:
    """Another key, another cluster, this node itself; nothing is answered."""
    with broken(reason):
        End(B).channel.welcome(stranger.channel.hail(LINK), LINK)


def test_an_offer_of_a_key_that_one_does_not_have_is_refused() -> None:
    """The fingerprint of a key is no secret; the proof counts."""
    liar = End(A, Key(FOREIGN.secret, OLD.id))
    with broken("auth"):
        End(B).channel.welcome(liar.channel.hail(LINK), LINK)
    a, liar = End(A), End(B, Key(FOREIGN.secret, OLD.id))
    liar.channel._agreed = lambda hail, peer: liar.ring.primary  # type: ignore[method-assign] # noqa: ARG005 # it does not care
    with broken("auth"):
        a.channel.welcomed(liar.channel.welcome(a.channel.hail(LINK), LINK))


def test_a_recorded_beginning_leads_nowhere() -> None:
    """It is answered, for it is authentic; but no recorded word fits the new connection."""
    a, b = End(A), End(B)
    hail = a.channel.hail(LINK)
    a.channel.welcomed(b.channel.welcome(hail, LINK))
    recorded = a.channel.seal(b"do it")
    assert b.channel.open(recorded[0]) == b"do it"
    again = End(B, seed=1)
    again.channel.welcome(hail, LINK)
    with broken("auth"):
        again.channel.open(recorded[0])


def test_a_recorded_answer_leads_nowhere() -> None:
    """Whoever poses as a node that was once dialled is found out by the confirmation."""
    a, b = End(A), End(B)
    recorded = b.channel.welcome(a.channel.hail(LINK), LINK)
    later = End(A, seed=1)
    later.channel.hail(LINK)
    with broken("auth"):
        later.channel.welcomed(recorded)


def test_records_cannot_be_repeated_left_out_swapped_or_sent_back() -> None:
    """Each has its place in its direction."""
    for mischief in ("repeat", "omit", "swap", "reflect"):
        a, b = connected()
        first, second = a.channel.seal(b"1") + a.channel.seal(b"2")
        wrong = {"repeat": [first, first], "omit": [second], "swap": [second, first], "reflect": []}[mischief]
        with broken("auth"):
            for record in wrong or b.channel.seal(b"3"):
                b.channel.open(record)


@given(st.data())
@settings(max_examples=100)
def test_no_change_of_the_handshake_gets_through(data: st.DataObject) -> None:
    """Any flipped bit or missing byte, on either way, and the connection is not made."""
    a, b = End(A), End(B)
    hail = a.channel.hail(LINK)
    at_hail = data.draw(st.booleans())
    with pytest.raises(ChannelBroken):
        a.channel.welcomed(_changed(data, b.channel.welcome(_changed(data, hail) if at_hail else hail, LINK)))


def _changed(data: st.DataObject, body: bytes) -> bytes:
    if data.draw(st.booleans()):
        return body[: data.draw(st.integers(0, len(body) - 1))]
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    return body[: bit // 8] + bytes([body[bit // 8] ^ 1 << bit % 8]) + body[bit // 8 + 1 :]


def test_every_single_bit_of_the_handshake_counts() -> None:
    """Names, runs, versions and offers are bound to the keys of the connection."""
    a = End(A, OLD, NEW)
    hail = a.channel.hail(LINK)
    for bit in range(8 * len(hail)):
        changed = hail[: bit // 8] + bytes([hail[bit // 8] ^ 1 << bit % 8]) + hail[bit // 8 + 1 :]
        with pytest.raises(ChannelBroken):
            a.channel.welcomed(End(B).channel.welcome(changed, LINK))


@given(st.binary(max_size=300))
def test_any_bytes_will_do_no_harm(garbage: bytes) -> None:
    """At any stage: the connection ends."""
    a, b = End(A), End(B)
    a.channel.hail(LINK)
    for take in (a.channel.welcomed, a.channel.open, b.channel.open, b.channel.rekeyed):
        with pytest.raises(ChannelBroken):
            take(garbage)
    with pytest.raises(ChannelBroken):
        b.channel.welcome(garbage, LINK)
    a, b = connected()
    for take in (a.channel.open, a.channel.rekeyed, a.channel.welcomed):
        with pytest.raises(ChannelBroken):
            take(garbage)
    for end in (a, b):
        with pytest.raises(ChannelBroken):
            end.channel.welcome(garbage, LINK)


def test_both_sides_have_to_mean_the_same_purpose() -> None:
    """What was said for one thing cannot be turned into the beginning of another."""
    with broken("auth"):
        End(B).channel.welcome(End(A).channel.hail(QUESTION), LINK)


def test_an_ephemeral_key_of_small_order_is_refused() -> None:
    """A member that wants an exchange without a secret does not get it."""
    a, b = End(A), End(B)
    a.channel._public = lambda: bytes(32)  # type: ignore[method-assign] # a point that makes every exchange zero
    with broken("auth"):
        b.channel.welcome(a.channel.hail(LINK), LINK)


def test_the_same_words_are_sealed_differently_on_every_connection() -> None:
    """The dice of each side alone see to that."""
    sealed = {
        connected(End(A, seed=seed % 3), End(B, seed=seed // 3))[0].channel.seal(b"words")[0] for seed in range(9)
    }
    assert len(sealed) == 9


def test_a_direction_goes_on_under_new_keys_before_the_count_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word, for both count alike."""
    monkeypatch.setattr(channel, "REKEY_RECORDS", 4)
    a, b = connected()
    keys = set()
    for number in range(20):
        assert carried(a, b, b"%d" % number) == b"%d" % number
        keys.add(a.channel._out._secret)
        assert carried(b, a, b"back") == b"back"
    assert len(keys) == 5


def test_a_connection_outlives_a_rotation() -> None:
    """Each side changes when its node does; in the end nothing rests on the old key, and it may go."""
    a, b = connected()
    for end in (a, b):
        end.ring = end.ring.install(NEW)
    assert a.channel.rekey() is None
    for here, there in ((a, b), (b, a)):
        here.ring = here.ring.use(NEW.fingerprint)
        before = here.channel.seal(b"before")[0]
        told = here.channel.rekey()
        assert told is not None
        after = here.channel.seal(b"after")[0]
        assert there.channel.open(before) == b"before"
        there.channel.rekeyed(told)
        assert there.channel.open(after) == b"after"
        assert carried(there, here, b"back") == b"back"
        assert here.channel.rekey() is None
    assert a.channel.key_ids == b.channel.key_ids == {NEW.id}
    for end in (a, b):
        end.ring = end.ring.remove(OLD.fingerprint)
    assert carried(a, b, b"on") == b"on"


def test_a_change_to_a_key_that_the_other_side_lacks_ends_the_connection() -> None:
    """Nothing could be opened from then on."""
    a, b = connected()
    a.ring = Keyring((NEW, OLD))
    told = a.channel.rekey()
    assert told is not None
    with broken("key"):
        b.channel.rekeyed(told)


def test_a_record_is_no_change_of_keys_and_the_reverse() -> None:
    """The kinds are told apart by what is authenticated."""
    a, b = connected()
    with broken("auth"):
        b.channel.rekeyed(a.channel.seal(NEW.id)[0])
    a, b = connected()
    a.ring = b.ring = Keyring((NEW, OLD))
    told = a.channel.rekey()
    assert told is not None
    with broken("auth"):
        b.channel.open(told)


@pytest.mark.parametrize(
    ("ring_of_a", "ring_of_b", "agreed"),
    [
        ((OLD, NEW), (NEW, OLD), NEW),
        ((OLD,), (NEW, OLD), OLD),
        ((NEW, OLD), (OLD,), OLD),
        ((FOREIGN, OLD), (OLD,), OLD),
    ],
)
def test_nodes_in_the_middle_of_a_rotation_agree_on_a_common_key(
    ring_of_a: tuple[Key, ...], ring_of_b: tuple[Key, ...], agreed: Key
) -> None:
    """The one that the listener likes best."""
    a, b = connected(End(A, *ring_of_a), End(B, *ring_of_b))
    assert a.channel.key_ids == b.channel.key_ids == {agreed.id}
    assert carried(a, b, b"x") == carried(b, a, b"x") == b"x"
