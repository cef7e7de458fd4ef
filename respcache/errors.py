"""The error tree of the package, drawn at its top.

RespcacheError
|-- ConfigError (ValueError)      nothing was started
|   `-- Mismatch                  the node stopped again, and has left
|-- NodeClosed                    nothing was done, unless the node closed meanwhile: then that is not known
|-- JoinTimeout                   the node stopped again
|-- Outranked                     the node stopped again, and starts once more by itself
|-- ReplyError                    an embedded node's answer to a command was an error
|-- ProtocolError                 bytes that are no RESP: the connection ends
`-- CommandError                  one command was refused; its text is the error reply
    |-- UnknownCommand, UnknownSubcommand, WrongArity
    |-- WrongType, NotAnInteger, OutOfRange, NotAFloat, SyntaxRefused, InvalidExpiry
    |-- Moved                     not done here, done there
    |-- CrossSlot                 not done: a cluster-aware client has to ask for each slot apart
    |-- ClusterDown, TryAgain     not done, certainly
    |-- Busy                      not done: a script is running for long
    |-- Congested (TryAgain)      not done, certainly: copies have yet to confirm too much
    |-- OutOfMemory               not done: the owner of the key is full, and nothing there may be deleted
    |-- NoReplicas                not done, certainly: too few copies would have it
    |-- Unblocked                 nothing was done: another client has ended the wait
    |-- InternalError             done in part, maybe: a defect of this program, which is logged
    `-- Uncertain                 done or not: nobody here can tell

A CommandError changes nothing, unless its docstring says otherwise.
"""

from typing import ClassVar, Final

ECHO_MAX_BYTES: Final = 128
"""How much of a client's own bytes an error text repeats."""


def echoed(text: bytes, limit: int = ECHO_MAX_BYTES) -> str:
    """Make client bytes fit to stand in an error line: cut, and without line ends."""
    return text[:limit].decode("utf-8", "surrogateescape").replace("\r", " ").replace("\n", " ")


class RespcacheError(Exception):
    """The root of every error that this package raises on its own account."""


class ConfigError(RespcacheError, ValueError):
    """A setting is out of range or contradicts another one; nothing was started."""


class Mismatch(ConfigError):
    """A setting is not what it must be on all nodes of the cluster; the node that tried to join has stopped again."""


class NodeClosed(RespcacheError):
    """The node is not running (not yet, or no more); nothing was done.

    Of a command that was under way when the node closed nobody knows: it may have been sent to other nodes.
    """


class JoinTimeout(RespcacheError):
    """No cluster answered in time; the node that tried has stopped again."""


class Outranked(RespcacheError):
    """The others know a later run of this node, whose clock was set back: nobody lets this one in.

    It has to start once more, as a run that is later than `run`.
    """

    def __init__(self, run: int) -> None:
        super().__init__(f"the clock of this node was set back: it starts once more, as a run later than {run}")
        self.run: Final = run


class ReplyError(RespcacheError):
    """A command given to `Node.execute` was answered with this error reply."""


class ProtocolError(RespcacheError):
    """Bytes on a connection are no RESP request.

    Nothing of the offending request was run. The connection is told and closed,
    because nobody can say where the next request would begin.
    """


class CommandError(RespcacheError):
    """One command is refused and nothing was changed; the connection goes on."""

    code: ClassVar[str] = "ERR"

    def line(self) -> bytes:
        """Give the error reply without its dash and line end."""
        text = f"{self.code} {self}" if self.code else str(self)
        return text.replace("\r", " ").replace("\n", " ").encode("utf-8", "surrogateescape")


class UnknownCommand(CommandError):
    """No command has this name."""

    def __init__(self, argv: list[bytes]) -> None:
        shown = ""
        for argument in argv[1:]:
            if len(shown) >= ECHO_MAX_BYTES:
                break
            shown += f"'{echoed(argument, ECHO_MAX_BYTES - len(shown))}' "
        super().__init__(f"unknown command '{echoed(argv[0])}', with args beginning with: {shown}")


class UnknownSubcommand(CommandError):
    """The command is a family, and this member of it does not exist."""

    def __init__(self, family: str, given: bytes) -> None:
        super().__init__(f"unknown subcommand '{echoed(given)}'. Try {family.upper()} HELP.")


