"""What clients may not do at once, in front of the handlers: without a password, while they listen, inside MULTI.

Only sessions that say so (`Session.restricted`) are looked at here, one command after the other.
"""

from typing import Final

from respcache.commands.cluster import is_local
from respcache.commands.registry import Command, Flags
from respcache.commands.session import Session, Silence
from respcache.commands.stage import Scripts
from respcache.commands.transactions import ExecAborted
from respcache.errors import CommandError, OutOfMemory
from respcache.pending import Muted, Pending
from respcache.store.partition import Argv

LISTENERS_COMMANDS: Final = frozenset(
    {
        "PING",
        "PSUBSCRIBE",
        "PUNSUBSCRIBE",
        "QUIT",
        "RESET",
        "SSUBSCRIBE",
        "SUBSCRIBE",
        "SUNSUBSCRIBE",
        "UNSUBSCRIBE",
    }
)
"""What a client may send in RESP2 while it is subscribed."""
AT_ONCE: Final = frozenset({"DISCARD", "EXEC", "MULTI", "QUIT", "RESET", "WATCH"})
"""What is not queued inside MULTI."""

PUBLISHING: Final = frozenset({"PUBLISH", "SPUBLISH"})
ON_KEYS: Final = Flags.READONLY | Flags.WRITE | Flags.MAY_REPLICATE
"""What a client may not send that is shown every command, and no more may it publish."""

WHILE_FULL: Final = frozenset({"DISCARD", "EXEC", "QUIT", "RESET"})
"""What a client may send inside MULTI while this node is full."""


class AuthRequired(CommandError):
    """The client has not given the password yet."""

    code = "NOAUTH"

    def __init__(self) -> None:
        super().__init__("Authentication required.")


class WatchesOnly(CommandError):
    """A client that is shown every command may not use keys or publish; in Redis it is a kind of replica."""

    def __init__(self) -> None:
        super().__init__("Replica can't interact with the keyspace")


class ListensOnly(CommandError):
    """A RESP2 client that is subscribed may do little else."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Can't execute '{name.lower()}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
            "allowed in this context"
        )


def check_restrictions(session: Session, row: Command) -> None:
    """Refuse what a restricted client may not do. Raises AuthRequired, WatchesOnly or ListensOnly."""
    if not session.authenticated and not row.no_auth:
        raise AuthRequired
    if session.monitors and (row.flags & ON_KEYS or row.name in PUBLISHING):
        raise WatchesOnly
    if session.listens_only and row.name not in LISTENERS_COMMANDS:
        raise ListensOnly(row.name)


def check_protected(session: Session) -> None:
    """Refuse DEBUG to whom `enable-debug-command` does not let. Raises CommandError."""
    allowed = session.host.config.server.enable_debug_command
    if allowed == "no" or (allowed == "local" and not is_local(session.address)):
        raise CommandError(
            'DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a '
            "local connection, otherwise you need to set this option in the configuration file, and then restart the "
            "server."
        )


def check_memory(session: Session, row: Command) -> None:
    """Refuse to queue, while this node is full, what may be refused when it is run. Raises OutOfMemory.

    As Redis does, whatever the command: a queue takes memory, too.
    """
    if session.queue is not None and row.name not in WHILE_FULL:
        raise OutOfMemory


def check_script(session: Session, row: Command, scripts: Scripts) -> None:
    """Refuse what no script stands in the way of, and Redis refuses all the same, while one has been running for long.

    By PING clients find out. Commands on keys are for the owners of the keys to refuse, or not; but what cannot be run
    is not to be queued either. Raises Busy.
    """
    if Flags.ALLOW_BUSY in row.flags or (row.on_session is None and session.queue is None):
        return
    refusal = scripts.busy()
    if refusal is not None:
        raise refusal


def queue(session: Session, row: Command, argv: Argv) -> bool:
    """Queue a command of a client that has said MULTI; False for those that are run at once all the same.

    Raises CommandError for what no transaction may hold, or if the queue is full.
    """
    if session.queue is None or row.name in AT_ONCE:
        return False
    if not row.can_queue:
        raise CommandError("Command not allowed inside a transaction")
    keys = [] if row.on_session is not None else row.keys.of(argv)
    moved = session.host.redirection(session, keys[0]) if keys else None
    if moved is not None:
        raise moved
    session.queue.add(row, argv)
    return True


def show(session: Session, row: Command, argv: Argv, database: int) -> None:
    """Show a command to the clients that watch, as far as they may see it."""
    if Flags.ADMIN not in row.flags:
        session.host.monitors.show(session.address.encode(), database, argv)


def show_behind(session: Session, row: Command, argv: Argv) -> None:
    """Show a command that has been begun. Scripts are shown in front of what they call, EXEC behind what it runs."""
    if row.on_script is None and row.name != "EXEC":
        show(session, row, argv, session.database)


def witnessed(session: Session, row: Command | None, argv: Argv, *, ran: bool) -> None:
    """Do what is to be done behind a command because of who watches, or is told of changes."""
    if row is not None and ran:
        show_behind(session, row, argv)
    if session.tracker is not None and session.queue is None and not (row and row.name.startswith("CLIENT|")):
        session.tracker.caching = False


def rejected(session: Session, argv: Argv, refusal: CommandError) -> CommandError:
    """Take note of a refusal in front of the handler: it spoils the transaction; EXEC ends with it."""
    if argv[0].upper() == b"EXEC":
        session.end_queue()
        return ExecAborted(str(refusal) if refusal.code == CommandError.code else refusal.line().decode())
    if session.queue is not None:
        session.queue.spoil()
    return refusal


def muted(session: Session, argv: Argv, answer: bytes | Pending) -> bytes | Pending:
    """Take away a reply that the client does not want. Confirmations of subscriptions are none."""
    if session.silence is Silence.NOW:
        session.silence = Silence.NONE
        session.restrict()
    if argv[0].upper().endswith(b"SUBSCRIBE"):
        return answer
    if not isinstance(answer, Pending) or answer.wire is not None:
        return b""
    quiet = Muted(answer)
    if session.barrier is answer:
        session.barrier = quiet
    return quiet
