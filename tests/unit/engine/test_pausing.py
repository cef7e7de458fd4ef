"""CLIENT PAUSE: commands held up, and run afterwards in their order."""

from hashlib import sha1

import pytest

from respcache.commands.resolving import resolve
from respcache.commands.session import Session
from respcache.engine.pausing import Postponed
from respcache.pending import Pending
from unit.alone import Alone


class Paused:
    """A node whose clients can be held up."""

    def __init__(self) -> None:
        self.node = Alone()
        self.front = self.node.front
        self.front.rerun = self.node.executor.alone
        self.client = self.front.client()

    def run(self, session: Session, line: bytes) -> bytes | Pending:
        """Run one command."""
        [reply] = self.node.run(session, line)
        return reply

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.front.now_s += seconds
        for alarm in self.front.alarms:
            if alarm.due_s <= self.front.now_s and not alarm.cancelled:
                alarm.callback()


@pytest.fixture
def paused() -> Paused:
    """One node."""
    return Paused()


def test_all_commands_wait_until_the_time_is_over(paused: Paused) -> None:
    """Of clients that come meanwhile, too; they count as blocked, and those behind them wait."""
    other = paused.front.client()
    assert paused.run(paused.client, b"CLIENT PAUSE 500") == b"+OK\r\n"
    newcomer = paused.front.client()
    replies = [paused.run(session, b"SET key value") for session in (other, newcomer)]
    assert [isinstance(reply, Postponed) for reply in replies] == [True, True]
    assert [session.barrier for session in (other, newcomer)] == replies
    assert other.is_blocked
    assert not paused.front.host.store.keyspace(0).at(b"key").values
    paused.pass_time(0.499)
    assert [reply.wire for reply in replies if isinstance(reply, Pending)] == [None, None]
    paused.pass_time(0.001)
    assert [reply.wire for reply in replies if isinstance(reply, Pending)] == 2 * [b"+OK\r\n"]
    assert not any(session.restricted or session.is_blocked for session in (other, newcomer, paused.client))
    assert paused.run(other, b"GET key") == b"$5\r\nvalue\r\n"


def test_no_key_expires_meanwhile(paused: Paused) -> None:
    """However the pause ends, and whatever it holds up."""
    ledger = paused.front.host.store.ledger

    def keeps() -> bool:
        return ledger.keeps_expired

    assert paused.run(paused.client, b"CLIENT PAUSE 500 WRITE") == b"+OK\r\n"
    assert keeps()
    paused.pass_time(0.5)
    assert not keeps()
    assert paused.run(paused.client, b"CLIENT PAUSE 500 ALL") == b"+OK\r\n"
    assert keeps()
    paused.front.host.pause.end()
    assert not keeps()


def test_writes_alone_can_be_held_up(paused: Paused) -> None:
    """Publishing is one of them, and a transaction is that holds one."""
    for session in (paused.client, other := paused.front.client()):
        paused.run(session, b"MULTI")
    paused.run(paused.client, b"GET key")
    paused.run(other, b"SET key value")
    paused.run(third := paused.front.client(), b"CLIENT PAUSE 500 WRITE")
    assert paused.run(third, b"GET key") == b"$-1\r\n"

    def holds(session: Session, line: bytes) -> bool:
        argv = line.split(b" ")
        return paused.front.host.pause.holds(session, resolve(argv), argv)

    assert holds(third, b"PUBLISH c m")
    assert holds(third, b"EVAL return 0")
    assert holds(third, b"EVALSHA unknown 0")
    assert holds(third, b"FCALL unknown 0")
    assert not holds(third, b"EVAL_RO return 0")
    assert holds(other, b"EXEC")
    assert not holds(paused.client, b"EXEC")
    assert paused.run(third, b"CLIENT UNPAUSE") == b"+OK\r\n"
    assert not holds(other, b"EXEC")


