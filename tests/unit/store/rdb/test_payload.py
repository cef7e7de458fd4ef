"""Payloads: what is written is read again, and nothing that is read does any harm."""

import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.store.limits import DEFAULT, Limits
from respcache.store.lists import List
from respcache.store.rdb import listpack, wire, ziplist
from respcache.store.rdb.crc64 import crc64
from respcache.store.rdb.listpack import ENTRIES_MAX, packed
from respcache.store.rdb.payload import FOOTER_BYTES, dump, load
from respcache.store.rdb.streams import read_stream
from respcache.store.rdb.wrong import BadFormat, WrongFooter
from respcache.store.snapshot import dump as snapshot
from respcache.store.texts import Text
from respcache.store.values import Value, encoding
from respcache.store.volatile_hashes import VolatileHash
from unit.store.rdb.examples import value
from unit.store.rdb.old_forms import EARLIEST, OLD, TIMED, WORDS, length, moment, payload, string

SEEDS = st.integers(min_value=0, max_value=10**6)
MUTATIONS = 2000
ORDERED = Limits()
ORDERED.list_size, ORDERED.plain_bytes = 3, 100


def _state(found: Value) -> bytes:
    """Give all that a value is, its order and its encoding included."""
    return encoding(found) + snapshot(found)


@given(seed=SEEDS)
@settings(deadline=None, max_examples=30)
def test_what_is_written_is_read_again(seed: int) -> None:
    """Every kind of value, in every form; a sorted set comes back in the order of its scores."""
    found = value(random.Random(seed))
    written = dump(found, DEFAULT)
    read = load(written, DEFAULT)
    assert dump(read, DEFAULT) == written or encoding(found) == b"skiplist"
    assert type(read) is type(found)
    assert len(read) == len(found)
    assert _state(load(dump(read, DEFAULT), DEFAULT)) == _state(load(dump(found, DEFAULT), DEFAULT))


def test_lifetimes_of_fields_are_written_as_by_valkey() -> None:
    """Under its version; what is over is left out, and a hash without lifetimes is one of Redis."""
    found = VolatileHash()
    for field, deadline in ((b"a", 9795765237150), (b"b", 0), (b"over", 5)):
        found.set(field, b"v")
        if deadline:
            found.expire(field, deadline)
    found.advance(5)
    written = dump(found, DEFAULT)
    assert written[:-10] == (
        b"\x16\x02\x01a\x01v" + (9795765237150).to_bytes(8, "little") + b"\x01b\x01v" + b"\xff" * 8
    )
    assert written[-10:-8] == b"P\x00"
    read = load(written, DEFAULT)
    assert isinstance(read, VolatileHash)
    assert dict(read.items()) == {b"a": b"v", b"b": b"v"}
    assert (read.deadline(b"a"), read.deadline(b"b")) == (9795765237150, None)
    read.persist(b"a")
    assert dump(read, DEFAULT)[:1] == b"\x04"


@pytest.mark.parametrize(
    "wrong", [b"\x02\x01a\x01v" + b"\xff" * 8 + b"\x01a\x01v" + b"\xff" * 8, b"\x01\x01a\x01v" + b"\xfe" + b"\xff" * 7]
)
def test_wrong_lifetimes_of_fields_are_refused(wrong: bytes) -> None:
    """A field twice, and a time before all times."""
    text = b"\x16" + wrong + b"P\x00"
    with pytest.raises(BadFormat):
        load(text + crc64(text).to_bytes(8, "little"), DEFAULT)


@pytest.mark.parametrize("form", TIMED)
def test_lifetimes_of_fields_are_read_as_redis_writes_them(form: str) -> None:
    """Relative to the earliest deadline or not, in one string or not; 0 stands for none."""
    read = load(TIMED[form], DEFAULT)
    assert isinstance(read, VolatileHash)
    assert dict(read.items()) == {b"a": b"v", b"b": b"12", b"c": b""}
    assert [read.deadline(field) for field in (b"a", b"b", b"c")] == [EARLIEST, None, EARLIEST + 1000]


