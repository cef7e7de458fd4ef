"""WAIT, asked of all owners: never too great a number, and no longer than the client has time."""

import heapq
from collections.abc import Callable

import pytest

from respcache.commands.session import Session
from respcache.pending import Pending
from respcache.resp.encode import integer
from respcache.routing.assurance import AGAIN_S, GRACE_S, RENEW_S, Assurance
from unit.neighbours import NAMES, Street, arrived, key_of


class Timer:
    """Rings once, unless it was cancelled."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self.ring = ring
        self.cancelled = False

    def cancel(self) -> None:
        """Do not ring."""
        self.cancelled = True


class Town:
    """Three nodes; clients of the first one wait."""

    def __init__(self) -> None:
        self.street = Street()
        self.timers: list[tuple[float, int, Timer]] = []
        self.breaks = 0
        node = self.street.nodes["a"]
        self.waiting = Assurance(
            node.router, breaks=lambda: self.breaks, clock=lambda: self.street.now, later=self.later
        )
        node.front.host.wait = self.waiting.wait
        node.front.host.breaks = lambda: self.breaks
        self.client = self.street.client()

    def later(self, delay_s: float, ring: Callable[[], None]) -> Timer:
        """Set a timer."""
        timer = Timer(ring)
        heapq.heappush(self.timers, (self.street.now + delay_s, len(self.timers), timer))
        return timer

    def wait(self, *words: bytes, client: Session | None = None) -> bytes | Pending:
        """Send a command."""
        out = self.street.nodes["a"].batch(client or self.client, words)
        self.street.settle()
        return out[0]

    def answer(self, name: str, count: int) -> None:
        """Let a node answer the oldest question."""
        self.street.nodes[name].acknowledging.pop(0).resolve(integer(count))

    def asked(self) -> list[int]:
        """Count the open questions, by node."""
        return [len(self.street.nodes[name].acknowledging) for name in NAMES]

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        end = self.street.now + duration_s
        while self.timers and self.timers[0][0] <= end:
            self.street.now, _, timer = heapq.heappop(self.timers)
            if not timer.cancelled:
                timer.ring()
            self.street.settle()
        self.street.now = end


def open_(reply: bytes | Pending) -> bool:
    """Tell whether a reply is still to come."""
    return isinstance(reply, Pending) and reply.wire is None


def test_the_answer_is_that_of_the_owner_with_fewest() -> None:
    """It comes with the last one, and the client's next command waits for it."""
    town = Town()
    reply = town.wait(b"WAIT", b"1", b"0")
    assert town.asked() == [1, 1, 1]
    assert town.client.barrier is reply
    town.answer("a", 3)
    town.answer("c", 1)
    assert open_(reply)
    town.answer("b", 2)
    assert arrived(reply) == integer(1)


def test_nobody_waits_longer_than_the_client_said() -> None:
    """The owners say then what they know; one that says nothing counts for nothing."""
    town = Town()
    reply = town.wait(b"WAIT", b"2", b"1000")
    assert [node.acknowledging[0].deadline_s for node in town.street.nodes.values()] == [town.street.now + 1.0] * 3
    town.run(1.0)
    for name in NAMES:
        town.answer(name, 1)
    assert arrived(reply) == integer(1)
    town.client.barrier = None
    silent = town.wait(b"WAIT", b"2", b"1000")
    town.answer("a", 2)
    town.run(1.0 + GRACE_S)
    assert arrived(silent) == integer(0)


def test_without_a_time_it_is_for_ever() -> None:
    """Owners are asked anew, now and then, as long as somebody waits."""
    town = Town()
    reply = town.wait(b"WAIT", b"2", b"0")
    for _ in range(3):
        town.run(RENEW_S)
        for name in NAMES:
            town.answer(name, 1)
        assert open_(reply)
        town.run(AGAIN_S)
        assert town.asked() == [1, 1, 1]
    assert isinstance(reply, Pending)
    reply.abandon()
    for name in NAMES:
        town.answer(name, 1)
    town.run(RENEW_S)
    assert town.asked() == [0, 0, 0]


@pytest.mark.parametrize("count", [b"0", b"-5"])
def test_who_wants_no_copies_gets_the_number_at_once(count: bytes) -> None:
    """As of now."""
    town = Town()
    reply = town.wait(b"WAIT", count, b"0")
    for name in NAMES:
        town.answer(name, 1)
    assert arrived(reply) == integer(1)


