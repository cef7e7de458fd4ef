"""The sandbox: what scripts cannot reach, take or outlast."""

import contextlib
import time
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.errors import CommandError
from respcache.reply import OK, Reply
from respcache.scripting.machine import HEADROOM_BYTES, Ended, Failed, Machine, NotCompiled

MEMORY_MAX_BYTES: Final = 8 * 1024 * 1024
TIME_LIMIT_S: Final = 0.2


class Surroundings:
    """Commands that give back their arguments, large values on demand, and a clock."""

    def __init__(self) -> None:
        self.ends_s = 0.0
        self.logged: Final[list[tuple[int, bytes]]] = []

    def perform(self, argv: list[bytes]) -> Reply:
        """Answer a command."""
        if argv[0] == b"big":
            return b"x" * int(argv[1])
        if argv[0] == b"many":
            return [b"x" * 100] * int(argv[1])
        if argv[0] == b"refuse":
            raise CommandError("refused")
        if argv[0] == b"fault":
            raise ZeroDivisionError
        return OK if argv[0] == b"ok" else list(argv)

    def knows(self, argv: list[bytes]) -> bool:
        """Tell whether there is such a command."""
        return argv == [b"ok"]

    def log(self, level: int, text: bytes) -> None:
        """Note a line."""
        self.logged.append((level, text))

    def look(self) -> bytes | None:
        """Tell why the script has to end, if it has."""
        return b"time" if time.monotonic() >= self.ends_s else None


class Sandbox:
    """A machine, and scripts one after the other."""

    def __init__(self) -> None:
        self.surroundings: Final = Surroundings()
        self.machine: Final = Machine(self.surroundings, memory_max_bytes=MEMORY_MAX_BYTES, seed=1)

    def run(self, text: str, *arguments: bytes, limit_s: float = TIME_LIMIT_S) -> Reply:
        """Run a script."""
        chunk = self.machine.compile(text.encode()).chunk
        self.surroundings.ends_s = time.monotonic() + limit_s
        return self.machine.run(chunk, [], list(arguments))


class Failing(Surroundings):
    """Surroundings with another way of looking."""

    def __init__(self, look: Callable[[], bytes | None]) -> None:
        super().__init__()
        self._look: Final = look

    def look(self) -> bytes | None:
        """Look."""
        return self._look()


@pytest.fixture
def sandbox() -> Sandbox:
    """Make one."""
    return Sandbox()


GONE: Final = (
    *("os", "io", "debug", "package", "require", "module", "dofile", "loadfile", "newproxy", "getfenv", "setfenv"),
    *("print", "python", "jit", "lupa", "natives", "room"),
)


@pytest.mark.parametrize("name", GONE)
def test_what_leads_out_is_not_there(sandbox: Sandbox, name: str) -> None:
    """No way to files, processes, the debugger, other environments or Python."""
    with pytest.raises(Failed, match="nonexistent global variable"):
        sandbox.run(f"return {name}")
    assert sandbox.run(f"return rawget(_G, '{name}')") is None


WALK: Final = """
local seen, found = {}, {}
local function walk(value)
  if value == nil or seen[value] then return end
  seen[value] = true
  if type(value) == 'userdata' then found[#found + 1] = tostring(value) end
  if type(value) == 'table' then
    for name, element in pairs(value) do walk(name) walk(element) end
  end
  walk(getmetatable(value))
end
walk(_G) walk('') walk(redis.call)
local function caught(...) walk((select(2, pcall(...)))) end
caught(redis.call, 'refuse') caught(redis.call, 'fault') caught(redis.call, {}) caught(redis.call)
caught(struct.pack, 'i99', 1) caught(struct.pack, 'z') caught(bit.band, {}) caught(cjson.decode, '{')
caught(cmsgpack.unpack, '\\193') caught(redis.sha1hex) caught(redis.setresp, 9) caught(redis.log, 9, 'x')
walk(redis.pcall('refuse')) walk(redis.pcall('many', 3)) walk({struct.unpack('bs', 'abc\\0')}) walk({bit.tohex(1)})
xpcall(function() redis.call('refuse') end, walk)
local thread = coroutine.create(function() redis.call('fault') end)
walk({coroutine.resume(thread)})
return found
"""


