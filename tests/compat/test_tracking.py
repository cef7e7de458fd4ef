"""Client-side caching beside a real Redis: what every client is told of changed keys, byte for byte."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final, TypeAlias

import pytest

from compat.conftest import Connect, port_of
from compat.conversation import Talker
from compat.wire import Frame
from respcache.store.partition import Argv
from respcache.testing import LocalCluster

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("left_as_found")]

Step: TypeAlias = tuple[int, list[Argv]]
"""Which client makes which calls, all at once."""

CLIENTS: Final = 4
"""Two that speak RESP2, two that speak RESP3; in a cluster each on another node than the one before."""
SEEDS: Final = range(12)
LENGTH: Final = 80
WAITS_MAX: Final = 1000
"""Round trips until what should have been heard counts as missing."""

WRITTEN: Final = """
0 FLUSHALL
1 CLIENT TRACKING
1 CLIENT TRACKING maybe
1 CLIENT TRACKING on prefix a
1 CLIENT TRACKING on bcast optin
1 CLIENT TRACKING on optin optout
1 CLIENT TRACKING on redirect x
1 CLIENT TRACKING on redirect 0
1 CLIENT TRACKING on redirect -1
1 CLIENT TRACKING on redirect 99999999
1 CLIENT TRACKING on redirect
1 CLIENT TRACKING on bcast prefix a prefix ab
1 CLIENT TRACKINGINFO
1 CLIENT GETREDIR
1 CLIENT CACHING yes
1 CLIENT CACHING
1 CLIENT TRACKING off optin x
1 CLIENT TRACKING off
1 CLIENT TRACKING ON
1 CLIENT TRACKINGINFO
1 CLIENT GETREDIR
1 CLIENT CACHING maybe
1 CLIENT CACHING yes
1 CLIENT CACHING no
1 CLIENT TRACKING ON bcast
1 GET a
2 SET a 1
2 SET a 2
1 GET a
1 SET a 3
1 SET a 4
1 MGET a b c
2 MSET b 1 c 2
3 FLUSHALL
1 GET gone
2 DEL gone
1 GET there
2 SET there 1
1 EXISTS there
2 EXPIRE there 100
1 TTL there
2 PERSIST there
1 TYPE there
2 RENAME there {there}2
1 STRLEN {there}2
2 PEXPIRE {there}2 0
1 SMEMBERS s
2 SADD s x
1 SCARD s
2 SADD s x
2 SREM s x
1 SELECT 1
1 GET a
2 SET a 5
1 SELECT 0
1 GET l
2 SELECT 2
2 RPUSH l x
2 SELECT 0
1 HGET h f
2 HSET h f v
1 ZCARD z
2 ZADD z 1 m
1 XLEN st
2 XADD st 1-1 f v
1 GETBIT bits 1
2 SETBIT bits 1 1
1 GET {x}1
2 COPY a {x}1
2 BITOP NOT {x}1 {x}2
1 GET {x}2
2 SET {x}2 v
1 GET {x}2
2 BITOP NOT {x}1 {x}2
2 GETDEL {x}2
1 GET f
2 FLUSHDB
2 FLUSHALL
1 CLIENT TRACKING ON noloop
1 CLIENT TRACKINGINFO
1 GET n
1 SET n 1
2 SET n 2
1 GET n
2 SET n 3
1 CLIENT TRACKING OFF
2 SET n 4
1 CLIENT TRACKING ON OPTIN
1 GET o
2 SET o 1
1 CLIENT CACHING YES ; CLIENT TRACKINGINFO ; GET o ; CLIENT TRACKINGINFO
2 SET o 2
1 CLIENT CACHING YES ; NOTHING ; GET o
2 SET o 3
1 CLIENT CACHING YES ; GET ; GET o
2 SET o 3
1 CLIENT CACHING YES ; CLIENT NOTHING ; CLIENT TRACKINGINFO
1 CLIENT CACHING YES ; CLIENT GETNAME ; CLIENT TRACKINGINFO
1 CLIENT CACHING YES ; CLIENT TRACKING maybe ; CLIENT TRACKINGINFO
1 CLIENT CACHING YES ; CLIENT TRACKING on OPTIN ; CLIENT TRACKINGINFO
1 CLIENT CACHING YES ; MULTI ; GET o ; GET o2 ; EXEC ; CLIENT TRACKINGINFO
2 SET o 4
2 SET o2 4
1 CLIENT TRACKING on OPTOUT
1 CLIENT TRACKING off
1 CLIENT TRACKING on OPTOUT
1 GET p
2 SET p 1
1 CLIENT CACHING NO ; CLIENT TRACKINGINFO ; GET p
2 SET p 2
1 MULTI ; GET p ; MGET p q ; EXEC
2 MULTI ; SET p 1 ; SET q 1 ; DEL p ; EXEC
1 CLIENT TRACKING off
1 CLIENT TRACKING on BCAST PREFIX a PREFIX b
1 CLIENT TRACKINGINFO
1 CLIENT TRACKING on
1 CLIENT TRACKING on BCAST PREFIX ab
1 CLIENT TRACKING on BCAST
2 SET a1 1
2 SET c1 1
2 SET b1 1
1 SET a1 1
2 DEL a1 b1
1 CLIENT TRACKING on BCAST PREFIX c NOLOOP
1 CLIENT TRACKINGINFO
2 SET c1 1
1 SET c1 1
2 DEL c1
2 DEL c1
2 FLUSHALL
1 CLIENT TRACKING off
1 CLIENT TRACKING on BCAST
1 CLIENT TRACKINGINFO
2 SET anything 1
3 CLIENT TRACKING on BCAST PREFIX any
2 SET anything 2
3 RESET
3 HELLO 3
2 SET anything 3
1 RESET
1 CLIENT TRACKINGINFO
2 SET anything 4
0 CLIENT TRACKING on
0 GET a
2 SET a 1
0 FLUSHALL
0 CLIENT TRACKING off
"""

REDIRECTED: Final = """
2 FLUSHALL
1 CLIENT TRACKING ON REDIRECT {0}
1 CLIENT TRACKINGINFO
1 GET a
2 SET a 1
0 SUBSCRIBE __redis__:invalidate
1 GET a
2 SET a 2
1 GET a
1 SET a 3
2 FLUSHALL
1 HELLO 2
1 GET a
2 SET a 4
2 FLUSHALL
1 HELLO 3
1 CLIENT TRACKING ON REDIRECT {3}
1 GET a
2 SET a 4
1 CLIENT TRACKING ON BCAST PREFIX a REDIRECT {3}
1 CLIENT TRACKING OFF
1 CLIENT TRACKING ON BCAST PREFIX a REDIRECT {3}
2 SET a 5
1 CLIENT TRACKING OFF
1 CLIENT TRACKING ON REDIRECT {3} REDIRECT {0}
1 CLIENT TRACKING ON REDIRECT {3}
1 CLIENT TRACKINGINFO
1 GET a
3 QUIT
2 SET a 6
1 CLIENT TRACKINGINFO
1 GET a
2 SET a 7
1 CLIENT TRACKING ON
1 CLIENT TRACKINGINFO
1 GET a
2 SET a 8
0 CLIENT TRACKING ON REDIRECT {0} BCAST PREFIX a
2 SET a 9
0 PUNSUBSCRIBE
0 UNSUBSCRIBE
2 SET a 10
"""

SCRIPTED: Final = """
0 FLUSHALL
1 CLIENT TRACKING on
2 MSET {t}1 1 {t}2 1
1 EVAL redis.call('set','{t}3','bar') 2 {t}1 {t}2
2 MSET {t}1 2 {t}2 2
1 EVAL redis.call('get','{t}3') 2 {t}2 {t}1
2 MSET {t}1 3 {t}2 3
1 EVAL_RO redis.call('ping') 2 {t}1 {t}2
2 MSET {t}1 4 {t}2 4
1 EVAL_RO redis.call('get','{t}1') 2 {t}1 {t}2
2 MSET {t}1 5 {t}2 5
1 EVAL redis.call('get',KEYS[1]);redis.call('set',KEYS[1],1) 1 {t}1
2 SET {t}1 6
1 EVAL return 1
1 EVAL return'x' 1 {t}1
1 EVAL return{err='x'} 1 {t}1
2 SET {t}1 9
1 CLIENT TRACKING off
1 CLIENT TRACKING on NOLOOP
1 EVAL redis.call('set',KEYS[1],1) 1 {t}1
2 SET {t}1 10
1 GET {t}1
1 EVAL redis.call('set',KEYS[1],1) 1 {t}1
1 GET {t}1
2 SET {t}1 11
1 EVAL redis.call('get',KEYS[1]);redis.call('set',KEYS[1],1) 1 {t}1
2 SET {t}1 12
1 CLIENT TRACKING off
1 CLIENT TRACKING on OPTIN
1 EVAL redis.call('get',KEYS[1]) 1 {t}1
2 SET {t}1 13
1 CLIENT CACHING YES ; EVAL redis.call('get',KEYS[1]) 1 {t}1
2 SET {t}1 14
1 CLIENT TRACKING off
"""
SCRIPTED_HERE: Final = """
1 CLIENT TRACKING on
1 EVAL redis.call('set',KEYS[1],1);redis.call('get',KEYS[1]) 1 {t}1
2 SET {t}1 7
1 CLIENT TRACKING off
"""
"""What the node of the client knows of a script that it runs itself; of another it hears the one change alone."""


class Table:
    """Clients of one server."""

    def __init__(self, ports: list[int]) -> None:
        self.talkers: Final = {
            client: Talker(ports[client % len(ports)], protocol=2 + client % 2) for client in range(CLIENTS)
        }
        self.ids: Final = {client: self._id(talker) for client, talker in self.talkers.items()}

    def _id(self, talker: Talker) -> bytes:
        talker.send([b"CLIENT", b"ID"])
        [frame] = talker.heard()
        return frame.wire[1:-2]

    def close(self) -> None:
        """Hang up."""
        for talker in self.talkers.values():
            talker.close()

    def say(self, caller: int, calls: list[Argv]) -> None:
        """Make calls at once; `{n}` in them is the number of client n."""
        for argv in calls:
            words = list(argv)
            for client, number in self.ids.items():
                words = [word.replace(b"{%d}" % client, number) for word in words]
            if argv == [b"QUIT"]:
                self.talkers.pop(caller).quit()
            else:
                self.talkers[caller].send(words)

    def hear(self, caller: int, least: "dict[int, Heard]", *, nodes: int) -> "dict[int, Heard]":
        """Give what everybody was sent, first the caller; wait for as much as it should be."""
        heard: dict[int, Heard] = {}
        for client in sorted(self.talkers, key=lambda client: client != caller):
            frames = self.talkers[client].heard()
            for _ in range(WAITS_MAX):
                if client not in least or self._promised(frames, nodes=nodes).covers(least[client]):
                    break
                frames += self.talkers[client].heard()
            heard[client] = self._promised(frames, nodes=nodes)
        return heard

    def _promised(self, frames: list[Frame], *, nodes: int) -> "Heard":
        """Take out what is each server's own.

        Several nodes tell of keys each for itself, and each that it has deleted all.
        """
        heard = Heard()
        for frame in frames:
            wire = frame.wire
            if b"redir" in wire:
                for client, number in self.ids.items():
                    wire = wire.replace(b":" + number + b"\r\n", b":{%d}\r\n" % client)
            if b"modules" in wire:
                wire = wire[:1]
            if nodes > 1 and b"invalidate\r\n" in wire and frame.elements is not None:
                heard.keys.update(key.wire for key in frame.elements[-1].elements or ())
            else:
                heard.replies.append(wire)
        return heard


@dataclass(slots=True)
class Heard:
    """What a client was sent by one step."""

    replies: list[bytes] = field(default_factory=list)
    """From one node messages too, in order."""
    keys: set[bytes] = field(default_factory=set)
    """From several nodes: keys that it was told of. There may be more than have changed, never less."""

    def covers(self, other: "Heard") -> bool:
        """Tell whether all is there that is to be."""
        return len(self.replies) >= len(other.replies) and self.keys >= other.keys


@pytest.fixture(scope="module", params=[1, 3])
def ports(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Run one node, or three; give their ports."""
    with LocalCluster(nodes=request.param) as cluster:
        yield [port for _, port in cluster.addresses]


