"""Replies that wait until the effects of their commands are safe, behind gates."""

from collections.abc import Callable, Iterable
from typing import Final

from respcache.cluster.replication.log import Gate
from respcache.errors import Uncertain
from respcache.executor import Out
from respcache.pending import Pending
from respcache.resp.encode import error
from respcache.store.partition import Log


class Held:
    """All replies of one node that wait."""

    def __init__(self, gate_of: Callable[[list[Log]], Gate | None]) -> None:
        """`gate_of` gives what is to be waited for until the effects in some logs are safe; None if they are."""
        self._gate_of: Final = gate_of
        self._behind: Final[dict[Gate, list[_Replies | _Answers]]] = {}

    def hold(self, wire: bytes, logs: list[Log]) -> bytes | Pending:
        """Keep a reply until the effects in `logs` are safe."""
        replies: Out = [wire]
        self.hold_all(replies, logs)
        return replies[0]

    def hold_all(self, replies: Out, logs: list[Log]) -> None:
        """Keep a client's replies, in place: those that stand together become one."""
        gate = self._gate_of(logs)
        if gate is None:
            return
        held = self._behind.setdefault(gate, [])
        kept: Out = []
        run: list[bytes] = []
        for reply in replies:
            if type(reply) is bytes:
                run.append(reply)
                continue
            if run:
                kept.append(_Replies(run))
                run = []
            kept.append(reply)
        if run:
            kept.append(_Replies(run))
        held += [reply for reply in kept if isinstance(reply, _Replies)]
        replies[:] = kept

    def hold_answers(
        self, answers: list[tuple[int, bytes]], logs: list[Log], send: Callable[[int, bytes | None], None]
    ) -> None:
        """Keep answers to a peer, by number; `send` is called for each once they may go."""
        gate = self._gate_of(logs)
        if gate is None:
            for number, wire in answers:
                send(number, wire)
            return
        self._behind.setdefault(gate, []).append(_Answers(answers, send))

    def resolved(self, gates: Iterable[Gate]) -> None:
        """Let the replies go whose effects are safe, or can no longer become so."""
        for gate in gates:
            for held in self._behind.pop(gate, ()):
                held.release(safe=bool(gate.committed))


class _Replies(Pending):
    """Finished replies of one client."""

    __slots__ = ("_replies",)

    def __init__(self, replies: list[bytes]) -> None:
        super().__init__()
        self._replies = replies

    def release(self, *, safe: bool) -> None:
        """Send the replies; or as many errors, if nobody can tell what became of the effects."""
        if safe:
            self.resolve(b"".join(self._replies))
        else:
            self.resolve(error(Uncertain()) * len(self._replies))


class _Answers:
    """Finished replies for one peer."""

    __slots__ = ("_answers", "_send")

    def __init__(self, answers: list[tuple[int, bytes]], send: Callable[[int, bytes | None], None]) -> None:
        self._answers = answers
        self._send = send

    def release(self, *, safe: bool) -> None:
        """Send the answers; or as many errors."""
        for number, wire in self._answers:
            self._send(number, wire if safe else error(Uncertain()))
