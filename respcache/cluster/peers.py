"""Who lives, who is linked, and since when the others are gone: what one node knows beyond the record."""

import math
from dataclasses import dataclass

from respcache.cluster.config import KeeperConfig
from respcache.cluster.ownership.planner import Outlook, unowned
from respcache.cluster.ownership.record import Life, Node, Record, Standing
from respcache.cluster.wire import Hello


@dataclass(slots=True)
class Peer:
    """Another node by name: its last known life, and the link to it."""

    node: Node | None = None
    alive: bool = False
    left: bool = False
    since_s: float = 0.0
    """When it was last found to be up, or down."""
    connected: bool = False
    hello: Hello | None = None
    """What it said on the present link."""


class Peers:
    """All other nodes, as membership and links show them."""

    def __init__(self, me: Node, config: KeeperConfig) -> None:
        self._me, self._config = me, config
        self._peers: dict[str, Peer] = {}
        self._record: Record | None = None
        self._unseen_since: dict[Life, float] = {}
        self._unowned_since: dict[int, float] = {}
        self._settling_since = math.inf

    def up(self, now: float, node: Node) -> None:
        """Take note of a life; of an earlier one than is known, none is taken."""
        peer = self._peer(node.name)
        if peer.node is not None and (peer.node.run > node.run or (peer.node == node and peer.alive)):
            return
        if not peer.alive or peer.node is None or peer.node.run != node.run:
            peer.since_s = self._settling_since = now
        peer.node, peer.alive, peer.left = node, True, False
        self._seen(node.name, node.run)

    def down(self, now: float, name: str, run: int, *, left: bool) -> None:
        """Take note of the end of a life."""
        peer = self._peer(name)
        if peer.node is not None and peer.node.run > run:
            return
        if peer.node is None or peer.node.run != run:
            peer.node = Node(name, run)
        if peer.alive or not peer.since_s:
            peer.since_s = now
        peer.alive, peer.left = False, peer.left or left
        self._seen(name, run)

    def connected(self, name: str) -> None:
        """A new link: nothing has been said on it."""
        peer = self._peer(name)
        peer.connected, peer.hello = True, None

    def disconnected(self, name: str) -> Hello | None:
        """The link is gone. Return what was said at its beginning."""
        peer = self._peer(name)
        hello, peer.hello, peer.connected = peer.hello, None, False
        return hello

    def greeted(self, name: str, hello: Hello) -> None:
        """Take note of who is at the other end."""
        self._peer(name).hello = hello

    def study(self, now: float, record: Record) -> None:
        """Take over a record: it tells peers of this cluster from others, and names members not seen yet."""
        self._record = record
        self._unseen_since = {
            node.life: self._unseen_since.get(node.life, now)
            for node in record.nodes.values()
            if node.name != self._me.name and not self._knows(node)
        }

    def hello(self, name: str) -> Hello | None:
        """Return what a linked peer said of itself."""
        peer = self._peers.get(name)
        return None if peer is None else peer.hello

    def links(self) -> list[str]:
        """Return the names of all peers with a link."""
        return [name for name, peer in self._peers.items() if peer.connected]

    def live(self, now: float) -> dict[str, int]:
        """Return the live members, this node included, but not those of other clusters: name to run epoch.

        A member that the record names and that has not been seen yet is given the benefit of the doubt for
        a while: a newcomer hears of the record before it has met everybody, and must not bury them.
        """
        unseen = ((name, run) for (name, run), since_s in self._unseen_since.items() if now < self._doubt(since_s))
        live = dict(unseen) | {
            name: peer.node.run
            for name, peer in self._peers.items()
            if peer.alive and peer.node is not None and not self.foreign(name)
        }
        live[self._me.name] = self._me.run
        return live

    @property
    def doubt_due(self) -> float:
        """When the next member that was never seen loses the benefit of the doubt."""
        return self._doubt(min(self._unseen_since.values(), default=math.inf))

    def linked(self, now: float) -> set[str]:
        """Return the live members that have said hello on the present link."""
        return {name for name in self.live(now) if self._has_greeted(name)}

    def foreign(self, name: str) -> bool:
        """Whether a peer belongs to another cluster."""
        hello, record = self.hello(name), self._record
        return hello is not None and record is not None and hello.cluster_id not in ("", record.cluster_id)

    def may_form(self, now: float) -> bool:
        """Whether this node should found a cluster for all that it sees."""
        if not self._config.seeded:
            return True
        live = self.live(now)
        others = [name for name in live if name != self._me.name]
        return (
            bool(others)
            and len(live) >= self._config.expect
            and now >= self._settling_since + self._config.settle_s
            and all(self._has_greeted(name) and not self._says_cluster(name) for name in others)
            and min((run, name) for name, run in live.items()) == (self._me.run, self._me.name)
        )

    @property
    def forming_due(self) -> float:
        """When `may_form` is worth asking again."""
        return self._settling_since + self._config.settle_s

    def outlook(self, now: float, record: Record) -> tuple[Outlook, float]:
        """Return what a coordinator plans by, and when time alone will make it another."""
        live, due = self.live(now), math.inf
        # A node that leaves cannot wait for a dead one to come back: the copies have to go somewhere now.
        leaving = any(
            node.standing is Standing.LEAVING and live.get(node.name) == node.run for node in record.nodes.values()
        )
        dead: list[Life] = []
        given_up: set[Life] = set()
        for node in record.nodes.values():
            if live.get(node.name) == node.run:
                continue
            dead.append(node.life)
            peer = self._peers.get(node.name)
            if peer is not None and self._knows(node):
                since_s, left = peer.since_s, peer.left and peer.node is not None and peer.node.run == node.run
            else:
                since_s, left = self._doubt(self._unseen_since.get(node.life, now)), False
            if left or leaving or now >= since_s + self._config.rebuild_delay_s:
                given_up.add(node.life)
            elif node.standing is Standing.MEMBER:
                due = min(due, since_s + self._config.rebuild_delay_s)
        lost, lost_due = self._lost(now, record, live)
        outlook = Outlook(live, self._newcomers(record), tuple(dead), frozenset(given_up), lost)
        return outlook, min(due, lost_due)

    def _lost(self, now: float, record: Record, live: dict[str, int]) -> tuple[frozenset[int], float]:
        """Return the partitions to start anew, and when the next ones will be due."""
        self._unowned_since = {
            partition: self._unowned_since.get(partition, now) for partition in unowned(record, live)
        }
        after_s = self._config.unclean_after_s
        if after_s is None:
            return frozenset(), math.inf
        lost = {partition for partition, since_s in self._unowned_since.items() if now >= since_s + after_s}
        waiting = (since_s for partition, since_s in self._unowned_since.items() if partition not in lost)
        return frozenset(lost), min(waiting, default=math.inf) + after_s

    def _newcomers(self, record: Record) -> tuple[Node, ...]:
        """Return the live nodes that should be let in: unknown to the record, restarted, or given up and back."""
        nodes = [peer.node for name, peer in self._peers.items() if peer.alive and self._has_greeted(name)]
        return tuple(
            node
            for node in (*nodes, self._me)
            if node is not None
            and not self.foreign(node.name)
            and (not record.has(node.life) or record.nodes[node.name].standing is Standing.GONE)
        )

    def _knows(self, node: Node) -> bool:
        """Whether membership has told of this life of a node, or of a later one."""
        peer = self._peers.get(node.name)
        return peer is not None and peer.node is not None and peer.node.run >= node.run

    def _doubt(self, since_s: float) -> float:
        return since_s + self._config.unseen_after_s

    def _has_greeted(self, name: str) -> bool:
        peer = self._peers.get(name)
        if peer is None or peer.hello is None or peer.node is None:
            return False
        return peer.alive and peer.hello.run == peer.node.run

    def _says_cluster(self, name: str) -> bool:
        hello = self.hello(name)
        return hello is not None and hello.cluster_id != ""

    def _seen(self, name: str, run: int) -> None:
        for life in [life for life in self._unseen_since if life[0] == name and life[1] <= run]:
            del self._unseen_since[life]

    def _peer(self, name: str) -> Peer:
        return self._peers.setdefault(name, Peer())
