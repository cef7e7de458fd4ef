"""What Redis would say of a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store.digits import is_int64
from respcache.store.values import encoding, references


@given(number=st.integers(min_value=-(2**65), max_value=2**65))
def test_the_canonical_form_of_an_integer_is_one(number: int) -> None:
    """As far as 64 bits go."""
    assert is_int64(b"%d" % number) == (-(2**63) <= number < 2**63)


@given(text=st.from_regex(rb"[+ ]?-?0*[0-9]{0,19}[ .]?", fullmatch=True))
def test_no_other_form_is(text: bytes) -> None:
    """What Python would read just as well is not the same text."""
    assert is_int64(text) == (text.strip().lstrip(b"-").isdigit() and b"%d" % int(text) == text)


@pytest.mark.parametrize(
    ("value", "name", "count"),
    [
        (b"0", b"int", 2**31 - 1),
        (b"9999", b"int", 2**31 - 1),
        (b"10000", b"int", 1),
        (b"-1", b"int", 1),
        (b"x" * 44, b"embstr", 1),
        (b"x" * 45, b"raw", 1),
        (b"", b"embstr", 1),
    ],
)
def test_encodings_and_references_are_those_of_redis(value: bytes, name: bytes, count: int) -> None:
    """OBJECT ENCODING and OBJECT REFCOUNT of a value that was SET."""
    assert (encoding(value), references(value)) == (name, count)
