"""Keyspace events beside a real Redis: the same calls are heard of in the same words."""

import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import pytest

from compat.conftest import Connect, port_of
from compat.conversation import Talker
from compat.generator import script
from compat.wire import Frame, RawConnection
from compat.written import scripts
from respcache.resp.inline import words
from respcache.store.partition import Argv
from respcache.testing import LocalCluster

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("left_as_found")]

Heard = tuple[bytes, bytes]
"""Channel and message."""

EVERYTHING: Final = b"KEAnm"
NEWS: Final = b"__key*__:*"
SEEDS: Final = range(20)
TIMEOUT_S: Final = 20.0
LETTERS: Final = "g$lshzxetdmnKEA"

EXPIRES_AT_ONCE: Final = b"expired"
"""Where a deadline has passed already, Redis deletes the key when somebody looks at it; here it is gone at once."""
ODD: Final = {b"XAUTOCLAIM": b"keymiss", b"BITFIELD": b"setbit", b"SORT": b"keymiss", b"SORT_RO": b"keymiss"}
"""Events that come otherwise: of calls that are refused, that add to a number of 63 bits, or that look up keys in the
order of a set, which is no order; see docs/compatibility.md."""

SEVERAL_KEYS: Final = """
MSET {a}1 1 b 2 c 3
MSETNX d 1 e 2
MSETNX d 1 f 2
RENAME d g
RENAME b c
RENAMENX c g
COPY g h
COPY g h REPLACE
SADD s1 a b c
SADD s2 b
SMOVE s1 s3 a
SMOVE s2 s3 b
SUNIONSTORE s4 s1 s3
SINTERSTORE s4 s1 nothing
RPUSH l1 a b c
LMOVE l1 l2 LEFT RIGHT
RPOPLPUSH l1 l2
LMOVE l1 l1 LEFT RIGHT
BLMOVE l1 l3 LEFT LEFT 0
BLPOP l1 l3 0
LMPOP 2 l1 l2 LEFT COUNT 9
ZADD z1 1 a 2 b
ZUNIONSTORE z2 2 z1 s1
ZRANGESTORE z3 z2 0 0
BZPOPMIN nothing z3 0
ZMPOP 2 z1 z2 MAX COUNT 9
GEOADD p 13 38 x
GEOSEARCHSTORE q p FROMLONLAT 13 38 BYRADIUS 9 KM
GEORADIUS p 13 38 9 KM STORE q
SET t1 abc
BITOP NOT t2 t1
MOVE t1 1
MULTI
SET m1 1
INCR m2
DEL m1 nothing
RENAME m2 m3
EXEC
DEL {a}1 g h t2
UNLINK s1 s3 p q
"""
"""Calls whose keys lie on all nodes of a cluster."""


@pytest.fixture(scope="module")
def alone() -> Iterator[int]:
    """Run one node; give its port."""
    with LocalCluster(nodes=1) as cluster:
        yield cluster.addresses[0][1]


@pytest.fixture(scope="module")
def three() -> Iterator[list[int]]:
    """Run three nodes; give their ports."""
    with LocalCluster(nodes=3) as cluster:
        yield [port for _, port in cluster.addresses]


def _news(frames: list[Frame]) -> list[Heard]:
    """Give channel and message of what a pattern has matched."""
    found: list[Heard] = []
    for frame in frames:
        assert frame.elements is not None
        channel, message = (element.wire.split(b"\r\n", 1)[1][:-2] for element in frame.elements[2:])
        found.append((channel, message))
    return found


def _prepared(ports: list[int]) -> RawConnection:
    """Begin without keys, and with all events, which one node is told for all."""
    connection = RawConnection(ports[-1])
    connection.run([[b"FLUSHALL"], [b"CONFIG", b"SET", b"notify-keyspace-events", EVERYTHING]])
    return connection


def _heard(port: int, calls: list[Argv]) -> list[list[Heard]]:
    """Make calls, and give what is heard of each."""
    listener = Talker(port, protocol=2)
    listener.send([b"PSUBSCRIBE", NEWS])
    listener.heard()
    with _prepared([port]) as connection:
        heard = []
        for argv in calls:
            connection.run([argv])
            news = _news(listener.heard())
            odd = ODD.get(argv[0].upper(), b"")
            promised = (each for each in news if EXPIRES_AT_ONCE not in each[0] + each[1])
            heard.append([each for each in promised if not odd or (odd not in each[0] and odd != each[1])])
    listener.close()
    return heard


