"""A list of commands that are run as one, and how nodes write it to each other. Pure.

A unit travels as the arguments of an order between nodes:

    tokens (database key token)*tokens (database protocol argc argv...)*
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from respcache.commands.registry import Command
from respcache.commands.replay import keys_named
from respcache.errors import CommandError
from respcache.store.copies import StoredKey
from respcache.store.partition import Argv


class MalformedUnit(CommandError):
    """What another node sent is no unit; nothing was run."""

    def __init__(self) -> None:
        super().__init__("malformed transaction from another node")


class Call:
    """One command, with what the client's session says of how to run it.

    No dataclass, for a transaction makes one for each of its commands: that would take 1 us, this 0.1.
    """

    __slots__ = ("argv", "database", "protocol", "row")

    def __init__(self, row: Command, argv: Argv, database: int, protocol: int) -> None:
        self.row: Final = row
        self.argv: Final = argv
        self.database: Final = database
        self.protocol: Final = protocol

    @property
    def names(self) -> list[bytes]:
        """The keys that it names, whatever databases it means them in."""
        row, argv = self.row, self.argv
        return [argv[row.key_at]] if row.key_at else row.keys.of(argv)

    def keys(self, databases: int) -> list[StoredKey]:
        """List the keys that it reads or writes, of so many databases."""
        return keys_named(self.row, self.database, self.argv, databases)

    @property
    def spans_database(self) -> bool:
        """Whether it is about all keys of a database, or of all of them."""
        return not self.row.key_at and not self.row.keys.names_keys


@dataclass(frozen=True, slots=True)
class Unit:
    """Commands on keys, in order, and the states that watched keys must still have."""

    calls: list[Call]
    tokens: dict[StoredKey, bytes]

    def keys(self, databases: int) -> set[StoredKey]:
        """Collect the keys that the commands read or write."""
        return {stored for call in self.calls for stored in call.keys(databases)}

    @property
    def writes(self) -> bool:
        """Whether any of the commands may change something."""
        return any(call.row.writes for call in self.calls)

    def words(self) -> list[bytes]:
        """Write it down."""
        words = [b"%d" % len(self.tokens), *token_words(self.tokens)]
        for call in self.calls:
            words += (b"%d" % call.database, b"%d" % call.protocol, b"%d" % len(call.argv), *call.argv)
        return words


def token_words(tokens: dict[StoredKey, bytes]) -> list[bytes]:
    """Write tokens down: `(database key token)*`."""
    return [word for (database, key), token in tokens.items() for word in (b"%d" % database, key, token)]


def read_tokens(words: Sequence[bytes], databases: int) -> dict[StoredKey, bytes]:
    """Read what `token_words` wrote. Raises ValueError or IndexError."""
    tokens = {(int(words[at]), words[at + 1]): words[at + 2] for at in range(0, len(words), 3)}
    if not all(0 <= database < databases for database, _ in tokens):
        raise ValueError("no such database")
    return tokens


def read_unit(words: Sequence[bytes], resolve: Callable[[Argv], Command], databases: int) -> Unit:
    """Read what another node wrote; `resolve` finds the rows of commands. Raises CommandError."""
    try:
        start = 1 + 3 * int(words[0])
        unit = Unit([], read_tokens(words[1:start], databases))
        while start < len(words):
            database, protocol, count = (int(word) for word in words[start : start + 3])
            argv = list(words[start + 3 : start + 3 + count])
            if count < 1 or len(argv) != count or protocol not in {2, 3} or not 0 <= database < databases:
                raise MalformedUnit
            row = resolve(argv)
            if row.on_session is not None:
                raise MalformedUnit
            unit.calls.append(Call(row, argv, database, protocol))
            start += 3 + count
    except (ValueError, IndexError):
        raise MalformedUnit from None
    return unit
