"""Replacing a key of a running cluster: what nodes say to each other for it, and when a step is safe.

    install   every node can open with the new key            refused while a ring is full
    use       every node seals with it                        refused until all live members have it
    remove    nobody opens with the old one any more          refused until all live members use another,
                                                              and no connection rests on it

Any node takes a step to all members, over sealed links alone, and each of them answers.
Steps are idempotent: after a failure halfway the same one is simply taken again.

A node that was away is not locked out by the first two steps: it still opens what the
others seal for it under the key that it has, for datagrams ask under every key and
connections agree on a common one. It counts as a live member, so `remove` is refused until it
has been given the new key, too. Only if it missed all three steps is there no common key; it
says so, and needs the new one in its file.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

import msgspec

from respcache.cluster.sealing.keyring import KEYS_MAX, Key, KeyRefused, Keyring
from respcache.errors import ConfigError, ProtocolError
from respcache.unreadable import UNREADABLE

_Text = Annotated[str, msgspec.Meta(max_length=1_024)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Fingerprints = Annotated[tuple[Annotated[str, msgspec.Meta(max_length=8)], ...], msgspec.Meta(max_length=2 * KEYS_MAX)]


class Verb(enum.Enum):
    """What a node is asked to do to its ring."""

    LIST = "list"
    INSTALL = "install"
    USE = "use"
    REMOVE = "remove"


class Step(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Please take a step, or (LIST) tell only."""

    number: _Number
    """Comes back with the report."""
    verb: Verb
    subject: Annotated[str, msgspec.Meta(max_length=64)]
    """The key to be installed, or the fingerprint of the one to be used or removed."""

    def __repr__(self) -> str:
        return f"Step({self.number}, {self.verb})"


class Report(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A node's ring after a step, or after a step that it refused."""

    number: _Number
    refusal: _Text
    """Why the step was not taken; empty where it was."""
    keys: _Fingerprints
    """The primary one first."""
    connections: _Fingerprints
    """The keys that its connections rest on."""
    kept: _Text
    """Empty where the ring is in a file that the node starts from; else why not."""


_encode: Final = msgspec.msgpack.encode
_decoder: Final = msgspec.msgpack.Decoder(Step | Report)


def encode(message: Step | Report) -> bytes:
    """Encode a message."""
    return _encode(message)


def decode(body: bytes) -> Step | Report:
    """Decode a message. Raises ProtocolError, which repeats none of it."""
    try:
        message: Step | Report = _decoder.decode(body)
    except UNREADABLE:
        raise ProtocolError("no message about keys") from None
    return message


def stepped(ring: Keyring, verb: Verb, subject: str, *, connections: Iterable[str]) -> Keyring:
    """Give the ring of one node after a step. Raises KeyRefused; the ring is as it was then."""
    match verb:
        case Verb.LIST:
            return ring
        case Verb.INSTALL:
            return ring.install(parsed(subject))
        case Verb.USE:
            return ring.use(subject)
        case Verb.REMOVE:
            if subject in ring.fingerprints and subject in connections:
                raise KeyRefused(f"a connection rests on {subject}; use another key on all nodes first")
            return ring.remove(subject)


def parsed(text: str) -> Key:
    """Read a key. Raises KeyRefused, which does not repeat it."""
    try:
        return Key.parse(text)
    except ConfigError as problem:
        raise KeyRefused(f"the key {problem}") from None


def check(verb: Verb, subject: str, reports: Mapping[str, Report], silent: Sequence[str]) -> None:
    """Refuse a step that is not safe on all live members. Raises KeyRefused, which says what has to be done first.

    `reports` is what the members told of their rings by name, `silent` names those that told nothing.
    """
    if verb is Verb.INSTALL:
        parsed(subject)
    if verb not in {Verb.USE, Verb.REMOVE}:
        return
    if silent:
        raise KeyRefused(f"not all live members answer: {', '.join(silent)}")
    known = {key for report in reports.values() for key in report.keys}
    if subject not in known:
        raise KeyRefused(f"no node has a key {subject}")
    if verb is Verb.USE:
        lacking = [name for name, report in reports.items() if subject not in report.keys]
        if lacking:
            raise KeyRefused(f"{', '.join(lacking)} lack {subject}; install it first")
        return
    using = [name for name, report in reports.items() if report.keys[:1] == (subject,)]
    if using:
        raise KeyRefused(f"{subject} is the primary key of {', '.join(using)}; use another one first")
    primaries = {report.keys[0] for report in reports.values() if report.keys}
    lacking = [name for name, report in reports.items() if not primaries <= set(report.keys)]
    if lacking:
        raise KeyRefused(f"{', '.join(lacking)} lack a key that others use; install it first")
    resting = [name for name, report in reports.items() if subject in report.connections]
    if resting:
        raise KeyRefused(
            f"connections of {', '.join(resting)} rest on {subject}; use another key first, or wait a moment"
        )
