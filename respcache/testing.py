"""Clusters inside one process, as the target of tests; also the pytest plugin.

    async with Cluster(nodes=3) as cluster:          nodes on the test's own event loop
        await cluster.member(0).set("k", "v")
        assert await cluster.member(2).get("k") == b"v"

    with LocalCluster(nodes=3) as cluster:           nodes on a background thread
        client = redis.Redis.from_url(cluster.url)

Both have the same members; those that wait are coroutines of the first. Nodes listen on free
ports of 127.0.0.1 and share nothing, so tests may run side by side. They notice a death in
about a second, and begin at once to make the lost copies anew.
Installing the package gives every pytest run the fixtures `respcache_cluster`, which makes
clusters of the first kind, and `respcache_local_cluster`, a started one of the second.

A setting is the name of a field of `respcache.config`, such as `replica_count` or
`shutdown_timeout_s`; those whose names would not say enough have their section in front, such
as `cluster_port`, `cluster_keys`, `http_port`.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias, TypeVar

import pytest

from respcache.errors import ConfigError, NodeClosed, RespcacheError

if TYPE_CHECKING:  # a pytest run that uses none of this should not pay for it
    from respcache.config import Config
    from respcache.node import Node

Setting: TypeAlias = str | int | float | bool | tuple[str, ...] | None
Result = TypeVar("Result")

SLOTS: Final = 16384
DECIDING: Final = 3
"""Members from which on a majority can do without one of them."""
CONVERGENCE_TIMEOUT_S: Final = 30.0
DEFAULTS: Final[dict[str, "Setting"]] = {
    "port": 0,
    "http_port": 0,
    "environment": "local",
    "lease_s": 2.0,  # the nodes share an event loop, and that a machine with other tests: what stalls one stalls all
    "rebuild_delay_s": 1.0,  # nobody restarts a node here, and a test that kills two should not wait
}
POLL_S: Final = 0.005
THREAD_TIMEOUT_S: Final = 60.0
"""How long a caller waits for the background thread, beyond what it asked it to wait."""


class NotConverged(RespcacheError, AssertionError):
    """The nodes did not come to one view in time; the text says what each of them sees."""


class Cluster:
    """Nodes on the running event loop, in the order in which they were added.

    A node keeps its index for good: the others' do not change when it is closed or killed.
    """

    def __init__(self, nodes: int = 0, **settings: Setting) -> None:
        """`nodes` are started on entering; `settings` hold for every node unless it is given its own."""
        self._initial: Final = nodes
        self._settings: Final = settings
        self._nodes: Final[list[Node]] = []

    async def __aenter__(self) -> Self:
        """Start the initial nodes, and wait until they see each other."""
        try:
            for _ in range(self._initial):
                await self.add_member()
            await self.wait_for_convergence()
        except BaseException:
            await self.shutdown()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down; see `shutdown`."""
        await self.shutdown()

    async def add_member(self, **overrides: Setting) -> "Node":
        """Start a node that joins the running ones, and return it once it belongs to their cluster.

        Raises what `Node.start` raises; the cluster is as before then.
        """
        from respcache.node import Node  # noqa: PLC0415 # see above

        seeds = tuple("{}:{}".format(*node.address) for node in self.members())
        node = Node(_config({"join": seeds, **self._settings, **overrides}))
        self._nodes.append(node)
        try:
            await node.start()
        except BaseException:
            self._nodes.remove(node)
            raise
        return node

    def member(self, index: int) -> "Node":
        """Give the node that was added as number `index`, from 0, whether it still runs or not. Raises IndexError."""
        if not -len(self._nodes) <= index < len(self._nodes):
            raise IndexError(f"no member {index}: {len(self._nodes)} have been added, counted from 0")
        return self._nodes[index]

    def members(self) -> list["Node"]:
        """List the nodes that run."""
        return [node for node in self._nodes if node.state == "serving"]

    @property
    def member_count(self) -> int:
        """How many nodes run."""
        return len(self.members())

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and RESP port of each node that runs, in the order in which they were added."""
        return [node.address for node in self.members()]

    @property
    def node_urls(self) -> list[str]:
        """The same as URLs, such as redis://127.0.0.1:6379."""
        return ["redis://{}:{}".format(*address) for address in self.addresses]

    @property
    def url(self) -> str:
        """The URL of the first node that runs; it answers for the whole cluster. Raises NodeClosed if none runs."""
        for url in self.node_urls:
            return url
        raise NodeClosed(f"none of the {len(self._nodes)} nodes runs")

    async def kill(self, index: int) -> None:
        """Stop a node without a word to the others, as a crash would."""
        await self.member(index).kill()

    async def close(self, index: int) -> bool:
        """Have a node hand its keys over and leave. Returns whether it could hand over all of them in time."""
        return await self.member(index).close()

    async def wait_for_convergence(self, members: int | None = None, timeout_s: float = CONVERGENCE_TIMEOUT_S) -> None:
        """Wait until every running node sees exactly `members` nodes, all slots served by them.

        By default as many as run. Raises NotConverged.
        """
        wanted = self.member_count if members is None else members
        await self._until(lambda: all(_sees(node, wanted) for node in self.members()), timeout_s, f"{wanted} members")

    async def wait_for_copies(self, timeout_s: float = CONVERGENCE_TIMEOUT_S) -> None:
        """Wait until any one more node may die, and the copies are where they stay.

        That is when all running nodes agree on who runs, every key has all of its copies and none
        beyond them, and three nodes or more could decide on owners without one of them. Raises
        NotConverged.
        """

        def complete() -> bool:
            running = self.members()
            spare = int(len(running) >= DECIDING)
            return all(
                _sees(node, len(running))
                and node.copies_missing == node.copies_surplus == node.primaries_pending == 0
                and node.voters_spare >= spare
                for node in running
            )

        await self._until(complete, timeout_s, "all copies")

    async def shutdown(self) -> None:
        """Stop all nodes at once; nothing is handed over. Once is enough, more do no harm."""
        await asyncio.gather(*(node.kill() for node in self._nodes))

    async def _until(self, condition: Callable[[], bool], timeout_s: float, goal: str) -> None:
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                views = "".join(f"\n  {_view(index, node)}" for index, node in enumerate(self._nodes))
                raise NotConverged(f"not {goal} within {timeout_s:g} s:{views}")
            await asyncio.sleep(POLL_S)