def _compare(oracle: Connect, ports: list[int], steps: list[Step], *, nodes: int) -> None:
    """Have the same conversation with both, and fail at the first step that somebody hears something else of."""
    theirs, ours = Table([port_of(oracle)]), Table(ports)
    try:
        for number, (caller, calls) in enumerate(steps):
            theirs.say(caller, calls)
            expected = theirs.hear(caller, {}, nodes=nodes)
            ours.say(caller, calls)
            answered = ours.hear(caller, expected, nodes=nodes)
            script = "\n".join(f"{client} {asked}" for client, asked in steps[: number + 1])
            for client, heard in expected.items():
                same = answered[client].replies == heard.replies and answered[client].keys >= heard.keys
                assert same, f"client {client} hears {answered[client]}, not {heard}, at the end of:\n{script}"
    finally:
        theirs.close()
        ours.close()


def _steps(text: str) -> list[Step]:
    lines = [line.partition(" ") for line in text.strip().split("\n")]
    return [
        (int(client), [[word.encode() for word in call.split(" ")] for call in calls.split(" ; ")])
        for client, _, calls in lines
    ]


def test_a_written_conversation_goes_as_with_redis(oracle: Connect, ports: list[int]) -> None:
    """Every option in every form, what changes which key, and who hears of it."""
    _compare(oracle, ports, _steps(WRITTEN), nodes=len(ports))


