"""Sealed connections: a handshake in which both sides prove a key of the ring, then numbered records.

    dialler                                         listener
    HAIL     ephemeral, name, run,
             (key id, proof) for each key   --->    finds a key that it has, checks the proof
                                            <---    WELCOME  key id, ephemeral, name, run, confirmation
    checks the confirmation
    RECORD ...                              <-->    RECORD ...

The keys of the two directions come from the cluster's key and an X25519 exchange of both
sides' ephemeral keys, over a hash of the whole HAIL and WELCOME and the label (HKDF). This is the
construction of Noise's NNpsk0 pattern, with the identities in the clear, as addresses are
anyway. The argument, attack by attack:

- *Outsider.* Without a key there is no proof, no confirmation and no record. The proof
  comes first, so that an outsider costs the listener one HMAC and no exchange.
- *Replay.* Both ephemerals are new with each connection. A HAIL that is replayed gets a WELCOME
  that the attacker can do nothing with: the listener acts on records only, and no record of
  another connection fits its keys. Within a connection records are numbered.
- *Reflection.* Each direction has a key of its own, and a node refuses a HAIL in its own name.
- *Changes and downgrades.* Purpose, names, runs, versions and the offered keys are all in the hash:
  if the sides have not seen the same bytes, the confirmation fails. There is nothing weaker to fall
  back to; a node with keys takes no plain frames unless its settings say so.
- *A member that lies.* Whoever has the key is a member: it can claim any free name. Keys keep
  outsiders out, not members apart.
- *A key that leaks later* opens no recorded connection: the ephemeral secrets are gone.

A direction ratchets to a new key after REKEY_RECORDS records, long before GCM's limits, and
when its sender's primary key changes: a REKEY record names the new one, which is mixed into the
chain, so that after a rotation nothing rests on the old key. No connection ends for that.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from respcache.cluster.sealing.keyring import KEY_BYTES, KEY_ID_BYTES, KEYS_MAX, Key, Keyring, authenticator, derive
from respcache.errors import ProtocolError
from respcache.unreadable import UNREADABLE

VERSION: Final = 1
RECORD_BYTES_MAX: Final = 256 * 1024
"""Payload of one record; more is cut into several."""
TAG_BYTES: Final = 16
REKEY_RECORDS: Final = 2**20
"""Records under one key: at most 2**38 bytes, which is where RFC 8446 (5.5) draws the line for AES-GCM."""
REASONS: Final = ("plaintext", "decode", "oversize", "key", "auth", "reflected")

_PROOF_BYTES: Final = 16
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Public = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_KeyId = Annotated[bytes, msgspec.Meta(min_length=KEY_ID_BYTES, max_length=KEY_ID_BYTES)]
_Proof = Annotated[bytes, msgspec.Meta(min_length=_PROOF_BYTES, max_length=_PROOF_BYTES)]


class ChannelBroken(ProtocolError):
    """A connection is not what it should be; it has to end, and nothing was taken in."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason: Final = reason
        """One of REASONS."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A run of a node."""

    name: str
    run: int


class _Hail(msgspec.Struct, frozen=True, array_like=True):
    version: _Number
    public: _Public
    name: _Name
    run: _Number
    offers: Annotated[tuple[tuple[_KeyId, _Proof], ...], msgspec.Meta(min_length=1, max_length=KEYS_MAX)]


class _Welcome(msgspec.Struct, frozen=True, array_like=True):
    key_id: _KeyId
    public: _Public
    name: _Name
    run: _Number
    confirmation: _Proof


_encode: Final = msgspec.msgpack.encode
_hails: Final = msgspec.msgpack.Decoder(_Hail)
_welcomes: Final = msgspec.msgpack.Decoder(_Welcome)


class _Direction:
    """One direction of a connection: a key, a count, and the key of the ring that it rests on."""

    __slots__ = ("_cipher", "_count", "_secret", "key_id")

    def __init__(self, secret: bytes, key_id: bytes) -> None:
        self._set(secret, key_id)

    def mix(self, key: Key) -> None:
        """Go on under a key that nobody can compute without `key`."""
        self._set(derive(key.secret, purpose=b"next primary", salt=self._secret), key.id)

    def encrypt(self, plaintext: bytes | memoryview, kind: bytes) -> bytes:
        return self._cipher.encrypt(self._nonce(), plaintext, kind)

    def decrypt(self, sealed: bytes, kind: bytes) -> bytes:
        """Raises ChannelBroken."""
        try:
            return self._cipher.decrypt(self._nonce(), sealed, kind)
        except InvalidTag:
            raise ChannelBroken("auth", "a record is not authentic") from None

    def _nonce(self) -> bytes:
        if self._count == REKEY_RECORDS:
            self._set(derive(self._secret, purpose=b"next"), self.key_id)
        self._count += 1
        return self._count.to_bytes(12)

    def _set(self, secret: bytes, key_id: bytes) -> None:
        self._secret, self.key_id, self._count = secret, key_id, 0
        self._cipher = AESGCM(secret)


