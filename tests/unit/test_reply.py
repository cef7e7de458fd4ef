"""The reply values that Python lacks."""

import pytest

from respcache.errors import WrongType
from respcache.reply import NULL_ARRAY, OK, Members, Push, Reply, Status, Verbatim
from respcache.resp.encode import encode


def test_a_status_equals_its_text_and_nothing_else() -> None:
    """Not the bytes of a bulk string, which look different to a client."""
    assert Status(b"OK") == OK
    assert len({OK, Status(b"OK"), Status(b"ok")}) == 2
    assert Status(b"OK") != b"OK"
    assert repr(OK) == "Status(b'OK')"


@pytest.mark.parametrize(
    ("reply", "two", "three"),
    [
        (OK, b"+OK\r\n", b"+OK\r\n"),
        (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
        (Members([1, b"x"]), b"*2\r\n:1\r\n$1\r\nx\r\n", b"~2\r\n:1\r\n$1\r\nx\r\n"),
        (Push([b"x"]), b"*1\r\n$1\r\nx\r\n", b">1\r\n$1\r\nx\r\n"),
        (Verbatim(b"text"), b"$4\r\ntext\r\n", b"=8\r\ntxt:text\r\n"),
        ([WrongType()], b"*1\r\n" + b"-%b\r\n" % WrongType().line(), b"*1\r\n" + b"-%b\r\n" % WrongType().line()),
    ],
)
def test_each_value_has_a_form_in_both_protocols(reply: Reply, two: bytes, three: bytes) -> None:
    """RESP3 keeps the kind, RESP2 comes as close as it can."""
    assert (encode(reply, 2), encode(reply, 3)) == (two, three)
