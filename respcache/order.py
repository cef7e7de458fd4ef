"""A command on its way to where it can run."""

from typing import Protocol

from respcache.commands.registry import Command
from respcache.errors import CommandError
from respcache.pending import Pending
from respcache.resp.encode import error
from respcache.store.partition import Argv
from respcache.unit import Unit


class Order(Pending):
    """One command, or one part of one, with all that another node needs to run it."""

    __slots__ = (
        "argv",
        "database",
        "deadline_s",
        "once",
        "partitions",
        "protocol",
        "refused",
        "relayed",
        "row",
        "searched",
        "unit",
        "version",
        "wires",
    )

    def __init__(  # noqa: PLR0913 # all by name
        self,
        row: Command,
        argv: Argv,
        *,
        database: int,
        protocol: int,
        partitions: tuple[int, ...],
        deadline_s: float,
        relayed: bool = False,
        once: bool = False,
        version: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.row = row
        self.argv = argv
        self.database = database
        self.protocol = protocol
        self.partitions = partitions
        """All partitions that it touches, at least one, ascending."""
        self.deadline_s = deadline_s
        """Monotonic seconds after which it need not be run any more."""
        self.relayed = relayed
        """Whether it came from a peer: it runs here, or goes back."""
        self.once = once
        """Whether it goes back to whoever gave it, rather than be tried again elsewhere."""
        self.version = version
        """The version of the record that the peer went by."""
        self.unit: Unit | None = None
        """What is to be run, where that is no single command; `argv` says it once it goes to another node."""
        self.wires: list[bytes] | None = None
        """The replies of a unit, one by one, if it was run by the node that has the client; `wire` says OK then."""
        self.searched = False
        """Whether the other nodes have been asked for its script."""
        self.refused = False
        """Resolved by this: certainly not run."""

    def refuse(self) -> None:
        """Send it back."""
        self.refused = True
        self.resolve(b"")

    def fail(self, refusal: CommandError) -> None:
        """Answer with an error."""
        self.resolve(error(refusal))


class Peers(Protocol):
    """The links to the other nodes."""

    def connected(self, node: str) -> bool:
        """Tell whether a link stands."""

    def ask(self, node: str, order: Order) -> None:
        """Send an order to a connected node; `Router.answered`, or `Router.lost`, is called once, later."""

    def client_address(self, node: str) -> tuple[str, int]:
        """Give host and RESP port of a member."""

    def lapsed(self) -> None:
        """Take note that this node's lease has ended, before the timer says so."""

    def acknowledge(self, order: "Order") -> None:
        """Answer how many copies have what was written to partitions of this node, once enough have, or in time."""

    def wake(self) -> None:
        """See to it that frames are sent at the end of this turn of the event loop."""
