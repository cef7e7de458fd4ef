"""Bytes from a client to requests, however they arrive."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.resp.decode import CARRY_MAX_BYTES
from respcache.resp.encode import request
from unit.resp.requests import ARRAYS, PLACES, REQUESTS, by_the_book, cut, decoded

Request = tuple[list[bytes], bytes]

PIECES = (
    *(b"*1\r\n", b"*2\r\n", b"*0\r\n", b"*-1\r\n", b"*x\r\n", b"*", b"$1\r\n", b"$0\r\n", b"$-1\r\n", b"$x\r\n", b"$"),
    *(b"a\r\n", b"ping\r\n", b"\r\n", b"\n", b"'", b'"', b"\x00"),
    *(b":1\r\n", b"-ERR\r\n", b"#f\r\n", b"_\r\n", b"%1\r\n", b"~1\r\n", b",1.5\r\n", b">1\r\n"),
)
"""What requests are made of, and what only replies are; simple strings and big numbers are taken for bulk strings."""


@given(requests=REQUESTS)
def test_a_pipeline_in_one_piece_gives_its_requests(requests: list[Request]) -> None:
    """Arrays and inline commands, in order."""
    client = decoded([b"".join(wire for _, wire in requests)])
    assert (client.requests, client.error) == ([argv for argv, _ in requests], None)
    assert client.decoder.unfinished_bytes >= 0


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


@given(requests=REQUESTS, last=ARRAYS, data=st.data())
def test_an_unfinished_request_is_kept_and_completed_later(
    requests: list[Request], last: list[bytes], data: st.DataObject
) -> None:
    """Trailing bytes are neither a request nor an error, and count as unfinished."""
    stream, trailing = b"".join(wire for _, wire in requests), request(last)
    missing = data.draw(st.integers(min_value=1, max_value=len(trailing) - 1))
    client = decoded([stream, trailing[:-missing]])
    assert (client.requests, client.error) == ([argv for argv, _ in requests], None)
    assert client.decoder.unfinished_bytes >= len(trailing) - missing

    client.read(trailing[-missing:])
    assert client.requests[len(requests) :] == [last]


@given(stream=st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join), places=PLACES)
def test_hostile_bytes_are_taken_or_refused_as_the_reference_parser_does(stream: bytes, places: list[int]) -> None:
    """Whatever arrives in whatever pieces gives the same requests, and the same error.

    hiredis notices later than the reference parser that something is no array; until then nothing more is taken.
    """
    client = decoded(cut(stream, places))
    requests, error = by_the_book(stream)
    waits = client.error is None and client.decoder.unfinished_bytes > 0
    assert client.requests == (requests[: len(client.requests)] if waits else requests)
    assert client.error == error or waits


@given(stream=st.binary(max_size=60), places=PLACES)
def test_any_bytes_give_requests_or_a_protocol_error(stream: bytes, places: list[int]) -> None:
    """Nothing else happens, and no request that the reference parser would not give."""
    found = decoded(cut(stream, places)).requests
    assert found == by_the_book(stream)[0][: len(found)]


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b"*1\r\n:5\r\n", "Protocol error: expected '$', got ':'"),
        (b"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"),
        (b"*1\r\n*1\r\n$1\r\na\r\n", "Protocol error: expected '$', got '*'"),
        (b"*x\r\n", "Protocol error: invalid multibulk length"),
        (b"*99999999\r\n", "Protocol error: invalid multibulk length"),
        (b"GET 'a\r\n", "Protocol error: unbalanced quotes in request"),
    ],
)
def test_refusals_are_worded_as_by_redis(stream: bytes, error: str) -> None:
    """Behind a good request, in one piece or byte by byte; the good one is run."""
    good = request([b"PING"])
    for chunks in ([good + stream], [good, stream], [bytes([byte]) for byte in good + stream]):
        client = decoded(chunks)
        assert (client.requests, client.error) == ([[b"PING"]], error)


@pytest.mark.parametrize("announced", [b"*10000000\r\n", b"*99999999\r\n"])
def test_an_absurd_announcement_is_refused_though_it_comes_late(announced: bytes) -> None:
    """Beyond the bytes that a connection keeps, and cut in two."""
    filler = request([b"SET", b"k", b"v" * CARRY_MAX_BYTES])
    for place in range(1, len(announced) + 1):
        client = decoded([filler, filler + announced[:place], announced[place:]])
        assert client.error == "Protocol error: invalid multibulk length", place


def test_a_refused_announcement_leaves_nothing_behind() -> None:
    """The list that the parser made for it is gone with the connection, before any garbage collection."""
    count = 12_345_678
    assert decoded([b"*%d\r\n" % count]).error == "Protocol error: invalid multibulk length"
    assert sum(type(kept) is list and len(kept) == count for kept in gc.get_objects()) == 0


def test_digits_in_a_value_are_no_announcement() -> None:
    """What looks like an absurd count may stand in a value."""
    value = b"*99999999\r\n" * 3
    filler = request([b"SET", b"k", b"v" * CARRY_MAX_BYTES])
    stream = filler + request([b"SET", b"k", value])
    middle = len(filler) + 40
    client = decoded([stream, stream[:middle], stream[middle:]])
    assert (len(client.requests), client.error) == (4, None)


def test_inline_commands_end_where_their_bytes_are_no_longer_kept() -> None:
    """A connection that sent many arrays cannot go back to typing, and is told."""
    client = decoded([request([b"SET", b"k", b"v" * CARRY_MAX_BYTES]), b"PING\r\n"])
    assert client.error == "Protocol error: expected an array of bulk strings"


def test_empty_lines_and_empty_arrays_are_nothing() -> None:
    """As in Redis, between requests of both kinds."""
    client = decoded([b"\r\n\r\n*0\r\nPING\r\n*-1\r\n\n*1\r\n$4\r\nPING\r\n"])
    assert (client.requests, client.error) == ([[b"PING"], [b"PING"]], None)
