"""The slot table as clients see it."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from respcache.cluster.sealing.rotation import Verb
from respcache.commands.registry import Flags
from respcache.commands.resolving import resolve
from respcache.config import Config, ServerConfig
from respcache.errors import CommandError
from respcache.pending import Pending
from respcache.reply import OK, Verbatim
from unit.commands.front import HEALTH, Front, view

NODES = (
    view("a", ((0, 15), (32, 8191)), myself=True),
    view("b", ((16, 31), (8192, 16383))),
    view("c", (), state="dead"),
    view("d", (), state="left"),
)


def test_slots_lists_the_ranges_in_order_with_their_nodes() -> None:
    """Each range has exactly one node: host, port, id and no more."""
    front = Front(nodes=NODES)
    a, b = ([b"127.0.0.1", 7000 + ord(name), (name * 40).encode(), {}] for name in "ab")
    assert front.ask(front.client(), b"CLUSTER", b"SLOTS") == [
        [0, 15, a],
        [16, 31, b],
        [32, 8191, a],
        [8192, 16383, b],
    ]


def test_whoever_asks_for_the_table_is_told_where_keys_are() -> None:
    """SLOTS, SHARDS, NODES and READONLY mark a client as one that follows MOVED; others do not."""
    for words, aware in (
        ((b"CLUSTER", b"SLOTS"), True),
        ((b"CLUSTER", b"SHARDS"), True),
        ((b"CLUSTER", b"NODES"), True),
        ((b"READONLY",), True),
        ((b"CLUSTER", b"INFO"), False),
        ((b"CLUSTER", b"KEYSLOT", b"a"), False),
        ((b"READWRITE",), False),
        ((b"ASKING",), False),
    ):
        front = Front()
        client = front.client()
        front.ask(client, *words)
        assert client.cluster_aware is aware, words


def test_nodes_are_listed_once_each_as_masters_with_their_ranges() -> None:
    """A dead node is marked, one that left is not there, and nobody is a replica."""
    front = Front(nodes=NODES)
    reply = front.ask(front.client(), b"CLUSTER", b"NODES")
    assert isinstance(reply, Verbatim)
    assert reply.text.decode().splitlines() == [
        f"{'a' * 40} 127.0.0.1:7097@17097 myself,master - 0 0 97 connected 0-15 32-8191",
        f"{'b' * 40} 127.0.0.1:7098@17098 master - 0 0 98 connected 16-31 8192-16383",
        f"{'c' * 40} 127.0.0.1:7099@17099 master,fail - 0 0 99 disconnected",
    ]


def test_shards_has_one_node_each() -> None:
    """A shard's slots are a flat list of firsts and lasts; its node carries Redis' fields."""
    front = Front(nodes=NODES)
    shards = front.ask(front.client(), b"CLUSTER", b"SHARDS")
    assert isinstance(shards, list)
    assert shards[0] == {
        b"slots": [0, 15, 32, 8191],
        b"nodes": [
            {
                b"id": b"a" * 40,
                b"port": 7097,
                b"ip": b"127.0.0.1",
                b"endpoint": b"127.0.0.1",
                b"role": b"master",
                b"replication-offset": 0,
                b"health": b"online",
            }
        ],
    }
    assert len(shards) == 3


def test_info_counts_members_and_slots() -> None:
    """The cluster is well while living nodes serve all slots, and not when some are served by nobody."""
    front = Front(nodes=NODES)
    client = front.client()
    assert {"cluster_state:ok", "cluster_known_nodes:2", "cluster_size:2", "cluster_slots_ok:16384"} <= _info(front)
    assert {"cluster_current_epoch:100", "cluster_my_epoch:97"} <= _info(front)
    front.nodes = (NODES[0], view("b", ((16, 31), (8192, 16383)), state="dead"))
    assert {"cluster_state:fail", "cluster_known_nodes:1", "cluster_slots_fail:8208"} <= _info(front)
    front.nodes, front.health = NODES, replace(HEALTH, leased=False)
    assert {"cluster_state:fail", "cluster_slots_ok:0", "cluster_slots_pfail:16384"} <= _info(front)
    assert front.ask(client, b"CLUSTER", b"MYID") == b"a" * 40


def test_keys_of_a_slot_are_those_this_node_serves() -> None:
    """Slot 15495 is that of `a`; a key of the same partition but of another slot does not count."""
    front = Front()
    client = front.client()
    for key in (b"a", b"{a}1", b"{a}2"):
        front.ask(client, b"SET", key, b"x")
    assert front.ask(client, b"CLUSTER", b"KEYSLOT", b"{a}1") == 15495
    assert front.ask(client, b"CLUSTER", b"COUNTKEYSINSLOT", b"15495") == 3
    assert front.ask(client, b"CLUSTER", b"COUNTKEYSINSLOT", b"15494") == 0
    some = front.ask(client, b"CLUSTER", b"GETKEYSINSLOT", b"15495", b"2")
    assert isinstance(some, list)
    assert len(some) == 2
    front.host.store.mark(15495 >> 4, serving=False, log=None)
    assert front.ask(client, b"CLUSTER", b"COUNTKEYSINSLOT", b"15495") == 0


def test_replicas_of_a_known_node_are_none() -> None:
    """An unknown id is refused, a known one has no replicas and no failure reports."""
    front = Front(nodes=NODES)
    client = front.client()
    assert front.ask(client, b"CLUSTER", b"REPLICAS", b"b" * 40) == []
    assert front.ask(client, b"CLUSTER", b"COUNT-FAILURE-REPORTS", b"b" * 40) == 0
    assert front.ask(client, b"CLUSTER", b"COUNT-FAILURE-REPORTS", b"c" * 40) == 1
    assert front.wire(client, b"CLUSTER", b"REPLICAS", b"d" * 40) == b"-ERR Unknown node %b\r\n" % (b"d" * 40)


def test_a_dead_node_can_be_forgotten_and_a_living_one_cannot() -> None:
    """By its id; the node itself is asked for by its name."""
    front = Front(nodes=NODES)
    client = front.client()
    assert front.wire(client, b"CLUSTER", b"FORGET", b"c" * 40) == b"+OK\r\n"
    refusal = front.wire(client, b"CLUSTER", b"FORGET", b"b" * 40)
    assert refusal == b"-ERR Node %b is not dead: have it shut down first\r\n" % (b"b" * 40)
    assert front.asked_of_membership == [("forget", "c")]


def test_a_node_is_met_at_either_port() -> None:
    """The second port that is given is the one to go to."""
    front = Front()
    client = front.client()
    assert front.wire(client, b"CLUSTER", b"MEET", b"127.0.0.1", b"7000") == b"+OK\r\n"
    assert front.wire(client, b"CLUSTER", b"MEET", b"::1", b"7000", b"17001") == b"+OK\r\n"
    assert front.asked_of_membership == [("meet", "127.0.0.1", 7000), ("meet", "::1", 17001)]


def _info(front: Front) -> set[str]:
    reply = front.ask(front.client(), b"CLUSTER", b"INFO")
    assert isinstance(reply, Verbatim)
    return set(reply.text.decode().splitlines())


@pytest.mark.parametrize(
    ("words", "wire"),
    [
        (b"READONLY", b"+OK"),
        (b"READWRITE", b"+OK"),
        (b"ASKING", b"+OK"),
        (b"CLUSTER", b"-ERR wrong number of arguments for 'cluster' command"),
        (b"CLUSTER FOO", b"-ERR unknown subcommand 'FOO'. Try CLUSTER HELP."),
        (b"CLUSTER KEYSLOT", b"-ERR wrong number of arguments for 'cluster|keyslot' command"),
        (b"CLUSTER KEYSLOT a", b":15495"),
        (b"CLUSTER COUNTKEYSINSLOT x", b"-ERR value is not an integer or out of range"),
        (b"CLUSTER COUNTKEYSINSLOT -1", b"-ERR Invalid slot"),
        (b"CLUSTER COUNTKEYSINSLOT 16384", b"-ERR Invalid slot"),
        (b"CLUSTER GETKEYSINSLOT x 1", b"-ERR value is not an integer or out of range"),
        (b"CLUSTER GETKEYSINSLOT 1 x", b"-ERR value is not an integer or out of range"),
        (b"CLUSTER GETKEYSINSLOT 1 -1", b"-ERR Invalid slot or number of keys"),
        (b"CLUSTER GETKEYSINSLOT 16384 1", b"-ERR Invalid slot or number of keys"),
        (b"CLUSTER COUNT-FAILURE-REPORTS a", b"-ERR Unknown node a"),
        (b"CLUSTER REPLICAS a", b"-ERR Unknown node a"),
        (b"CLUSTER SLAVES a", b"-ERR Unknown node a"),
        (b"CLUSTER LINKS", b"*0"),
        (b"CLUSTER FORGET abc", b"-ERR Unknown node abc"),
        (b"CLUSTER FORGET " + b"a" * 40, b"-ERR I tried hard but I can't forget myself..."),
        (b"CLUSTER MEET foo 1", b"-ERR Invalid node address specified: foo:1"),
        (b"CLUSTER MEET 127.0.0.1 0", b"-ERR Invalid node address specified: 127.0.0.1:0"),
        (b"CLUSTER MEET 127.0.0.1 70000", b"-ERR Invalid node address specified: 127.0.0.1:70000"),
        (b"CLUSTER MEET 127.0.0.1 x", b"-ERR Invalid TCP base port specified: x"),
        (b"CLUSTER MEET 127.0.0.1 1 x", b"-ERR Invalid TCP bus port specified: x"),
        (b"CLUSTER MEET 127.0.0.1", b"-ERR wrong number of arguments for 'cluster|meet' command"),
        (
            b"cluster meet 127.0.0.1 1 2 3",
            b"-ERR unknown subcommand or wrong number of arguments for 'meet'. Try CLUSTER HELP.",
        ),
        (b"CLUSTER MEET 127.0.0.1 7000", b"+OK"),
        (b"REPLICAOF NO ONE", b"-ERR REPLICAOF not allowed in cluster mode."),
    ],
)
def test_replies_are_those_of_a_redis_in_a_cluster(words: bytes, wire: bytes) -> None:
    """Taken down from Redis 7.0.15 with cluster-enabled."""
    front = Front()
    assert front.wire(front.client(), *words.split(b" ")) == wire + b"\r\n"


def test_health_says_whether_the_next_node_may_be_restarted() -> None:
    """A line for each figure; an error while there is nothing to judge."""
    front = Front()
    client = front.client()
    with pytest.raises(CommandError, match="does not belong"):
        front.ask(client, b"CLUSTER", b"HEALTH")
    front.health = HEALTH
    reply = front.ask(client, b"CLUSTER", b"HEALTH")
    assert isinstance(reply, Verbatim)
    assert b"safe_to_restart_next_node:1\r\n" in reply.text
    assert b"quorum_margin:1\r\n" in reply.text
    assert b"rebalance_eta_seconds:20\r\n" in reply.text
    text = (Path(__file__).parents[3] / "docs" / "membership.md").read_text("utf-8")
    table = text.partition("## What `CLUSTER HEALTH` says")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert documented == [line.partition(b":")[0].decode() for line in reply.text.splitlines()]
    status = front.ask(client, b"CLUSTER", b"REBALANCE", b"status")
    assert isinstance(status, Verbatim)
    assert status.text == (
        b"rebalance_active:1\r\ncopies_pending:10\r\ncopies_made:30\r\nprimaries_pending:4\r\nelapsed_seconds:60\r\n"
        b"eta_seconds:20\r\nlast_duration_seconds:0\r\nlast_ended_seconds_ago:-1\r\n"
    )
    for words in ((), (b"x",), (b"STATUS", b"x")):
        with pytest.raises(CommandError, match="Try CLUSTER REBALANCE STATUS"):
            front.ask(client, b"CLUSTER", b"REBALANCE", *words)


def test_failover_hands_over_seizes_or_takes_over() -> None:
    """As told; whoever has no copies of others' keys is no replica, and other words are refused."""
    front = Front()
    client = front.client()
    for words in ((b"CLUSTER", b"FAILOVER"), (b"CLUSTER", b"FAILOVER", b"FORCE")):
        with pytest.raises(CommandError, match="You should send CLUSTER FAILOVER to a replica"):
            front.ask(client, *words)
    forced: list[bool] = []
    front.host.fail_over = forced.append
    assert front.ask(client, b"CLUSTER", b"FAILOVER") is OK
    assert front.ask(client, b"CLUSTER", b"FAILOVER", b"force") is OK
    assert forced == [False, True]
    with pytest.raises(CommandError, match="syntax error"):
        front.ask(client, b"CLUSTER", b"FAILOVER", b"now")
    with pytest.raises(CommandError, match="wrong number of arguments for 'FAILOVER'"):
        front.ask(client, b"CLUSTER", b"FAILOVER", b"FORCE", b"x")
    assert front.takeovers == 0
    assert front.ask(client, b"CLUSTER", b"FAILOVER", b"takeover") is OK
    assert front.takeovers == 1


