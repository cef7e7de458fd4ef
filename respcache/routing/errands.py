"""What other nodes ask of this one: commands on keys of which it is the owner, many in a message.

Commands on one key are run like a client's batch: one after the other, without an object
for each, and with one gate for all replies that have to wait for effects. What else stands
among them is an order of its own. All are begun in the order in which they were sent.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from respcache.commands.resolving import resolve
from respcache.engine.executor import BATCH_REPLIES_BYTES
from respcache.engine.routes import Request
from respcache.errors import CommandError
from respcache.resp.encode import error
from respcache.routing.internal import INTERNAL
from respcache.routing.order import Order
from respcache.routing.router import Router
from respcache.store.partition import Log

Answer: TypeAlias = Callable[[int, bytes | None], None]
"""Called once for each request with its number and the reply; with None if it was certainly not run."""

DEFECT: Final = b"-ERR internal error\r\n"
"""The answer to a command that fails on a defect of this program; the others of its message are run all the same."""

log: Final = logging.getLogger(__name__)


class Errand:
    """What is the same for all requests of one message."""

    __slots__ = ("database", "deadline_s", "protocol", "version", "writer")

    def __init__(
        self,
        version: tuple[int, int],
        database: int,
        protocol: int,
        deadline_s: float,
        writer: tuple[str, int] | None = None,
    ) -> None:
        self.version: Final = version
        """Of the record that the peer went by."""
        self.database: Final = database
        self.protocol: Final = protocol
        self.deadline_s: Final = deadline_s
        """Monotonic seconds after which the requests need not be run any more."""
        self.writer: Final = writer
        """Node and number of the client that they are of, if that does not want to hear of its own changes."""


def run(router: Router, errand: Errand, requests: Sequence[Request], answer: Answer) -> int:
    """Run what a peer has asked for; answers come now or later.

    Returns how many of the requests have been run: it stops behind the one with which the answers of this call get
    large (BATCH_REPLIES_BYTES), as a client's batch does.
    """
    if errand.database >= router.databases:
        refusal = error(CommandError("DB index is out of range"))
        for number, _, _ in requests:
            answer(number, refusal)
        return len(requests)
    table, version = router.table, errand.version
    moved = version < table.changed and any(table.changed_since(version, partitions) for _, partitions, _ in requests)
    if moved or router.rests:
        return _run_each(router, errand, requests, answer)
    return _run_all(router, errand, requests, answer)


def _run_each(router: Router, errand: Errand, requests: Sequence[Request], answer: Answer) -> int:
    """Run requests, each as an order of its own; return how many."""
    room = BATCH_REPLIES_BYTES
    for count, request in enumerate(requests, start=1):
        room -= _run_one(router, errand, request, answer)
        if room <= 0:
            return count
    return len(requests)


def _run_all(router: Router, errand: Errand, requests: Sequence[Request], answer: Answer) -> int:
    """Run requests, those on one key without an object for each; return how many."""
    done: list[tuple[int, bytes]] = []
    held: list[tuple[int, bytes, bool]] = []
    logs: list[Log] = []
    relayed, database, protocol = router.executor.relayed.run, errand.database, errand.protocol
    at, room = 0, BATCH_REPLIES_BYTES
    while at < len(requests) and room > 0:
        before = len(done) + len(held)
        try:
            at, room = relayed(requests, at, database, protocol, done, held, logs, room)
        except Exception:
            log.exception("a command of a peer failed on a defect of this program")
            at += len(done) + len(held) - before  # each of those before it is in one of them
            done.append((requests[at][0], DEFECT))
        else:
            if room <= 0:
                break
            if at < len(requests):
                room -= _run_one(router, errand, requests[at], answer)
        at += 1
    for number, wire in done:
        answer(number, wire)
    if logs:
        router.held.hold_answers(held, logs, answer)
    return min(at, len(requests))


def _run_one(router: Router, errand: Errand, request: Request, answer: Answer) -> int:
    """Run a request by itself; return the bytes of the answer, as far as it is there.

    What no peer has reason to send is answered with an error.
    """
    number, partitions, argv = request
    try:
        row = INTERNAL.get(argv[0]) or resolve(argv)
    except CommandError as refusal:
        answer(number, error(refusal))
        return 0
    if not (row.key_at or row.on_keys or row.on_script) and row.name.encode() not in INTERNAL:
        answer(number, error(CommandError(f"{row.name} is no command that nodes run for each other")))
        return 0
    order = Order(
        row,
        argv,
        database=errand.database,
        protocol=errand.protocol,
        partitions=tuple(partitions),
        deadline_s=errand.deadline_s,
        relayed=True,
        version=errand.version,
    )
    order.writer = errand.writer
    try:
        router.serve(order)
    except Exception:
        log.exception("a command of a peer failed on a defect of this program")
        order.resolve(DEFECT)
    order.then(lambda: answer(number, None if order.refused else order.wire))
    return 0 if order.wire is None else len(order.wire)
