"""Which row of the command table a request means."""

from respcache.commands.registry import Command, lookup
from respcache.errors import UnknownCommand, WrongArity
from respcache.store.partition import Argv


def resolve(argv: Argv) -> Command:
    """Find the row that a request names, down to the subcommand.

    Raises UnknownCommand, UnknownSubcommand or WrongArity.
    """
    row = row_of(argv)
    check_arity(row, argv)
    return row


def row_of(argv: Argv) -> Command:
    """Like `resolve`, whatever the number of arguments. Raises UnknownCommand or UnknownSubcommand."""
    row = lookup(argv[0])
    if row is None:
        raise UnknownCommand(argv)
    return row.member(argv) if row.subcommands and len(argv) > 1 else row


def check_arity(row: Command, argv: Argv) -> None:
    """See to it that a request has as many arguments as its command takes. Raises WrongArity."""
    if not row.argc_min <= len(argv) <= row.argc_max:
        raise WrongArity(row.name)
