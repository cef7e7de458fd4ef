"""The parts of a running node, connected: built at once, started and stopped in order.

What goes through them, from left to right:

    clients ---> Server --> Executor --> Store --> effects --> Keeper --> Driver --> Links --> peers
                               `--> Router --> Links --> owner
    others ----> Membership (a thread of its own) --> events --> Replicator --> Driver --> Keeper
                               `--> links that others dial --> Links
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic, time, time_ns
from typing import Final, assert_never

from respcache.cluster.keeper import Keeper
from respcache.cluster.membership import (
    Died,
    Event,
    Joined,
    Left,
    Member,
    NameConflict,
    PartitionSuspected,
    Recovered,
    Suspected,
    Swim,
    Updated,
)
from respcache.cluster.membership.tally import Tally
from respcache.cluster.ownership import record
from respcache.cluster.ownership.redundancy import Redundancy
from respcache.cluster.ownership.slots import PARTITIONS
from respcache.cluster.sealing.channel import Identity
from respcache.cluster.sealing.keyring import Keyring
from respcache.cluster.sealing.sealing import Sealing
from respcache.cluster.topology import NodeView
from respcache.commands import families
from respcache.commands.replay import CommandCopies
from respcache.config import ClusterConfig, Config
from respcache.engine.executor import Executor
from respcache.engine.expiring import Expiry
from respcache.engine.memory import Memory
from respcache.engine.pausing import Pauses
from respcache.errors import ConfigError, Mismatch, Outranked, RespcacheError
from respcache.host import NodeHost
from respcache.leaving import Losses
from respcache.metrics import LoopLag, Preparation, Sources
from respcache.net import keys, scripts, seeds, sockets
from respcache.net.agreement import Differences, accept, difference, introduction
from respcache.net.announcer import Announcer
from respcache.net.exile import Exile
from respcache.net.keeping import answer_for_copies, gossip_profile, keeper_config
from respcache.net.membership import Membership
from respcache.net.messages import Greeting
from respcache.net.monitor import Monitor
from respcache.net.names import Names
from respcache.net.replicator import Replicator
from respcache.net.rotation import rotation_of
from respcache.net.search import Search
from respcache.net.server import Server
from respcache.net.views import node_id, node_views
from respcache.pubsub.exchange import Exchange
from respcache.rates import Totals
from respcache.routing.locking import Locks
from respcache.routing.notifying import Notifier
from respcache.routing.router import Router
from respcache.settings import SHARED, LiveSettings
from respcache.stats import Stats
from respcache.store.keyspace import Store
from respcache.store.ledger import Ledger
from respcache.transactions.multi import Multi
from respcache.version import __version__

log: Final = logging.getLogger(__name__)

FAREWELL_S: Final = 0.5
"""How long a node that leaves waits for a word of silent clients, and then goes on telling of its leave, at most."""
RESOLVE_S: Final = {"local": 0.5, "lan": 2.0, "wan": 10.0}
"""From one attempt to find the seeds to the next, by environment."""


class Runtime:
    """Everything that a node consists of while it runs. Must be made within a running event loop."""

    def __init__(  # noqa: PLR0915 # the list of parts
        self,
        config: Config,
        rng: random.Random,
        *,
        state: Callable[[], str],
        shut_down: Callable[[], None],
        later_than: int = 0,
    ) -> None:
        """Bind the ports. Raises ConfigError if one is taken.

        `state` gives the state of the node, one of metrics.readiness.SENTENCES; `later_than` is an earlier run of it.
        """
        server, cluster = config.server, config.cluster
        ring = keys.load_ring(config)
        self._loop: Final = asyncio.get_running_loop()
        default_port = server.port or seeds.DEFAULT_PORT
        joining = [seeds.parse_seed(seed, default_port=default_port) for seed in cluster.join]
        profile = gossip_profile(config)
        self._ports: Final = sockets.bind_ports(config)
        host = cluster.advertise or sockets.routable_host(server.bind)
        port, http_port = sockets.port_of(self._ports.client), 0
        if self._ports.http is not None:
            http_port = sockets.port_of(self._ports.http)
        self.address: Final = (host, port)
        self.cluster_address: Final = (host, sockets.port_of(self._ports.stream))
        self.http_address: Final = (host, http_port) if http_port else None
        self.name: Final = cluster.name or f"{host}:{port}"
        run = max(time_ns() // 1_000_000, later_than + 1)
        self._run: Final = run
        self._exile: Final = Exile(run)
        self.sealing: Final = None if ring is None else _sealing(ring, Identity(self.name, run), cluster)
        me = record.Node(self.name, run, cluster.weight, cluster.zone)

        self.settings: Final = LiveSettings(
            config, self._take_settings, lambda chosen: self.exchange.choose(chosen, int(time() * 1000))
        )
        self.settings.settle(
            {
                "port": port,
                "cluster-port": self.cluster_address[1],
                "http-port": http_port or config.http.port,
                "name": self.name,
            }
        )
        self.stats: Final = Stats(len(families.ROWS))
        self.store: Final = Store(server.databases, ledger=Ledger(rng))
        self.exchange: Final = Exchange(run, memory_max_bytes=server.pubsub_memory_max_bytes, shared=SHARED)
        self.host: Final = NodeHost(
            settings=self.settings,
            stats=self.stats,
            store=self.store,
            exchange=self.exchange,
            run_id=node_id(self.name, run),
            sessions=lambda: self.server.sessions(),  # noqa: PLW0108 # the server is made below
            topology=self.topology,
            meet=lambda host, port: self.search.add(seeds.HostSeed(host, port)),
            forget=lambda name: self.membership.forget(name),  # noqa: PLW0108 # made below
            transact=lambda session: self.multi.execute(session),  # noqa: PLW0108 # it is made below
            watch=lambda session, watched: self.multi.watch(session, watched),  # noqa: PLW0108 # so is it here
            redirection=lambda session, key: self.router.redirects.of(session, key),  # noqa: PLW0108 # so is the router
            pause=Pauses(
                sessions=lambda: self.server.sessions(),  # noqa: PLW0108 # the server is made below
                run=lambda session, argv: self.executor.alone(session, argv),  # noqa: PLW0108 # so is the executor
                now_s=self._loop.time,
                call_at=self._loop.call_at,
                ledger=self.store.ledger,
            ),
            shut_down=shut_down,
            health=lambda: self.keeper.health(self._loop.time()),
            take_over=lambda: self.replicator.take_over(),  # noqa: PLW0108 # it is made below
        )
        self.host.port, self.host.cluster_address = port, self.cluster_address
        self.copies: Final = CommandCopies(self.store)
        self.scripts: Final = scripts.interpreter(self.host, server, rng)
        locks = Locks(self.store, run=f"{self.name}:{run}".encode())
        self.keeper: Final = Keeper(me, keeper_config(config), self.copies, rng, locks.held)
        swim = Swim(
            name=self.name,
            address=self.cluster_address,
            meta=introduction(config, client_port=port, http_port=http_port),
            profile=profile,
            rng=rng,
            now=monotonic(),
            epoch_unix_ms=run,
        )
        self.membership: Final = Membership(
            swim,
            on_event=self._on_event,
            on_link=lambda connection, received: self.replicator.links.adopt(connection, received),  # noqa: PLW0108 # made below
            sealing=self.sealing,
        )
        self.announcer: Final = Announcer(self.name, member=self.membership.member)
        self.announcer.publish = self.exchange.announce
        self.tally: Final = Tally()
        self.search: Final = Search(
            joining,
            known=lambda: self.membership.snapshot,
            call=self.membership.join,
            names=Names(),
            own={self.address, self.cluster_address},
            joined=lambda: self.keeper.joined,
            pause_s=RESOLVE_S[cluster.environment],
            default_port=default_port,
            rng=rng,
        )
        self.replicator: Final = Replicator(
            self.keeper,
            locks,
            self.membership,
            Greeting(self.name, run),
            self.exchange,
            routed=self.announcer.routed,
            sealing=self.sealing,
        )
        self.scripts.strand.soon = self._loop.call_soon
        scripts.share(self.name, self.host, self.scripts, self.replicator)
        self.rotation: Final = (
            None
            if self.sealing is None
            else rotation_of(self.host, self.sealing, self.replicator.links, cluster.keys_file)
        )
        self.router: Final = Router(
            name=self.name,
            store=self.store,
            copies=self.copies,
            scripts=self.scripts,
            locks=locks,
            stats=self.stats,
            table=self.keeper.table,
            gate=self.replicator.driver.gate,
            peers=self.replicator,
            timeout_s=cluster.command_timeout_s,
            redirect=server.redirect,
            clock=self._loop.time,
            call_at=self._loop.call_at,
            backlog_max_bytes=cluster.unacked_limit_bytes,
        )
        self.notifier: Final = Notifier(
            self.store,
            self.router.held,
            publish=self.exchange.spread,
            flush=self.replicator.messenger.flush,
            soon=self._loop.call_soon,
        )
        self.notifier.choose(server.notify_keyspace_events)
        self.exchange.adopt = self._adopt_settings
        self.memory: Final = Memory(self.store, deleted=self.replicator.driver.wake, soon=self._loop.call_soon)
        self.memory.latency = self.host.latency
        self.memory.configure(server)
        self.expiry: Final = Expiry(
            self.store, self.host.latency, swept=self.replicator.driver.wake, soon=self._loop.call_soon
        )
        self.executor: Final = Executor(self.store, self.stats, self.router, self.scripts, self.memory)
        self.executor.slow.configure(server, self.host.latency, self.host.slowlog)
        self.executor.runner.monitors = self.host.monitors
        self.host.monitors.wake = lambda: self._loop.call_soon(self.host.monitors.flush)
        self.router.executor = self.executor
        self.multi: Final = Multi(self.router, self.executor, len(self.store))
        self.replicator.driver.router = self.router
        answer_for_copies(self.host, self.router, self.replicator)
        self.server: Final = Server(
            server,
            self.executor,
            self.stats,
            self.host.session,
            soon=self.replicator.links.turn.write,
            later=self._loop.call_later,
        )
        self.preparation: Final = Preparation(
            state,
            lambda: self.keeper.figures(self._loop.time()),
            leased=lambda: self.keeper.leased(self._loop.time()),
        )
        self.monitor: Final = Monitor(
            Sources(
                name=self.name,
                version=__version__,
                event_loop="uvloop" if type(self._loop).__module__.startswith("uvloop") else "asyncio",
                config=lambda: self.settings.config,
                stats=self.stats,
                store=self.store,
                exchange=self.exchange,
                tracking=lambda: self.host.tracking,
                events=lambda: self.notifier.told,
                monitors=self.host.monitors,
                scripts=self.scripts,
                lag=LoopLag(),
                state=state,
                readiness=self.preparation.verdict,
                sessions=self.server.sessions,
                keeper=lambda: self.keeper.figures(self._loop.time()),
                membership=lambda: self.membership.snapshot,
                traffic=lambda: self.membership.traffic,
                tally=self.tally,
                links=self.replicator.links,
                sealing=self.sealing,
                rejected=self._rejected,
                topology=self.topology,
            )
        )
        for number in range(PARTITIONS):
            locks.close(number)
        self.handed_over: bool | None = None
        """Whether leaving ended with all handed over that there was; None as long as it has not ended."""
        self._opened: Final = asyncio.Event()
        """Set once `open` has come to its end, in whatever way."""
        self._losses = Losses()
        self.refusal: RespcacheError | None = None
        """Why this node has to go, if it has: its name is another's, it differs in what all share, or it was closed."""
        self._differences: Final = Differences()
        self._housekeeping: asyncio.TimerHandle | None = None
        self._searching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen, and begin to look for the cluster."""
        try:
            if self._ports.http is not None:
                await self.monitor.listen(self._ports.http)
            await self.membership.open(self._ports.datagram, self._ports.stream)
            await self.server.listen(self._ports.client)
            self.replicator.driver.start()
            cluster = self.settings.config.cluster
            if cluster.expect > 1 and not cluster.join:
                log.warning("expect = %d without join: this node is a cluster of its own", cluster.expect)
            if self.search.only_itself:
                raise ConfigError(f"join names only this node itself: {', '.join(cluster.join)}")
            self._searching = self._loop.create_task(self.search.run())
            self._housekeep()
        finally:
            self._opened.set()

    async def joined(self) -> None:
        """Wait until this node belongs to a cluster.

        Raises ConfigError if its name or its settings keep it out, Outranked if it has to start as a later run; or
        whatever it is kept out for.
        """
        changed = self.replicator.changed
        while self.refusal is not None or not self.keeper.joined:
            if self.refusal is not None:
                raise self.refusal
            if (run := self.membership.snapshot.me.epoch_unix_ms) != self._run:
                raise Outranked(run)
            changed.clear()
            await changed.wait()
        redundancy = self.redundancy()
        assert redundancy is not None  # it has joined
        accept(self.settings, {"replica-count": redundancy.replica_count, "quorum": self.keeper.table.quorum})
        log.info("%s (%s:%d) is part of the cluster", self.name, *self.address)

    def keep_out(self, reason: RespcacheError) -> None:
        """Belong to no cluster from now on; `joined` raises the first reason for that."""
        if self.refusal is None:
            self.refusal = reason
        self.replicator.changed.set()

    async def leave(self, timeout_s: float) -> None:
        """Hand everything over, and say good-bye; a node that was not let in does that, too. To be closed then."""
        await self._opened.wait()
        until_s = self._loop.time() + timeout_s
        self.replicator.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.replicator.drained.wait()
        # Replies are still to come over links, which the others cut as soon as they hear of the leave.
        left_s = until_s - self._loop.time() if self.keeper.joined else 0.0  # no replies come where it was not let in
        await self.server.part(silent_s=FAREWELL_S, answered_s=left_s)
        self.handed_over = self.replicator.drained.is_set()
        self._losses = losses = Losses.of(self.keeper.health(self._loop.time()), self.store)
        if not self.handed_over:
            log.warning("not everything was handed over within %s s: %s", timeout_s, losses)
        elif losses.leaves_keys:
            level = logging.WARNING if self.settings.config.cluster.join or len(self.topology()) > 1 else logging.INFO
            log.log(level, "nobody was left to hand everything over to: %s", losses)
        await self.membership.leave(FAREWELL_S)

    async def close(self) -> None:
        """Stop at once, as if the node had died."""
        await self._opened.wait()
        self.replicator.driver.close()  # first: whoever is let in while it stops would be a voter that is never there
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        if self._searching is not None:
            self._searching.cancel()
            await asyncio.gather(self._searching, return_exceptions=True)
        self.server.close()
        self.server.abandon()
        if self.rotation is not None:
            await self.rotation.close()
        await self.membership.close()
        await self.replicator.close()
        self.scripts.close()  # now that no copy is told of what it wrote
        self.announcer.close()
        if self._ports.http is not None:
            await self.monitor.close()
        self._ports.close()
        self.server.finish(self._losses, complete=self.handed_over)

    def redundancy(self) -> Redundancy | None:
        """Count the copies of the whole cluster; None while this node belongs to none."""
        health = self.keeper.health(self._loop.time())
        return None if health is None else health.redundancy

    def topology(self) -> Sequence[NodeView]:
        """List the nodes of the cluster, this one included, by name."""
        return node_views(self.keeper.table, self.membership.snapshot, me=self.name)

    def _rejected(self) -> dict[str, int]:
        """Count the connections on the cluster port that were cut, before and after they were links."""
        before, after = self.membership.rejected, self.replicator.links.rejections.counts
        return {reason: before[reason] + after[reason] for reason in after}

    def _take_settings(self, config: Config) -> None:
        self.server.configure(config.server)
        self.memory.configure(config.server)
        letters = config.server.notify_keyspace_events
        if letters != self.notifier.letters:
            self.notifier.choose(letters)
        self.exchange.memory_max_bytes = config.server.pubsub_memory_max_bytes
        self.executor.slow.configure(config.server, self.host.latency, self.host.slowlog)
        self.scripts.time_limit_ms = config.server.lua_time_limit_ms
        self.scripts.size_max_bytes = config.server.lua_scripts_max_bytes
        self.keeper.holdings.copying.allowance.change(config.cluster.rebalance_rate_bytes_per_s)

    def _adopt_settings(self, chosen: dict[str, str]) -> None:
        """Go by what clients of other nodes have set."""
        refused = self.settings.adopt(chosen)
        for name, value in chosen.items():
            if name in refused:  # a later version may allow more
                log.warning(
                    "%s = %r, as set on another node, means nothing to this one, which keeps its own", name, value
                )
            else:
                log.info("%s = %s was set on another node", name, value)

    def _on_event(self, event: Event) -> None:  # one case for each event
        self.tally.count(event)
        self.announcer.heard(event)
        match event:
            case Joined(member):
                if member.name != self.name:
                    self._compare(member)
                    news = "joined" if self.keeper.joined else "is there"
                    log.info("%s (%s:%d) %s", member.name, member.address[0], member.meta.client_port, news)
                    self.replicator.member_up(member)
            case Died(member):
                log.warning("%s is dead", member.name)
                self.replicator.member_down(member, left=False)
            case Left(member):
                log.info("%s left", member.name)
                self.replicator.member_down(member, left=True)
            case Suspected(member):
                log.info("%s does not answer", member.name)
                self.replicator.member_suspect(member)
            case Recovered(member):
                log.info("%s answers again", member.name)
                self._updated(member)
            case Updated(member):
                self._updated(member)
            case NameConflict():
                self._make_way("another live node, at {}:{}, has the name {}".format(*event.address, event.name))
            case PartitionSuspected(suspects, members):
                log.warning(
                    "%d of %d members do not answer: rather the network than all of them", len(suspects), members
                )
            case _:
                assert_never(event)

    def _make_way(self, told: str) -> None:
        """Stop, whether joined or not: this node may have been away for so long that another one took its place."""
        if self.refusal is None:
            log.error("%s", told)
        self.keep_out(ConfigError(told))
        if self.keeper.joined:
            self.host.shut_down(told)

    def _updated(self, member: Member) -> None:
        if member.name != self.name:
            self._compare(member)
            self.replicator.member_up(member)

    def _compare(self, member: Member) -> None:
        """Notice settings of another node that should be those of this one. The newcomer goes if they must be."""
        config = self.settings.config
        told, joined = difference(config, member), self.keeper.joined
        if told is not None and not joined:
            self.keep_out(Mismatch(told))
        self._differences.tell(config, member, told if joined else None)

    def _housekeep(self) -> None:
        """Do the background work of one round: expiry, idle clients, deadlines, rates."""
        hz, now_s = self.settings.config.server.hz, self._loop.time()
        self._housekeeping = self._loop.call_later(1 / hz, self._housekeep)
        if not self.keeper.joined:
            self.replicator.changed.set()  # no event tells that this run is outranked
        elif self._exile.review(now_s, self.membership.snapshot.me.epoch_unix_ms, leased=self.keeper.leased(now_s)):
            self._make_way(f"another node has had the name {self.name} meanwhile: nobody lets this one in again")
        self.preparation.review()
        self.server.sweep()
        self.router.sweep()
        self.memory.tick()
        self.replicator.sharing.sweep(now_s)
        self.replicator.messenger.sweep(now_s, self.settings.config.cluster.command_timeout_s)
        self.expiry.round()
        self.host.rates.sample(now_s, Totals.of(self.stats))


def _sealing(ring: Keyring, me: Identity, cluster: ClusterConfig) -> Sealing:
    return Sealing(ring, me, label=cluster.label, entropy=secrets.token_bytes, plaintext=cluster.plaintext)
