"""What links need of the node whose links they are."""

from collections.abc import Callable
from typing import Protocol

from respcache.net.messages import Ask, Reply
from respcache.routing.order import Order
from respcache.routing.sheaf import Sheaf


class Node(Protocol):
    """Whoever owns the links and answers for what comes in over them."""

    def run_of(self, name: str) -> int:
        """The latest run of a peer that is known of; 0 if none is."""

    def link_up(self, name: str) -> None:
        """A link stands; it takes the place of an earlier one to the same node."""

    def link_down(self, name: str) -> None:
        """The link is gone."""

    def keeper_frame(self, name: str, body: bytes) -> None:
        """A peer's keeper has sent a message. Raises ProtocolError."""

    def pubsub_frame(self, name: str, body: bytes) -> None:
        """A peer's exchange has sent a message. Raises ProtocolError."""

    def tracking_frame(self, name: str, body: bytes) -> None:
        """A peer has sent a message about keys that clients cache. Raises ProtocolError."""

    def functions_frame(self, name: str, body: bytes) -> None:
        """A peer has sent a message about functions. Raises ProtocolError."""

    def asked(self, name: str, ask: Ask, reply: Callable[[int, bytes | None], None]) -> int:
        """A peer wants commands run; `reply(number, wire)` is to be called once for each, with None for a refusal.

        Returns how many have been taken in, at least one: the others are to come again, when there is room for more
        answers.
        """

    def answered(self, answers: list[tuple[Order, bytes | None]]) -> None:
        """A peer has answered orders, some with a refusal."""

    def returned(self, sheaf: Sheaf, answers: list[Reply]) -> None:
        """A peer has answered commands of a sheaf, by number."""

    def lost(self, order: Order) -> None:
        """The link broke before the answer came."""

    def lost_of(self, sheaf: Sheaf, number: int) -> None:
        """It broke before the answer to a command of a sheaf came."""

    def unreachable(self, name: str) -> None:
        """A living node has refused a connection."""
