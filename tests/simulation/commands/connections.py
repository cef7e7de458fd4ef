"""Connections of simulated clients, which do with what comes in what those of the program do, but for the sockets."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from respcache.engine.executor import Executor, Out
from respcache.pending import Pending
from respcache.resp.decode import Decoder
from respcache.resp.encode import request
from respcache.routing.merging import elements
from respcache.routing.sheaf import Sheaf
from respcache.store.partition import Argv

if TYPE_CHECKING:
    from simulation.commands.node import CommandNode


class Connection:
    """A client of a node: it sends one request, one transaction or one pipeline at a time."""

    def __init__(self, node: "CommandNode") -> None:
        self._node: Final = node
        self._session: Final = node.front.client()
        self._decoder: Final = Decoder()
        self._replies: Out = []
        self._taken = b""
        self._expected = 0
        self._done: Callable[[list[bytes] | None], None] | None = None

    def send(self, requests: Sequence[Argv], done: Callable[[list[bytes] | None], None]) -> None:
        """Have requests run; `done` gets the replies, or None once the connection is lost."""
        assert self._done is None, "one at a time"
        self._done, self._expected = done, len(requests)
        self._node.connections[self] = None
        self._node.run(self, requests)

    def run(self, executor: Executor, requests: Sequence[Argv]) -> None:
        """Run what has come in."""
        if self._done is None:
            return  # it has hung up before
        self._decoder.feed(b"".join(request(argv) for argv in requests))
        self._go_on(executor)

    def _go_on(self, executor: Executor) -> None:
        """Run what nothing holds up, as the connections of the program do."""
        out: Out = []
        executor.batch(self._session, self._decoder, out)
        self._replies += out
        barrier = self._session.barrier
        if out and barrier is not None and out[-1] is barrier:
            barrier.also(lambda: self._passed(executor))
        self._arrived(executor)

    def _passed(self, executor: Executor) -> None:
        """Run what stands behind a command that has been answered by now."""
        if self._done is not None:
            self._session.barrier = None
            if self._session.is_held_up:
                self._arrived(executor)
            else:
                self._node.go_on_behind(lambda: self._go_on(executor))

    def _arrived(self, executor: Executor) -> None:
        """Take replies up to the first that is missing. Without any go on, if that is all, or keys had moved."""
        queue = self._replies
        while queue:
            reply = queue[0]
            if isinstance(reply, Pending):
                if reply.wire is None:
                    reply.then(lambda: self._arrived(executor))
                    return
                self._taken += reply.wire
                if isinstance(reply, Sheaf):
                    reply.take()
            else:
                self._taken += reply
            del queue[0]
        if self._done is None:
            return
        wires = elements(b"*\r\n" + self._taken)  # some that have waited together are one
        if len(wires) == self._expected:
            self._answered(wires)
        elif self._session.is_held_up and self._session.barrier is None:
            self._session.go_on()
            self._go_on(executor)

    def _answered(self, wires: list[bytes]) -> None:
        done, self._done = self._done, None
        assert done is not None
        session = self._session
        session.barrier = None
        if session.is_displaced:
            session.go_on()
        self._taken = b""
        del self._node.connections[self]
        done(wires)

    def hang_up(self) -> None:
        """End the connection: nobody hears of what is under way."""
        done, self._done = self._done, None
        for reply in self._replies:
            if isinstance(reply, Pending):
                reply.abandon()
        self._replies = []
        self._node.connections.pop(self, None)
        if done is not None:
            done(None)

    def lost(self) -> None:
        """Hear that the node is gone."""
        done, self._done = self._done, None
        if done is not None:
            done(None)
