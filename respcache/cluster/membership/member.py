"""Who a member is, what a node may believe about it, and which of two beliefs wins.

Pure values: nothing here knows packets, clocks or timers.
"""

import enum
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec

from respcache.errors import ConfigError

Address = tuple[str, int]
"""Host and cluster port; UDP and TCP share the number."""

Precedence = tuple[int, int, int]
"""(run epoch, incarnation, rank of the state): of two beliefs about a name the greater one wins."""

META_BYTES_MAX: Final = 512
"""A member's metadata, encoded: it has to fit into one datagram beside other rumours."""

_Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
_Text = Annotated[str, msgspec.Meta(max_length=128)]


class MemberState(enum.IntEnum):
    """What is believed of a member. The value is the rank: at the same incarnation the greater one wins."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


class Meta(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a member tells of itself, in at most META_BYTES_MAX bytes on the wire.

    Fields travel by position: new ones go to the end and need a default, so
    that nodes of two versions understand each other.
    """

    client_port: _Port
    """TCP port for Redis clients."""
    http_port: _Port
    """TCP port of metrics and health, 0 when there is none."""
    label: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """The cluster's name; nodes of different labels never speak to each other."""
    zone: _Text = ""
    """Failure domain; copies of a key prefer distinct zones."""
    rack: _Text = ""
    """Failure domain inside a zone."""
    weight: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 1.0
    """Share of the data in proportion to the other members' weights."""
    version: _Text = ""
    """Version of the program, for people."""
    features: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=64)] = ()
    """Names of optional abilities that the others may rely on."""
    databases: Annotated[int, msgspec.Meta(ge=0, le=65_536)] = 0
    """Databases that SELECT reaches, which must be as many on all nodes; 0 where nothing is said of it."""
    guarded: bool = False
    """Whether clients have to give a password."""
    lease_ms: Annotated[int, msgspec.Meta(ge=0, le=2**32)] = 0
    """For how long it may serve on a lease, which must be the same on all nodes; 0 where nothing is said of it."""
    asynchronous: bool = False
    """Whether it answers writes before its copies have them."""
    min_in_sync: Annotated[int, msgspec.Meta(ge=-1, le=255)] = -1
    """Copies in sync below which it refuses writes, 0 for what is usual; -1 where nothing is said of it."""
    unclean_after_s: Annotated[float, msgspec.Meta(ge=-1)] = -1
    """For how long it would have keys wait for the last of their copies, infinite for ever; -1 where that is unsaid."""


@dataclass(frozen=True, slots=True)
class Member:
    """One node as this node sees it. A change makes a new Member; the name stays."""

    name: str
    epoch_unix_ms: int
    """When this run of the node started; a restart is a higher epoch and beats anything said of the older run."""
    incarnation: int
    """Raised by the member alone, to refute a rumour or to publish new metadata; starts at 0 in each epoch."""
    state: MemberState
    address: Address
    meta: Meta
    since_s: float
    """Monotonic time at which this node began to hold this state."""
    encoded_meta: bytes = field(default=b"", repr=False)
    """The metadata as the member wrote it, so that fields of a later version survive being passed on."""

    @property
    def precedence(self) -> Precedence:
        """The place of this belief in the total order of beliefs about the name."""
        return (self.epoch_unix_ms, self.incarnation, self.state)

    @property
    def live(self) -> bool:
        """Alive or merely suspect: it counts as a member and is probed."""
        return self.state <= MemberState.SUSPECT


_meta_encoder: Final = msgspec.msgpack.Encoder()


def encode_meta(meta: Meta) -> bytes:
    """Return the wire form. Raises ConfigError when it exceeds META_BYTES_MAX."""
    encoded = _meta_encoder.encode(meta)
    if len(encoded) > META_BYTES_MAX:
        raise ConfigError(f"the metadata of a node takes {len(encoded)} bytes, above the limit of {META_BYTES_MAX}")
    return encoded
