"""What all nodes know of functions and scripts: the libraries, and when scripts were last forgotten. Sans-I/O.

Each library has a stamp, by which the last word counts, whichever way it takes: a clock in milliseconds that is ahead
of every stamp seen so far, and the name of the node. A library that was deleted leaves its stamp behind (up to
GONE_MAX of them), so that a node which did not hear of it does not bring it back; a flush leaves one stamp for all.

Whoever changes something tells all linked nodes, owners of keys or not, and answers its client once they have heard,
are gone, or had PATIENCE_S. With every new link both sides tell all they know before anything else: so a node that
joins knows the libraries before it is given a partition.

    told <-- changed here, or a new link
      `--> heard, or the link is gone, or nothing for too long --> the client is answered
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Protocol, TypeAlias

import msgspec

from respcache.errors import Busy, CommandError, InternalError, ProtocolError
from respcache.pending import Pending
from respcache.resp.encode import error
from respcache.scripting.functions import Functions, Loaded
from respcache.scripting.killing import Kill, Killed, Killing
from respcache.strand import Strand
from respcache.unreadable import UNREADABLE

log: Final = logging.getLogger(__name__)

GONE_MAX: Final = 1000
"""Deleted libraries whose stamps are remembered."""
LIBRARIES_MAX: Final = 100_000
LATER_MAX: Final = 1000
"""What may be told while a script rests, until a link is cut: over the next one all is told anew."""
PATIENCE_S: Final = 5.0
"""How long a client waits for nodes that do not answer; they hear of the change with their next link at the latest."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Stamp: TypeAlias = tuple[Number, str]
"""Unix milliseconds, or more, and the node that gave it."""
NEVER: Final[Stamp] = (0, "")


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A library, or that there is none any more."""

    name: bytes
    stamp: Stamp
    code: bytes | None


class Told(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Some libraries, and up to when others, and scripts, are to be forgotten. To be answered with a Heard."""

    number: Number
    flushed: Stamp
    scripts_flushed: Stamp
    entries: Annotated[list[Entry], msgspec.Meta(max_length=LIBRARIES_MAX)]


class Heard(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """All that was told up to this number has been taken in."""

    number: Number


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Told | Heard | Kill | Killed)


@dataclass(slots=True)
class _Waiting:
    """A client that waits until nodes have heard of something."""

    reply: Pending
    wire: bytes
    since_s: float
    missing: set[str]


class Scripts(Protocol):
    """The scripts and functions of a node."""

    @property
    def functions(self) -> Functions:
        """The libraries."""

    @property
    def strand(self) -> Strand:
        """In it they run; while one rests Lua can be asked for nothing else."""

    def busy(self) -> Busy | None:
        """Give the refusal of what a script stands in the way of that has been running for long."""

    def flush(self) -> None:
        """Forget all scripts."""

    def kill(self, *, function: bool) -> None:
        """End the function that rests, or else the script. Raises CommandError if that cannot be."""


