"""Compiled chunks without tail calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.scripting.tail_calls import HEADER, UnknownLayout, without_tail_calls

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
