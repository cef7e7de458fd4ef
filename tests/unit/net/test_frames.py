"""Frames between nodes: what was sent arrives, and nothing else gets through."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.errors import ProtocolError
from respcache.net import frames
from respcache.net.frames import BODY_MAX_BYTES, HEAD_BYTES, PREFACE_MAX_BYTES, Ask, FrameReader, Greeting, Reply

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=6)
CUTS = st.lists(st.integers(0, 300), max_size=8)
PARTITIONS = st.lists(st.integers(0, 1023), min_size=1, max_size=4)
ASKS = st.builds(
    Ask,
    st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)),
    st.integers(0, 1023),
    st.integers(2, 3),
    st.floats(0, 3600),
    st.lists(
        st.tuples(st.integers(0, 2**63 - 1), PARTITIONS, st.lists(st.binary(max_size=20), min_size=1, max_size=5)),
        max_size=5,
    ),
)


def chunks(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a stream at some places; pieces may be empty."""
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[at:to] for at, to in pairwise(places)]


@given(FRAMES, CUTS)
def test_frames_arrive_however_the_stream_is_cut(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    """Whole, in order, and as soon as their last byte is there."""
    reader = FrameReader()
    stream = b"".join(frames.frame(kind, body) for kind, body in sent)
    assert [found for chunk in chunks(stream, cuts) for found in reader.feed(chunk)] == sent
    head = frames.frame(7, b"xy")
    assert reader.feed(head[:-1]) == []
    assert reader.feed(head[-1:]) == [(7, b"xy")]


@given(st.binary(max_size=200), CUTS)
def test_any_bytes_are_frames_or_a_protocol_error(stream: bytes, cuts: list[int]) -> None:
    """And what is not complete is never more than one frame may have."""
    reader = FrameReader()
    try:
        for chunk in chunks(stream, cuts):
            reader.feed(chunk)
    except ProtocolError:
        return
    assert len(reader._buffer) < HEAD_BYTES + PREFACE_MAX_BYTES


@given(st.binary(max_size=100))
def test_any_body_is_a_message_or_a_protocol_error(body: bytes) -> None:
    """Nothing else is raised."""
    for decode in (frames.decode_greeting, frames.decode_ask, frames.decode_answer):
        try:
            decode(body)
        except ProtocolError:
            continue


@pytest.mark.parametrize("head", [b"\x94\xa1a\x01\x01", b"\x98\x01\x92\x01\x01\x00\x02\x00\x91\x00\x91\xc4\x01x"])
def test_what_is_nested_too_deep_is_a_protocol_error(head: bytes) -> None:
    """Fields of a later version are skipped, but not without end."""
    body = head + b"\x91" * 60_000
    for decode in (frames.decode_greeting, frames.decode_ask):
        with pytest.raises(ProtocolError):
            decode(body)


@pytest.mark.parametrize("limit", [PREFACE_MAX_BYTES, BODY_MAX_BYTES])
def test_a_frame_above_the_limit_is_refused_by_its_head(limit: int) -> None:
    """Before any of it is kept; the largest one allowed is waited for."""
    reader = FrameReader()
    reader.body_max_bytes = limit
    assert reader.feed(limit.to_bytes(4, "big") + b"\0") == []
    too_long = FrameReader()
    too_long.body_max_bytes = limit
    with pytest.raises(ProtocolError):
        too_long.feed((limit + 1).to_bytes(4, "big") + b"\0")


def test_strangers_may_send_little() -> None:
    """A reader begins with the limit for those who have not introduced themselves."""
    assert FrameReader().body_max_bytes == PREFACE_MAX_BYTES


@given(ASKS)
def test_commands_arrive_as_they_were_sent(ask: Ask) -> None:
    """All fields."""
    assert frames.decode_ask(frames.encode_ask(ask)) == ask


@given(st.text(min_size=1, max_size=255), st.integers(0, 2**60))
def test_a_greeting_arrives_as_it_was_sent(name: str, run: int) -> None:
    """Whatever the name, also from a later version, with more fields."""
    greeting = Greeting(name, run)
    assert frames.decode_greeting(frames.encode_greeting(greeting)) == greeting
    assert frames.decode_greeting(msgspec.msgpack.encode([name, run, 1, {"more": 1}])) == greeting


@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.none() | st.binary(max_size=20)), max_size=5))
def test_answers_arrive_as_they_were_sent(replies: list[Reply]) -> None:
    """Replies and refusals."""
    assert frames.decode_answer(frames.encode_answer(replies)) == replies


@pytest.mark.parametrize(
    "changed",
    [
        {"number": -1},
        {"database": 1024},
        {"protocol": 4},
        {"timeout_s": -1.0},
        {"timeout_s": float("nan")},
        {"partitions": []},
        {"partitions": [1024]},
        {"argv": []},
    ],
)
def test_a_command_out_of_range_is_refused(changed: dict[str, object]) -> None:
    """Nothing behind this has to ask again."""
    request = {"number": 1, "partitions": [1], "argv": [b"GET", b"k"]}
    fields = {"version": (0, 0), "database": 0, "protocol": 2, "timeout_s": 1.0}
    fields |= {name: value for name, value in changed.items() if name in fields}
    request |= {name: value for name, value in changed.items() if name in request}
    body = msgspec.msgpack.encode([*fields.values(), [[1, [1], [b"GET", b"k"]], list(request.values())]])
    with pytest.raises(ProtocolError):
        frames.decode_ask(body)
