"""INFO beside a real Redis: which calls count, as what, and which errors."""

import re
from typing import Final

import pytest

from compat.wire import RawConnection
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

CASES: Final = """
GET
SET a
FOO bar
CONFIG foo
SET a 1 ; LPUSH a 1 ; LPUSH a 1 ; SET a 1 nonsense
SELECT 99
MULTI ; GET ; EXEC
MULTI ; LPUSH a 1 ; GET a ; EXEC
EXEC
EVAL return(redis.call('select',99)) 0
EVAL redis.pcall('select',99) 0
EVAL redis.pcall('select',99);return(redis.pcall('select',98)) 0
EVAL redis.pcall('select',99);return(redis.call('lpush',KEYS[1],1)) 1 a
EVAL return(redis.call('lpush',KEYS[1],1)) 1 a
EVAL return(redis.pcall('lpush',KEYS[1],1)) 1 a
EVAL redis.pcall('lpush',KEYS[1],1) 1 a
EVAL_RO return(redis.call('set',KEYS[1],1)) 1 a
EVAL_RO redis.pcall('set',KEYS[1],1) 1 a
EVAL return(redis.call('foo')) 0
EVAL redis.pcall('foo') 0
EVAL return(redis.call('get')) 0
EVAL redis.pcall('get') 0
EVAL redis.call('set',KEYS[1],1);return(redis.error_reply('MINE#:1')) 1 b
EVAL return{err='MINE#:1\tx'} 0
EVAL return{err='MINE#:1_x'} 0
EVAL return{err='ERR'} 0
EVAL return{err='AWORDOFMORETHANTHIRTYONECHARACTERS'} 0
EVAL error('x') 0
EVAL error({err='MY_x'}) 0
EVAL no-script 0
EVALSHA 0123456789012345678901234567890123456789 0
MULTI ; EVAL return(redis.call('lpush',KEYS[1],1)) 1 a ; EXEC
CONFIG SET maxmemory 1 ; SET a 1 ; EVAL return(redis.call('set',KEYS[1],1)) 1 a ; CONFIG SET maxmemory 0
CONFIG SET maxmemory 1 ; EVAL redis.pcall('set',KEYS[1],1) 1 a ; CONFIG SET maxmemory 0
CONFIG SET maxmemory 1 ; EVAL return(redis.pcall('set',KEYS[1],1)) 1 a ; CONFIG SET maxmemory 0
XREADGROUP GROUP g c STREAMS nostream >
BLMPOP 0.01 1 a LEFT
"""
COUNTS: Final = re.compile(rb"^(cmdstat_[^:]+:calls=\d+|errorstat_[^:]+|total_error_replies):?(.*)$", re.MULTILINE)
FIGURES: Final = re.compile(rb"(?:rejected_calls|failed_calls|count)=\d+|^\d+$")
SETUP: Final = (b"cmdstat_config|resetstat", b"cmdstat_config|set", b"cmdstat_info")


def counted(port: int, calls: list[list[bytes]]) -> list[bytes]:
    """Make calls, and give what INFO counts of them."""
    with RawConnection(port) as client:
        client.run([[b"FLUSHALL"], [b"SET", b"a", b"1"], [b"CONFIG", b"RESETSTAT"]])
        for call in calls:
            client.run([call])
        [told] = client.run([[b"INFO", b"stats", b"commandstats", b"errorstats"]])
        lines = [
            name + b" " + b" ".join(FIGURES.findall(figures.strip())) for name, figures in COUNTS.findall(told.wire)
        ]
        return sorted(line for line in lines if not line.startswith(SETUP))


def test_errors_and_refusals_are_counted_as_by_redis(oracle_port: int) -> None:
    """By code and by command; once each, however a script passes them on."""
    with LocalCluster(nodes=1) as cluster:
        ((_, port),) = cluster.addresses
        for line in CASES.strip().split("\n"):
            calls = [[word.encode() for word in call.split(" ")] for call in line.split(" ; ")]
            assert counted(port, calls) == counted(oracle_port, calls), line


def test_errors_of_another_nodes_keys_are_counted_where_the_client_is() -> None:
    """Under the command, and by the code; the owner of the key counts nothing."""
    with LocalCluster(nodes=3) as cluster:
        ports = [port for _, port in cluster.addresses]
        calls = [[b"SET", b"k", b"1"], [b"LPUSH", b"k", b"1"], [b"EVAL", b"return{err='MINE x'}", b"1", b"k"]]
        found = {b"\n".join(counted(port, calls)) for port in ports}
        expected = {
            b"cmdstat_eval:calls=1 rejected_calls=0 failed_calls=1",
            b"cmdstat_lpush:calls=1 rejected_calls=0 failed_calls=1",
            b"cmdstat_set:calls=1 rejected_calls=0 failed_calls=0",
            b"errorstat_MINE count=1",
            b"errorstat_WRONGTYPE count=1",
            b"total_error_replies 2",
        }
        assert found == {b"\n".join(sorted(expected))}
