"""What the register asks the keeper to do, or tells it."""

from dataclasses import dataclass

from respcache.cluster.ownership.record import Record
from respcache.cluster.ownership.wire import RegisterMessage


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a message to a member."""

    peer: str
    message: RegisterMessage


@dataclass(frozen=True, slots=True)
class Learned:
    """A new version was chosen."""

    old: Record | None
    record: Record
    leap: bool
    """Whether versions in between were skipped, or the old one was of a side that lost."""


@dataclass(frozen=True, slots=True)
class Done:
    """A proposed change was decided: it was applied or had become void. The record held here includes it."""

    number: int


RegisterEffect = Tell | Learned | Done
