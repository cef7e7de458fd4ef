"""The node as commands see it."""

from unit.commands.front import Front


def test_clients_are_numbered_in_the_order_of_their_coming() -> None:
    """No number is given twice, even after a client has gone."""
    front = Front()
    first, second = front.client(), front.client()
    front.sessions.remove(second)
    assert first.client_id < second.client_id < front.client().client_id
    assert front.host.sessions() == front.sessions


def test_a_shutdown_is_passed_on() -> None:
    """The host itself ends nothing."""
    front = Front()
    front.host.shut_down("SHUTDOWN from 127.0.0.1:5")
    assert front.shutdowns == 1


def test_the_host_knows_its_neighbours_and_the_time() -> None:
    """Whole microseconds of the wall clock, and not before the node started."""
    front = Front()
    assert front.host.topology() == front.nodes
    assert front.host.now_unix_us() // 1_000_000 >= front.host.started_unix_s
    assert front.host.config is front.host.settings.config
