"""A node's view of the cluster, kept up to date on a thread of its own.

The failure detector must answer while the node's event loop is busy: a command on a
million keys, a client's callback in a program that embeds the node, a loop at full load.
So the membership machine lives on another thread, with an event loop and sockets of its
own. What goes where:

    UDP datagrams ----------------------.
    gossip over TCP <-> cluster port <--+-->  membership thread  <-- join, hint, leave ... --  node's loop
    "where do I join?" <-> cluster port-'      Swim, timers       -- snapshot, events, links ->

- The cluster port (TCP) belongs to the thread, whole: most of what comes to it is gossip, and
  a suspect is probed over it when datagrams fail, just when the node is busy. A peer's
  link begins there too: it is recognised by its first bytes, and its socket handed over to the
  node's loop before anything is answered. Listening twice would take a second port.
- Looking for seeds stays on the node's loop: a busy node finds them later, and nothing worse.
- Both threads share the interpreter's lock. Python code gives it up every 5 ms; a single
  call into C that keeps it longer than a probe's patience (sorting some ten million keys, say) is
  seen by the others as what it is.

The node reads `snapshot`, a value that the thread replaces: at once with every event,
otherwise at most once a second. It never sees the machine itself.
"""

import asyncio
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from typing import Final

from respcache.cluster.membership import Address, Event, Member, Swim
from respcache.cluster.membership.snapshot import MembershipSnapshot
from respcache.cluster.sealing.sealing import Sealing
from respcache.net.door import Door
from respcache.net.gossip import Gossip, Traffic
from respcache.net.pulse import Pulse
from respcache.net.seeds import meeting_point

REFRESH_S: Final = 1.0
"""Figures that change with every packet, such as counters and round trips, are at most so much and a probe old."""
CLOSE_TIMEOUT_S: Final = 5.0
LINKS_WAITING_MAX: Final = 64
"""Links-to-be that the node's loop has not taken up yet; more are cut, and dialled again by their peers."""

Arrival = tuple[socket.socket, bytes]
"""A link-to-be, and what was read of it."""

log: Final = logging.getLogger(__name__)


