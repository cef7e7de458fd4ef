"""limits: each of its strategies, synchronous and asynchronous, whose scripts run on the keys' owners."""

import pytest

limits = pytest.importorskip("limits", reason="needs the extra `clients`")
pytest.importorskip("lupa", reason="needs the extra `lua`")
from limits import aio  # noqa: E402 # what is not there cannot be imported

STRATEGIES = ("FixedWindowRateLimiter", "MovingWindowRateLimiter", "SlidingWindowCounterRateLimiter")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_limit_holds(url: str, strategy: str) -> None:
    """Five of seven hits in an hour pass; others' do; a reset lifts the limit."""
    storage = limits.storage.storage_from_string(url)
    assert storage.check()
    limiter = getattr(limits.strategies, strategy)(storage)
    rate = limits.parse("5/hour")
    assert [limiter.hit(rate, "user", "1") for _ in range(7)] == [True] * 5 + [False] * 2
    assert not limiter.test(rate, "user", "1")
    assert limiter.get_window_stats(rate, "user", "1").remaining == 0
    assert limiter.hit(rate, "user", "2", cost=5)
    limiter.clear(rate, "user", "1")
    assert limiter.hit(rate, "user", "1")
    storage.reset()  # a script that walks all keys of the server
    assert limiter.hit(rate, "user", "1")


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_limit_holds_asynchronously(url: str, strategy: str) -> None:
    """The same with redis-py's asynchronous client."""
    storage = limits.storage.storage_from_string(f"async+{url}", implementation="redispy")
    assert await storage.check()
    limiter = getattr(aio.strategies, strategy)(storage)
    rate = limits.parse("5/hour")
    assert [await limiter.hit(rate, "user", "1") for _ in range(7)] == [True] * 5 + [False] * 2
    assert (await limiter.get_window_stats(rate, "user", "1")).remaining == 0
    await limiter.clear(rate, "user", "1")
    assert await limiter.hit(rate, "user", "1")
