"""The commands of a client since MULTI."""

import pytest

from respcache.commands.queue import ARGUMENT_BYTES, Queue, QueueFull
from respcache.commands.registry import TABLE
from unit.commands.front import Front

PING = TABLE[b"PING"]


def test_commands_stay_in_order() -> None:
    """As EXEC will run them."""
    queue = Queue(10_000)
    for number in range(3):
        queue.add(PING, [b"PING", b"%d" % number])
    assert [argv[1] for _, argv in queue.calls] == [b"0", b"1", b"2"]


def test_a_queue_takes_no_more_than_its_limit() -> None:
    """Arguments count with what an object takes, so that many small ones are limited too."""
    queue = Queue(2 * (104 + 3 * ARGUMENT_BYTES) - 1)
    queue.add(PING, [b"PING", b"x" * 100])
    with pytest.raises(QueueFull, match="client-query-buffer-limit"):
        queue.add(PING, [b"PING", b"x" * 100])


def test_a_spoiled_queue_holds_nothing_any_more() -> None:
    """Its commands would take memory and never be run."""
    queue = Queue(10_000)
    queue.add(PING, [b"PING"])
    queue.spoil()
    queue.add(PING, [b"PING"])
    assert queue.spoiled
    assert queue.calls == []


def test_a_client_in_a_transaction_shows_in_the_list_of_clients() -> None:
    """With the number of its commands, and a flag."""
    front = Front()
    client = front.client()
    front.ask(client, b"MULTI")
    assert client.queue is not None
    client.queue.add(PING, [b"PING"])
    line = front.wire(client, b"CLIENT", b"INFO")
    assert b" flags=x " in line
    assert b" multi=1 " in line
    front.ask(client, b"DISCARD")
    assert b" multi=-1 " in front.wire(client, b"CLIENT", b"INFO")
