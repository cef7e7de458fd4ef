"""Partitions on their way from this node to another primary."""

from typing import Final

HANDOVERS_MAX: Final = 64
"""Partitions frozen at a time. Their commands wait for about three round trips."""


class Handovers:
    """Which partitions should move, and how far each of them is.

    served --want--> wanted --freeze--> frozen --all acked: proposed--> moving --decided--> forgotten
       ^---settle------'-----settle-------'----------refused--------------'
    """

    def __init__(self) -> None:
        self._wanted: dict[int, None] = {}
        self._frozen: dict[int, int | None] = {}
        """Frozen partitions, and the revision at which their move was proposed, if it was."""
        self.claims: dict[int, str] = {}
        """Nodes that want to be the primary, by partition, wherever the ring would have that."""
        self.kept: set[int] = set()
        """Partitions that this node has claimed itself: it does not move them on. Until members come,
        go or start anew."""

    def __bool__(self) -> bool:
        """Whether any partition is frozen."""
        return bool(self._frozen)

    def __contains__(self, partition: int) -> bool:
        """Whether a partition is frozen: it is not served, and this node still is its primary."""
        return partition in self._frozen

    def want(self, partition: int) -> None:
        """Have a partition move as soon as it is its turn."""
        if partition not in self._frozen:
            self._wanted[partition] = None

    def settle(self, partition: int) -> bool:
        """Have a partition stay, unless its move is proposed; return whether it was frozen, and is to be served."""
        self._wanted.pop(partition, None)
        if partition in self._frozen and self._frozen[partition] is None:
            del self._frozen[partition]
            return True
        return False

    def freeze(self) -> list[int]:
        """Take the next ones, within the limit: they are to be served no more."""
        taken = list(self._wanted)[: max(0, HANDOVERS_MAX - len(self._frozen))]
        for partition in taken:
            del self._wanted[partition]
            self._frozen[partition] = None
        return taken

    def unproposed(self) -> list[int]:
        """List those that are frozen and wait for acks."""
        return [partition for partition, revision in self._frozen.items() if revision is None]

    def proposed(self, partition: int, revision: int) -> None:
        """Note that a move was proposed."""
        self._frozen[partition] = revision

    def decided(self, partition: int, revision: int) -> bool:
        """Nothing came of a move, if the partition is still here: return whether it is to be served again."""
        if self._frozen.get(partition) != revision:
            return False
        del self._frozen[partition]
        return True

    def forget(self, partition: int) -> None:
        """Let go of a partition that this node does not lead any more."""
        self._wanted.pop(partition, None)
        self._frozen.pop(partition, None)
        self.claims.pop(partition, None)
        self.kept.discard(partition)

    def ring_changed(self) -> None:
        """Let the ring say again who the primaries are to be."""
        self.claims.clear()
        self.kept.clear()
