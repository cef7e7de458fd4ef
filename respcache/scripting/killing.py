"""SCRIPT KILL and FUNCTION KILL for all nodes: whichever runs something ends it, if that can be. Sans-I/O.

asked: here --ended--> OK
         `--not--> all linked nodes are asked --one has ended something--> OK
                                              `--all have answered, or are gone--> the error that says most
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from respcache.errors import CommandError
from respcache.pending import Pending
from respcache.reply import OK
from respcache.resp.encode import error

WIRE_MAX: Final = 1024
RANK: Final = (b"-NOTBUSY", b"-BUSY", b"-UNKILLABLE")
"""Errors, by how much they say."""

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Kill(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """End what runs. To be answered with a Killed."""

    number: Number
    function: bool


class Killed(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """What became of it: the reply."""

    number: Number
    wire: Annotated[bytes, msgspec.Meta(max_length=WIRE_MAX)]


@dataclass(slots=True)
class _Asked:
    """A client that waits for the answers of nodes."""

    reply: Pending
    best: bytes
    missing: set[str]
    since_s: float


class Killing:
    """One node's part in it."""

    def __init__(self, kill: Callable[[bool], None], send: Callable[[str, Kill | Killed], None]) -> None:
        """`kill` ends the function that runs on this node, or else the script, and raises CommandError if it cannot."""
        self._kill: Final = kill
        self._send: Final = send
        self._asked: Final[dict[int, _Asked]] = {}
        self._number = 0

    def ask(self, peers: set[str], now_s: float, *, function: bool) -> Pending:
        """End what runs on this node or on one of these. Raises CommandError if there are none and that cannot be."""
        reply = Pending()
        if not peers:
            self._kill(function)
            reply.resolve(OK.wire)
            return reply
        wire = self._end(function=function)
        if wire == OK.wire:
            reply.resolve(wire)
            return reply
        self._number += 1
        self._asked[self._number] = _Asked(reply, wire, set(peers), now_s)
        for peer in peers:
            self._send(peer, Kill(self._number, function))
        return reply

    def receive(self, peer: str, message: Kill | Killed) -> None:
        """Take what a node says."""
        if isinstance(message, Kill):
            self._send(peer, Killed(message.number, self._end(function=message.function)))
            return
        asked = self._asked.get(message.number)
        if asked is not None and peer in asked.missing:
            asked.best = max(asked.best, message.wire, key=_rank)
            self._heard(message.number, asked, peer)

    def lose(self, peer: str) -> None:
        """Note that a node will not answer."""
        for number, asked in list(self._asked.items()):
            self._heard(number, asked, peer)

    def sweep(self, before_s: float) -> None:
        """Answer those who have been waiting since before that."""
        for number, asked in list(self._asked.items()):
            if asked.since_s < before_s:
                asked.missing.clear()
                self._heard(number, asked, "")

    def _heard(self, number: int, asked: _Asked, peer: str) -> None:
        asked.missing.discard(peer)
        if asked.best == OK.wire or not asked.missing:
            self._asked.pop(number, None)
            asked.reply.resolve(asked.best)

    def _end(self, *, function: bool) -> bytes:
        try:
            self._kill(function)
        except CommandError as refusal:
            return error(refusal)
        return OK.wire


def _rank(wire: bytes) -> int:
    if wire == OK.wire:
        return len(RANK)
    return RANK.index(wire.partition(b" ")[0]) if wire.partition(b" ")[0] in RANK else -1
