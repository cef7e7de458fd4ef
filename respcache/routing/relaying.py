"""Commands on one key that the owner of the key is asked to run, as they come in from a client.

They are most of what a client sends that knows nothing of owners. So there is no `Order` for each of them, but a
`Sheaf` for those of one batch that have the same owner. One that comes back without having been run becomes an order.
"""

from collections.abc import Callable, Sequence
from typing import Final

from respcache.cluster.ownership.table import Table
from respcache.commands.resolving import row_of
from respcache.commands.session import Session, Turns
from respcache.errors import Uncertain
from respcache.resp.encode import error
from respcache.routing.order import Order, Peers
from respcache.routing.redirects import Redirects
from respcache.routing.sheaf import Sheaf
from respcache.stats import Stats
from respcache.store.partition import Argv


class Relays:
    """The sheaves of one node. Order and outcome of the commands are those that orders would have."""

    def __init__(  # from the router alone
        self,
        name: str,
        table: Table,
        stats: Stats,
        peers: Peers,
        redirects: Redirects,
        clock: Callable[[], float],
        timeout_s: float,
        *,
        again: Callable[[Order], None],
    ) -> None:
        """`again` has an order tried anew; `clock` gives monotonic seconds, and answers take `timeout_s` at most."""
        self._name: Final = name
        self._table: Final = table
        self._stats: Final = stats
        self._peers: Final = peers
        self._redirects: Final = redirects
        self._clock: Final = clock
        self._timeout_s: Final = timeout_s
        self._again: Final = again
        self.routes_changed: Callable[[], None]
        """Has those orders looked at that wait for news of owners."""
        self._open: Final[dict[str, Sheaf]] = {}
        """The sheaves of the batch that is being run, by owner."""
        self._batch = -1
        """Its number."""

    def relay(self, session: Session, argv: Argv, number: int) -> Sheaf | None:
        """Ask the owner of a partition to run a command on one key; None if it has to be an order, and nothing is done.

        To be called while a batch is run, for the commands of its client.
        """
        owner, batch = self._table.primary[number], self._stats.batches
        if self._batch != batch:
            self._batch = batch
            self._open.clear()
        sheaf = self._open.get(owner)
        if (
            sheaf is None
            or sheaf.turns is not session.turns
            or sheaf.database != session.database
            or sheaf.protocol != session.protocol
            or sheaf.version != self._table.version
        ):
            sheaf = self._begin(session, owner)
            if sheaf is None:
                return None
        self._stats.forwards += 1
        self._peers.relay(owner, sheaf, number, argv)
        return sheaf

    def _begin(self, session: Session, owner: str) -> Sheaf | None:
        if owner in {"", self._name} or session.turns is None or self._redirects.wanted_by(session):
            return None
        if not self._peers.connected(owner):
            return None
        sheaf = self._open[owner] = Sheaf(
            session.turns,
            database=session.database,
            protocol=session.protocol,
            version=self._table.version,
            deadline_s=self._clock() + self._timeout_s,
        )
        return sheaf

    def returned(self, sheaf: Sheaf, answers: Sequence[tuple[int, bytes | None]]) -> None:
        """Take the owner's answers to some of a sheaf, by number; None for what was not run."""
        turns = sheaf.turns
        turns.sent -= len(answers)
        for number, wire in answers:
            if wire is None:
                self._stats.forward_errors["refused"] += 1
                self._apart(sheaf, number)
            else:
                sheaf.come(number, wire)
                turns.ended()
        if turns.may_be_sent_anew(rerouted=sheaf.version != self._table.version):
            self.routes_changed()

    def lost(self, sheaf: Sheaf, number: int) -> None:
        """Note that the link broke before an answer came."""
        sheaf.turns.sent -= 1
        self._stats.forward_errors["remote"] += 1
        if row_of(sheaf.request(number)[2]).writes:
            sheaf.come(number, error(Uncertain()))
            sheaf.turns.ended()
        else:
            self._apart(sheaf, number)

    def _apart(self, sheaf: Sheaf, number: int) -> None:
        """Make an order of a command, in its place among those of the client."""
        _, partitions, argv = sheaf.request(number)
        order = order_of(sheaf, partitions, argv, turns=sheaf.turns)
        sheaf.turns.under_way -= 1  # it counts as the order's
        order.then(lambda: sheaf.come(number, order.wire or b""))
        self._again(order)


def order_of(sheaf: Sheaf, partitions: tuple[int, ...], argv: Argv, *, turns: Turns | None = None) -> Order:
    """Make an order of a command of a sheaf; with `turns` it is one more that the client waits for."""
    return Order(
        row_of(argv),
        argv,
        database=sheaf.database,
        protocol=sheaf.protocol,
        partitions=partitions,
        deadline_s=sheaf.deadline_s,
        turns=turns,
        version=sheaf.version,
    )
