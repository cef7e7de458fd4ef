"""Carries the steps of a rotation of keys to all members, over sealed links, and answers for this node."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from respcache.cluster.sealing.keyring import KeyRefused, Keyring
from respcache.cluster.sealing.rotation import Report, Step, Verb, check, decode, encode, stepped
from respcache.cluster.sealing.sealing import Sealing
from respcache.errors import CommandError, ProtocolError
from respcache.host import NodeHost
from respcache.net import frames, keys
from respcache.net.links import Link, Links
from respcache.pending import Pending
from respcache.reply import Reply
from respcache.resp.encode import encode as encoded
from respcache.resp.encode import error

ANSWER_TIMEOUT_S: Final = 3.0

log: Final = logging.getLogger(__name__)


class Rotation:
    """One node's part in changing the keys of its cluster.

    Whoever is asked by a client first hears what all live members have, refuses the step
    where it is not safe, takes it here and has the others take it, and tells what became
    of it on each. It keeps nothing in between: what counts is in the rings alone.
    """

    def __init__(
        self,
        sealing: Sealing,
        links: Links,
        *,
        members: Callable[[], Sequence[str]],
        keep: Callable[[Keyring], str],
        kept: str = "",
    ) -> None:
        """`members` lists the live members but this one; `keep` stores a ring, and returns why it could not.

        `kept` says why the ring that the node has started with is stored nowhere, if so.
        """
        self._sealing: Final = sealing
        self._links: Final = links
        self._members: Final = members
        self._keep: Final = keep
        self._kept = kept
        self._number = 0
        self._waiting: Final[dict[int, asyncio.Future[Report]]] = {}
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        links.on_keys = self._on_frame

    def command(self, verb: Verb, subject: str, protocol: int) -> Pending:
        """Take a step on all live members; the reply is a map for each of them, or an error where it is refused."""
        reply = Pending()
        task = asyncio.get_running_loop().create_task(self._answer(reply, verb, subject, protocol))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return reply

    async def close(self) -> None:
        """Stop; steps under way get no reply."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, reply: Pending, verb: Verb, subject: str, protocol: int) -> None:
        try:
            reports = await self._everywhere(verb, subject)
        except KeyRefused as refusal:
            reply.resolve(error(CommandError(f"{verb.value} refused: {refusal}")))
            return
        reply.resolve(encoded([_shown(name, report) for name, report in sorted(reports.items())], protocol))

    async def _everywhere(self, verb: Verb, subject: str) -> dict[str, Report | None]:
        """Take a step on all live members and give their reports, None for those that do not answer.

        Raises KeyRefused; then no node has taken it.
        """
        before = await self._reports(Verb.LIST, "")
        if verb is Verb.LIST:
            return before
        told = {name: report for name, report in sorted(before.items()) if report is not None}
        check(verb, subject, told, sorted(before.keys() - told.keys()))
        return await self._reports(verb, subject)

    async def _reports(self, verb: Verb, subject: str) -> dict[str, Report | None]:
        names = self._members()
        asked = asyncio.gather(*(self._ask(name, verb, subject) for name in names))
        own = self._take(Step(0, verb, subject))
        reports: dict[str, Report | None] = dict(zip(names, await asked, strict=True))
        reports[self._sealing.me.name] = own
        return reports

    async def _ask(self, name: str, verb: Verb, subject: str) -> Report | None:
        link = self._links.link(name)
        if link is None or not link.is_sealed:
            return None
        self._number += 1
        number = self._number
        arrival: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._waiting[number] = arrival
        link.send(frames.KEYS, encode(Step(number, verb, subject)))
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await arrival
        except TimeoutError:
            return None
        finally:
            del self._waiting[number]

    def _on_frame(self, link: Link, body: bytes) -> None:
        """Take a message of a peer. Raises ProtocolError."""
        if not link.is_sealed:
            raise ProtocolError("keys are for sealed links")
        match decode(body):
            case Step() as step:
                link.send(frames.KEYS, encode(self._take(step)))
            case Report() as report:
                arrival = self._waiting.get(report.number)
                if arrival is not None and not arrival.done():
                    arrival.set_result(report)

    def _take(self, step: Step) -> Report:
        """Take a step on this node's ring."""
        sealing, refusal = self._sealing, ""
        try:
            ring = stepped(sealing.ring, step.verb, step.subject, connections=self._connections())
        except KeyRefused as problem:
            refusal = str(problem)
        else:
            if ring != sealing.ring:
                self._change(ring, step.verb)
            if step.verb is Verb.USE:
                for link in self._links.standing():
                    link.rekey()
        return Report(step.number, refusal, sealing.ring.fingerprints, self._connections(), self._kept)

    def _change(self, ring: Keyring, verb: Verb) -> None:
        """Store a ring, then go by it."""
        self._kept = self._keep(ring)
        self._sealing.ring = ring
        log.info("keys of the cluster (%s): %s", verb.value, " ".join(ring.fingerprints))
        if self._kept:
            log.warning("the keys are not kept for the next start: %s", self._kept)

    def _connections(self) -> tuple[str, ...]:
        """Name the keys that the links rest on."""
        found = {key_id.hex() for link in self._links.standing() for key_id in link.key_ids}
        return tuple(sorted(found))


def _shown(name: str, report: Report | None) -> Reply:
    """Write a node's report as a client gets it."""
    if report is None:
        return {b"node": name.encode(), b"result": b"no answer", b"keys": [], b"connections": [], b"kept": b""}
    return {
        b"node": name.encode(),
        b"result": report.refusal.encode() or b"done",
        b"keys": [fingerprint.encode() for fingerprint in report.keys],
        b"connections": [fingerprint.encode() for fingerprint in report.connections],
        b"kept": report.kept.encode() or b"yes",
    }


def rotation_of(host: NodeHost, sealing: Sealing, links: Links, keys_file: str) -> Rotation:
    """Connect the part of a node that changes keys: they are kept in its file, where it has one."""

    def others() -> Sequence[str]:
        return [node.name for node in host.topology() if node.state in {"alive", "suspect"} and not node.myself]

    rotation = Rotation(
        sealing,
        links,
        members=others,
        keep=lambda ring: keys.keep(keys_file, ring) if keys_file else keys.IN_MEMORY,
        kept="" if keys_file else keys.IN_MEMORY,
    )
    host.rotate = rotation.command
    return rotation
