"""SORT BY and GET, whose keys follow from what another key holds, on one street of nodes."""

import pytest

from respcache.engine.reach import KEYS_MAX
from respcache.reply import Reply
from respcache.resp.encode import encode
from unit.neighbours import NAMES, Street, key_of

A, B, C = (key_of(name) for name in NAMES)
NUMBERS = range(20)


@pytest.fixture
def street() -> Street:
    """Three nodes; a list on each, and weights everywhere."""
    street = Street()
    client = street.client()
    for key in (A, B, C):
        street.ask(client, b"RPUSH", key, *(b"%d" % number for number in NUMBERS))
    for number in NUMBERS:
        street.ask(client, b"SET", b"w_%d" % number, b"%d" % (number * 7 % 20))
        street.ask(client, b"HSET", b"h_%d" % number, b"f", b"of %d" % number)
    return street


def _by_weight() -> list[bytes]:
    return [b"%d" % number for number in sorted(NUMBERS, key=lambda number: number * 7 % 20)]


@pytest.mark.parametrize("node", NAMES)
@pytest.mark.parametrize("key", [A, B, C])
def test_keys_of_all_owners_are_read(street: Street, key: bytes, node: str) -> None:
    """Through any node, whoever has the list; nothing stays locked."""
    client = street.client(node)
    expected = encode([word for element in _by_weight() for word in (element, b"of " + element)], 2)
    found = street.ask(client, b"SORT", key, b"BY", b"w_*", b"GET", b"#", b"GET", b"h_*->f", node=node)
    assert found == expected
    assert all(not node.locks._holders for node in street.nodes.values())
    scratches = [node.router._transactions.scratch for node in street.nodes.values()]
    assert not any(space.at(key).values for scratch in scratches for space in scratch.used())


def test_what_is_stored_is_with_its_owner(street: Street) -> None:
    """The list, the weights and the result may have three of them."""
    client = street.client("c")
    assert street.ask(client, b"SORT", A, b"BY", b"w_*", b"LIMIT", b"0", b"3", b"STORE", B, node="c") == b":3\r\n"
    assert street.ask(client, b"LRANGE", B, b"0", b"-1", node="c") == encode(list[Reply](_by_weight()[:3]), 2)


def test_a_transaction_sees_what_it_has_done_itself(street: Street) -> None:
    """A weight that was set, and an element that was pushed, before in the same one."""
    client = street.client()
    for words in (
        (b"MULTI",),
        (b"RPUSH", A, b"new"),
        (b"SET", b"w_new", b"-1"),
        (b"SORT", A, b"BY", b"w_*", b"LIMIT", b"0", b"1"),
    ):
        street.ask(client, *words)
    assert street.ask(client, b"EXEC") == encode([21, b"OK", [b"new"]], 2).replace(b"$2\r\nOK", b"+OK")


def test_a_key_that_moves_meanwhile_is_found_where_it_is(street: Street) -> None:
    """An owner that refuses has not run anything; the command is tried again."""
    client = street.client("b")
    reply = street.nodes["b"].batch(client, [b"SORT", A, b"BY", b"w_*", b"LIMIT", b"0", b"1"])[0]
    street.refuse(street.take("RESPCACHE.LOCK"))
    street.settle()
    street.nodes["a"].router.routes_changed()
    street.settle()
    assert not isinstance(reply, bytes)
    assert reply.wire == encode([b"0"], 2)


def test_more_keys_than_may_be_locked_are_refused(street: Street) -> None:
    """With an error that says so; nothing stays locked."""
    client = street.client()
    street.ask(client, b"RPUSH", A, *(b"%d" % number for number in range(KEYS_MAX + 1)))
    assert street.ask(client, b"SORT", A, b"BY", b"w_*").startswith(b"-ERR too many keys of other nodes")
    assert all(not node.locks._holders for node in street.nodes.values())


@pytest.mark.parametrize("keys", [(A,), (A, B)])
def test_a_script_reaches_them_too(street: Street, keys: tuple[bytes, ...]) -> None:
    """Weights are keys that it has not declared; what it wrote before it came to them is undone, and done again."""
    client = street.client()
    script = b"redis.call('RPUSH', KEYS[1], 20) return redis.call('SORT', KEYS[1], 'BY', 'w_*', 'GET', 'h_*->f')"
    found: list[Reply] = [b"of " + element for element in _by_weight()]
    assert street.ask(client, b"EVAL", script, b"%d" % len(keys), *keys) == encode([found[0], None, *found[1:]], 2)
    assert street.ask(client, b"LLEN", A) == b":21\r\n"


def test_what_needs_no_other_keys_locks_nothing(street: Street) -> None:
    """The owner answers at once, as it does for any command on one key."""
    client = street.client("b")
    [reply] = street.nodes["b"].batch(client, [b"SORT", A, b"DESC", b"LIMIT", b"0", b"1"])
    street.deliver(street.take("SORT"))
    assert not isinstance(reply, bytes)
    assert reply.wire == encode([b"19"], 2)


def test_one_node_alone_reads_them_at_once() -> None:
    """Without locks."""
    street = Street(names=("a",))
    client = street.client()
    street.ask(client, b"RPUSH", b"l", b"1", b"2")
    street.ask(client, b"MSET", b"w_1", b"2", b"w_2", b"1")
    [reply] = street.nodes["a"].batch(client, [b"SORT", b"l", b"BY", b"w_*", b"GET", b"w_*"])
    assert reply == encode([b"1", b"2"], 2)
