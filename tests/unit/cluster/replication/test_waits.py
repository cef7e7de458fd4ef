"""A question about copies is done when all have enough, and its count is never too great."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.replication.log import Log, Replication, Stream
from respcache.cluster.replication.waits import Wait, Waits

SET = [b"SET", b"key", b"value"]


class Primary:
    """A node with streams to b and c."""

    def __init__(self) -> None:
        self.replication = Replication()
        self.b, self.c = (self.replication.stream(name, 1) for name in "bc")

    def log(self, partition: int, *required: Stream) -> Log:
        """Return a log with copies there."""
        log = Log(self.replication, partition, 1, 0)
        log.attach((), required)
        return log

    def write(self, *logs: Log) -> None:
        """Write to partitions, in one turn."""
        for log in logs:
            log.append(0, SET)
        self.replication.cut(0.0, (1, 1), lambda _peer, _frame: None)

    def ack(self, stream: Stream) -> None:
        """Let a peer ack all that there is."""
        self.replication.ack(0.0, stream, self.replication.number - 1)


def test_it_waits_for_the_copies_of_what_was_written_before() -> None:
    """Of all partitions; what is written later is another matter."""
    primary = Primary()
    one, two = primary.log(1, primary.b), primary.log(2, primary.c)
    primary.write(one, two)
    waits = Waits()
    wait = waits.ask([one, two], 1)
    primary.write(one)
    assert (wait.done, wait.count, len(waits)) == (False, 0, 1)
    primary.ack(primary.c)
    assert waits.look() == []
    primary.replication.ack(0.0, primary.b, 1)
    assert waits.look() == [wait]
    assert (wait.done, wait.count, len(waits)) == (True, 1, 0)


def test_any_so_many_of_the_copies_will_do() -> None:
    """But the count says how many there are."""
    primary = Primary()
    log = primary.log(1, primary.b, primary.c)
    primary.write(log)
    wait = Wait([log], 1)
    primary.ack(primary.c)
    wait.look()
    assert wait.done
    assert Wait([log], 0).count == 1
    primary.ack(primary.b)
    assert Wait([log], 2).count == 2


def test_without_partitions_or_copies_there_is_nothing_to_count() -> None:
    """A node alone."""
    log = Primary().log(1)
    assert Wait([log], 0).done
    assert Wait([log], 0).count == Wait([], 0).count == 0
    assert not Wait([log], 1).done


def test_a_copy_that_refused_or_was_demoted_does_not_count() -> None:
    """Though its acks go on."""
    primary = Primary()
    refused, demoted = primary.log(1, primary.b), primary.log(2, primary.b)
    primary.write(refused, demoted)
    waits = Wait([refused], 1), Wait([demoted], 1)
    refused.refusers = frozenset({primary.b})
    demoted.attach((), ())
    primary.ack(primary.b)
    for wait in waits:
        wait.look()
        assert (wait.done, wait.count) == (False, 0)


def test_a_lost_partition_ends_the_wait_with_what_was_known() -> None:
    """Acks that come later may be of effects that were void."""
    primary = Primary()
    log, kept = primary.log(1, primary.b), primary.log(2, primary.b)
    primary.write(log, kept)
    waits = Waits()
    wait, other = waits.ask([log], 1), waits.ask([kept], 1)
    assert waits.look([log]) == [wait]
    primary.ack(primary.b)
    assert wait.count == 0
    assert waits.look() == [other]


def test_what_nobody_waits_for_any_more_is_dropped() -> None:
    """Its count stands."""
    primary = Primary()
    log = primary.log(1, primary.b)
    primary.write(log)
    waits = Waits()
    wait = waits.ask([log], 1)
    waits.drop(wait)
    primary.ack(primary.b)
    assert waits.look() == []
    assert wait.count == 1


@given(
    writes=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(("write", "b", "c"))), max_size=30),
    copies=st.integers(0, 3),
)
def test_the_count_is_that_of_the_partition_with_fewest(writes: list[tuple[int, str]], copies: int) -> None:
    """In any order of writes and acks."""
    primary = Primary()
    logs = [primary.log(0, primary.b), primary.log(1, primary.b, primary.c), primary.log(2, primary.c)]
    for at, what in writes:
        if what == "write":
            primary.write(logs[at])
        else:
            primary.ack(primary.b if what == "b" else primary.c)
    wait = Wait(logs, copies)
    counts = [sum(stream.acked >= log.dirty for stream in log.required) for log in logs]
    assert wait.count == min(counts)
    assert wait.done is (min(counts) >= copies)
