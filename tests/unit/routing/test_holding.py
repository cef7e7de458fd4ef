"""Replies wait until the effects of their commands are safe, and never for much longer than commands may take."""

from collections.abc import Sequence

import pytest

from respcache.cluster.replication.log import Gate
from respcache.engine.executor import Out
from respcache.pending import Pending
from respcache.routing.holding import Held

TIMEOUT_S = 5.0


class Town:
    """A clock, and gates that the test opens."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.gate: Gate | None = None
        self.held = Held(lambda _: self.gate, clock=lambda: self.now_s, timeout_s=TIMEOUT_S)
        self.sent: dict[int, bytes | None] = {}

    def close(self) -> Gate:
        """Have what is held from now on wait for a new gate."""
        self.gate = Gate([], {})
        return self.gate

    def hold(self, replies: Sequence[bytes | Pending], runs: Sequence[tuple[int, bool | None]] = ((0, True),)) -> Out:
        """Hold a client's replies, to writes unless `runs` says something else."""
        out: Out = list(replies)
        self.held.hold_all(out, [], list(runs))
        return out

    def resolve(self, gate: Gate, *, committed: bool) -> None:
        """Open a gate, or let it be known that nobody can."""
        gate.committed = committed
        self.held.resolved([gate])

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds
        self.held.sweep()


def wires(out: Out) -> list[bytes | None]:
    """Give what has been answered, None where nothing was yet."""
    return [reply.wire if isinstance(reply, Pending) else reply for reply in out]


def test_what_is_safe_is_not_held() -> None:
    """Without a gate replies and answers go at once."""
    town = Town()
    assert town.held.hold(b"+OK\r\n", [], writes=True) == b"+OK\r\n"
    assert town.hold([b"+OK\r\n"]) == [b"+OK\r\n"]
    town.held.hold_answers([(7, b":1\r\n", True)], [], town.sent.__setitem__)
    assert town.sent == {7: b":1\r\n"}


def test_replies_that_stand_together_wait_as_one() -> None:
    """Behind one that was pending already they are another."""
    town, pending = Town(), Pending()
    gate = town.close()
    out = town.hold([b"+OK\r\n", b":1\r\n", pending, b"$-1\r\n"])
    assert wires(out) == [None, None, None]
    town.resolve(gate, committed=True)
    assert wires(out) == [b"+OK\r\n:1\r\n", None, b"$-1\r\n"]


def test_a_gate_that_nobody_can_open_leaves_every_command_in_doubt() -> None:
    """Each gets an error of its own: a client counts them."""
    town = Town()
    gate = town.close()
    out = town.hold([b"+OK\r\n", b":1\r\n"])
    town.held.hold_answers([(7, b":1\r\n", True)], [], town.sent.__setitem__)
    town.resolve(gate, committed=False)
    (wire,) = wires(out)
    assert wire is not None
    assert [line.split()[0] for line in wire.splitlines()] == [b"-UNCERTAIN"] * 2
    assert (town.sent[7] or b"").startswith(b"-UNCERTAIN ")


def test_only_writes_are_left_in_doubt() -> None:
    """A read has changed nothing, nor has a write that was refused; what depends on no effect is sent as it is."""
    town, pending = Town(), Pending()
    gate = town.close()
    early, pong, read, refused, doubtful = (
        b"$1\r\nx\r\n",
        b"+PONG\r\n",
        b"$1\r\ny\r\n",
        b"-ERR no\r\n",
        b"-UNCERTAIN a\r\n",
    )
    replies: Out = [early, b"+OK\r\n", read, pending, read, pong, pong, refused, doubtful, b":2\r\n", read]
    out = town.hold(replies, [(1, True), (2, False), (5, None), (7, True), (10, False)])
    town.resolve(gate, committed=False)
    pending.resolve(b"*0\r\n")
    wire = b"".join(reply or b"" for reply in wires(out))
    told = [line.split()[0] for line in wire.replace(early, b"x\r\n").splitlines()]
    up_to_pending = [b"x", b"-UNCERTAIN", b"-CLUSTERDOWN", b"*0"]
    behind = [b"-CLUSTERDOWN", b"+PONG", b"+PONG", b"-CLUSTERDOWN", b"-UNCERTAIN", b"-UNCERTAIN", b"-CLUSTERDOWN"]
    assert told == up_to_pending + behind


