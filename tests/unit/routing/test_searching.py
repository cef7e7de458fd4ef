"""Scripts that another node knows."""

from hashlib import sha1

import pytest

from respcache.resp.encode import bulk
from respcache.routing.internal import SCRIPT
from unit.neighbours import NAMES, Street, arrived, key_of

A, B, C = (key_of(name) for name in NAMES)
TEXT = b"return KEYS[1]"
DIGEST = sha1(TEXT, usedforsecurity=False).hexdigest().encode()
NOSCRIPT = b"-NOSCRIPT No matching script. Please use EVAL.\r\n"


@pytest.mark.parametrize("knows", NAMES)
@pytest.mark.parametrize("key", [A, B])
def test_a_script_that_one_node_has_run_is_found_from_every_node(knows: str, key: bytes) -> None:
    """Wherever the key is, wherever the client is; once it is found it is known."""
    for asks in ("a", "b"):
        street = Street()
        assert street.ask(street.client(knows), b"EVAL", TEXT, b"1", key_of(knows), node=knows).endswith(b"\r\n")
        for _ in range(2):
            reply = street.ask(street.client(asks), b"EVALSHA", DIGEST, b"1", key, node=asks)
            assert reply == bulk(key)


def test_a_script_that_nobody_has_is_asked_for_once_a_call() -> None:
    """Then the client is told."""
    street = Street()
    client = street.client()
    assert street.ask(client, b"EVALSHA", DIGEST, b"1", A) == NOSCRIPT
    assert street.ask(client, b"EVALSHA", DIGEST, b"1", B) == NOSCRIPT
    assert street.ask(client, b"EVALSHA", DIGEST, b"2", A, B) == NOSCRIPT
    assert not street.questions


def test_transactions_find_the_scripts_that_they_name() -> None:
    """All keys with one owner elsewhere, or with several."""
    for keys in ((B,), (A, B)):
        street = Street()
        street.ask(street.client("c"), b"EVAL", TEXT, b"1", C, node="c")
        client = street.client()
        for words in ((b"MULTI",), *((b"EVALSHA", DIGEST, b"1", key) for key in keys), (b"GET", keys[0])):
            street.ask(client, *words)
        assert street.ask(client, b"EXEC") == b"*%d\r\n" % (len(keys) + 1) + b"".join(map(bulk, keys)) + b"$-1\r\n"


def test_an_order_waits_for_all_answers() -> None:
    """The one who knows may be the last to answer."""
    street = Street()
    street.ask(street.client("c"), b"EVAL", TEXT, b"1", C, node="c")
    reply = street.nodes["a"].batch(street.client(), [b"EVALSHA", DIGEST, b"1", A])[0]
    questions = [street.take(SCRIPT.name), street.take(SCRIPT.name)]
    assert {question.owner for question in questions} == {"b", "c"}
    for question in questions:
        assert not isinstance(reply, bytes)
        assert reply.wire is None
        street.deliver(question)
    street.settle()
    assert arrived(reply) == bulk(A)


def test_scripts_are_loaded_and_forgotten_everywhere() -> None:
    """SCRIPT LOAD, EXISTS and FLUSH are about all nodes."""
    street = Street()
    client = street.client("b")
    assert street.ask(client, b"SCRIPT", b"LOAD", TEXT, node="b") == bulk(DIGEST)
    for node in street.nodes.values():
        assert node.scripts.text(DIGEST) == TEXT
    assert street.ask(client, b"SCRIPT", b"EXISTS", DIGEST, b"x", node="b") == b"*2\r\n:1\r\n:0\r\n"
    assert street.ask(client, b"SCRIPT", b"FLUSH", node="b") == b"+OK\r\n"
    for node in street.nodes.values():
        assert node.scripts.text(DIGEST) is None


def test_scripts_of_one_owner_are_sent_one_behind_the_other() -> None:
    """Those that their text confines to their keys; an owner is told the text, so it need not ask for it."""
    street = Street()
    client = street.client()
    assert street.ask(client, b"EVAL", TEXT, b"1", A) == bulk(A)
    node = street.nodes["a"]
    replies = node.batch(client, [b"EVALSHA", DIGEST, b"1", B], [b"EVAL", TEXT, b"1", B], [b"EVALSHA", DIGEST, b"1", C])
    assert client.barrier is None
    assert [question.order.argv[:2] for question in street.questions] == [[b"EVAL", TEXT]] * 3
    street.settle()
    assert [arrived(reply) for reply in replies] == [bulk(B), bulk(B), bulk(C)]
    assert len(node.batch(client, [b"EVAL", b"return KEYS[1] .. KEYS[1]", b"1", B], [b"GET", B])) == 2
    assert client.barrier is None


def test_a_script_that_may_come_to_other_keys_holds_up_what_is_behind_it() -> None:
    """Its owner may have to ask for them, and would run what came after it meanwhile."""
    street = Street()
    client = street.client()
    anywhere = b"return redis.call('GET', ARGV[1])"
    assert len(street.nodes["a"].batch(client, [b"EVAL", anywhere, b"1", B], [b"GET", B])) == 1
    assert client.barrier is not None


def test_what_comes_behind_a_script_that_waits_for_another_waits_for_it() -> None:
    """A script that rests on a scratch store leaves partitions open, but no other script can run beside it."""
    street = Street()
    node, strand = street.nodes["b"], street.nodes["b"].scripts.strand
    strand.is_resting = True
    client = street.client()
    write = b"return redis.call('SET', KEYS[1], 'v')"
    replies = street.nodes["a"].batch(client, [b"EVAL", write, b"1", B], [b"GET", B], [b"GET", C])
    street.settle()
    assert [isinstance(reply, bytes) or reply.wire is not None for reply in replies] == [False, False, True]
    strand.is_resting = False
    node.router.routes_changed()
    street.settle()
    assert [arrived(reply) for reply in replies] == [b"+OK\r\n", bulk(b"v"), b"$-1\r\n"]
