"""Scripts that rest, on one street of nodes: nobody else sees or changes what they work on, and they can be ended."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import pytest

from respcache.cluster.ownership.slots import partition_of
from respcache.errors import CommandError
from respcache.pending import Pending
from respcache.resp.encode import encode
from unit.neighbours import NAMES, Street, key_of

A, B, C = (key_of(name) for name in NAMES)
A2: Final = key_of("a", 1)
BUSY: Final = b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"
UNKILLABLE: Final = (
    b"-UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the "
    b"script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.\r\n"
)
KILLED: Final = b"-ERR Script killed by user with SCRIPT KILL... script: "
LONG: Final = b"while redis.call('GET', KEYS[1]) ~= 'stop' do end "
LIBRARY: Final = b"#!lua name=l\nredis.register_function('f', function() end)"
FOREVER: Final = b"pcall(function() while true do end end) return 1"


class Life:
    """Three nodes whose scripts can rest."""

    def __init__(self, *names: str) -> None:
        self.street: Final = Street(names=names or NAMES)
        self.turns: Final[list[Callable[[], None]]] = []
        for node in self.street.nodes.values():
            node.scripts.strand.soon = self.turns.append

    def begin(self, text: bytes, *keys: bytes, node: str = "a") -> Pending:
        """Run a script up to its first rest."""
        return self.ask(b"EVAL", text, b"%d" % len(keys), *keys, node=node)

    def ask(self, *words: bytes, node: str = "a") -> Pending:
        """Give a command of a new client that has to wait."""
        [reply] = self.street.nodes[node].batch(self.street.client(node), words)
        assert isinstance(reply, Pending)
        self.street.settle()
        return reply

    def reply(self, *words: bytes, node: str = "a") -> bytes:
        """Give a command of a new client, and its reply."""
        return self.street.ask(self.street.client(node), *words, node=node)

    def run(self, *words: bytes, node: str = "a") -> bytes | None:
        """Give a command of a new client, and its reply, whether or not it rests meanwhile."""
        [reply] = self.street.nodes[node].batch(self.street.client(node), words)
        self.street.settle()
        self.pass_all()
        return reply.wire if isinstance(reply, Pending) else reply

    def turn(self) -> None:
        """Let scripts go on once."""
        turns, self.turns[:] = list(self.turns), []
        for go_on in turns:
            go_on()
        self.street.settle()

    def pass_all(self) -> None:
        """Let scripts go on to their end."""
        while self.turns:
            self.turn()


@pytest.mark.parametrize("node", NAMES)
def test_others_wait_for_a_script_that_rests(node: str) -> None:
    """Through any node: they see nothing of it before its end, and all of it afterwards."""
    life = Life()
    text = b"redis.call('INCR', KEYS[1]) for at = 1, 3e6 do end return redis.call('INCR', KEYS[1])"
    script = life.begin(text, A, node=node)
    get, other = life.ask(b"GET", A, node=node), life.ask(b"SET", A2, b"x", node=node)
    assert life.street.nodes["a"].withheld
    assert life.reply(b"SET", B, b"y", node=node) == b"+OK\r\n"
    assert life.reply(b"PING", node=node) == b"+PONG\r\n"
    assert [get.wire, other.wire] == [None, None]
    life.pass_all()
    assert script.wire == b":2\r\n"
    assert get.wire == b"$1\r\n2\r\n"
    assert other.wire == b"+OK\r\n"
    assert not life.street.nodes["a"].withheld


@pytest.mark.parametrize("node", NAMES)
def test_one_that_has_been_running_for_long_can_be_killed(node: str) -> None:
    """Through any node; until then who wants keys of its node is refused."""
    life = Life()
    life.street.nodes["a"].scripts.time_limit_ms = 0
    script = life.begin(FOREVER, A)
    assert life.reply(b"GET", A, node=node) == BUSY
    assert life.reply(b"BLPOP", A, b"0", node=node) == BUSY
    assert life.reply(b"EVAL", b"return 1", b"1", A, node=node) == BUSY
    assert life.reply(b"MGET", A, B, node=node) == BUSY
    assert life.reply(b"GET", B, node=node) == b"$-1\r\n"
    assert life.reply(b"FUNCTION", b"KILL", node=node) == BUSY
    assert life.reply(b"SCRIPT", b"KILL", node=node) == b"+OK\r\n"
    life.pass_all()
    assert script.wire is not None
    assert script.wire.startswith(KILLED)
    assert script.wire.endswith(b", on @user_script:1.\r\n")
    assert life.reply(b"SET", A, b"1", node=node) == b"+OK\r\n"
    assert life.reply(b"SCRIPT", b"KILL", node=node) == b"-NOTBUSY No scripts in execution right now.\r\n"
    assert life.street.nodes["a"].scripts.ended["killed"] == 1


@pytest.mark.parametrize("node", NAMES)
@pytest.mark.parametrize(("writes", "told"), [(b"", b"*1\r\n+OK\r\n"), (b"redis.call('SET', KEYS[1], 2)", b"*-1\r\n")])
def test_keys_can_be_watched_while_a_script_runs_for_long(node: str, writes: bytes, told: bytes) -> None:
    """As in Redis; what it still writes to them counts, and what it has written does not."""
    life = Life()
    life.street.nodes["a"].scripts.time_limit_ms = 0
    client = life.street.client(node)
    script = life.begin(b"redis.call('SET', KEYS[1], 1) for at = 1, 3e6 do end " + writes + b" return 1", A)
    assert life.street.ask(client, b"WATCH", A, A2, B, node=node) == b"+OK\r\n"
    life.pass_all()
    assert script.wire == b":1\r\n"
    life.street.ask(client, b"MULTI", node=node)
    life.street.ask(client, b"SET", A, b"x", node=node)
    assert life.street.ask(client, b"EXEC", node=node) == told


def test_one_that_has_written_goes_on() -> None:
    """Nobody sees half of it."""
    life = Life()
    script = life.begin(b"redis.call('SET', KEYS[1], 1) for at = 1, 3e6 do end return 1", A)
    assert life.reply(b"SCRIPT", b"KILL") == UNKILLABLE
    assert life.reply(b"SCRIPT", b"KILL", node="c") == UNKILLABLE
    life.pass_all()
    assert script.wire == b":1\r\n"


def test_a_script_that_has_written_rests_however_often_it_was_brief() -> None:
    """It is not ended, nor does it hold up its node."""
    life = Life()
    text = b"redis.call('INCR', KEYS[1]) for at = 1, tonumber(ARGV[1]) do end return redis.call('INCR', KEYS[1])"
    for _ in range(20):
        life.run(b"EVAL", text, b"1", A, b"0")
    script = life.ask(b"EVAL", text, b"1", A, b"3e6")
    assert life.turns
    assert life.reply(b"PING") == b"+PONG\r\n"
    life.pass_all()
    assert script.wire == b":42\r\n"


@pytest.mark.parametrize("text", [b"return 5", b"return {", b"return '%b'" % (b"x" * 10_000)])
def test_a_script_goes_on_resting_when_another_one_is_compiled_meanwhile(text: bytes) -> None:
    """It would stand in the way of everything else, for as long as it runs: no limit would end it, and no client."""
    life = Life("a")
    script = life.begin(b"local n = 0 while true do n = n + 1 end", A)
    for _ in range(3):
        life.turn()
        with suppress(CommandError):
            life.street.nodes["a"].scripts.load(text)
    life.turn()
    assert life.turns
    assert life.reply(b"PING") == b"+PONG\r\n"
    life.street.nodes["a"].scripts.time_limit_ms = 0
    assert life.reply(b"SCRIPT", b"KILL") == b"+OK\r\n"
    life.pass_all()
    assert script.wire is not None
    assert script.wire.startswith(KILLED)


def test_a_node_that_is_busy_takes_no_other_script() -> None:
    """Nor functions, nor a script without keys; all that waits is run when the script has ended."""
    life = Life()
    script = life.begin(b"for at = 1, 3e6 do end return 1", A)
    waits = [life.ask(b"EVAL", b"return 2", b"0"), life.ask(b"EVAL", b"return 2", b"1", A)]
    waits.append(life.ask(b"EVAL", b"return 2", b"2", A, B))
    assert life.reply(b"FUNCTION", b"STATS") == BUSY
    node, loader = life.street.nodes["a"], life.street.client()
    [load] = node.batch(loader, [b"FUNCTION", b"LOAD", LIBRARY], [b"FCALL", b"f", b"1", A])
    flush, fails = life.ask(b"SCRIPT", b"FLUSH"), life.ask(b"FUNCTION", b"DELETE", b"x")
    node.sharing.sweep(0.0)
    assert isinstance(load, Pending)
    assert loader.barrier is load, "the call waits behind it"
    assert (load.wire, flush.wire, fails.wire) == (None, None, None)
    life.pass_all()
    node.sharing.sweep(0.0)
    assert (load.wire, flush.wire, fails.wire) == (b"$1\r\nl\r\n", b"+OK\r\n", b"-ERR Library not found\r\n")
    life.street.nodes["a"].router.routes_changed()
    life.street.settle()
    life.pass_all()
    assert script.wire == b":1\r\n"
    assert [wait.wire for wait in waits] == [b":2\r\n"] * 3


def test_functions_are_changed_between_two_scripts() -> None:
    """However many come one after the other, so that one of them always rests."""
    life = Life("a")
    node = life.street.nodes["a"]
    first = life.begin(b"for at = 1, 3e6 do end return 1", A)
    load = life.ask(b"FUNCTION", b"LOAD", LIBRARY)
    second = life.ask(b"EVAL", LONG, b"1", A)
    while first.wire is None:
        life.turn()
    life.turn()
    assert node.scripts.strand.is_resting
    assert (second.wire, load.wire) == (None, b"$1\r\nl\r\n")


def test_functions_are_not_changed_while_a_script_runs_for_long() -> None:
    """Nor does anybody wait for its end who began to wait before that."""
    life = Life("a", "b")
    script = life.begin(LONG, A)
    load = life.ask(b"FUNCTION", b"LOAD", LIBRARY)
    node = life.street.nodes["a"]
    node.scripts.time_limit_ms = 0
    node.sharing.sweep(0.0)
    assert load.wire == BUSY
    assert life.reply(b"FUNCTION", b"FLUSH") == BUSY
    assert life.reply(b"SCRIPT", b"KILL") == b"+OK\r\n"
    life.pass_all()
    assert script.wire is not None
    assert life.reply(b"FUNCTION", b"LIST") == b"*0\r\n"


def test_a_function_is_told_of_and_killed() -> None:
    """FUNCTION STATS says which; what other nodes say of libraries meanwhile is taken in afterwards."""
    life = Life("a", "b")
    code = b"#!lua name=l\nredis.register_function('f', function() while true do end end)"
    assert life.reply(b"FUNCTION", b"LOAD", code) == b"$1\r\nl\r\n"
    node = life.street.nodes["a"]
    node.scripts.time_limit_ms = 0
    call = life.ask(b"FCALL", b"f", b"1", A, b"x")
    stats = life.reply(b"FUNCTION", b"STATS")
    assert encode([b"FCALL", b"f", b"1", A, b"x"], 2) in stats
    assert life.reply(b"GET", A).startswith(b"-BUSY Redis is busy running a script. You can only call FUNCTION KILL")
    other = code.replace(b"name=l", b"name=m").replace(b"'f'", b"'g'")
    loaded = life.ask(b"FUNCTION", b"LOAD", other, node="b")
    assert b"m" not in node.scripts.functions.libraries
    assert life.reply(b"SCRIPT", b"KILL", node="b").startswith(b"-BUSY")
    assert life.reply(b"FUNCTION", b"KILL", node="b") == b"+OK\r\n"
    life.pass_all()
    assert call.wire is not None
    assert call.wire.startswith(KILLED + b"f, on @user_function:2.")
    node.sharing.sweep(0.0)
    assert loaded.wire == b"$1\r\nm\r\n"
    assert b"m" in node.scripts.functions.libraries


def test_a_transaction_with_a_script_rests_as_one() -> None:
    """Whether all keys have one owner, or several: the commands before and behind the script are seen with it."""
    for keys in ((A, A2), (A, B)):
        life = Life()
        client = life.street.client()
        for words in (
            (b"MULTI",),
            (b"SET", keys[0], b"1"),
            (b"EVAL", b"for at = 1, 3e6 do end return redis.call('INCR', KEYS[1])", b"1", keys[0]),
            (b"SET", keys[1], b"2"),
        ):
            life.street.ask(client, *words)
        [reply] = life.street.nodes["a"].batch(client, [b"EXEC"])
        assert isinstance(reply, Pending)
        life.street.settle()
        assert life.turns
        gets = [life.ask(b"GET", key, node="c") for key in keys]
        assert [get.wire for get in gets] == [None, None]
        life.pass_all()
        for node in life.street.nodes.values():
            node.router.routes_changed()
        life.street.settle()
        assert reply.wire == b"*3\r\n+OK\r\n:2\r\n+OK\r\n"
        assert [get.wire for get in gets] == [b"$1\r\n2\r\n", b"$1\r\n2\r\n"]


def test_a_script_that_wanders_after_a_rest_is_undone_first() -> None:
    """And run as a transaction."""
    life = Life()
    text = b"redis.call('INCR', KEYS[1]) for at = 1, 3e6 do end return redis.call('INCR', ARGV[1])"
    reply = life.ask(b"EVAL", text, b"1", A, B)
    life.pass_all()
    assert reply.wire == b":1\r\n"
    assert life.reply(b"MGET", A, B) == encode([b"1", b"1"], 2)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (b"INCR", b"-UNCERTAIN Its keys went to another node while the script ran; what it wrote may be lost\r\n"),
        (b"GET", b"-CLUSTERDOWN Its keys went to another node while the script ran; it had written nothing\r\n"),
    ],
)
def test_a_script_whose_keys_go_away_is_ended(call: bytes, told: bytes) -> None:
    """It writes nothing to them any more, and says whether it has."""
    life = Life()
    script = life.begin(b"while true do redis.call('%b', KEYS[1]) end" % call, A)
    node = life.street.nodes["a"]
    for number, owner in enumerate(node.table.primary):
        if owner == "a":
            node.locks.close(number)
    life.pass_all()
    assert script.wire == told


def test_keys_stay_while_a_script_rests() -> None:
    """Its clock stands still, and none is evicted."""
    life = Life("a")
    text = b"redis.call('SET', KEYS[1], 1, 'PX', 1) for at = 1, 6e6 do end return redis.call('EXISTS', KEYS[1])"
    script = life.begin(text, A)
    ledger = life.street.nodes["a"].store.ledger
    assert ledger.still
    then = ledger.now_unix_ms
    life.reply(b"PING")
    life.street.nodes["a"].executor.alone(life.street.client(), [b"PING"])
    assert ledger.now_unix_ms > then
    life.pass_all()
    assert script.wire == b":1\r\n"
    assert not ledger.still


def test_what_a_client_sends_behind_its_script_waits() -> None:
    """For the reply; it counts as one call that took as long as it did."""
    life = Life("a")
    client = life.street.client()
    node = life.street.nodes["a"]
    node.executor.slow.configure(client.host.config.server, client.host.latency, client.host.slowlog)
    [reply] = node.batch(client, [b"EVAL", b"for at = 1, 3e6 do end return 1", b"1", A], [b"PING"])
    assert client.barrier is reply
    life.pass_all()
    assert isinstance(reply, Pending)
    assert reply.wire == b":1\r\n"
    assert len(client.host.slowlog) == 1


@pytest.mark.parametrize(("add", "take", "count"), [("RPUSH", "BLMPOP", "LLEN"), ("ZADD", "BZMPOP", "ZCARD")])
def test_a_command_that_waits_takes_nothing_from_a_transaction_that_rests(add: str, take: str, count: str) -> None:
    """Not even to find out whether its number of keys is right: what it took would be with nobody."""
    life = Life()
    scored = add == "ZADD"
    life.reply(add.encode(), B, *([b"1"] if scored else []), b"old")
    script = f"redis.call('{add}', KEYS[1], {'2, ' if scored else ''}'new') for at = 1, 3e6 do end "
    reply = life.ask(b"EVAL", script.encode() + b"redis.call('SET', KEYS[2], '')", b"2", B, C)
    assert life.turns, "it rests"
    taken = life.ask(take.encode(), b"0", b"1", B, b"MIN" if scored else b"LEFT")
    life.pass_all()
    life.street.nodes["a"].router.routes_changed()
    life.street.settle()
    assert reply.wire == b"$-1\r\n"
    assert taken.wire is not None
    assert b"old" in taken.wire
    assert life.reply(count.encode(), B) == b":1\r\n"


def test_a_script_whose_copies_are_lost_while_it_rests_is_in_doubt() -> None:
    """Nobody but this node has what it wrote; by itself or in a transaction. One that reads loses nothing."""
    life = Life()
    node = life.street.nodes["a"]
    text = b"redis.call('INCR', KEYS[1]) for at = 1, 3e6 do end return 1"
    in_doubt: list[bool] = []
    for calls in (
        [(b"EVAL", text, b"1", A)],
        [(b"EVAL", text, b"2", A, A2)],
        [(b"MULTI",), (b"SET", A, b"1"), (b"EVAL", text, b"1", A), (b"EXEC",)],
        [(b"EVAL_RO", text.replace(b"INCR", b"GET"), b"1", A)],
        [(b"EVAL", text.replace(b"INCR", b"GET"), b"1", A)],
        [(b"MULTI",), (b"EVAL", text.replace(b"INCR", b"GET"), b"1", A), (b"EXEC",)],
    ):
        *before, last = calls
        client = life.street.client()
        for words in before:
            life.street.ask(client, *words)
        [reply] = node.batch(client, last)
        assert isinstance(reply, Pending)
        assert life.turns
        node.locks.ration(frozenset({partition_of(A)}))
        life.pass_all()
        assert reply.wire is not None
        in_doubt.append(reply.wire.startswith(b"-UNCERTAIN Copies were lost"))
        node.locks.ration(frozenset())
        node.router.routes_changed()
    assert in_doubt == [True, True, True, False, False, False]
