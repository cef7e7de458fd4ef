"""The queue of rumours."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.membership.rumors import RumorQueue, transmissions
from respcache.cluster.membership.stats import GossipStats


def drain(queue: RumorQueue, sends_max: int) -> list[bytes]:
    """Take until nothing is left."""
    taken: list[bytes] = []
    while queue:
        taken += queue.take(10_000, sends_max)
    return taken


def test_the_number_of_transmissions_grows_with_the_logarithm() -> None:
    """The figures of SWIM's formula."""
    assert [transmissions(4, members) for members in (1, 2, 9, 10, 99, 100, 10_000)] == [4, 4, 4, 8, 8, 12, 20]


def test_each_rumor_is_sent_so_often_and_no_more() -> None:
    """After its last transmission a rumour is forgotten."""
    queue = RumorQueue(own="me", capacity=100, stats=GossipStats())
    queue.put("a", b"A")
    queue.put("b", b"B")

    assert sorted(drain(queue, 3)) == [b"A"] * 3 + [b"B"] * 3


def test_a_newer_belief_replaces_the_older_one() -> None:
    """One rumour per member, counted from anew."""
    queue = RumorQueue(own="me", capacity=100, stats=GossipStats())
    queue.put("a", b"old")
    queue.take(100, 3)
    queue.put("a", b"new")

    assert drain(queue, 3) == [b"new"] * 3


def test_our_own_rumor_goes_first_then_the_least_told_then_the_newest() -> None:
    """A refutation must not wait, and news must not wait behind what others have heard already."""
    queue = RumorQueue(own="me", capacity=100, stats=GossipStats())
    queue.put("told", b"T")
    queue.take(100, 9)
    queue.put("me", b"M")
    queue.take(1, 9)
    queue.put("older", b"1")
    queue.put("newer", b"2")

    assert queue.take(100, 9) == [b"M", b"2", b"1", b"T"]


def test_a_packet_takes_what_fits() -> None:
    """A rumour too big for the rest is passed over; smaller ones behind it still ride along."""
    queue = RumorQueue(own="me", capacity=100, stats=GossipStats())
    queue.put("small", b"s")
    queue.put("big", b"b" * 50)

    assert queue.take(10, 2) == [b"s"]
    assert queue.take(60, 2) == [b"b" * 50, b"s"]


def test_a_full_queue_gives_up_what_was_told_most() -> None:
    """The queue is bounded; our own rumour is never given up."""
    stats = GossipStats()
    queue = RumorQueue(own="me", capacity=3, stats=stats)
    queue.put("me", b"M")
    queue.put("told", b"T")
    queue.take(100, 9)
    queue.put("fresh", b"F")
    queue.put("fresher", b"G")

    assert (len(queue), stats.dropped["queue"]) == (3, 1)
    assert queue.take(100, 9) == [b"M", b"G", b"F"]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.sampled_from("abcdefgh"), st.integers(0, 30)),
            st.tuples(st.just("take"), st.just(""), st.integers(0, 60)),
            st.tuples(st.just("drop"), st.sampled_from("abcdefgh"), st.just(0)),
        ),
        max_size=60,
    )
)
def test_it_agrees_with_a_plain_model(actions: list[tuple[str, str, int]]) -> None:
    """Sizes, limits and counts hold after any sequence of calls."""
    queue, sent = RumorQueue(own="a", capacity=5, stats=GossipStats()), dict[str, int]()
    for action, name, number in actions:
        match action:
            case "put":
                queue.put(name, name.encode() * (number + 1))
                sent[name] = 0
            case "drop":
                queue.drop(name)
                sent.pop(name, None)
            case _:
                taken = queue.take(number, 3)
                assert sum(map(len, taken)) <= number
                for rumor in taken:
                    told = rumor[:1].decode()
                    sent[told] += 1
                    assert sent[told] <= 3
        assert len(queue) <= 5
