"""What functions of C make of values."""

import pytest

from respcache.scripting.values import kind, number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"10", 10.0),
        (b" -1.5e3\n", -1500.0),
        (b"0x10", 16.0),
        (b"-0X1p4", -16.0),
        (b"inf", float("inf")),
        (b"", None),
        (b"1_000", None),
        (b"0x", None),
        (b"1x", None),
        (b"\xff", None),
    ],
)
def test_numbers_are_read_as_by_strtod(text: bytes, value: float | None) -> None:
    """Hexadecimal ones too; nothing that only Python takes for one."""
    assert number(text) == value


def test_values_have_lua_s_names_of_types() -> None:
    """Whatever is no value of Python's is userdata, unless lupa's class says more."""
    assert [kind(value) for value in (None, True, b"", 1, 1.5, object())] == [
        "nil",
        "boolean",
        "string",
        "number",
        "number",
        "userdata",
    ]