@pytest.mark.parametrize(("writes", "code"), [(True, b"-UNCERTAIN"), (False, b"-CLUSTERDOWN")])
def test_a_reply_or_answer_alone_is_in_doubt_if_it_is_of_a_write(writes: bool, code: bytes) -> None:  # noqa: FBT001 # both kinds
    """However it comes to that: by a new owner, or by silence."""
    town = Town()
    for committed in (False, None):
        gate = town.close()
        reply = town.held.hold(b":1\r\n", [], writes=writes)
        town.held.hold_answers([(7, b":1\r\n", writes)], [], town.sent.__setitem__)
        if committed is None:
            town.wait(TIMEOUT_S)
        else:
            town.resolve(gate, committed=committed)
        told = [*wires([reply]), town.sent.pop(7)]
        assert [(wire or b"").split()[0] for wire in told] == [code] * 2


def test_the_error_in_which_a_script_ends_does_not_say_that_it_has_written_nothing() -> None:
    """A command that is refused has no effects to wait for, and is not held; a script that fails halfway is."""
    town = Town()
    gate = town.close()
    reply = town.held.hold(b"-ERR script failed\r\n", [], writes=True)
    town.resolve(gate, committed=False)
    (wire,) = wires([reply])
    assert (wire or b"").startswith(b"-UNCERTAIN ")


def test_nothing_waits_longer_than_the_time_limit() -> None:
    """When it is over the client is told that nobody knows; what the gate says later is about nobody."""
    town = Town()
    first = town.close()
    early = town.hold([b"+OK\r\n", b"+OK\r\n"])
    town.wait(TIMEOUT_S / 2)
    second = town.close()
    late = town.hold([b":2\r\n"])
    town.held.hold_answers([(7, b":3\r\n", True)], [], town.sent.__setitem__)
    town.wait(TIMEOUT_S / 2)
    (wire,) = wires(early)
    assert wire == b"-UNCERTAIN Not all copies of the key confirmed the command in time\r\n" * 2
    assert wires(late) == [None]
    assert town.sent == {}
    town.resolve(first, committed=True)
    assert wires(early) == [wire]
    town.resolve(second, committed=True)
    assert wires(late) == [b":2\r\n"]
    assert town.sent == {7: b":3\r\n"}
    town.wait(TIMEOUT_S)
    assert town.sent == {7: b":3\r\n"}


def test_a_gate_that_was_given_up_may_be_waited_for_again() -> None:
    """What comes to it later has the whole time."""
    town = Town()
    gate = town.close()
    town.hold([b"+OK\r\n"])
    town.wait(TIMEOUT_S)
    out = town.hold([b":1\r\n"])
    town.wait(TIMEOUT_S - 1.0)
    assert wires(out) == [None]
    town.resolve(gate, committed=True)
    assert wires(out) == [b":1\r\n"]


def test_what_nobody_has_asked_for_is_called_once_it_is_safe_and_in_doubt_only_if_wanted() -> None:
    """Nothing is called of what is safe already, nor without any effects to wait for."""
    town, called = Town(), list[str]()
    log = object()
    assert not town.held.when_safe([log], lambda: called.append("safe"), or_in_doubt=True)  # type: ignore[list-item] # only handed on
    gate = town.close()
    assert not town.held.when_safe([], lambda: called.append("none"), or_in_doubt=True)
    for name, wanted in (("always", True), ("certain", False)):
        assert town.held.when_safe([log], lambda name=name: called.append(name), or_in_doubt=wanted)  # type: ignore[list-item,misc] # the same
    town.resolve(gate, committed=False)
    assert called == ["always"]


def test_replies_that_come_too_late_may_let_others_go() -> None:
    """The last of them resolves a gate that is about to be given up, too."""
    town = Town()
    town.close()
    early = town.hold([b"+OK\r\n"])
    second = town.close()
    late = town.hold([b":2\r\n"])
    assert isinstance(early[0], Pending)
    early[0].then(lambda: town.resolve(second, committed=True))
    town.wait(TIMEOUT_S)
    assert wires(late) == [b":2\r\n"]
