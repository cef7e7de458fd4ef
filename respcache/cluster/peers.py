"""Who lives, who is linked, and since when the others are gone: what one node knows beyond the record."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from respcache.cluster.config import KeeperConfig
from respcache.cluster.ownership.planner import Outlook, lost
from respcache.cluster.ownership.record import Life, Node, Record, Standing, Version, majority
from respcache.cluster.ownership.voters import next_voter_change
from respcache.cluster.wire import Hello


@dataclass(slots=True)
class Peer:
    """Another node by name: its last known life, and the link to it."""

    node: Node | None = None
    alive: bool = False
    suspect: bool = False
    """Alive, as far as is known, but it does not answer."""
    left: bool = False
    parted: int = -1
    """The run epoch of its last life that was taken out of the record on its way out."""
    since_s: float = 0.0
    """When it was last found to be up, or down."""
    connected: bool = False
    hello: Hello | None = None
    """What it said on the present link."""
    asked: tuple[Version, Version] | None = None
    """The record that was known here, and the newer one that it knew, when it was last asked for that on this link."""


class Peers:
    """All other nodes, as membership and links show them."""

    def __init__(
        self,
        me: Node,
        config: KeeperConfig,
        granted_until: Callable[[Life], float],
        answered_s: Callable[[Life], float],
    ) -> None:
        """`granted_until` tells when the last lease ends that this node has granted to a life.

        `answered_s` tells when a life was last asked something, as a voter, that it has answered.
        """
        self._me, self._config = me, config
        self._granted_until, self._answered_s = granted_until, answered_s
        self._peers: dict[str, Peer] = {}
        self._record: Record | None = None
        self._unseen_since: dict[Life, float] = {}
        self._lost_since: dict[int, float] = {}
        self._settling_since = math.inf

    def up(self, now: float, node: Node) -> None:
        """Take note of a life; of an earlier one than is known, none is taken."""
        peer = self._peer(node.name)
        if peer.node is not None and peer.node.run > node.run:
            return
        peer.suspect = False
        if peer.node == node and peer.alive:
            return
        if not peer.alive or peer.node is None or peer.node.run != node.run:
            peer.since_s = self._settling_since = now
        peer.node, peer.alive, peer.left = node, True, False
        self._seen(node.name, node.run)

    def suspect(self, name: str, run: int) -> None:
        """Take note that a life does not answer."""
        peer = self._peer(name)
        if peer.alive and peer.node is not None and peer.node.run == run:
            peer.suspect = True

    def down(self, now: float, name: str, run: int, *, left: bool) -> None:
        """Take note of the end of a life, of any but this node's own."""
        if name == self._me.name:
            return
        peer = self._peer(name)
        if peer.node is not None and peer.node.run > run:
            return
        if peer.node is None or peer.node.run != run:
            peer.node = Node(name, run)
        if peer.alive or not peer.since_s:
            peer.since_s = now
        peer.alive, peer.suspect, peer.left = False, False, peer.left or left
        self._seen(name, run)

    def connected(self, name: str) -> None:
        """A new link: nothing has been said on it."""
        peer = self._peer(name)
        peer.connected, peer.hello, peer.asked = True, None, None

    def asks(self, name: str, have: Version, wanted: Version, *, again: bool) -> bool:
        """Tell whether to ask a peer for a record that it knows and this node does not.

        Once, unless it is to be asked `again`: the answer is on its way, or of no use. Every command that a peer relays
        says which record it goes by, and a whole record for each of a thousand commands kept two nodes busy for ten
        seconds.
        """
        peer = self._peer(name)
        if not again and peer.asked is not None and peer.asked[0] == have and peer.asked[1] >= wanted:
            return False
        peer.asked = have, wanted
        return True

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
        for node in () if self._record is None else self._record.nodes.values():
            if node.standing is Standing.LEAVING and not record.has(node.life):
                self._peer(node.name).parted = node.run
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
        """Return those of the present members that answer, or may still serve by a lease that this node granted.

        One that neither answers nor has renewed its lease here cannot be waited for. If it was none of its
        fault it loses its copies, and has to be given new ones, but nothing that was acknowledged.
        """
        return {
            name: run
            for name, run in self.present(now).items()
            if name not in self._peers or not self._peers[name].suspect or now < self._granted_until((name, run))
        }

    def heard(self, now: float) -> frozenset[str]:
        """Return those that lived within half the length of a lease, this node included.

        Voters have answered a question of then. Others have asked for a lease; they may have done so earlier, and died,
        if this node was stopped meanwhile, and what they sent was waiting for it.
        """
        voters = () if self._record is None else [voter.life for voter in self._record.voters]
        lease_s = self._config.lease_s

        def lived_s(life: Life) -> float:
            return self._answered_s(life) if life in voters else self._granted_until(life) - lease_s

        linked = [(name, self._peers[name].node) for name in self.linked(now)]
        names = [name for name, node in linked if node is not None and lived_s(node.life) >= now - lease_s / 2]
        return frozenset((*names, self._me.name))

    def lapse_due(self, now: float) -> float:
        """Return when the next suspect's lease ends."""
        suspects = (peer.node.life for peer in self._peers.values() if peer.suspect and peer.node is not None)
        return min((until for life in suspects if (until := self._granted_until(life)) > now), default=math.inf)

    def company(self, now: float, record: Record | None) -> bool:
        """Tell whether anybody is left who is not dead, this node apart.

        Also who is on its way out, and needs somebody who decides that it may go; and who was off the ring for dead,
        and turns out to live: the vote that takes one off may be that one's own. And a newcomer, which whoever decides
        is about to let in.
        """
        if record is not None and any(node.name != self._me.name for node in self._newcomers(record)):
            return True
        present = self.present(now)
        others = record.nodes.values() if record is not None else ()
        return any(
            node.name in present
            and node.name != self._me.name
            and (node.standing is not Standing.GONE or self._knows(node))
            for node in others
        )

    def alone(self, now: float, record: Record | None) -> bool:
        """Tell whether there is nobody to hand anything over to, and not just nobody in reach.

        Of the voters a majority has to be here. A lease outlasts for a while those who granted it, or the belief that
        they live, and whoever went by it alone would leave others behind who lack its vote, and can agree on nothing.
        """
        present = self.present(now)
        voters = record.voters if record is not None else ()
        here = sum(present.get(voter.name) == voter.run for voter in voters)
        return here >= majority(len(voters)) and not self.company(now, record)

    def present(self, now: float) -> dict[str, int]:
        """Return the members that are not dead, this node included, but none of other clusters: name to run epoch.

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

    def doubt_due(self, now: float) -> float:
        """Return when the next member that was never seen loses the benefit of the doubt."""
        dues = (self._doubt(since_s) for since_s in self._unseen_since.values())
        return min((due for due in dues if due > now), default=math.inf)

    def linked(self, now: float) -> set[str]:
        """Return the live members that have said hello on the present link."""
        return {name for name in self.present(now) if self._has_greeted(name)}

    def foreign(self, name: str) -> bool:
        """Whether a peer belongs to another cluster."""
        hello, record = self.hello(name), self._record
        return hello is not None and record is not None and hello.cluster_id not in ("", record.cluster_id)

    def may_form(self, now: float) -> bool:
        """Whether this node should found a cluster for all that it sees."""
        if not self._config.seeded:
            return True
        live = self.present(now)
        others = [name for name in live if name != self._me.name]
        return (
            bool(others)
            and len(live) >= self._config.expect
            and now >= self._settling_since + self._config.settle_s
            and all(self._has_greeted(name) and not self._says_cluster(name) for name in others)
            and min((run, name) for name, run in live.items()) == (self._me.run, self._me.name)
        )

    def too_few(self, now: float) -> int:
        """Return how many nodes are here, if a cluster is not founded because they are fewer than expected; else 0."""
        live = self.present(now)
        if not self._config.seeded or self._record is not None or any(map(self._says_cluster, live)):
            return 0
        return len(live) if len(live) < self._config.expect else 0

    def resettle(self, now: float) -> None:
        """Wait for a cluster anew: this node has not been listening, and there may be one by now."""
        self._settling_since = now

    @property
    def forming_due(self) -> float:
        """When `may_form` is worth asking again."""
        return self._settling_since + self._config.settle_s

    def outlook(self, now: float, record: Record) -> tuple[Outlook, float]:
        """Return what the leader plans by, and when time alone will make it another."""
        live, present, due = self.live(now), self.present(now), math.inf
        # A node that leaves cannot wait for a dead one to come back: the copies have to go somewhere now.
        here = {node.standing for node in record.nodes.values() if present.get(node.name) == node.run}
        leaving = {Standing.LEAVING, Standing.MEMBER} <= here
        dead: list[Life] = []
        given_up: set[Life] = set()
        for node in record.nodes.values():
            if present.get(node.name) == node.run:
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
        gone, gone_due = self._lost(now, record, live)
        if next_voter_change(record, present, present) is not None:
            due = min(due, now + self._config.lease_s / 4)  # it waits for somebody to be heard of
        holders = record.holders()
        if any(node.name in holders and live.get(node.name) != node.run for node in record.nodes.values()):
            due = min(due, now + self._config.lease_s / 4)  # their heirs may be heard of any time now
        outlook = Outlook(
            live,
            present,
            self.heard(now),
            self._newcomers(record),
            tuple(dead),
            frozenset(given_up),
            gone,
        )
        return outlook, min(due, gone_due)

    def _lost(self, now: float, record: Record, live: dict[str, int]) -> tuple[frozenset[int], float]:
        """Return the partitions to start anew, and when the next ones will be due."""
        self._lost_since = {partition: self._lost_since.get(partition, now) for partition in lost(record, live)}
        after_s = self._config.unclean_after_s
        if after_s is None:
            return frozenset(), math.inf
        due = frozenset(partition for partition, since_s in self._lost_since.items() if now >= since_s + after_s)
        waiting = (since_s for partition, since_s in self._lost_since.items() if partition not in due)
        return due, min(waiting, default=math.inf) + after_s

    def reached(self, now: float, record: Record) -> list[Life]:
        """Return the members that are present and linked, this node included."""
        present, linked = self.present(now), self.linked(now) | {self._me.name}
        return [
            node.life
            for node in record.nodes.values()
            if node.standing is Standing.MEMBER and node.name in linked and present.get(node.name) == node.run
        ]

    def forsaken(self, now: float, record: Record) -> list[Life]:
        """Return with whom to go on alone: nobody unless it is this node's turn, and the record lets every side do so.

        Too many voters are dead to agree on anything; suspicion is not enough. The oldest one left decides, or the
        oldest member if no voter is left.
        """
        if not record.splits or not record.has(self._me.life):
            return []
        present = self.present(now)
        voters = [voter.life for voter in record.voters if present.get(voter.name) == voter.run]
        if len(voters) >= majority(len(record.voters)):
            return []
        members = self.reached(now, record)
        return members if min(voters or members, key=lambda life: life[::-1], default=None) == self._me.life else []

    def _newcomers(self, record: Record) -> tuple[Node, ...]:
        """Return the live nodes that should be let in: unknown to the record, restarted, or given up and back.

        None that was taken for dead on its way out: it still leaves.
        """
        nodes = [peer.node for name, peer in self._peers.items() if peer.alive and self._has_greeted(name)]
        return tuple(
            node
            for node in (*nodes, self._me)
            if node is not None
            and not self.foreign(node.name)
            and not self._parted(node)
            and (not record.has(node.life) or record.nodes[node.name].standing is Standing.GONE)
        )

    def _knows(self, node: Node) -> bool:
        """Whether membership has told of this life of a node, or of a later one."""
        peer = self._peers.get(node.name)
        return peer is not None and peer.node is not None and peer.node.run >= node.run

    def _parted(self, node: Node) -> bool:
        peer = self._peers.get(node.name)
        return peer is not None and peer.parted == node.run

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