class Sharing:
    """One node's part in it. `send` is given what goes to a peer over the link that stands."""

    def __init__(self, node: str, scripts: Scripts, *, now_unix_ms: Callable[[], int]) -> None:
        self._node: Final = node
        self._scripts: Final = scripts
        self._functions: Final = scripts.functions
        self._now_unix_ms: Final = now_unix_ms
        self._killing: Final = Killing(
            lambda function: scripts.kill(function=function), lambda peer, said: self.send(peer, _encoder.encode(said))
        )
        self._later: Final[list[tuple[str, Told]]] = []
        """What was told while a script rested."""
        self._put_off: Final[list[tuple[Pending, Callable[[], Pending]]]] = []
        """What clients want to change, since then; each of them waits for its reply and says nothing more."""
        self._changed: Final[list[tuple[Pending, Pending | bytes]]] = []
        """Their replies, and what these are to be: to be given once nothing stands still for the script any more."""
        scripts.strand.over = self._script_ended
        self.send: Callable[[str, bytes], None] = _nowhere
        self._entries: Final[dict[bytes, Entry]] = {}
        self._flushed: Stamp = NEVER
        self._scripts_flushed: Stamp = NEVER
        self._last_ms = 0
        """No stamp seen so far is later."""
        self._number = 0
        self._peers: Final[set[str]] = set()
        self._waiting: Final[dict[int, _Waiting]] = {}
        self._now_s = 0.0

    # -- changes here -----------------------------------------------------------------------

    def put(self, libraries: Iterable[Loaded], wire: bytes) -> Pending:
        """Have libraries known everywhere, which can take their places; `wire` is the reply to whoever brought them."""
        made = {library.name: library for library in libraries}
        stamp = self._stamp()
        entries = [Entry(name, stamp, library.code) for name, library in made.items()]
        for entry in entries:
            self._remember(entry)
        self._settle(made)
        return self._tell(entries, wire)

    def replace(self, libraries: Iterable[Loaded], wire: bytes) -> Pending:
        """Have these libraries known everywhere, and no others."""
        self._flushed = self._stamp()
        self._drop_flushed()
        return self.put(libraries, wire)

    def delete(self, name: bytes, wire: bytes) -> Pending:
        """Have a library known nowhere."""
        entry = Entry(name, self._stamp(), None)
        self._remember(entry)
        self._settle({})
        return self._tell([entry], wire)

    def flush_scripts(self, wire: bytes) -> Pending:
        """Have all scripts forgotten everywhere."""
        self._scripts_flushed = self._stamp()
        self._scripts.flush()
        return self._tell([], wire)

    def kill(self, *, function: bool) -> Pending:
        """End the function that runs, or else the script, on whichever node that is. Raises CommandError."""
        return self._killing.ask(self._peers, self._now_s, function=function)

    # -- peers ---------------------------------------------------------------------------------

    def connect(self, peer: str) -> None:
        """There is a new link to a node: tell it everything."""
        self._lose(peer)
        self._peers.add(peer)
        if self._entries or max(self._flushed, self._scripts_flushed) > NEVER:
            self.send(peer, self._told(0, list(self._entries.values())))

    def disconnect(self, peer: str) -> None:
        """The link is gone; nothing is waited for any more."""
        self._peers.discard(peer)
        self._lose(peer)

    def receive(self, peer: str, body: bytes) -> None:
        """Take what a node says. Raises ProtocolError; the link must be cut then."""
        try:
            message = _decoder.decode(body)
        except UNREADABLE as problem:
            raise ProtocolError(f"no message about functions: {problem}") from problem
        if isinstance(message, Heard):
            self._heard(peer, message.number)
        elif isinstance(message, Kill | Killed):
            self._killing.receive(peer, message)
        elif self._scripts.strand.is_resting:
            if len(self._later) == LATER_MAX:
                raise ProtocolError("too many messages about functions while a script is running")
            self._later.append((peer, message))
        else:
            self._take(message)
            self.send(peer, _encoder.encode(Heard(message.number)))

    def when_idle(self, change: Callable[[], Pending]) -> Pending:
        """Change something that a client wants changed; while a script rests, once that has ended.

        One that has been running for long is not waited for (BUSY). Raises what `change` raises, or CommandError.
        """
        if not self._scripts.strand.is_resting:
            return change()
        if (busy := self._scripts.busy()) is not None:
            raise busy
        reply = Pending()
        self._put_off.append((reply, change))
        return reply

    def sweep(self, now_s: float) -> None:
        """Make changes that were put off, and answer clients that have waited for too long.

        To be called several times a second, with monotonic seconds.
        """
        self._now_s = now_s
        while self._later and not self._scripts.strand.is_resting:
            peer, message = self._later.pop(0)
            self._take(message)
            if peer in self._peers:
                self.send(peer, _encoder.encode(Heard(message.number)))
        if (busy := self._scripts.busy()) is not None:
            self._changed.extend((reply, error(busy)) for reply, _ in self._put_off)
            self._put_off.clear()
        elif not self._scripts.strand.is_resting:
            self._make_changes()
        self._answer()
        self._killing.sweep(now_s - PATIENCE_S)
        for number, waiting in list(self._waiting.items()):
            if now_s - waiting.since_s > PATIENCE_S:
                del self._waiting[number]
                log.warning("%s did not answer about functions or scripts", ", ".join(sorted(waiting.missing)))
                waiting.reply.resolve(waiting.wire)

    # -- inside ---------------------------------------------------------------------------------

    def _script_ended(self) -> None:
        """Make changes before the next script is begun: there may always be one."""
        if self._put_off and self._scripts.strand.soon is not None:
            self._make_changes()
            self._scripts.strand.soon(self._answer)

    def _make_changes(self) -> None:
        """Make the changes that were put off."""
        put_off = list(self._put_off)
        self._put_off.clear()
        for reply, change in put_off:
            try:
                self._changed.append((reply, change()))
            except CommandError as refusal:
                self._changed.append((reply, error(refusal)))
            except Exception:
                log.exception("a change of functions failed on a defect of this program")
                self._changed.append((reply, error(InternalError())))

    def _answer(self) -> None:
        """Give replies: whoever has one may go on at once."""
        changed = list(self._changed)
        self._changed.clear()
        for reply, made in changed:
            reply.follow(made)

    def _stamp(self) -> Stamp:
        self._last_ms = max(self._last_ms + 1, self._now_unix_ms())
        return self._last_ms, self._node

    def _tell(self, entries: list[Entry], wire: bytes) -> Pending:
        self._number += 1
        reply = Pending()
        if not self._peers:
            reply.resolve(wire)
            return reply
        self._waiting[self._number] = _Waiting(reply, wire, self._now_s, set(self._peers))
        body = self._told(self._number, entries)
        for peer in self._peers:
            self.send(peer, body)
        return reply

    def _told(self, number: int, entries: list[Entry]) -> bytes:
        return _encoder.encode(Told(number, self._flushed, self._scripts_flushed, entries))

    def _take(self, told: Told) -> None:
        seen = max(told.flushed, told.scripts_flushed, *[entry.stamp for entry in told.entries])
        self._last_ms = max(self._last_ms, seen[0])
        if told.scripts_flushed > self._scripts_flushed:
            self._scripts_flushed = told.scripts_flushed
            self._scripts.flush()
        changed = told.flushed > self._flushed
        if changed:
            self._flushed = told.flushed
            self._drop_flushed()
        for entry in told.entries:
            changed = self._remember(entry) or changed
        if changed:
            self._settle({})

    def _remember(self, entry: Entry) -> bool:
        """Take an entry in; False if a later word is known."""
        known = self._entries.get(entry.name)
        if entry.stamp <= self._flushed or (known is not None and known.stamp >= entry.stamp):
            return False
        self._entries[entry.name] = entry
        gone = sorted((one for one in self._entries.values() if one.code is None), key=lambda one: one.stamp)
        for oldest in gone[: max(len(gone) - GONE_MAX, 0)]:
            del self._entries[oldest.name]
        return True

    def _drop_flushed(self) -> None:
        for name in [name for name, entry in self._entries.items() if entry.stamp <= self._flushed]:
            del self._entries[name]

    def _settle(self, made: dict[bytes, Loaded]) -> None:
        """Have the node's functions be what the entries say; `made` are libraries that are made already."""
        known = self._functions.libraries | made
        libraries: list[Loaded] = []
        for entry in sorted(self._entries.values(), key=lambda one: (one.stamp, one.name)):
            if entry.code is not None:
                there = known.get(entry.name)
                libraries.append(there if there is not None and there.code == entry.code else self._made(entry))
        self._functions.put(libraries)

    def _made(self, entry: Entry) -> Loaded:
        assert entry.code is not None
        try:
            return self._functions.made(entry.code)
        except CommandError as reason:
            log.warning("the library %s of another node cannot be loaded here: %s", entry.name.decode(), reason)
            return Loaded(entry.name, entry.code, ())

    def _heard(self, peer: str, number: int) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None:
            waiting.missing.discard(peer)
            self._answer_if_complete(number, waiting)

    def _lose(self, peer: str) -> None:
        self._killing.lose(peer)
        for number, waiting in list(self._waiting.items()):
            waiting.missing.discard(peer)
            self._answer_if_complete(number, waiting)

    def _answer_if_complete(self, number: int, waiting: _Waiting) -> None:
        if not waiting.missing:
            self._waiting.pop(number, None)
            waiting.reply.resolve(waiting.wire)


def _nowhere(_peer: str, _body: bytes) -> None:
    """There are no others."""