def test_scripts_that_only_read_are_not_held_up_with_writes(paused: Paused) -> None:
    """If they say so in their first line: what a script without one does is not known before."""
    reads, writes = b"#!lua flags=no-writes\nreturn 1", b"#!lua\nreturn 1"
    digest = sha1(reads, usedforsecurity=False).hexdigest().encode()
    pause = paused.front.host.pause
    pause.begin(500, writes_only=True)
    eval_, evalsha = resolve([b"EVAL", reads, b"0"]), resolve([b"EVALSHA", digest, b"0"])
    assert not pause.holds(paused.client, eval_, [b"EVAL", reads, b"0"])
    assert not pause.holds(paused.client, evalsha, [b"EVALSHA", digest, b"0"])
    assert pause.holds(paused.client, eval_, [b"EVAL", writes, b"0"])
    pause.begin(500, writes_only=False)
    assert pause.holds(paused.client, eval_, [b"EVAL", reads, b"0"])


def test_the_last_word_counts(paused: Paused) -> None:
    """A later pause takes the place of an earlier one, with its length and kind."""
    paused.run(paused.client, b"CLIENT PAUSE 100000 WRITE")
    paused.run(paused.client, b"CLIENT PAUSE 10 WRITE")
    paused.pass_time(0.01)
    assert not paused.front.host.pause.is_on
    assert all(alarm.cancelled or alarm.due_s <= paused.front.now_s for alarm in paused.front.alarms)


def test_a_client_that_is_gone_has_nothing_run(paused: Paused) -> None:
    """And CLIENT UNBLOCK does not end a pause."""
    paused.run(paused.client, b"CLIENT PAUSE 500 WRITE")
    other = paused.front.client()
    reply = paused.run(other, b"SET key value")
    assert isinstance(reply, Postponed)
    assert paused.run(paused.client, b"CLIENT UNBLOCK %d" % other.client_id) == b":0\r\n"
    reply.abandon()
    paused.run(paused.client, b"CLIENT UNPAUSE")
    assert reply.wire is None
    assert not paused.front.host.store.keyspace(0).at(b"key").values


def test_a_client_that_another_kills_as_the_pause_ends_has_nothing_run(paused: Paused) -> None:
    """Its command came in behind the one that kills it."""
    victim = paused.front.client()
    paused.run(paused.client, b"CLIENT PAUSE 500")
    paused.run(paused.front.client(), b"CLIENT KILL ID %d" % victim.client_id)
    paused.run(victim, b"SET key value")
    paused.pass_time(0.5)
    assert victim.killed
    assert not paused.front.host.store.keyspace(0).at(b"key").values


def test_what_was_begun_after_a_pause_ends_with_its_client(paused: Paused) -> None:
    """It is told to what the command waits for, through a second pause too; until then the next commands wait."""
    other, third = paused.front.client(), paused.front.client()
    paused.run(paused.client, b"CLIENT PAUSE 500")
    pauser = paused.run(paused.client, b"CLIENT PAUSE 500")
    first, second = paused.run(other, b"BLPOP key 0"), paused.run(third, b"BLPOP key 0")
    assert isinstance(pauser, Pending)
    assert isinstance(first, Pending)
    assert isinstance(second, Pending)
    paused.pass_time(0.5)
    assert pauser.wire == b"+OK\r\n"
    assert paused.front.host.pause.is_on
    first.abandon()
    assert other.blocked is None
    paused.pass_time(0.5)
    assert paused.node.away.asked == [[b"BLPOP", b"key", b"0"]]
    assert third.barrier is not None
    [waiting] = paused.node.away.waiting
    told: list[bytes | None] = []
    waiting.also(lambda: told.append(waiting.wire))
    second.abandon()
    waiting.resolve(b"*-1\r\n")
    assert told == []
    assert second.wire is None


def test_a_pause_without_an_end_is_none(paused: Paused) -> None:
    """As in Redis, where the time of its end is beyond 64 bits, and in the past."""
    assert paused.run(paused.client, b"CLIENT PAUSE 9223372036854775807") == b"+OK\r\n"
    assert paused.run(paused.client, b"PING") == b"+PONG\r\n"
