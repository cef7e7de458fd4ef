"""The members a node knows, and order-free digests of them that two nodes can compare."""

import hashlib
import zlib
from collections.abc import Collection, Iterator, Sequence

from respcache.cluster.membership.member import Address, Member
from respcache.cluster.membership.wire import BUCKET_BYTES, BUCKETS

_DIGEST_MASK = 2**63 - 1
"""63 bits, since the wire's integers are signed."""


class MemberTable:
    """All members by name, this node and the dead included.

    The digest is the XOR of one hash per live member over name, run epoch and
    incarnation. Suspicion is left out, as it passes, and so are the dead, whose
    tombstones end at slightly different times; hence two nodes show the same
    digest exactly when they hold the same members for live.

    A change costs the same whatever the number of members, and a draw among
    the live ones too: their names stand in a list, with the place of each.
    """

    __slots__ = (
        "_buckets",
        "_encoded_buckets",
        "_gone",
        "_live",
        "_live_addresses",
        "_members",
        "_places",
        "digest",
        "me",
    )

    def __init__(self, me: Member) -> None:
        self.me = me
        """This node."""
        self._members: dict[str, Member] = {}
        self._buckets = [0] * BUCKETS
        self._encoded_buckets: bytes | None = None
        self._live: list[str] = []
        self._places: dict[str, int] = {}
        self._gone: dict[str, None] = {}
        self._live_addresses: frozenset[Address] | None = None
        self.digest = 0
        self.put(me)

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __getitem__(self, name: str) -> Member:
        return self._members[name]

    @property
    def live_peers(self) -> Sequence[str]:
        """The names of all live members but this one, to be read before the next change."""
        return self._live

    @property
    def live_names(self) -> Collection[str]:
        """The same names, for quick look-up."""
        return self._places.keys()

    @property
    def live_addresses(self) -> frozenset[Address]:
        """The addresses of the same members."""
        if self._live_addresses is None:
            self._live_addresses = frozenset(self._members[name].address for name in self._live)
        return self._live_addresses

    @property
    def gone(self) -> Sequence[Member]:
        """The other members that are remembered though they are dead or left."""
        return [self._members[name] for name in self._gone]

    @property
    def live_count(self) -> int:
        """Live members, this one included even while it leaves."""
        return len(self._live) + 1

    @property
    def buckets(self) -> bytes:
        """The digests of all buckets, for the peer to compare with its own."""
        if self._encoded_buckets is None:
            self._encoded_buckets = b"".join(digest.to_bytes(BUCKET_BYTES, "big") for digest in self._buckets)
        return self._encoded_buckets

    def get(self, name: str) -> Member | None:
        """Find a member."""
        return self._members.get(name)

    def put(self, member: Member) -> None:
        """Add a member, or replace what was held of it."""
        held = self._members.get(member.name)
        self._members[member.name] = member
        if member.name == self.me.name:
            self.me = member
        if held is None or held.address != member.address or held.live != member.live:
            self._live_addresses = None
        if held is not None and held.live == member.live and held.precedence[:2] == member.precedence[:2]:
            return
        for belief in (held, member):
            if belief is not None and belief.live:
                self._flip(belief)
        if member.name != self.me.name:
            self._file(member.name, live=member.live)

    def remove(self, name: str) -> None:
        """Forget a member, if known."""
        held = self._members.pop(name, None)
        if held is None:
            return
        self._live_addresses = None
        if held.live:
            self._flip(held)
        self._file(name, live=False)
        self._gone.pop(name, None)

    def differing(self, buckets: bytes) -> list[Member]:
        """Return all members, the dead included, in those buckets whose digests are not those of `buckets`."""
        ours = self.buckets
        if ours == buckets:
            return []
        differ = {
            bucket
            for bucket in range(BUCKETS)
            if ours[bucket * BUCKET_BYTES :][:BUCKET_BYTES] != buckets[bucket * BUCKET_BYTES :][:BUCKET_BYTES]
        }
        return [member for member in self if _bucket_of(member.name) in differ]

    def _file(self, name: str, *, live: bool) -> None:
        """Put a name among the live or the gone; the last of the live takes a place that falls vacant."""
        if live:
            self._gone.pop(name, None)
            if name not in self._places:
                self._places[name] = len(self._live)
                self._live.append(name)
            return
        self._gone[name] = None
        place = self._places.pop(name, None)
        if place is not None:
            last = self._live.pop()
            if last != name:
                self._live[place] = last
                self._places[last] = place

    def _flip(self, member: Member) -> None:
        """Take a live belief into the digests, or out of them: XOR is its own inverse."""
        identity = f"{member.name} {member.epoch_unix_ms} {member.incarnation}".encode()
        digest = int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "big") & _DIGEST_MASK
        self.digest ^= digest
        self._encoded_buckets = None
        self._buckets[_bucket_of(member.name)] ^= digest


def _bucket_of(name: str) -> int:
    return zlib.crc32(name.encode()) % BUCKETS
