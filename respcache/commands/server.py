"""Commands on the node itself: its clock, its role, its users, its memory, its end."""

from hashlib import sha256
from typing import Final

from respcache.cluster.ownership.slots import SLOTS
from respcache.commands.arguments import integer, option
from respcache.commands.categories import CATEGORIES
from respcache.commands.connection import DEFAULT_USER
from respcache.commands.documentation import commands
from respcache.commands.registry import Answer, Flags, command, family
from respcache.commands.session import Session
from respcache.errors import CommandError, SyntaxRefused, echoed
from respcache.pending import Farewell, Pending
from respcache.reply import OK, Members, Reply, Verbatim
from respcache.store.partition import Argv
from respcache.version import REDIS_VERSION, __version__

_ANYTIME: Final = Flags.LOADING | Flags.STALE | Flags.FAST
_USER: Final = Flags.NOSCRIPT | Flags.LOADING | Flags.STALE
_OPERATOR: Final = Flags.ADMIN | _USER
_FOLLOWER: Final = Flags.ADMIN | Flags.NOSCRIPT | Flags.STALE | Flags.NO_ASYNC_LOADING
_SHUTDOWN: Final = _OPERATOR | Flags.NO_MULTI | Flags.ALLOW_BUSY | Flags.CONNECTION

SHUTDOWN_OPTIONS: Final = {b"NOSAVE", b"SAVE", b"NOW", b"FORCE"}
BAR_CHARACTERS: Final = 60
"""Of all slots together, where LOLWUT draws them."""


@command("TIME", arity=1, flags=_ANYTIME, since="2.6.0")
def time(session: Session, argv: Argv) -> Reply:
    """Return the node's clock: seconds, and microseconds within the second."""
    del argv
    seconds, microseconds = divmod(session.host.now_unix_us(), 1_000_000)
    return [b"%d" % seconds, b"%d" % microseconds]


@command("ROLE", arity=1, flags=Flags.NOSCRIPT | _ANYTIME, since="2.8.12")
def role(session: Session, argv: Argv) -> Reply:
    """Say that the node is a master: every node is one, of its slots."""
    del session, argv
    return [b"master", 0, []]


@command("LASTSAVE", arity=1, flags=_ANYTIME, since="1.0.0")
def lastsave(session: Session, argv: Argv) -> Reply:
    """Return when the node started: nothing is ever written to disk."""
    del argv
    return session.host.started_unix_s


@command("LOLWUT", arity=-1, flags=Flags.READONLY | Flags.FAST, since="5.0.0")
def lolwut(session: Session, argv: Argv) -> Reply:
    """Draw the shares of the slots, a bar a node, and say which version runs."""
    if len(argv) > 2 and option(argv[1]) == b"VERSION":
        integer(argv[2])
    bars = ""
    for node in session.host.topology():
        share = sum(last - first + 1 for first, last in node.slots) / SLOTS
        bars += f"{'#' * round(share * BAR_CHARACTERS)} {node.name} {share:.0%}\n"
    return Verbatim(f"{bars}\nRedis ver. {REDIS_VERSION.decode()} (respcache {__version__})\n".encode())


@command("SHUTDOWN", arity=-1, flags=_SHUTDOWN, since="1.0.0")
def shutdown(session: Session, argv: Argv) -> Answer:
    """Leave the cluster, with all keys handed over, and end; there is nothing to save.

    The client gets no reply, or an error if not everything could be handed over; its connection ends with the node.
    A script that has been running for long is in the way, as in Redis, but of NOSAVE, which ends it if it has written
    nothing.
    """
    options = [option(word) for word in argv[1:]]
    if options == [b"ABORT"]:
        raise CommandError("No shutdown in progress.")
    if not set(options) <= SHUTDOWN_OPTIONS or {b"SAVE", b"NOSAVE"} <= set(options):
        raise SyntaxRefused
    host = session.host
    if b"NOSAVE" in options:
        host.catalogue.hurry()
    elif (refusal := host.catalogue.busy()) is not None:
        raise refusal
    host.shut_down(f"SHUTDOWN from {session.address}")
    session.barrier = end = Farewell(b"")
    return end


