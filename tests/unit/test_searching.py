"""Scripts that another node knows."""

from hashlib import sha1

import pytest

from respcache.internal import SCRIPT
from respcache.resp.encode import bulk
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