def test_nothing_of_python_can_be_had(sandbox: Sandbox) -> None:
    """A walk over all that a script can reach, errors too, finds plain Lua, and one value that stands for null."""
    assert sandbox.run(WALK) == [b"userdata: (nil)"]


ESCAPES: Final = (
    "return loadstring(string.dump(function() return 1 end))()",
    "local once = string.dump(function() end) return load(function() local piece = once once = nil return piece end)()",
    "string.rep = nil",
    "string.new = 1",
    "redis.call = nil",
    "cjson.null.x = 1",
    "return cjson.null.x",
    "return cjson.null()",
    "getmetatable('').__index.rep = nil",
    "getmetatable('').__index = nil",
    "setmetatable(_G, {})",
    "rawset(_G, 'x', 1)",
    "rawset(string, 'x', 1)",
    "getmetatable(_G).__index = nil",
    "x = 1",
    "_G.x = 1",
    "KEYS = {}",
    "pcall = nil",
    "function x() end",
    "return redis.call.x",
    "setmetatable(cjson.null, {})",
    "coroutine.wrap(function() x = 1 end)()",
    "loadstring('x = 1')()",
    "return math.huge.x",
    "error(setmetatable({}, {__tostring = function() x = 1 end}))",
)


@pytest.mark.parametrize("script", ESCAPES)
def test_escapes_are_refused(sandbox: Sandbox, script: str) -> None:
    """Compiled code, changes of what all scripts share, new globals: each is an error of the script alone."""
    with pytest.raises(Failed):
        sandbox.run(script)
    assert sandbox.run("return ('ab'):rep(2) .. type(redis.call) .. cjson.encode({1})") == b"ababfunction[1]"


def test_a_script_leaves_nothing_for_the_next_one(sandbox: Sandbox) -> None:
    """Not by raw writes into what they share, nor by KEYS and ARGV, nor by the version of RESP."""
    sandbox.run("pcall(table.insert, string, 'x') pcall(table.insert, _G, 'y') redis.setresp(3) ARGV[1] = 'z'", b"a")
    assert sandbox.run("return {string[1] or 'none', rawget(_G, 1) or 'none', #ARGV}") == [b"none", b"none", 0]
    assert sandbox.run("return true") == 1


ENDLESS: Final = (
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "while true do xpcall(function() while true do end end, function() while true do end end) end",
    "while true do coroutine.wrap(function() while true do end end)() end",
    "local c = coroutine.create(function() while 1 do coroutine.yield() end end) while 1 do coroutine.resume(c) end",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "while true do pcall(coroutine.wrap(function() pcall(function() while true do end end) end)) end",
    "while true do pcall(redis.call, 'ok') end",
    "local t = setmetatable({}, {__index = function() while 1 do end end}) while 1 do pcall(rawequal, 1, t.x) end",
    "table.sort({3, 2, 1}, function() while true do end end)",
    "string.gsub('aaa', 'a', function() while true do end end)",
    "load(function() while true do end end)",
    "while true do pcall(cjson.decode, '[' .. ('1,'):rep(10000) .. '1]') end",
)


@pytest.mark.parametrize("script", ENDLESS)
def test_a_script_that_does_not_end_is_ended(sandbox: Sandbox, script: str) -> None:
    """However it catches errors, in whatever coroutine; the next script runs as if nothing had been."""
    with pytest.raises(Ended, match="time"):
        sandbox.run(script)
    assert sandbox.run("return {1, 'a', {ok = 'b'}}") == [1, b"a", OK.__class__(b"b")]


def test_values_are_looked_into_without_their_own_rules(sandbox: Sandbox) -> None:
    """What a script returns, or fails with, cannot run anything more."""
    assert sandbox.run("return setmetatable({1}, {__index = function() while true do end end})") == [1]
    with pytest.raises(Failed, match="unknown error"):
        sandbox.run("error(setmetatable({}, {__index = function() while true do end end}))")


