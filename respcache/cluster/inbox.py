"""What peers send to this node's copies: taken in order, and not before the record that it goes by is here."""

from collections.abc import Callable
from typing import Final

from respcache.cluster.effects import Differed, Effect
from respcache.cluster.holdings import Holdings
from respcache.cluster.ownership.record import Version
from respcache.cluster.ownership.table import Table
from respcache.cluster.peers import Peers
from respcache.cluster.replication.inbound import Inbound
from respcache.cluster.replication.wire import Frame, Inquiry, Part, Positions
from respcache.cluster.turns import Turns
from respcache.cluster.wire import encode


class Inbox:
    """Hands frames and inquiries to the replica."""

    def __init__(
        self,
        peers: Peers,
        holdings: Holdings,
        table: Table,
        *,
        send: Callable[[str, bytes], None],
        catch_up: Callable[[str, Version], None],
    ) -> None:
        """`send` puts a frame on the link to a peer; `catch_up` asks one for its newer record, by the version."""
        self._peers: Final = peers
        self._replica: Final = holdings.replica
        self._surplus: Final = holdings.surplus
        self._table: Final = table
        self._send: Final = send
        self._catch_up: Final = catch_up
        self._turns: Final = Turns()

    def put(self, peer: str, message: Frame | Part | Inquiry, encoded: bytes) -> None:
        """Take a message that goes by a record: at once, or when that record is here; in order either way.

        Raises DecodeError for parts that do not fit, for a frame that lacks some, and where too many messages wait.
        """
        if isinstance(message, Part):
            self._replica.gather(self._inbound(peer), message, encoded)
            return
        if isinstance(message, Frame):
            self._replica.check(self._inbound(peer), message)
        if self._turns.queue(peer, message, encoded, self._table.version):
            if self._turns.waiting(peer) == 1:
                self._catch_up(peer, message.version)
        else:
            self._take(peer, message, encoded)

    def release(self) -> None:
        """Take what was held until a record came."""
        for peer in self._turns.peers():
            for message, encoded in self._turns.release(peer, self._table.version):
                self._take(peer, message, encoded)
            wanted = self._turns.wanted(peer)
            if wanted is not None:
                self._catch_up(peer, wanted)

    def news(self) -> list[Effect]:
        """Return what has been found out about this node's copies since the last call."""
        replica = self._replica
        if not (replica.orphans or replica.differing):  # nearly always, and this is asked with every message
            return []
        orphans, replica.orphans = replica.orphans, []
        differing, replica.differing = replica.differing, []
        news: list[Effect] = [*self._surplus.replaced(orphans)]
        return [*news, Differed(tuple(differing))] if differing else news

    def forget(self, peer: str) -> None:
        """Lose what waits of a peer: the link broke, and all of it will come again."""
        self._turns.forget(peer)
        self._replica.unlinked(peer)

    def _take(self, peer: str, message: Frame | Inquiry, encoded: bytes) -> None:
        if isinstance(message, Frame):
            self._replica.receive(self._inbound(peer), message, encoded)
            return
        position = self._replica.position
        answer = ((partition, epoch, position(partition, epoch)) for partition, epoch in message.partitions)
        self._send(peer, encode(Positions(self._table.version, tuple(answer))))

    def _inbound(self, peer: str) -> Inbound:
        hello = self._peers.hello(peer)
        assert hello is not None
        return self._replica.inbound((peer, hello.run))
