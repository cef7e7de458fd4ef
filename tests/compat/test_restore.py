"""What RESTORE brings reaches whoever waits for a key, watches it or caches it, as with a real Redis."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from compat.conversation import Talker
from compat.oracle import redis_server, why_not
from compat.wire import RawConnection
from respcache.store import lists
from respcache.store.limits import DEFAULT
from respcache.store.rdb.payload import dump
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

TIMEOUT_S: Final = 20.0
PAYLOAD: Final = dump(lists.of([b"1", b"2", b"3"]), DEFAULT)
RESTORE: Final = [b"RESTORE", b"k", b"0", PAYLOAD, b"REPLACE"]
CONDITIONS: Final = pytest.mark.parametrize("command", [[b"BLPOP", b"k", b"0"], [b"BRPOP", b"none", b"k", b"0"]])


@pytest.fixture(scope="module")
def redis_port() -> Iterator[int]:
    """Run a Redis."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with redis_server() as port:
        yield port


@pytest.fixture(scope="module")
def ports() -> Iterator[list[int]]:
    """Run three nodes with copies; give their ports."""
    with LocalCluster(nodes=3) as cluster:
        cluster.wait_for_copies()
        yield [port for _, port in cluster.addresses]


def _wait_until_blocked(client: RawConnection) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while b"blocked_clients:1\r" not in client.run([[b"INFO", b"clients"]])[0].wire:
        assert time.monotonic() < deadline_s, "nobody waits"


def _popped(waits_at: int, restored_at: int, command: list[bytes]) -> list[bytes]:
    """Give what a client is served that waits, and what is left."""
    with (
        RawConnection(waits_at) as waiting,
        RawConnection(waits_at) as beside,
        RawConnection(restored_at) as restoring,
        ThreadPoolExecutor(1) as thread,
    ):
        restoring.run([[b"FLUSHALL"]])
        served = thread.submit(waiting.run, [command])
        _wait_until_blocked(beside)
        assert restoring.run([RESTORE])[0].wire == b"+OK\r\n"
        frames = [*served.result(TIMEOUT_S), *restoring.run([[b"LRANGE", b"k", b"0", b"-1"]])]
        return [frame.wire for frame in frames]


@CONDITIONS
def test_who_waits_is_served_from_what_is_restored(redis_port: int, ports: list[int], command: list[bytes]) -> None:
    """Through any two nodes: the first or the last element, and the rest stays."""
    expected = _popped(redis_port, redis_port, command)
    for waits_at in ports:
        for restored_at in ports[:2]:
            assert _popped(waits_at, restored_at, command) == expected


def _watched(watches_at: int, restored_at: int) -> list[bytes]:
    """Give what EXEC says to a client that watches the key."""
    with RawConnection(watches_at) as watching, RawConnection(restored_at) as restoring:
        restoring.run([[b"FLUSHALL"], [b"SET", b"k", b"v"]])
        watching.run([[b"WATCH", b"k"]])
        assert restoring.run([RESTORE])[0].wire == b"+OK\r\n"
        return [frame.wire for frame in watching.run([[b"MULTI"], [b"LLEN", b"k"], [b"EXEC"], [b"LLEN", b"k"]])]


def test_who_watches_is_told_by_exec(redis_port: int, ports: list[int]) -> None:
    """Through any node the transaction is not run."""
    expected = _watched(redis_port, redis_port)
    for watches_at in ports:
        assert _watched(watches_at, ports[0]) == expected


def _cached(caches_at: int, restored_at: int) -> list[bytes]:
    """Give what a client hears that has read the key, and is told of changes; a failed RESTORE changes nothing."""
    cache = Talker(caches_at, protocol=3)
    try:
        with RawConnection(restored_at) as restoring:
            restoring.run([[b"FLUSHALL"], [b"SET", b"k", b"v"]])
            cache.send([b"CLIENT", b"TRACKING", b"ON"])
            cache.send([b"GET", b"k"])
            heard = cache.heard()
            assert restoring.run([RESTORE[:4]])[0].wire.startswith(b"-BUSYKEY")
            heard += cache.heard()
            assert restoring.run([RESTORE])[0].wire == b"+OK\r\n"
            deadline_s = time.monotonic() + TIMEOUT_S
            while not (news := cache.heard()):
                assert time.monotonic() < deadline_s, "nothing was heard"
            return [frame.wire for frame in heard + news]
    finally:
        cache.close()


def test_who_caches_a_key_is_told_that_it_is_out_of_date(redis_port: int, ports: list[int]) -> None:
    """Through any node, once."""
    expected = _cached(redis_port, redis_port)
    for caches_at in ports:
        assert _cached(caches_at, ports[0]) == expected


def test_transactions_keep_the_sizes_that_are_set(ports: list[int]) -> None:
    """A transaction over several nodes restores by the settings of the node that runs it, and not by the defaults."""
    with RawConnection(ports[0]) as client:
        client.run([[b"FLUSHALL"], [b"CONFIG", b"SET", b"set-max-intset-entries", b"2"]])
        keys = [b"key%d" % number for number in range(12)]
        calls = [[b"MULTI"], *([b"SADD", key, b"1", b"2", b"3"] for key in keys), [b"EXEC"]]
        client.run(calls)
        encodings = {client.run([[b"OBJECT", b"ENCODING", key]])[0].wire for key in keys}
        client.run([[b"CONFIG", b"SET", b"set-max-intset-entries", b"512"]])
        assert encodings == {b"$9\r\nhashtable\r\n"}
