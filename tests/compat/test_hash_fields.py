"""The lifetime of fields beside a real Valkey, in replies and in events."""

import time
from collections.abc import Iterator
from typing import Final

import pytest

from compat.comparison import differences
from compat.conftest import Connect, port_of
from compat.conversation import Talker
from compat.newer import drawn, written
from compat.targets import Direct
from compat.wire import RawConnection
from respcache.store.partition import Argv
from respcache.testing import LocalCluster

SEEDS: Final = range(150)
"""7,500 calls for each version of the protocol."""
EVENT_SEEDS: Final = range(10)
PATIENCE_S: Final = 20.0
ODD: Final = frozenset((b"expired", b"keymiss", b"copy_to"))
"""Events left out: a key that is over is found so at another moment, and misses are those of older commands."""

Heard = tuple[bytes, bytes]


def _direct(protocol: int) -> Direct:
    return Direct(protocol=protocol, now_unix_ms=int(time.time() * 1000))


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", list(written()))
def test_written_calls_are_answered_as_by_valkey(valkey: Connect, protocol: int, name: str) -> None:
    """Every reply to the written calls has the same bytes."""
    found = differences(name, written()[name], valkey(protocol), _direct(protocol))
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("protocol", [2, 3])
def test_generated_calls_are_answered_as_by_valkey(valkey: Connect, protocol: int) -> None:
    """Every reply to calls by chance, right and wrong ones, has the same bytes."""
    found = [
        difference
        for seed in SEEDS
        for difference in differences(f"drawn({seed})", drawn(seed), valkey(protocol), _direct(protocol))[:1]
    ]
    assert not found, f"{len(found)} scripts differ, the first ones:\n" + "\n".join(map(str, found[:5]))


@pytest.fixture(scope="module")
def alone() -> Iterator[int]:
    """Run one node; give its port."""
    with LocalCluster(nodes=1) as cluster:
        yield cluster.addresses[0][1]


def _heard(port: int, calls: list[Argv]) -> list[list[Heard]]:
    """Make calls, and give the events of each, by name and key."""
    heard: list[list[Heard]] = []
    with RawConnection(port) as connection:
        connection.run([[b"FLUSHALL"], [b"CONFIG", b"SET", b"notify-keyspace-events", b"EAnm"]])
        listener = Talker(port, protocol=2)
        listener.send([b"PSUBSCRIBE", b"__keyevent@*"])
        listener.heard()
        for argv in calls:
            connection.run([argv])
            news: list[Heard] = []
            for frame in listener.heard():
                assert frame.elements is not None
                channel, key = (element.wire.split(b"\r\n", 1)[1][:-2] for element in frame.elements[2:])
                event = channel.partition(b":")[2]
                if event not in ODD:
                    news.append((event, key))
            heard.append(news)
        listener.close()
        connection.run([[b"FLUSHALL"], [b"CONFIG", b"SET", b"notify-keyspace-events", b""]])
    return heard


@pytest.mark.integration
@pytest.mark.parametrize("name", list(written()))
def test_written_calls_make_the_events_of_valkey(valkey: Connect, alone: int, name: str) -> None:
    """Each event by name, key and order, up to the deletion of a key with its last field."""
    calls = written()[name]
    for argv, theirs, ours in zip(calls, _heard(port_of(valkey), calls), _heard(alone, calls), strict=True):
        assert ours == theirs, f"of {argv} something else is heard"


@pytest.mark.integration
def test_calls_by_chance_make_the_events_of_valkey(valkey: Connect, alone: int) -> None:
    """The same for right and wrong calls."""
    for seed in EVENT_SEEDS:
        calls = [argv for argv in drawn(seed) if argv[0].upper().startswith(b"H")]
        for argv, theirs, ours in zip(calls, _heard(port_of(valkey), calls), _heard(alone, calls), strict=True):
            assert ours == theirs, f"drawn({seed}): of {argv} something else is heard"


@pytest.mark.integration
@pytest.mark.parametrize("looks", [False, True])
def test_fields_expire_with_events_whether_or_not_anybody_looks(valkey: Connect, alone: int, looks: bool) -> None:  # noqa: FBT001 # a parameter of the test
    """Lazily and by the sweep; the key goes with the last of them."""
    found: list[list[bytes]] = []
    for port in (port_of(valkey), alone):
        with RawConnection(port) as connection:
            connection.run([[b"CONFIG", b"SET", b"notify-keyspace-events", b"EAn"]])
            listener = Talker(port, protocol=2)
            listener.send([b"PSUBSCRIBE", b"__keyevent@*"])
            listener.heard()
            connection.run([[b"HSETEX", b"k", b"PX", b"30", b"FIELDS", b"2", b"a", b"1", b"b", b"2"]])
            news: list[bytes] = []
            give_up_s = time.monotonic() + PATIENCE_S
            while b"del" not in news and time.monotonic() < give_up_s:
                if looks:
                    connection.run([[b"HGET", b"k", b"a"]])
                for frame in listener.heard():
                    assert frame.elements is not None
                    news.append(frame.elements[2].wire.split(b":")[-1][:-2])
            assert connection.run([[b"EXISTS", b"k"]])[0].number == 0
            listener.close()
            connection.run([[b"CONFIG", b"SET", b"notify-keyspace-events", b""]])
            found.append(news)
    assert found[0] == found[1] == [b"new", b"hset", b"hexpire", b"hexpired", b"del"]
