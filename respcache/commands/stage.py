"""What commands on scripts may ask of their node."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from respcache.errors import Busy
from respcache.pending import Pending
from respcache.reply import Reply
from respcache.store.partition import Argv
from respcache.strand import Detour, Strand

if TYPE_CHECKING:
    from respcache.commands.registry import Command


class Wandered(Detour):
    """A script, or SORT, has come to a key of another node; what it has done is undone, or was never to last.

    It has to be run again with more keys at hand, see `reach`. No script sees this.
    """


class Habit:
    """What is known of a script, or of a function, by how it has run on this node."""

    __slots__ = ("confined", "homely", "wanders")

    def __init__(self) -> None:
        self.homely = False
        """Whether it has run to its end and named no keys but in partitions of those that it declares."""
        self.wanders = False
        """Whether it has named a key of another node that it does not declare."""
        self.confined: bool | None = None
        """Whether its text tells that it names no keys but those that it declares; None until somebody has asked."""


class Declared(Protocol):
    """The keys that a script declares, for a client that is told when what it has read changes."""

    def reads(self) -> None:
        """Take note that the script is about to read something."""

    def writes(self) -> None:
        """Take note that it is about to write something."""


class Ground(Protocol):
    """The keys that a script can reach."""

    @property
    def is_lost(self) -> bool:
        """Whether keys went to another node while the script rested."""

    @property
    def is_astray(self) -> bool:
        """Whether the script goes on without keys that it has named: just to find out which others it names."""

    def afterwards(self, say: Callable[[], object]) -> None:
        """Say something, which cannot be taken back, once it is certain that this run counts."""

    @property
    def database(self) -> int:
        """The database that the script begins in."""

    @property
    def full(self) -> bool:
        """Whether there is no memory for what commands may add."""

    def run(self, row: "Command", argv: Argv, database: int) -> Reply:
        """Run a command on keys. Raises CommandError, for keys out of reach too; or Wandered, which ends the script."""


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

    def habit(self, row: "Command", argv: Argv) -> Habit:
        """Give what is known of the script, or of the function, that a command runs. Raises CommandError."""

    def confined(self, row: "Command", argv: Argv) -> bytes | None:
        """Give the text of the script that a command runs, if it certainly comes to no keys but those that it declares.

        None, too, where the script is not known, or is none.
        """

    def is_straight(self, row: "Command", argv: Argv) -> bool:
        """Tell whether a command runs a script that is over soon, and need not be run where it can rest."""

    def require(self, function: bytes) -> None:
        """See to it that there is a function of this name. Raises CommandError."""

    def call(
        self, argv: Argv, ground: Ground, keys: Sequence[bytes], arguments: Sequence[bytes], *, reads: bool
    ) -> Reply:
        """Run the function of a library that a command calls, like `evaluate`."""

    def load(self, text: bytes) -> bytes:
        """Take a script in, and give its digest. Raises CommandError."""

    def text(self, digest: bytes) -> bytes | None:
        """Give the text of a script, if it is known."""

    @property
    def strand(self) -> Strand:
        """What scripts are to be run in."""

    def busy(self) -> Busy | None:
        """Give the refusal of what a script stands in the way of that has been running for long."""


class Policy(enum.Enum):
    """What becomes of the libraries that are there when others are restored."""

    APPEND = enum.auto()
    """They stay; to restore one of the same name is refused."""
    REPLACE = enum.auto()
    """Those of the same names go."""
    FLUSH = enum.auto()
    """All go."""


class FunctionView(Protocol):
    """A function, as clients see it."""

    @property
    def name(self) -> bytes:
        """How it is called."""

    @property
    def description(self) -> bytes | None:
        """What its library says of it."""

    @property
    def flags(self) -> Sequence[bytes]:
        """What it may do, and where."""


class LibraryView(Protocol):
    """A library, as clients see it."""

    @property
    def name(self) -> bytes:
        """The name that it gives itself."""

    @property
    def code(self) -> bytes:
        """Its text."""

    @property
    def functions(self) -> Sequence[FunctionView]:
        """In the order in which it registers them."""


@dataclass(frozen=True, slots=True)
class Running:
    """A script that has been running for long, or a function."""

    name: bytes
    """The digest of a script."""
    argv: Argv
    """By which command."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class ScriptFigures:
    """What scripts and functions are there on a node, and what they take."""

    scripts: int
    scripts_bytes: int
    libraries: int
    functions: int
    libraries_bytes: int
    script_memory_bytes: int
    """Of the Lua for scripts."""
    function_memory_bytes: int
    """Of the Lua for functions."""


class Catalogue(Protocol):
    """The functions and scripts of all nodes. What changes something is answered once all linked nodes know of it."""

    def load(self, code: bytes, *, replace: bool) -> Pending:
        """Take a library in, and reply with its name. Raises CommandError."""

    def delete(self, name: bytes) -> Pending:
        """Forget a library. Raises CommandError if there is none of that name."""

    def flush(self) -> Pending:
        """Forget all libraries."""

    def libraries(self) -> Sequence[LibraryView]:
        """List the libraries."""

    def dump(self) -> bytes:
        """Write all libraries down."""

    def restore(self, payload: bytes, policy: Policy) -> Pending:
        """Take in what `dump` has written. Raises CommandError, and then nothing is changed."""

    def flush_scripts(self) -> Pending:
        """Forget all scripts."""

    def figures(self) -> ScriptFigures:
        """Count."""

    def only_reads(self, row: "Command", argv: Argv) -> bool:
        """Tell whether a command runs a script, or a function, that says of itself that it does not write."""

    def running_function(self) -> Running | None:
        """Give the function that is running on this node, if one is. Raises Busy if it is a script."""

    def busy(self) -> Busy | None:
        """Give the refusal of what a script of this node stands in the way of that has been running for long."""

    def hurry(self) -> None:
        """Have scripts of this node that run for long end by themselves from now on, unless they have written."""

    def kill(self, *, function: bool) -> Pending:
        """End the script that is running on any node, or the function."""
