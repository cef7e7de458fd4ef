"""Functions beside a real Redis: replies and errors byte for byte, and libraries that go from one to the other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from compat.wire import RawConnection
from respcache.scripting.payload import FUNCTION, VERSION
from respcache.store.partition import Argv
from respcache.store.rdb.crc64 import crc64
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

BODIES: Final = (Path(__file__).parent / "functions.txt").read_text("utf-8").splitlines()
"""The Lua of a library a line."""
FIRST_LINES: Final = (
    "return 1",
    "",
    "#!lua\nreturn 1",
    "#!lua name=\nreturn 1",
    "#!lua name=a b\nreturn 1",
    "#!lua name=a name=b\nreturn 1",
    "#!lua name=a x=b\nreturn 1",
    "#!foo name=a\nreturn 1",
    "#!FOO name=a\nreturn 1",
    "#!LUA name=a\nreturn 1",
    "#!lua name=a-b\nreturn 1",
    "#!lua name=a\\0b\nreturn 1",
    '#!lua name="a\\x62"\nreturn 1',
    '#!lua name="a"b\nreturn 1',
    "#!lua name=a",
    "#! lua name=a\n",
    "#!\n",
    "#!lua name='a\n",
    '#!lua name="a"\nreturn 1',
    "#!lua name=a\n",
)
ONE: Final = "#!lua name=one\nredis.register_function('f', function(keys, arguments) return {keys, arguments} end)"
OTHER: Final = "#!lua name=other\nredis.register_function('f', function() return 1 end)"
THIRD: Final = "#!lua name=third\nredis.register_function('g', function() return 1 end)"
ERRORS: Final = r"""#!lua name=errors
local count = 0
local at_load = redis
local functions = {
  nope = function() return redis.call('nope') end,
  raises = function() error('x') end,
  replies = function() return {err = 'A b'} end,
  registers = function() return redis.register_function('a', function() end) end,
  registers_late = function() return at_load.register_function('a', function() end) end,
  calls_late = function() return at_load.call('ping') end,
  keys = function() return KEYS end,
  sets = function() y = 1 end,
  arity = function() return redis.call('lpush') end,
  error_reply = function() return redis.error_reply('My Err') end,
  mixed = function(k) redis.call('set', k[1], 1) return redis.pcall('lpush', k[1], 1) end,
  counts = function() count = count + 1 return count end,
  given = function(...) return {select('#', ...), type((...))} end,
  changes = function(k, a) k.x = 1 a[3] = 1 return a[3] end,
  three = function() redis.setresp(3) return redis.call('hgetall', 'nohash') end,
  two = function() return redis.call('hgetall', 'nohash') end,
  absent = function() return {redis.breakpoint == nil, redis.replicate_commands == nil, redis.debug == nil} end,
  coroutines = function() return coroutine.wrap(function() return redis.call('ping') end)() end,
  deep = function() local function f() return {redis.call('nope')} end return f() end,
  log = function() redis.log() end,
  recursion = function() local function r() return r() + 1 end return r() end,
  nothing = function() end,
}
redis.register_function('nope', functions.nope)
redis.register_function('raises', functions.raises)
redis.register_function('replies', functions.replies)
redis.register_function('registers', functions.registers)
redis.register_function('registers_late', functions.registers_late)
redis.register_function('calls_late', functions.calls_late)
redis.register_function('keys', functions.keys)
redis.register_function('sets', functions.sets)
redis.register_function('arity', functions.arity)
redis.register_function('error_reply', functions.error_reply)
redis.register_function('mixed', functions.mixed)
redis.register_function('counts', functions.counts)
redis.register_function('given', functions.given)
redis.register_function('changes', functions.changes)
redis.register_function('three', functions.three)
redis.register_function('two', functions.two)
redis.register_function('absent', functions.absent)
redis.register_function('coroutines', functions.coroutines)
redis.register_function('deep', functions.deep)
redis.register_function('log', functions.log)
redis.register_function('recursion', functions.recursion)
redis.register_function('nothing', functions.nothing)
redis.register_function{function_name='reads', callback=functions.two, flags={'no-writes'}}
redis.register_function{function_name='lies', callback=functions.mixed, flags={'no-writes'}, description='writes'}
redis.register_function{function_name='may', callback=functions.mixed, flags={'allow-oom', 'allow-stale'}}
"""
CALLED: Final = tuple(word.split("'")[1] for word in ERRORS.splitlines() if word.startswith("redis.register_function"))
CALLS: Final[tuple[tuple[str, ...], ...]] = (
    ("FUNCTION",),
    ("FUNCTION", "NOPE"),
    ("FUNCTION", "LIST"),
    ("FUNCTION", "STATS"),
    ("FUNCTION", "KILL"),
    ("FUNCTION", "KILL", "x"),
    ("FUNCTION", "LOAD"),
    ("FUNCTION", "LOAD", "x", "y"),
    ("FUNCTION", "LOAD", "REPLACE"),
    ("FUNCTION", "LOAD", "replace", "REPLACE", ""),
    ("FUNCTION", "LOAD", ONE),
    ("FUNCTION", "LOAD", ONE),
    ("FUNCTION", "LOAD", OTHER),
    ("FUNCTION", "LOAD", "REPLACE", ONE),
    ("FUNCTION", "LIST"),
    ("FUNCTION", "LIST", "WITHCODE"),
    ("FUNCTION", "LIST", "LIBRARYNAME"),
    ("FUNCTION", "LIST", "LIBRARYNAME", "O*"),
    ("FUNCTION", "LIST", "libraryname", "x", "withcode"),
    ("FUNCTION", "LIST", "LIBRARYNAME", "one", "LIBRARYNAME", "b"),
    ("FUNCTION", "LIST", "WITHCODE", "WITHCODE"),
    ("FUNCTION", "LIST", "x"),
    ("FUNCTION", "STATS"),
    ("FUNCTION", "DUMP", "x"),
    ("FCALL",),
    ("FCALL", "f"),
    ("FCALL", "f", "0"),
    ("FCALL", "F", "0", "x"),
    ("FCALL", "nope", "0"),
    ("FCALL", "nope", "x"),
    ("FCALL", "f", "x"),
    ("FCALL", "f", "-1"),
    ("FCALL", "f", "2", "a"),
    ("FCALL", "f", "1", "a", "b"),
    ("FCALL", "f", "2", "a", "b", "c"),
    ("FCALL", "f", "0", *["x"] * 500),
    ("FCALL_RO", "f", "0"),
    ("EVAL", "return redis.call('fcall', 'f', 0)", "0"),
    ("EVAL", "return redis.call('function', 'list')", "0"),
    ("COMMAND", "GETKEYS", "FCALL", "f", "2", "a", "b", "c"),
    ("FUNCTION", "RESTORE"),
    ("FUNCTION", "RESTORE", "x"),
    ("FUNCTION", "RESTORE", "x", "y"),
    ("FUNCTION", "RESTORE", "x", "flush"),
    ("FUNCTION", "RESTORE", "x", "flush", "z"),
    ("FUNCTION", "DELETE"),
    ("FUNCTION", "DELETE", "x"),
    ("FUNCTION", "DELETE", "ONE"),
    ("FUNCTION", "DELETE", "one"),
    ("FCALL", "f", "0"),
    ("FUNCTION", "FLUSH", "x"),
    ("FUNCTION", "FLUSH", "SYNC", "x"),
    ("FUNCTION", "FLUSH", "async"),
    ("MULTI",),
    ("FUNCTION", "LIST"),
    ("FUNCTION", "LOAD", ONE),
    ("FUNCTION", "STATS"),
    ("FUNCTION", "DELETE", "one"),
    ("EXEC",),
    ("EVAL", "return redis.breakpoint()", "0"),
    ("EVAL", "return redis.debug('x')", "0"),
    ("EVAL", "return redis.replicate_commands()", "0"),
    ("EVAL", "return redis.set_repl(redis.REPL_ALL)", "0"),
    ("EVAL", "return redis.register_function", "0"),
    ("EVAL", "return redis.acl_check_cmd()", "0"),
    ("EVAL", "return redis.acl_check_cmd('nope')", "0"),
    ("EVAL", "return redis.acl_check_cmd({})", "0"),
    ("EVAL", "return redis.acl_check_cmd(1)", "0"),
    ("EVAL", "return redis.acl_check_cmd('get')", "0"),
    ("EVAL", "return redis.acl_check_cmd('config', 'get')", "0"),
    ("EVAL", "return redis.acl_check_cmd('config', 'nope')", "0"),
    ("EVAL", "return redis.acl_check_cmd('config')", "0"),
)


@pytest.fixture(params=[2, 3])
def pair(request: pytest.FixtureRequest, oracle_port: int) -> Iterator[tuple[RawConnection, RawConnection]]:
    """Connect to a Redis and to a node, both in the same version of RESP, and without libraries."""
    with LocalCluster(nodes=1) as cluster:
        ((_, port),) = cluster.addresses
        with (
            RawConnection(oracle_port, protocol=request.param) as redis,
            RawConnection(port, protocol=request.param) as node,
        ):
            redis.run([[b"FUNCTION", b"FLUSH"], [b"FLUSHALL"]])
            yield redis, node


def compare(pair: tuple[RawConnection, RawConnection], calls: list[Argv]) -> None:
    """Make the same calls to both, and show what was answered differently."""
    expected, answered = (each.run(calls) for each in pair)
    differences = [
        f"{argv!r}\n  redis:     {theirs.wire!r}\n  respcache: {ours.wire!r}"
        for argv, theirs, ours in zip(calls, expected, answered, strict=True)
        if theirs.wire != ours.wire
    ]
    assert not differences, "\n".join(differences[:10])


def words(*call: str | bytes) -> Argv:
    """Write a call."""
    return [word.encode() if isinstance(word, str) else word for word in call]


def dump(*codes: str | bytes, version: int = VERSION) -> bytes:
    """Write a payload of texts of up to 16 KB."""
    body = b""
    for code in codes:
        text = code.encode() if isinstance(code, str) else code
        body += bytes((FUNCTION, 0x40 | len(text) >> 8, len(text) & 255)) + text
    return signed(body, version)


def signed(body: bytes, version: int = VERSION) -> bytes:
    """Put the end behind a payload."""
    body += version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def test_commands_on_functions_answer_as_redis_does(pair: tuple[RawConnection, RawConnection]) -> None:
    """All forms of FUNCTION and FCALL, rightly and wrongly put, alone and inside MULTI."""
    compare(pair, [words(*call) for call in CALLS])


def test_libraries_are_loaded_or_refused_as_by_redis(pair: tuple[RawConnection, RawConnection]) -> None:
    """First lines, what is registered in which way, what a library may not do while it is loaded."""
    texts = [*FIRST_LINES, *[f"#!lua name=a\n{body}" for body in BODIES]]
    follow = [words("FUNCTION", "LIST", "WITHCODE"), words("FUNCTION", "FLUSH")]
    compare(pair, [call for text in texts for call in (words("FUNCTION", "LOAD", text), *follow)])


def test_functions_end_as_with_redis(pair: tuple[RawConnection, RawConnection]) -> None:
    """What they see and may do; errors with the name of the function and the line."""
    calls = [words(verb, name, "1", "k", "v") for verb in ("FCALL", "FCALL_RO") for name in CALLED]
    compare(pair, [words("FUNCTION", "LOAD", ERRORS), *calls])


def test_payloads_are_restored_or_refused_as_by_redis(pair: tuple[RawConnection, RawConnection]) -> None:
    """Versions, checksums, what is cut short or no library; collisions under each policy."""
    payloads = (
        dump(),
        *(dump(ONE, version=version) for version in (0, 9, 11)),
        b"",
        b"123456789",
        dump(ONE)[:-8] + bytes(8),
        dump(ONE)[:-1] + b"\0",
        signed(b"\x00\x01a"),
        signed(b"\xf5"),
        signed(b"\xf5\xc0\x05"),
        signed(b"\xf5\x80\xff\xff\xff\xff"),
        signed(b"\xf5\xc3\x02\x05\xe0\x00"),
        signed(b"\xf6\x01x"),
        dump("x"),
        dump(ONE),
        dump(ONE),
        dump(OTHER),
        dump(ONE, ONE),
        dump(THIRD, OTHER),
        dump(THIRD, THIRD.replace("third", "fourth")),
        dump("#!lua name=z\nx = 1"),
        dump("#!lua name=z\nx ="),
    )
    calls = []
    for policy in ((), ("REPLACE",), ("FLUSH",)):
        for payload in payloads:
            calls.append(words("FUNCTION", "RESTORE", payload, *policy))
            calls += [words("FUNCTION", "LIST", "LIBRARYNAME", name) for name in ("one", "other", "third")]
        calls.append(words("FUNCTION", "FLUSH"))
    compare(pair, calls)


def test_a_dump_of_either_is_restored_by_the_other(pair: tuple[RawConnection, RawConnection]) -> None:
    """Long texts that Redis packs, and short ones; what is dumped again is the same."""
    long = THIRD + "\n" + "\n".join(f"-- {'pack me ' * (line % 7)}{line}" for line in range(2000))
    for giver, taker in (pair, pair[::-1]):
        for each in pair:
            each.run([words("FUNCTION", "FLUSH")])
        giver.run([words("FUNCTION", "LOAD", text) for text in (ONE, long)])
        (payload,) = giver.run([words("FUNCTION", "DUMP")])
        body = payload.wire[payload.wire.index(b"\n") + 1 : -2]
        (restored,) = taker.run([words("FUNCTION", "RESTORE", body)])
        assert restored.wire == b"+OK\r\n"
        for name in ("one", "third"):
            theirs, ours = (each.run([words("FUNCTION", "LIST", "WITHCODE", "LIBRARYNAME", name)]) for each in pair)
            assert theirs == ours
