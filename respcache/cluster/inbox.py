"""What peers send to this node's copies: taken in order, and not before the record that it goes by is here."""

from collections.abc import Callable
from typing import Final

from respcache.cluster.ownership.table import Table
from respcache.cluster.peers import Peers
from respcache.cluster.replication.replica import Inbound, Replica
from respcache.cluster.replication.wire import Frame, Inquiry, Positions
from respcache.cluster.turns import Turns


class Inbox:
    """Hands frames and inquiries to the replica."""

    def __init__(
        self,
        peers: Peers,
        replica: Replica,
        table: Table,
        *,
        answer: Callable[[str, Positions], None],
        catch_up: Callable[[str], None],
    ) -> None:
        """`answer` sends to a peer; `catch_up` asks one for its newer record."""
        self._peers: Final = peers
        self._replica: Final = replica
        self._table: Final = table
        self._answer: Final = answer
        self._catch_up: Final = catch_up
        self._turns: Final = Turns()

    def put(self, peer: str, message: Frame | Inquiry, frame_bytes: int) -> None:
        """Take a message that goes by a record: at once, or when that record is here; in order either way."""
        if self._turns.queue(peer, message, frame_bytes, self._table.version):
            if self._turns.waiting(peer) == 1:
                self._catch_up(peer)
        else:
            self._take(peer, message, frame_bytes)

    def release(self) -> None:
        """Take what was held until a record came."""
        for peer in self._turns.peers():
            for message, frame_bytes in self._turns.release(peer, self._table.version):
                self._take(peer, message, frame_bytes)
            if self._turns.waiting(peer):
                self._catch_up(peer)

    def forget(self, peer: str) -> None:
        """Lose what waits of a peer: the link broke, and all of it will come again."""
        self._turns.forget(peer)

    def _take(self, peer: str, message: Frame | Inquiry, frame_bytes: int) -> None:
        if isinstance(message, Frame):
            self._replica.receive(self._inbound(peer), message, frame_bytes)
            return
        position = self._replica.position
        answer = ((partition, epoch, position(partition, epoch)) for partition, epoch in message.partitions)
        self._answer(peer, Positions(self._table.version, tuple(answer)))

    def _inbound(self, peer: str) -> Inbound:
        hello = self._peers.hello(peer)
        assert hello is not None
        return self._replica.inbound((peer, hello.run))
