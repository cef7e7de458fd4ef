"""Memory that is short, beside a real Redis: what is refused and what is not, and what is told of keys."""

from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from compat.oracle import redis_server, why_not
from compat.wire import RawConnection
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

FULL: Final = rb"""
SET a 1
GET a
DEL a b
SET
EXISTS l
LPUSH l x
LRANGE l 0 -1
RPOP l
EXPIRE l 100
PERSIST l
INCR n
APPEND a x
SETRANGE a 0 x
GETDEL a
HSET h f v
HDEL h f
SADD s x
SREM s x
ZADD z 1 a
ZREM z a
ZPOPMIN z
MSET {t}a 1 {t}b 2
MSETNX {t}a 1 {t}b 2
RENAME l m
RENAME m l
COPY l m
LMOVE l m LEFT RIGHT
SUNIONSTORE {t}s {t}a {t}b
BITOP NOT {t}b {t}a
GEOADD g 1 1 a
SETBIT a 0 1
GETEX a
PING
PUBLISH c x
MULTI
GET a
EXEC
MULTI
SET a 1
EXEC
MULTI
PING
DISCARD
MULTI
EXEC
MULTI
RESET
WATCH a
UNWATCH
EVAL return+redis.call('set',KEYS[1],1) 1 a
EVAL return+redis.call('get',KEYS[1]) 1 a
EVAL return+redis.pcall('set',KEYS[1],1) 1 a
EVAL redis.call('del',KEYS[1])+return+redis.call('set',KEYS[1],1) 1 a
EVAL return+1 0
EVAL #!lua\nreturn+1 1 a
EVAL #!lua+flags=allow-oom\nreturn+redis.call('set',KEYS[1],1) 1 a
EVAL #!lua+flags=no-writes\nreturn+redis.call('get',KEYS[1]) 1 a
EVAL_RO return+redis.call('get',KEYS[1]) 1 a
CONFIG GET maxmemory
"""
"""Calls of one client, `+` for a blank within a word; the node has a list, and more than it may have."""

SETTINGS: Final = rb"""
CONFIG GET maxmemory
CONFIG GET maxmemory-policy
CONFIG GET lfu-log-factor
CONFIG SET maxmemory 100mb
CONFIG GET maxmemory
CONFIG SET maxmemory 1gb maxmemory-policy allkeys-lfu
CONFIG GET maxmemory-samples
CONFIG SET maxmemory -1
CONFIG SET maxmemory 5x
CONFIG SET maxmemory-policy lru
CONFIG SET maxmemory-policy VOLATILE-TTL
CONFIG GET maxmemory-policy
CONFIG SET maxmemory-samples 10
CONFIG SET lfu-log-factor 1
CONFIG SET lfu-decay-time 0
CONFIG GET lfu-decay-time
CONFIG SET lfu-log-factor -1
CONFIG SET maxmemory-policy allkeys-lfu
DEL f
OBJECT FREQ f
SET f 1
OBJECT FREQ f
OBJECT IDLETIME f
GET f
OBJECT FREQ f
TTL f
TYPE f
EXISTS f
OBJECT FREQ f
CONFIG SET maxmemory-policy allkeys-lru
SET f 2
OBJECT IDLETIME f
OBJECT FREQ f
OBJECT IDLETIME nothing
CONFIG SET maxmemory-policy noeviction
OBJECT FREQ f
OBJECT IDLETIME f
CONFIG SET maxmemory 0 lfu-log-factor 10 lfu-decay-time 1 maxmemory-samples 5
"""


@pytest.fixture(scope="module")
def redis_port() -> Iterator[int]:
    """Run a Redis that may be filled up."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with redis_server() as port:
        yield port


@pytest.fixture(scope="module", params=[1, 3])
def ports(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Run one node, or three; give their ports."""
    with LocalCluster(nodes=request.param) as cluster:
        yield [port for _, port in cluster.addresses]


def _calls(text: bytes) -> list[list[bytes]]:
    return [
        [word.replace(b"+", b" ").replace(b"\\n", b"\n") for word in line.split(b" ")]
        for line in text.strip().split(b"\n")
    ]


def _on(ports: Sequence[int], line: bytes) -> None:
    for port in ports:
        with RawConnection(port) as client:
            client.run([line.split(b" ")])


def _answers(port: int, calls: list[list[bytes]]) -> list[bytes]:
    with RawConnection(port) as client:
        return [client.run([argv])[0].wire for argv in calls]


def _answers_of_the_full(ports: list[int], calls: list[list[bytes]]) -> list[bytes]:
    """Make calls on the first of some nodes, all of which have more than they may have."""
    _on(ports[:1], b"FLUSHALL")
    _on(ports[:1], b"RPUSH l 1 2 3")
    _on(ports, b"CONFIG SET maxmemory 1")
    try:
        return _answers(ports[0], calls)
    finally:
        _on(ports, b"CONFIG SET maxmemory 0")


def test_a_full_node_refuses_what_redis_refuses(redis_port: int, ports: list[int]) -> None:
    """Word for word, alone, in transactions and in scripts, wherever the key is."""
    calls = _calls(FULL)
    for argv, theirs, ours in zip(
        calls, _answers_of_the_full([redis_port], calls), _answers_of_the_full(ports, calls), strict=True
    ):
        assert ours == theirs, argv
    assert _answers(ports[0], [[b"SET", b"a", b"1"]]) == [b"+OK\r\n"]


def test_settings_and_what_is_told_of_keys_are_as_with_redis(redis_port: int, ports: list[int]) -> None:
    """CONFIG in bytes and units; OBJECT FREQ and IDLETIME by the policy that is set."""
    if len(ports) > 1:
        pytest.skip("settings are those of one node")
    calls = _calls(SETTINGS)
    for argv, theirs, ours in zip(calls, _answers(redis_port, calls), _answers(ports[0], calls), strict=True):
        assert ours == theirs, argv
