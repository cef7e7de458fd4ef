"""What goes with a node that leaves, in figures and in words: before, to refuse it, and after."""

from dataclasses import dataclass
from typing import Final

from respcache.cluster.health import Health
from respcache.store.keyspace import Store

ANYHOW: Final = "CLUSTER LEAVE FORCE (`respcache leave --force`) has it leave all the same"


@dataclass(frozen=True, slots=True)
class Losses:
    """What nobody has any more, or not as it should be, as far as the node that leaves can know."""

    keys: int = 0
    """Keys of which no node in reach has a copy that is known to be whole."""
    partitions: int = 0
    """Partitions of which no node in reach has such a copy, be there keys or not."""
    at_most: bool = False
    """Whether there are copies in the making: some of these may be whole, and then less is lost."""
    parting_keys: int = 0
    """Keys that only nodes have which leave as well: they go with the last of these, unless that hands them over."""
    heirs: bool = False
    """Whether anybody stays to be given them."""
    paired: int = 0
    """Partitions that have one copy from now on, until others are made."""
    owned: bool = True
    """Whether somebody can be made the owner of what has copies."""

    @classmethod
    def of(cls, health: Health | None, store: Store) -> "Losses":
        """Count; a node that belongs to no cluster has nothing to lose."""
        if health is None:
            return cls()
        alone = health.stake.alone
        return cls(
            store.count(alone),
            len(alone),
            at_most=health.stake.learning,
            parting_keys=store.count(health.stake.parting),
            heirs=health.stake.heirs,
            paired=health.stake.paired,
            owned=health.decides,
        )

    @property
    def leaves_keys(self) -> bool:
        """Whether keys are gone with this node, or may be with the last of those that leave."""
        return self.keys + self.parting_keys > 0

    def __str__(self) -> str:
        parts = []
        if self.keys:
            are_gone = "1 key is gone" if self.keys == 1 else f"{self.keys} keys are gone"
            most = "up to " if self.at_most else ""
            parts.append(f"{most}{are_gone}: of {self.partitions} partitions no other node in reach has a copy")
        elif self.partitions:
            parts.append(f"no other node in reach has a copy of {self.partitions} partitions, which are empty")
        if self.parting_keys:
            have = "1 key has" if self.parting_keys == 1 else f"{self.parting_keys} keys have"
            lost = "gone unless these hand them over" if self.heirs else "gone with the last of these"
            parts.append(f"{have} copies only on nodes that leave as well, and will be {lost}")
        if self.paired:
            parts.append(f"{self.paired} partitions have one copy for now, until others are made")
        if self.paired and not self.owned:
            parts.append("nobody owns them before a majority of the voters is back, or CLUSTER FAILOVER TAKEOVER")
        return "; ".join(parts) or "all keys have copies elsewhere"


def refusal(health: Health | None, store: Store) -> str | None:
    """Say why a node should not leave: its keys could not be handed over. None if they can, or it has none."""
    if health is None or not (held := store.count(health.stake.held)):
        return None
    gone = store.count(health.stake.alone)
    if not health.decides:
        return (
            "this node reaches no majority of the voters, so nobody can take its keys over: no node in reach has a "
            f"copy of {gone} of its {held} keys, and they would be gone. If the other nodes are lost for good, have "
            f"this side go on first, with CLUSTER FAILOVER TAKEOVER; {ANYHOW}"
        )
    if health.stake.heirs:
        return None
    gone += store.count(health.stake.parting)
    return f"no other node is there to take its keys over: {gone} keys would be gone. {ANYHOW}"
