"""Lines of words to requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.errors import ProtocolError
from respcache.resp.inline import words


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
