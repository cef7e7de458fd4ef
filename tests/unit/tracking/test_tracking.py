"""Who is told of which change, and when."""

import pytest

from respcache.cluster.ownership.slots import PARTITIONS, partition_of
from respcache.commands.tracker import CHANGING_MAX, Tracker
from respcache.errors import ProtocolError
from respcache.pending import Pending
from respcache.tracking.clients import BROKEN, TooManyPrefixes
from respcache.tracking.wire import Changed, decode, encode
from unit.neighbours import Street, key_of
from unit.town import there
from unit.tracking.houses import FLUSHED, Houses, told

PATIENCE_S = 5.0


def test_a_client_of_another_node_is_told_once_of_what_it_has_read() -> None:
    """The second change finds nobody who has the key, and nothing is sent."""
    houses = Houses()
    client, other = houses.b.client(), houses.b.client()
    client.read(b"k")
    other.read(b"l")
    houses.settle()
    houses.a.write(b"SET", b"k", b"1")
    houses.settle()
    assert (client.heard, other.heard) == (told(b"k"), b"")
    sent = houses.a.tracking.told
    houses.a.write(b"SET", b"k", b"2")
    houses.settle()
    assert (client.heard, houses.a.tracking.told) == (b"", sent)


def test_a_change_is_told_when_it_is_safe() -> None:
    """Nobody hears of what could still be lost."""
    houses = Houses()
    client = houses.a.client()
    client.read(b"k")
    houses.a.waits = True
    houses.a.write(b"SET", b"k", b"1")
    houses.settle()
    assert client.heard == b""
    houses.a.gates.pop()()
    assert client.heard == b"", "it may have opened in the middle of the client's commands"
    houses.settle()
    assert client.heard == told(b"k")


def test_a_second_reader_of_a_key_hears_of_a_change_that_was_under_way() -> None:
    """It is not asked for again: the message reaches whoever reads until it arrives."""
    houses = Houses()
    first, second = houses.b.client(), houses.b.client()
    first.read(b"k")
    houses.settle()
    houses.a.write(b"SET", b"k", b"1")
    houses.a.end_turn()
    second.read(b"k")
    assert len(houses.mail) == 1
    houses.settle()
    assert (first.heard, second.heard) == (told(b"k"), told(b"k"))


def test_keys_of_a_partition_with_another_owner_are_forgotten() -> None:
    """By the news alone, though the former owner says nothing."""
    houses = Houses()
    client = houses.b.client()
    client.read(b"k", b"l")
    houses.settle()
    houses.b.primary[partition_of(b"k")] = "b"
    houses.b.tracking.rerouted()
    houses.settle()
    assert client.heard == told(b"k")


def test_an_owner_that_closes_a_partition_says_so() -> None:
    """Those who have read its keys forget them, though they may never see that it was gone for a moment."""
    houses = Houses()
    client = houses.b.client()
    client.read(b"k")
    houses.settle()
    houses.a.locks.close(partition_of(b"k"))
    houses.settle()
    assert client.heard == told(b"k")


def test_a_broken_link_forgets_its_keys_and_all_of_those_who_want_prefixes() -> None:
    """And once more when the link is back and the other end has heard what is wanted."""
    houses = Houses()
    client, broadcast = houses.b.client(), houses.b.client(Tracker(bcast=True, prefixes=frozenset([b"k"])))
    client.read(b"k")
    houses.settle()
    assert broadcast.reply.wire == b"+OK\r\n"
    houses.a.tracking.disconnect("b")
    houses.b.tracking.disconnect("a")
    houses.settle()
    assert (client.heard, broadcast.heard) == (told(b"k"), FLUSHED)
    houses.a.tracking.connect("b")
    houses.b.tracking.connect("a")
    houses.settle()
    assert broadcast.heard == FLUSHED
    houses.a.write(b"SET", b"k2", b"1")
    houses.settle()
    assert (client.heard, broadcast.heard) == (b"", told(b"k2"))


