"""Commands that wait: served in turn through any node, by nobody twice, and for nobody who is gone."""

from collections.abc import Sequence

import pytest

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.registry import TABLE, Command
from respcache.errors import CrossSlot, Moved
from respcache.pending import Pending
from respcache.reply import OK, Named
from respcache.resp.encode import encode, integer
from respcache.routing.internal import BLOCK, LEAVE, TAKE, TURN
from unit.alone import NotedLog
from unit.neighbours import NAMES, TIMEOUT_S, Question, arrived
from unit.town import A, B, C, Town, popped, there

NOTHING = b"*-1\r\n"
UNBLOCKED = b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
MOVE = (b"BLMOVE", A, C, b"LEFT", b"LEFT", b"0")


@pytest.fixture
def town() -> Town:
    """Three nodes."""
    return Town()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", [A, B])
def test_whoever_waits_is_served_through_any_node(town: Town, name: str, key: bytes) -> None:
    """By a push at any other one, which sees the element no more."""
    session, reply = town.blocked(name, b"BLPOP", key, b"0")
    assert town.ask(town.client("b"), b"RPUSH", key, b"1", b"2", node="b") == integer(2)
    assert reply.wire == popped(key, b"1")
    assert not session.is_blocked
    assert town.ask(town.client("c"), b"LRANGE", key, b"0", b"-1", node="c") == encode([b"2"], 2)
    assert town.idle()


