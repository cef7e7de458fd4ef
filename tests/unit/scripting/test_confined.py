"""Scripts whose text tells that they come to no keys but those that they declare."""

import pytest

from respcache.commands.families import ROWS
from respcache.scripting.confined import is_confined


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"return KEYS[1]",
        b'return redis.call("INCR", KEYS[1])',
        b"if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end",
        b"local key = KEYS[1]\nlocal now = redis.call('TIME')\nreturn redis.pcall('hset', key, now[1], ARGV[1])",
        b"local one = KEYS[1]; local two = KEYS[2]; return redis.call('SET', one, redis.call('GET', two), 'EX', 5)",
        b"return {KEYS[1] .. 'x', #KEYS}",
        b"--[==[ redis.call(x) ]==] -- KEYS = 1\nredis.log(redis.LOG_WARNING, [[redis.call(x)]]) return 1",
        b"return redis.call('MGET', KEYS[1], KEYS[2])",
    ],
)
def test_calls_on_declared_keys_alone(text: bytes) -> None:
    """Keys stand in their places, or local names for them."""
    assert is_confined(text)


@pytest.mark.parametrize(
    "text",
    [
        b"return redis.call('GET', ARGV[1])",
        b"return redis.call('GET', KEYS[1] .. 'x')",
        b"return redis.call('GET', KEYS[1]:rep(2))",
        b"return redis.call('GET', KEYS[ARGV[1]])",
        b"return redis.call(ARGV[1], KEYS[1])",
        b"return redis.call('\\71ET', 'x')",
        b"return redis.call'GET'",
        b"return redis['call']('GET', 'x')",
        b"local call = redis.call return call('GET', 'x')",
        b"local r = redis return r.call('GET', 'x')",
        b"return _G['redis'].call('GET', 'x')",
        b"return loadstring(ARGV[1])()",
        b"function redis.call() end",
        b"KEYS[1] = 'x' return redis.call('GET', KEYS[1])",
        b"KEYS[1], x = 'x', 1 return redis.call('GET', KEYS[1])",
        b"x, KEYS[1] = 1, 'x' return redis.call('GET', KEYS[1])",
        b"KEYS = {'x'} return redis.call('GET', KEYS[1])",
        b"table.insert(KEYS, 1, 'x') return redis.call('GET', KEYS[1])",
        b"local key = KEYS[1] .. 'x' return redis.call('GET', key)",
        b"local key = KEYS[1] or 'x' return redis.call('GET', key)",
        b"local key = KEYS[1]\nkey = 'x' return redis.call('GET', key)",
        b"local key = KEYS[1]\nfor _, key in pairs(ARGV) do redis.call('GET', key) end",
        b"local key = KEYS[1]\nlocal function f(key) return redis.call('GET', key) end return f('x')",
        b"return redis.call('DEL', KEYS[1], ARGV[1])",
        b"return redis.call('DEL', unpack(KEYS))",
        b"return redis.call('RENAME', KEYS[1], 'x')",
        b"return redis.call('SORT', KEYS[1], 'BY', 'x*')",
        b"return redis.call('KEYS', '*')",
        b"return redis.call('SELECT', 1)",
        b"return redis.call('NONE', KEYS[1])",
        b"return 1 --" + b"x" * 100_000,
    ],
)
def test_whatever_is_not_certain(text: bytes) -> None:
    """Another key, another command, another meaning of a name, or just too long a text."""
    assert not is_confined(text)


def test_commands_with_a_key_in_front_have_no_others() -> None:
    """What is relied on: a row with one key at the first place names all that its command comes to."""
    rows = [row for row in ROWS if row.key_at == 1]
    assert rows
    assert all((row.keys.first, row.keys.last, row.keys.count_at, row.keys.stored_at) == (1, 1, 0, 0) for row in rows)
