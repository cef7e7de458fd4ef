"""Orders that no node can run for now, in the order of their coming."""

from collections.abc import Iterator

from respcache.commands.session import Turns
from respcache.routing.order import Order


class Parking:
    """What one node's router looks at again whenever something has changed."""

    def __init__(self) -> None:
        self._orders: list[Order] = []

    def __iter__(self) -> Iterator[Order]:
        """Go through all of them."""
        return iter(self._orders)

    def add(self, order: Order) -> None:
        """Take an order in, behind the others."""
        self._orders.append(order)

    def leave(self) -> list[Order]:
        """Let those go that may be tried again: what has come back waits until all of its client's has."""
        complete: dict[Turns, bool] = {}
        leaving: list[Order] = []
        staying: list[Order] = []
        for order in self._orders:
            turns = order.turns
            if turns is None or not order.returned:
                leaving.append(order)
                continue
            if turns not in complete:
                complete[turns], turns.passed_over = not turns.sent, bool(turns.sent)
            (leaving if complete[turns] else staying).append(order)
        self._orders = staying
        return leaving

    def late(self, now_s: float) -> list[Order]:
        """Let those go whose deadline has passed."""
        late = [order for order in self._orders if order.deadline_s <= now_s]
        if late:
            self._orders = [order for order in self._orders if order.deadline_s > now_s]
        return late
