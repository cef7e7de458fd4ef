"""MULTI and what belongs to it. Queueing is the executor's business, running `multi`'s."""

from typing import Final

from respcache.commands.queue import Queue
from respcache.commands.registry import ALL, Answer, Flags, command
from respcache.commands.session import Session
from respcache.errors import CommandError
from respcache.reply import OK, Reply
from respcache.store.partition import Argv

_ANYTIME: Final = Flags.NOSCRIPT | Flags.LOADING | Flags.STALE
_QUICK: Final = _ANYTIME | Flags.FAST | Flags.ALLOW_BUSY


class ExecAborted(CommandError):
    """A command of the transaction, or EXEC itself, was refused; nothing was run."""

    code = "EXECABORT"

    def __init__(self, reason: str = "") -> None:
        cause = f"of: {reason}" if reason else "of previous errors."
        super().__init__(f"Transaction discarded because {cause}")


@command("MULTI", arity=1, flags=_QUICK | Flags.CONNECTION, since="1.2.0")
def multi(session: Session, argv: Argv) -> Reply:
    """Queue the commands that follow, for EXEC to run as one."""
    del argv
    if session.queue is not None:
        raise CommandError("MULTI calls can not be nested")
    session.queue = Queue(session.host.config.server.client_query_buffer_limit_bytes)
    session.restrict()
    return OK


@command("EXEC", arity=1, flags=_ANYTIME | Flags.SKIP_SLOWLOG | Flags.CONNECTION, since="1.2.0")
def exec_(session: Session, argv: Argv) -> Answer:
    """Run the queued commands, unless a watched key has changed."""
    if session.queue is None:
        raise CommandError("EXEC without MULTI")
    session.queue.ended_by = argv[0]
    return session.host.transact(session)


@command("DISCARD", arity=1, flags=_QUICK | Flags.CONNECTION, since="2.0.0")
def discard(session: Session, argv: Argv) -> Reply:
    """Drop the queued commands, and watch no key any more."""
    del argv
    if session.queue is None:
        raise CommandError("DISCARD without MULTI")
    session.end_queue()
    return OK


@command("WATCH", arity=-2, flags=_QUICK | Flags.CONNECTION, since="2.2.0", slots=ALL)
def watch(session: Session, argv: Argv) -> Answer:
    """Have the next EXEC run nothing if one of these keys changes until then."""
    if session.queue is not None:
        raise CommandError("WATCH inside MULTI is not allowed")
    return session.host.watch(session, argv[1:])


@command("UNWATCH", arity=1, flags=_QUICK | Flags.CONNECTION, since="2.2.0")
def unwatch(session: Session, argv: Argv) -> Reply:
    """Watch no key any more."""
    del argv
    session.watched = {}
    return OK
