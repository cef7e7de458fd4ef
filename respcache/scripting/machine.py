"""The Lua of a node: one sandbox, in which one script at a time runs.

Lua is the 5.1 of the package lupa, which comes with the extra `respcache[lua]`. What scripts see is made in
sandbox.lua, cjson.lua and cmsgpack.lua; this module is the way in and out.

An allocation beyond Lua's limit inside of a call into Python, or out of it, unwinds a stack that it must not. So calls
into Python begin with a look at the memory (`room` in sandbox.lua), Lua's own limit lies above that of the setting
by more than such a call needs, and what is large is weighed before it is handed over.
"""

import struct
from collections.abc import Callable, Sequence
from hashlib import sha1
from importlib import resources
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from respcache.commands.stage import Wandered
from respcache.errors import CommandError
from respcache.reply import Reply
from respcache.scripting import bits, packing
from respcache.scripting.bytecode import is_straight, without_tail_calls
from respcache.scripting.conversion import ELEMENT_BYTES, SCALAR, Converted, Tables, from_lua, to_lua, weight
from respcache.scripting.library import TRAITS, Compiled
from respcache.scripting.pace import FIRST, MOST, Pace
from respcache.version import REDIS_VERSION

if TYPE_CHECKING:
    from lupa.lua51 import LuaRuntime

HEADROOM_BYTES: Final = 16 * 1024 * 1024
"""By how much Lua's own limit lies above the one that scripts are held to."""
LIGHT_BYTES: Final = 64 * 1024
"""What is handed to Lua without a look at its memory."""
ARGUMENTS_AT_ONCE: Final = 200
"""Keys and arguments that are handed over in one call; more go in tables."""
REDIS_VERSION_NUMBER: Final = int.from_bytes(bytes(map(int, REDIS_VERSION.split(b"."))), "big")
"""Its three parts, a byte each, as scripts are given them."""
VERSIONS: Final = {b"version": REDIS_VERSION, b"version_number": REDIS_VERSION_NUMBER}
WANDERED: Final = b"wandered"
"""Why a script is ended that has to be run again."""
USER_SCRIPT: Final = b"@user_script"
"""What Lua calls the text of a script in errors."""
USER_FUNCTION: Final = b"@user_function"
"""What it calls that of a library."""
REPLY: Final = b"reply"
"""Why a script is ended whose reply is too large."""
FAULT: Final = b"fault"
"""Why a script is ended in the midst of which we fail."""
RESULTS_MAX: Final = 7_900
"""Values that a function of Python may give at once: Lua's stack has room for 8,000."""
REFUSED: Final = -1
"""What the answer of a native function begins with that could not do its work; an error follows."""
Native: TypeAlias = Callable[..., object]
Registered: TypeAlias = tuple[bytes, bytes | None, bytes, object, bool]
"""A function of a library: name, description, names of flags with commas between, body, whether it is straight."""


class NoLua(CommandError):
    """The package that runs Lua is not installed; nothing was run."""

    def __init__(self) -> None:
        super().__init__("scripts need Lua, which is not installed on this node: pip install 'respcache[lua]'")


class NotCompiled(CommandError):
    """The text is no Lua; nothing was run."""


class NoRoom(CommandError):
    """Arguments or replies do not fit into the memory for scripts."""

    def __init__(self) -> None:
        super().__init__("not enough memory for the script (see lua-memory-max)")


class Failed(Exception):
    """A script has ended with an error; what it did before stays."""

    def __init__(self, text: bytes, source: bytes, line: int) -> None:
        super().__init__(text)
        self.text, self.source, self.line = text, source, line
        """The error with its code, and where it happened; no line below 0."""


class Ended(Exception):
    """A script was ended because of the memory or the time that it took, or for a reason of the surroundings' own.

    What it did stays.
    """

    def __init__(self, reason: str, source: bytes = b"", line: int = -1) -> None:
        super().__init__(reason)
        self.reason, self.source, self.line = reason, source, line
        """Where it was; no line below 0."""


