"""A place in the queue of replies."""

from respcache.pending import Pending


def test_whoever_listens_is_called_once() -> None:
    """Whether the reply comes before or after; a second reply is ignored."""
    pending, calls = Pending(), list[bytes | None]()
    pending.then(lambda: calls.append(pending.wire))
    pending.resolve(b"+1\r\n")
    pending.resolve(b"+2\r\n")
    pending.then(lambda: calls.append(b"late"))
    assert (pending.wire, calls) == (b"+1\r\n", [b"+1\r\n", b"late"])


def test_the_follower_comes_after_the_listener() -> None:
    """The reply is written before the requests behind it run."""
    pending, calls = Pending(), list[str]()
    pending.also(lambda: calls.append("follower"))
    pending.then(lambda: calls.append("listener"))
    pending.resolve(b"+OK\r\n")
    pending.also(lambda: calls.append("late follower"))
    assert calls == ["listener", "follower", "late follower"]


def test_a_reply_is_followed_wherever_it_comes_from() -> None:
    """Through any number of places, now or later."""
    first, second, third = Pending(), Pending(), Pending()
    third.follow(second)
    second.follow(first)
    before = third.wire
    first.follow(b":1\r\n")
    assert [before, second.wire, third.wire] == [None, b":1\r\n", b":1\r\n"]


def test_an_abandoned_place_calls_nobody() -> None:
    """The client is gone, but the command ends all the same."""
    pending, calls = Pending(), list[str]()
    pending.then(lambda: calls.append("listener"))
    pending.also(lambda: calls.append("follower"))
    pending.abandon()
    pending.resolve(b"+OK\r\n")
    assert pending.wire == b"+OK\r\n"
    assert calls == []
