"""Commands on the connection and on the node: replies beside those of a real Redis, byte for byte."""

from collections.abc import Iterator
from typing import Final

import pytest

from compat.conftest import Connect, port_of
from compat.wire import Frame, RawConnection
from respcache.commands.registry import ROWS
from unit.commands.front import Front

CALLS: Final = """
WAIT x 0
WAIT 1 x
WAIT 1 -1
WAIT 1
WAIT 0 0
WAIT -5 0
WAIT 1 99999999999999999999
WAIT 99999999999999999999 1
PING
PING hello
PING a b
ECHO hello
ECHO
HELLO 4
HELLO x
HELLO 3 foo
HELLO 3 AUTH a
HELLO 3 AUTH nobody x
HELLO 2 SETNAME
AUTH x
AUTH default anything
AUTH nobody x
AUTH a b c
AUTH
SELECT 1
SELECT 0
SELECT x
SELECT 16
SELECT -1
SELECT 99999999999
SELECT
CLIENT
CLIENT FOO
CLIENT GETNAME
CLIENT SETNAME worker
CLIENT GETNAME
CLIENT SETNAME a\tb
CLIENT KILL
CLIENT KILL 1.1.1.1:1
CLIENT KILL ID
CLIENT KILL ID x
CLIENT KILL ID 0
CLIENT KILL ID 99999
CLIENT KILL ID 99999 SKIPME no TYPE replica USER default
CLIENT KILL TYPE foo
CLIENT KILL TYPE pubsub
CLIENT KILL USER nobody
CLIENT KILL SKIPME maybe
CLIENT KILL FOO bar
CLIENT KILL ADDR 1:1 ID
CLIENT KILL ADDR 1:1 LADDR 2:2
CLIENT REPLY
CLIENT REPLY maybe
CLIENT REPLY ON
CLIENT GETREDIR
CLIENT TRACKINGINFO
CLIENT PAUSE
CLIENT PAUSE x
CLIENT PAUSE -1
CLIENT PAUSE 99999999999999999999
CLIENT PAUSE 10 READ
CLIENT PAUSE 10 WRITE x
CLIENT PAUSE 0
CLIENT UNPAUSE
CLIENT UNPAUSE x
CLIENT UNBLOCK
CLIENT UNBLOCK x
CLIENT UNBLOCK 99999
CLIENT UNBLOCK 99999 TIMEOUT
CLIENT UNBLOCK 99999 NOW
CLIENT UNBLOCK 99999 ERROR x
CLIENT LIST TYPE
CLIENT LIST TYPE foo
CLIENT LIST TYPE pubsub
CLIENT LIST TYPE master
CLIENT LIST ID
CLIENT LIST ID x
CLIENT LIST ID 1000000 1000001
CLIENT LIST foo
CLIENT LIST foo bar
CLIENT NO-EVICT maybe
CLIENT NO-EVICT on
CLIENT NO-EVICT off
CLIENT ID x
RESET x
CONFIG
CONFIG FOO
CONFIG GET
CONFIG GET nothing
CONFIG GET MAXCLIENTS
CONFIG GET maxmemory-policy
CONFIG GET save
CONFIG GET appendonly
CONFIG GET slowlog-log*
CONFIG GET client-query-buffer-limi?
CONFIG GET proto-max-bulk-len
CONFIG GET timeout TIMEOUT timeou?
CONFIG SET nothing
CONFIG SET nothing 1
CONFIG SET timeout
CONFIG SET timeout 1 hz
CONFIG SET timeout x
CONFIG SET timeout -1
CONFIG SET timeout 1 timeout 2
CONFIG SET timeout 60 nothing 1
CONFIG SET timeout 60 maxclients 0
CONFIG GET timeout
CONFIG SET databases 3
CONFIG SET maxclients 0
CONFIG SET maxclients 1.5
CONFIG SET protected-mode maybe
CONFIG SET client-query-buffer-limit 1kb
CONFIG SET client-query-buffer-limit 1xb
CONFIG SET client-query-buffer-limit 2mb
CONFIG GET client-query-buffer-limit
CONFIG SET slowlog-log-slower-than -2
CONFIG SET client-output-buffer-limit foo
CONFIG SET client-output-buffer-limit foo bar baz
CONFIG RESETSTAT
CONFIG RESETSTAT x
CONFIG REWRITE
COMMAND FOO
COMMAND COUNT x
COMMAND DOCS nothing
COMMAND INFO nothing
COMMAND LIST FOO
COMMAND LIST FILTERBY
COMMAND LIST FILTERBY FOO bar
COMMAND LIST FILTERBY MODULE nothing
COMMAND LIST FILTERBY ACLCAT nothing
COMMAND LIST FILTERBY PATTERN xyz*
COMMAND LIST FILTERBY PATTERN CLIENT|GETNAM?
COMMAND GETKEYS get
COMMAND GETKEYS get a b
COMMAND GETKEYS get a
COMMAND GETKEYS ping a
COMMAND GETKEYS nothing a
COMMAND GETKEYS object nothing a
COMMAND GETKEYS object encoding a
COMMAND GETKEYS object encoding
COMMAND GETKEYS mset a 1 b 2
COMMAND GETKEYSANDFLAGS get a
COMMAND GETKEYSANDFLAGS SET k v
COMMAND GETKEYSANDFLAGS SET k v GET
COMMAND GETKEYSANDFLAGS SET k v NX EX 10
COMMAND GETKEYSANDFLAGS BITFIELD k GET u8 0
COMMAND GETKEYSANDFLAGS BITFIELD k GET u8 0 SET u8 0 1
COMMAND GETKEYSANDFLAGS SORT a STORE b
COMMAND GETKEYSANDFLAGS SORT a
COMMAND GETKEYSANDFLAGS SORT a STORE b STORE c
COMMAND GETKEYSANDFLAGS GEORADIUS a 1 2 3 m STORE b
COMMAND GETKEYSANDFLAGS GEORADIUS a 1 2 3 m
COMMAND GETKEYSANDFLAGS BITOP AND a b c
COMMAND GETKEYSANDFLAGS RENAME a b
COMMAND GETKEYSANDFLAGS COPY a b
COMMAND GETKEYSANDFLAGS LMOVE a b LEFT LEFT
COMMAND GETKEYSANDFLAGS ZUNIONSTORE a 2 b c
COMMAND GETKEYSANDFLAGS ZINTERSTORE a 2 b c
COMMAND GETKEYSANDFLAGS SINTERSTORE a b c
COMMAND GETKEYSANDFLAGS PFMERGE a b c
COMMAND GETKEYSANDFLAGS PFCOUNT a b
COMMAND GETKEYSANDFLAGS MSET a 1 b 2
COMMAND GETKEYSANDFLAGS EVAL x 2 a b c
COMMAND GETKEYSANDFLAGS XREAD STREAMS a b 1 2
COMMAND GETKEYSANDFLAGS XREADGROUP GROUP g c STREAMS a b 1 2
COMMAND GETKEYSANDFLAGS GET a
COMMAND GETKEYSANDFLAGS LLEN a
COMMAND GETKEYSANDFLAGS DEL a b
COMMAND GETKEYSANDFLAGS RPOPLPUSH a b
COMMAND GETKEYSANDFLAGS SMOVE a b c
COMMAND GETKEYSANDFLAGS MSETNX a 1 b 2
COMMAND GETKEYSANDFLAGS BLMPOP 0 2 a b LEFT
COMMAND GETKEYSANDFLAGS MEMORY USAGE a
COMMAND GETKEYSANDFLAGS OBJECT ENCODING a
COMMAND GETKEYSANDFLAGS XGROUP CREATE a b c
COMMAND GETKEYSANDFLAGS XINFO STREAM a
COMMAND GETKEYSANDFLAGS RESTORE a 0 x
COMMAND GETKEYSANDFLAGS GETEX a
INFO nothing
ROLE
TIME x
SHUTDOWN ABORT
SHUTDOWN foo
SHUTDOWN NOSAVE SAVE
SHUTDOWN ABORT NOW
SLOWLOG GET -2
SLOWLOG GET x
SLOWLOG GET 1 2
SLOWLOG RESET
SLOWLOG FOO
LATENCY LATEST
LATENCY HISTORY command
LATENCY RESET
LATENCY GRAPH foo
LATENCY HISTOGRAM nothing
MEMORY USAGE nothing
MEMORY USAGE nothing SAMPLES
MEMORY USAGE nothing SAMPLES -1
MEMORY USAGE nothing SAMPLES 5
MEMORY USAGE nothing FOO 1
MEMORY PURGE
ACL WHOAMI
ACL USERS
ACL LIST
ACL LIST x
ACL GETUSER default
ACL GETUSER Default
ACL GETUSER nobody
ACL GETUSER
ACL CAT
ACL CAT nothing
ACL CAT a b
MODULE LIST
MODULE FOO
RESET
CLIENT GETNAME
QUIT x
"""

