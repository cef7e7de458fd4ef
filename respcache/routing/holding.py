"""Replies that wait until the effects of their commands are safe, behind gates.

    held --gate opens--------------------------------> sent
      `-- this node is no primary any more ----------> as many errors
      `-- a time limit passes, and nothing is known --> the same

Of a write nobody can tell then (UNCERTAIN). What a read has found may be lost; the read itself has certainly changed
nothing (CLUSTERDOWN), and neither has a write that was refused. What depends on no effect is sent as it is.

Without the time limit a client would wait for as long as no majority agrees on new owners: its copies are
silent, or gone, and nobody may take them off the record.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from respcache.cluster.replication.log import Gate
from respcache.engine.executor import Out
from respcache.engine.routes import Runs
from respcache.errors import ClusterDown, Uncertain
from respcache.pending import Pending
from respcache.resp.encode import error
from respcache.store.partition import Log

UNCERTAIN: Final = b"-%b " % Uncertain.code.encode()


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why nobody can tell what becomes of some effects."""

    write: bytes
    """What is told of a command that may have had some of them."""
    read: bytes
    """What is told of one that has had none, and may have seen them."""

    def of(self, *, writes: bool) -> bytes:
        """Say what is told instead of a reply."""
        return self.write if writes else self.read


LOST: Final = Doubt(
    error(Uncertain()), error(ClusterDown("The owner of the key was lost before what it answered was confirmed"))
)
SILENT: Final = Doubt(
    error(Uncertain("Not all copies of the key confirmed the command in time")),
    error(ClusterDown("Not all copies of the key confirmed what was answered in time")),
)


class Held:
    """All replies of one node that wait."""

    def __init__(
        self, gate_of: Callable[[list[Log]], Gate | None], *, clock: Callable[[], float], timeout_s: float
    ) -> None:
        """`gate_of` gives what is to be waited for until the effects in some logs are safe; None if they are.

        `clock` gives monotonic seconds, and nothing waits for much longer than `timeout_s`.
        """
        self._gate_of: Final = gate_of
        self._clock: Final = clock
        self._timeout_s: Final = timeout_s
        self._behind: Final[dict[Gate, _Behind]] = {}

    def hold(self, wire: bytes, logs: list[Log], *, writes: bool) -> bytes | Pending:
        """Keep the reply of a command, which may be one that writes, until the effects in `logs` are safe."""
        gate = self._gate_of(logs)
        if gate is None:
            return wire
        held = _Reply(wire, writes=writes)
        self._at(gate).held.append(held)
        return held

    def hold_all(self, replies: Out, logs: list[Log], runs: Runs) -> None:
        """Keep a client's replies, in place: those that stand together become one. `runs` says what they are of."""
        gate = self._gate_of(logs)
        if gate is None:
            return
        held = self._at(gate).held
        kept: Out = []
        together: list[bytes] = []
        place = 0
        for reply in replies:
            if type(reply) is bytes:
                together.append(reply)
                continue
            if together:
                waiting = _Replies(together, place, runs)
                held.append(waiting)
                kept.append(waiting)
                place += len(together)
                together = []
            kept.append(reply)
            place += 1
        if together:
            waiting = _Replies(together, place, runs)
            held.append(waiting)
            kept.append(waiting)
        replies[:] = kept

    def hold_answers(
        self, answers: list[tuple[int, bytes, bool]], logs: list[Log], send: Callable[[int, bytes | None], None]
    ) -> None:
        """Keep answers to a peer, by number, of commands that may write; `send` is called for each once they may go."""
        gate = self._gate_of(logs)
        if gate is None:
            for number, wire, _ in answers:
                send(number, wire)
            return
        self._at(gate).held.append(_Answers(answers, send))

    def when_safe(self, logs: list[Log], call: Callable[[], None], *, or_in_doubt: bool) -> bool:
        """Tell whether the effects in `logs` are not safe yet: then `call` is called once they are.

        If they can no longer become so, or nobody knows for too long, it is called with `or_in_doubt`, else never.
        """
        gate = self._gate_of(logs) if logs else None
        if gate is None:
            return False
        self._at(gate).held.append(_Call(call, or_in_doubt=or_in_doubt))
        return True

    def _at(self, gate: Gate) -> "_Behind":
        behind = self._behind.get(gate)
        if behind is None:
            behind = self._behind[gate] = _Behind(self._clock() + self._timeout_s)
        return behind

    def resolved(self, gates: Iterable[Gate]) -> None:
        """Let the replies go whose effects are safe, or can no longer become so."""
        for gate in gates:
            behind = self._behind.pop(gate, None)
            if behind is not None:
                for held in behind.held:
                    held.release(LOST if not gate.committed else None)

    def sweep(self) -> None:
        """Give up on what has waited for too long. To be called several times a second."""
        now = self._clock()
        late: list[Gate] = []
        for gate, waiting in self._behind.items():  # in the order of their deadlines
            if waiting.deadline_s > now:
                break
            late.append(gate)
        for gate in late:
            behind = self._behind.pop(gate, None)  # what one lets go may resolve another
            for held in () if behind is None else behind.held:
                held.release(SILENT)


