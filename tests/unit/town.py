"""Nodes on one street, and clients that wait for keys."""

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.session import Session
from respcache.pending import Pending
from respcache.resp.encode import encode
from unit.neighbours import NAMES, Street, key_of

A, B, C = (key_of(name) for name in NAMES)


def popped(key: bytes, element: bytes) -> bytes:
    """Write the reply of BLPOP."""
    return encode([key, element], 2)


def there(*replies: Pending) -> bool:
    """Tell whether any of them has come."""
    return any(reply.wire is not None for reply in replies)


class Town(Street):
    """Nodes, and clients that wait."""

    def wait(self, name: str, *words: bytes, session: Session | None = None) -> Pending:
        """Have a client of a node make a call that is not answered at once."""
        session = session or self.client(name)
        [reply] = self.nodes[name].batch(session, words)
        self.settle()
        assert isinstance(reply, Pending)
        return reply

    def blocked(self, name: str, *words: bytes) -> tuple[Session, Pending]:
        """Have a client wait for a key."""
        session = self.client(name)
        reply = self.wait(name, *words, session=session)
        assert not there(reply)
        assert session.is_blocked
        return session, reply

    def move(self, key: bytes, owner: str) -> None:
        """Give the partition of a key to another node, which all nodes hear of."""
        number = partition_of(key)
        before = next(iter(self.nodes.values())).table.primary[number]
        for node in self.nodes.values():
            node.table.version = (1, node.table.version[1] + 1)
            node.table.primary[number] = owner
        self.nodes[before].locks.close(number)
        self.nodes[owner].locks.open(number, None)
        for node in self.nodes.values():
            node.router.rerouted()

    def idle(self) -> bool:
        """Tell whether no node remembers anybody who waits, or keeps anything locked."""
        return all(
            not node.router.tickets and not node.router._desk.waits and not node.locks._holders
            for node in self.nodes.values()
        )
