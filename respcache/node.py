"""A node, as programs embed it and as the command line runs it."""

import asyncio
import logging
import random
import secrets
from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeAlias

import hiredis

from respcache.cluster.topology import NodeView
from respcache.commands.registry import Flags, row_of
from respcache.commands.session import Session
from respcache.config import Config
from respcache.errors import ConfigError, JoinTimeout, Mismatch, NodeClosed, Outranked, ReplyError, RespcacheError
from respcache.net.announcer import EventStream
from respcache.net.runtime import Runtime
from respcache.pending import Pending

Argument: TypeAlias = bytes | str | int | float
Answer: TypeAlias = "bytes | str | int | float | bool | list[Answer] | dict[Answer, Answer] | None"


log: Final = logging.getLogger(__name__)

CLOSED_EARLY: Final = "the node was closed before it belonged to a cluster"
EXPECT_TOLD_S: Final = 3.0
"""How long a node waits for others (`expect`) until its log says so: those that start together are there by then."""


class Address(NamedTuple):
    """Where to reach a node; as text it is host:port, which is what `join` takes."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Node:
    """One node of a cluster, or a cluster of its own.

    new --start--> joining --> serving --close--> draining --> left
                      `-- nobody answers: JoinTimeout ----------^
    """

    def __init__(self, config: Config | None = None, *, rng: random.Random | None = None) -> None:
        """`rng` decides on jitter and probe order; by default nobody can foresee it."""
        self.config: Final = config or Config()
        self.state = "starting"
        """starting, joining, serving, draining or left."""
        self.stopping: Final = asyncio.Event()
        """Set when a client asked for SHUTDOWN, or another node has the name: whoever runs the node should close it."""
        self._rng: Final = rng or random.Random(secrets.randbits(64))  # noqa: S311 # jitter, no secrets
        self._runtime: Runtime | None = None
        self._session: Session | None = None
        self._closing: asyncio.Task[bool] | None = None
        self._leaving: asyncio.Task[None] | None = None
        """The part of closing that `kill` cuts short."""
        self._closing_earlier: asyncio.Task[None] | None = None
        """The end of a run that was too early: it comes whatever becomes of the start."""
        self._arrivals: Final[set[asyncio.Future[None]]] = set()
        """What calls of `execute` wait for."""

    async def __aenter__(self) -> Self:
        """Start; see `start`."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; see `close`."""
        await self.close()

    async def start(self) -> None:
        """Listen, join the cluster or found one, and return once this node is part of it.

        Raises ConfigError if a port is taken or the name is another live node's, JoinTimeout if no cluster was there
        in time, and NodeClosed if the node is closed meanwhile; it has stopped again then, as it has when this is
        cancelled, and whoever has met it has been told.
        """
        if self._runtime is not None:
            raise ConfigError("a node starts only once")
        try:
            self._session = await self._come_in()
        except BaseException:
            if self.state != "starting":  # else it has not begun, and may be started again
                self.state = "left"
            raise
        self.state = "serving"

    async def _come_in(self) -> Session:
        """Join a cluster, as a later run if need be. Raises what `start` raises."""
        until_s = asyncio.get_running_loop().time() + self.config.cluster.join_timeout_s
        later_than = 0
        while self.state != "left" and self._closing is None:
            try:
                return await self._join(later_than, until_s)
            except Outranked as earlier:
                log.warning("%s", earlier)
                later_than = earlier.run
        raise NodeClosed(CLOSED_EARLY)

    async def _join(self, later_than: int, until_s: float) -> Session:
        """Start as a run that is later than another one, and give the session for `execute`. Raises Outranked, too."""
        self._runtime = runtime = Runtime(
            self.config, self._rng, state=lambda: self.state, shut_down=self.stopping.set, later_than=later_than
        )
        self.state = "joining"
        runtime.stats.garbage.watch()
        telling = asyncio.get_running_loop().call_later(EXPECT_TOLD_S, self._tell_too_few, runtime)
        try:
            await runtime.open()
            async with asyncio.timeout_at(until_s):
                await runtime.joined()
        except Outranked:
            runtime.stats.garbage.unwatch()
            self._closing_earlier = asyncio.create_task(runtime.close())
            await asyncio.shield(self._closing_earlier)
            raise
        except BaseException as failure:
            reasons = self._reasons(runtime)
            # The others have met it, and may just have let it in: they would take it for dead.
            await self._stop(drain=not isinstance(failure, ConfigError) or isinstance(failure, Mismatch))
            if isinstance(failure, TimeoutError):
                raise JoinTimeout(self._in_vain(reasons, keyed=runtime.sealing is not None)) from None
            raise
        finally:
            telling.cancel()
        session = runtime.host.session("embedded", "embedded")
        session.embedded = True
        session.protocol = 3
        session.authenticated = True
        session.restrict()
        session.turns = None  # whoever wants an order awaits the reply; others run side by side
        return session

    async def close(self) -> bool:
        """Hand everything over, leave the cluster, stop.

        Takes at most `shutdown_timeout_s` and a second; a second call waits for the first.
        Returns whether all data was handed over in time. If no node stays that could take it, there is nobody to hand
        it over to: the keys are gone then, and the log says how many.
        """
        return await self._stop(drain=True)

    async def kill(self) -> None:
        """Stop at once and tell nobody, as a crash would; if the node is closing, go on without handing over."""
        await self._stop(drain=False)

    @property
    def refusal(self) -> RespcacheError | None:
        """Why the node has to stop, if it is not because a client asked for it."""
        return None if self._runtime is None else self._runtime.refusal

    @property
    def name(self) -> str:
        """The name that no other node of the cluster has."""
        return self._running().name

    @property
    def address(self) -> Address:
        """Host and RESP port, for clients, and (as text) for other nodes to join."""
        return Address(*self._running().address)

    @property
    def cluster_address(self) -> Address:
        """Host and cluster port, TCP and UDP."""
        return Address(*self._running().cluster_address)

    @property
    def http_address(self) -> tuple[str, int] | None:
        """Host and port of metrics and health; None if that is switched off."""
        return self._running().http_address

    def members(self) -> Sequence[NodeView]:
        """List the nodes that live, as this one sees it, itself included, by name."""
        return [view for view in self._running().topology() if view.state in {"alive", "suspect"}]

    def events(self) -> EventStream:
        """Follow what happens to the cluster from now on: members that come, go or fail, slots that move.

            async for event in node.events():
                print(event.type, event.node)

        Ends when the node closes. A reader that is more than 1,024 events behind loses the oldest; the stream counts
        them in `dropped`.
        """
        return self._running().announcer.subscribe()

    @property
    def copies_missing(self) -> int:
        """How many copies of partitions the cluster lacks or still makes, as this node sees it; 0: any node may die."""
        runtime = self._running()
        redundancy = runtime.redundancy()
        return 0 if redundancy is None else max(redundancy.missing, redundancy.under_way)

    @property
    def copies_surplus(self) -> int:
        """How many copies of partitions the cluster has beyond those wanted, and how many this node still deletes."""
        runtime = self._running()
        redundancy = runtime.redundancy()
        return len(runtime.keeper.holdings.surplus) + (0 if redundancy is None else redundancy.surplus)

    @property
    def primaries_pending(self) -> int:
        """How many partitions are to have another primary, as this node sees it; all, while it does not know where."""
        health = self._running().keeper.health(asyncio.get_running_loop().time())
        return 0 if health is None else health.rebalance.primaries_pending

    @property
    def voters_spare(self) -> int:
        """How many voters in reach may die before nobody can decide on owners; negative if that is so already."""
        runtime = self._running()
        health = runtime.keeper.health(asyncio.get_running_loop().time())
        return -1 if health is None else health.voters_spare

    async def execute(self, command: Argument, *arguments: Argument) -> Answer:
        """Run a command and return its reply as Python values: bytes for strings, None for null.

        Calls have no connection of their own, so what is about one (MULTI, SELECT, SUBSCRIBE, MONITOR, SHUTDOWN ...)
        is refused: a client at `address` can do it, and `close()` does what SHUTDOWN would.

        Raises ReplyError with the error reply's text, NodeClosed if the node does not run, TypeError for an
        argument that is neither bytes nor text nor a number: nothing is done then. If the node closes before the
        reply is there it is NodeClosed as well, and what was sent to other nodes may have been done.
        """
        runtime, session = self._running(), self._session
        if session is None or self.state not in {"serving", "draining"}:
            raise NodeClosed(f"the node is {self.state}")
        argv = [_encoded(argument) for argument in (command, *arguments)]
        row = row_of(argv)
        if row is not None and Flags.CONNECTION in row.flags:
            raise ReplyError(
                f"ERR {row.name.replace('|', ' ')} is about a client's connection, which execute() has not: "
                f"use a client at {self.address}"
            )
        reply = runtime.executor.alone(session, argv)
        session.barrier = None
        session.cluster_aware = session.node_scope = session.interactive = False  # whatever it has asked about
        return _decoded(await self._arrived(reply))

    async def get(self, key: bytes | str) -> bytes | None:
        """Read a string; None if the key does not exist."""
        value = await self.execute("GET", key)
        assert value is None or isinstance(value, bytes)
        return value

    async def set(self, key: bytes | str, value: Argument, *, ttl_s: float | None = None) -> None:
        """Write a string; it expires after `ttl_s` seconds, if given. Raises ReplyError unless these are above 0."""
        if ttl_s is None:
            await self.execute("SET", key, value)
        else:
            ttl_ms = max(1, round(ttl_s * 1000)) if ttl_s > 0 else 0
            await self.execute("SET", key, value, "PX", ttl_ms)

    async def delete(self, *keys: bytes | str) -> int:
        """Delete keys and return how many there were."""
        deleted = await self.execute("DEL", *keys)
        assert isinstance(deleted, int)
        return deleted

    def _too_few(self, runtime: Runtime) -> str:
        """Say how many nodes are waited for, if nothing else is in the way of a cluster."""
        here = runtime.keeper.peers.too_few(asyncio.get_running_loop().time())
        are = "is" if here == 1 else "are"
        return f"waiting for {self.config.cluster.expect} nodes (expect), {here} {are} here" if here else ""

    def _tell_too_few(self, runtime: Runtime) -> None:
        if told := self._too_few(runtime):
            log.warning("%s", told)

    def _reasons(self, runtime: Runtime) -> list[str]:
        """Say what has been in the way of joining so far, and what became of each join address that was tried."""
        return [*filter(None, [self._too_few(runtime)]), *runtime.search.tried.values()]

    def _in_vain(self, found: Sequence[str], *, keyed: bool) -> str:
        """Say why there is no cluster to be part of, by the reasons that were found."""
        with_keys = ", or none that has this node's keys" if keyed else ""
        reasons = "; ".join(found) or f"none of {', '.join(self.config.cluster.join)} has been reached"
        return f"no cluster within {self.config.cluster.join_timeout_s:g} s{with_keys} (join-timeout): {reasons}"

    async def _stop(self, *, drain: bool) -> bool:
        runtime = self._runtime
        if runtime is None:
            self.state = "left"
            return True
        if self._closing is None:
            loop = asyncio.get_running_loop()
            self.state = "draining" if drain else "left"
            if self._session is None:
                runtime.keep_out(NodeClosed(CLOSED_EARLY))
            if drain:
                self._leaving = loop.create_task(runtime.leave(self.config.server.shutdown_timeout_s))
            self._closing = loop.create_task(self._wind_down(runtime, self._leaving))
        elif not drain and self._leaving is not None:
            self._leaving.cancel()
        return await asyncio.shield(self._closing)

    async def _wind_down(self, runtime: Runtime, leaving: asyncio.Task[None] | None) -> bool:
        try:
            if leaving is not None:
                await asyncio.wait({leaving})
        finally:
            try:
                await runtime.close()
            finally:
                runtime.stats.garbage.unwatch()
                self.state = "left"
        for arrival in self._arrivals:
            if not arrival.done():
                arrival.set_exception(NodeClosed("the node has closed before the reply was there"))
        if leaving is not None and not leaving.cancelled():
            leaving.result()
        return bool(runtime.handed_over) or (self._session is None and runtime.handed_over is None)

    async def _arrived(self, reply: bytes | Pending) -> bytes:
        if not isinstance(reply, Pending):
            return reply
        arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def arrived() -> None:
            if not arrival.done():
                arrival.set_result(None)

        reply.then(arrived)
        self._arrivals.add(arrival)
        try:
            await arrival
        except BaseException:  # whoever waited is gone, or the node is
            reply.abandon()  # or an element would be taken for nobody
            raise
        finally:
            self._arrivals.discard(arrival)
        return reply.wire or b""

    def _running(self) -> Runtime:
        if self._runtime is None:
            raise NodeClosed("the node has not been started")
        return self._runtime


def _encoded(argument: Argument) -> bytes:
    """Write an argument as Redis' clients do. Raises TypeError for what has no one way to be written."""
    if isinstance(argument, bytes):
        return argument
    if isinstance(argument, bool) or not isinstance(argument, str | int | float):
        raise TypeError(
            f"an argument must be bytes, str, int or float, not {type(argument).__name__}: {argument!r:.80}"
        )
    if isinstance(argument, str):
        return argument.encode()
    number = int if isinstance(argument, int) else float
    return number.__repr__(argument).encode()  # whatever a subclass, such as that of an enum, makes of it


def _decoded(wire: bytes) -> Answer:
    reader = hiredis.Reader()
    reader.feed(wire)
    answer = reader.gets()
    if isinstance(answer, hiredis.ReplyError):
        raise ReplyError(str(answer))
    return answer  # type: ignore[no-any-return] # hiredis gives what `Answer` lists