SETTINGS_KEPT: Final = [b"CONFIG", b"SET", b"timeout", b"0", b"client-query-buffer-limit", b"1gb"]


@pytest.fixture
def redis(oracle: Connect) -> Iterator[Connect]:
    """Give the oracle, and leave its settings as they were."""
    yield oracle
    oracle(2).run([SETTINGS_KEPT])


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_call_is_answered_as_redis_does(redis: Connect, protocol: int) -> None:
    """One client sends all calls in order, to both; QUIT comes last."""
    calls = [line.split(" ") for line in CALLS.strip().split("\n")]
    requests = [[word.encode() for word in words] for words in calls]
    port = port_of(redis)
    with RawConnection(port, protocol=protocol) as connection:
        expected = [frame.wire for frame in connection.run(requests)]
    front = Front()
    client = front.client()
    client.protocol = protocol
    given = [front.wire(client, *words) for words in requests]
    different = [
        f"{' '.join(words)}\n  redis {theirs!r}\n  here  {ours!r}"
        for words, theirs, ours in zip(calls, expected, given, strict=True)
        if theirs != ours
    ]
    assert not different, "\n".join(different)


def test_acl_categories_are_those_of_redis(oracle: Connect) -> None:
    """COMMAND INFO of a real Redis says of each command what its row says."""
    [answer] = oracle(2).run([[b"COMMAND", b"INFO", *(row.name.lower().encode() for row in ROWS)]])
    assert answer.elements is not None
    theirs = {
        row.name: _words(frame.elements[6])
        for row, frame in zip(ROWS, answer.elements, strict=True)
        if frame.elements is not None
    }
    ours = {row.name: [f"@{category}" for category in row.categories] for row in ROWS if row.name in theirs}
    assert ours == theirs


def test_each_command_came_with_the_version_that_redis_names(oracle: Connect) -> None:
    """COMMAND DOCS of a real Redis gives the same `since` for what it knows."""
    names = [row.name.lower() for row in ROWS]
    [answer] = oracle(2).run([[b"COMMAND", b"DOCS", *(name.encode() for name in names)]])
    assert answer.elements is not None
    theirs = {
        _text(name): _text(docs.elements[3])
        for name, docs in zip(answer.elements[::2], answer.elements[1::2], strict=True)
        if docs.elements is not None
    }
    ours = {row.name.lower(): row.since for row in ROWS if row.name.lower() in theirs}
    assert ours == theirs


def _words(frame: Frame) -> list[str]:
    assert frame.elements is not None
    return [word.wire[1:-2].decode() for word in frame.elements]


def _text(frame: Frame) -> str:
    return frame.wire.split(b"\r\n")[1].decode()