FILLERS: Final = (
    "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end",
    "pcall(function() local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end end) while true do end",
    "local s = 'x' while true do s = s .. s end",
    "return ('x'):rep(1e9)",
    "return table.concat({('x'):rep(1e6), ('y'):rep(1e6)}, ('z'):rep(1e7))",
    "return string.format('%s%s%s%s', ('x'):rep(4e6), ('y'):rep(4e6), ('z'):rep(4e6), ('z'):rep(5e6))",
    "return #redis.call('big', 20000000)",
    "return #redis.call('many', 200000)",
    "local t = {} while true do t = {t} end",
    "return cjson.encode({('x'):rep(3e6), ('y'):rep(3e6), ('z'):rep(3e6)})",
)
BRIM: Final = """
local t, n = {}, 0
local function fill(size) while true do t = {t, ('x'):rep(size) .. n} n = n + 1 end end
pcall(fill, 100000) pcall(fill, 1000) pcall(fill, 10)
"""
"""Takes all memory to the last few bytes."""
AT_THE_BRIM: Final = (
    "for i = 1, 2000 do pcall(redis.call, 'ok', 'x') end",
    "for i = 1, 2000 do pcall(redis.call, t, t, t) end",
    "for i = 1, 2000 do pcall(redis.call, 'big', 5000) end",
    "for i = 1, 2000 do pcall(redis.log, 1, 'x') end",
    "for i = 1, 2000 do pcall(redis.sha1hex, 'x') end",
    "for i = 1, 2000 do pcall(struct.pack, 'i4', 1) end",
    "for i = 1, 2000 do pcall(bit.tohex, 1) end",
    "return t",
    "error(t)",
    "while true do end",
)


@pytest.mark.parametrize("script", [*FILLERS, *(BRIM + script for script in AT_THE_BRIM)])
def test_memory_is_limited(sandbox: Sandbox, script: str) -> None:
    """A script that takes too much fails or is ended; the process does not, and the next script has its memory."""
    with contextlib.suppress(Ended) if script.startswith(BRIM + "for") else pytest.raises((Ended, Failed)):
        sandbox.run(script)
    assert sandbox.machine.memory_bytes <= MEMORY_MAX_BYTES + HEADROOM_BYTES
    assert sandbox.run("return #('x'):rep(1000000)") == 1_000_000
    assert sandbox.run("return #redis.call('big', 1000000)") == 1_000_000


def test_a_fault_of_our_own_does_not_unwind_lua(sandbox: Sandbox) -> None:
    """The script is told that something is wrong, and whoever ran it finds the fault."""
    assert sandbox.run("local ok, text = pcall(redis.call, 'fault') return text") == b"ERR internal error"
    assert isinstance(sandbox.machine.fault, ZeroDivisionError)


def test_many_keys_and_arguments_are_handed_over(sandbox: Sandbox) -> None:
    """More than fit into a call, and as many bytes as there is room for."""
    chunk = sandbox.machine.compile(b"return {#KEYS, #ARGV, KEYS[1], ARGV[#ARGV]}").chunk
    sandbox.surroundings.ends_s = time.monotonic() + 60
    keys, arguments = [b"k%d" % number for number in range(9000)], [b"%d" % number for number in range(9000)]
    assert sandbox.machine.run(chunk, keys, arguments) == [9000, 9000, b"k0", b"8999"]
    with pytest.raises(CommandError, match="not enough memory"):
        sandbox.machine.run(chunk, [], [b"x" * MEMORY_MAX_BYTES])


def test_errors_name_the_line_of_a_call_behind_return(sandbox: Sandbox) -> None:
    """Lua would have dropped the caller of a tail call."""
    with pytest.raises(Failed) as caught:
        sandbox.run("local function f()\n\n  return redis.call('refuse')\nend\nreturn f()")
    assert (caught.value.text, caught.value.source, caught.value.line) == (b"ERR refused", b"@user_script", 3)


def test_what_is_no_lua_is_not_compiled(sandbox: Sandbox) -> None:
    """In the words of Lua; compiled code is no Lua either."""
    with pytest.raises(NotCompiled, match="user_script:1: unexpected symbol near '<eof>'"):
        sandbox.machine.compile(b"return 1 +")
    with pytest.raises(NotCompiled, match="precompiled"):
        sandbox.machine.compile(b"\x1bLua")


def test_log_lines_carry_their_level(sandbox: Sandbox) -> None:
    """All arguments in one line."""
    sandbox.run("redis.log(redis.LOG_WARNING, 'a', 1, 'b')")
    assert sandbox.surroundings.logged == [(3, b"a 1 b")]


