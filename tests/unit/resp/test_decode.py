"""Bytes from a client to requests, however they arrive."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.errors import ProtocolError
from respcache.resp.decode import (
    ARGUMENTS_MAX,
    BULK_MAX_BYTES,
    LINE_MAX_BYTES,
    STRANGER_ARGUMENTS_MAX,
    STRANGER_BULK_MAX_BYTES,
    Decoder,
    WrongPort,
)
from respcache.resp.encode import request
from unit.resp.requests import ARRAYS, PLACES, REQUESTS, by_the_book, cut, decoded

Request = tuple[list[bytes], bytes]

PIECES = (
    *(b"*1\r\n", b"*2\r\n", b"*0\r\n", b"*-1\r\n", b"*x\r\n", b"*", b"*01\r\n", b"*-0\r\n", b"*\r\n"),
    *(b"$1\r\n", b"$0\r\n", b"$-1\r\n", b"$x\r\n", b"$", b"$00\r\n", b"$+1\r\n", b"$1x\r\n", b"$536870912\r\n"),
    *(b"$536870913\r\n", b"*1048577\r\n", b"*99999999999999999999\r\n", b"$99999999999999999999\r\n"),
    *(
        b"a\r\n",
        b"ping\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"'",
        b'"',
        b"\x00",
        b"POST\r\n",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03",
    ),
    *(b":1\r\n", b"-ERR\r\n", b"#f\r\n", b"_\r\n", b"%1\r\n", b"~1\r\n", b",1.5\r\n", b">1\r\n", b"+OK\r\n", b"(1\r\n"),
)
"""What requests are made of, what only replies are, and what is neither."""


@given(requests=REQUESTS)
def test_a_pipeline_in_one_piece_gives_its_requests(requests: list[Request]) -> None:
    """Arrays and inline commands, in order."""
    client = decoded([b"".join(wire for _, wire in requests)])
    assert (client.requests, client.error) == ([argv for argv, _ in requests], None)
    assert client.decoder.unfinished_bytes == 0


@given(requests=REQUESTS)
def test_a_pipeline_byte_by_byte_gives_its_requests(requests: list[Request]) -> None:
    """The same, with every boundary there can be."""
    stream = b"".join(wire for _, wire in requests)
    client = decoded(stream[place : place + 1] for place in range(len(stream)))
    assert (client.requests, client.error) == ([argv for argv, _ in requests], None)


@given(requests=REQUESTS, places=PLACES)
def test_a_pipeline_in_pieces_gives_its_requests(requests: list[Request], places: list[int]) -> None:
    """The same, cut anywhere."""
    client = decoded(cut(b"".join(wire for _, wire in requests), places))
    assert (client.requests, client.error) == ([argv for argv, _ in requests], None)


@given(requests=REQUESTS, places=PLACES)
def test_requests_that_nobody_asks_for_yet_are_kept(requests: list[Request], places: list[int]) -> None:
    """A connection may take a request from each chunk, and the rest when it can."""
    decoder, stream = Decoder(), b"".join(wire for _, wire in requests)
    found = []
    for chunk in cut(stream, places):
        decoder.feed(chunk)
        found.append(decoder.next())
        taken = [argv for argv in found if argv is not None]
        assert decoder.unfinished_bytes <= len(stream)
    while (argv := decoder.next()) is not None:
        taken.append(argv)
    assert taken == [argv for argv, _ in requests]
    assert decoder.unfinished_bytes == 0


@given(requests=REQUESTS, last=ARRAYS, places=PLACES, data=st.data())
def test_an_unfinished_request_is_kept_and_completed_later(
    requests: list[Request], last: list[bytes], places: list[int], data: st.DataObject
) -> None:
    """Trailing bytes are neither a request nor an error, and count as unfinished."""
    stream, trailing = b"".join(wire for _, wire in requests), request(last)
    missing = data.draw(st.integers(min_value=1, max_value=len(trailing) - 1))
    client = decoded([stream, *cut(trailing[:-missing], places)])
    assert (client.requests, client.error) == ([argv for argv, _ in requests], None)
    assert client.decoder.unfinished_bytes == len(trailing) - missing

    client.read(trailing[-missing:])
    assert client.requests[len(requests) :] == [last]
    assert client.decoder.unfinished_bytes == 0


@given(stream=st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join), places=PLACES)
def test_hostile_bytes_are_taken_or_refused_as_by_the_book(stream: bytes, places: list[int]) -> None:
    """Whatever arrives in whatever pieces gives the same requests, the same error, and the same bytes left over."""
    client = decoded(cut(stream, places))
    requests, error, left = by_the_book(stream)
    assert (client.requests, client.error) == (requests, error)
    assert error is not None or client.decoder.unfinished_bytes == left


@given(stream=st.binary(max_size=60), places=PLACES)
def test_any_bytes_give_requests_or_a_protocol_error(stream: bytes, places: list[int]) -> None:
    """The same for noise."""
    client = decoded(cut(stream, places))
    assert (client.requests, client.error) == by_the_book(stream)[:2]


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b"*1\r\n:5\r\n", "Protocol error: expected '$', got ':'"),
        (b"*1\r\n+OK\r\n", "Protocol error: expected '$', got '+'"),
        (b"*1\r\n*1\r\n", "Protocol error: expected '$', got '*'"),
        (b"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"),
        (b"*1\r\n$%d\r\n" % (BULK_MAX_BYTES + 1), "Protocol error: invalid bulk length"),
        (b"*x\r\n", "Protocol error: invalid multibulk length"),
        (b"*%d\r\n" % (ARGUMENTS_MAX + 1), "Protocol error: invalid multibulk length"),
        (b"GET 'a\r\n", "Protocol error: unbalanced quotes in request"),
        (b"Host: x\r\n", "this is a RESP port, not HTTP and not TLS"),
        (b"\x16\x03", "this is a RESP port, not HTTP and not TLS"),
    ],
)
def test_refusals_are_worded_as_by_redis_and_come_with_the_last_byte(stream: bytes, error: str) -> None:
    """Behind a good request, in one piece or byte by byte; the good one is run."""
    good = request([b"PING"])
    for chunks in ([good + stream], [good, stream], [bytes([byte]) for byte in good + stream]):
        client = decoded(chunks)
        assert (client.requests, client.error) == ([[b"PING"]], error)
    assert decoded([good + stream[:-1]]).error is None


@pytest.mark.parametrize(
    ("start", "error"),
    [
        (b"a", "Protocol error: too big inline request"),
        (b"*1", "Protocol error: too big mbulk count string"),
        (b"*0", "Protocol error: too big mbulk count string"),
        (b"*1\r\n$1", "Protocol error: too big bulk count string"),
    ],
)
def test_lines_are_bounded(start: bytes, error: str) -> None:
    """A line without an end is refused, whatever it may be about."""
    client = decoded([start + start[-1:] * 10])
    assert client.error is None
    client.read(start[-1:] * LINE_MAX_BYTES)
    assert client.error == error


def test_an_announcement_takes_no_memory() -> None:
    """Neither a million arguments nor half a gigabyte is set aside before it comes."""
    tracemalloc.start()
    decoded([b"*%d\r\n$%d\r\n" % (ARGUMENTS_MAX, BULK_MAX_BYTES)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_what_was_parsed_is_let_go() -> None:
    """A chunk that ends within a request is not kept for the sake of its last bytes."""
    decoder = Decoder()
    decoder.feed(request([b"SET", b"k", b"v" * 100_000]) + b"*1")
    assert decoder.next() is not None
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    assert decoder.next() is None
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1000
    assert decoder.unfinished_bytes == 2


@pytest.mark.parametrize("chunk_bytes", [1_000, 65_536, 262_144])
def test_a_large_argument_comes_in_many_pieces(chunk_bytes: int) -> None:
    """And what stands behind it in the last of them is not lost."""
    value = bytes(range(256)) * 8_000
    stream = request([b"SET", b"k", value]) + request([b"PING"])
    client = decoded(cut(stream, range(0, len(stream), chunk_bytes)))
    assert client.requests == [[b"SET", b"k", value], [b"PING"]]


def test_empty_lines_and_empty_arrays_are_nothing() -> None:
    """As in Redis, between requests of both kinds."""
    client = decoded([b"\r\n\r\n*0\r\nPING\r\n*-1\r\n\n*1\r\n$4\r\nPING\r\n"])
    assert (client.requests, client.error) == ([[b"PING"], [b"PING"]], None)


def test_who_took_this_port_for_another_can_be_told_apart() -> None:
    """So that it can be logged: somebody's configuration is wrong."""
    decoder = Decoder()
    decoder.feed(b"GET / HTTP/1.1\r\n")
    with pytest.raises(WrongPort) as refusal:
        decoder.next()
    assert isinstance(refusal.value, ProtocolError)


@pytest.mark.parametrize(
    ("large", "refusal"),
    [
        ([b"x"] * (STRANGER_ARGUMENTS_MAX + 1), "unauthenticated multibulk length"),
        ([b"x" * (STRANGER_BULK_MAX_BYTES + 1)], "unauthenticated bulk length"),
    ],
)
def test_only_who_is_known_may_send_large_requests(large: list[bytes], refusal: str) -> None:
    """The others are refused at the announcement; once somebody is known, within the same bytes, all is taken."""
    small = [b"x" * STRANGER_BULK_MAX_BYTES] * STRANGER_ARGUMENTS_MAX
    known: list[bool] = []
    client = Decoder()
    client.distrust(lambda: bool(known))
    client.feed(request(small) + request(large) * 2)
    assert client.next() == small
    known.append(True)
    assert (client.next(), client.next(), client.next()) == (large, large, None)

    stranger = Decoder()
    stranger.distrust(lambda: False)
    stranger.feed(request(large))
    with pytest.raises(ProtocolError, match=refusal):
        stranger.next()
