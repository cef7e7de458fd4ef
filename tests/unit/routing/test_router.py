"""Where a command runs that cannot run where it came in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import partition_of
from respcache.cluster.replication.log import Gate
from respcache.commands.registry import TABLE
from respcache.pending import Pending
from respcache.resp.encode import bulk, integer
from respcache.routing.merging import elements
from respcache.routing.order import Order
from unit.neighbours import NAMES, TIMEOUT_S, Street, arrived, key_of

A, B, C = (key_of(name) for name in NAMES)


@given(st.lists(st.tuples(st.sampled_from((A, B, C)), st.binary(max_size=3)), max_size=10))
@settings(max_examples=12, deadline=None)
def test_keys_are_read_where_they_were_written(written: list[tuple[bytes, bytes]]) -> None:
    """Whichever node the client asks."""
    street = Street()
    clients = {name: street.client(name) for name in NAMES}
    model: dict[bytes, bytes] = {}
    for turn, (key, value) in enumerate(written):
        node = NAMES[turn % 3]
        assert street.ask(clients[node], b"SET", key, value, node=node) == b"+OK\r\n"
        model[key] = value
    for node in NAMES:
        for key in (A, B, C):
            expected = bulk(model[key]) if key in model else b"$-1\r\n"
            assert street.ask(clients[node], b"GET", key, node=node) == expected


def test_orders_wait_until_there_is_a_way() -> None:
    """The owner unknown, then known without a link, then linked."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    node.table.primary[partition_of(B)] = ""
    street.cut.add("b")
    reply = node.batch(client, [b"SET", B, b"v"])[0]
    node.table.primary[partition_of(B)] = "b"
    node.router.routes_changed()
    assert not street.questions
    street.cut.clear()
    node.router.sweep()
    street.settle()
    assert arrived(reply) == b"+OK\r\n"


def test_orders_that_waited_run_in_the_order_of_their_coming() -> None:
    """The last of two writes of one key is the one that stays."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    street.cut.add("b")
    replies = node.batch(client, [b"SET", B, b"1"], [b"APPEND", B, b"2"], [b"GET", B])
    street.cut.clear()
    node.router.routes_changed()
    street.settle()
    assert [arrived(reply) for reply in replies] == [b"+OK\r\n", integer(2), bulk(b"12")]


@pytest.mark.parametrize(
    ("owner", "text"), [("", b"-CLUSTERDOWN "), ("b", b"-CLUSTERDOWN "), ("a", b"-TRYAGAIN ")], ids=str
)
def test_a_wait_ends_with_the_deadline(owner: str, text: bytes) -> None:
    """Not before, and with an error that says that nothing was done: nobody has the key, or its owner is changing."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    node.table.primary[partition_of(B)] = owner
    street.cut.add("b")
    whole, split = node.batch(client, [b"SET", B, b"v"], [b"MGET", A, B])
    street.now += TIMEOUT_S - 0.1
    node.router.sweep()
    assert isinstance(whole, Pending)
    assert whole.wire is None
    street.now += 0.1
    node.router.sweep()
    assert arrived(whole).startswith(text)
    assert arrived(split).startswith(text)
    street.cut.clear()
    node.table.primary[partition_of(B)] = "b"
    node.router.routes_changed()
    assert not street.questions


@pytest.mark.parametrize(("argv", "uncertain"), [([b"GET", B], False), ([b"INCR", B], True)])
def test_a_lost_link_makes_writes_uncertain_and_reads_wait(argv: list[bytes], uncertain: bool) -> None:  # noqa: FBT001 # a table of cases
    """A read may be done twice."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    reply = node.batch(client, argv)[0]
    street.lose(street.take(argv[0].decode()))
    assert node.stats.forward_errors["remote"] == 1
    if not uncertain:
        node.router.routes_changed()
        street.settle()
    assert arrived(reply).startswith(b"-UNCERTAIN ") is uncertain


def test_an_owner_that_refuses_is_asked_again_once_the_routes_have_changed() -> None:
    """It has certainly not run the command, so a write may go elsewhere."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    reply = node.batch(client, [b"INCR", B])[0]
    street.refuse(street.take("INCR"))
    assert node.stats.forward_errors["refused"] == 1
    number = partition_of(B)
    node.table.primary[number] = street.nodes["c"].table.primary[number] = "c"
    street.nodes["c"].locks.open(number, None)
    node.router.routes_changed()
    street.settle()
    assert arrived(reply) == integer(1)
    assert street.nodes["c"].store.keyspace(0).at(B).values == {B: b"1"}


