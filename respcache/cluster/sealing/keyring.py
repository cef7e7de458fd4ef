"""The keys that the nodes of a cluster share, and the steps by which they are replaced.

A key is 256 random bits. None of them ever encrypts anything: every run of a node and
every connection derives a key of its own from it (HKDF, RFC 5869), so no two ever
encrypt under the same key, and counters that begin at 0 may serve as nonces.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from respcache.errors import ConfigError, RespcacheError

KEY_BYTES: Final = 32
"""AES-256."""
KEY_ID_BYTES: Final = 4
KEYS_MAX: Final = 4
"""A rotation needs two; the rest is for one that was begun and not ended."""


class KeyRefused(RespcacheError):
    """A step of a rotation is not possible, or not safe; no ring was changed by it."""


def derive(secret: bytes, *, purpose: bytes, salt: bytes = b"", length: int = KEY_BYTES) -> bytes:
    """Derive key material for one purpose from a secret (HKDF with SHA-256)."""
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=b"respcache " + purpose).derive(secret)


def authenticator(secret: bytes, message: bytes) -> bytes:
    """Compute 16 bytes that only a holder of the secret can (HMAC with SHA-256, cut in half)."""
    return hmac.digest(secret, message, "sha256")[:16]


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """One key. Neither its repr nor its fingerprint tells anything of the secret."""

    secret: bytes
    id: bytes
    """Which of its keys a sender means: KEY_ID_BYTES, derived from the secret."""

    def __repr__(self) -> str:
        return f"Key({self.fingerprint})"

    @classmethod
    def of(cls, secret: bytes) -> Self:
        """Make a key of KEY_BYTES random bytes."""
        assert len(secret) == KEY_BYTES
        return cls(secret, derive(secret, purpose=b"key id", length=KEY_ID_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key as `text` writes it. Raises ConfigError, which does not repeat it."""
        try:
            secret = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) != KEY_BYTES:
            raise ConfigError(f"must be {KEY_BYTES} bytes in base64, as `respcache keys generate` writes them")
        return cls.of(secret)

    @property
    def text(self) -> str:
        """The secret itself, in base64."""
        return base64.b64encode(self.secret).decode()

    @property
    def fingerprint(self) -> str:
        """What people call the key: its id in hexadecimal."""
        return self.id.hex()


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of a node, none of them twice. It opens with all of them and seals with the first, the primary one.

    Immutable: a step gives another ring. The states of a key on it:

        absent --install--> spare --use--> primary
           ^                 | ^             |
           `-----remove------' `-use another-'

    A cluster rotates by taking each step on all nodes before the next one begins
    (see `rotation`), and so at every instant all of them can open what any of them seals.
    """

    keys: tuple[Key, ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Read the keys, the primary one first. Raises ConfigError, which repeats none of them."""
        keys = []
        for number, text in enumerate(texts, 1):
            try:
                keys.append(Key.parse(text))
            except ConfigError as problem:
                raise ConfigError(f"key {number} of {len(texts)}: {problem}") from None
        if not 1 <= len(keys) <= KEYS_MAX:
            raise ConfigError(f"there are {len(keys)} keys: must be 1 to {KEYS_MAX}")
        if len({key.id for key in keys}) < len(keys):
            raise ConfigError("one key is given twice")
        return cls(tuple(keys))

    @property
    def primary(self) -> Key:
        """The key that this node seals with."""
        return self.keys[0]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """What people call the keys, the primary one first."""
        return tuple(key.fingerprint for key in self.keys)

    def find(self, key_id: bytes) -> Key | None:
        """Find a key by its id."""
        for key in self.keys:
            if key.id == key_id:
                return key
        return None

    def install(self, key: Key) -> "Keyring":
        """Add a spare key; one that is there already stays what it is. Raises KeyRefused."""
        if key in self.keys:
            return self
        if self.find(key.id) is not None:
            raise KeyRefused(f"another key has the fingerprint {key.fingerprint}; generate a new one")
        if len(self.keys) == KEYS_MAX:
            raise KeyRefused(f"the ring is full: {KEYS_MAX} keys; remove one first")
        return Keyring((*self.keys, key))

    def use(self, fingerprint: str) -> "Keyring":
        """Make a key the primary one. Raises KeyRefused."""
        chosen = self._named(fingerprint)
        return Keyring((chosen, *(key for key in self.keys if key is not chosen)))

    def remove(self, fingerprint: str) -> "Keyring":
        """Forget a key; one that is not there is forgotten already. Raises KeyRefused."""
        if fingerprint not in self.fingerprints:
            return self
        if self.primary.fingerprint == fingerprint:
            raise KeyRefused(f"{fingerprint} is the primary key; use another one first")
        return Keyring(tuple(key for key in self.keys if key.fingerprint != fingerprint))

    def _named(self, fingerprint: str) -> Key:
        for key in self.keys:
            if key.fingerprint == fingerprint:
                return key
        raise KeyRefused(f"there is no key {fingerprint}; install it first")
