"""Planted bugs, which the checkers must catch. Each makes a node that differs from the real one in a single thing."""

import random
from collections.abc import Callable
from typing import Final

from respcache.cluster.config import KeeperConfig
from respcache.cluster.replication.log import Gate
from respcache.commands.registry import lookup
from respcache.errors import TryAgain
from respcache.resp.encode import error
from respcache.routing.internal import BLOCK
from respcache.routing.order import Order
from respcache.store.lists import List
from respcache.store.partition import Argv, Log
from respcache.transactions.participant import Participant
from respcache.waiting.tickets import Ticket, Tickets
from simulation.commands.node import CommandNode, Limits, Link
from simulation.commands.storms import Make
from simulation.ownership.life import SimNode
from simulation.ownership.world import World

EVERY: Final = 7
"""A bug that is there now and then is there every so many times."""


class UnlocksAtOnce(Participant):
    """Releases the locks of a transaction before its commits."""

    def lock(self, order: Order) -> bool:
        """Lock, read, and unlock."""
        locked = super().lock(order)
        self._locks.release(order.partitions)
        return locked

    def commit(self, order: Order) -> list[Log] | None:
        """Write as if the partitions were still locked."""
        self._locks.lock(order.argv[1], order.partitions)
        return super().commit(order)


class TellsTooEarly(Participant):
    """Lets a transaction be answered before what it wrote, and what it read, is in sync."""

    def commit(self, order: Order) -> list[Log] | None:
        """Write, and wait for nobody."""
        return None if super().commit(order) is None else []


class TakesTwice(Tickets):
    """Takes another element for whoever has got one at once."""

    def run(self, order: Order) -> bool:
        """Run an order."""
        done = super().run(order)
        if done and order.row is BLOCK and order.argv[1] not in self._tickets:
            self.pop_or_push([b"LPOP", order.argv[5]], order.partitions)
        return done

    def pop_or_push(self, argv: Argv, partitions: tuple[int, ...]) -> None:
        """Run a command that nobody has asked for."""
        row = lookup(argv[0])
        assert row is not None
        self._executor().run(row, argv, self._store.keyspace(0), 2, partitions)


class GivesTwice(TakesTwice):
    """Leaves an element where it is that somebody has got."""

    def run(self, order: Order) -> bool:
        """Run an order."""
        return Tickets.run(self, order)

    def _take(self, ticket: Ticket, order: Order) -> None:
        key = ticket.called or b""
        value = self._store.keyspace(0).at(key).values.get(key)
        element = value.at(0) if isinstance(value, List) else b""
        super()._take(ticket, order)
        if element and not ticket.present and not order.refused:
            self.pop_or_push([b"LPUSH", key, element], ticket.locked)


class ServesTheLast(Tickets):
    """Sorts those who wait the wrong way round."""

    def run(self, order: Order) -> bool:
        """Run an order; and whoever came last is the first."""
        done = super().run(order)
        for queue in self._locks.room._queues.values():
            queue.sort(key=lambda waiter: -waiter.arrived_s)
        return done


class HoldsNothingBehind(CommandNode):
    """Answers what stands behind a command that has waited without waiting for the copies."""

    _is_behind = False

    def go_on_behind(self, run: Callable[[], None]) -> None:
        """Run what stands behind."""
        self._is_behind = True
        run()
        self._is_behind = False

    def gate(self, logs: list[Log]) -> Gate | None:
        """Give what replies wait for, but for those."""
        return None if self._is_behind else super().gate(logs)


class SaysTryAgain(CommandNode):
    """Tells another node now and then that a command was not executed that was."""

    def _reply(self, link: Link, number: int, wire: bytes | None) -> None:
        """Answer a request."""
        denied = wire is not None and not wire.startswith((b"-", b"*")) and number % EVERY == 0
        super()._reply(link, number, error(TryAgain()) if denied else wire)


class SleepsUnawares(CommandNode):
    """Does not see that its machine was asleep."""

    def slept(self) -> bool:
        """See nothing."""
        return False


def with_participant(kind: type[Participant]) -> Make:
    """Make nodes whose transactions have a bug."""

    def plant(world: World, sim: SimNode, config: KeeperConfig, dice: random.Random, limits: Limits) -> CommandNode:
        node = CommandNode(world, sim, config, dice, limits)
        node.router._participant.__class__ = kind
        return node

    return plant


def with_tickets(kind: type[Tickets]) -> Make:
    """Make nodes whose waiting commands have a bug."""

    def plant(world: World, sim: SimNode, config: KeeperConfig, dice: random.Random, limits: Limits) -> CommandNode:
        node = CommandNode(world, sim, config, dice, limits)
        node.router.tickets.__class__ = kind
        return node

    return plant
