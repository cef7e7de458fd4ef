"""Scripts beside a real Redis: replies, errors and libraries, byte for byte."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import pytest

from compat.wire import RawConnection
from respcache.store.partition import Argv
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

WRITTEN: Final = (Path(__file__).parent / "scripts.txt").read_text("utf-8").splitlines()
"""A script a line; they run one after the other, on the keys that those before them have left."""
SEEDS: Final = range(4)
GENERATED: Final = 150
"""Scripts of one seed."""

SHEBANGS: Final = (
    "#!lua\nreturn 1",
    "#!foo\nreturn 1",
    "#!lua x=1\nreturn 1",
    "#!lua flags=x\nreturn 1",
    "#!lua",
    "#!\nreturn 1",
    "#! lua\nreturn 1",
    "#!LUA\nreturn 1",
    "#!lua flags\nreturn 1",
    "#!lua flags=\nreturn foo",
    "#!lua flags=no-writes,\nreturn 1",
    "#!lua flags=no-writes flags=x\nreturn 1",
    "#!lua flags=no-writes,allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\nreturn redis.call('set','a',1)",
    "#!lua flags=no-writes\nreturn redis.call('get','nothing')",
    "#!lua name=a\nreturn 1",
    "\n\nreturn redis.call('nope')",
    "local function f()\n  return redis.call('get')\nend\n\nreturn f()",
    "local t = {}\nt.x.y = 1",
    "return 1 +",
    "return {1,2",
    "x = ",
    "for",
)
KEYS_AND_ARGUMENTS: Final[tuple[tuple[str, ...], ...]] = (
    ("EVAL",),
    ("EVAL", "return 1"),
    ("EVAL", "return 1", "x"),
    ("EVAL", "return 1", "-1"),
    ("EVAL", "return 1", "2", "a"),
    ("EVAL", "return 1", "1.0", "a"),
    ("EVAL", "return {KEYS, ARGV}", "2", "a", "b", "c", "d", ""),
    ("EVAL", "return {KEYS, ARGV}", "0", "a", "b"),
    ("EVAL", "return {KEYS, ARGV}", "1", "a"),
    ("EVAL", "return #ARGV", "0", *["x"] * 5000),
    ("EVAL", "return #KEYS", "5000", *["x"] * 5000),
    ("EVAL_RO", "return redis.call('set', KEYS[1], 1)", "1", "a"),
    ("EVAL_RO", "return redis.pcall('set', KEYS[1], 1)", "1", "a"),
    ("EVAL_RO", "return redis.call('publish', 'a', 1)", "0"),
    ("EVAL_RO", "return redis.call('get', KEYS[1])", "1", "nothing"),
    ("EVAL_RO", "#!lua flags=\nreturn 1", "0"),
    ("EVAL_RO", "#!lua flags=no-writes\nreturn 1", "0"),
    ("SCRIPT", "FLUSH"),
    ("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0"),
    ("EVALSHA", "nonsense", "0"),
    ("EVALSHA", "nonsense", "-1"),
    ("EVALSHA_RO", "nonsense", "9", "k"),
    ("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "-1"),
    ("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "x"),
    ("SCRIPT", "EXISTS", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "x"),
    ("SCRIPT", "LOAD", "return 1"),
    ("SCRIPT", "EXISTS", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "x"),
    ("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0"),
    ("EVALSHA", "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB", "0"),
    ("EVALSHA_RO", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0"),
    ("SCRIPT", "LOAD", "return 1 1"),
    ("SCRIPT", "LOAD", "#!lua flags=x\nreturn 1"),
    ("SCRIPT",),
    ("SCRIPT", "NOTHING"),
    ("SCRIPT", "LOAD"),
    ("SCRIPT", "LOAD", "a", "b"),
    ("SCRIPT", "EXISTS"),
    ("SCRIPT", "FLUSH", "a"),
    ("SCRIPT", "FLUSH", "SYNC", "x"),
    ("SCRIPT", "FLUSH", "async"),
    ("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0"),
    ("SCRIPT", "KILL"),
    ("MULTI",),
    ("EVAL", "return redis.call('incr', KEYS[1])", "1", "n"),
    ("EVAL", "return redis.call('lpush', KEYS[1], 1)", "1", "n"),
    ("EVALSHA", "ffffffffffffffffffffffffffffffffffffffff", "1", "n"),
    ("EVAL", "return redis.call('incr', KEYS[1])", "1", "n"),
    ("EXEC",),
)


@pytest.fixture(scope="module", params=[2, 3])
def pair(request: pytest.FixtureRequest, oracle_port: int) -> Iterator[tuple[RawConnection, RawConnection]]:
    """Connect to a Redis and to a node, both in the same version of RESP."""
    with LocalCluster(nodes=1) as cluster:
        ((_, port),) = cluster.addresses
        with (
            RawConnection(oracle_port, protocol=request.param) as redis,
            RawConnection(port, protocol=request.param) as node,
        ):
            yield redis, node


def compare(pair: tuple[RawConnection, RawConnection], calls: list[Argv]) -> None:
    """Make the same calls to both, beginning without keys, and show what was answered differently."""
    redis, node = pair
    start = [[b"FLUSHALL"], [b"SELECT", b"0"]]
    expected, answered = redis.run(start + calls), node.run(start + calls)
    differences = [
        f"{argv!r}\n  redis:     {theirs.wire!r}\n  respcache: {ours.wire!r}"
        for argv, theirs, ours in zip(start + calls, expected, answered, strict=True)
        if theirs.wire != ours.wire
    ]
    assert not differences, "\n".join(differences[:10])


def run(script: str | bytes, *arguments: bytes) -> Argv:
    """Write the call of a script without keys."""
    return [b"EVAL", script.encode() if isinstance(script, str) else script, b"0", *arguments]


def test_written_scripts_end_as_with_redis(pair: tuple[RawConnection, RawConnection]) -> None:
    """What the API does, what the libraries do, what is refused and in which words."""
    compare(pair, [run(script) for script in WRITTEN])


def test_first_lines_and_syntax_are_read_as_by_redis(pair: tuple[RawConnection, RawConnection]) -> None:
    """Flags behind `#!lua`, the lines that errors name, texts that are no Lua."""
    compare(pair, [run(script) for script in SHEBANGS])


def test_commands_on_scripts_answer_as_redis_does(pair: tuple[RawConnection, RawConnection]) -> None:
    """Numbers of keys, read-only scripts, digests known and unknown, SCRIPT in all forms, scripts inside MULTI."""
    compare(pair, [[word.encode() for word in call] for call in KEYS_AND_ARGUMENTS])


@pytest.mark.parametrize("seed", SEEDS)
def test_values_by_chance_pass_through_the_libraries_as_with_redis(
    pair: tuple[RawConnection, RawConnection], seed: int
) -> None:
    """Texts to cjson and cmsgpack, values out of them, numbers through bit and struct; the seed is the parameter."""
    rng = Random(f"scripts {seed}")
    compare(pair, [rng.choice(MAKERS)(rng) for _ in range(GENERATED)])


def _text(rng: Random) -> bytes:
    length = rng.choice((0, 1, 2, 5, 31, 32, 255, 256, 70_000 if rng.random() < 0.05 else 40))
    return bytes(rng.choice(b'ab"\\/\x00\x01\x7f\x80\xc3\xa9\n{}[],:') for _ in range(length))


def _number(rng: Random) -> float:
    return rng.choice(
        (
            rng.randint(-300, 300),
            rng.randint(-(2**53), 2**53),
            rng.choice((-1, 1)) * 2 ** rng.randint(0, 62),
            rng.uniform(-10, 10),
            rng.uniform(-1, 1) * 10 ** rng.randint(-300, 300),
        )
    )


def _plain(rng: Random, depth: int = 0) -> object:
    kind = rng.randrange(7 if depth < 4 else 5)
    if kind < 2:
        return _number(rng)
    if kind < 4:
        return "".join(rng.choice('aé"\\/\n\t\x01\u20ac\U0001f600') for _ in range(rng.randrange(6)))
    if kind == 4:
        return rng.choice((True, False, None))
    if kind == 5:
        return [_plain(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice("abc"): _plain(rng, depth + 1)} if rng.random() < 0.8 else {}


def _lua(value: object) -> str:
    """Write a value in Lua; tables have one key that is no number, so their order is no matter."""
    if value is None:
        return "cjson.null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(float(value))
    if isinstance(value, str):
        return '"' + "".join(f"\\{byte:03d}" for byte in value.encode()) + '"'
    if isinstance(value, list):
        return "{" + ",".join(_lua(element) for element in value) + "}"
    assert isinstance(value, dict)
    return "{" + ",".join(f"[{_lua(name)}]={_lua(element)}" for name, element in value.items()) + "}"


def _broken(rng: Random, text: bytes) -> bytes:
    """Cut a text, or change a byte, or leave it as it is."""
    if not text or rng.random() < 0.4:
        return text
    at = rng.randrange(len(text))
    return text[:at] if rng.random() < 0.5 else text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]


def _json(rng: Random) -> Argv:
    text = _broken(rng, json.dumps(_plain(rng), ensure_ascii=rng.random() < 0.5).encode())
    return run("return cjson.encode(cjson.decode(ARGV[1]))", text)


def _json_of(rng: Random) -> Argv:
    return run(f"return cjson.encode({_lua(_plain(rng))})")


def _json_text(rng: Random) -> Argv:
    return run("return cjson.encode(ARGV[1])", _text(rng))


def _sparse(rng: Random) -> Argv:
    entries = ",".join(f"[{rng.choice((1, 2, 3, 5, 11, 12, 40))}]={rng.randrange(9)}" for _ in range(rng.randrange(4)))
    return run(f"return {{cjson.encode({{{entries}}})}}")


def _message(rng: Random) -> Argv:
    return run(f"return cmsgpack.pack({_lua(_plain(rng))}, {_lua(_plain(rng))})")


def _round_trip(rng: Random) -> Argv:
    return run(f"return cjson.encode({{cmsgpack.unpack(cmsgpack.pack({_lua(_plain(rng))}))}})")


def _bytes(rng: Random) -> Argv:
    heads = (0, 0x7F, 0xE0, 0xA1, 0x91, 0x92, 0x81, 0xC0, 0xC2, 0xC3, 0xC4, 0xC7, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF)
    more = (0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD9, 0xDA, 0xDC, 0xDE, 0xC1)
    text = bytes([rng.choice(heads + more)]) + bytes(rng.randrange(4) for _ in range(rng.randrange(10)))
    return run("local r = {cmsgpack.unpack(ARGV[1])} return {#r, type(r[1]), r[1]}", text)


def _bits(rng: Random) -> Argv:
    names = ("tobit", "tohex", "bnot", "band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror", "bswap")
    name = rng.choice(names)
    numbers = [repr(float(_number(rng))) for _ in range(rng.randint(1, 3))]
    return run(f"return bit.{name}({','.join(numbers)})")


def _packed(rng: Random) -> Argv:
    options = "".join(rng.choice(("b", "B", "h", "H", "i", "I4", "l", "L", "i3", "f", "d")) for _ in range(3))
    form = rng.choice(("<", ">", "!", "!4", "")) + " " + options
    numbers = ",".join(repr(float(rng.choice((rng.randint(-500, 500), _int(rng))))) for _ in range(3))
    return run(f"return struct.pack('{form}', {numbers})")


def _int(rng: Random) -> int:
    return rng.randint(-(2**31), 2**31)


def _unpacked(rng: Random) -> Argv:
    options = "".join(
        rng.choice(("b", "B", "h", "H", "i", "I4", "l", "i3", "d", "s", "c2", "bc0", "x")) for _ in range(3)
    )
    form = rng.choice(("<", ">", "!", "!4", "")) + options
    text = struct.pack("<bhidq", 3, _int(rng) % 30_000, 7, 1.5, _int(rng)) + b"abc\0"
    return run(f"local r = {{struct.unpack('{form}', ARGV[1])}} return {{#r, tostring(r[1]), tostring(r[2])}}", text)


def _sized(rng: Random) -> Argv:
    form = "".join(rng.choice("bBhHiIlLTfdxs cC!<>4") for _ in range(rng.randrange(6)))
    return run(f"return struct.size('{form}')")


def _returned(rng: Random) -> Argv:
    setting = rng.choice(("", "redis.setresp(3) ", "redis.setresp(2) "))
    return run(f"{setting}return {_lua(_plain(rng))}")


def _argument(rng: Random) -> Argv:
    return run(f"redis.call('set', 'x', {float(_number(rng))!r}) return redis.call('get', 'x')")


MAKERS: Final = (
    *(_json, _json_of, _json_text, _sparse, _message, _round_trip, _bytes, _bits),
    *(_packed, _unpacked, _sized, _returned, _argument),
)