class LocalCluster:
    """Nodes on an event loop of their own in a background thread, for clients that block.

    new --start--> running --shutdown--> closed
    """

    def __init__(self, nodes: int = 3, **settings: Setting) -> None:
        """`settings` hold for every node unless it is given its own."""
        self._initial: Final = nodes
        self._cluster: Final = Cluster(0, **settings)
        self._loop: Final = _new_event_loop()
        self._thread: Final = threading.Thread(target=self._loop.run_forever, name="respcache-cluster", daemon=True)

    def __enter__(self) -> Self:
        """Start; see `start`."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut down; see `shutdown`."""
        self.shutdown()

    def start(self) -> None:
        """Start the nodes, and wait until they see each other. Raises what `Node.start` raises."""
        self._thread.start()
        try:
            for _ in range(self._initial):
                self.add_member()
            self.wait_for_convergence()
        except BaseException:
            self.shutdown()
            raise

    def shutdown(self) -> None:
        """Stop all nodes at once, and the thread. Once is enough, more do no harm."""
        if self._loop.is_closed():
            return
        if self._thread.is_alive():
            self.run(self._cluster.shutdown())
            self.run(self._loop.shutdown_asyncgens())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(THREAD_TIMEOUT_S)
        self._loop.close()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and RESP port of each node that runs; see `Cluster.addresses`."""
        return self._cluster.addresses

    @property
    def node_urls(self) -> list[str]:
        """The same as URLs; see `Cluster.node_urls`."""
        return self._cluster.node_urls

    @property
    def url(self) -> str:
        """The URL of a node that runs; see `Cluster.url`."""
        return self._cluster.url

    @property
    def member_count(self) -> int:
        """How many nodes run."""
        return self._cluster.member_count

    def member(self, index: int) -> "Node":
        """Give the node that was added as number `index`; what it does, it does on the thread (see `run`)."""
        return self._cluster.member(index)

    def members(self) -> list["Node"]:
        """List the nodes that run."""
        return self._cluster.members()

    def add_member(self, **overrides: Setting) -> "Node":
        """Start a node that joins the running ones; see `Cluster.add_member`."""
        return self.run(self._cluster.add_member(**overrides))

    def kill(self, index: int) -> None:
        """Stop a node without a word to the others; see `Cluster.kill`."""
        self.run(self._cluster.kill(index))

    def close(self, index: int) -> bool:
        """Have a node hand its keys over and leave; see `Cluster.close`."""
        return self.run(self._cluster.close(index))

    def wait_for_convergence(self, members: int | None = None, timeout_s: float = CONVERGENCE_TIMEOUT_S) -> None:
        """Wait until every running node sees exactly `members` nodes; see `Cluster.wait_for_convergence`."""
        self.run(self._cluster.wait_for_convergence(members, timeout_s), timeout_s)

    def wait_for_copies(self, timeout_s: float = CONVERGENCE_TIMEOUT_S) -> None:
        """Wait until one more node may die and no copy is too many; see `Cluster.wait_for_copies`."""
        self.run(self._cluster.wait_for_copies(timeout_s), timeout_s)

    def run(self, work: Coroutine[object, object, Result], timeout_s: float = 0.0) -> Result:
        """Do something on the thread of the nodes, and give its result. `timeout_s` is what it may take by itself.

        Raises NodeClosed before `start` and after `shutdown`, when there is no such thread.
        """
        if not self._thread.is_alive() or self._loop.is_closed():
            work.close()
            raise NodeClosed("the cluster has not been started yet, or has been shut down")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(THREAD_TIMEOUT_S + timeout_s)


@pytest.fixture
def respcache_cluster() -> type[Cluster]:
    """Make clusters on a test's own event loop: what is given is the class `Cluster`."""
    return Cluster


