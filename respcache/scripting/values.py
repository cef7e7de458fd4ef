"""What functions of C make of the values that Lua hands them. Pure."""

from typing import Final

KINDS: Final = {
    "NoneType": "nil",
    "bool": "boolean",
    "bytes": "string",
    "int": "number",
    "float": "number",
    "_LuaTable": "table",
    "_LuaFunction": "function",
    "_LuaCoroutineFunction": "function",
    "_LuaThread": "thread",
    "_LuaObject": "userdata",
}
"""Lua's names of types, by the classes of Python and of lupa, which need not be there."""


def kind(value: object) -> str:
    """Tell of which type a value is to Lua."""
    return KINDS.get(type(value).__name__, "userdata")


def number(text: bytes) -> float | None:
    """Read a number as Lua does, by `strtod`: hexadecimal ones too, and blanks around it; None if it is none."""
    word = text.strip(b" \t\n\v\f\r")
    if b"_" in word:  # Python takes it for a separator
        return None
    try:
        is_hexadecimal = word.lstrip(b"+-")[:2].lower() == b"0x"
        return float.fromhex(word.decode("ascii")) if is_hexadecimal else float(word)
    except (ValueError, OverflowError):
        return None
