"""Payloads of DUMP, right and wrong ones."""

from typing import Final

from respcache.store.rdb.crc64 import crc64


def payload(value: bytes, version: int = 10) -> bytes:
    """Put version and checksum behind a value."""
    text = value + version.to_bytes(2, "little")
    return text + crc64(text).to_bytes(8, "little")


RIGHT: Final = (
    payload(b"\x00\x05hello"),
    payload(b"\x00\xc0\x07", 6),
    payload(b"\x00\xc1\x00\x80"),
    payload(b"\x00\xc3\x05\x1e\x00a\xe0\x14\x00"),
    payload(b"\x01\x02\x01a\x01b"),
    payload(b"\x12\x02\x01\x01a\x02\x0b\x0b\x00\x00\x00\x02\x00\x01\x01\x02\x01\xff"),
    payload(b"\x02\x02\x01a\x01b"),
    payload(b"\x0b\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02\x00"),
    payload(b"\x04\x01\x01f\x01v"),
    payload(b"\x10\x0b\x0b\x00\x00\x00\x02\x00\x01\x01\x02\x01\xff"),
    payload(b"\x05\x01\x01m\x00\x00\x00\x00\x00\x00\xf8\x3f"),
    payload(b"\x11\x0b\x0b\x00\x00\x00\x02\x00\x01\x01\x02\x01\xff"),
    payload(b"\x13\x00\x00\x05\x01\x00\x00\x00\x00\x07\x00"),
)
"""Values of every type."""
WRONG: Final = (
    b"",
    b"hello",
    b"\x00\x05hello\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    payload(b"\x00\x05hello", 100),
    payload(b"\x00\x15hell"),  # of one that ends a little earlier Redis reads on in what is behind it
    payload(b"\x02\x00"),
    payload(b"\x02\x02\x01a\x01a"),
    payload(b"\x00\xc3\x03\x09\x20\x00\x00"),
    payload(b"\x05\x01\x01m\x00\x00\x00\x00\x00\x00\xf8\x7f"),
    payload(b"\x63"),
    payload(b""),
)
"""Without a footer or with a wrong one, cut off, empty, with a member twice, no number, of no type."""
PAYLOADS: Final = (*RIGHT, *RIGHT, *WRONG)
