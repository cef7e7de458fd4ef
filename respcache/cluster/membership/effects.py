"""What the membership machine asks of its driver, and what it tells everybody else."""

from dataclasses import dataclass

from respcache.cluster.membership.member import Address, Member


@dataclass(frozen=True, slots=True)
class Send:
    """Send one datagram; its loss needs no report."""

    address: Address
    payload: bytes


@dataclass(frozen=True, slots=True)
class SendStream:
    """Open a connection, send one message, and report its reply to `stream_reply`, or else to `stream_failed`."""

    address: Address
    payload: bytes


@dataclass(frozen=True, slots=True)
class Joined:
    """A member entered the view: unknown, dead or gone before, or of an older run (which died first)."""

    member: Member


@dataclass(frozen=True, slots=True)
class Suspected:
    """A live member left a probe unanswered; it is still a member."""

    member: Member


@dataclass(frozen=True, slots=True)
class Recovered:
    """A suspect proved to be alive."""

    member: Member


@dataclass(frozen=True, slots=True)
class Died:
    """A live member is held dead: its suspicion ran out here or elsewhere, or it started anew."""

    member: Member


@dataclass(frozen=True, slots=True)
class Left:
    """A live member said good-bye."""

    member: Member


@dataclass(frozen=True, slots=True)
class Updated:
    """A live member changed its metadata or its address."""

    member: Member


@dataclass(frozen=True, slots=True)
class NameConflict:
    """This node's name belongs to another live node at `address`; this node has to give up."""

    name: str
    address: Address


@dataclass(frozen=True, slots=True)
class PartitionSuspected:
    """More than a third of the members are suspect at once: rather the network than all of them."""

    suspects: tuple[str, ...]
    members: int


Event = Joined | Suspected | Recovered | Died | Left | Updated | NameConflict | PartitionSuspected
"""News for the rest of the node."""

Effect = Send | SendStream | Event
"""All that a call of the machine may ask for."""
