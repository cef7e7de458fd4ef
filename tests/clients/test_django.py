"""Django's own cache backend, and django-redis."""

from collections.abc import Iterator

import pytest

django = pytest.importorskip("django", reason="needs the extra `clients`")
from django.conf import settings  # noqa: E402 # what is not there cannot be imported
from django.core.cache import caches  # noqa: E402 # the same
from django.utils.connection import ConnectionProxy  # noqa: E402 # the same

OWN = "django.core.cache.backends.redis.RedisCache"
THEIRS = "django_redis.cache.RedisCache"


@pytest.fixture(params=[OWN, THEIRS], ids=["django", "django-redis"])
def cache(url: str, request: pytest.FixtureRequest) -> Iterator[ConnectionProxy]:
    """Set a cache up as a project's settings do, in database 1 of a node."""
    if request.param == THEIRS:
        pytest.importorskip("django_redis", reason="needs the extra `clients`")
    if not settings.configured:
        settings.configure()
    name = f"{request.param} {url}"
    caches.settings[name] = {"BACKEND": request.param, "LOCATION": f"{url}/1", "KEY_PREFIX": "site", "TIMEOUT": 60}
    yield caches[name]
    caches[name].close()


def test_values_are_cached(cache: ConnectionProxy) -> None:
    """Objects come back, `add` does not overwrite, counters count, deadlines are set and lifted."""
    cache.set("object", {"list": [1, 2]})
    assert cache.get("object") == {"list": [1, 2]}
    assert cache.get("none", "default") == "default"
    assert (cache.add("once", 1), cache.add("once", 2), cache.get("once")) == (True, False, 1)
    assert (cache.incr("once", 41), cache.decr("once", 2)) == (42, 40)
    with pytest.raises(ValueError, match="not found"):
        cache.incr("none")
    assert (cache.touch("once", 100), cache.touch("none")) == (True, False)
    assert cache.get_or_set("made", lambda: "value") == "value"
    assert cache.has_key("made")
    assert (cache.delete("made"), cache.delete("made")) == (True, False)
    cache.set("never", 1, timeout=0)
    assert cache.get("never") is None


def test_many_values_at_once(cache: ConnectionProxy) -> None:
    """`set_many` is a pipeline over keys of all nodes; `clear` empties one database."""
    values = {f"key:{number}": number for number in range(100)}
    assert not cache.set_many(values, timeout=50)
    assert cache.get_many(values) == values
    cache.delete_many(list(values)[:50])
    assert len(cache.get_many(values)) == 50
    cache.clear()
    assert cache.get_many(values) == {}


def test_versions_are_apart(cache: ConnectionProxy) -> None:
    """A new version hides the old one's values."""
    cache.set("key", 1, version=1)
    cache.set("key", 2, version=2)
    assert (cache.get("key", version=1), cache.get("key", version=2)) == (1, 2)
    assert cache.incr_version("key", version=2) == 3
    assert (cache.get("key", version=2), cache.get("key", version=3)) == (None, 2)


@pytest.mark.parametrize("cache", [THEIRS], indirect=True, ids=["django-redis"])
def test_what_django_redis_adds(cache: ConnectionProxy) -> None:
    """Patterns, time to live, locks and sets."""
    cache.set_many({f"item:{number}": number for number in range(100)}, timeout=None)
    assert len(cache.keys("item:*")) == 100
    assert len(list(cache.iter_keys("item:*", itersize=10))) == 100
    assert cache.ttl("item:1") is None
    assert cache.expire("item:1", 100)
    assert cache.ttl("item:1") in {99, 100}
    assert 99_000 < cache.pttl("item:1") <= 100_000
    assert cache.persist("item:1")
    assert cache.delete_pattern("item:*", itersize=10) == 100
    with cache.lock("lock", timeout=10):
        assert not cache.lock("lock", timeout=10).acquire(blocking=False)
    assert cache.set("once", 1, nx=True)
    assert not cache.set("once", 2, nx=True)
    assert cache.sadd("set", "a", "b") == 2
    assert cache.smembers("set") == {"a", "b"}