class WrongArity(CommandError):
    """Too few or too many arguments for the command."""

    def __init__(self, name: str) -> None:
        super().__init__(f"wrong number of arguments for '{name.lower()}' command")


class WrongType(CommandError):
    """The key holds a value that this command does not work on."""

    code = "WRONGTYPE"

    def __init__(self) -> None:
        super().__init__("Operation against a key holding the wrong kind of value")


class NotAnInteger(CommandError):
    """An argument or a stored value is no signed 64-bit decimal."""

    def __init__(self) -> None:
        super().__init__("value is not an integer or out of range")


class OutOfRange(CommandError):
    """An argument is a number, but a greater or smaller one than makes sense."""

    def __init__(self) -> None:
        super().__init__("value is out of range")


class NotAFloat(CommandError):
    """An argument or a stored value is no decimal number."""

    def __init__(self) -> None:
        super().__init__("value is not a valid float")


class SyntaxRefused(CommandError):
    """The options of a command are unknown or contradict each other."""

    def __init__(self) -> None:
        super().__init__("syntax error")


class InvalidExpiry(CommandError):
    """A time to live is not positive or lies beyond what 64 bits of milliseconds hold."""

    def __init__(self, name: str) -> None:
        super().__init__(f"invalid expire time in '{name}' command")


class Moved(CommandError):
    """The key's slot is served by another node; a cluster-aware client goes there."""

    code = "MOVED"

    def __init__(self, slot: int, host: str, port: int) -> None:
        super().__init__(f"{slot} {host}:{port}")


class CrossSlot(CommandError):
    """A cluster-aware client named several slots where it has to go to the owner of one."""

    code = "CROSSSLOT"

    def __init__(self) -> None:
        super().__init__("Keys in request don't hash to the same slot")


class ClusterDown(CommandError):
    """No node may serve the key now, or nobody confirms what a command has read; nothing was done."""

    code = "CLUSTERDOWN"

    def __init__(self, text: str = "The cluster is down") -> None:
        super().__init__(text)


class TryAgain(CommandError):
    """The key's owner was changing for longer than a command waits; certainly nothing was done."""

    code = "TRYAGAIN"

    def __init__(self, text: str = "The owner of the key is changing, try again") -> None:
        super().__init__(text)


class Congested(TryAgain):
    """Copies have yet to confirm more bytes of writes than may wait for them; certainly nothing was written."""

    def __init__(self, text: str = "Too many writes wait for copies to confirm them, try again") -> None:
        super().__init__(text)


class OutOfMemory(CommandError):
    """The owner of the key has more in memory than `maxmemory`, and nothing to delete for it; nothing was done."""

    code = "OOM"

    def __init__(self) -> None:
        super().__init__("command not allowed when used memory > 'maxmemory'.")


class Busy(CommandError):
    """A script, or a function, has been running for long, and has the keys of its node to itself; nothing was run."""

    code = "BUSY"

    def __init__(self, *, function: bool) -> None:
        killer = "FUNCTION" if function else "SCRIPT"
        super().__init__(f"Redis is busy running a script. You can only call {killer} KILL or SHUTDOWN NOSAVE.")


class NoReplicas(CommandError):
    """Fewer copies of the key are in sync than `min-in-sync` asks for; certainly nothing was written."""

    code = "NOREPLICAS"

    def __init__(self, text: str = "Not enough good replicas to write.") -> None:
        super().__init__(text)


class Uncertain(CommandError):
    """The owner, or too many of its copies, were lost before it confirmed, or silent for too long: nobody knows.

    What it wrote lives on no copy, or on some from where it may spread. Retrying is
    safe for commands that may be done twice.
    """

    code = "UNCERTAIN"

    def __init__(self, text: str = "The owner of the key was lost before it confirmed the command") -> None:
        super().__init__(text)


class Unblocked(CommandError):
    """Another client has ended the wait; nothing was done."""

    code = "UNBLOCKED"

    def __init__(self) -> None:
        super().__init__("client unblocked via CLIENT UNBLOCK")


class InternalError(CommandError):
    """A command has failed on a defect of this program; what it did before stays."""

    def __init__(self) -> None:
        super().__init__("internal error")