@pytest.mark.parametrize(
    "call",
    [
        "struct.unpack, 'b', 'x', 1/0",
        "struct.unpack, 'b', 'x', 0/0",
        "struct.unpack, ('b'):rep(20000), ('x'):rep(20000)",
    ],
)
def test_an_error_of_python_hands_out_no_metatable(call: str) -> None:
    """All of its objects share one, those that the sandbox calls as well: a script could change it for all others."""
    sandbox = Sandbox()
    found = sandbox.run(f"local ok, e = pcall({call}) return type(e) == 'userdata' and getmetatable(e) or 'nothing'")
    assert found == b"nothing"


def test_a_number_that_is_none_is_no_option_of_cjson() -> None:
    """It would stay, and break `cjson.encode` for all scripts."""
    sandbox = Sandbox()
    with pytest.raises(Failed, match="expected integer between"):
        sandbox.run("return cjson.encode_number_precision(0/0)")
    assert sandbox.run("return cjson.encode(1)") == b"1"


ODD: Final = (
    *(
        "",
        "nil",
        "true",
        "0/0",
        "1/0",
        "-1/0",
        "2^53",
        "2^63",
        "-2^63",
        "1e308",
        "1.5",
        "-1",
        "0",
        "''",
        "'x'",
        "'\\0'",
    ),
    *("'i99999999999'", "'c2147483647'", "'>d c0'", "'f c0'", "'!16'", "('b'):rep(9000)", "('x'):rep(70000)", "'0x10'"),
    *("{}", "function() end", "redis", "coroutine.create(function() end)", "cjson.null", "unpack({1, 2, 3}, 1, 9)"),
)
NATIVES: Final = (
    *("redis.call", "redis.pcall", "redis.log", "redis.sha1hex", "redis.setresp", "redis.acl_check_cmd", "loadstring"),
    *("redis.error_reply", "redis.status_reply", "struct.pack", "struct.unpack", "struct.size", "string.rep"),
    *("cmsgpack.pack", "cmsgpack.unpack", "cjson.encode", "cjson.decode", "bit.tobit", "bit.tohex", "bit.band"),
    *("bit.lshift", "bit.arshift", "bit.rol", "bit.bswap", "bit.bnot"),
)


SHARED: Final = Sandbox()


@pytest.mark.parametrize("native", NATIVES)
@settings(max_examples=25, deadline=None)
@given(arguments=st.lists(st.sampled_from(ODD), max_size=3))
def test_whatever_a_function_is_given_scripts_see_no_object_of_python(native: str, arguments: list[str]) -> None:
    """An error is a text or a table, no fault of ours is behind it, and it is no error of Python's in disguise."""
    if "" in arguments:
        arguments = []
    text = f"local ok, e = pcall({', '.join([native, *arguments])}) return {{type(e), ok and '' or tostring(e)}}"
    found = SHARED.run(text, limit_s=60.0)
    assert SHARED.machine.fault is None
    assert isinstance(found, list)
    assert isinstance(found[1], bytes)
    assert found[0] != b"userdata" or native in {"cjson.decode", "cmsgpack.unpack"}
    assert not found[1].startswith((b"ERR internal", b"Traceback"))
    assert not any(name in found[1] for name in (b"TypeError", b"ValueError", b"OverflowError", b"struct.error"))


def test_what_looks_around_and_fails_ends_the_script(sandbox: Sandbox) -> None:
    """No `pcall` of the script gets around it, and whoever ran it finds the fault."""

    def look() -> bytes | None:
        raise ZeroDivisionError

    machine = Machine(Failing(look), memory_max_bytes=MEMORY_MAX_BYTES, seed=1)
    chunk = machine.compile(b"while true do pcall(function() while true do end end) end").chunk
    with pytest.raises(Ended, match="fault"):
        machine.run(chunk, [], [])
    assert isinstance(machine.fault, ZeroDivisionError)
    assert sandbox.run("return 1") == 1


@pytest.mark.parametrize(
    "script",
    [
        "local s, t = ('x'):rep(1e6), {} for i = 1, 150 do t[i] = s end return t",
        "local s, t = ('x'):rep(1e6), {} for i = 1, 150 do t[i] = {ok = s} end return t",
    ],
)
def test_each_time_that_a_value_is_named_in_a_reply_counts(sandbox: Sandbox, script: str) -> None:
    """For that is how often it is copied."""
    with pytest.raises(Ended, match="reply"):
        sandbox.run(script)
    assert sandbox.run("return {('x'):rep(1e6), ('x'):rep(1e6)}") == [b"x" * 10**6] * 2


