"""Packets: round trips, limits, hostile bytes."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.membership import wire
from respcache.cluster.membership.member import Member, MemberState, Meta, encode_meta
from respcache.cluster.membership.wire import (
    ACCUSERS_MAX,
    BUCKET_BYTES,
    BUCKETS,
    DATAGRAM_BYTES_MAX,
    EPOCH_MAX,
    INCARNATION_MAX,
    Ack,
    Conflict,
    DecodeError,
    Gossip,
    Message,
    Nack,
    Packer,
    Packet,
    Ping,
    PingReq,
    Rumor,
    SyncReply,
    SyncRequest,
    close_packet,
    decode_datagram,
    decode_meta,
    decode_stream,
    encode_rumor,
    room_for_rumors,
    rumor_of,
)

META = Meta(client_port=6_379, http_port=9_379, zone="a", weight=2.0, features=("lua",))
BUCKETS_BYTES = BUCKETS * BUCKET_BYTES

names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
rounds = st.integers(0, 2**53)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Ping, rounds, names),
    st.builds(Ack, rounds, st.integers(0, 2**31)),
    st.builds(Nack, rounds),
    st.builds(PingReq, rounds, names),
    st.builds(Gossip),
    st.builds(SyncRequest, st.binary(min_size=BUCKETS_BYTES, max_size=BUCKETS_BYTES)),
    st.builds(SyncReply, st.binary(min_size=BUCKETS_BYTES, max_size=BUCKETS_BYTES)),
    st.builds(Conflict, st.integers(0, EPOCH_MAX), st.just("10.0.0.1"), st.integers(1, 65_535)),
)
rumors = st.builds(
    Rumor,
    name=names,
    epoch_unix_ms=st.integers(0, EPOCH_MAX),
    incarnation=st.integers(0, INCARNATION_MAX),
    state=st.sampled_from(MemberState),
    host=st.sampled_from(["10.1.2.3", "fe80::1%eth0", "node-1.example.org"]),
    port=st.integers(1, 65_535),
    meta=st.one_of(st.just(b""), st.just(encode_meta(META))),
    accusers=st.lists(names, max_size=ACCUSERS_MAX).map(tuple),
    age_s=st.integers(0, 2**31),
)


def pack(message: Message, *told: Rumor, sender: str = "a", label: str = "") -> bytes:
    """Write a packet."""
    head = Packer(label=label, sender=sender, epoch_unix_ms=7).head(message, digest=11)
    return close_packet(head, [encode_rumor(rumor) for rumor in told])


@given(message=messages, told=st.lists(rumors, max_size=40))
def test_what_is_packed_is_read_back(message: Message, told: list[Rumor]) -> None:
    """Header, message and rumours survive the way, whatever their number."""
    packet = decode_stream(pack(message, *told))

    assert packet == Packet("", "a", 7, 11, message, told)


@pytest.mark.parametrize("count", [0, 15, 16, 17, 300, 65_535, 65_536])
def test_each_form_of_the_array_header_is_read_back(count: int) -> None:
    """Packets of few and of very many rumours begin with different MessagePack headers."""
    one = encode_rumor(Rumor("b", 1, 0, MemberState.ALIVE, "h", 1))
    head = Packer(label="", sender="a", epoch_unix_ms=7).head(Gossip(), digest=0)

    assert len(decode_stream(close_packet(head, [one] * count)).rumors) == count


def test_more_rumors_than_the_limit_are_refused() -> None:
    """The count is bounded, not only the size."""
    one = encode_rumor(Rumor("b", 1, 0, MemberState.ALIVE, "h", 1))
    head = Packer(label="", sender="a", epoch_unix_ms=7).head(Gossip(), digest=0)

    with pytest.raises(DecodeError):
        decode_stream(close_packet(head, [one] * (wire.RUMORS_PER_PACKET_MAX + 1)))


def test_an_oversize_datagram_is_refused_unread() -> None:
    """A datagram above the MTU is none of ours."""
    with pytest.raises(DecodeError, match="exceed"):
        decode_datagram(b"\x96" + bytes(DATAGRAM_BYTES_MAX))


@pytest.mark.parametrize(
    "rumor",
    [
        Rumor("", 1, 0, MemberState.ALIVE, "h", 1),
        Rumor("a b", 1, 0, MemberState.ALIVE, "h", 1),
        Rumor("a\n", 1, 0, MemberState.ALIVE, "h", 1),
        Rumor("x" * 65, 1, 0, MemberState.ALIVE, "h", 1),
        Rumor("b", -1, 0, MemberState.ALIVE, "h", 1),
        Rumor("b", EPOCH_MAX + 1, 0, MemberState.ALIVE, "h", 1),
        Rumor("b", 1, INCARNATION_MAX + 1, MemberState.ALIVE, "h", 1),
        Rumor("b", 1, 0, MemberState.ALIVE, "", 1),
        Rumor("b", 1, 0, MemberState.ALIVE, "h\x00", 1),
        Rumor("b", 1, 0, MemberState.ALIVE, "h", 0),
        Rumor("b", 1, 0, MemberState.ALIVE, "h", 65_536),
        Rumor("b", 1, 0, MemberState.ALIVE, "h", 1, meta=bytes(513)),
        Rumor("b", 1, 0, MemberState.ALIVE, "h", 1, accusers=("c",) * (ACCUSERS_MAX + 1)),
        Rumor("b", 1, 0, MemberState.ALIVE, "h", 1, age_s=-1),
    ],
)
def test_a_field_out_of_range_is_refused(rumor: Rumor) -> None:
    """Every field of a rumour has its limits."""
    with pytest.raises(DecodeError):
        decode_stream(pack(Gossip(), rumor))


def test_a_state_that_does_not_exist_is_refused() -> None:
    """A rank beyond the known ones is no state."""
    encoded = msgspec.msgpack.encode(["b", 1, 0, 4, "h", 1])
    head = Packer(label="", sender="a", epoch_unix_ms=7).head(Gossip(), digest=0)

    with pytest.raises(DecodeError):
        decode_stream(close_packet(head, [encoded]))


def test_every_truncation_and_any_trailing_byte_is_refused() -> None:
    """A packet is a packet as a whole, or not at all."""
    whole = pack(Ping(1, "b"), Rumor("b", 1, 0, MemberState.ALIVE, "h", 1, encode_meta(META)))

    assert decode_datagram(whole).message == Ping(1, "b")
    for end in range(len(whole)):
        with pytest.raises(DecodeError):
            decode_datagram(whole[:end])
    with pytest.raises(DecodeError):
        decode_datagram(whole + b"\x00")


@given(st.binary(max_size=300))
def test_random_bytes_raise_one_error_at_most(payload: bytes) -> None:
    """No bytes make a decoder raise anything but DecodeError."""
    for decode in (decode_datagram, decode_stream, decode_meta):
        try:
            decode(payload)
        except DecodeError:
            continue


def test_mutated_packets_raise_one_error_at_most() -> None:
    """Valid packets with bytes changed, removed and inserted are read or refused, 20,000 times."""
    rng = random.Random(1)
    told = [
        Rumor(f"n{i}", i, i, MemberState(i % 4), "10.0.0.1", 1 + i, encode_meta(META), ("a", "b")) for i in range(4)
    ]
    originals = [pack(Ping(1, "b"), *told), pack(SyncRequest(bytes(BUCKETS_BYTES)), *told), encode_meta(META)]
    refused = 0
    for turn in range(20_000):
        payload = bytearray(originals[turn % len(originals)])
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(payload))
            payload[place : place + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 2))
            payload = payload or bytearray(1)
        try:
            (decode_meta if turn % 3 == 2 else decode_stream)(bytes(payload))
        except DecodeError:
            refused += 1

    assert refused > 1_000


def test_deep_nesting_is_refused() -> None:
    """Arrays in arrays do not exhaust the stack."""
    with pytest.raises(DecodeError):
        decode_stream(b"\x91" * 100_000)


def test_the_greatest_rumor_fits_into_a_datagram() -> None:
    """Whatever a member may be called and tell of itself, one packet can carry it."""
    longest = "x" * 64
    rumor = Rumor(longest, EPOCH_MAX, INCARNATION_MAX, MemberState.ALIVE, "h" * 255, 65_535, bytes(512))
    accused = Rumor(longest, EPOCH_MAX, INCARNATION_MAX, MemberState.SUSPECT, "h" * 255, 65_535, b"", (longest,) * 6)
    packer = Packer(label="é" * 64, sender=longest, epoch_unix_ms=EPOCH_MAX)
    head = packer.head(Ping(2**53, longest), digest=2**63 - 1)

    assert max(len(encode_rumor(rumor)), len(encode_rumor(accused))) <= room_for_rumors(head)


def test_metadata_of_a_later_version_is_understood() -> None:
    """Fields appended by a later version are passed over."""
    longer = [*msgspec.msgpack.decode(encode_meta(META)), "a new field"]

    assert decode_meta(msgspec.msgpack.encode(longer)) == META


def test_metadata_is_passed_on_as_it_came() -> None:
    """Fields this version does not know survive in what it tells others."""
    encoded = msgspec.msgpack.encode([*msgspec.msgpack.decode(encode_meta(META)), "a new field"])
    member = Member("b", 1, 0, MemberState.ALIVE, ("h", 1), decode_meta(encoded), 0.0, encoded)

    assert rumor_of(member, now=1.0).meta == encoded


def test_the_age_of_a_tombstone_only_grows() -> None:
    """Passed from node to node at once, a tombstone grows older all the same: it cannot live for ever."""
    dead = Member("b", 1, 0, MemberState.DEAD, ("h", 1), META, since_s=10.0)

    assert rumor_of(dead, now=10.0).age_s == 1
    assert rumor_of(dead, now=15.5).age_s == 6
