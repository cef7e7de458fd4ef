"""Values to bytes, read back by clients' own parser."""

import math

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.errors import CommandError, WrongType
from respcache.reply import NULL_ARRAY, OK, Members, Push, Reply, Status, Verbatim
from respcache.resp.encode import encode, float_text, request

INTEGERS = st.integers(min_value=-(2**63), max_value=2**63 - 1)
SHARED: st.SearchStrategy[Reply] = st.none() | INTEGERS | st.binary(max_size=2_000)
ARRAYS: st.SearchStrategy[Reply] = st.recursive(SHARED, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def _read(wire: bytes) -> object:
    reader = hiredis.Reader(notEnoughData=Ellipsis)
    reader.feed(wire)
    value: object = reader.gets()
    assert reader.gets() is Ellipsis, "one reply only"
    return value


@pytest.mark.parametrize("protocol", [2, 3])
@given(reply=ARRAYS)
def test_what_clients_read_is_what_was_sent(protocol: int, reply: Reply) -> None:
    """Strings, integers, nulls and arrays of them, in both protocols."""
    assert _read(encode(reply, protocol)) == reply


@given(argv=st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_requests_are_arrays_of_bulk_strings(argv: list[bytes]) -> None:
    """As any client sends them."""
    assert _read(request(argv)) == argv


@given(number=st.floats(allow_nan=False))
def test_doubles_are_exact(number: float) -> None:
    """17 digits say which double it is."""
    text = float_text(number)
    assert float(text) == number
    assert _read(encode(number, 3)) == number
    assert _read(encode(number, 2)) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, b"0"),
        (-0.0, b"-0"),
        (3.0, b"3"),
        (0.1, b"0.10000000000000001"),
        (-2.5, b"-2.5"),
        (1e16, b"10000000000000000"),
        (1e17, b"1e+17"),
        (1e-5, b"1.0000000000000001e-05"),
        (math.inf, b"inf"),
        (-math.inf, b"-inf"),
        (math.nan, b"nan"),
    ],
)
def test_doubles_look_as_in_redis(number: float, text: bytes) -> None:
    """Whole numbers have no point."""
    assert float_text(number) == text


@pytest.mark.parametrize(
    ("reply", "older", "newer"),
    [
        (None, b"$-1\r\n", b"_\r\n"),
        (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (False, b":0\r\n", b"#f\r\n"),
        (OK, b"+OK\r\n", b"+OK\r\n"),
        (Status(b"none"), b"+none\r\n", b"+none\r\n"),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        (Members([b"a"]), b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
        (Push([b"a"]), b"*1\r\n$1\r\na\r\n", b">1\r\n$1\r\na\r\n"),
        (Verbatim(b"text"), b"$4\r\ntext\r\n", b"=8\r\ntxt:text\r\n"),
        ([1, WrongType()], b"*2\r\n:1\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", None),
    ],
)
def test_the_protocols_differ_where_they_do(reply: Reply, older: bytes, newer: bytes | None) -> None:
    """RESP2 flattens what RESP3 tells apart."""
    assert encode(reply, 2) == older
    assert encode(reply, 3) == (older if newer is None else newer)


@given(text=st.text(alphabet="ab\r\n", max_size=10))
def test_an_error_is_one_line(text: str) -> None:
    """Whatever a client's own bytes in it are."""
    wire = encode(CommandError(text), 2)
    assert wire.startswith(b"-ERR ")
    assert wire.endswith(b"\r\n")
    assert b"\r" not in wire[:-2]
    assert b"\n" not in wire[:-2]


def test_what_is_no_reply_is_a_defect() -> None:
    """A handler that returns something else has a fault."""
    with pytest.raises(TypeError, match="no reply value: object"):
        encode(object(), 2)  # type: ignore[arg-type] # on purpose
