"""Running on a copy what a primary ran, and telling which keys a command is about.

Time stands at 0 meanwhile, so that nothing expires by itself: a copy waits to be told.
"""

from contextlib import suppress
from itertools import pairwise
from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.registry import TABLE, Command, lookup
from respcache.errors import CommandError
from respcache.store.copies import ENTRY, Copies, StoredKey
from respcache.store.field_expiry import FIELDS_GONE, fields_gone
from respcache.store.keyspace import Keyspace
from respcache.store.partition import FLUSH, Argv, Partition
from respcache.store.swapping import SWAP, swap_copy, swapped
from respcache.store.usage import Tracking

NO_COMMANDS: Final = frozenset({ENTRY, FIELDS_GONE})
"""Effects on one key that are no commands."""


class CommandCopies(Copies):
    """Copies that understand every effect, those that are commands included."""

    def apply(self, partition: int, database: int, argv: Argv) -> None:
        """Do what a primary did. What is refused, as on a copy in the making, changes nothing."""
        space = self.store.keyspace(database)
        copy = space.partitions[partition]
        row = TABLE.get(argv[0])
        if row is None or not row.key_at or row.subcommands or not row.argc_min <= len(argv) <= row.argc_max:
            row = None
            if self._apply_marked(partition, database, argv):
                return
        ledger = copy.ledger
        now, ledger.now_unix_ms = ledger.now_unix_ms, 0
        try:
            if row is not None:
                row.on_key(copy, argv)
            else:
                _run(space, copy, argv)
        except CommandError:  # the primary's client was told, if anybody was
            pass
        finally:
            ledger.now_unix_ms = now
            copy.settle()
        if ledger.usage.tracking is not Tracking.NOTHING:
            self._note_uses(partition, database, argv)

    def _apply_marked(self, partition: int, database: int, argv: Argv) -> bool:
        """Do what is no command on keys; False if it is one."""
        name, copy = argv[0], self.store.keyspace(database).partitions[partition]
        if name == FLUSH:
            copy.clear()
        elif name == SWAP:
            swap_copy(self.store, partition, argv)
        elif name == ENTRY:
            self.restore(partition, database, argv[1], argv[2] if len(argv) > 2 else None)
            self._note_uses(partition, database, argv)
        elif name == FIELDS_GONE:
            fields_gone(copy, argv[1], integer(argv[2]), integer(argv[3]))
        else:
            return False
        return True

    def _note_uses(self, partition: int, database: int, argv: Argv) -> None:
        """Note that a primary has written to keys: the mark that came with a copy does not hold from then on."""
        usage = self.store.ledger.usage
        if usage.tracking is Tracking.NOTHING:
            return
        for number, key in changed_keys(database, argv, len(self.store)):
            held = self.store.keyspace(number).partitions[partition]
            if key in held.values:
                usage.mark(held, key, new=key not in held.marks)

    def keys_of(self, database: int, argv: Argv) -> list[StoredKey]:
        """List the keys that an effect reads or writes."""
        if argv[0] in NO_COMMANDS:
            return [(database, argv[1])]
        return keys_of(database, argv, len(self.store))

    def databases_of(self, argv: Argv) -> tuple[int, int] | None:
        """Tell which two databases of its partition an effect exchanges; None if it does not."""
        return swapped(argv)


def _run(space: Keyspace, copy: Partition, argv: Argv) -> None:
    """Run a command, on one key of this partition or on several. Raises CommandError."""
    row = _row_of(argv)
    if row is None or not row.argc_min <= len(argv) <= row.argc_max:
        return
    if row.key_at:
        row.on_key(copy, argv)
    elif row.on_keys is not None:
        row.on_keys(space, argv)


def _row_of(argv: Argv) -> Command | None:
    """Find the row of a command, down to the subcommand."""
    row = TABLE.get(argv[0]) or lookup(argv[0])
    if row is not None and row.subcommands and len(argv) > 1:
        return row.subcommands.get(argv[1].upper())
    return row


def keys_of(database: int, argv: Argv, databases: int) -> list[StoredKey]:
    """List the keys that a command reads or writes, those in another database (COPY, MOVE) included.

    A database that does not exist has none: the handler will refuse the command.
    """
    row = _row_of(argv)
    return [] if row is None else keys_named(row, database, argv, databases)


def changed_keys(database: int, argv: Argv, databases: int) -> list[StoredKey]:
    """List the keys that an effect may have changed: what it only reads (COPY, SUNIONSTORE) is left out."""
    if argv[0] in NO_COMMANDS:
        return [(database, argv[1])]
    keys, name = keys_of(database, argv, databases), argv[0].upper()
    if name == b"COPY":
        return keys[-1:]
    if name.startswith(b"GEORADIUS"):
        return keys[1:]
    return keys[:1] if name.endswith(b"STORE") or name in FIRST_ALONE else keys


FIRST_ALONE: Final = frozenset({b"BITOP", b"PFMERGE"})
"""Commands that change the first of their keys."""


def keys_named(row: Command, database: int, argv: Argv, databases: int) -> list[StoredKey]:
    """List the keys that a command of this row reads or writes, as `keys_of` does."""
    keys = row.keys.of(argv)
    if not keys:
        return []
    found = [(database, key) for key in keys]
    with suppress(CommandError):
        if row.name == "MOVE":
            found.append((integer(argv[2]), keys[0]))
        elif row.name == "COPY":
            found += [(integer(operand), keys[1]) for word, operand in pairwise(argv[3:]) if option(word) == b"DB"]
    return [(number, key) for number, key in found if 0 <= number < databases]
