"""Replies to Lua and back."""

from typing import Any, Final

import pytest

from respcache.errors import CommandError
from respcache.reply import NULL_ARRAY, OK, BigNumber, Digits, Members, Pairs, Reply, Status, Verbatim
from respcache.resp.encode import encode
from respcache.scripting.conversion import ARRAY, INT64_MIN, NUMBER, from_lua, to_lua, weight


def tables(elements: Any) -> Any:
    """Show which table would be made."""
    return {"table": elements}


SAME: Final = object()
"""Of a reply that RESP3 gives as RESP2 does."""


@pytest.mark.parametrize(
    ("reply", "resp2", "resp3"),
    [
        (b"a", b"a", b"a"),
        (7, 7, 7),
        (None, False, None),
        (NULL_ARRAY, False, None),
        (OK, (2, b"OK"), (2, b"OK")),
        (True, 1, True),
        (1.5, b"1.5", {"table": {b"double": 1.5}}),
        ([b"a", None, [1]], (3, b"a", False, {"table": [1]}), (3, b"a", None, {"table": [1]})),
        ({b"a": 1}, {"table": [b"a", 1]}, {"table": {b"map": {"table": {b"a": 1}}}}),
        (Members([b"a"]), {"table": [b"a"]}, {"table": {b"set": {"table": {b"a": True}}}}),
        (Pairs([(b"a", 1)]), {"table": [b"a", 1]}, {"table": [{"table": [b"a", 1]}]}),
        (BigNumber(b"12"), b"12", {"table": {b"big_number": b"12"}}),
        (Digits(b"1.50"), b"1.50", {"table": {b"double": 1.5}}),
        (CommandError("no"), (0, b"ERR no"), (0, b"ERR no")),
        ([CommandError("no"), OK], (3, {"table": {b"err": b"ERR no"}}, {"table": {b"ok": b"OK"}}), SAME),
        (
            Verbatim(b"a", b"txt"),
            b"a",
            {"table": {b"verbatim_string": {"table": {b"format": b"txt", b"string": b"a"}}}},
        ),
    ],
)
def test_replies_reach_scripts_in_their_version_of_resp(reply: Reply, resp2: object, resp3: object) -> None:
    """RESP2 flattens, RESP3 says what things are."""
    assert to_lua(reply, 2, tables) == resp2
    assert to_lua(reply, 3, tables) == (resp2 if resp3 is SAME else resp3)
    assert weight(reply) >= 64


@pytest.mark.parametrize(
    ("number", "cut"),
    [
        *((2.9, 2), (-2.9, -2), (5, 5), (float("inf"), INT64_MIN), (float("nan"), INT64_MIN), (1e300, INT64_MIN)),
        *((2.0**63, INT64_MIN), (-(2.0**63), INT64_MIN)),
    ],
)
def test_numbers_are_cut_to_integers(number: float, cut: int) -> None:
    """As a cast in C does."""
    assert from_lua([NUMBER, number], 2) == cut
    assert from_lua([ARRAY, 1, NUMBER, number], 3) == [cut]


def test_big_numbers_and_digits_are_encoded_for_each_version() -> None:
    """A type of its own in RESP3 only."""
    assert encode(BigNumber(b"123"), 2) == b"$3\r\n123\r\n"
    assert encode(BigNumber(b"123"), 3) == b"(123\r\n"
    assert encode(Digits(b"1.50"), 2) == b"$4\r\n1.50\r\n"
    assert encode(Digits(b"1.50"), 3) == b",1.50\r\n"
    assert isinstance(from_lua([7, b"a\r\nb"], 2), Status)