@command("SLAVEOF", arity=3, flags=_FOLLOWER, since="1.0.0")
@command("REPLICAOF", arity=3, flags=_FOLLOWER, since="5.0.0")
def replicaof(session: Session, argv: Argv) -> Reply:
    """Refuse: the cluster decides by itself where copies are."""
    del session, argv
    raise CommandError("REPLICAOF not allowed in cluster mode.")


@command("MONITOR", arity=1, flags=_OPERATOR | Flags.CONNECTION, since="1.0.0")
def monitor(session: Session, argv: Argv) -> Answer:
    """Show the client every command of this node's clients from now on."""
    del argv
    if session.deny_blocking:
        raise CommandError("MONITOR isn't allowed for DENY BLOCKING client")
    if session.monitors:
        unanswered = Pending()
        unanswered.resolve(b"")
        return unanswered
    session.monitors = True
    session.host.monitors.join(session)
    return OK


family("ACL", since="6.0.0", group="server", help_since="6.0.0")


@command("ACL|WHOAMI", arity=2, flags=_USER, since="6.0.0")
def acl_whoami(session: Session, argv: Argv) -> Reply:
    """Return the name of the user."""
    del session, argv
    return DEFAULT_USER


@command("ACL|USERS", arity=2, flags=_OPERATOR, since="6.0.0")
def acl_users(session: Session, argv: Argv) -> Reply:
    """List the names of the users: there is one."""
    del session, argv
    return [DEFAULT_USER]


@command("ACL|LIST", arity=2, flags=_OPERATOR, since="6.0.0")
def acl_list(session: Session, argv: Argv) -> Reply:
    """Describe the users, each by the rules that make it: there is one, who may do everything."""
    del argv
    digest = _password_digest(session)
    secret = b"#" + digest if digest else b"nopass"
    return [b"user %b on %b ~* &* +@all" % (DEFAULT_USER, secret)]


@command("ACL|GETUSER", arity=3, flags=_OPERATOR, since="6.0.0")
def acl_getuser(session: Session, argv: Argv) -> Reply:
    """Describe what a user may do; null if there is no such user."""
    if argv[2] != DEFAULT_USER:
        return None
    digest = _password_digest(session)
    return {
        b"flags": Members([b"on"] if digest else [b"on", b"nopass"]),
        b"passwords": [digest] if digest else [],
        b"commands": b"+@all",
        b"keys": b"~*",
        b"channels": b"&*",
        b"selectors": [],
    }


def _password_digest(session: Session) -> bytes:
    """Digest the password as Redis shows it, in hexadecimal digits of SHA-256; empty without a password."""
    password = session.host.config.server.requirepass.encode("utf-8", "surrogateescape")
    return sha256(password).hexdigest().encode() if password else b""


@command("ACL|CAT", arity=-2, flags=_USER, since="6.0.0")
def acl_cat(session: Session, argv: Argv) -> Reply:
    """List the categories of commands, or the commands of one."""
    del session
    if len(argv) > 3:
        raise CommandError(f"unknown subcommand or wrong number of arguments for '{echoed(argv[1])}'. Try ACL HELP.")
    if len(argv) == 2:
        return [category.encode() for category in CATEGORIES]
    wanted = argv[2].lower().decode("utf-8", "replace")
    if wanted not in CATEGORIES:
        raise CommandError(f"Unknown category '{echoed(argv[2])}'")
    rows = [row for parent in commands() for row in (parent, *parent.subcommands.values())]
    return [row.name.lower().encode() for row in rows if wanted in row.categories]


family("MODULE", since="4.0.0", group="server", help_since="5.0.0")


@command("MODULE|LIST", arity=2, flags=Flags.ADMIN | Flags.NOSCRIPT, since="4.0.0")
def module_list(session: Session, argv: Argv) -> Reply:
    """List nothing: there are no modules."""
    del session, argv
    return []