def test_the_order_is_that_of_arrival_whatever_the_node(town: Town) -> None:
    """The first one to have waited gets the first element."""
    replies = [town.blocked(name, b"BLPOP", A, b"0")[1] for name in "bacba"]
    town.ask(town.client(), b"RPUSH", A, *b"12345".split(), b"2", b"3", b"4", b"5")
    assert [reply.wire for reply in replies] == [
        popped(A, b"12345"),
        *(popped(A, b"%d" % number) for number in range(2, 6)),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_next_command_sees_what_is_left(town: Town, name: str) -> None:
    """Also in the same batch: the key is offered before anybody else may look at it."""
    _, reply = town.blocked(name, b"BLPOP", A, b"0")
    out = town.nodes["a"].batch(town.client(), [b"RPUSH", A, b"1"], [b"LLEN", A], [b"RPOP", A], [b"EXISTS", A, B])
    town.settle()
    assert [arrived(one) for one in out] == [integer(1), integer(0), b"$-1\r\n", integer(0)]
    assert reply.wire == popped(A, b"1")


def test_keys_of_several_owners_are_waited_for_at_each(town: Town) -> None:
    """The first that gets ready is it; the other owners forget."""
    _, reply = town.blocked("a", b"BLPOP", A, B, C, b"0")
    town.ask(town.client(), b"RPUSH", C, b"1")
    assert reply.wire == popped(C, b"1")
    assert town.idle()
    assert town.ask(town.client(), b"RPUSH", B, b"2") == integer(1)
    assert town.ask(town.client(), b"BRPOP", A, B, C, b"0") == popped(B, b"2")
    assert town.idle()


def test_a_wrong_number_of_keys_is_refused_as_by_one_owner(town: Town) -> None:
    """It is not made right by asking each owner for its own."""
    assert town.ask(town.client(), b"BZMPOP", b"0", b"3", A, B) == b"-ERR syntax error\r\n"
    assert town.idle()


def test_of_two_owners_that_call_at_once_one_keeps_its_element(town: Town) -> None:
    """What is not taken is there for the next one."""
    _, reply = town.blocked("a", b"BLPOP", B, C, b"0")
    town.nodes["b"].batch(town.client("b"), [b"RPUSH", B, b"1"])
    town.nodes["c"].batch(town.client("c"), [b"RPUSH", C, b"2"])
    town.settle()
    assert reply.wire in {popped(B, b"1"), popped(C, b"2")}
    left = [town.ask(town.client(), b"LRANGE", key, b"0", b"-1") for key in (B, C)]
    assert sorted(left) == [b"*0\r\n", encode([b"2" if reply.wire == popped(B, b"1") else b"1"], 2)]
    assert town.idle()


@pytest.mark.parametrize("name", NAMES)
def test_a_move_between_owners_is_a_transaction(town: Town, name: str) -> None:
    """BLMOVE waits for its source alone, and is refused for a target of another kind with nothing moved."""
    _, reply = town.blocked(name, b"BLMOVE", B, C, b"LEFT", b"LEFT", b"0")
    town.ask(town.client(), b"RPUSH", B, b"1", b"2")
    assert reply.wire == b"$1\r\n1\r\n"
    assert town.ask(town.client(), b"LRANGE", C, b"0", b"-1") == encode([b"1"], 2)
    town.ask(town.client(), b"DEL", B)
    _, reply = town.blocked(name, b"BRPOPLPUSH", B, C, b"0")
    town.ask(town.client(), b"SET", C, b"v")
    town.ask(town.client(), b"RPUSH", B, b"3")
    assert reply.wire is not None
    assert reply.wire.startswith(b"-WRONGTYPE")
    assert town.ask(town.client(), b"LRANGE", B, b"0", b"-1") == encode([b"3"], 2)
    assert town.idle()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("words", [b"BLPOP %b 0.5", b"BLPOP %b x 0.5", b"BLMOVE %b x LEFT LEFT 0.5"])
def test_time_runs_out(town: Town, name: str, words: bytes) -> None:
    """To the millisecond, and what comes later stays."""
    _, reply = town.blocked(name, *(words % A).split())
    town.pass_time(0.499)
    assert not there(reply)
    town.pass_time(0.001)
    assert reply.wire == NOTHING
    town.settle()
    assert town.idle()
    assert not any(node.unanswered for node in town.nodes.values()), "nobody waits for a turn that will not come"
    town.ask(town.client(), b"RPUSH", A, b"1")
    assert town.ask(town.client(), b"LLEN", A) == integer(1)


@pytest.mark.parametrize(("refused", "wire"), [(False, NOTHING), (True, UNBLOCKED)])
def test_another_client_may_end_it(town: Town, refused: bool, wire: bytes) -> None:  # noqa: FBT001 # a parameter
    """As if the time were over, or with an error; a second time there is nothing to end."""
    session, reply = town.blocked("b", b"BLPOP", A, b"0")
    waits = session.blocked
    assert waits is not None
    assert waits.unblock(refused=refused)
    assert reply.wire == wire
    assert not waits.unblock(refused=refused)
    town.settle()
    assert town.idle()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_taken_for_a_client_that_is_gone(town: Town, name: str) -> None:
    """It left before, or while its turn was on its way to its node; the next one gets the element."""
    _, gone = town.blocked(name, b"BLPOP", A, b"0")
    session, killed = town.blocked(name, b"BLPOP", A, b"0")
    _, next_ = town.blocked("c", b"BLPOP", A, b"0")
    session.killed = True
    town.nodes["a"].batch(town.client(), [b"RPUSH", A, b"1"])
    gone.abandon()
    town.settle()
    if name == "a":  # it is served in the same turn: that was before it left
        town.ask(town.client(), b"RPUSH", A, b"1")
    assert next_.wire == popped(A, b"1")
    assert killed.wire == b""
    assert town.idle()


GIVEN_BACK = (
    ([b"RPUSH", A, b"1", b"2"], [b"BLPOP", A, b"0"]),
    ([b"LPUSH", A, b"1", b"2"], [b"BRPOP", A, b"0"]),
    ([b"RPUSH", A, b"1", b"2", b"3"], [b"BLMPOP", b"0", b"1", A, b"LEFT", b"COUNT", b"2"]),
    ([b"RPUSH", A, b"1", b"2", b"3"], [b"BLMPOP", b"0", b"1", A, b"right", b"COUNT", b"2"]),
    ([b"ZADD", A, b"1.5", b"m", b"2", b"n"], [b"BZPOPMIN", A, b"0"]),
    ([b"ZADD", A, b"inf", b"m", b"2", b"n"], [b"BZPOPMAX", A, b"0"]),
    ([b"ZADD", A, b"1", b"m", b"2", b"n", b"3", b"o"], [b"BZMPOP", b"0", b"1", A, b"MAX", b"COUNT", b"2"]),
)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(("push", "wait"), GIVEN_BACK)
def test_what_was_taken_for_a_client_that_goes_meanwhile_goes_back(
    town: Town, push: list[bytes], wait: list[bytes], protocol: int
) -> None:
    """To the place where it was, as if it had never been taken; whoever waits next gets it."""
    session = town.client("b")
    session.protocol = protocol
    reply = town.wait("b", *wait, session=session)
    town.nodes["a"].batch(town.client(), push)
    town.end_turn()
    taking = town.take(TAKE.name)
    reply.abandon()
    town.deliver(taking)
    town.settle()
    expected = Town()
    expected.ask(expected.client(), *push)
    assert town.values().keys() == expected.values().keys()
    read = [b"LRANGE" if push[0].endswith(b"PUSH") else b"ZRANGE", A, b"0", b"-1"]
    assert town.ask(town.client(), *read) == expected.ask(expected.client(), *read)
    assert town.idle()


@pytest.mark.parametrize("scarce", [1, 200])
def test_what_cannot_go_back_at_once_goes_back_later(town: Town, scarce: int, caplog: pytest.LogCaptureFixture) -> None:
    """As soon as there are enough copies for writes, for one. If that takes too long it is lost, as the log says."""
    session, owner = town.client("b"), town.nodes["a"]
    reply = town.wait("b", b"BLPOP", A, b"0", session=session)
    owner.batch(town.client(), [b"RPUSH", A, b"1", b"2"])
    town.end_turn()
    taking = town.take(TAKE.name)
    reply.abandon()
    town.deliver(taking)
    owner.locks.ration(frozenset({partition_of(A)}))
    for _ in range(scarce):
        town.settle()
        town.pass_time(0.6)
    owner.locks.ration(frozenset())
    owner.router.routes_changed()
    for _ in range(3):
        town.settle()
        town.pass_time(0.6)
    town.settle()
    left = (b"1", b"2") if scarce == 1 else (b"2",)
    assert town.ask(town.client(), b"LRANGE", A, b"0", b"-1") == encode([*left], 2)
    assert ("is lost: -NOREPLICAS" in caplog.text) == (scarce > 1)


def _served(town: Town, name: str) -> tuple[Pending, Question]:
    """Have a client of another node wait, its turn come, and stop at the question of that name."""
    _, reply = town.blocked("b", b"BLPOP", A, b"0")
    town.nodes["a"].batch(town.client(), [b"RPUSH", A, b"1"])
    town.end_turn()
    return reply, town.take(name)


def test_a_link_lost_while_waiting_costs_nothing(town: Town) -> None:
    """It waits anew, at its place among those who have waited as long, and gets what was offered meanwhile."""
    town.nodes["b"].batch(session := town.client("b"), [b"BLPOP", A, b"0"])
    town.lose(town.take(TURN.name))
    town.now += 1
    _, later = town.blocked("c", b"BLPOP", A, b"0")
    town.nodes["a"].router.peer_gone("b")
    town.nodes["b"].router.routes_changed()
    town.settle()
    town.ask(town.client(), b"RPUSH", A, b"1")
    assert not session.is_blocked
    assert not there(later)
    town.ask(town.client(), b"RPUSH", A, b"2")
    assert later.wire == popped(A, b"2")
    assert town.idle()


def test_a_link_lost_at_the_turn_takes_nothing(town: Town) -> None:
    """The owner unlocks the key and offers it to the next one; the node takes its client back to the queue."""
    _, reply = town.blocked("b", b"BLPOP", A, b"0")
    _, next_ = town.blocked("c", b"BLPOP", A, b"0")
    lost = town.nodes["b"].router._desk
    turn = next(iter(lost.waits))
    town.nodes["a"].router.peer_gone("b")
    town.ask(town.client(), b"RPUSH", A, b"1")
    assert next_.wire == popped(A, b"1")
    assert not there(reply)
    turn.abandon()
    town.settle()
    assert town.idle()


def test_a_link_lost_before_it_may_wait_leaves_nobody_behind(town: Town) -> None:
    """What the owner has not begun when the link breaks it never begins: nobody would take an element, or leave."""
    owner = town.nodes["a"]
    owner.locks.suspend()
    session = town.client("b")
    town.nodes["b"].batch(session, [b"BLPOP", A, b"0"])
    town.deliver(town.take(BLOCK.name))
    owner.router.peer_gone("b")
    owner.locks.resume()
    owner.router.routes_changed()
    assert not len(owner.router.tickets)


def test_a_link_lost_while_it_takes_is_told(town: Town) -> None:
    """Nobody there can tell whether the element was taken: the client is told so, once."""
    reply, question = _served(town, TAKE.name)
    town.lose(question)
    assert reply.wire is not None
    assert reply.wire.startswith(b"-UNCERTAIN")
    town.nodes["a"].router.peer_gone("b")
    town.settle()
    assert town.ask(town.client(), b"LLEN", A) == integer(1)
    assert town.idle()


def test_a_turn_that_is_refused_begins_anew(town: Town) -> None:
    """As when the partition has moved between the call and the answer: nothing is lost, nothing taken twice."""
    reply, question = _served(town, TAKE.name)
    town.move(A, "c")
    town.deliver(question)
    town.settle()
    assert not there(reply)
    town.ask(town.client(), b"RPUSH", A, b"2")
    assert reply.wire == popped(A, b"2")
    assert town.idle()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("words", [(b"BLPOP", A, b"0"), (b"BLPOP", B, A, b"0"), MOVE])
def test_waits_move_with_the_partition(town: Town, name: str, words: Sequence[bytes]) -> None:
    """Those who wait hear nothing of it, keep their order, and are served by the new owner."""
    _, reply = town.blocked(name, *words)
    town.now += 1
    _, later = town.blocked("a", b"BLPOP", A, b"0")
    town.now += 1
    town.move(A, "b")
    town.settle()
    assert not there(reply, later)
    town.ask(town.client(), b"RPUSH", A, b"1", b"2")
    if words is MOVE:
        assert (reply.wire, later.wire) == (b"$1\r\n1\r\n", popped(A, b"2"))
    else:
        assert (reply.wire, later.wire) == (popped(A, b"1"), popped(A, b"2"))
    assert town.idle()


def test_giving_tickets_back_stirs_up_nobody(town: Town) -> None:
    """Commands without an owner are not tried again for it; else they could go on giving tickets back for ever."""
    router, number = town.nodes["a"].router, partition_of(B)
    town.nodes["a"].table.primary[number] = ""
    [reply] = town.nodes["a"].batch(town.client(), [b"BLPOP", B, b"0"])
    town.nodes["a"].table.primary[number] = "b"
    router.order(LEAVE, [LEAVE.name.encode(), b"b:w1"], (partition_of(A),))
    assert not town.questions
    router.routes_changed()
    town.ask(town.client(), b"RPUSH", B, b"1")
    assert isinstance(reply, Pending)
    assert reply.wire == popped(B, b"1")


def test_a_key_that_has_no_owner_for_too_long_ends_the_wait(town: Town) -> None:
    """With the error that any command gets: certainly nothing was taken."""
    _, reply = town.blocked("b", b"BLPOP", A, b"0")
    town.now += 100 * TIMEOUT_S
    town.nodes["b"].table.primary[partition_of(A)] = ""
    town.nodes["b"].router.rerouted()
    town.now += TIMEOUT_S - 0.1
    town.nodes["b"].router.sweep()
    assert not there(reply)
    town.now += 0.2
    town.nodes["b"].router.sweep()
    assert reply.wire is not None
    assert reply.wire.startswith(b"-CLUSTERDOWN")


@pytest.mark.parametrize("name", ["a", "b"])
def test_too_few_copies_refuse_the_command_but_not_the_wait(town: Town, name: str) -> None:
    """Who waits already goes on waiting: the element is there when there are enough again."""
    locks, number = town.nodes["a"].locks, partition_of(A)
    _, reply = town.blocked(name, b"BLPOP", A, b"0")
    town.nodes["a"].batch(town.client(), [b"RPUSH", A, b"1"])
    locks.ration(frozenset({number}))
    town.settle()
    assert not there(reply)
    assert town.ask(town.client(name), b"BLPOP", A, b"0", node=name).startswith(b"-NOREPLICAS")
    locks.ration(frozenset())
    town.nodes["a"].router.routes_changed()
    town.settle()
    assert reply.wire == popped(A, b"1")
    assert town.idle()


@pytest.mark.parametrize("name", NAMES)
def test_reads_wait_and_are_answered_though_copies_are_scarce(town: Town, name: str) -> None:
    """XREAD asks for nothing to be kept; XREADGROUP does."""
    locks = town.nodes["a"].locks
    town.ask(town.client(), b"XADD", A, b"1-0", b"f", b"v")
    locks.ration(frozenset({partition_of(A)}))
    read = town.ask(town.client(name), b"XREAD", b"BLOCK", b"0", b"STREAMS", A, b"0", node=name)
    assert read.startswith(b"*1\r\n")
    group = (b"XREADGROUP", b"GROUP", b"g", b"c", b"BLOCK", b"0", b"STREAMS", A, b">")
    assert town.ask(town.client(name), *group, node=name).startswith(b"-NOREPLICAS")
    _, reply = town.blocked(name, b"XREAD", b"BLOCK", b"0", b"STREAMS", A, b"$")
    locks.ration(frozenset())
    town.ask(town.client(), b"XADD", A, b"2-0", b"f", b"v")
    locks.ration(frozenset({partition_of(A)}))
    town.settle()
    assert (reply.wire or b"").startswith(b"*1\r\n")


@pytest.mark.parametrize("name", NAMES)
def test_a_freeze_that_comes_to_nothing_is_not_noticed(town: Town, name: str) -> None:
    """The partition was to move and does not; meanwhile nothing can be taken, nor keep it from moving."""
    owner, number = town.nodes["a"], partition_of(A)
    _, reply = town.blocked(name, b"BLPOP", A, b"0")
    owner.batch(town.client(), [b"RPUSH", A, b"1"])
    owner.locks.freeze(number)
    town.settle()
    owner.router.rerouted()
    town.settle()
    assert not there(reply)
    assert number not in owner.locks.held
    owner.locks.open(number, None)
    owner.router.rerouted()
    town.settle()
    for node in town.nodes.values():
        node.router.sweep()
    town.settle()
    assert reply.wire == popped(A, b"1")
    assert town.idle()


@pytest.mark.parametrize("name", ["a", "b"])
def test_copies_that_do_not_keep_up_are_waited_for(town: Town, name: str) -> None:
    """Nothing is taken while they are behind, and nobody is refused."""
    owner, number = town.nodes["a"], partition_of(A)
    _, reply = town.blocked(name, b"BLPOP", A, b"0")
    owner.batch(town.client(), [b"RPUSH", A, b"1", b"2"])
    owner.locks.congest(frozenset({number}))
    later = town.wait(name, b"BLPOP", A, b"0")
    assert not there(reply, later)
    owner.locks.congest(frozenset())
    owner.router.routes_changed()
    town.settle()
    assert (reply.wire, later.wire) == (popped(A, b"1"), popped(A, b"2"))
    assert town.idle()


def test_the_copies_are_told_the_pop(town: Town) -> None:
    """The effect is that of the form that does not wait."""
    log = NotedLog()
    town = Town(("a",), log=log)
    _, first = town.blocked("a", b"BLPOP", A, b"0")
    _, second = town.blocked("a", b"BZPOPMAX", B, b"0")
    _, third = town.blocked("a", b"BLMOVE", A, C, b"LEFT", b"RIGHT", b"0")
    town.ask(town.client(), b"RPUSH", A, b"1", b"2")
    town.ask(town.client(), b"ZADD", B, b"1", b"m")
    assert first.wire
    assert second.wire
    assert third.wire
    assert [argv for _, argv in log.effects] == [
        [b"RPUSH", A, b"1", b"2"],
        [b"LPOP", A, b"1"],
        [b"LPOP", A],
        [b"RPUSH", C, b"2"],
        [b"ZADD", B, b"1", b"m"],
        [b"ZREM", B, b"m"],
    ]


def test_commands_behind_one_that_waits_wait(town: Town) -> None:
    """And those of others do not."""
    session = town.client("a")
    out = town.nodes["a"].batch(session, [b"BLPOP", A, b"0"], [b"SET", B, b"v"])
    town.settle()
    assert len(out) == 1
    assert session.barrier is out[0]
    assert town.ask(town.client(), b"EXISTS", B) == integer(0)


def test_clients_that_know_the_slots_are_sent_away(town: Town) -> None:
    """To the owner, or nowhere if there are several slots."""
    session = town.client("a")
    session.cluster_aware = True
    assert town.ask(session, b"BLPOP", B, b"0").startswith(b"-" + Moved.code.encode())
    assert town.ask(session, b"BLPOP", A, B, b"0").startswith(b"-" + CrossSlot.code.encode())
    assert town.ask(session, b"BLPOP", A, b"0.01", node="b").startswith(b"-MOVED")


@pytest.mark.parametrize(
    "argv",
    [
        [BLOCK.name.encode(), b"b:w1"],
        [BLOCK.name.encode(), b"b:w1", b"try", b"x", b"BLPOP", A, b"0"],
        [BLOCK.name.encode(), b"b:w1", b"try", b"0", b"GET", A],
        [BLOCK.name.encode(), b"b:w1", b"try", b"0", b"BLPOP", A],
        [BLOCK.name.encode(), b"b:w1", b"try", b"0"],
    ],
)
def test_what_makes_no_sense_is_refused(town: Town, argv: list[bytes]) -> None:
    """And nothing stays behind."""
    order = town.nodes["b"].router.order(BLOCK, argv, (partition_of(A),))
    town.settle()
    assert order.wire is not None
    assert order.wire.startswith(b"-ERR")
    assert town.idle()


@pytest.mark.parametrize("row", [TURN, TAKE, LEAVE])
def test_tickets_that_are_not_known_are_refused(town: Town, row: Command) -> None:
    """They were given up, or their partition has moved; giving one back again does no harm."""
    order = town.nodes["a"].router.order(row, [row.name.encode(), b"b:w1"], (partition_of(A),))
    assert order.refused == (row is not LEAVE)
    assert row is not LEAVE or order.wire == OK.wire


@pytest.mark.parametrize("name", NAMES)
def test_what_an_id_stands_for_is_settled_once(town: Town, name: str) -> None:
    """`$` is the last entry when the command began to wait, though one is added while its key is on the move."""
    for key in (A, B):
        town.ask(town.client(), b"XADD", key, b"1-0", b"f", b"v")
    _, reply = town.blocked(name, b"XREAD", b"BLOCK", b"0", b"STREAMS", A, B, b"$", b"$")
    add, copy = TABLE[b"XADD"], town.nodes["c"].store.keyspace(0).at(A)
    for number in (b"1-0", b"2-0"):
        add.on_key(copy, [b"XADD", A, number, b"f", b"v"])
    town.move(A, "c")
    town.settle()
    assert reply.wire == encode(Named([(A, [[b"2-0", [b"f", b"v"]]])]), 2)
    assert town.idle()
