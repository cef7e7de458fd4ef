"""What DUMP gives and RESTORE takes: a value, the version of the format (2 bytes), a checksum (8). Pure.

Both numbers are little-endian; the checksum is that of all before it.
"""

from typing import Final

from respcache.store.limits import Limits
from respcache.store.rdb.crc64 import crc64
from respcache.store.rdb.reading import HASH_VOLATILE, read
from respcache.store.rdb.wire import Reader, Writer
from respcache.store.rdb.writing import write
from respcache.store.rdb.wrong import BadFormat, WrongFooter
from respcache.store.values import Value

VERSION: Final = 10
"""That of Redis 7.0, which later ones read: of all values but hashes whose fields have lifetimes."""
VERSION_MAX: Final = 12
"""That of Redis 7.4: newer ones may mean other things by the same bytes."""
VERSION_VALKEY: Final = 80
"""That of Valkey 9, which counts on from here so as not to meet Redis' own."""
FOOTER_BYTES: Final = 10


def dump(value: Value, limits: Limits) -> bytes:
    """Write a value as a payload."""
    writer = Writer()
    write(writer, value, limits)
    version = VERSION_VALKEY if writer.text[0] == HASH_VOLATILE else VERSION
    text = b"%b%b" % (bytes(writer.text), version.to_bytes(2, "little"))
    return text + crc64(text).to_bytes(8, "little")


def load(payload: bytes, limits: Limits) -> Value:
    """Read the value of a payload. Raises WrongFooter or BadFormat."""
    end = len(payload) - FOOTER_BYTES
    if end < 0:
        raise WrongFooter("too short")
    version = int.from_bytes(payload[end : end + 2], "little")
    if version > VERSION_MAX and version != VERSION_VALKEY:
        raise WrongFooter("a version that is not known")
    if crc64(payload[:-8]) != int.from_bytes(payload[-8:], "little"):
        raise WrongFooter("the checksum is another one")
    reader = Reader(payload, end)
    value = read(reader, limits, is_valkey=version == VERSION_VALKEY)
    if not reader.is_empty:
        raise BadFormat("something behind the value")
    return value
