"""Clock, role, users, memory, end."""

import gc
import logging
import weakref
from time import time
from typing import Final

import pytest

from respcache.commands.categories import CATEGORIES
from respcache.pending import Farewell, Pending
from respcache.reply import OK, Verbatim
from unit.commands.front import Front

INCOMPLETE: Final = b"-INCOMPLETE the node has left, and not everything was handed over in time: 7 keys are gone\r\n"
LAST: Final = b"-INCOMPLETE the node has left, and nobody stays: 7 keys are gone\r\n"


def test_time_is_seconds_and_microseconds() -> None:
    """Both are text, the second below a million."""
    front = Front()
    answer = front.ask(front.client(), b"TIME")
    assert isinstance(answer, list)
    seconds, microseconds = (int(part) for part in answer if isinstance(part, bytes))
    assert abs(seconds - time()) < 60
    assert 0 <= microseconds < 1_000_000


def test_shutdown_is_for_the_host_to_do() -> None:
    """The asking client is left without a reply for as long as the node lives; a refused SHUTDOWN does nothing."""
    front = Front()
    client = front.client()
    for words in ((b"ABORT",), (b"SAVE", b"NOSAVE"), (b"later",)):
        assert front.wire(client, b"SHUTDOWN", *words).startswith(b"-ERR ")
    assert (front.shutdowns, client.barrier) == (0, None)
    reply = front.answer(client, b"SHUTDOWN", b"NOSAVE", b"NOW")
    assert isinstance(reply, Pending)
    assert reply.wire is None
    assert (front.shutdowns, client.barrier) == (1, reply)


@pytest.mark.parametrize(
    ("words", "good"),
    [((b"SHUTDOWN",), b""), ((b"CLUSTER", b"LEAVE"), b"+OK\r\n"), ((b"CLUSTER", b"LEAVE", b"force"), b"+OK\r\n")],
)
def test_the_last_reply_of_a_node_says_whether_it_has_handed_everything_over(
    words: tuple[bytes, ...], good: bytes
) -> None:
    """Of SHUTDOWN nobody expects a reply to success, so it has none; what was left behind is an error to all."""
    for complete, told in ((True, good), (False, INCOMPLETE)):
        front = Front()
        reply = front.answer(front.client(), *words)
        assert isinstance(reply, Farewell)
        assert (front.shutdowns, reply.wire) == (1, None)
        reply.bid(complete=complete, losses="7 keys are gone")
        assert reply.wire == told


@pytest.mark.parametrize(("words", "told"), [((b"SHUTDOWN",), b""), ((b"CLUSTER", b"LEAVE", b"FORCE"), LAST)])
def test_the_last_node_says_what_is_gone_with_it(words: tuple[bytes, ...], told: bytes) -> None:
    """SHUTDOWN ends all nodes of a cluster without an error, as it does a Redis."""
    front = Front()
    reply = front.answer(front.client(), *words)
    assert isinstance(reply, Farewell)
    reply.bid(complete=True, gone=True, losses="7 keys are gone")
    assert reply.wire == told


def test_who_asks_a_node_to_leave_is_in_its_log(caplog: pytest.LogCaptureFixture) -> None:
    """By what, and from where; what is no such command asks for nothing."""
    front = Front()
    client = front.client()
    with caplog.at_level(logging.INFO, logger="respcache.host"):
        for words in ((b"LATER",), (b"FORCE", b"FORCE")):
            assert front.wire(client, b"CLUSTER", b"LEAVE", *words).startswith(b"-ERR syntax error")
        assert (front.shutdowns, caplog.messages) == (0, [])
        front.answer(client, b"CLUSTER", b"LEAVE")
        front.answer(client, b"SHUTDOWN")
    assert caplog.messages == [
        f"CLUSTER LEAVE from {client.address}: leaving",
        f"SHUTDOWN from {client.address}: leaving",
    ]


def test_a_node_becomes_nobodys_replica() -> None:
    """In the words of a Redis that is in a cluster, under both names."""
    front = Front()
    for name in (b"REPLICAOF", b"SLAVEOF"):
        assert front.wire(front.client(), name, b"h", b"1") == b"-ERR REPLICAOF not allowed in cluster mode.\r\n"


def test_memory_usage_grows_with_the_value() -> None:
    """Null for no key; a longer value takes as many bytes more."""
    front = Front()
    client = front.client()
    assert front.ask(client, b"MEMORY", b"USAGE", b"a") is None
    front.ask(client, b"SET", b"a", b"x" * 100)
    small = front.ask(client, b"MEMORY", b"USAGE", b"a")
    front.ask(client, b"SET", b"a", b"x" * 1100)
    large = front.ask(client, b"MEMORY", b"USAGE", b"a", b"SAMPLES", b"0")
    assert isinstance(small, int)
    assert isinstance(large, int)
    assert (large - small, small > 200) == (1000, True)


def test_categories_hold_the_commands_of_their_rows() -> None:
    """ACL CAT lists the categories, and the commands of one, subcommands included."""
    front = Front()
    client = front.client()
    assert front.ask(client, b"ACL", b"CAT") == [category.encode() for category in CATEGORIES]
    members = front.ask(client, b"ACL", b"CAT", b"connection")
    assert isinstance(members, list)
    assert {b"ping", b"client|id", b"command|docs"} <= set(map(bytes, members))  # type: ignore[arg-type] # all are bytes


def test_the_password_of_the_default_user_is_shown_by_its_digest() -> None:
    """As a redis-server with the same password shows it."""
    front = Front()
    client = front.client()
    assert front.ask(client, b"ACL", b"LIST") == [b"user default on nopass ~* &* +@all"]
    front.ask(client, b"CONFIG", b"SET", b"requirepass", b"secret")
    digest = b"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    assert front.ask(client, b"ACL", b"LIST") == [b"user default on #" + digest + b" ~* &* +@all"]
    shown = front.ask(client, b"ACL", b"GETUSER", b"default")
    assert isinstance(shown, dict)
    assert (shown[b"flags"], shown[b"passwords"]) == ([b"on"], [digest])


def test_lolwut_names_the_version_and_the_nodes() -> None:
    """The line that clients look for is the last one."""
    front = Front()
    answer = front.ask(front.client(), b"LOLWUT")
    assert isinstance(answer, Verbatim)
    assert answer.text.splitlines()[0].endswith(b" a 100%")
    assert answer.text.splitlines()[-1].startswith(b"Redis ver. 7.4.0")


def test_a_purge_frees_cycles_among_what_is_spared() -> None:
    """MEMORY PURGE looks at everything, at what is frozen, too."""
    front = Front()
    gc.collect()
    knot: set[object] = set()
    left = weakref.ref(knot)
    knot.add((knot.add,))
    gc.freeze()
    del knot
    gc.collect()
    assert left() is not None
    assert front.ask(front.client(), b"MEMORY", b"PURGE") is OK
    assert left() is None
    assert gc.get_freeze_count() == 0


def test_there_is_nothing_to_load() -> None:
    """Commands that monitors send get the empty answer."""
    front = Front()
    client = front.client()
    assert front.ask(client, b"MODULE", b"LIST") == []
    assert front.ask(client, b"LASTSAVE") == front.host.started_unix_s
