"""What clients are told that find the owners of keys themselves."""

import pytest

from respcache.cluster.ownership.slots import partition_of, slot_of
from respcache.commands.registry import ROWS, Command
from respcache.pending import Pending
from respcache.resp.encode import bulk, integer
from unit.neighbours import NAMES, Street, arrived, key_of

A, B, C = (key_of(name) for name in NAMES)


@pytest.mark.parametrize(
    ("redirect", "aware", "moved"),
    [
        ("auto", False, False),
        ("auto", True, True),
        ("always", False, True),
        ("never", True, False),
    ],
)
def test_only_clients_that_know_the_slots_are_sent_away(redirect: str, aware: bool, moved: bool) -> None:  # noqa: FBT001 # a table of cases
    """The others never learn that there are several nodes."""
    street = Street(redirect=redirect)
    client = street.client()
    client.cluster_aware = aware
    reply = street.ask(client, b"GET", B)
    assert reply == (b"-MOVED %d b.example:6379\r\n" % slot_of(B) if moved else b"$-1\r\n")
    assert street.nodes["a"].stats.redirects == moved
    assert street.nodes["a"].stats.forwards == (not moved)


def test_the_program_around_a_node_is_sent_nowhere() -> None:
    """It has no connection that could go elsewhere, so it sees all keys of the cluster whatever the setting says."""
    street = Street(redirect="always")
    program = street.client()
    program.embedded = True
    assert street.ask(program, b"MSET", A, b"1", B, b"2") == b"+OK\r\n"
    assert street.ask(program, b"GET", B) == b"$1\r\n2\r\n"
    assert street.ask(program, b"DBSIZE") == integer(2)


@pytest.mark.parametrize(
    ("words", "redirect", "shares"),
    [
        ((), "auto", False),
        ((b"CLUSTER", b"SLOTS"), "auto", False),
        ((b"READONLY",), "auto", True),
        ((b"CLUSTER", b"NODES"), "auto", True),
        ((), "always", True),
        ((), "never", False),
    ],
)
def test_clients_of_each_node_get_its_share(words: tuple[bytes, ...], redirect: str, shares: bool) -> None:  # noqa: FBT001 # a table of cases
    """Their sums are right then; all others see the whole from any node, and what is random or flushed is never cut."""
    street = Street(redirect=redirect)
    for name in NAMES:
        client = street.client(name)
        if words:
            street.nodes[name].batch(client, list(words))
        for key in (A, B, C):
            street.ask(street.client(name), b"SET", key, b"v", node=name)
        own = key_of(name)
        assert street.ask(client, b"DBSIZE", node=name) == integer(1 if shares else 3)
        found = street.ask(client, b"KEYS", b"*", node=name)
        walked = street.ask(client, b"SCAN", b"0", b"COUNT", b"100000", node=name)
        for key in (A, B, C):
            assert (bulk(key) in found) == (bulk(key) in walked) == (key == own or not shares)
    assert street.ask(client, b"FLUSHALL", node=name) == b"+OK\r\n"
    assert street.ask(street.client(), b"EXISTS", A, B, C) == integer(0) or redirect == "always"


ON_KEYS = [row for row in ROWS if row.keys.names_keys and not row.on_session and not row.protected]
"""All but those of DEBUG, which a setting forbids."""
WAITING = {"BLMPOP": b"0 1 %b LEFT", "BZMPOP": b"0 1 %b MIN", "BLMOVE": b"%b %b LEFT LEFT 0", "BRPOPLPUSH": b"%b %b 0"}
"""Words that are looked at before it is known whether the command waits."""


def words_of(row: Command, key: bytes) -> list[bytes]:
    """Write a command with this key wherever one stands."""
    name = row.name.encode().split(b"|")
    if row.name in WAITING:
        return [*name, *WAITING[row.name].replace(b"%b", key).split(b" ")]
    if row.keys.behind_streams:
        group = [b"GROUP", b"g", b"c"] if row.name == "XREADGROUP" else []
        return [*name, *group, b"STREAMS", key, b"0"]
    argv = [*name, *[key] * (row.argc_min - len(name))]
    if row.keys.count_at:
        argv = [*argv[: row.keys.count_at], b"1", key]
        argv += [key] * (row.argc_min - len(argv))
    return argv


@pytest.mark.parametrize("row", ON_KEYS, ids=lambda row: row.name)
def test_a_client_that_knows_the_slots_is_sent_away_with_any_command_on_one_of_them(row: Command) -> None:
    """Wherever all its keys lie in one slot of another owner, whatever it is; nobody else is, with any command."""
    street = Street()
    client = street.client()
    argv = words_of(row, B)
    assert set(row.keys.of(argv)) == {B}
    if row.awaits is None:  # else it waits
        assert not street.ask(street.client(), *argv).startswith(b"-MOVED")
    client.cluster_aware = True
    assert street.ask(client, *argv) == b"-MOVED %d b.example:6379\r\n" % slot_of(B)


def test_keys_of_several_slots_are_served_for_a_client_that_knows_the_slots_too() -> None:
    """Of one other owner or of several: in parts, or under locks."""
    street = Street()
    client = street.client()
    client.cluster_aware = True
    other = key_of("b", 1)
    for keys in ((A, B), (B, other), (B, C)):
        assert street.ask(client, b"MSET", keys[0], b"1", keys[1], b"2") == b"+OK\r\n"
        assert street.ask(client, b"MGET", *keys) == b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"
        assert street.ask(client, b"RENAME", *keys) == b"+OK\r\n"
        assert street.ask(client, b"DEL", *keys) == integer(1)


def test_the_share_of_a_node_without_slots_is_nothing() -> None:
    """As of one that has just joined: it is answered at once."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    client.node_scope = True
    node.table.primary[:] = ["b"] * len(node.table.primary)
    assert street.ask(client, b"DBSIZE") == integer(0)
    assert street.ask(client, b"KEYS", b"*") == b"*0\r\n"
    assert street.ask(client, b"SCAN", b"0") == b"*2\r\n$1\r\n0\r\n*0\r\n"


def test_nobody_is_sent_to_the_node_that_he_asks() -> None:
    """A partition of this node that is not served at the moment is waited for."""
    street = Street()
    client = street.client()
    client.cluster_aware = True
    street.nodes["a"].locks.close(partition_of(A))
    reply = street.nodes["a"].batch(client, [b"GET", A])[0]
    assert isinstance(reply, Pending)
    street.nodes["a"].locks.open(partition_of(A), None)
    street.nodes["a"].router.routes_changed()
    assert arrived(reply) == b"$-1\r\n"