@pytest.mark.parametrize(
    ("form", "body"),
    [
        pytest.param(24, moment(EARLIEST) + b"\x00", id="empty"),
        pytest.param(24, moment(EARLIEST) + b"\x02\x00\x01a\x01v\x00\x01a\x01v", id="a field twice"),
        pytest.param(24, moment(2**48 - 1) + b"\x01\x02\x01a\x01v", id="too late"),
        pytest.param(24, moment(EARLIEST) + b"\x02\x00\x01a\x01v", id="cut off"),
        pytest.param(22, b"\x01\x81" + (2**48).to_bytes(8, "big") + b"\x01a\x01v", id="too late by itself"),
        pytest.param(25, moment(EARLIEST) + string(packed([b"a", b"v"])), id="half a field"),
        pytest.param(25, moment(EARLIEST) + string(packed([b"a", b"v", b"x"])), id="no number"),
        pytest.param(25, moment(EARLIEST) + string(packed([b"a", b"v", b"-1"])), id="too early"),
        pytest.param(25, moment(EARLIEST) + string(packed([])), id="an empty listpack"),
    ],
)
def test_wrong_lifetimes_in_the_forms_of_redis_are_refused(form: int, body: bytes) -> None:
    """With a right checksum."""
    with pytest.raises(BadFormat):
        load(payload(form, body, 12), DEFAULT)


@pytest.mark.parametrize("form", OLD)
def test_old_forms_are_read(form: str) -> None:
    """Lists in their order; what is in the others is compared with Redis."""
    found = load(OLD[form], DEFAULT)
    if isinstance(found, List):
        assert list(found)[: len(WORDS)] == list(WORDS)
    assert _state(load(dump(found, DEFAULT), DEFAULT)) == _state(found) or "zset" in form


def test_nodes_of_a_list_end_where_the_setting_says() -> None:
    """Three elements, and long ones by themselves."""
    found = List()
    found.extend([b"a", b"b", b"c", b"d", b"x" * 100, b"e"])
    written = dump(found, ORDERED)
    assert written[:2] == b"\x12\x04"
    assert load(written, DEFAULT) is not found
    assert _state(load(written, DEFAULT)) == _state(found)