def test_keys_of_scripts_are_tracked_as_with_redis(oracle: Connect, ports: list[int]) -> None:
    """All that a script declares, from when it reads anything; nothing of one that reads nothing."""
    text = SCRIPTED if len(ports) > 1 else SCRIPTED.strip() + SCRIPTED_HERE
    _compare(oracle, ports, _steps(text), nodes=len(ports))


def test_messages_go_to_another_connection_as_with_redis(oracle: Connect, ports: list[int]) -> None:
    """REDIRECT to RESP2 and RESP3, subscribed or not, and to one that is gone. The two have to be on one node."""
    _compare(oracle, ports[:1], _steps(REDIRECTED), nodes=len(ports))


@pytest.mark.parametrize("seed", SEEDS)
def test_conversations_by_chance_go_as_with_redis(oracle: Connect, ports: list[int], seed: int) -> None:
    """Whoever reads, writes and tracks what, in whatever order; the seed is the test's parameter."""
    rng = Random(f"tracking {seed}")
    steps = [(rng.randrange(CLIENTS), _calls(rng)) for _ in range(LENGTH)]
    _compare(oracle, ports, [(0, [[b"FLUSHALL"]]), *steps, (0, [[b"FLUSHALL"]])], nodes=len(ports))


def _calls(rng: Random) -> list[Argv]:
    kinds: list[Callable[[Random], Argv]] = [_tracking, _reading, _reading, _reading, _writing, _writing, _writing]
    call = rng.choice(kinds)(rng)
    if rng.random() < 0.2:
        return [[b"CLIENT", b"CACHING", rng.choice((b"YES", b"NO"))], call]
    return [call]


