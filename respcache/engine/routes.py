"""The ways that commands take which cannot run at once on the data of this node."""

from typing import Protocol, TypeAlias

from respcache.commands.registry import Command
from respcache.commands.session import Session
from respcache.pending import Pending
from respcache.store.partition import Argv, Log, Partition
from respcache.strand import Hold

Request: TypeAlias = tuple[int, list[int], Argv]
"""What a peer asks for: the number that the answer is to have, the partitions, argv."""
Runs: TypeAlias = list[tuple[int, bool | None]]
"""Where among the replies of a batch a run of like ones begins, from the first on that depends on effects which are not
safe yet; and whether they are of writes, or None if each is as good as it is, such as that to PING."""


class Router(Protocol):
    """Where commands go that cannot run here at once."""

    def relay(self, session: Session, row: Command, argv: Argv, partition: Partition) -> bytes | Pending:
        """Run a command of a batch on one key whose partition this node does not serve now."""

    def elsewhere(self, session: Session, row: Command, argv: Argv, partition: Partition) -> bytes | Pending:
        """Run a command on one key whose partition this node does not serve now."""

    def several(self, session: Session, row: Command, argv: Argv) -> bytes | Pending:
        """Run a command on several keys, or on a whole database."""

    def lapsed(self) -> None:
        """Serve nothing more: the lease of this node has ended."""

    @property
    def alone(self) -> Hold:
        """What stands still for scripts on the data of this node, while they rest."""

    def owns_all(self) -> bool:
        """Tell whether this node is the primary of all partitions."""

    def hold(self, wire: bytes, logs: list[Log], *, writes: bool) -> bytes | Pending:
        """Keep the reply of a command, which may be one that writes, until the effects in `logs` are safe."""

    def hold_all(self, replies: list[bytes | Pending], logs: list[Log], runs: Runs) -> None:
        """Keep all replies until the effects in `logs` are safe."""
