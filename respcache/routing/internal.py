"""What nodes ask of each other and no client can, as rows like those of the command table."""

import sys
from typing import Final

from respcache.commands.registry import NO_KEYS, Command, Flags, Merge
from respcache.reply import Reply
from respcache.store.partition import Argv, Partition


def _no_handler(_partition: Partition, _argv: Argv) -> Reply:
    raise AssertionError("orders between nodes have no handlers")


def _internal(name: str, flags: Flags = Flags.WRITE, merge: Merge = Merge.NONE) -> Command:
    return Command(
        name=name,
        arity=-2,
        argc_min=2,
        argc_max=sys.maxsize,
        flags=flags,
        keys=NO_KEYS,
        since="",
        group="internal",
        categories=(),
        summary="",
        merge=merge,
        index=0,
        key_at=0,
        writes=Flags.WRITE in flags,
        denies_oom=False,
        uses=False,
        no_auth=False,
        can_queue=False,
        on_key=_no_handler,
        on_keys=None,
        on_session=None,
    )


LOCK: Final = _internal("RESPCACHE.LOCK")
COMMIT: Final = _internal("RESPCACHE.COMMIT")
WATCH: Final = _internal("RESPCACHE.WATCH", Flags.READONLY)
EXEC: Final = _internal("RESPCACHE.EXEC")
EXEC_RO: Final = _internal("RESPCACHE.EXEC_RO", Flags.READONLY)
UNITS: Final = (EXEC, EXEC_RO)
"""What a client has queued, as an order: with writes among it, and without."""

BLOCK: Final = _internal("RESPCACHE.BLOCK")
"""Runs a command that may have to wait, or has it wait."""
TURN: Final = _internal("RESPCACHE.TURN", Flags.READONLY)
"""Is answered when it is a waiting command's turn."""
TAKE: Final = _internal("RESPCACHE.TAKE")
"""Runs a command whose turn it is."""
LEAVE: Final = _internal("RESPCACHE.LEAVE", Flags.READONLY)
"""A command waits no more."""
TICKETS: Final = frozenset(row.name for row in (BLOCK, TURN, TAKE, LEAVE))
"""The names of those about commands that wait."""

SCRIPT: Final = _internal("RESPCACHE.SCRIPT", Flags.READONLY, Merge.ANY)
"""Gives the text of a script, by its digest, if it is known."""

ACKED: Final = _internal("RESPCACHE.ACKED", Flags.READONLY, Merge.LEAST)
"""Counts the copies that have all that was written up to then, of the partition that has fewest."""

INTERNAL: Final = {
    row.name.encode(): row for row in (LOCK, COMMIT, WATCH, *UNITS, BLOCK, TURN, TAKE, LEAVE, SCRIPT, ACKED)
}
"""All of them, by name."""
