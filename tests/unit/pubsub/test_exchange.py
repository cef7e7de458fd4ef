"""Publish and subscribe over several nodes: who gets what, in which order, and what goes over the links."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.errors import ProtocolError
from respcache.glob import PatternTooLong
from respcache.pubsub.audience import Kind
from respcache.pubsub.exchange import Exchange, TooManySubscriptions
from respcache.pubsub.wire import CHOICE_TIME_MAX_UNIX_MS, Counted, Published, Told, decode, encode
from unit.pubsub.exchanges import Listener, Town, message, there, wire_of

PMESSAGE = b"*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\nch\r\n$1\r\nm\r\n"


def test_a_message_reaches_all_who_listen_on_any_node() -> None:
    """Each once for each of its subscriptions that match; the number is that of the whole cluster."""
    town = Town("a", "b", "c")
    one, two, three = Listener(), Listener(protocol=3), Listener()
    town.subscribe("a", one, Kind.CHANNEL, b"ch")
    town.subscribe("b", two, Kind.CHANNEL, b"ch", b"other")
    town.subscribe("c", three, Kind.PATTERN, b"c*")
    town.subscribe("c", three, Kind.CHANNEL, b"ch")
    for node in ("a", "b", "c"):
        assert town.publish(node, b"ch") == b":4\r\n"
        assert one.take() == message(b"ch")
        assert two.take() == message(b"ch", first=b">")
        assert three.take() == message(b"ch") + PMESSAGE


def test_sharded_channels_are_a_space_of_their_own() -> None:
    """Neither channels nor patterns hear of them."""
    town = Town("a", "b")
    sharded, other = Listener(), Listener()
    town.subscribe("b", sharded, Kind.SHARD, b"ch")
    town.subscribe("b", other, Kind.CHANNEL, b"ch")
    town.subscribe("b", other, Kind.PATTERN, b"*")
    assert town.publish("a", b"ch", kind=Kind.SHARD) == b":1\r\n"
    assert sharded.take() == message(b"ch", word=b"smessage")
    assert other.take() == b""


def test_bytes_go_only_to_nodes_that_have_somebody_who_listens() -> None:
    """And to those once, however many listen there."""
    town = Town("a", "b", "c")
    for listener in (Listener(), Listener()):
        town.subscribe("b", listener, Kind.CHANNEL, b"ch")
    town.traffic.clear()
    assert town.publish("a", b"ch") == b":2\r\n"
    assert town.publish("a", b"nobody") == b":0\r\n"
    assert town.traffic == [("a", "b", "Published"), ("b", "a", "Counted")]


def test_what_is_published_in_one_turn_goes_in_one_message() -> None:
    """And its counts come back in one."""
    town = Town("a", "b")
    town.subscribe("b", Listener(), Kind.CHANNEL, b"ch")
    town.traffic.clear()
    replies = [town["a"].publish(Listener(), Kind.CHANNEL, b"ch", b"%d" % number) for number in range(100)]
    town.settle()
    assert [wire_of(reply) for reply in replies] == [b":1\r\n"] * 100
    assert town.traffic == [("a", "b", "Published"), ("b", "a", "Counted")]


def test_a_subscription_is_confirmed_when_all_linked_nodes_know_of_it() -> None:
    """What is published anywhere after the confirmation is heard."""
    town = Town("a", "b", "c")
    listener = Listener()
    town["a"].subscribe(listener, Kind.CHANNEL, b"ch")
    confirmation = town["a"].when_known(b"yes")
    town.turn()
    town.deliver("b")
    town.turn()
    town.deliver("a")
    assert not there(confirmation), "c has not heard of it"
    town.settle()
    assert wire_of(confirmation) == b"yes"
    assert town.publish("c", b"ch") == b":1\r\n"


def test_a_second_client_waits_for_the_first_ones_news() -> None:
    """Its own name is known to be told already, but may not have arrived."""
    town = Town("a", "b")
    town["a"].subscribe(Listener(), Kind.CHANNEL, b"ch")
    town.turn()
    town["a"].subscribe(Listener(), Kind.CHANNEL, b"ch")
    confirmation = town["a"].when_known(b"yes")
    assert not there(confirmation)
    town.settle()
    assert wire_of(confirmation) == b"yes"
    assert wire_of(town["a"].when_known(b"at once")) == b"at once"


def test_a_node_that_is_lost_is_not_waited_for() -> None:
    """Neither by confirmations nor by counts; and a hung one not for longer than the deadline."""
    town = Town("a", "b", "c")
    town.subscribe("b", Listener(), Kind.CHANNEL, b"ch")
    town.subscribe("c", Listener(), Kind.CHANNEL, b"ch")
    published = town["a"].publish(Listener(), Kind.CHANNEL, b"ch", b"m")
    town["a"].subscribe(Listener(), Kind.CHANNEL, b"new")
    known = town["a"].when_known(b"yes")
    counted = town["a"].count(Kind.CHANNEL, [b"ch"], lambda counts: b"%d" % counts[0])
    town.turn()
    town.cut("a", "b")
    replies = [published, known, counted]
    assert not any(there(reply) for reply in replies)
    town["a"].sweep(10.0, 5.0)
    town["a"].sweep(14.9, 5.0)
    assert not there(known)
    town["a"].sweep(15.0, 5.0)
    assert [wire_of(reply) for reply in replies] == [b":0\r\n", b"yes", b"0"]
    town.settle()
    assert [wire_of(reply) for reply in replies] == [b":0\r\n", b"yes", b"0"], "late answers change nothing"


def test_a_node_that_dies_is_not_published_to_any_more() -> None:
    """Until it is back, and has told anew."""
    town = Town("a", "b")
    listener = Listener()
    town.subscribe("b", listener, Kind.CHANNEL, b"ch")
    town.cut("a", "b")
    assert town.publish("a", b"ch") == b":0\r\n"
    town["b"].unsubscribe(listener, Kind.CHANNEL, b"ch")
    town["b"].subscribe(listener, Kind.CHANNEL, b"new")
    town.link("a", "b")
    town.settle()
    assert (town.publish("a", b"ch"), town.publish("a", b"new")) == (b":0\r\n", b":1\r\n")
    town["a"].remove("b")
    assert not town["a"].audiences.tables[Kind.CHANNEL]


def test_what_a_node_says_itself_is_for_those_who_name_its_channel() -> None:
    """Or begin a pattern as its name does: to listen to all channels is to listen to those of applications."""
    town = Town("a", "b")
    by_name, by_pattern, to_all, elsewhere = Listener(), Listener(), Listener(), Listener()
    town.subscribe("a", by_name, Kind.CHANNEL, b"own:ch")
    town.subscribe("a", by_pattern, Kind.PATTERN, b"own:*")
    town.subscribe("a", to_all, Kind.PATTERN, b"*", b"o*", b"*:ch", b"?wn:*")
    town.subscribe("b", elsewhere, Kind.CHANNEL, b"own:ch")
    town["a"].announce(b"own:ch", b"m")
    town.settle()
    assert by_name.take() == message(b"own:ch")
    assert by_pattern.take() == b"*4\r\n$8\r\npmessage\r\n$5\r\nown:*\r\n$6\r\nown:ch\r\n$1\r\nm\r\n"
    assert to_all.take() == elsewhere.take() == b""
    assert town.publish("a", b"own:ch") == b":7\r\n"


def test_a_clients_own_messages_come_before_its_reply() -> None:
    """As if they had been written at once: a RESP3 client that publishes to itself, and one that leaves."""
    exchange = Exchange()
    client = Listener(protocol=3)
    exchange.subscribe(client, Kind.CHANNEL, b"ch")
    assert wire_of(exchange.publish(client, Kind.CHANNEL, b"ch", b"m")) == message(b"ch", first=b">") + b":1\r\n"
    exchange.deliver(Kind.CHANNEL, b"ch", b"m")
    assert exchange.take(client) == message(b"ch", first=b">")
    exchange.deliver(Kind.CHANNEL, b"ch", b"m")
    exchange.dismiss(client)
    assert not exchange.flush()
    assert (
        exchange.audiences.memory_bytes == exchange.audiences.subscriptions == sum(exchange.audiences.names_here) == 0
    )


def test_subscriptions_end_where_memory_does() -> None:
    """All names of one command, or none; what a client has already costs nothing."""
    exchange = Exchange(memory_max_bytes=10_000)
    client = Listener()
    exchange.check_room(client, Kind.CHANNEL, [b"%d" % number for number in range(20)])
    with pytest.raises(TooManySubscriptions):
        exchange.check_room(client, Kind.CHANNEL, [b"%d" % number for number in range(30)])
    with pytest.raises(TooManySubscriptions):
        exchange.check_room(client, Kind.CHANNEL, [b"x" * 10_000])
    with pytest.raises(PatternTooLong):
        exchange.check_room(client, Kind.PATTERN, [b"short", b"x" * 4097])
    number = 0
    while exchange.audiences.memory_bytes < 9_500:
        exchange.subscribe(client, Kind.CHANNEL, b"%d" % number)
        number += 1
    exchange.check_room(client, Kind.CHANNEL, [b"0"] * 1000)
    with pytest.raises(TooManySubscriptions):
        exchange.check_room(client, Kind.PATTERN, [b"0"])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from((b"x", b"y"))), max_size=40), st.data())
@settings(max_examples=50, deadline=None)
def test_each_listener_hears_each_publisher_in_order(published: list[tuple[str, bytes]], data: st.DataObject) -> None:
    """However turns of the event loops and deliveries fall; and never twice."""
    town = Town("a", "b", "c")
    listeners = {name: Listener() for name in town.nodes}
    for name, listener in listeners.items():
        town.subscribe(name, listener, Kind.CHANNEL, b"x", b"y")
    for number, (node, channel) in enumerate(published):
        town[node].publish(Listener(), Kind.CHANNEL, channel, b"%b%03d" % (node.encode(), number))
        if data.draw(st.booleans()):
            town.turn()
        if data.draw(st.booleans()):
            town.deliver(data.draw(st.sampled_from("abc")))
    town.settle()
    for listener in listeners.values():
        heard = [line for line in listener.heard.split(b"\r\n") if len(line) == 4 and line[:1].isalpha()]
        for name in town.nodes:
            of_one = [line for line in heard if line.startswith(name.encode())]
            assert of_one == [b"%b%03d" % (name.encode(), n) for n, (node, _) in enumerate(published) if node == name]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        encode(Told(1 << 40, 1, [], [])),
        encode(Told(2_000_001, 0, [], [])),
        encode(Counted(1, [1, 2])),
        encode(Told(1 << 50, 0, [(Kind.PATTERN, b"x" * 4097)], [])),
        b"\x94\x00\x01\x01\x91\x92\x07\xc4\x01x\x90",
    ],
)
def test_a_peer_that_makes_no_sense_is_told_so(body: bytes) -> None:
    """The link is cut then; nothing was changed."""
    town = Town("a", "b")
    town.subscribe("b", Listener(), Kind.CHANNEL, b"ch")
    reply = town["a"].publish(Listener(), Kind.CHANNEL, b"ch", b"m")
    town["a"].flush()
    with pytest.raises(ProtocolError):
        town["a"].receive("b", body)
    assert list(town["a"].audiences.tables[Kind.CHANNEL]) == [b"ch"]
    assert not there(reply)


def test_what_strangers_and_former_links_say_is_ignored() -> None:
    """A message without a link, of an earlier epoch, or an answer that nobody waits for."""
    town = Town("a", "b")
    town.subscribe("b", Listener(), Kind.CHANNEL, b"ch")
    town["a"].receive("z", encode(Published(1, [(Kind.CHANNEL, b"ch", b"m")])))
    town["a"].receive("b", encode(Told(1, 0, [(Kind.CHANNEL, b"late")], [])))
    town["a"].receive("b", encode(Counted(99, [1])))
    assert list(town["a"].audiences.tables[Kind.CHANNEL]) == [b"ch"]


def test_a_peer_that_begins_anew_is_taken_at_its_word() -> None:
    """Number 0 of a later epoch takes the place of all that it told before, on whatever link it comes."""
    town = Town("a", "b")
    town.subscribe("b", Listener(), Kind.CHANNEL, b"ch", b"kept")
    town["a"].receive("b", encode(Told(1 << 40, 0, [(Kind.CHANNEL, b"kept"), (Kind.CHANNEL, b"new")], [])))
    assert list(town["a"].audiences.tables[Kind.CHANNEL]) == [b"kept", b"new"]


def test_long_lists_of_names_come_in_several_messages() -> None:
    """A new link tells all, and a subscription behind them is confirmed when all have arrived."""
    town = Town("a", "b")
    town.cut("a", "b")
    listener = Listener()
    for number in range(25_000):
        town["a"].subscribe(listener, Kind.CHANNEL, b"%d" % number)
    town.traffic.clear()
    town.link("a", "b")
    known = town["a"].when_known(b"yes")
    town.settle()
    assert known.wire == b"yes"
    assert [kind for sender, _, kind in town.traffic if sender == "a"].count("Told") == 3
    assert len(town["b"].audiences.tables[Kind.CHANNEL]) == 25_000


def test_what_nobody_counts_reaches_the_same_clients() -> None:
    """And goes over no link on whose other side nobody listens."""
    town = Town("a", "b", "c")
    near, far, other = Listener(), Listener(), Listener()
    town.subscribe("a", near, Kind.CHANNEL, b"ch")
    town.subscribe("b", far, Kind.PATTERN, b"c*")
    town.subscribe("c", other, Kind.CHANNEL, b"other")
    town.traffic.clear()
    town["a"].spread(b"ch", b"m")
    town["a"].spread(b"nobody", b"m")
    town.settle()
    assert (near.take(), far.take(), other.take()) == (message(b"ch"), PMESSAGE, b"")
    assert town.traffic == [("a", "b", "Published"), ("b", "a", "Counted")]


def adopting(town: Town) -> dict[str, dict[str, str]]:
    """Have all nodes go by what others choose; give what each goes by of that."""
    adopted: dict[str, dict[str, str]] = {name: {} for name in town.nodes}
    for name, node in town.nodes.items():
        node.adopt = adopted[name].update
    return adopted


def test_the_last_choice_of_a_setting_holds_everywhere() -> None:
    """Whoever made it, on nodes that were cut off meanwhile, too; and it is confirmed once all know of it."""
    town = Town("a", "b", "c")
    adopted = adopting(town)
    town["a"].choose({"events": "KEA"}, 1_000)
    known = town["a"].when_known(b"+OK\r\n")
    assert not there(known)
    town.settle()
    assert there(known)
    town.cut("a", "c")
    town.cut("b", "c")
    town["b"].choose({"events": "K$"}, 900)
    town["c"].choose({"events": "Ex", "size": "5"}, 950)
    town.settle()
    assert adopted == {"a": {"events": "K$"}, "b": {"events": "KEA"}, "c": {"events": "KEA"}}
    town.link("a", "c")
    town.settle()
    town.link("b", "c")
    town.settle()
    held = [("events", 1_001, "K$"), ("size", 950, "5")]
    assert [sorted(node.choices.told()) for node in town.nodes.values()] == [held] * 3
    assert adopted == {"a": {"events": "K$", "size": "5"}, "b": {"events": "KEA", "size": "5"}, "c": {"events": "K$"}}


def test_a_choice_that_was_made_when_the_node_started_is_its_own() -> None:
    """Nodes whose files say different things do not overrule each other."""
    town = Town("a", "b")
    adopted = adopting(town)
    town.cut("a", "b")
    town.link("a", "b")
    town.settle()
    assert adopted == {"a": {}, "b": {}}


def test_what_was_chosen_is_told_once() -> None:
    """Not again with every name that a client listens to."""
    town = Town("a", "b")
    town["a"].choose({"events": "KEA"}, 1_000)
    town.settle()
    town["a"].subscribe(Listener(), Kind.CHANNEL, b"ch")
    town.turn()
    (body,) = [body for sender, _, body in town.sent if sender == "a"]
    assert decode(body) == Told(epoch_of(body), 2, [(Kind.CHANNEL, b"ch")], [])


def epoch_of(body: bytes) -> int:
    """Read of which link a message is."""
    message = decode(body)
    assert isinstance(message, Told)
    return message.epoch


def test_no_other_node_chooses_what_each_has_for_itself() -> None:
    """A name that is not among the shared ones is passed over, so a node does not change another's password."""
    town = Town("a", "b")
    adopted = adopting(town)
    town["a"].receive("b", encode(Told(1 << 40, 0, [], [], (("requirepass", 1, "x"), ("size", 1, "5")))))
    assert adopted["a"] == {"size": "5"}
    assert town["a"].choices.told() == (("size", 1, "5"),)


def test_a_choice_at_the_end_of_time_can_be_followed_by_another() -> None:
    """What is told of it stays within what others accept; the greater value holds."""
    town = Town("a", "b")
    adopted = adopting(town)
    town["a"].receive("b", encode(Told(1 << 40, 0, [], [], (("size", CHOICE_TIME_MAX_UNIX_MS, "5"),))))
    town["a"].choose({"size": "6"}, 1_000)
    town.settle()
    assert adopted["b"] == {"size": "6"}
