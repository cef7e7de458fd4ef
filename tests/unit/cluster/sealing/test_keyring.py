"""Keys, and the ring that they are on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.sealing.keyring import KEY_BYTES, KEYS_MAX, Key, KeyRefused, Keyring
from respcache.errors import ConfigError

KEYS = [Key.of(bytes([number]) * KEY_BYTES) for number in range(KEYS_MAX + 1)]


def test_a_key_shows_its_fingerprint_alone() -> None:
    """Neither the repr of the key, nor that of its ring, has anything of the secret."""
    key = Key.of(b"s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr")
    for shown in (repr(key), str(key), repr(Keyring((key,))), f"{Keyring((key,))}"):
        assert key.fingerprint in shown
        assert "s3cr3t" not in shown
        assert key.text not in shown


@given(st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_a_key_is_read_as_it_was_written(secret: bytes) -> None:
    """Whatever its bytes."""
    key = Key.of(secret)
    assert Key.parse(key.text) == key


@pytest.mark.parametrize(
    "text", ["", "x", "c2hvcnQ=", "!" * 44, KEYS[0].text + KEYS[1].text, KEYS[0].text[:-1], "é" * 44]
)
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    """A typing error in a secret must not end up in a log."""
    with pytest.raises(ConfigError) as caught:
        Keyring.parse([KEYS[2].text, text])
    assert str(caught.value).startswith("key 2 of 2: must be 32 bytes in base64")
    assert len(text) < 2 or text not in str(caught.value)


def test_a_ring_has_some_keys_and_none_twice() -> None:
    """One to KEYS_MAX of them."""
    for texts in ([], [key.text for key in KEYS], [KEYS[0].text] * 2):
        with pytest.raises(ConfigError):
            Keyring.parse(texts)


def test_a_key_is_replaced_in_three_steps() -> None:
    """Install, use, remove; each may be done twice."""
    old, new = KEYS[:2]
    ring = Keyring((old,))
    both = ring.install(new)
    assert (both.primary, both.keys, both.install(new)) == (old, (old, new), both)
    used = both.use(new.fingerprint)
    assert (used.primary, used.use(new.fingerprint)) == (new, used)
    last = used.remove(old.fingerprint)
    assert (last.keys, last.remove(old.fingerprint)) == ((new,), last)
    assert (last.find(old.id), last.find(new.id)) == (None, new)


def test_unsafe_steps_are_refused() -> None:
    """The primary key stays, an absent one cannot be used, a ring is not overfilled."""
    ring = Keyring((KEYS[0],))
    with pytest.raises(KeyRefused, match="primary"):
        ring.remove(KEYS[0].fingerprint)
    with pytest.raises(KeyRefused, match="install it first"):
        ring.use(KEYS[1].fingerprint)
    with pytest.raises(KeyRefused, match="full"):
        Keyring(tuple(KEYS[:KEYS_MAX])).install(KEYS[KEYS_MAX])
    with pytest.raises(KeyRefused, match="another key has the fingerprint"):
        ring.install(Key(KEYS[1].secret, KEYS[0].id))