def test_a_transaction_does_not_wait() -> None:
    """Neither for copies nor for owners that say nothing; its client is free to go on afterwards."""
    town = Town()
    town.wait(b"MULTI")
    town.wait(b"WAIT", b"3", b"0")
    reply = town.wait(b"EXEC")
    for name in NAMES:
        town.answer(name, 1)
    assert arrived(reply) == b"*1\r\n:1\r\n"
    assert not town.client.deny_blocking
    town.client.barrier = None
    town.wait(b"MULTI")
    town.wait(b"WAIT", b"3", b"0")
    late = town.wait(b"EXEC")
    town.run(GRACE_S)
    assert arrived(late) == b"*1\r\n:0\r\n"


def test_after_a_break_in_the_line_of_owners_nobody_vouches_for_what_was_written_before() -> None:
    """The successor would count copies of what it knows; from then on it is right again."""
    town = Town()
    fresh = town.street.client()
    town.breaks += 1
    newer = town.street.client()
    assert arrived(town.wait(b"WAIT", b"1", b"0")) == integer(0)
    for client in (town.client, newer):
        client.barrier = None
        reply = town.wait(b"WAIT", b"1", b"0", client=client)
        for name in NAMES:
            town.answer(name, 1)
        assert arrived(reply) == integer(1)
    assert arrived(town.wait(b"WAIT", b"1", b"0", client=fresh)) == integer(0)


def test_a_break_while_the_client_waits_counts_too() -> None:
    """The answers may be of successors."""
    town = Town()
    reply = town.wait(b"WAIT", b"1", b"0")
    town.breaks += 1
    for name in NAMES:
        town.answer(name, 1)
    assert arrived(reply) == integer(0)


def test_a_write_that_waits_for_its_owner_is_in_front() -> None:
    """Nobody is asked before it has its reply, whatever held it up."""
    town = Town()
    street = town.street
    street.cut.add("b")
    key = next(
        key for key in (b"k%d" % at for at in range(99)) if street.nodes["a"].store.keyspace(0).at(key).number % 3 == 1
    )
    write, reply = street.nodes["a"].batch(town.client, [b"SET", key, b"v"], [b"WAIT", b"1", b"0"])
    assert open_(write)
    assert open_(reply)
    street.cut.clear()
    street.nodes["a"].router.routes_changed()
    assert [question.name for question in street.questions] == ["SET"]
    street.settle()
    assert arrived(write) == b"+OK\r\n"
    assert town.asked() == [1, 1, 1]


def test_a_write_that_its_owner_has_sent_back_is_in_front() -> None:
    """It is not sent anew before all that is under way is back: a question that did not wait would overtake it."""
    town = Town()
    street = town.street
    there, far = key_of("b"), key_of("c")
    read, write, reply = street.nodes["a"].batch(
        town.client, [b"GET", far], [b"SET", there, b"v"], [b"WAIT", b"1", b"0"]
    )
    sent = {question.name: question for question in street.questions}
    assert set(sent) == {"GET", "SET"}
    street.questions.clear()
    street.refuse(sent["SET"])
    assert open_(write)
    assert open_(reply)
    street.deliver(sent["GET"])
    street.nodes["a"].table.version = (1, 2)
    street.nodes["a"].router.rerouted()
    street.settle()
    assert arrived(read) == b"$-1\r\n"
    assert arrived(write) == b"+OK\r\n"
    assert town.asked() == [1, 1, 1]


def test_who_is_unblocked_before_its_turn_is_asked_for_once() -> None:
    """Whatever it is told, no copies are counted in front of its own writes."""
    town = Town()
    write, reply = town.street.nodes["a"].batch(town.client, [b"SET", key_of("b"), b"v"], [b"WAIT", b"1", b"0"])
    assert open_(write)
    assert isinstance(reply, Pending)
    assert town.client.blocked is not None
    assert town.client.blocked.unblock(refused=False)
    assert town.asked() == [0, 0, 0]
    town.street.settle()
    assert town.asked() == [1, 1, 1]


