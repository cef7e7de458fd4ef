"""One node's part in publish and subscribe: its clients' subscriptions, and what the other nodes tell of theirs.

Every node tells every other, over the link between the two, which names have listeners there.
So a publication goes only to the nodes that have somebody for it, and comes back as the
number of clients that it reached. A subscription is confirmed once all linked nodes know of
it: whatever is published after that, through any node, reaches it.

Messages to clients are gathered during a turn of the event loop and go out at its end, in one
write for each client. What a client itself causes is ordered by `take`: its messages so far
go in front of the reply.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from respcache.errors import CommandError
from respcache.glob import PATTERN_MAX_BYTES, PatternTooLong
from respcache.pending import Pending
from respcache.pubsub.audience import (
    SUBSCRIPTION_BYTES,
    Audience,
    Audiences,
    Kind,
    Subscriber,
    size_of,
)
from respcache.pubsub.choices import Choices
from respcache.pubsub.gathering import Gathering
from respcache.pubsub.peer import Peer
from respcache.pubsub.wire import Asked, Counted, Heard, Name, Published, Told, decode, encode
from respcache.resp.encode import bulk, integer

MEMORY_MAX_BYTES: Final = 256 * 1024 * 1024

MESSAGE_HEADS: Final = {Kind.CHANNEL: b"3\r\n$7\r\nmessage\r\n", Kind.SHARD: b"3\r\n$8\r\nsmessage\r\n"}
"""How a message to a client begins behind its first byte: `*` in RESP2, `>` in RESP3."""
PATTERN_HEAD: Final = b"4\r\n$8\r\npmessage\r\n"


class TooManySubscriptions(CommandError):
    """All subscriptions of this node's clients together would take more memory than they may."""

    def __init__(self) -> None:
        super().__init__("max memory for subscriptions reached (see pubsub-memory-max)")


@dataclass(frozen=True, slots=True)
class Push:
    """Send this to a client."""

    subscriber: Subscriber
    wire: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """Send this to a peer, over the link that stands."""

    peer: str
    body: bytes


Effect: TypeAlias = Push | Send


