"""When a node stops whose place another run of it has taken."""

from respcache.net.exile import EXILE_S, Exile


def test_a_node_that_is_known_as_another_run_and_gets_no_lease_stops() -> None:
    """Not at once: it may be let in again."""
    exile = Exile(5)
    assert not exile.review(10.0, 7, leased=False)
    assert not exile.review(10.0 + EXILE_S / 2, 7, leased=False)
    assert exile.review(10.0 + EXILE_S, 7, leased=False)


def test_a_node_that_may_serve_goes_on() -> None:
    """It may be a cluster of its own; and one without a lease that is known as what it is waits for one."""
    exile = Exile(5)
    assert not exile.review(10.0, 7, leased=False)
    assert not exile.review(11.0, 7, leased=True)
    assert not exile.review(10.0 + EXILE_S, 7, leased=False)
    assert not exile.review(100.0, 5, leased=False)
    assert not exile.review(100.0 + EXILE_S, 7, leased=False)
