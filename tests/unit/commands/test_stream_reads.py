"""Reading streams from ids that are given by name."""

from respcache.commands.registry import lookup
from respcache.reply import NULL_ARRAY, Named
from respcache.store.keyspace import Keyspace, Store


def _run(space: Keyspace, line: str) -> object:
    argv = line.encode().split()
    row = lookup(argv[0])
    assert row is not None
    if row.key_at:
        return row.on_key(space.at(argv[row.key_at]), argv)
    assert row.on_keys is not None
    return row.on_keys(space, argv)


def test_a_plus_stands_for_the_last_entry_that_is_there() -> None:
    """Not for one that was deleted since, and for nothing where the stream is empty: what comes next is read then."""
    space = Store().keyspace(0)
    for entry in ("1-0", "2-0"):
        _run(space, f"XADD x {entry} f {entry}")
    for deleted, left in (("3-0", b"2-0"), ("2-0", b"1-0")):
        _run(space, f"XDEL x {deleted}")
        read = _run(space, "XREAD COUNT 10 STREAMS x +")
        assert isinstance(read, Named)
        assert read.pairs == [(b"x", [[left, [b"f", left]]])]
    _run(space, "XDEL x 1-0")
    assert _run(space, "XREAD STREAMS x +") is NULL_ARRAY
