"""The commands that a client has sent since MULTI. Pure.

open --EXEC--> run       open --DISCARD, RESET, disconnect--> dropped
  `--a command is refused--> spoiled --EXEC--> refused, nothing was run
"""

from typing import TYPE_CHECKING, Final

from respcache.errors import CommandError
from respcache.store.partition import Argv

if TYPE_CHECKING:
    from respcache.commands.registry import Command

ARGUMENT_BYTES: Final = 64
"""What an argument takes besides its own bytes, roughly."""


class QueueFull(CommandError):
    """The commands of a transaction are too many or too large; EXEC will refuse them all."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the transaction takes more than client-query-buffer-limit, {limit_bytes} bytes")


class Queue:
    """What EXEC will run, within a limit."""

    __slots__ = ("_bytes", "_limit_bytes", "calls", "ended_by", "spoiled")

    def __init__(self, limit_bytes: int) -> None:
        self.calls: list[tuple[Command, Argv]] = []
        self.spoiled = False
        """Whether a command was refused: then EXEC refuses the others."""
        self.ended_by = b"EXEC"
        """How the client has spelled it."""
        self._bytes = 0
        self._limit_bytes: Final = limit_bytes

    def add(self, row: "Command", argv: Argv) -> None:
        """Queue a command. Raises QueueFull."""
        if self.spoiled:
            return
        self._bytes += sum([len(argument) for argument in argv]) + ARGUMENT_BYTES * (len(argv) + 1)
        if self._bytes > self._limit_bytes:
            raise QueueFull(self._limit_bytes)
        self.calls.append((row, argv))

    def spoil(self) -> None:
        """Drop the commands: nothing will be run, whatever follows."""
        self.spoiled = True
        self.calls = []