@pytest.mark.parametrize(
    "script",
    [
        "local s, t = ('x'):rep(1e6), {} for i = 1, 150 do t[i] = s end return redis.call('ok', unpack(t))",
        "local s, t = ('x'):rep(1e6), {} for i = 1, 150 do t[i] = s end return struct.pack(('s'):rep(150), unpack(t))",
    ],
)
def test_each_time_that_a_value_is_named_in_a_call_counts(sandbox: Sandbox, script: str) -> None:
    """As in replies."""
    with pytest.raises(Failed, match="not enough memory"):
        sandbox.run(script)


@pytest.mark.parametrize("count", ["2^31 - 1", "2^53", "'2147483647'"])
def test_nothing_is_repeated_in_no_time(sandbox: Sandbox, count: str) -> None:
    """The hook would not see it."""
    began = time.thread_time()
    assert sandbox.run(f"return string.rep('', {count}) .. (''):rep({count})") == b""
    assert time.thread_time() - began < 1.0


@pytest.mark.parametrize(
    "bounds", ["2^31", "-2^31", "-2^31, 2^31 - 1", "-2^31 + 1, 2^31 - 1", "1, 8000", "'-2147483648'"]
)
def test_no_span_of_a_table_is_read_that_the_stack_has_no_room_for(sandbox: Sandbox, bounds: str) -> None:
    """Lua's own function counts in 32 bits, and ends the process."""
    with pytest.raises(Failed, match="too many results to unpack"):
        sandbox.run(f"return unpack({{}}, {bounds})")
    assert sandbox.run("return {select('#', unpack({}, 1, 7997)), unpack({1, 2, 3}, '2', 2.9)}") == [7997, 2]


@pytest.mark.parametrize(
    "script",
    [
        "local s = ('ab'):rep(50000) while true do s:find('a..c') end",
        "local s = ('ab'):rep(50000) coroutine.wrap(function() while true do s:find('a..c') end end)()",
        "local t = {} while true do t[#t + 1] = ('x'):rep(100) .. #t t[#t + 1] = ('x'):rep(1000) .. #t end",
    ],
)
def test_a_script_of_dear_calls_is_looked_at_in_time(sandbox: Sandbox, script: str) -> None:
    """What counts is the time that its instructions take, not their number: the first is 40 s of 100,000."""
    began = time.thread_time()
    with pytest.raises(Ended):
        sandbox.run(script)
    assert time.thread_time() - began < 5.0


@pytest.mark.parametrize(
    "call",
    [
        "string.find(s, ('.-'):rep(200000) .. 'b')",
        "s:find(('.-'):rep(200000) .. 'b')",
        "s:match(('a?'):rep(200000) .. s)",
        "s:gsub(('a?'):rep(200000) .. s, '')",
        "s:gmatch(('a?'):rep(200000) .. s)()",
        "string.gfind(s, ('a?'):rep(200000) .. s)()",
    ],
)
def test_patterns_have_an_end(sandbox: Sandbox, call: str) -> None:
    """Lua calls itself for each of their items, which would end the process."""
    with pytest.raises(Failed, match="pattern too complex"):
        sandbox.run(f"local s = ('a'):rep(200000) return {call}")
    assert sandbox.run("return {('ab'):find(('a?'):rep(2000) .. 'b')}") == [1, 2]


def test_compiling_is_not_looked_at(sandbox: Sandbox) -> None:
    """Whoever looked would take the time of the last script for over."""
    for _ in range(3):
        with pytest.raises(Ended):
            sandbox.run("while true do coroutine.wrap(function() while true do end end)() end")
        for text in ("return 1", "for i = 1, 10 do end return 1"):
            for _ in range(200):
                sandbox.machine.compile(text.encode())


def test_a_value_goes_to_no_place_far_before_a_table(sandbox: Sandbox) -> None:
    """Lua would move nothing for minutes."""
    with pytest.raises(Failed, match="position out of bounds"):
        sandbox.run("table.insert({}, -2^31, 1)")
    assert sandbox.run("local t = {1, 2} table.insert(t, 2, 7) table.insert(t, 0, 9) return {t[0], t[2], t[3]}") == [
        9,
        1,
        7,
    ]