def relayed(key: bytes, version: tuple[int, int]) -> Order:
    """Make an order as a peer sends it that goes by a record of this version."""
    return Order(
        TABLE[b"GET"],
        [b"GET", key],
        database=0,
        protocol=2,
        partitions=(partition_of(key),),
        deadline_s=105.0,
        relayed=True,
        version=version,
    )


def test_a_relayed_order_goes_no_further() -> None:
    """It goes back at once, unless its sender knows a newer record: then it waits for that."""
    node = Street().nodes["a"]
    old, new = relayed(B, (1, 1)), relayed(B, (1, 2))
    node.router.serve(old)
    node.router.serve(new)
    assert old.refused
    assert new.wire is None
    node.table.primary[partition_of(B)] = "a"
    node.locks.open(partition_of(B), None)
    node.router.routes_changed()
    assert new.wire == b"$-1\r\n"


def test_a_relayed_order_goes_back_when_its_time_is_over() -> None:
    """Its sender answers the client."""
    street = Street()
    node = street.nodes["a"]
    order = relayed(B, (1, 2))
    node.router.serve(order)
    street.now = 105.0
    node.router.sweep()
    assert order.refused


def test_a_command_on_several_owners_holds_up_the_pipeline_behind_it() -> None:
    """Else those behind would overtake it at the owners of their keys."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    street.ask(client, b"SET", A, b"v")
    out = node.batch(client, [b"GET", A], [b"RENAME", A, B], [b"GET", B])
    assert len(out) == 2
    assert client.barrier is out[-1]
    street.settle()
    client.barrier = None
    assert arrived(out[1]) == b"+OK\r\n"
    assert street.ask(client, b"GET", B) == bulk(b"v")


@pytest.mark.parametrize("argv", [[b"MGET", A, B], [b"DEL", B, key_of("c")], [b"DBSIZE"], [b"RENAME", A, B]])
def test_a_command_on_several_partitions_holds_up_the_pipeline_behind_it(argv: list[bytes]) -> None:
    """While one of them is locked, say, those behind it would be run on the others."""
    street = Street()
    client = street.client()
    [reply] = street.nodes["a"].batch(client, argv, [b"GET", A])
    assert client.barrier is reply


@pytest.mark.parametrize("argv", [[b"GET", B], [b"DEL", B], [b"MGET", A, key_of("a", 1)]])
def test_what_is_passed_on_or_answered_at_once_holds_up_nothing(argv: list[bytes]) -> None:
    """Commands on one key keep their order on every link."""
    street = Street()
    client = street.client()
    assert len(street.nodes["a"].batch(client, argv, [b"GET", A])) == 2
    assert client.barrier is None


def test_what_comes_back_stops_its_client_until_it_is_answered() -> None:
    """Whatever it sends meanwhile would get to the new owner first; that goes for what will come back, too."""
    street = Street()
    node, client, number = street.nodes["a"], street.client(), partition_of(B)
    node.batch(client, [b"INCR", B])
    refused = street.take("INCR")
    street.refuse(refused)
    assert client.is_displaced
    client = street.client()
    node.batch(client, [b"INCR", B])
    assert not client.is_displaced
    node.table.primary[number], node.table.since[number] = "c", (1, 2)
    node.router.rerouted()
    assert client.is_displaced


def test_a_command_on_several_owners_waits_for_what_its_client_sent_before() -> None:
    """It takes several steps, between which what came before might have to go elsewhere."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    replies = node.batch(client, [b"SET", B, b"v"], [b"RENAME", B, A])
    assert [question.name for question in street.questions] == ["SET"]
    street.settle()
    assert [arrived(reply) for reply in replies] == [b"+OK\r\n"] * 2