def test_an_owner_that_is_missing_is_asked_later() -> None:
    """It says nothing about copies meanwhile."""
    town = Town()
    town.street.nodes["a"].table.primary[1] = ""
    reply = town.wait(b"WAIT", b"1", b"60000")
    town.run(RENEW_S)
    town.street.nodes["a"].router.sweep()
    assert open_(reply)
    town.street.nodes["a"].table.primary[1] = "b"
    town.run(AGAIN_S)
    for name in NAMES:
        town.answer(name, 1)
    assert arrived(reply) == integer(1)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((b"WAIT", b"x", b"0"), b"-ERR value is not an integer or out of range\r\n"),
        ((b"WAIT", b"1", b"x"), b"-ERR timeout is not an integer or out of range\r\n"),
        ((b"WAIT", b"1", b"-1"), b"-ERR timeout is negative\r\n"),
        ((b"WAIT", b"1"), b"-ERR wrong number of arguments for 'wait' command\r\n"),
        ((b"WAITAOF", b"0", b"1", b"0"), b"*2\r\n:0\r\n:0\r\n"),
        (
            (b"WAITAOF", b"1", b"1", b"0"),
            b"-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n",
        ),
        ((b"WAITAOF", b"2", b"1", b"0"), b"-ERR value is out of range, value must between 0 and 1\r\n"),
        ((b"WAITAOF", b"0", b"-1", b"0"), b"-ERR value is out of range, must be positive\r\n"),
        ((b"WAITAOF", b"0", b"1", b"-1"), b"-ERR timeout is negative\r\n"),
    ],
)
def test_what_cannot_be_waited_for_is_refused_at_once(words: tuple[bytes, ...], line: bytes) -> None:
    """In Redis' words; nothing is ever on disk, and nobody waits for it."""
    assert arrived(Town().wait(*words)) == line


def test_a_client_that_is_gone_leaves_nothing_behind() -> None:
    """It counts as blocked, so that its connection goes on reading; then nobody is asked on its behalf."""
    town = Town()
    for timeout in (b"0", b"100000000"):
        reply = town.wait(b"WAIT", b"2", timeout)
        assert isinstance(reply, Pending)
        before = town.client.is_blocked
        reply.abandon()
        assert (before, town.client.is_blocked) == (True, False)
        town.client.barrier = None
        for name in NAMES:
            town.answer(name, 1)
        town.run(RENEW_S)
        assert town.asked() == [0, 0, 0]
        assert all(timer.cancelled for _, _, timer in town.timers)


def test_client_unblock_ends_the_wait() -> None:
    """With the number as of now, which owners are asked for, or with an error; a second call finds nobody."""
    town = Town()
    other = town.street.client()
    unblock = (b"CLIENT", b"UNBLOCK", b"%d" % town.client.client_id)
    refused = town.wait(b"WAIT", b"3", b"0")
    assert arrived(town.wait(*unblock, b"ERROR", client=other)) == integer(1)
    assert arrived(refused) == b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    assert not town.client.is_blocked
    town.client.barrier = None
    for node in town.street.nodes.values():
        node.acknowledging.clear()
    reply = town.wait(b"WAIT", b"3", b"0")
    assert arrived(town.wait(*unblock, client=other)) == integer(1)
    assert arrived(town.wait(*unblock, client=other)) == integer(0)
    assert town.asked() == [2, 2, 2]
    for name in NAMES:
        town.street.nodes[name].acknowledging.pop().resolve(integer(2))
    assert arrived(reply) == integer(2)
    assert town.client.blocked is None
    town.client.barrier = None
    silent = town.wait(b"WAIT", b"3", b"0")
    town.wait(*unblock, client=other)
    town.run(GRACE_S)
    assert arrived(silent) == integer(0)


def test_who_only_asks_for_the_number_is_not_blocked() -> None:
    """Its connection goes on reading all the same; inside a transaction nothing of that is noted."""
    town = Town()
    town.wait(b"WAIT", b"0", b"0")
    assert town.client.blocked is not None
    assert not town.client.is_blocked
    fresh = town.street.client()
    town.wait(b"MULTI", client=fresh)
    town.wait(b"WAIT", b"3", b"0", client=fresh)
    town.wait(b"EXEC", client=fresh)
    assert fresh.blocked is None


def test_a_command_in_front_may_itself_have_to_come_last() -> None:
    """It is transacted once nothing else of its client is under way, and a question is nothing that is."""
    town = Town()
    turns = town.client.turns
    assert turns is not None
    turns.under_way = 1
    (reply,) = town.street.nodes["a"].batch(town.client, [b"WAIT", b"1", b"0"])
    assert open_(reply)
    assert not turns.waits(lambda: None), "it may begin"
    assert town.asked() == [0, 0, 0]
    turns.ended()
    town.street.settle()
    assert town.asked() == [1, 1, 1]
