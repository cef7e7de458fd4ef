"""The links to the other nodes: one TCP connection for each pair, for everything but gossip datagrams.

Of two nodes the one with the smaller name dials while the other lives; at the other it comes in through the door.
What is sent within one turn of the event loop is one write, with keys one sealed record.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from time import perf_counter_ns
from typing import Final, cast

from respcache.cluster.membership import Address
from respcache.cluster.sealing.sealing import Sealing
from respcache.errors import ProtocolError
from respcache.net import frames, messages
from respcache.net.asks import Asks
from respcache.net.crowd import Crowd
from respcache.net.linked import Node
from respcache.net.messages import Greeting, Reply
from respcache.net.outgoing import UNSENT_PAUSE_BYTES, Outgoing
from respcache.net.questions import ALONE, FRAME_BYTES, Questions
from respcache.net.rejections import Rejections
from respcache.net.sealed import Wire
from respcache.net.sockets import host_of
from respcache.net.turn import Turn
from respcache.routing.order import Order
from respcache.routing.sheaf import Sheaf
from respcache.store.partition import Argv

DIAL_TIMEOUT_S: Final = 2.0
REDIAL_S: Final = 0.2
"""Between two attempts to reach a living node, and before a link that broke is dialled anew."""
GREETING_TIMEOUT_S: Final = 5.0
"""A connection that has not said by then what it wants is closed."""
UNSENT_MAX_BYTES: Final = frames.BODY_MAX_BYTES + 256 * 1024 * 1024
"""A peer that leaves so much unread is cut off; what it missed is made up for by a new link, or a new copy."""
TURN_NS: Final = 2_000_000
"""How long a link takes frames in before others get their turn, exceeded by one at most: a read may bring many."""

log: Final = logging.getLogger(__name__)


class Link(asyncio.Protocol):
    """One connection on the cluster port.

    new --HELLO--> up ---> closed

    What has come in is taken in turn by turn, and nothing more is read meanwhile.
    """

    def __init__(
        self, links: "Links", *, dialled: str = "", address: Address | None = None, received: bytes = b""
    ) -> None:
        """`dialled` is the node that is expected at `address`; without them the connection came in.

        `received` is what was read already of one that came in.
        """
        self._links: Final = links
        self._dialled: Final = dialled
        self._received: Final = received
        self._wire: Final = Wire(links.sealing, dialled=address)
        self._greeted_it = False
        self._arrived: Final[deque[tuple[int, bytes]]] = deque()
        """Frames that wait for the loop's next turn."""
        self._out: list[bytes] = []
        self._large = False
        """Whether a part of it is large: then it is written part by part, not copied once more."""
        self._questions: Final = Questions(self._frame)
        self._replies: list[Reply] = []
        self._replies_bytes = 0
        self._waking = False
        self._asked: Final[dict[int, Order | Sheaf]] = {}
        """What the peer has not answered, by number: an order has one, a sheaf one for each of its commands."""
        self._asks: Final = Asks(self._run_asked, links.soon)
        self._outgoing: Final = Outgoing(self._write, links.soon, self._asks.resume)
        self._next = 0
        self._made = False
        self._patience: asyncio.TimerHandle
        self._transport: asyncio.Transport
        self.gone: Final = asyncio.Event()
        """Set when the connection has ended."""
        self.peer = ""
        """The name of the node at the other end, once it has greeted."""
        self.run = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, if this node dialled; else take in what was read already."""
        self._transport, self._made = cast("asyncio.Transport", transport), True
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport.set_write_buffer_limits(high=UNSENT_PAUSE_BYTES)
        self._links.opened(self, "" if self._dialled else host_of(transport))
        self._patience = asyncio.get_running_loop().call_later(GREETING_TIMEOUT_S, self.cut)
        if self._dialled:
            if hail := self._wire.begin():
                self._transport.write(hail)
            self._greet()
        elif self._received:
            self.data_received(self._received)

    def data_received(self, data: bytes) -> None:
        """Take in what the peer sent; whatever is no frame ends the connection."""
        try:
            arrived = self._wire.feed(data)
            if answer := self._wire.take():
                self._transport.write(answer)
            if self._dialled:
                self._greet()
        except ProtocolError as problem:
            self._reject(problem)
            return
        waiting = bool(self._arrived)
        self._arrived.extend(arrived)
        if not waiting:
            self._take_some()

    def _take_some(self) -> None:
        """Take frames in for as long as a turn may last; the others in the next one."""
        arrived = self._arrived
        until_ns = perf_counter_ns() + TURN_NS if len(arrived) > 1 else 0
        try:
            while arrived:
                kind, body = arrived.popleft()
                self._take(kind, body)
                if arrived and perf_counter_ns() > until_ns:
                    break
        except ProtocolError as problem:
            self._reject(problem)
            return
        if self.gone.is_set() or self._transport.is_closing():
            arrived.clear()
        elif arrived:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        """Take in more of what has come, then read again."""
        if self.gone.is_set() or self._transport.is_closing():
            self._arrived.clear()
            return
        try:
            self._take_some()
        except Exception:
            self.cut()  # as the loop does where what it has read makes the protocol fail
            raise
        if not self._arrived and not self._transport.is_closing():
            self._transport.resume_reading()

    def _run_asked(self, ask: messages.Ask) -> int:
        return self._links.node.asked(self.peer, ask, self.reply)

    def pause_writing(self) -> None:
        """Run no more commands whose answers would wait here, and wait with what is large."""
        self._outgoing.pause()
        self._asks.pause()

    def resume_writing(self) -> None:
        """Go on: first with what is large, then with commands."""
        self._outgoing.resume()

    def _reject(self, problem: ProtocolError) -> None:
        self._links.rejections.cut(problem, self.peer or host_of(self._transport), "link to %s cut: %s")
        self._arrived.clear()
        self.cut()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # asyncio's signature
        """Give back the orders that will not be answered."""
        if self.gone.is_set():
            return  # it was abandoned before
        self._patience.cancel()
        self._outgoing.clear()
        self._wire.ended(understood=bool(self.peer))
        asked = list(self._asked.items())
        self._asked.clear()
        self._asks.clear()
        self._links.closed(self)
        self.gone.set()
        for number, order in asked:
            if isinstance(order, Sheaf):
                self._links.node.lost_of(order, number)
            else:
                self._links.node.lost(order)

    def abandoned(self) -> None:
        """Take the connection for lost: its making was cancelled, and uvloop tells the protocol nothing then."""
        if self._made:
            self.connection_lost(None)

    def send(self, kind: int, body: bytes) -> None:
        """Send a frame at the end of this turn of the event loop."""
        self._wake()
        self._frame(kind, body)

    def ask(self, order: Order, version: tuple[int, int], clock: Callable[[], float]) -> None:
        """Have an order run at the other end. Those of one turn that are alike go in one frame.

        `clock` gives monotonic seconds; it is asked once a frame.
        """
        self._next = number = self._next + 1
        self._asked[number] = order
        request = (number, order.partitions, order.argv)
        if self._questions.add(request, version, order.database, order.protocol, order.deadline_s, order.writer, clock):
            self._wake()

    def relay(self, sheaf: Sheaf, partition: int, argv: Argv, clock: Callable[[], float]) -> None:
        """Have one more command of a sheaf run, like an order."""
        self._next = number = self._next + 1
        self._asked[number] = sheaf
        request = (number, ALONE[partition], argv)
        sheaf.sent(request)
        if self._questions.add(request, sheaf.version, sheaf.database, sheaf.protocol, sheaf.deadline_s, None, clock):
            self._wake()

    @property
    def under_way(self) -> Collection[Order | Sheaf]:
        """What the other end was asked and has not answered; a view, not a copy."""
        return self._asked.values()

    def reply(self, number: int, wire: bytes | None) -> None:
        """Answer a request of the other end's; None sends it back."""
        self._wake()
        self._replies.append((number, wire))
        if wire is not None:
            self._replies_bytes += len(wire)
            if self._replies_bytes > FRAME_BYTES:
                self._frame_replies()

    def _wake(self) -> None:
        if not self._waking:
            self._waking = True
            self._links.turn.write(self._flush)

    def _frame(self, kind: int, body: bytes) -> None:
        self._out += (frames.head(kind, body), body)
        self._large |= len(body) > FRAME_BYTES

    def _frame_replies(self) -> None:
        if self._replies:
            self._frame(frames.ANSWER, messages.encode_answer(self._replies))
            self._replies, self._replies_bytes = [], 0

    def _flush(self) -> None:
        """Write what was sent in this turn."""
        self._waking = False
        self._questions.flush()
        self._frame_replies()
        out, self._out = self._out, []
        if not out or self.gone.is_set() or self._transport.is_closing():
            return
        large, self._large = self._large, False
        for part in out if large else (b"".join(out),):
            self._outgoing.put(part)
        waiting_bytes = self._outgoing.unsent_bytes
        if waiting_bytes > UNSENT_PAUSE_BYTES:
            self._asks.pause()
        if self._transport.get_write_buffer_size() + waiting_bytes > UNSENT_MAX_BYTES:
            complaints = self._links.rejections.complaints
            complaints.warn("unread", self.peer, "link to %s cut: it leaves too much unread", self.peer)
            self.cut()

    def _write(self, piece: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._wire.seal(piece))

    def rekey(self) -> None:
        """Seal with the node's primary key from now on."""
        self._flush()  # what was sent before goes under the key before
        if not self._transport.is_closing() and (told := self._wire.rekey()):
            self._transport.write(told)

    @property
    def is_sealed(self) -> bool:
        """Whether nobody can read along."""
        return self._wire.peer is not None

    @property
    def key_ids(self) -> frozenset[bytes]:
        """The keys that it rests on; none where it is not sealed."""
        return self._wire.key_ids

    def cut(self) -> None:
        """End the connection at once, and run nothing more for it: what it had locked is about to be unlocked."""
        self._asks.clear()
        self._transport.abort()

    def _greet(self) -> None:
        """Say who this node is, as soon as that can be said."""
        if not self._greeted_it and self._wire.is_ready:
            self._greeted_it = True
            self.send(frames.HELLO, messages.encode_greeting(self._links.greeting))

    def _take(self, kind: int, body: bytes) -> None:
        node = self._links.node
        if kind == frames.HELLO and not self.peer:
            self._greeted(messages.decode_greeting(body))
        elif not self.peer:
            raise ProtocolError("no greeting")
        elif kind == frames.KEEPER:
            node.keeper_frame(self.peer, body)
        elif kind == frames.PUBSUB:
            node.pubsub_frame(self.peer, body)
        elif kind == frames.TRACKING:
            node.tracking_frame(self.peer, body)
        elif kind == frames.FUNCTIONS:
            node.functions_frame(self.peer, body)
        elif kind == frames.ASK:
            self._asks.take(messages.decode_ask(body))
        elif kind == frames.ANSWER:
            self._take_answers(messages.decode_answer(body))
        elif kind == frames.KEYS:
            self._links.on_keys(self, body)
        else:
            raise ProtocolError(f"a frame of kind {kind}")

    def _take_answers(self, answers: list[Reply]) -> None:
        """Pass answers on in their order, those to one sheaf that stand together in one go."""
        node = self._links.node
        sheaf: Sheaf | None = None
        orders: list[tuple[Order, bytes | None]] = []
        of_sheaf: list[Reply] = []
        for number, wire in answers:
            asked = self._asked.pop(number, None)
            if sheaf is not None and asked is not sheaf:
                node.returned(sheaf, of_sheaf)
                sheaf, of_sheaf = None, []
            if isinstance(asked, Sheaf):
                if orders:
                    node.answered(orders)
                sheaf, orders = asked, []
                of_sheaf.append((number, wire))
            elif asked is not None:
                orders.append((asked, wire))
        if sheaf is not None:
            node.returned(sheaf, of_sheaf)
        if orders:
            node.answered(orders)

    def _greeted(self, greeting: Greeting) -> None:
        if self._dialled and greeting.name != self._dialled:
            raise ProtocolError(f"{self._dialled} was dialled, {greeting.name} answers")
        if greeting.protocol != messages.PROTOCOL:
            raise ProtocolError(
                f"{greeting.name} speaks protocol {greeting.protocol}, this node {messages.PROTOCOL}: the nodes of a "
                "cluster have to run the same version"
            )
        proved = self._wire.peer
        if proved is not None and (proved.name, proved.run) != (greeting.name, greeting.run):
            raise ProtocolError(f"{proved.name} has proved a key, {greeting.name} greets")
        self._patience.cancel()
        self.peer, self.run = greeting.name, greeting.run
        self._wire.trust()
        self._greet()
        self._links.greeted(self)


