"""What is refused while a script runs for long, beside a real Redis: replies byte for byte."""

from collections.abc import Iterator
from time import monotonic
from typing import Final

import pytest

from compat.wire import RawConnection
from respcache.resp.encode import request
from respcache.store.partition import Argv
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

PATIENCE_S: Final = 30.0
SCRIPT: Final = [b"EVAL", b"while true do end", b"0"]
FUNCTION: Final = [b"fcall", b"endless", b"1", b"key", b"argument"]
LIBRARY: Final = b"#!lua name=library\nredis.register_function('endless', function() while true do end end)"

BEFORE: Final = (
    "1 MULTI",
    "1 INCR n",
    "2 MULTI",
    "2 INCR n",
    "3 MULTI",
    "3 INCR n",
)
WHILE: Final = (
    *("0 PING", "0 PING x", "0 ECHO x", "0 GET n", "0 MGET n m", "0 SET n 1", "0 INFO", "0 CONFIG GET hz"),
    *("0 CLIENT ID", "0 CLIENT LIST", "0 CLUSTER INFO", "0 COMMAND COUNT", "0 SELECT 1", "0 DBSIZE", "0 FLUSHALL"),
    *("0 EVAL x 0", "0 SCRIPT LOAD x", "0 FUNCTION LIST", "0 PUBLISH a b", "0 SUBSCRIBE a", "0 WATCH n"),
    *("0 NOTHING", "0 GET", "0 PING a b", "0 CLIENT NOTHING", "0 TIME", "0 UNWATCH", "0 EXEC", "0 DISCARD"),
    # a client that has queued something before, and one that has not
    *("1 EXEC", "1 UNWATCH", "2 INCR n", "2 PING", "2 EXEC", "2 EXEC", "3 INCR n", "4 MULTI", "4 INCR n", "4 NOTHING"),
    *("5 MULTI", "5 EXEC", "5 EXEC", "6 MULTI", "6 DISCARD", "6 RESET", "6 HELLO 2 SETNAME a b", "0 AUTH a"),
)
AFTER: Final = (
    *("0 PING", "3 EXEC", "4 EXEC", "4 PING", "0 GET n", "0 SET n 1", "1 MULTI", "1 INCR n", "1 EXEC"),
    *("2 PING", "5 PING", "6 PING"),
)
CLIENTS: Final = 7


class Side:
    """A server, with clients, and one that runs something for long."""

    def __init__(self, port: int) -> None:
        self._clients: Final = [RawConnection(port) for _ in range(CLIENTS)]
        self._endless: Final = RawConnection(port)
        self.say("0 FLUSHALL")
        self._clients[0].run([[b"CONFIG", b"SET", b"lua-time-limit", b"10"]])
        self._clients[0].run([[b"FUNCTION", b"LOAD", b"REPLACE", LIBRARY]])

    def say(self, line: str) -> bytes:
        """Let a client make a call, and give the reply."""
        number, *words = line.split()
        [frame] = self._clients[int(number)].run([[word.encode() for word in words]])
        return frame.wire

    def begin(self, call: Argv) -> None:
        """Begin what does not end, and wait until it has run for long."""
        self._endless.send(request(call))
        ends_s = monotonic() + PATIENCE_S
        while not self.say("0 PING").startswith(b"-BUSY "):
            assert monotonic() < ends_s, "it is not refused"

    def end(self, killer: str) -> bytes:
        """End it, and give its reply."""
        assert self.say(f"0 {killer}") == b"+OK\r\n"
        [frame] = self._endless.receive(1)
        return frame.wire

    def close(self) -> None:
        """End what still runs, leave the server as it was, and hang up."""
        for killer in ("SCRIPT KILL", "FUNCTION KILL"):
            self.say(f"0 {killer}")
        self.say("0 CONFIG SET lua-time-limit 5000")
        self.say("0 FUNCTION FLUSH")
        for client in (*self._clients, self._endless):
            client.close()


@pytest.fixture
def pair(oracle_port: int) -> Iterator[tuple[Side, Side]]:
    """Connect to a Redis, and to a node that is alone: the keys of others would go on."""
    with LocalCluster(nodes=1) as cluster:
        sides = Side(oracle_port), Side(cluster.addresses[0][1])
        yield sides
        for side in sides:
            side.close()


def compare(pair: tuple[Side, Side], lines: tuple[str, ...]) -> None:
    """Have the same said to both, and show what was answered differently."""
    answers = [(line, *(side.say(line) for side in pair)) for line in lines]
    differences = [
        f"{line}\n  redis:     {theirs!r}\n  respcache: {ours!r}" for line, theirs, ours in answers if theirs != ours
    ]
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize(("call", "killer"), [(SCRIPT, "SCRIPT KILL"), (FUNCTION, "FUNCTION KILL")])
def test_what_is_refused_meanwhile_and_afterwards_is_what_redis_refuses(
    pair: tuple[Side, Side], call: Argv, killer: str
) -> None:
    """All but what can end it, and a transaction is run as a whole or not at all."""
    compare(pair, BEFORE)
    for side in pair:
        side.begin(call)
    compare(pair, WHILE)
    ends = [side.end(killer).partition(b" script: ")[0] for side in pair]
    assert ends[0] == ends[1]
    compare(pair, AFTER)


def test_a_function_that_runs_is_shown_as_it_was_called(pair: tuple[Side, Side]) -> None:
    """FUNCTION STATS answers meanwhile, with the words of the client."""
    for side in pair:
        side.begin(FUNCTION)
    shown = [side.say("0 FUNCTION STATS") for side in pair]
    for side in pair:
        side.end("FUNCTION KILL")
    theirs, ours = (wire[: wire.index(b"duration_ms")] for wire in shown)
    assert theirs == ours
