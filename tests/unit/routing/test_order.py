"""A command under way."""

from respcache.commands import families
from respcache.errors import TryAgain
from respcache.routing.order import Order


def order() -> Order:
    """Make an order that is not answered yet."""
    return Order(families.ROWS[0], [b"X"], database=3, protocol=2, partitions=(1, 2), deadline_s=7.0)


def test_a_refused_order_was_certainly_not_run() -> None:
    """It is resolved, without a reply, and says so."""
    refused = order()
    refused.refuse()
    assert (refused.refused, refused.wire) == (True, b"")


def test_a_failed_order_has_an_error_for_a_reply() -> None:
    """That is not the same as being refused: the client gets it."""
    failed = order()
    failed.fail(TryAgain("later"))
    assert (failed.refused, failed.wire) == (False, b"-TRYAGAIN later\r\n")
