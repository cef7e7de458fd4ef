"""Orders that wait come out in the order in which they went in."""

from respcache.commands.registry import TABLE
from respcache.commands.session import Turns
from respcache.routing.order import Order
from respcache.routing.parking import Parking


def order(turns: Turns | None = None, *, deadline_s: float = 5.0) -> Order:
    """Make an order."""
    return Order(
        TABLE[b"GET"], [b"GET", b"k"], database=0, protocol=2, partitions=(1,), deadline_s=deadline_s, turns=turns
    )


def test_they_leave_in_the_order_of_their_coming() -> None:
    """All of them, to be tried again."""
    parking, orders = Parking(), [order() for _ in range(3)]
    for one in orders:
        parking.add(one)
    assert parking.leave() == orders
    assert parking.leave() == []


def test_what_came_back_waits_for_the_rest_of_its_client() -> None:
    """The others do not; and once all are back they leave together."""
    parking, client = Parking(), Turns()
    first, second, stranger = order(client), order(client), order()
    for one in (first, second):
        one.leave((1, 1))
    assert not first.come_back((1, 2))
    first.returned = True
    parking.add(first)
    parking.add(stranger)
    assert parking.leave() == [stranger]
    client.displaced = True
    assert second.come_back((1, 2))
    second.returned = True
    parking.add(second)
    assert parking.leave() == [first, second]


def test_what_was_passed_over_is_to_be_looked_at_when_the_rest_is_back() -> None:
    """Though the record is the same; what has left is not passed over any more."""
    parking, client = Parking(), Turns()
    client.displaced = True
    first, second, third = order(client), order(client), order(client)
    first.leave((1, 1))
    assert not first.come_back((1, 1))
    first.returned = True
    for one in (second, third):
        one.leave((1, 1))
    parking.add(first)
    assert parking.leave() == []
    assert not second.come_back((1, 1))
    assert third.come_back((1, 1))
    assert parking.leave() == [first]
    third.leave((1, 1))
    assert not third.come_back((1, 1))


def test_those_whose_time_is_over_leave_alone() -> None:
    """The others stay in their order."""
    parking, orders = Parking(), [order(deadline_s=deadline_s) for deadline_s in (3.0, 1.0, 2.0)]
    for one in orders:
        parking.add(one)
    assert parking.late(2.0) == orders[1:]
    assert list(parking) == orders[:1]
