"""A command on its way to where it can run."""

from collections.abc import Callable, Iterable
from typing import Protocol

from respcache.commands.registry import Command
from respcache.commands.session import Turns
from respcache.engine.reach import Reach
from respcache.errors import CommandError
from respcache.pending import Pending
from respcache.resp.encode import error
from respcache.routing.sheaf import Sheaf
from respcache.store.partition import Argv
from respcache.transactions.unit import Unit


class Order(Pending):
    """One command, or one part of one, with all that another node needs to run it.

            .---------------- routes changed ----------------.
            v                                                |
    new --dispatch--> run here ------------> resolved     parked
               |----> asked of the owner --> resolved        ^ |
               |              `-- not served there ----------| `--deadline--> refused
               |              `-- link lost: a read ---------'
               |              `-- link lost: a write --> uncertain
               `----> split by owner, each part an order ----> merged
    """

    __slots__ = (
        "argv",
        "database",
        "deadline_s",
        "once",
        "owner",
        "partitions",
        "protocol",
        "reach",
        "refused",
        "relayed",
        "returned",
        "row",
        "searched",
        "turns",
        "unit",
        "version",
        "wires",
        "writer",
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
        turns: Turns | None = None,
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
        self.owner = ""
        """The node that it was sent to last, or, of a commit, has to be sent to."""
        self.version = version
        """The version of the record that the sender went by: the peer, or this node."""
        self.returned = False
        """Whether it has come back from an owner that did not run it."""
        self.turns = turns
        """The client of this node that it is for, if it is to keep its place among the commands of that."""
        if turns is not None:
            turns.under_way += 1
        self.unit: Unit | None = None
        """What is to be run, where that is no single command; `argv` says it once it goes to another node."""
        self.wires: list[bytes] | None = None
        """The replies of a unit, one by one, if it was run by the node that has the client; `wire` says OK then."""
        self.reach: Reach | None = None
        """What it comes to besides what it names, once it has left the data of its node."""
        self.searched = False
        """Whether the other nodes have been asked for its script."""
        self.writer: tuple[str, int] | None = None
        """Node and number of the client that it is for, if that does not want to hear of its own changes."""
        self.refused = False
        """Resolved by this: certainly not run."""

    def resolve(self, wire: bytes) -> None:
        """Give the reply, and the client's next command its turn if that waits for this one."""
        first = self.wire is None
        super().resolve(wire)
        if first and self.turns is not None:
            self.turns.ended()

    def waits_its_turn(self, begin: Callable[[], None]) -> bool:
        """Tell whether its client's earlier commands come first; `begin` is called once they are done."""
        return self.turns is not None and self.turns.waits(begin)

    def leave(self, version: tuple[int, int]) -> None:
        """Go to another node, by the record of this version."""
        if self.turns is not None:
            self.turns.sent += 1
            self.version = version

    def come_back(self, version: tuple[int, int]) -> bool:
        """Return with an answer, or without, by which time `version` of the record is known.

        True if others that came back before may be sent anew now.
        """
        turns = self.turns
        if turns is None:
            return False
        turns.sent -= 1
        return turns.may_be_sent_anew(rerouted=self.version != version)

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

    def relay(self, node: str, sheaf: Sheaf, partition: int, argv: Argv, /) -> None:
        """Send one more command of a sheaf to a connected node; `Relays` hears of the answer, or that there is none."""

    def under_way(self) -> Iterable[tuple[str, Order | Sheaf]]:
        """List what nodes were asked and have not answered, by node."""

    def client_address(self, node: str) -> tuple[str, int]:
        """Give host and RESP port of a member."""

    def lapsed(self) -> None:
        """Take note that this node's lease has ended, before the timer says so."""

    def acknowledge(self, order: "Order") -> None:
        """Answer how many copies have what was written to partitions of this node, once enough have, or in time."""

    def withhold(self, withheld: bool, /) -> None:  # noqa: FBT001 # the one thing that there is to say
        """Keep effects from the copies from now on, in order, or tell them again."""

    def untold_bytes(self) -> int:
        """Tell how much the effects are that copies are still to be told of."""

    def wake(self) -> None:
        """See to it that frames are sent at the end of this turn of the event loop, or soon after."""