class Exchange:
    """Publish and subscribe on one node. `flush` is due at the end of each turn in which `wake` was called."""

    def __init__(
        self, run_unix_ms: int = 0, *, memory_max_bytes: int = MEMORY_MAX_BYTES, shared: frozenset[str] = frozenset()
    ) -> None:
        """`run_unix_ms` is the start of this run of the node: what it tells is newer than what an earlier run told.

        `shared` are the settings that hold for all nodes.
        """
        self.audiences: Final = Audiences()
        self.memory_max_bytes = memory_max_bytes
        """What names and subscriptions of clients of this node may take."""
        self.wake: Callable[[], None] = _asleep
        """Set by whoever flushes."""
        self.choices: Final = Choices(shared)
        """Those settings, as far as clients have chosen them."""
        self.adopt: Callable[[dict[str, str]], None] = _indifferent
        """Called with what another node knows to have been chosen later; set by whoever goes by it."""
        self.published = 0
        """Messages published through this node."""
        self.delivered = 0
        """Messages put out to clients of this node, once for each subscription that they were for."""
        self.sent = 0
        """Messages passed on to other nodes, once for each node."""
        self.received = 0
        """Messages that other nodes have passed on."""
        self._epoch = run_unix_ms
        self._names: Final[dict[Subscriber, tuple[dict[bytes, None], dict[bytes, None], dict[bytes, None]]]] = {}
        self._pushes: dict[Subscriber, list[bytes]] = {}
        self._peers: Final[dict[str, Peer]] = {}
        self._dirty: dict[str, Peer] = {}
        """Peers that something is to be sent to."""
        self._woken = False

    # -- from clients -----------------------------------------------------------------------

    def check_room(self, subscriber: Subscriber, kind: Kind, names: Iterable[bytes]) -> None:
        """Refuse subscriptions that would take too much. Raises TooManySubscriptions or PatternTooLong."""
        known = self.names_of(subscriber, kind)
        news = [name for name in names if name not in known]
        if kind is Kind.PATTERN and max(map(len, news), default=0) > PATTERN_MAX_BYTES:
            raise PatternTooLong
        more = sum(SUBSCRIPTION_BYTES + size_of(kind, name) for name in news)
        if more and self.audiences.memory_bytes + more > self.memory_max_bytes:
            raise TooManySubscriptions

    def subscribe(self, subscriber: Subscriber, kind: Kind, name: bytes) -> bool:
        """Let a client listen to a name; False if it does already."""
        spaces = self._names.get(subscriber)
        if spaces is None:
            spaces = self._names[subscriber] = ({}, {}, {})
        if name in spaces[kind]:
            return False
        spaces[kind][name] = None
        if self.audiences.join(kind, name, subscriber):
            self._tell((kind, name), joined=True)
        return True

    def unsubscribe(self, subscriber: Subscriber, kind: Kind, name: bytes) -> bool:
        """Let a client listen to a name no more; False if it does not."""
        spaces = self._names.get(subscriber)
        if spaces is None or name not in spaces[kind]:
            return False
        del spaces[kind][name]
        if not any(spaces):
            del self._names[subscriber]
        if self.audiences.quit(kind, name, subscriber):
            self._tell((kind, name), joined=False)
        return True

    def forget(self, subscriber: Subscriber) -> None:
        """End all subscriptions of a client."""
        for kind in Kind:
            for name in list(self.names_of(subscriber, kind)):
                self.unsubscribe(subscriber, kind, name)

    def dismiss(self, subscriber: Subscriber) -> None:
        """Forget a client that is gone, and the messages to it."""
        self.forget(subscriber)
        self._pushes.pop(subscriber, None)

    def names_of(self, subscriber: Subscriber, kind: Kind) -> dict[bytes, None]:
        """Give the names of one kind that a client listens to, in the order of its subscriptions."""
        spaces = self._names.get(subscriber)
        return {} if spaces is None else spaces[kind]

    def take(self, subscriber: Subscriber) -> bytes:
        """Give the messages that wait for a client: they go in front of the reply that is being made."""
        return b"".join(self._pushes.pop(subscriber, ()))

    def when_known(self, wire: bytes) -> Pending:
        """Reply with this once all linked nodes know of all subscriptions."""
        waiting = [peer for peer in self._peers.values() if peer.connected and not peer.settled]
        gathering = Gathering(len(waiting), [], lambda _: wire)
        for peer in waiting:
            peer.when_settled(gathering.arrived)
        return gathering

    def publish(self, publisher: Subscriber, kind: Kind, channel: bytes, payload: bytes) -> int | Pending:
        """Publish to all who listen in the cluster, and reply with their number, once it is known."""
        self.published += 1
        tables = self.audiences.tables
        if channel not in tables[kind] and not (tables[Kind.PATTERN] and kind is Kind.CHANNEL):
            return 0
        peers: set[str] = set()
        receivers = self._put_out(kind, channel, payload, peers)
        if not peers and publisher not in self._pushes:
            return receivers
        own = self.take(publisher)
        gathering = Gathering(len(peers), [receivers], lambda totals: own + integer(totals[0]))
        self._pass_on(kind, channel, payload, peers, gathering)
        return gathering

    def spread(self, channel: bytes, payload: bytes) -> None:
        """Publish what nobody wants to have counted."""
        tables, peers = self.audiences.tables, set[str]()
        if channel not in tables[Kind.CHANNEL] and not tables[Kind.PATTERN]:
            return
        self._put_out(Kind.CHANNEL, channel, payload, peers)
        if peers:
            self._pass_on(Kind.CHANNEL, channel, payload, peers, Gathering(len(peers), [0], _uncounted))

    def reach(self, kind: Kind, channel: bytes) -> int:
        """Count how many subscriptions of this node's own clients a message would be for."""
        audience = self.audiences.tables[kind].get(channel)
        count = 0 if audience is None else len(audience.subscribers)
        if kind is Kind.CHANNEL and self.audiences.tables[Kind.PATTERN]:
            count += sum(len(listening.subscribers) for _, listening in self.audiences.matching(channel, here=True))
        return count

    def deliver(self, kind: Kind, channel: bytes, payload: bytes) -> int:
        """Publish to this node's own clients only, and return how many subscriptions it was for."""
        return self._put_out(kind, channel, payload, None)

    def announce(self, channel: bytes, payload: bytes) -> None:
        """Publish what the node itself has to say to its own clients.

        Of the patterns, those hear it that begin as the channel does, up to its first colon: whoever listens to `*`
        means what applications publish, as with Redis, and would take this for a message of theirs.
        """
        self._put_out(Kind.CHANNEL, channel, payload, None, channel[: channel.index(b":") + 1])

    def choose(self, values: dict[str, str], now_unix_ms: int) -> None:
        """Have all nodes go by these values of settings from now on."""
        self.choices.choose(values, now_unix_ms)
        self._tell_choices()

    def count(self, kind: Kind, names: list[bytes], finish: Callable[[list[int]], bytes]) -> Pending:
        """Count the clients in the cluster that listen to each name, and reply with what `finish` makes of that.

        When `finish` is called this node has heard all that the others had told when they were asked.
        """
        peers = {name: peer for name, peer in self._peers.items() if peer.connected}
        gathering = Gathering(len(peers), [self.audiences.count(kind, name) for name in names], finish)
        for name, peer in peers.items():
            peer.ask(kind, names, gathering)
            self._soil(name, peer)
        return gathering

    # -- from peers ----------------------------------------------------------------------------

    def connect(self, name: str) -> None:
        """There is a new link to a peer: tell it all names. It takes the place of a former one."""
        self.disconnect(name)
        peer = self._peers.setdefault(name, Peer())
        self._epoch += 1
        peer.tell_choices(self.choices.told())
        peer.connect(self._epoch, [(kind, known) for kind in Kind for known in self.audiences.here(kind)])
        self._soil(name, peer)

    def disconnect(self, name: str) -> None:
        """The link is gone: nobody there can be reached, and no answer will come."""
        peer = self._peers.get(name)
        if peer is not None and peer.connected:
            self._dirty.pop(name, None)
            self._clear(name, peer)
            peer.disconnect()

    def remove(self, name: str) -> None:
        """Forget a node that is no member any more."""
        self.disconnect(name)
        self._peers.pop(name, None)

    def receive(self, name: str, body: bytes) -> None:
        """Take a message from a peer. Raises ProtocolError; the link must be cut then."""
        message = decode(body)
        peer = self._peers.get(name)
        if peer is None or not peer.connected:
            return
        match message:
            case Told():
                self._hear(name, peer, message)
            case Heard():
                peer.heard(message)
            case Published():
                self.received += len(message.items)
                counts = [self.deliver(kind, channel, payload) for kind, channel, payload in message.items]
                peer.answer(message.number, counts)
                self._soil(name, peer)
            case Asked():
                counts = [self.audiences.count(message.kind, wanted) for wanted in message.names]
                peer.answer(message.number, counts)
                self._soil(name, peer)
            case Counted():
                peer.counted(message)
            case _:
                assert_never(message)

    # -- from time -----------------------------------------------------------------------------

    def flush(self) -> Sequence[Effect]:
        """Give all that is to be sent. To be called once a turn of the event loop, if `wake` was called in it."""
        self._woken = False
        pushes, self._pushes = self._pushes, {}
        dirty, self._dirty = self._dirty, {}
        effects: list[Effect] = [Push(subscriber, b"".join(wires)) for subscriber, wires in pushes.items()]
        effects += [Send(name, encode(message)) for name, peer in dirty.items() for message in peer.take_out()]
        return effects

    def sweep(self, now: float, patience_s: float) -> None:
        """Answer for peers that have not answered for so long. To be called several times a second."""
        for peer in list(self._peers.values()):
            peer.sweep(now, patience_s)

    # -- inside --------------------------------------------------------------------------------

    def _pass_on(self, kind: Kind, channel: bytes, payload: bytes, peers: set[str], gathering: Gathering) -> None:
        """Have a message published by other nodes, whose counts the gathering gets."""
        self.sent += len(peers)
        for name in peers:
            peer = self._peers[name]
            peer.publish(kind, channel, payload, gathering)
            self._soil(name, peer)

    def _put_out(self, kind: Kind, channel: bytes, payload: bytes, peers: set[str] | None, space: bytes = b"") -> int:
        """Put a message out to the clients of this node, count them, and note which peers have some.

        Patterns have to begin with `space`.
        """
        receivers = 0
        rest = bulk(channel) + bulk(payload)
        audience = self.audiences.tables[kind].get(channel)
        if audience is not None:
            if audience.subscribers:
                receivers = self._push(audience, MESSAGE_HEADS[kind] + rest)
            if peers is not None:
                peers |= audience.peers
        if kind is Kind.CHANNEL and self.audiences.tables[Kind.PATTERN]:
            for pattern, listening in self.audiences.matching(channel, space, here=peers is None):
                if listening.subscribers:
                    receivers += self._push(listening, PATTERN_HEAD + bulk(pattern) + rest)
                if peers is not None:
                    peers |= listening.peers
        if receivers:
            self.delivered += receivers
            self._rouse()
        return receivers

    def _push(self, audience: Audience, body: bytes) -> int:
        """Add a message to what the clients of one audience get, and count them."""
        old = new = b""
        pushes = self._pushes
        for subscriber in audience.subscribers:
            if subscriber.protocol == 2:
                wire = old = old or b"*" + body
            else:
                wire = new = new or b">" + body
            queue = pushes.get(subscriber)
            if queue is None:
                pushes[subscriber] = [wire]
            else:
                queue.append(wire)
        return len(audience.subscribers)

    def _tell(self, name: Name, *, joined: bool) -> None:
        for peer_name, peer in self._peers.items():
            if peer.connected:
                peer.tell(name, joined=joined)
                self._soil(peer_name, peer)

    def _hear(self, name: str, peer: Peer, told: Told) -> None:
        if peer.begins_anew(told):
            self._clear(name, peer)
        joined, gone = peer.hear(told)
        news = self.choices.hear(told.choices)
        if news:
            self._tell_choices()
            self.adopt(news)
        for kind, known in joined:
            self.audiences.peer_joins(kind, known, name)
        for kind, known in gone:
            self.audiences.peer_quits(kind, known, name)
        self._soil(name, peer)

    def _tell_choices(self) -> None:
        """Tell everybody, whoever it was heard from: links may be missing that others have."""
        told = self.choices.told()
        for name, peer in self._peers.items():
            if peer.connected:
                peer.tell_choices(told)
                self._soil(name, peer)

    def _clear(self, name: str, peer: Peer) -> None:
        """Take all that a peer has told out of the tables."""
        for kind, known in peer.names:
            self.audiences.peer_quits(kind, known, name)
        peer.forget()

    def _soil(self, name: str, peer: Peer) -> None:
        self._dirty[name] = peer
        self._rouse()

    def _rouse(self) -> None:
        if not self._woken:
            self._woken = True
            self.wake()


def _uncounted(_totals: list[int]) -> bytes:
    """Reply to nobody."""
    return b""


def _indifferent(_values: dict[str, str]) -> None:
    """Go by no setting."""


def _asleep() -> None:
    """Flush when somebody thinks of it."""