@pytest.mark.parametrize("words", [b"", b"LIST x", b"INSTALL", b"USE a b", b"ROTATE x", b"\xff"])
def test_steps_with_keys_that_are_none_are_refused(words: bytes) -> None:
    """With all that there are."""
    front = Front()
    refusal = front.wire(front.client(), b"CLUSTER", b"KEYS", *words.split(b" "))
    assert refusal.startswith((b"-ERR Try CLUSTER KEYS LIST | INSTALL <key>", b"-ERR wrong number of arguments"))


def test_a_node_without_keys_says_so() -> None:
    """Whatever is wanted."""
    front = Front()
    for words in (b"LIST", b"INSTALL x", b"USE x", b"REMOVE x"):
        refusal = front.wire(front.client(), b"CLUSTER", b"KEYS", *words.split(b" "))
        assert refusal == b"-ERR this node has no keys: it was started without cluster-keys-file\r\n"


@pytest.mark.parametrize(
    ("setting", "address", "permitted"),
    [
        ("local", "127.0.0.1:5", True),
        ("local", "[::1]:5", True),
        ("local", "embedded", True),
        ("local", "10.0.0.1:5", False),
        ("local", "[fe80::1]:5", False),
        ("yes", "10.0.0.1:5", True),
        ("no", "127.0.0.1:5", False),
    ],
)
def test_who_may_change_keys(
    setting: Literal["no", "local", "yes"],
    address: str,
    permitted: bool,  # noqa: FBT001 # a column of the table
) -> None:
    """On the way from another machine a key could be read; a list of fingerprints is no secret."""

    def rotate(verb: Verb, subject: str, protocol: int) -> Pending:
        raise CommandError(f"taken: {verb.value} {subject} {protocol}")

    front = Front(Config(server=ServerConfig(enable_keys_command=setting)))
    front.host.rotate = rotate
    client = front.host.session(address, "127.0.0.1:6379")
    assert front.wire(client, b"CLUSTER", b"KEYS", b"list") == b"-ERR taken: list  2\r\n"
    for words, taken in ((b"Install aB=", b"install aB="), (b"use AB", b"use ab"), (b"REMOVE AB", b"remove ab")):
        reply = front.wire(client, b"CLUSTER", b"KEYS", *words.split(b" "))
        refusal = b"-ERR CLUSTER KEYS command not allowed."
        assert reply.startswith(b"-ERR taken: " + taken + b" 2\r\n" if permitted else refusal)


def test_a_step_with_a_key_is_not_in_the_slow_log() -> None:
    """However slow: others may read that log."""
    row = resolve([b"CLUSTER", b"KEYS", b"INSTALL", b"x"])
    assert Flags.SKIP_SLOWLOG in row.flags