class _Behind:
    """What waits for one gate."""

    __slots__ = ("deadline_s", "held")

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s: Final = deadline_s
        """That of the first; the others came within the same turn of the event loop, or little later."""
        self.held: Final[list[_Reply | _Replies | _Answers | _Call]] = []


class _Reply(Pending):
    """The finished reply of one command that has effects, or has seen some; that of a script may be an error."""

    __slots__ = ("_wire", "_writes")

    def __init__(self, wire: bytes, *, writes: bool) -> None:
        super().__init__()
        self._wire = wire
        self._writes = writes

    def release(self, doubt: Doubt | None) -> None:
        """Send the reply; or an error."""
        self.resolve(self._wire if doubt is None else doubt.of(writes=self._writes))


class _Replies(Pending):
    """Finished replies of one client's batch. What was refused has no effects: scripts have replies of their own."""

    __slots__ = ("_begin", "_replies", "_runs")

    def __init__(self, replies: list[bytes], begin: int, runs: Runs) -> None:
        """`begin` is the place of the first among those that `runs` is about."""
        super().__init__()
        self._replies = replies
        self._begin = begin
        self._runs = runs

    def release(self, doubt: Doubt | None) -> None:
        """Send the replies; or errors instead of those that depend on effects of which nobody can tell what became."""
        self.resolve(b"".join(self._replies if doubt is None else self._doubted(doubt)))

    def _doubted(self, doubt: Doubt) -> list[bytes]:
        told: list[bytes] = []
        writes: bool | None = None
        at, runs = 0, self._runs
        for place, wire in enumerate(self._replies, start=self._begin):
            while at < len(runs) and runs[at][0] <= place:
                writes = runs[at][1]
                at += 1
            told.append(wire if writes is None else doubt.of(writes=writes and not _refused(wire)))
        return told


class _Answers:
    """Finished replies for one peer."""

    __slots__ = ("_answers", "_send")

    def __init__(self, answers: list[tuple[int, bytes, bool]], send: Callable[[int, bytes | None], None]) -> None:
        self._answers = answers
        self._send = send

    def release(self, doubt: Doubt | None) -> None:
        """Send the answers; or as many errors."""
        for number, wire, writes in self._answers:
            self._send(number, wire if doubt is None else doubt.of(writes=writes))


class _Call:
    """Something that nobody has asked for."""

    __slots__ = ("_call", "_or_in_doubt")

    def __init__(self, call: Callable[[], None], *, or_in_doubt: bool) -> None:
        self._call = call
        self._or_in_doubt = or_in_doubt

    def release(self, doubt: Doubt | None) -> None:
        """Call, if it is wanted with what became of the effects."""
        if doubt is None or self._or_in_doubt:
            self._call()


def _refused(wire: bytes) -> bool:
    return wire.startswith(b"-") and not wire.startswith(UNCERTAIN)