def _assert_alike(oracle: Connect, port: int, calls: list[Argv]) -> None:
    for argv, theirs, ours in zip(calls, _heard(port_of(oracle), calls), _heard(port, calls), strict=True):
        assert ours == theirs, f"of {argv} something else is heard"


@pytest.mark.parametrize("name", list(scripts()))
def test_written_calls_make_the_events_of_redis(oracle: Connect, alone: int, name: str) -> None:
    """Every event of every call, by name, key, database and order."""
    _assert_alike(oracle, alone, scripts()[name])


def test_calls_by_chance_make_the_events_of_redis(oracle: Connect, alone: int) -> None:
    """The same for right and wrong calls of all commands on data."""
    for seed in SEEDS:
        _assert_alike(oracle, alone, script(seed))


def _heard_by_key(ports: list[int], calls: list[Argv], count: int | None) -> dict[bytes, list[Heard]]:
    """Make calls in a cluster; give what clients of each node hear, by key, if they agree."""
    listeners = [Talker(port, protocol=2 + place % 2) for place, port in enumerate(ports)]
    for listener in listeners:
        listener.send([b"PSUBSCRIBE", NEWS])
        listener.heard()
    with _prepared(ports) as connection:
        connection.run(calls)
    heard: list[list[Heard]] = [[] for _ in listeners]
    give_up_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < give_up_s:
        for place, listener in enumerate(listeners):
            heard[place] += _news(listener.heard())
        if count is None or all(len(each) >= count for each in heard):
            break
    for listener in listeners:
        listener.close()
    by_key: list[dict[bytes, list[Heard]]] = []
    for news in heard:
        by_key.append(defaultdict(list))
        for channel, message in news:
            by_key[-1][channel.split(b":", 1)[1] if channel.startswith(b"__keyspace") else message].append(
                (channel, message)
            )
    assert all(each == by_key[0] for each in by_key)
    return by_key[0]


def test_in_a_cluster_clients_of_every_node_hear_what_clients_of_one_redis_hear(
    oracle: Connect, three: list[int]
) -> None:
    """The events of each key, in order and once, whichever node has the keys that a command is about."""
    calls = [words(line.encode()) for line in SEVERAL_KEYS.strip().split("\n")]
    expected = _heard_by_key([port_of(oracle)], calls, None)
    assert _heard_by_key(three, calls, sum(map(len, expected.values()))) == expected


def test_letters_are_read_and_shown_as_by_redis(oracle: Connect, alone: int) -> None:
    """Each letter, in any company, and what is no letter."""
    texts = ["", *LETTERS, LETTERS, LETTERS[::-1], "KEg$lshzxetd", "KEg$lshzxet", "KEn", "Kx", "AA", "KEq", " ", "ke"]
    calls = [
        [b"CONFIG", *words]
        for text in texts
        for words in ([b"SET", b"notify-keyspace-events", text.encode()], [b"GET", b"notify-keyspace-events"])
    ]
    with RawConnection(alone) as ours, RawConnection(port_of(oracle)) as theirs:
        assert [frame.wire for frame in ours.run(calls)] == [frame.wire for frame in theirs.run(calls)]


@pytest.mark.parametrize("looks", [False, True])
def test_a_key_expires_with_an_event_whether_or_not_anybody_looks(oracle: Connect, alone: int, looks: bool) -> None:  # noqa: FBT001 # a parameter of the test
    """Lazily and by the sweep: once, and before anything else happens to the key."""
    calls: list[Argv] = [[b"SET", b"k", b"v", b"PX", b"30"]]
    found: list[list[Heard]] = []
    for port in (port_of(oracle), alone):
        listener = Talker(port, protocol=2)
        listener.send([b"SUBSCRIBE", b"__keyspace@0__:k"])
        listener.heard()
        with _prepared([port]) as connection:
            connection.run(calls)
            news: list[Heard] = []
            give_up_s = time.monotonic() + TIMEOUT_S
            while not any(message == b"expired" for _, message in news) and time.monotonic() < give_up_s:
                if looks:
                    connection.run([[b"LLEN", b"k"]])
                news += [(b"", frame.elements[2].wire) for frame in listener.heard() if frame.elements]
                news = [(b"", wire.split(b"\r\n")[1] if wire.startswith(b"$") else wire) for _, wire in news]
            connection.run([[b"SET", b"k", b"w"]])
            news += [(b"", frame.elements[2].wire.split(b"\r\n")[1]) for frame in listener.heard() if frame.elements]
        listener.close()
        found.append([each for each in news if each[1] != b"keymiss"])
    assert found[0] == found[1]
    assert [message for _, message in found[1]] == [b"new", b"set", b"expire", b"expired", b"new", b"set"]