class Membership:
    """The membership thread, seen from the node's event loop. Every method is for that loop.

    new --open--> running --leave--> left --close--> closed
                     `------------close--------------^
    """

    def __init__(
        self,
        swim: Swim,
        *,
        on_event: Callable[[Event], None],
        on_link: Callable[[socket.socket, bytes], None],
        sealing: Sealing | None = None,
    ) -> None:
        """`on_event` and `on_link` are called on the running event loop. Without `sealing`, all is said in plain."""
        self.snapshot = MembershipSnapshot.of(swim)
        """What is known now; replaced, never changed."""
        self.traffic = Traffic()
        """A copy, as old as the snapshot."""
        self._on_event: Final = on_event
        self._on_link: Final = on_link
        self._loop: Final = asyncio.get_running_loop()
        self._pulse: Final = Pulse()
        self._mail: Final[deque[Event | Arrival]] = deque()
        self._waking = False
        self._opened: Final = asyncio.Event()
        self._finished: Final = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        # On the thread, from here on.
        self._gossip: Final = Gossip(swim, self._took_turn, lag_s=self._lag_s, hangs=self._pulse.hangs, sealing=sealing)
        self._door: Final = Door(
            meeting_point=meeting_point(swim.me.address),
            gossip=self._gossip.stream,
            pass_on=self._arrived,
            sealing=sealing,
        )
        self._swim: Final = swim
        self._own_loop: asyncio.AbstractEventLoop
        self._ending: Final = asyncio.Event()
        self._refresh_at_s = 0.0

    async def open(self, datagram: socket.socket, stream: socket.socket) -> None:
        """Start the thread on two bound sockets, and wait until it listens. Raises OSError if it cannot."""
        # Not the node's kind of loop: that may be one whose clock stands still within a turn.
        self._own_loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(
            target=self._run, args=(datagram, stream), name=f"membership-{self.snapshot.me.name}", daemon=True
        )
        self._thread.start()
        await self._opened.wait()
        if self._failure is not None:
            raise self._failure

    def join(self, seeds: Sequence[Address]) -> None:
        """Call these cluster addresses, in place of earlier ones, now and for ever."""
        self._have(lambda now: self._gossip.perform(self._swim.join(now, seeds)))

    def hint(self, name: str) -> None:
        """Probe a member now: a connection to it was refused or reset."""
        self._have(lambda now: self._gossip.perform(self._swim.hint(now, name)))

    def forget(self, name: str) -> None:
        """Call a dead member no more, here and on all other nodes."""

        def forget(now: float) -> None:
            self._gossip.perform(self._swim.forget(now, name))
            self._publish(now)  # there is no event for it

        self._have(forget)

    async def leave(self, timeout_s: float) -> None:
        """Say good-bye, and wait until it has been passed on, at most `timeout_s`."""
        if self._thread is not None and self._failure is None and not self._closed:
            farewell = asyncio.run_coroutine_threadsafe(self._say_goodbye(timeout_s), self._own_loop)
            await asyncio.wrap_future(farewell)

    async def close(self) -> None:
        """Stop at once, as if the node had died, and end the thread. No event is told any more."""
        self._closed = True
        if self._thread is not None and self._thread.is_alive():
            self._on_own_loop(self._ending.set)
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._finished.wait()
            except TimeoutError:
                log.error("the membership thread does not end; it is left behind")  # noqa: TRY400 # no stack to show
            else:
                self._thread.join()
        self._open_mail()

    @property
    def rejected(self) -> Mapping[str, int]:
        """Count the connections that the door has cut, by the reason; to be read only."""
        return self._door.rejections.counts

    def member(self, name: str) -> Member | None:
        """Find a member in any state."""
        return self.snapshot.members.get(name)

    def _have(self, done: Callable[[float], None]) -> None:
        """Have something done on the thread, which is given the time; nothing once it is closed."""
        if self._thread is not None and not self._closed:
            self._on_own_loop(lambda: done(self._own_loop.time()))

    def _on_own_loop(self, call: Callable[[], None]) -> None:
        """Have the thread call something; nothing once it has ended by itself, as it does when it cannot listen."""
        with suppress(RuntimeError):
            self._own_loop.call_soon_threadsafe(call)

    def _open_mail(self) -> None:
        self._waking = False  # first, so that what comes from now on wakes this loop again
        try:
            while self._mail:
                match self._mail.popleft():
                    case (connection, received):
                        if self._closed:
                            connection.close()
                        else:
                            self._on_link(connection, received)
                    case event:
                        if not self._closed:
                            self._on_event(event)
        finally:
            if self._mail:
                self._loop.call_soon(self._open_mail)

    def _answer(self) -> None:
        self._pulse.answer(time.monotonic())

    # On the thread.

    def _run(self, datagram: socket.socket, stream: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._own_loop) as runner:
            runner.run(self._live(datagram, stream))
        self._on_loop(self._finished.set)

    async def _live(self, datagram: socket.socket, stream: socket.socket) -> None:
        try:
            self._door.open(stream)
            await self._gossip.open(datagram)
        except OSError as reason:
            self._failure = reason
            self._ending.set()
        self._on_loop(self._opened.set)
        await self._ending.wait()
        await self._door.close()
        await self._gossip.close()

    async def _say_goodbye(self, timeout_s: float) -> None:
        self._gossip.perform(self._swim.leave(self._own_loop.time()))
        try:
            async with asyncio.timeout(timeout_s):
                await self._gossip.quiet()
        except TimeoutError:
            log.info("the others may find out later that this node has left")

    def _took_turn(self, news: list[Event]) -> None:
        now = self._own_loop.time()
        if news or now >= self._refresh_at_s:
            self._publish(now)
        if news:
            self._post(*news)

    def _publish(self, now: float) -> None:
        self._refresh_at_s = now + REFRESH_S
        self.snapshot, self.traffic = MembershipSnapshot.of(self._swim), copy(self._gossip.traffic)

    def _arrived(self, connection: socket.socket, received: bytes) -> None:
        if len(self._mail) < LINKS_WAITING_MAX:
            self._post((connection, received))
        else:
            connection.close()

    def _lag_s(self, now: float) -> float:
        if self._pulse.beat(now):
            self._on_loop(self._answer)
        return self._pulse.lag_s(now)

    def _post(self, *mail: Event | Arrival) -> None:
        self._mail.extend(mail)
        if not self._waking:
            self._waking = True
            self._on_loop(self._open_mail)

    def _on_loop(self, call: Callable[[], None]) -> None:
        """Have the node's loop call something. If that is no more, neither is the node."""
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            self._ending.set()