def test_a_client_with_prefixes_is_confirmed_when_the_others_know() -> None:
    """So it misses nothing from then on."""
    houses = Houses()
    client = houses.b.client(Tracker(bcast=True, prefixes=frozenset([b""])))
    assert not there(client.reply)
    houses.settle()
    assert client.reply.wire == b"+OK\r\n"
    houses.b.client()  # nothing new to tell of prefixes
    houses.b.tracking.disable(client.session)
    houses.settle()
    houses.a.write(b"SET", b"k", b"1")
    houses.settle()
    assert client.heard == b""


def test_a_node_that_is_silent_for_too_long_is_not_relied_on() -> None:
    """It is asked once a second; without an answer its keys are forgotten, again and again until it answers."""
    houses = Houses()
    client, broadcast = houses.b.client(), houses.b.client(Tracker(bcast=True, prefixes=frozenset([b"k"])))
    houses.settle()
    client.read(b"k")
    for second in range(8):
        houses.b.tracking.sweep(100.0 + second, PATIENCE_S)
        houses.b.end_turn()
    assert (client.heard, broadcast.heard) == (told(b"k"), FLUSHED)
    houses.settle()
    assert broadcast.heard == FLUSHED, "it has answered: what was missed meanwhile nobody knows"
    houses.b.tracking.sweep(110.0, PATIENCE_S)
    houses.settle()
    assert broadcast.heard == b""


def test_a_client_that_wants_no_own_changes_hears_of_others() -> None:
    """And of its own where it has read the key again since: nobody can tell which value it got."""
    houses = Houses()
    client = houses.a.client(Tracker(noloop=True))
    client.read(b"k")
    houses.a.write(b"SET", b"k", b"1", client=client)
    houses.settle()
    assert client.heard == b""
    client.read(b"k")
    houses.a.write(b"SET", b"k", b"2")
    houses.settle()
    assert client.heard == told(b"k")
    client.read(b"k")
    houses.a.write(b"SET", b"k", b"3", client=client)
    client.read(b"k")
    houses.settle()
    assert client.heard == told(b"k")


@pytest.mark.parametrize("others", [0, CHANGING_MAX])
def test_a_read_that_overtakes_an_own_change_does_not_cost_later_messages(others: int) -> None:
    """The owner hears of the read first, then of the change; an own command that changes nothing comes behind.

    So it is where many other keys are being changed as well; once all replies are there it is as ever.
    """
    houses = Houses()
    client = houses.b.client(Tracker(noloop=True))
    houses.settle()
    turns = client.session.turns
    assert turns is not None
    turns.under_way = 1
    for number in range(others):
        client.writes(b"SET", b"%d" % number, b"1")
    client.writes(b"SET", b"k", b"1")
    client.read(b"k")
    client.writes(b"SET", b"k", b"2", b"NX")
    houses.deliver()  # that it reads
    for words in ((b"SET", b"k", b"1"), (b"SET", b"k", b"2", b"NX")):
        houses.a.write(*words, writer=client.session.tracker)
    houses.settle()
    assert client.heard == told(b"k"), "it is not known any more that it has the key"
    turns.under_way = 0
    client.read(b"k")
    client.writes(b"SET", b"k", b"3")
    houses.deliver()
    houses.a.write(b"SET", b"k", b"3", writer=client.session.tracker)
    houses.settle()
    assert client.heard == b""


@pytest.mark.parametrize("name", ["a", "b"])
def test_what_a_transaction_reads_behind_its_own_change_is_told_of(name: str) -> None:
    """All that is between MULTI and EXEC is announced before anything of it is run."""
    houses = Houses()
    house = houses.a if name == "a" else houses.b
    client = house.client(Tracker(noloop=True))
    houses.settle()
    own = [(b"SET", b"k", b"1"), (b"SET", b"l", b"1"), (b"GET", b"k"), (b"SET", b"k", b"2", b"NX")]
    client.execute(*own)
    houses.settle()
    for words in own:
        houses.a.write(*words, writer=client.session.tracker)
    houses.settle()
    assert client.heard == told(b"k")


