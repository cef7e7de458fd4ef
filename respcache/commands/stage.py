"""What commands on scripts may ask of their node."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from respcache.reply import Reply
from respcache.store.partition import Argv

if TYPE_CHECKING:
    from respcache.commands.registry import Command


class Ground(Protocol):
    """The keys that a script can reach."""

    @property
    def database(self) -> int:
        """The database that the script begins in."""

    @property
    def full(self) -> bool:
        """Whether there is no memory for what commands may add."""

    def run(self, row: "Command", argv: Argv, database: int) -> Reply:
        """Run a command on keys. Raises CommandError, for keys out of reach too."""


class Scripts(Protocol):
    """The scripts of a node, and what runs them."""

    def evaluate(
        self, text: bytes, ground: Ground, keys: Sequence[bytes], arguments: Sequence[bytes], *, reads: bool
    ) -> Reply:
        """Run a script; with `reads` it may not write. Raises CommandError if nothing was run.

        A script that fails afterwards gives a CommandError back; what it wrote stays.
        """

    def evaluate_known(
        self, digest: bytes, ground: Ground, keys: Sequence[bytes], arguments: Sequence[bytes], *, reads: bool
    ) -> Reply:
        """Run a script that has been run or loaded before, like `evaluate`."""

    def load(self, text: bytes) -> bytes:
        """Take a script in, and give its digest. Raises CommandError."""

    def text(self, digest: bytes) -> bytes | None:
        """Give the text of a script, if it is known."""

    def flush(self) -> None:
        """Forget all scripts."""
