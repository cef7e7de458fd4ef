"""Orders run on the node that has their keys: answered at once, when a script has had its rests, or by a transaction.

run --> answered
 |----> a script rests --> answered when it ends
 `----> keys of other nodes are needed --> transacted (see `reach`)
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter_ns
from typing import Final, TypeVar

from respcache.commands.registry import TABLE, Command
from respcache.commands.stage import Scripts, Wandered
from respcache.engine.executor import Executor
from respcache.errors import CommandError
from respcache.reply import OK
from respcache.routing.holding import Held
from respcache.routing.internal import UNITS
from respcache.routing.order import Order
from respcache.store.keyspace import Store
from respcache.store.partition import Log
from respcache.strand import Rested
from respcache.transactions.participant import Participant
from respcache.transactions.transaction import packed
from respcache.transactions.unit import Call, Unit

T = TypeVar("T")
EXEC: Final = TABLE[b"EXEC"]
"""What a unit counts as: it is in no slow log, as in Redis."""


class Attempts:
    """Runs orders that nothing stands in the way of."""

    def __init__(
        self,
        store: Store,
        scripts: Scripts,
        participant: Participant,
        *,
        executor: Callable[[], Executor],
        held: Held,
        transact: Callable[[Order], None],
    ) -> None:
        """`held` keeps replies until effects are safe; `transact` takes an order that needs keys of other nodes."""
        self._store: Final = store
        self._scripts: Final = scripts
        self._participant: Final = participant
        self._executor: Final = executor
        self._held: Final = held
        self._transact: Final = transact

    def run(self, order: Order) -> None:
        """Run a command, or a unit."""
        if order.reach is not None:  # it has left the data of this node before
            self._transact(order)
            return
        executor = self._executor()
        if order.row in UNITS:
            unit = self._participant.unit(order)
            if unit is not None:
                apply = partial(executor.apply, unit.calls, order.partitions)
                self._attempt(
                    order, EXEC, apply, lambda found: self._answer_unit(order, unit, *found), perf_counter_ns()
                )
            return
        space, partitions = self._store.keyspace(order.database), order.partitions
        run = partial(executor.run, order.row, order.argv, space, order.protocol, partitions)
        self._attempt(order, order.row, run, order.follow, perf_counter_ns())

    def _attempt(
        self, order: Order, row: Command, run: Callable[[], T], answer: Callable[[T], None], started_ns: int
    ) -> None:
        """Run an order, which began so long ago, as a command of this row; for a peer, see whether that is slow."""
        try:
            found = run()
        except CommandError as refusal:
            self._seen(order, row, started_ns)
            order.fail(refusal)
        except Wandered:
            self._transact(order)
        except Rested:
            self._scripts.strand.then(lambda outcome: self._attempt(order, row, outcome, answer, started_ns))
        else:
            self._seen(order, row, started_ns)
            answer(found)

    def _seen(self, order: Order, row: Command, started_ns: int) -> None:
        if order.relayed:
            self._executor().slow.relayed(row, order.argv, started_ns)

    def _answer_unit(self, order: Order, unit: Unit, wires: list[bytes], logs: list[Log]) -> None:
        if order.relayed:
            wire = packed(wires)
        else:
            wire, order.wires = OK.wire, wires
        if not logs:
            order.resolve(wire)
        else:
            order.follow(self._held.hold(wire, logs, writes=any(map(_may_have_written, unit.calls, wires))))


def _may_have_written(call: Call, wire: bytes) -> bool:
    """Tell by its reply whether a call has changed anything: what is refused has not, but a script may have before."""
    return call.row.writes and (call.row.on_script is not None or not wire.startswith(b"-"))