@pytest.mark.parametrize("keys_max", [1, 2, 1000])
def test_the_oldest_keys_are_invalidated_when_there_are_too_many(keys_max: int) -> None:
    """On the side of the owner and on that of the client; no table grows beyond the limit."""
    houses = Houses()
    houses.a.keys_max = houses.b.keys_max = keys_max
    client = houses.b.client()
    keys = [b"%d" % number for number in range(keys_max * 2)]
    for key in keys:
        client.read(key)
        houses.settle()
        assert len(houses.b.tracking.clients) <= keys_max
        assert len(houses.a.locks.readers) <= keys_max
    assert client.heard.startswith(told(keys[0]))
    client.read(keys[-1])
    houses.a.write(b"SET", keys[-1], b"1")
    houses.settle()
    assert client.heard == told(keys[-1])


def test_expired_and_evicted_keys_are_told_of() -> None:
    """Whoever deletes them."""
    houses = Houses()
    client = houses.b.client()
    ledger = houses.a.store.ledger
    ledger.now_unix_ms = 1000
    houses.a.write(b"SET", b"k", b"1", b"PX", b"10")
    houses.a.write(b"SET", b"l", b"1")
    client.read(b"k", b"l")
    houses.settle()
    ledger.now_unix_ms = 2000
    space = houses.a.store.keyspace(0)
    assert space.at(b"k").sweep() == 1
    space.at(b"k").ship(None)
    space.at(b"l").evict(b"l")
    houses.settle()
    assert client.heard == told(b"k", b"l")


@pytest.mark.parametrize("tracker", [Tracker(noloop=True), Tracker(bcast=True, noloop=True, prefixes=frozenset([b""]))])
def test_keys_that_go_by_themselves_are_told_to_those_whose_command_finds_that(tracker: Tracker) -> None:
    """That is no change of theirs: they do not know of it, and nobody would ever tell them again."""
    houses = Houses()
    ledger = houses.a.store.ledger
    ledger.now_unix_ms = 1000
    houses.a.write(b"SET", b"k", b"1", b"PX", b"10")
    houses.a.write(b"SET", b"l", b"1")
    houses.settle()
    client = houses.a.client(tracker)
    client.read(b"k", b"l")
    ledger.now_unix_ms = 2000
    houses.a.tracking.readers.writer = tracker.writer
    houses.a.store.keyspace(0).at(b"l").evict(b"l")
    houses.a.write(b"STRLEN", b"k", client=client)
    houses.settle()
    heard = client.heard
    assert (b"\r\nk\r\n" in heard, b"\r\nl\r\n" in heard) == (True, True)
    houses.a.write(b"SET", b"k", b"1", client=client)
    houses.settle()
    assert client.heard == b"", "and of their own changes, they hear nothing as before"


def test_partitions_are_as_all_others_once_nobody_has_their_keys() -> None:
    """What nobody tracks costs nothing."""
    houses = Houses()
    client = houses.a.client()
    client.read(b"k")
    number = partition_of(b"k")
    assert houses.a.locks.readers.observes(number)
    houses.a.write(b"SET", b"k", b"1")
    houses.settle()
    houses.a.locks.sweep(0.0)
    assert not any(houses.a.locks.readers.observes(number) for number in range(PARTITIONS))
    houses.a.tracking.enable(client.session, Tracker(bcast=True, prefixes=frozenset([b"a"])))
    assert all(houses.a.locks.readers.observes(number) for number in range(PARTITIONS))
    houses.a.tracking.disable(client.session)
    houses.a.locks.sweep(0.0)
    assert not any(houses.a.locks.readers.observes(number) for number in range(PARTITIONS))


def test_prefixes_are_bounded() -> None:
    """More than all nodes would keep are refused, and the client is tracked as before."""
    houses = Houses()
    client = houses.a.client(Tracker(bcast=True, prefixes=frozenset([b"a"])))
    with pytest.raises(TooManyPrefixes):
        houses.a.tracking.enable(client.session, Tracker(bcast=True, prefixes=frozenset([b"x" * 5_000_000])))
    houses.a.write(b"SET", b"a", b"1")
    houses.settle()
    assert client.heard == told(b"a")


WHOLE = encode(Changed(flushed=False, keys=[], dropped=[]))


@pytest.mark.parametrize("body", [b"", b"\xc0", WHOLE[:-1], WHOLE + b"\0", b"\x92\x09\x00", b"\x93" * 2000])
def test_what_is_no_message_is_refused(body: bytes) -> None:
    """The link is cut for it."""
    with pytest.raises(ProtocolError):
        decode(body)