@pytest.mark.parametrize("argv", [[b"MSET", A, b"1", B], [b"MSETNX", A, b"1", B]])
def test_a_key_without_its_value_is_refused_before_anything_is_done(argv: list[bytes]) -> None:
    """On whichever nodes the keys are."""
    street = Street()
    assert street.ask(street.client(), *argv).startswith(b"-ERR wrong number of arguments for 'mset")
    assert street.values() == {}


@pytest.mark.parametrize("safe", [True, False])
def test_replies_wait_for_their_effects(safe: bool) -> None:  # noqa: FBT001 # both cases
    """Then they go out, or, if nobody knows what became of the effects, errors in place of those that depend on it."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    log = Unsafe()
    node.locks.open(partition_of(A), log)
    gate = Gate([], {})
    node.gates.append(gate)
    out = node.batch(client, [b"SET", A, b"1"], [b"GET", B], [b"INCR", A], [b"GET", A], [b"PING"])
    assert all(isinstance(reply, Pending) and reply.wire is None for reply in out)
    street.settle()
    gate.committed = safe
    node.router.held.resolved([gate, gate])
    wire = b"".join(arrived(reply) for reply in out)
    if safe:
        assert wire == b"+OK\r\n$-1\r\n:2\r\n$1\r\n2\r\n+PONG\r\n"
    else:
        told = [line.split()[0] for line in wire.splitlines()]
        assert told == [b"-UNCERTAIN", b"$-1", b"-UNCERTAIN", b"-CLUSTERDOWN", b"+PONG"]


@pytest.mark.parametrize(
    ("call", "told"),
    [([b"GET", A], b"-CLUSTERDOWN "), ([b"INCR", A], b"-UNCERTAIN ")],
)
def test_a_transaction_that_only_reads_is_not_in_doubt(call: list[bytes], told: bytes) -> None:
    """Whatever became of the writes that it has met, it has changed nothing."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    node.locks.open(partition_of(A), Unsafe())
    gates = [Gate([], {}), Gate([], {})]
    node.gates.extend(gates)
    out = node.batch(client, [b"SET", A, b"1"])
    out += node.batch(client, [b"MULTI"], call, [b"EXEC"])
    street.settle()
    for gate in gates:
        gate.committed = False
    node.router.held.resolved(gates)
    assert arrived(out[0]).startswith(b"-UNCERTAIN ")
    assert arrived(out[-1]).startswith(told)


class Unsafe:
    """A log with another copy, which has not acked."""

    streams = ("copy",)
    clean = False

    def append(self, database: int, argv: list[bytes]) -> None:
        """Take an effect."""


def test_writes_are_refused_where_too_few_copies_are_in_sync() -> None:
    """With NOREPLICAS, certainly not done, wherever they come in; reads go on, and writes once there are copies."""
    street = Street()
    client, other = street.client(), street.client("b")
    street.ask(client, b"SET", A, b"1")
    street.nodes["a"].locks.ration(frozenset({partition_of(A)}))
    assert street.ask(client, b"SET", A, b"2").startswith(b"-NOREPLICAS ")
    assert street.ask(other, b"INCR", A, node="b").startswith(b"-NOREPLICAS ")
    for parts in ([b"MSET", A, b"2", B, b"2"], [b"FLUSHALL"]):  # of which other nodes do theirs
        told = street.ask(client, *parts)
        assert told.startswith(b"-UNCERTAIN Other nodes have done their part")
        assert told.endswith(b"of one: NOREPLICAS Not enough good replicas to write.\r\n")
    assert street.ask(other, b"GET", A, node="b") == bulk(b"1")
    assert street.ask(client, b"GET", A) == bulk(b"1")
    assert street.nodes["a"].stats.writes_rejected["quorum"] == 4
    street.nodes["a"].locks.ration(frozenset())
    assert street.ask(client, b"SET", A, b"2") == b"+OK\r\n"


