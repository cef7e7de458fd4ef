"""CONFIG on a running node."""

import pytest

from respcache.commands.registry import lookup
from respcache.reply import OK
from unit.commands.front import Front


def test_get_takes_patterns_and_names() -> None:
    """A name comes back as it was written, what a pattern finds under its own name, each once."""
    front = Front()
    client = front.client()
    answer = front.ask(client, b"CONFIG", b"GET", b"MaxClients", b"maxclient?", b"replica-c*")
    assert answer == {b"MaxClients": b"10000", b"replica-count": b"2"}
    assert front.ask(client, b"CONFIG", b"GET", b"nothing") == {}


def test_set_takes_effect_at_once_and_together() -> None:
    """What is set is read back, and a refused setting holds all others up."""
    front = Front()
    client = front.client()
    assert front.ask(client, b"CONFIG", b"SET", b"timeout", b"60", b"MAXCLIENTS", b"5") is OK
    assert (front.host.config.server.timeout_s, front.host.config.server.maxclients) == (60, 5)
    assert front.wire(client, b"CONFIG", b"SET", b"timeout", b"1", b"hz", b"x").startswith(b"-ERR CONFIG SET failed")
    assert front.host.config.server.timeout_s == 60


def test_a_new_password_is_for_new_clients() -> None:
    """Who is connected stays in; any bytes can be a password."""
    front = Front()
    client = front.client()
    front.ask(client, b"CONFIG", b"SET", b"requirepass", b"sword\xff")
    assert front.ask(client, b"CONFIG", b"GET", b"requirepass") == {b"requirepass": b"sword\xff"}
    newcomer = front.client()
    assert (client.authenticated, newcomer.authenticated) == (True, False)
    assert front.ask(newcomer, b"AUTH", b"sword\xff") is OK


@pytest.mark.parametrize("name", [b"port", b"databases", b"replica-count", b"appendonly"])
def test_what_shapes_a_node_stays(name: bytes) -> None:
    """Redis' own refusal for settings that do not change while it runs."""
    front = Front()
    expected = b"-ERR CONFIG SET failed (possibly related to argument '%b') - can't set immutable config\r\n" % name
    assert front.wire(front.client(), b"CONFIG", b"SET", name, b"7") == expected


def test_a_value_that_holds_already_can_be_set() -> None:
    """Test suites switch persistence off first; it is."""
    front = Front()
    assert front.ask(front.client(), b"CONFIG", b"SET", b"save", b"", b"appendonly", b"no") is OK


def test_resetstat_begins_all_counts_anew_in_place() -> None:
    """The lists stay the same objects, for the hot path holds on to them."""
    front = Front()
    stats, row = front.host.stats, lookup(b"GET")
    assert row is not None
    calls, errors = stats.calls, stats.errors
    stats.calls[row.index] = 5
    stats.durations[row.index][3] = 5
    stats.count_error("ERR")
    stats.input_bytes = 10
    stats.disconnects["idle"] = 2
    front.host.store.ledger.misses = 4
    assert front.ask(front.client(), b"CONFIG", b"RESETSTAT") is OK
    assert stats.calls is calls
    assert stats.errors is errors
    assert (sum(calls), errors, stats.input_bytes, stats.disconnects["idle"]) == (0, {}, 0, 0)
    assert (sum(map(sum, stats.durations)), front.host.store.ledger.misses) == (0, 0)