def test_every_bit_of_a_payload_counts() -> None:
    """One that has changed on its way is refused."""
    written = bytearray(dump(value(random.Random(1)), DEFAULT))
    for place in range(8 * len(written)):
        written[place // 8] ^= 1 << place % 8
        with pytest.raises(WrongFooter):
            load(bytes(written), DEFAULT)
        written[place // 8] ^= 1 << place % 8


@pytest.mark.parametrize("version", [0, 6, 10, 11, 12, 80])
def test_versions_that_are_known_are_read(version: int) -> None:
    """Of Redis and of Valkey."""
    assert load(payload(0, string(b"x"), version), DEFAULT) == b"x"


@pytest.mark.parametrize("version", [13, 79, 81, 65535])
def test_others_are_refused(version: int) -> None:
    """They may mean other things by the same bytes."""
    with pytest.raises(WrongFooter):
        load(payload(0, string(b"x"), version), DEFAULT)


def test_nothing_else_than_a_refusal_comes_of_mutated_payloads() -> None:
    """The checksum is right, so all that is behind it is looked at; what is read can be written and read again."""
    seed = random.randrange(10**9)  # another one each time, and told if it fails
    rng = random.Random(seed)
    read = 0
    sources = [dump(value(random.Random(number)), DEFAULT)[:-FOOTER_BYTES] for number in range(40)]
    sources += [old[:-FOOTER_BYTES] for old in OLD.values()]
    sources = [source for source in sources if len(source) < 2000]
    for _ in range(MUTATIONS):
        text = _mutated(rng, rng.choice(sources)) + b"\x0a\x00"
        try:
            found = load(text + crc64(text).to_bytes(8, "little"), DEFAULT)
        except BadFormat:
            continue
        except BaseException as fault:
            raise AssertionError(f"seed {seed}: {text!r}") from fault
        read += 1
        again = load(dump(found, DEFAULT), DEFAULT)
        assert len(again) == len(found), f"seed {seed}: {text!r}"
    assert MUTATIONS // 50 < read < MUTATIONS


def _mutated(rng: random.Random, source: bytes) -> bytes:
    text = bytearray(source)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(text)) if rng.random() < 0.5 else rng.randrange(min(len(text), 40))
        match rng.randrange(5):
            case 0:
                text[at] = rng.choice((0, 1, 0x7F, 0x80, 0x81, 0xC0, 0xC3, 0xFE, 0xFF, rng.randrange(256)))
            case 1:
                text[at] ^= 1 << rng.randrange(8)
            case 2 if len(text) > 2:
                del text[at : at + rng.choice((1, 2, 8))]
            case 3:
                text[at:at] = rng.randbytes(rng.choice((1, 2, 8)))
            case _:
                text[at : at + 4] = rng.choice((b"\xff\xff\xff\x7f", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00"))
        if not text:
            return b"\x00"
    return bytes(text)


HUGE = b"\x81" + (2**64 - 1).to_bytes(8, "big")


@pytest.mark.parametrize(
    ("form", "body"),
    [
        pytest.param(0, HUGE, id="a string"),
        pytest.param(1, HUGE, id="a list"),
        pytest.param(2, HUGE + b"\x00", id="a set"),
        pytest.param(4, b"\x80\x7f\xff\xff\xff", id="a hash"),
        pytest.param(5, b"\x80\x00\xff\xff\xff", id="a sorted set"),
        pytest.param(18, HUGE, id="a quicklist"),
        pytest.param(19, HUGE, id="a stream"),
        pytest.param(0, b"\xc3\x03" + HUGE + b"\x00a\xe0", id="LZF"),
        pytest.param(0, b"\xc3\x05" + b"\x80\x20\x00\x00\x01" + b"\x00a\xe0\xff\x00", id="LZF beyond the limit"),
        pytest.param(11, string(b"\x02\x00\x00\x00\xff\xff\xff\x7f\x00\x00"), id="an intset"),
    ],
)
def test_what_is_announced_takes_no_memory_and_no_time(form: int, body: bytes) -> None:
    """Numbers of elements and lengths are believed when their bytes are there."""
    began = time.process_time()
    with pytest.raises(BadFormat):
        load(payload(form, body), DEFAULT)
    assert time.process_time() - began < 1


def test_names_of_a_stream_that_repeat_are_counted() -> None:
    """Entries that have the names of their master take more than their bytes in a payload."""
    name = b"n" * 1000
    entries = [word for number in range(100) for word in (b"2", b"%d" % number, b"0", b"v", b"4")]
    node = packed([b"100", b"0", b"1", name, b"0", *entries])
    text = b"\x01" + string(b"\x00" * 15 + b"\x01") + string(node) + length(100) + b"\x40\x63\x01\x00"
    assert len(read_stream(wire.Reader(text, len(text)), 1)) == 100
    with pytest.raises(BadFormat, match="too long"):
        read_stream(wire.Reader(text, len(text), room_bytes=50_000), 1)


def test_a_string_that_is_changed_in_place_is_dumped_as_any_other() -> None:
    """Its reader sees no difference."""
    assert dump(Text(bytearray(b"x" * 20_000)), DEFAULT) == dump(b"x" * 20_000, DEFAULT)


@pytest.mark.parametrize("announced", [1, 1000, 0xFFFF])
@pytest.mark.parametrize(
    ("unpack", "entry", "head"), [(listpack.unpacked, b"\x01\x01", b""), (ziplist.unpacked, b"\x02\xf2", b"\0\0\0\0")]
)
def test_no_more_entries_are_read_than_are_announced_or_kept_packed(
    unpack: Callable[[bytes], list[bytes]], entry: bytes, head: bytes, announced: int
) -> None:
    """However many there are: a few bytes of LZF could stand for as many as fill the memory."""
    entries = head + announced.to_bytes(2, "little") + entry * (3 * ENTRIES_MAX) + b"\xff"
    blob = (4 + len(entries)).to_bytes(4, "little") + entries
    began = time.thread_time()
    with pytest.raises(BadFormat, match="than are read"):
        unpack(blob)
    assert time.thread_time() - began < 5.0
