"""One life of one node of a simulation, and what the world does to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from respcache.cluster.effects import Effect
from respcache.cluster.keeper import Keeper
from respcache.cluster.ownership.record import Node, Record


class Life(Protocol):
    """What a node is made of: a keeper with a plain store (`model`), or all that a real node has behind its sockets."""

    @property
    def keeper(self) -> Keeper:
        """Its keeper of partitions."""

    def perform(self, effects: list[Effect]) -> None:
        """Carry out what the keeper wants."""

    def member_up(self, node: Node) -> None:
        """Hear that a node lives, and answers."""

    def member_suspect(self, name: str, run: int) -> None:
        """Hear that a node does not answer."""

    def member_down(self, name: str, run: int, *, left: bool) -> None:
        """Hear that a node is dead, or has left."""

    def link_up(self, peer: str) -> None:
        """Have a new link."""

    def link_down(self, peer: str) -> None:
        """Lose a link."""

    def receive(self, peer: str, frame: bytes) -> None:
        """Take in what came over a link."""

    def go_on(self) -> None:
        """Let the timers go off that were due while the node was paused."""

    def end(self) -> None:
        """Die."""

    def contents(self, partition: int) -> Mapping[tuple[int, bytes], object]:
        """Give what is stored of a partition, by key."""


@dataclass(eq=False)
class SimNode:
    """One life of one node, as the world sees it."""

    node: Node
    origin_s: float
    """What its clock showed when the world began."""
    rate: float
    """How fast its clock runs."""
    alive: bool = True
    paused: bool = False
    slept_s: float = 0.0
    """For how long its clock has stood still, all told."""
    drained: bool = False
    leaving: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)
    """What arrived while it was paused."""
    life: Life = field(init=False)

    @property
    def name(self) -> str:
        """Its name."""
        return self.node.name

    @property
    def keeper(self) -> Keeper:
        """Its keeper of partitions."""
        return self.life.keeper

    def records(self) -> list[Record]:
        """Give the records that are valid as far as it knows, and that may become so by what it has accepted."""
        register = self.keeper._register
        return [record for record in (register.record, register._acceptor.accepted) if record is not None]
