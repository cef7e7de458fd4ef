"""Frames between nodes: what was sent arrives, and nothing else gets through."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.errors import ProtocolError
from respcache.net import frames
from respcache.net.frames import BODY_MAX_BYTES, HEAD_BYTES, LONG_BYTES, PREFACE_MAX_BYTES, FrameReader

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=6)
CUTS = st.lists(st.integers(0, 300), max_size=8)


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


@given(st.lists(st.integers(0, 2 * LONG_BYTES), min_size=1, max_size=3), st.integers(1, LONG_BYTES))
@settings(deadline=None, max_examples=50)
def test_long_frames_arrive_however_the_stream_is_cut(lengths: list[int], step: int) -> None:
    """Between others, and what is behind their ends; nothing of them is kept when they are there."""
    reader = FrameReader()
    reader.body_max_bytes = BODY_MAX_BYTES
    sent = [(number, bytes([number]) * length) for number, length in enumerate(lengths)]
    stream = b"".join(frames.frame(kind, body) for kind, body in [*sent, (9, b"end")])
    step = max(step, len(stream) // 200)
    arrived = [found for at in range(0, len(stream), step) for found in reader.feed(stream[at : at + step])]
    assert arrived == [*sent, (9, b"end")]
    assert (len(reader._buffer), reader._long) == (0, None)


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