def test_a_transaction_locks_nothing_where_too_few_copies_are_in_sync() -> None:
    """It is told so at once, as a command on one key is: nothing of it is done."""
    street = Street()
    client = street.client()
    street.nodes["b"].locks.ration(frozenset({partition_of(B)}))
    street.ask(client, b"SET", A, b"1")
    assert street.ask(client, b"RENAME", A, B).startswith(b"-NOREPLICAS ")
    assert street.ask(client, b"GET", A) == bulk(b"1")
    assert partition_of(A) not in street.nodes["a"].locks.held


@pytest.mark.parametrize("keys", [(B,), (A, B)])
def test_what_was_queued_is_discarded_where_too_few_copies_are_in_sync(keys: tuple[bytes, ...]) -> None:
    """In Redis' words for the case that they were lost since it was queued; one owner or several."""
    street = Street()
    client = street.client()
    street.ask(client, b"MULTI")
    for key in keys:
        assert street.ask(client, b"SET", key, b"1") == b"+QUEUED\r\n"
    street.nodes["b"].locks.ration(frozenset({partition_of(B)}))
    assert street.ask(client, b"EXEC") == (
        b"-EXECABORT Transaction discarded because of: NOREPLICAS Not enough good replicas to write.\r\n"
    )
    assert street.values() == {}


def test_writes_wait_while_copies_do_not_keep_up() -> None:
    """Reads of other keys go on; those behind a write of their key wait with it, and then see it."""
    street = Street()
    node, client, other = street.nodes["a"], street.client(), street.client("b")
    street.ask(client, b"SET", A, b"1")
    node.locks.congest(frozenset({partition_of(A)}))
    assert street.ask(other, b"GET", A, node="b") == bulk(b"1")
    write, read = node.batch(client, [b"SET", A, b"2"], [b"GET", A])
    relayed_read = street.nodes["b"].batch(other, [b"GET", A])[0]
    street.settle()
    assert all(isinstance(reply, Pending) and reply.wire is None for reply in (write, read, relayed_read))
    node.locks.congest(frozenset())
    node.router.routes_changed()
    assert [arrived(reply) for reply in (write, read, relayed_read)] == [b"+OK\r\n", bulk(b"2"), bulk(b"2")]


@pytest.mark.parametrize("via", ["a", "b"])
def test_a_write_that_waited_for_copies_in_vain_is_told_so(via: str) -> None:
    """Certainly not done, and told at its deadline, not before; whichever node the client asks."""
    street = Street()
    owner, client = street.nodes["a"], street.client(via)
    owner.locks.congest(frozenset({partition_of(A)}))
    reply = street.nodes[via].batch(client, [b"SET", A, b"1"])[0]
    street.settle()
    street.now += TIMEOUT_S - 0.1
    owner.router.sweep()
    assert isinstance(reply, Pending)
    assert reply.wire is None
    street.now += 0.2
    owner.router.sweep()
    assert arrived(reply).startswith(b"-TRYAGAIN Too many writes wait for copies")
    assert owner.stats.writes_rejected["unacked"] == 1
    assert street.values() == {}


def test_what_waits_for_copies_is_bounded() -> None:
    """More than fits is refused at once."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    node.locks.congest(frozenset({partition_of(A)}))
    first, second = node.batch(client, [b"SET", A, bytes(800)], [b"APPEND", A, bytes(300)])
    assert isinstance(first, Pending)
    assert first.wire is None
    assert arrived(second).startswith(b"-TRYAGAIN ")


@pytest.mark.parametrize("withhold", ["ration", "congest"])
@pytest.mark.parametrize("names", [("a",), NAMES])
def test_the_whole_database_has_the_keys_that_can_only_be_read(withhold: str, names: tuple[str, ...]) -> None:
    """Too few copies, or copies that do not keep up, hide no key from those who look at all of them."""
    street = Street(names)
    client = street.client()
    for key in (A, B, C):
        street.ask(client, b"SET", key, b"v")
    for node in street.nodes.values():
        getattr(node.locks, withhold)(frozenset(map(partition_of, (A, B, C))))
    assert street.ask(client, b"DBSIZE") == integer(3)
    assert set(elements(street.ask(client, b"KEYS", b"*"))) == {bulk(key) for key in (A, B, C)}
    assert street.ask(client, b"RANDOMKEY") in {bulk(key) for key in (A, B, C)}
