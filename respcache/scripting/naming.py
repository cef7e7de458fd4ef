"""The commands that scripts name, and what they are told of those that they cannot have. Pure."""

from respcache.commands.registry import Command, lookup
from respcache.commands.traits import NOT_FOR_SCRIPTS
from respcache.errors import CommandError, UnknownSubcommand, echoed
from respcache.store.partition import Argv


def is_known(argv: Argv) -> bool:
    """Tell whether there is such a command, or subcommand."""
    row = lookup(argv[0])
    if row is None or not row.subcommands or len(argv) == 1:
        return row is not None
    return argv[1].upper() in row.subcommands


def named(argv: Argv) -> Command:
    """Find the command that a script names, whatever its arguments. Raises CommandError in Redis' words for scripts."""
    row = lookup(argv[0])
    if row is None:
        raise _unknown(argv)
    if row.subcommands and len(argv) > 1:
        try:
            row = row.member(argv)
        except UnknownSubcommand:
            raise _unknown(argv) from None
    return row


def check_allowed(row: Command, argv: Argv) -> None:
    """See to it that a script may give a command, whatever the script. Raises CommandError in Redis' words."""
    if not row.argc_min <= len(argv) <= row.argc_max:
        raise CommandError("Wrong number of args calling Redis command from script")
    if row.no_script:
        raise CommandError("This Redis command is not allowed from script")
    if row.awaits is not None and row.awaits.only is not None and row.awaits.only(argv):
        raise CommandError(f"{echoed(argv[0])} command is not allowed with BLOCK option from scripts")


def _unknown(argv: Argv) -> CommandError:
    """Say that there is no such command; or, if Redis has it and lets no script use it, that."""
    if NOT_FOR_SCRIPTS.isdisjoint((argv[0].upper(), b" ".join(argv[:2]).upper())):
        return CommandError("Unknown Redis command called from script")
    return CommandError("This Redis command is not allowed from script")
