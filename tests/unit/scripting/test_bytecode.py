"""Compiled chunks: without tail calls, and with or without loops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.scripting.bytecode import HEADER, UnknownLayout, is_straight, without_tail_calls

lua51 = pytest.importorskip("lupa.lua51", reason="scripts need the extra lua")

PARTS = (
    "return f(x)",
    "return f(x), 1",
    "local function g(a, ...) return f(a, ...) end return g(1, 2, 'text', nil, true, 1.5)",
    "for i = 1, 3 do if i == 2 then return f(i) end end",
    "return (function() return (function() return f(x) end)() end)()",
    "local up = 1 return function() up = up + 1 return f(up) end",
)


@given(parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=4))
def test_patched_chunks_do_the_same_and_keep_their_callers(parts: list[str]) -> None:
    """Whatever the shape of the functions: the same results, and one more frame for each call behind `return`."""
    lua = lua51.LuaRuntime(encoding=None)
    body = " ".join(f"do local r = {{(function() {part} end)()}} out[#out + 1] = #r end" for part in parts)
    text = f"local f, x, out = function(...) depth = #debug.traceback() return ... end, 7, {{}} {body} return out"
    compile_ = lua.eval(b"function(text) return string.dump(assert(loadstring(text))) end")
    load = lua.eval(b"function(chunk) return table.concat(assert(loadstring(chunk))(), ' '), depth end")
    before = compile_(text.encode())
    after = without_tail_calls(before)
    assert len(after) == len(before)
    assert load(after)[0] == load(before)[0]
    assert without_tail_calls(after) == after


def test_other_layouts_are_not_touched() -> None:
    """Sizes of another machine, or no chunk at all."""
    for chunk in (b"", b"\x1bLua\x52", HEADER[:-1] + b"\x01"):
        with pytest.raises(UnknownLayout):
            without_tail_calls(chunk)
        with pytest.raises(UnknownLayout):
            is_straight(chunk)


@pytest.mark.parametrize(
    ("text", "straight"),
    [
        ("local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('PEXPIRE', KEYS[1], 5) end return n", True),
        ("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end", True),
        ("return a and b or c and {1, nil, true, 1.5, 'text'} or not d", True),
        ("", True),
        ("while true do end", False),
        ("repeat redis.call('PING') until x", False),
        ("for i = 1, 3 do end", False),
        ("for k, v in pairs(t) do end", False),
        ("local function f() return f() end", False),
        ("return table.sort(t, redis.call)", False),
        ("return loadstring(ARGV[1])()", False),
        ("return _G['load' .. 'string']", False),
        ("return string.gsub(x, '.', redis.call)", False),
    ],
)
def test_straight_code_has_no_way_to_do_anything_twice(text: str, straight: bool) -> None:  # noqa: FBT001 # expected
    """Any loop, function of its own, or function that calls others makes it crooked."""
    lua = lua51.LuaRuntime(encoding=None)
    chunk = lua.eval(b"function(text) return string.dump(assert(loadstring(text))) end")(text.encode())
    assert is_straight(chunk) is straight
    assert is_straight(without_tail_calls(chunk)) is straight


def test_a_function_is_straight_unless_it_has_values_around_it() -> None:
    """What they are could be anything."""
    lua = lua51.LuaRuntime(encoding=None)
    dump = lua.eval(b"function(text) return string.dump(assert(loadstring(text))()) end")
    assert is_straight(dump(b"return function(keys) return redis.call('GET', keys[1]) end"))
    assert not is_straight(dump(b"local f = g return function(keys) return f(keys[1]) end"))