class Links:
    """All links of one node."""

    def __init__(self, node: Node, greeting: Greeting, sealing: Sealing | None = None) -> None:
        """Without `sealing`, links are plain."""
        self.node: Final = node
        self.greeting: Final = greeting
        self.sealing: Final = sealing
        self.on_keys: Callable[[Link, bytes], None] = _refuse_keys
        """Takes messages about keys; a node that has some sets it."""
        self.connect: Callable[[Link, str, int], Coroutine[object, object, None]] = _connect
        """Makes the connection of a link; who owns the cable may pull it."""
        self._up: Final[dict[str, Link]] = {}
        self._all: Final[set[Link]] = set()
        self._strangers: Final[Crowd[Link]] = Crowd()
        self._dialling: Final[dict[str, asyncio.Task[None]]] = {}
        self._adopting: Final[set[asyncio.Task[object]]] = set()
        self.turn: Final = Turn()
        """When links are written to, behind what may send more."""
        self.reconnects = 0
        """Links that were dialled anew after a break."""
        self.rejections: Final = Rejections(log)

    def adopt(self, connection: socket.socket, received: bytes) -> None:
        """Take in a connection that came in, and what was read of it already."""
        loop = asyncio.get_running_loop()
        adopting = loop.create_task(loop.connect_accepted_socket(lambda: Link(self, received=received), connection))
        self._adopting.add(adopting)
        adopting.add_done_callback(self._adopting.discard)

    def keep(self, name: str, host: str, port: int) -> None:
        """Keep a link to a living node; the one with the smaller name dials."""
        if self.greeting.name < name and name not in self._dialling:
            self._dialling[name] = asyncio.get_running_loop().create_task(self._dial(name, host, port))

    def drop(self, name: str) -> None:
        """Keep a link no more: the node is gone, or is at another address."""
        task = self._dialling.pop(name, None)
        if task is not None:
            task.cancel()
        link = self._up.get(name)
        if link is not None:
            link.cut()

    def link(self, name: str) -> Link | None:
        """Find the link that stands."""
        return self._up.get(name)

    def standing(self) -> list[Link]:
        """List the links that stand."""
        return list(self._up.values())

    def __len__(self) -> int:
        """Count the links that stand."""
        return len(self._up)

    async def close(self) -> None:
        """End all links."""
        dialling = list(self._dialling.values())
        self._dialling.clear()
        for task in dialling:
            task.cancel()
        # What is being adopted has a socket to close, and is a matter of two turns: it is cut when it is there.
        await asyncio.gather(*dialling, *self._adopting, return_exceptions=True)
        for link in list(self._all):
            link.cut()

    # -- from the links ---------------------------------------------------------------

    def soon(self, callback: Callable[[], None]) -> None:
        """Call a function in the next turn of the event loop."""
        asyncio.get_running_loop().call_soon(callback)

    def opened(self, link: Link, host: str) -> None:
        """Know a connection, which came in from a host if that is named."""
        self._all.add(link)
        if host and (leaving := self._strangers.enter(link, host)) is not None:
            self.rejections.crowded_out()
            leaving.cut()

    def greeted(self, link: Link) -> None:
        """Take a link into use, instead of an older one."""
        self._strangers.leave(link)
        older = self._up.get(link.peer)
        latest = self.node.run_of(link.peer)
        if link.run < (latest if older is None else max(latest, older.run)):
            link.cut()  # the node is over, and does not know yet: it would cut off the one of its name again and again
            return
        if older is not None:
            older.cut()
            self.node.link_down(link.peer)
        self._up[link.peer] = link
        self.node.link_up(link.peer)

    def closed(self, link: Link) -> None:
        """Forget a connection."""
        self._all.discard(link)
        self._strangers.leave(link)
        if self._up.get(link.peer) is link:
            del self._up[link.peer]
            self.node.link_down(link.peer)

    async def _dial(self, name: str, host: str, port: int) -> None:
        first = True
        while True:
            try:
                async with asyncio.timeout(DIAL_TIMEOUT_S):
                    link = await self._connect(name, host, port)
            except (OSError, TimeoutError):
                self.node.unreachable(name)
            else:
                self.reconnects += not first
                first = False
                await link.gone.wait()  # a peer too busy to greet yet is not dialled twice
            await asyncio.sleep(REDIAL_S)

    async def _connect(self, name: str, host: str, port: int) -> Link:
        """Dial once. Raises OSError."""
        link = Link(self, dialled=name, address=(host, port))
        try:
            await self.connect(link, host, port)
        except asyncio.CancelledError:
            link.abandoned()
            raise
        return link


async def _connect(link: Link, host: str, port: int) -> None:
    await asyncio.get_running_loop().create_connection(lambda: link, host, port)


def _refuse_keys(_link: Link, _body: bytes) -> None:
    raise ProtocolError("this node has no keys")