class Channel:
    """One connection.

        dialler:   new --hail--> hailed --welcomed--> open
        listener:  new --welcome-----------------------^

    Whatever does not fit raises ChannelBroken; then the connection has to end. A listener
    knows that its peer is not a recording once `open` has returned for the first time.
    """

    def __init__(
        self, ring: Callable[[], Keyring], me: Identity, *, label: str, entropy: Callable[[int], bytes]
    ) -> None:
        """`ring` gives the keys that count now, `entropy(n)` n random bytes."""
        self.peer: Identity | None = None
        """Who is at the other end; set once the channel is open."""
        self._ring: Final = ring
        self._me: Final = me
        self._label: Final = label.encode()
        self._entropy: Final = entropy
        self._hail = self._purpose = b""
        self._ephemeral: X25519PrivateKey
        self._out: _Direction
        self._in: _Direction

    def hail(self, purpose: bytes) -> bytes:
        """Begin, as the one who dialled; both sides have to mean the same purpose."""
        assert not self._hail
        self._purpose = purpose
        keys = self._ring().keys
        public = self._public()
        claim = self._claim(VERSION, public, self._me, [key.id for key in keys])
        offers = tuple((key.id, authenticator(_proof_key(key), claim)) for key in keys)
        self._hail = _encode(_Hail(VERSION, public, self._me.name, self._me.run, offers))
        return self._hail

    def welcome(self, body: bytes, purpose: bytes) -> bytes:
        """Answer a HAIL that came for a purpose; the channel is open then. Raises ChannelBroken."""
        if self._hail:
            raise ChannelBroken("decode", "a second handshake")
        self._purpose = purpose
        try:
            hail = _hails.decode(body)
        except UNREADABLE as problem:
            raise ChannelBroken("decode", f"no handshake: {problem}") from None
        peer = Identity(hail.name, hail.run)
        if hail.version != VERSION:
            raise ChannelBroken("decode", f"version {hail.version} of the handshake")
        if peer == self._me:
            raise ChannelBroken("reflected", "it speaks in this node's own name")
        key = self._agreed(hail, peer)
        head = (key.id, self._public(), self._me.name, self._me.run)
        self._hail = body
        self._in, self._out = self._directions(key, hail.public, _encode(head))
        self.peer = peer
        return _encode(_Welcome(*head, self._out.encrypt(b"", b"welcome")))

    def welcomed(self, body: bytes) -> None:
        """Take the answer to the HAIL; the channel is open then. Raises ChannelBroken."""
        if not self._hail or self.peer is not None:
            raise ChannelBroken("decode", "an answer that nobody asked for")
        try:
            welcome = _welcomes.decode(body)
        except UNREADABLE as problem:
            raise ChannelBroken("decode", f"no handshake: {problem}") from None
        key = self._ring().find(welcome.key_id)
        if key is None:
            raise ChannelBroken("key", "the other side has chosen a key that was not offered")
        head = (welcome.key_id, welcome.public, welcome.name, welcome.run)
        self._out, self._in = self._directions(key, welcome.public, _encode(head))
        self._in.decrypt(welcome.confirmation, b"welcome")
        self.peer = Identity(welcome.name, welcome.run)

    def seal(self, plaintext: bytes) -> list[bytes]:
        """Seal bytes as records."""
        if len(plaintext) <= RECORD_BYTES_MAX:
            return [self._out.encrypt(plaintext, b"record")]
        view = memoryview(plaintext)
        starts = range(0, len(plaintext), RECORD_BYTES_MAX)
        return [self._out.encrypt(view[start : start + RECORD_BYTES_MAX], b"record") for start in starts]

    def open(self, record: bytes) -> bytes:
        """Open a record. Raises ChannelBroken."""
        self._expect_open()
        return self._in.decrypt(record, b"record")

    def rekey(self) -> bytes | None:
        """Change to the primary key that counts now: the REKEY record to be sent, or None where it is in use."""
        primary = self._ring().primary
        if self._out.key_id == primary.id:
            return None
        record = self._out.encrypt(primary.id, b"rekey")
        self._out.mix(primary)
        return record

    def rekeyed(self, record: bytes) -> None:
        """Follow the other side to another key. Raises ChannelBroken."""
        self._expect_open()
        key = self._ring().find(self._in.decrypt(record, b"rekey"))
        if key is None:
            raise ChannelBroken("key", "the other side goes on with a key that this node does not have")
        self._in.mix(key)

    @property
    def key_ids(self) -> frozenset[bytes]:
        """The keys of the ring that the two directions rest on; none before the channel is open."""
        return frozenset() if self.peer is None else frozenset((self._in.key_id, self._out.key_id))

    def _expect_open(self) -> None:
        if self.peer is None:
            raise ChannelBroken("decode", "a record before the handshake")

    def _public(self) -> bytes:
        """Throw the ephemeral key, and give its public half."""
        self._ephemeral = X25519PrivateKey.from_private_bytes(self._entropy(32))
        return self._ephemeral.public_key().public_bytes_raw()

    def _agreed(self, hail: _Hail, peer: Identity) -> Key:
        """Choose the first key of this node's ring that was offered, and check that the offer is true."""
        offers = dict(hail.offers)
        claim = self._claim(hail.version, hail.public, peer, [key_id for key_id, _ in hail.offers])
        for key in self._ring().keys:
            if key.id in offers:
                if not hmac.compare_digest(offers[key.id], authenticator(_proof_key(key), claim)):
                    raise ChannelBroken("auth", "the proof of its key is wrong, or it belongs to another cluster")
                return key
        raise ChannelBroken("key", f"{peer.name} has none of this node's keys")

    def _claim(self, version: int, public: bytes, who: Identity, key_ids: list[bytes]) -> bytes:
        return _encode((version, self._purpose, public, who.name, who.run, key_ids, self._label))

    def _directions(self, key: Key, public: bytes, welcome: bytes) -> tuple[_Direction, _Direction]:
        """Derive both directions: from the dialler, to the dialler. Raises ChannelBroken."""
        try:
            shared = self._ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            raise ChannelBroken("auth", "no ephemeral key") from None
        seen = sha256(_encode((self._purpose, self._hail, welcome, self._label))).digest()
        secrets = derive(key.secret + shared, purpose=b"connection", salt=seen, length=2 * KEY_BYTES)
        return _Direction(secrets[:KEY_BYTES], key.id), _Direction(secrets[KEY_BYTES:], key.id)


def _proof_key(key: Key) -> bytes:
    return derive(key.secret, purpose=b"proof")
