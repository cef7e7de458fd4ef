"""Up to which sizes Redis keeps values in small forms, as CONFIG has it: how many elements, and how long they are."""

from typing import Final

LIST_NODE_BYTES: Final = (4096, 8192, 16384, 32768, 65536)
"""What `list-max-listpack-size` from -1 to -5 means."""
SAFE_NODE_BYTES: Final = 8192
"""A node of a list that is limited by its elements ends at so many bytes, too."""
STREAM_NODE_ENTRIES: Final = 100
STREAM_NODE_BYTES: Final = 4096
STREAM_NODE_ENTRIES_MAX: Final = 10_000
"""With more, to take one entry out of a block would hold the node up."""
STREAM_NODE_BYTES_MAX: Final = 1 << 20
HLL_SPARSE_MAX_BYTES: Final = 3000
"""The longest sparse HyperLogLog, unless configured otherwise."""


class Limits:
    """The sizes that hold on a node. One per node, which its settings change, for its scratch stores too."""

    __slots__ = (
        "hash_entries",
        "hash_value_bytes",
        "hll_sparse_max_bytes",
        "list_size",
        "plain_bytes",
        "set_integers",
        "stream_bytes",
        "stream_entries",
        "zset_entries",
        "zset_value_bytes",
    )

    def __init__(self) -> None:
        self.hash_entries = 512
        """Fields up to which a hash is a listpack (`hash-max-listpack-entries`)."""
        self.hash_value_bytes = 64
        """Length of field and value up to which it is (`hash-max-listpack-value`)."""
        self.set_integers = 512
        """Members up to which a set of integers is an intset (`set-max-intset-entries`)."""
        self.zset_entries = 128
        """Members up to which a sorted set is a listpack (`zset-max-listpack-entries`)."""
        self.zset_value_bytes = 64
        """Length of a member up to which it is (`zset-max-listpack-value`)."""
        self.list_size = -2
        """Elements of a node of a list, or a size of LIST_NODE_BYTES (`list-max-listpack-size`)."""
        self.plain_bytes = 1 << 30
        """Length from which on an element of a list is a node by itself (`DEBUG QUICKLIST-PACKED-THRESHOLD`)."""
        self.hll_sparse_max_bytes = HLL_SPARSE_MAX_BYTES
        """A HyperLogLog that is changed so that it would be longer becomes dense (`hll-sparse-max-bytes`)."""
        self.stream_entries = STREAM_NODE_ENTRIES
        """Entries in a block of a stream, those deleted since included (`stream-node-max-entries`)."""
        self.stream_bytes = STREAM_NODE_BYTES
        """Bytes beyond which a block gets no more entries (`stream-node-max-bytes`)."""

    @property
    def node_bytes(self) -> int:
        """How large a node of a list may be."""
        if self.list_size >= 0:
            return SAFE_NODE_BYTES
        return LIST_NODE_BYTES[min(-self.list_size, len(LIST_NODE_BYTES)) - 1]

    @property
    def node_elements(self) -> int:
        """How many elements it may have."""
        return max(1, self.list_size) if self.list_size >= 0 else 1 << 62


DEFAULT: Final = Limits()
"""The sizes of a Redis without a configuration file, which nothing changes."""
