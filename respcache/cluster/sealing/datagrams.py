"""Sealed datagrams: AES-256-GCM, each for one run of one receiver, and taken in by it at most once.

What travels (44 bytes more than the payload):

    0xC1 | kind | key id 4 | receiver 4 | sender's run 12 | number 6 | ciphertext | tag 16

A *run* is a node's random salt, new with each start. The key of a packet is derived from
the cluster's key and the salt of the sender's run; its nonce is the packet's number, which
begins at 0 and never comes twice under one salt. Authenticated beside the payload are
this head, the whole salt of the receiver's run, and the label of the cluster.

What follows from it:

- Without the key nobody can make, read or change a packet; one that was sealed for another
  cluster's label, for another node, or sent back to its own sender, is refused.
- A packet that was taken in is never taken in again: within a run of the receiver by the
  window for each sender's run, which is not forgotten as long as the receiver's run lasts,
  and across its runs because the packet is bound to the run that it was meant for. No
  clocks have to agree, and nothing has to be kept on disk.
- What an attacker can still do is what any network does: lose, delay and reorder packets.

A sender has to know the receiver's salt first. It asks, over and over as long as it has
something to send, and the answer is bound to the question:

    A                                        B
    WHO (bound to no run, number n)   --->
                                      <---   HERE (bound to A's run, holds n)
    DATA (bound to B's run)           --->

A WHO that is replayed gets an answer no larger than itself, and changes nothing. When a
receiver restarts, what is bound to its former run is lost; a sender that hears nothing
from the run it writes to asks again.

*Rejected:* timestamps against replays across restarts, which need clocks that agree;
random nonces, which must not be used for more than 2**32 packets of one key; a salt for
each pair of nodes agreed over TCP, which makes the way by UDP depend on one by TCP.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from respcache.cluster.sealing.keyring import Key, Keyring, derive
from respcache.cluster.sealing.window import ReplayWindow

Address = tuple[str, int]
_K = TypeVar("_K")
_V = TypeVar("_V")

MAGIC: Final = 0xC1
"""Never used in MessagePack, so no plain packet begins with it."""
PLAIN_HEAD: Final = b"\x96"
"""How the packets of nodes without keys begin: a MessagePack array of six."""
DATA: Final = 0x10
WHO: Final = 0x11
HERE: Final = 0x12
"""The kinds, with the version of this format in the upper half."""

SALT_BYTES: Final = 12
"""Two runs share a salt by chance once in 2**48 of them."""
NUMBER_BYTES: Final = 6
TAG_BYTES: Final = 16
NO_RUN: Final = bytes(SALT_BYTES)
_HEAD: Final = struct.Struct(f">BB4s4s{SALT_BYTES}s{NUMBER_BYTES}s")
OVERHEAD_BYTES: Final = _HEAD.size + TAG_BYTES
SEALED_BYTES_MAX: Final = 1_500 - 40 - 8
"""Fits an Ethernet frame behind the heads of IPv6 and UDP, payloads of 1,400 bytes included."""

RUN_PACKETS_MAX: Final = 2**32
"""Packets under one salt; far fewer than GCM allows with nonces that count."""
RUNS_MAX: Final = 4_096
"""Runs of senders whose windows are kept; one more, and this node takes a new salt and begins anew."""
PEERS_MAX: Final = 4_096
HELD_PER_PEER_MAX: Final = 4
"""Payloads that wait for the answer to a WHO; the newest are dropped."""
ASKED_MAX: Final = 1_024
SILENCE_MAX: Final = 4
"""Packets to a run that says nothing before it is asked for again."""

REASONS: Final = ("plaintext", "decode", "oversize", "key", "auth", "replay", "stale", "queue")


@dataclass(slots=True)
class _Run:
    """A run of a sender, as the receiver knows it."""

    window: ReplayWindow = field(default_factory=ReplayWindow)
    ciphers: dict[bytes, AESGCM] = field(default_factory=dict)
    heard: int = 0


@dataclass(slots=True)
class _Peer:
    """Whom this node writes to at an address."""

    salt: bytes
    key_id: bytes
    """The key that it certainly has; the primary one wherever possible."""
    heard: int = -1
    silence: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """What a datagram came to."""

    payload: bytes | None = None
    """None where there is nothing for the receiver in it."""
    answers: tuple[tuple[Address, bytes], ...] = ()
    """Datagrams to be sent now."""


class Seal:
    """Seals and opens the datagrams of one node.

    `ring` gives the keys that count now, `entropy(n)` n random bytes. With `plaintext`
    nodes without keys are heard and spoken to as well, which protects nothing: a cluster
    that moves from the one to the other needs it for a while.
    """

    def __init__(
        self, ring: Callable[[], Keyring], *, label: str, entropy: Callable[[int], bytes], plaintext: bool = False
    ) -> None:
        self.dropped: Final = dict.fromkeys(REASONS, 0)
        """What was not taken in, or (`queue`) not sent, by the reason."""
        self._current_ring: Final = ring
        self._ring = ring()
        self._label: Final = label.encode()
        self._entropy: Final = entropy
        self._plaintext: Final = plaintext
        self._runs: Final[dict[bytes, _Run]] = {}
        self._peers: Final[dict[Address, _Peer]] = {}
        self._held: Final[dict[Address, list[bytes]]] = {}
        self._asked: Final[dict[int, Address]] = {}
        """The questions that no answer has come to, by their numbers."""
        self._salt = NO_RUN
        self._next = 0
        self._ciphers: dict[bytes, AESGCM] = {}
        self._begin_run()

    def seal(self, address: Address, payload: bytes) -> list[bytes]:
        """Give the datagrams to be sent to an address now; the payload is held back while nobody is known there."""
        self._take_ring()
        peer = self._peers.get(address)
        if peer is None:
            return self._to_stranger(address, payload)
        run = self._runs.get(peer.salt)
        if run is not None and run.heard != peer.heard:
            peer.heard, peer.silence = run.heard, 0
        else:
            peer.silence += 1
        sealed = [self._sealed(DATA, peer.key_id, peer.salt, payload)]
        if peer.silence and peer.silence % SILENCE_MAX == 0:
            sealed += self._questions(address)
            if self._plaintext:
                del self._peers[address]
        return sealed

    def open(self, source: Address, datagram: bytes) -> Opened:
        """Take in a datagram. What is not authentic, or was taken in before, changes nothing and is counted."""
        self._take_ring()
        if self._plaintext and datagram[:1] == PLAIN_HEAD:
            return Opened(datagram)
        misshapen = _misshapen(datagram)
        if misshapen is not None:
            return self._drop(misshapen)
        _, kind, key_id, receiver, salt, digits = _HEAD.unpack_from(datagram)
        key = self._ring.find(key_id)
        if key is None:
            return self._drop("key")
        bound = NO_RUN if kind == WHO else self._salt
        if receiver != bound[: len(receiver)]:
            return self._drop("stale")
        run, number = self._runs.get(salt), int.from_bytes(digits)
        if salt == self._salt or (run is not None and not run.window.is_new(number)):
            return self._drop("replay")
        cipher = (run.ciphers.get(key_id) if run is not None else None) or self._cipher(key, salt)
        try:
            head, sealed = datagram[: _HEAD.size], datagram[_HEAD.size :]
            payload = cipher.decrypt(_nonce(digits), sealed, head + bound + self._label)
        except InvalidTag:
            return self._drop("auth")
        if kind == WHO:
            return self._answer(source, key_id, salt, digits)
        run = self._note(salt, number)
        run.ciphers[key_id] = cipher
        if kind == HERE:
            return self._introduced(key_id, salt, payload)
        return Opened(payload, self._met(source, key_id, salt))

    def _note(self, salt: bytes, number: int) -> _Run:
        """Take a packet for seen.

        Where there are too many runs to remember, this node takes a new salt: all that was sealed for
        the old one is refused from then on, and nothing of it need be remembered. This packet is the last.
        """
        run = self._runs.get(salt)
        if run is None:
            if len(self._runs) >= RUNS_MAX:
                self._begin_run()
            run = self._runs[salt] = _Run()
        run.window.note(number)
        run.heard += 1
        return run

    def _answer(self, source: Address, key_id: bytes, salt: bytes, digits: bytes) -> Opened:
        """Answer a question. Of a run that is not known nothing is kept: the question may be an old one."""
        run = self._runs.get(salt)
        if run is not None:
            run.window.note(int.from_bytes(digits))
        return Opened(answers=((source, self._sealed(HERE, key_id, salt, digits)),))

    def _introduced(self, key_id: bytes, salt: bytes, payload: bytes) -> Opened:
        """Take in the answer to a question: who is at the address that was asked."""
        address = self._asked.pop(int.from_bytes(payload), None)
        if address is None:
            return self._drop("stale")
        answers = self._met(address, key_id, salt)
        self._peers[address].key_id = key_id  # it has proved to have this one, whatever the ring says
        return Opened(answers=answers)

    def _met(self, address: Address, key_id: bytes, salt: bytes) -> tuple[tuple[Address, bytes], ...]:
        """Note who is at an address, and let go what waited for that."""
        peer = self._peers.get(address)
        if peer is None or peer.salt != salt:
            _make_room(self._peers, PEERS_MAX)
            peer = self._peers[address] = _Peer(salt, key_id)
        elif key_id == self._ring.primary.id:
            peer.key_id = key_id
        held = self._held.pop(address, [])
        return tuple((address, self._sealed(DATA, peer.key_id, salt, payload)) for payload in held)

    def _to_stranger(self, address: Address, payload: bytes) -> list[bytes]:
        if self._plaintext:
            return [payload, *self._questions(address)]
        if address not in self._held:
            _make_room(self._held, PEERS_MAX)
        held = self._held.setdefault(address, [])
        if len(held) < HELD_PER_PEER_MAX:
            held.append(payload)
        else:
            self.dropped["queue"] += 1
        return self._questions(address)

    def _questions(self, address: Address) -> list[bytes]:
        """Ask who is at an address, under every key: whoever was away during a rotation may have an old one only.

        The primary one comes last, for the last answer counts.
        """
        questions = []
        for key in reversed(self._ring.keys):
            _make_room(self._asked, ASKED_MAX)
            self._asked[self._next] = address
            questions.append(self._sealed(WHO, key.id, NO_RUN, bytes(NUMBER_BYTES)))
        return questions

    def _sealed(self, kind: int, key_id: bytes, receiver: bytes, payload: bytes) -> bytes:
        digits = self._next.to_bytes(NUMBER_BYTES)
        head = _HEAD.pack(MAGIC, kind, key_id, receiver[:4], self._salt, digits)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            key = self._ring.find(key_id)
            assert key is not None, "peers forget their keys with the ring"
            cipher = self._ciphers[key_id] = self._cipher(key, self._salt)
        sealed = head + cipher.encrypt(_nonce(digits), payload, head + receiver + self._label)
        self._next += 1
        if self._next >= RUN_PACKETS_MAX:
            self._begin_run()
        return sealed

    def _cipher(self, key: Key, salt: bytes) -> AESGCM:
        return AESGCM(derive(key.secret, purpose=b"datagrams of a run", salt=salt))

    def _begin_run(self) -> None:
        """Take a new salt: whatever was sealed for the old one is void, so its windows can be forgotten."""
        self._salt = self._entropy(SALT_BYTES)
        self._next = 0
        self._ciphers = {}
        self._runs.clear()
        self._asked.clear()

    def _take_ring(self) -> None:
        """Go by the ring that counts now; peers are taken to have its primary key until they turn out not to."""
        ring = self._current_ring()
        if ring is self._ring:
            return
        self._ring = ring
        self._ciphers = {key.id: self._ciphers[key.id] for key in ring.keys if key.id in self._ciphers}
        for run in self._runs.values():
            run.ciphers = {key.id: run.ciphers[key.id] for key in ring.keys if key.id in run.ciphers}
        for peer in self._peers.values():
            peer.key_id = ring.primary.id

    def _drop(self, reason: str) -> Opened:
        self.dropped[reason] += 1
        return _NOTHING


_NOTHING: Final = Opened()


def _misshapen(datagram: bytes) -> str | None:
    """Tell by looks alone why a datagram cannot be a sealed one."""
    if datagram[:1] == PLAIN_HEAD:
        return "plaintext"
    if len(datagram) > SEALED_BYTES_MAX:
        return "oversize"
    if len(datagram) < OVERHEAD_BYTES or datagram[0] != MAGIC or not DATA <= datagram[1] <= HERE:
        return "decode"
    return None


def _nonce(digits: bytes) -> bytes:
    return digits.rjust(12, b"\0")


def _make_room(table: dict[_K, _V], limit: int) -> None:
    """Drop the oldest entry of a full table."""
    if len(table) >= limit:
        del table[next(iter(table))]
