"""Lua scripts: they run on the owner of their keys, and what they change is told to the copies command by command.

A script that is loaded on one node is known on all. One that was only run somewhere is found
when another node is asked for it (see `searching`).
"""

from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.registry import COUNTED_SECOND, NO_KEYS, Answer, Flags, Merge, command, family, script_command
from respcache.commands.session import Session
from respcache.commands.stage import Ground, Scripts
from respcache.errors import CommandError
from respcache.pending import Late, Pending
from respcache.reply import OK, Reply
from respcache.store.partition import Argv

_RUNS: Final = Flags.NOSCRIPT | Flags.STALE | Flags.SKIP_MONITOR | Flags.NO_MANDATORY_KEYS | Flags.MOVABLEKEYS
_READS: Final = _RUNS | Flags.READONLY
DIGEST_CHARS: Final = 40
"""Of a SHA-1, in hexadecimal."""


def in_order(session: Session, argv: Argv, change: Pending) -> Pending:
    """Run nothing more of a client until something is changed: what it sends next may count on that."""
    if change.wire is None:
        session.barrier = change = Late(argv, change)
    return change


@script_command("EVAL", arity=-3, flags=_RUNS, since="2.6.0", keys=COUNTED_SECOND)
def eval_(scripts: Scripts, ground: Ground, argv: Argv) -> Reply:
    """Run a Lua script."""
    keys, arguments = divided(argv)
    return scripts.evaluate(argv[1], ground, keys, arguments, reads=False)


@script_command("EVALSHA", arity=-3, flags=_RUNS, since="2.6.0", keys=COUNTED_SECOND)
def evalsha(scripts: Scripts, ground: Ground, argv: Argv) -> Reply:
    """Run a Lua script that is known, by the SHA-1 digest of its text."""
    keys, arguments = _divided_behind_digest(argv)
    return scripts.evaluate_known(argv[1], ground, keys, arguments, reads=False)


@script_command("EVAL_RO", arity=-3, flags=_READS, since="7.0.0", keys=COUNTED_SECOND)
def eval_ro(scripts: Scripts, ground: Ground, argv: Argv) -> Reply:
    """Run a Lua script that only reads."""
    keys, arguments = divided(argv)
    return scripts.evaluate(argv[1], ground, keys, arguments, reads=True)


@script_command("EVALSHA_RO", arity=-3, flags=_READS, since="7.0.0", keys=COUNTED_SECOND)
def evalsha_ro(scripts: Scripts, ground: Ground, argv: Argv) -> Reply:
    """Run a Lua script that is known and only reads, by the SHA-1 digest of its text."""
    keys, arguments = _divided_behind_digest(argv)
    return scripts.evaluate_known(argv[1], ground, keys, arguments, reads=True)


family("SCRIPT", since="2.6.0", group="scripting", help_since="5.0.0")


@script_command("SCRIPT|LOAD", arity=3, flags=Flags.NOSCRIPT | Flags.STALE, since="2.6.0", keys=NO_KEYS, merge=Merge.OK)
def script_load(scripts: Scripts, ground: Ground, argv: Argv) -> Reply:
    """Make a script known on all nodes, and return the SHA-1 digest of its text."""
    del ground
    return scripts.load(argv[2])


@script_command("SCRIPT|EXISTS", arity=-3, flags=Flags.NOSCRIPT, since="2.6.0", keys=NO_KEYS, merge=Merge.MOST)
def script_exists(scripts: Scripts, ground: Ground, argv: Argv) -> Reply:
    """Tell for each digest whether any node knows the script."""
    del ground
    return [int(scripts.text(digest) is not None) for digest in argv[2:]]


@command("SCRIPT|FLUSH", arity=-2, flags=Flags.NOSCRIPT, since="2.6.0")
def script_flush(session: Session, argv: Argv) -> Answer:
    """Forget all scripts on all nodes."""
    if len(argv) > 3 or (len(argv) == 3 and option(argv[2]) not in {b"ASYNC", b"SYNC"}):
        raise CommandError("SCRIPT FLUSH only support SYNC|ASYNC option")
    return in_order(session, argv, session.host.catalogue.flush_scripts())


@command("SCRIPT|KILL", arity=2, flags=Flags.NOSCRIPT | Flags.ALLOW_BUSY, since="2.6.0")
def script_kill(session: Session, argv: Argv) -> Answer:
    """End the script that runs on this node, if it has not written."""
    return in_order(session, argv, session.host.catalogue.kill(function=False))


@command("SCRIPT|DEBUG", arity=3, flags=Flags.NOSCRIPT, since="3.2.0")
def script_debug(session: Session, argv: Argv) -> Reply:
    """Turn the debugger of scripts off; there is none to be turned on."""
    del session
    mode = option(argv[2])
    if mode == b"NO":
        return OK
    if mode in {b"YES", b"SYNC"}:
        raise CommandError("SCRIPT DEBUG is not supported")
    raise CommandError("Use SCRIPT DEBUG YES/SYNC/NO")


def _divided_behind_digest(argv: Argv) -> tuple[Argv, Argv]:
    """Like `divided`; what can be no digest is not known, whatever stands behind it."""
    return divided(argv) if len(argv[1]) == DIGEST_CHARS else ([], [])


def divided(argv: Argv) -> tuple[Argv, Argv]:
    """Tell keys from arguments. Raises CommandError if their number is not right."""
    if argv[2] == b"1" and len(argv) > 3:
        return argv[3:4], argv[4:]
    count = integer(argv[2])
    if count > len(argv) - 3:
        raise CommandError("Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError("Number of keys can't be negative")
    return argv[3 : 3 + count], argv[3 + count :]
