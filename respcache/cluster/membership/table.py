"""The members a node knows, and order-free digests of them that two nodes can compare."""

import hashlib
import zlib
from collections.abc import Iterator

from respcache.cluster.membership.member import Member
from respcache.cluster.membership.wire import BUCKET_BYTES, BUCKETS

_DIGEST_MASK = 2**63 - 1
"""63 bits, since the wire's integers are signed."""


class MemberTable:
    """All members by name, this node and the dead included.

    The digest is the XOR of one hash per live member over name, run epoch and
    incarnation. Suspicion is left out, as it passes, and so are the dead, whose
    tombstones end at slightly different times; hence two nodes show the same
    digest exactly when they hold the same members for live.
    """

    __slots__ = ("_buckets", "_live_names", "_live_peers", "_members", "_own", "digest")

    def __init__(self, me: Member) -> None:
        self._own = me.name
        self._members: dict[str, Member] = {}
        self._buckets = [0] * BUCKETS
        self._live_names: frozenset[str] | None = None
        self._live_peers: tuple[str, ...] | None = None
        self.digest = 0
        self.put(me)

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __getitem__(self, name: str) -> Member:
        return self._members[name]

    @property
    def me(self) -> Member:
        """This node."""
        return self._members[self._own]

    @property
    def live_peers(self) -> tuple[str, ...]:
        """The names of all live members but this one."""
        if self._live_peers is None:
            self._live_peers = tuple(m.name for m in self if m.live and m.name != self._own)
        return self._live_peers

    @property
    def live_names(self) -> frozenset[str]:
        """The same names, for quick look-up."""
        if self._live_names is None:
            self._live_names = frozenset(self.live_peers)
        return self._live_names

    @property
    def live_count(self) -> int:
        """Live members, this one included even while it leaves."""
        return len(self.live_peers) + 1

    @property
    def buckets(self) -> bytes:
        """The digests of all buckets, for the peer to compare with its own."""
        return b"".join(digest.to_bytes(BUCKET_BYTES, "big") for digest in self._buckets)

    def get(self, name: str) -> Member | None:
        """Find a member."""
        return self._members.get(name)

    def put(self, member: Member) -> None:
        """Add a member, or replace what was held of it."""
        held = self._members.get(member.name)
        self._members[member.name] = member
        if held is not None and held.live == member.live and held.precedence[:2] == member.precedence[:2]:
            return
        self._live_names = self._live_peers = None
        for belief in (held, member):
            if belief is not None and belief.live:
                self._flip(belief)

    def remove(self, name: str) -> None:
        """Forget a member, if known."""
        held = self._members.pop(name, None)
        if held is not None and held.live:
            self._flip(held)
        self._live_names = self._live_peers = None

    def differing(self, buckets: bytes) -> list[Member]:
        """Return all members, the dead included, in those buckets whose digests are not those of `buckets`."""
        ours = self.buckets
        differ = {
            bucket
            for bucket in range(BUCKETS)
            if ours[bucket * BUCKET_BYTES :][:BUCKET_BYTES] != buckets[bucket * BUCKET_BYTES :][:BUCKET_BYTES]
        }
        return [member for member in self if _bucket_of(member.name) in differ] if differ else []

    def _flip(self, member: Member) -> None:
        """Take a live belief into the digests, or out of them: XOR is its own inverse."""
        identity = f"{member.name} {member.epoch_unix_ms} {member.incarnation}".encode()
        digest = int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "big") & _DIGEST_MASK
        self.digest ^= digest
        self._buckets[_bucket_of(member.name)] ^= digest


def _bucket_of(name: str) -> int:
    return zlib.crc32(name.encode()) % BUCKETS