def test_keys_of_a_script_are_remembered_from_when_it_reads_anything() -> None:
    """Of one that reads nothing none; and anew when it reads again behind its own change."""
    houses = Houses()
    client = houses.a.client()
    declared = houses.a.declared(client, b"k", b"l")
    declared.writes()
    houses.a.write(b"SET", b"k", b"1")
    houses.settle()
    assert client.heard == b""
    declared.reads()
    declared.reads()
    houses.a.write(b"SET", b"l", b"1")
    houses.settle()
    assert client.heard == told(b"l")
    declared.writes()
    declared.reads()
    houses.a.write(b"SET", b"l", b"2")
    houses.settle()
    assert client.heard == told(b"l")


def test_a_script_of_a_client_without_loops_is_not_told_of_its_own_change() -> None:
    """Whether it has read the key before, itself or not; what others change is told."""
    houses = Houses()
    client = houses.a.client(Tracker(noloop=True))
    client.read(b"k")
    declared = houses.a.declared(client, b"k")
    for calls in ((declared.writes,), (declared.reads, declared.writes)):
        for call in calls:
            call()
        houses.a.write(b"SET", b"k", b"1", client=client)
        houses.settle()
        assert client.heard == b""
    declared.reads()
    houses.a.write(b"SET", b"k", b"2")
    houses.settle()
    assert client.heard == told(b"k")


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_key_that_was_read_again_behind_a_flush_is_told_of(name: str) -> None:
    """Though nobody was tracked when it was flushed: the owner had forgotten that the node knows the key."""
    houses = Houses()
    house = houses.a if name == "a" else houses.b
    client = house.client()
    client.read(b"k")
    houses.settle()
    house.tracking.disable(client.session)
    houses.settle()
    houses.a.store.flushed()
    houses.settle()
    assert len(house.tracking.clients) == 0
    again = house.client()
    again.read(b"k")
    houses.settle()
    houses.a.write(b"SET", b"k", b"1")
    houses.settle()
    assert again.heard == told(b"k")


def test_a_connection_that_is_about_to_close_is_told_nothing_for_others() -> None:
    """It has said QUIT, and has its answer, though the socket is closed a moment later: the client hears of that."""
    houses = Houses()
    target = houses.a.client(Tracker())
    client = houses.a.client(Tracker(redirect=target.session.client_id, target=target.session))
    client.read(b"k")
    target.session.closing = True
    houses.a.write(b"SET", b"k", b"1")
    houses.settle()
    assert (client.heard, target.heard) == (BROKEN % target.session.client_id, b"")


def test_who_has_changed_a_key_beside_others_is_told_of_that() -> None:
    """Within one turn, and whoever was last: its own change is no reason to keep the others' from it."""
    houses = Houses()
    client = houses.a.client(Tracker(bcast=True, noloop=True, prefixes=frozenset([b""])))
    for last in (client, None):
        houses.settle()
        assert client.heard == b""
        houses.a.write(b"HSET", b"h", b"f", b"1", client=None if last else client)
        houses.a.write(b"HSET", b"h", b"f", b"2", client=last)
        houses.settle()
        assert client.heard == told(b"h")
    houses.a.write(b"HSET", b"h", b"f", b"3", client=client)
    houses.a.write(b"HSET", b"h", b"f", b"4", client=client)
    houses.settle()
    assert client.heard == b""


def test_a_client_that_has_hung_up_is_not_tracked() -> None:
    """It may have asked for that in a transaction which ends after it: nobody would ever forget it."""
    street = Street()
    node, client = street.nodes["a"], street.client()
    for words in ([b"MULTI"], [b"GET", key_of("b")], [b"CLIENT", b"TRACKING", b"ON"]):
        node.batch(client, words)
    client.transmit = lambda _wire: None
    reply = node.batch(client, [b"EXEC"])[0]
    assert isinstance(reply, Pending)
    reply.abandon()
    client.transmit = client.barrier = client.blocked = None
    street.settle()
    assert not client.host.tracking.clients.sessions