@pytest.fixture
def respcache_local_cluster() -> Iterator[LocalCluster]:
    """Run three nodes in a thread for one test; `url` and `node_urls` are for any Redis client."""
    with LocalCluster(nodes=3) as cluster:
        yield cluster


def _config(settings: dict[str, Setting]) -> "Config":
    """Put the configuration of one node together. Raises ConfigError."""
    import msgspec  # noqa: PLC0415 # see above

    from respcache import config, options  # noqa: PLC0415 # see above

    known = {
        f"{option.section}_{option.field}" if option.name != option.key else option.field: option
        for option in options.OPTIONS
    }
    sections: dict[str, dict[str, Setting]] = {section: {} for section in options.SECTIONS}
    chosen = {**DEFAULTS, **settings}
    for name, value in chosen.items():
        if name not in known:
            raise options.unknown("setting", name, known, "cluster for tests")
        sections[known[name].section][known[name].field] = value
    for name, value in chosen.items():
        try:
            options.SECTIONS[known[name].section](**{known[name].field: value})  # it says in words what is wrong
        except ConfigError as problem:
            raise ConfigError(str(problem).replace(known[name].field, name, 1)) from None
    return msgspec.convert(sections, config.Config)


def _sees(node: "Node", wanted: int) -> bool:
    members = node.members()
    served = sum(last - first + 1 for member in members for first, last in member.slots)
    return len(members) == wanted and served == SLOTS


def _view(index: int, node: "Node") -> str:
    if node.state != "serving":
        return f"{index}: {node.state}"
    seen = ", ".join(
        f"{member.name} {member.state} with {sum(last - first + 1 for first, last in member.slots)} slots"
        for member in node.members()
    )
    return (
        f"{index}: {node.name} sees {seen}; {node.copies_missing} copies missing, {node.copies_surplus} too many, "
        f"{node.primaries_pending} primaries to move, "
        f"{node.voters_spare} voters to spare"
    )


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """Make the kind of event loop that a server has."""
    try:
        import uvloop  # noqa: PLC0415 # it is not there on every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
