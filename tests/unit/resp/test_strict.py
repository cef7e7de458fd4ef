"""The reference parser of requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.errors import ProtocolError
from respcache.resp.encode import request
from respcache.resp.strict import LINE_MAX_BYTES, parse, words
from unit.resp.requests import ARRAYS


@given(argv=ARRAYS, trailing=st.binary(max_size=20))
def test_a_request_ends_where_it_ends(argv: list[bytes], trailing: bytes) -> None:
    """What follows is left alone."""
    wire = request(argv)
    assert parse(wire + trailing, 0) == (argv, len(wire))


@given(argv=ARRAYS, data=st.data())
def test_a_part_of_a_request_is_none(argv: list[bytes], data: st.DataObject) -> None:
    """The position stays where it was."""
    wire = request(argv)
    end = data.draw(st.integers(min_value=1, max_value=len(wire) - 1))
    assert parse(b"xx" + wire[:end], 2) == (None, 2)


@given(argv=st.lists(st.binary(max_size=10), min_size=1, max_size=5))
def test_quoted_words_are_any_bytes(argv: list[bytes]) -> None:
    """Every byte can be written as a hexadecimal escape between double quotes."""
    line = b" ".join(b'"%b"' % b"".join(b"\\x%02x" % byte for byte in word) for word in argv)
    assert words(line) == argv


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"  set  k   v ", [b"set", b"k", b"v"]),
        (b"set k ''", [b"set", b"k", b""]),
        (b'set k "a\\n\\r\\t\\b\\a\\"\\\\"', [b"set", b"k", b'a\n\r\t\b\a"\\']),
        (b"set k 'a\\n\\'b'", [b"set", b"k", b"a\\n'b"]),
        (b'"\\x41\\xg0"', [b"Axg0"]),
        (b'a"b"', [b"ab"]),
        (b"\ta\vb\fc\0d", [b"a", b"b", b"c", b"d"]),
        (b"", []),
    ],
)
def test_words_are_those_of_a_shell(line: bytes, expected: list[bytes]) -> None:
    """The quoting rules of inline commands."""
    assert words(line) == expected


@pytest.mark.parametrize("line", [b'"', b"'", b'"a"b', b"'a'b", b'"a\\', b'a "b'])
def test_open_quotes_are_refused(line: bytes) -> None:
    """A quote that is not closed, or is followed by no blank."""
    with pytest.raises(ProtocolError, match="unbalanced quotes"):
        words(line)


@pytest.mark.parametrize(
    ("start", "error"),
    [
        (b"a", "too big inline request"),
        (b"*1", "too big mbulk count string"),
        (b"*1\r\n$1", "too big bulk count string"),
    ],
)
def test_lines_are_bounded(start: bytes, error: str) -> None:
    """A line without an end is refused, whatever it may be about."""
    assert parse(start + b"1" * 10, 0) == (None, 0)
    with pytest.raises(ProtocolError, match=error):
        parse(start + b"1" * (LINE_MAX_BYTES + 1), 0)