class Surroundings(Protocol):
    """What a script can ask for while it runs."""

    def perform(self, argv: list[bytes]) -> Reply:
        """Run a command. Raises CommandError, or Ended or Wandered, which end the script."""

    def knows(self, argv: list[bytes]) -> bool:
        """Tell whether there is such a command, or subcommand."""

    def log(self, level: int, text: bytes) -> None:
        """Write to the log of the node, with one of Redis' levels."""

    def look(self) -> bytes | None:
        """Let others have their turn, if it is time for that; tell why the script has to end, if it has."""


class Machine:
    """A Lua with a sandbox in it. Raises NoLua if there is none."""

    def __init__(
        self, surroundings: Surroundings, *, memory_max_bytes: int, seed: int, functions: bool = False
    ) -> None:
        """`memory_max_bytes` is for all that scripts keep and use; `seed` begins math.random.

        With `functions` it is for libraries of functions, which see a little less than scripts do.
        """
        try:
            from lupa import lua51  # noqa: PLC0415 # the extra may be missing
        except ImportError:
            raise NoLua from None
        self._surroundings: Final = surroundings
        self._perform: Final = surroundings.perform
        self._limit_bytes: Final = memory_max_bytes
        self._errors: Final[type[Exception]] = lua51.LuaError
        self._lua: Final[LuaRuntime] = lua51.LuaRuntime(
            encoding=None,
            source_encoding="latin-1",
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_no_attribute,
            max_memory=memory_max_bytes + HEADROOM_BYTES,
        )
        self.protocol = 2
        """The version of RESP in which the running script wants replies."""
        self.fault: Exception | None = None
        """An error of our own that came up while a script ran: the script was told that something is wrong."""
        self._pace: Final = Pace()
        self._is_running = False  # a script is in its midst: it rests, if anything else is asked of this machine
        self._tables: Final[Tables] = self._lua.table_from
        natives: dict[bytes, object] = {
            b"call": self._call,
            b"call_long": self._call_long,
            b"tick": self._tick,
            b"functions": functions or None,
            **VERSIONS,
        }
        safe: dict[bytes, Native] = {
            b"log": self._log,
            b"sha1hex": _sha1hex,
            b"setresp": self._setresp,
            b"pack": packing.pack,
            b"unpack": packing.unpack,
            b"size": packing.size,
            b"compiled": _compiled,
            b"known": self._known,
            b"is_flag": _is_flag,
            b"is_straight": is_straight,
            b"pack_double": pack_double,
            b"unpack_double": unpack_double,
        }
        bitwise = {f"bit_{name}".encode(): function for name, function in bits.LIBRARY.items()}
        natives |= {name: self._guarded(function) for name, function in (safe | bitwise).items()}
        self._name: Final = USER_FUNCTION if functions else USER_SCRIPT
        parts = self._part("sandbox.lua")(natives.get, memory_max_bytes // 1024, FIRST, MOST)
        self._compile, self._compile_aside, self._run, self._run_long, self._load, install, safely, null = parts
        install(b"cjson", self._part("cjson.lua")(null))
        install(b"cmsgpack", self._part("cmsgpack.lua")(safely(b"pack_double"), safely(b"unpack_double")))
        self._lua.execute(b"math.randomseed(%d) python = nil" % seed)

    @property
    def memory_bytes(self) -> int:
        """What Lua has allocated."""
        return int(self._lua.get_memory_used() or 0)

    def compile(self, text: bytes) -> Compiled:
        """Make a function of the text of a script, or of a library. Raises NotCompiled or NoRoom."""
        self._make_room(len(text))
        try:
            made = (self._compile_aside if self._is_running else self._compile)(text, self._name)
        except self._errors as reason:
            raise NotCompiled(str(reason)) from None
        chunk, told = made
        if chunk is None:
            raise NotCompiled(told.decode("utf-8", "surrogateescape"))
        return Compiled(chunk, bool(told))

    def load(self, chunk: object) -> list[Registered]:
        """Let a library register its functions. Raises Failed or Ended."""
        self.protocol, self.fault = 2, None
        self._pace.begin(perf_counter_ns())
        try:
            kind, told = self._load(chunk)
        except self._errors:
            raise Ended("memory" if self.memory_bytes > self._limit_bytes else "time") from None
        if kind == b"ended":
            raise Ended(told.decode())
        if kind == b"error":
            raise Failed(told, b"", -1)
        flat = list(told.values())
        return [
            (flat[at], flat[at + 1] or None, flat[at + 2], flat[at + 3], flat[at + 4]) for at in range(0, len(flat), 5)
        ]

    def run(
        self, chunk: object, keys: Sequence[bytes], arguments: Sequence[bytes], *, is_straight: bool = False
    ) -> Reply:
        """Run a script to its end, and give its reply. Raises Failed, Ended or NoRoom.

        One without loops (`is_straight`) is over before it would be looked after.
        """
        self.protocol, self.fault = 2, None
        if not is_straight:
            self._pace.begin(perf_counter_ns())
        size = ELEMENT_BYTES * (len(keys) + len(arguments))
        for key in keys:
            size += len(key)
        for argument in arguments:
            size += len(argument)
        if size > LIGHT_BYTES:
            self._make_room(size)
        self._is_running = True
        try:
            if len(keys) + len(arguments) <= ARGUMENTS_AT_ONCE:
                outcome = self._run(chunk, is_straight, len(keys), *keys, *arguments)
            else:
                outcome = self._run_long(chunk, is_straight, self._tables(keys), self._tables(arguments))
        except self._errors:  # ended in the midst of our own preparations
            raise Ended("memory" if self.memory_bytes > self._limit_bytes else "time") from None
        finally:
            self._is_running = False
        kind = type(outcome)
        if kind is int or kind is bytes or outcome is None:
            return cast("Reply", outcome)
        return self._reply(outcome) if kind is tuple else SCALAR[kind](outcome, self.protocol)

    def _reply(self, outcome: tuple[Any, ...]) -> Reply:
        kind, found = outcome[0], outcome[1:]
        if kind == b"list":
            return from_lua(found, self.protocol)
        if kind == b"long":
            return from_lua(list(found[0].values()), self.protocol)
        if kind == b"ended":
            raise Ended(found[0].decode(), *((found[1], int(found[2])) if len(found) > 1 else ()))
        text, source, line = found
        raise Failed(text, source, int(line))

    def _make_room(self, more_bytes: int) -> None:
        """See to it that so much can be handed over. Raises NoRoom."""
        if self.memory_bytes + more_bytes > self._limit_bytes:
            self._lua.gccollect()
            if self.memory_bytes + more_bytes > self._limit_bytes:
                raise NoRoom

    def _call(self, *arguments: object) -> Converted:
        """Run a command for a script: give the answer, or what kind it is of (see `answered` in sandbox.lua) and it."""
        try:
            argv = _argv(arguments)
        except CommandError as refusal:
            return (7, refusal.line())
        try:
            reply = self._perform(argv)
            if type(reply) is int:
                return reply
            size = weight(reply)
            if size > LIGHT_BYTES:
                self._make_room(size)
            return to_lua(reply, self.protocol, self._tables)
        except NoRoom:
            return (9, b"not enough memory")
        except Wandered:
            return (8, WANDERED)
        except Ended as end:
            return (8, end.reason.encode())
        except CommandError as refusal:
            return (0, refusal.line())
        except Exception as fault:  # noqa: BLE001 # it must not unwind Lua's stack; `run` passes it on
            self.fault = fault
            return (0, b"ERR internal error")

    def _call_long(self, count: int, words: Any) -> Converted:  # a table
        """Run a command of so many words, like `_call`."""
        arguments = list(words.values())
        return self._call(*arguments, *[None] * (count - len(arguments)))  # those missing are nil, and refused

    def _tick(self) -> bytes | int:
        """Have a look around in the midst of a script.

        Tell why it has to end, if it has, or after how many instructions from now on it is to be looked at.
        """
        pace = self._pace
        pace.look(perf_counter_ns())
        try:
            reason = self._surroundings.look()
        except Exception as fault:  # noqa: BLE001 # as in `_call`
            self.fault = fault
            return FAULT
        pace.resume(perf_counter_ns())
        return reason or pace.instructions

    def _guarded(self, native: Native) -> Native:
        """Make a function that may raise anything one that scripts can call, and that hands over no more than fits."""

        def guarded(*arguments: object) -> object:
            try:
                answer = native(*arguments)
                parts = answer if isinstance(answer, tuple) else (answer,)
                if len(parts) > RESULTS_MAX:
                    return (REFUSED, b"ERR stack overflow (too many results)")
                size = sum([len(part) for part in parts if type(part) is bytes])
                if size > LIGHT_BYTES:
                    self._make_room(size)
            except NoRoom:
                return (REFUSED, b"ERR not enough memory")
            except Exception as fault:  # noqa: BLE001 # as in `_call`
                self.fault = fault
                return (REFUSED, b"ERR internal error")
            return answer

        return guarded

    def _known(self, *arguments: object) -> bool | bytes:
        """Tell whether there is such a command; or what is wrong with the words."""
        try:
            return self._surroundings.knows(_argv(arguments))
        except CommandError as refusal:
            return refusal.line()

    def _log(self, level: int, text: bytes) -> None:
        self._surroundings.log(level, text)

    def _setresp(self, version: int) -> None:
        self.protocol = version

    def _part(self, name: str) -> Callable[..., Any]:
        """Load a file of this package, with which errors of scripts have nothing to do."""
        source = resources.files(__package__).joinpath(name).read_bytes()
        load = self._lua.eval(b"function(text) return assert(loadstring(text, '=respcache'))() end")
        made: Callable[..., Any] = load(source)
        return made


def pack_double(number: float) -> bytes:
    """Write a number as MessagePack does: in 4 bytes if they are enough."""
    try:
        if struct.unpack(">f", struct.pack(">f", number))[0] == number:
            return b"\xca" + struct.pack(">f", number)
    except OverflowError:
        pass
    return b"\xcb" + (struct.pack(">d", number) if number == number else b"\xff\xf8\0\0\0\0\0\0")  # noqa: PLR0124 # NaN


def unpack_double(digits: bytes) -> float:
    """Read a number of 4 or 8 bytes."""
    number: float = struct.unpack(">f" if len(digits) == 4 else ">d", digits)[0]
    return number


def _argv(arguments: tuple[object, ...]) -> list[bytes]:
    """Make a request of what a script has said. Raises CommandError."""
    if not arguments:
        raise CommandError("Please specify at least one argument for this redis lib call")
    argv: list[bytes] = []
    for argument in arguments:
        if type(argument) is bytes:
            argv.append(argument)
        elif type(argument) is int:
            argv.append(b"%d" % argument if abs(argument) < 10**17 else b"%.17g" % argument)
        elif type(argument) is float:
            argv.append(b"%.17g" % argument)
        else:
            raise CommandError("Lua redis lib command arguments must be strings or integers")
    return argv


def _sha1hex(text: bytes) -> bytes:
    return sha1(text, usedforsecurity=False).hexdigest().encode()


def _compiled(chunk: bytes) -> tuple[bytes, bool]:
    """Give a compiled chunk its final form; tell whether it is straight."""
    return without_tail_calls(chunk), is_straight(chunk)


def _is_flag(name: bytes) -> bool:
    return name.lower() in TRAITS


def _no_attribute(_owner: object, _name: object, _setting: bool) -> str:  # noqa: FBT001 # as lupa calls it
    raise AttributeError("scripts see nothing of Python")