def _key(rng: Random) -> bytes:
    return rng.choice((b"a", b"ab", b"abc", b"b", b"bc", b"{a}x", b"\xff\x00"))


def _tracking(rng: Random) -> Argv:
    if rng.random() < 0.2:
        return [b"CLIENT", rng.choice((b"TRACKINGINFO", b"GETREDIR"))]
    options = rng.sample(
        [[b"BCAST"], [b"BCAST"], [b"OPTIN"], [b"OPTOUT"], [b"NOLOOP"], [b"PREFIX", b"a"]], rng.randrange(4)
    )
    switch = rng.choice((b"ON", b"ON", b"on", b"OFF"))
    return [b"CLIENT", b"TRACKING", switch, *(word for words in options for word in words)]


def _reading(rng: Random) -> Argv:
    name = rng.choice((b"GET", b"EXISTS", b"MGET", b"TTL", b"STRLEN", b"TYPE", b"LLEN", b"DBSIZE", b"PING"))
    if name in {b"DBSIZE", b"PING"}:
        return [name]
    return [name, *(_key(rng) for _ in range(rng.randrange(1, 4) if name in {b"MGET", b"EXISTS"} else 1))]


def _writing(rng: Random) -> Argv:
    key, other = _key(rng), _key(rng)
    return rng.choice(
        (
            [b"SET", key, b"v"],
            [b"SET", key, b"v", b"NX"],
            [b"APPEND", key, b"w"],
            [b"DEL", key],
            [b"EXPIRE", key, b"1000"],
            [b"PERSIST", key],
            [b"RPUSH", key, b"e"],
            [b"RPOP", key],
            [b"GETDEL", key],
            [b"MSET", key, b"1", other, b"2"],
            [b"SETRANGE", key, b"2", b"x"],
            [b"FLUSHDB"],
        )
    )
