"""The libraries of functions of a node: FUNCTION LOAD and its kin, without what other nodes have to do with it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from respcache.commands.stage import Habit
from respcache.errors import CommandError, ProtocolError, echoed
from respcache.resp.inline import words
from respcache.scripting.library import TRAITS, Trait
from respcache.scripting.machine import Ended, Failed, Machine, NotCompiled, Registered

NAMES: Final = re.compile(rb"[A-Za-z0-9_]+")
BAD_NAME: Final = (
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
)
LIBRARY_BYTES: Final = 4096
"""What is counted for a library besides its text: what it is compiled to."""
ENGINE: Final = "lua"


class NoFunction(CommandError):
    """No library has a function of this name; nothing was run."""

    def __init__(self) -> None:
        super().__init__("Function not found")


class BadLibrary(CommandError):
    """The text is no library, or cannot be loaded beside the others; nothing was changed."""


class TooMuch(BadLibrary):
    """All libraries together would take more than they may; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("the libraries take more than lua-scripts-max")


@dataclass(frozen=True, slots=True)
class Function:
    """What FCALL calls."""

    name: bytes
    description: bytes | None
    traits: Trait
    body: object
    """A function of Lua."""
    is_straight: bool
    """Whether it has no loops; see `bytecode`."""
    habit: Habit

    @property
    def flags(self) -> Sequence[bytes]:
        """The names of its traits."""
        return [name for name, trait in TRAITS.items() if trait and trait in self.traits]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A library, ready to be called."""

    name: bytes
    code: bytes
    functions: tuple[Function, ...]
    """In the order in which it registers them; none where this node could not load it."""

    @property
    def size_bytes(self) -> int:
        """What it counts for."""
        return LIBRARY_BYTES + len(self.code)


class Functions:
    """The libraries, by name, and their functions, by name in any capitals."""

    def __init__(self, begin: Callable[[], Machine], *, forget: Callable[[], None], size_max_bytes: int) -> None:
        """`begin` gives the Lua for functions, with the time that a library may take beginning.

        `forget` is called when there are none any more.
        """
        self._begin: Final = begin
        self._forget: Final = forget
        self._functions: dict[bytes, Function] = {}
        self.libraries: dict[bytes, Loaded] = {}
        self.size_max_bytes = size_max_bytes

    def __len__(self) -> int:
        """Count the functions."""
        return len(self._functions)

    @property
    def size_bytes(self) -> int:
        """What the libraries count for."""
        return sum(library.size_bytes for library in self.libraries.values())

    def find(self, name: bytes) -> Function:
        """Find a function. Raises NoFunction."""
        function = self._functions.get(name) or self._functions.get(name.lower())
        if function is None:
            raise NoFunction
        return function

    def made(self, code: bytes) -> Loaded:
        """Make a library of its text, without taking it in. Raises CommandError."""
        name, body = parted(code)
        return Loaded(name, code, tuple(self._registered(body)))

    def load(self, code: bytes, *, replace: bool) -> Loaded:
        """Make a library that can be put beside the others, without taking it in. Raises CommandError."""
        name, _ = parted(code)
        if name in self.libraries and not replace:
            raise BadLibrary(f"Library '{name.decode()}' already exists")
        library = self.made(code)
        self.check({library.name: library})
        return library

    def check(self, news: Mapping[bytes, Loaded], *, instead: bool = False) -> None:
        """See to it that libraries can take their places, `instead` of all others if so. Raises BadLibrary."""
        others = [] if instead else [library for name, library in self.libraries.items() if name not in news]
        taken = {function.name.lower() for library in others for function in library.functions}
        for library in news.values():
            for function in library.functions:
                if function.name.lower() in taken:
                    raise BadLibrary(f"Function {function.name.decode()} already exists")
                taken.add(function.name.lower())
        size = sum(library.size_bytes for library in (*others, *news.values()))
        if size > self.size_max_bytes:
            raise TooMuch

    def put(self, libraries: Iterable[Loaded]) -> None:
        """Have these libraries and no others. Where two have a function of one name, the later one is called."""
        self.libraries = {library.name: library for library in libraries}
        self._functions = {
            function.name.lower(): function for library in self.libraries.values() for function in library.functions
        }
        if not self.libraries:
            self._forget()

    def _registered(self, body: bytes) -> Sequence[Function]:
        machine = self._begin()
        try:
            found = machine.load(machine.compile(body).chunk)
        except NotCompiled as reason:
            raise BadLibrary(f"Error compiling function: {reason}") from None
        except Failed as failure:
            told = failure.text.decode("utf-8", "surrogateescape")
            raise BadLibrary(f"Error registering functions: {told}") from None
        except Ended as end:
            told = "FUNCTION LOAD timeout" if end.reason == "time" else "not enough memory"
            raise BadLibrary(f"Error registering functions: ERR {told}") from None
        if not found:
            raise BadLibrary("No functions registered")
        return [_function(registered) for registered in found]


def _function(registered: Registered) -> Function:
    name, description, flags, body, is_straight = registered
    traits = Trait.NONE
    for flag in flags.lower().split(b",") if flags else ():
        traits |= TRAITS[flag]
    return Function(name, description, traits, body, is_straight, Habit())


def parted(code: bytes) -> tuple[bytes, bytes]:
    """Read the first line of a library; give its name, and the Lua, in which lines count as in the text.

    Raises BadLibrary.
    """
    if not code.startswith(b"#!"):
        raise BadLibrary("Missing library metadata")
    line, newline, body = code.partition(b"\n")
    try:
        engine, *options = [word.decode("latin-1") for word in words(line)] if newline else [""]
    except ProtocolError:
        engine, options = "", []
    if not engine:
        raise BadLibrary("Invalid library metadata")
    name = ""
    for option in options:
        key, equals, value = option.partition("=")
        if key.lower() != "name" or not equals:
            raise BadLibrary(f"Invalid metadata value given: {echoed(option.encode('latin-1'))}")
        if name:
            raise BadLibrary("Invalid metadata value, name argument was given multiple times")
        name = value or " "
    if not name:
        raise BadLibrary("Library name was not given")
    if not NAMES.fullmatch(name.encode("latin-1")):
        raise BadLibrary(BAD_NAME)
    if engine[2:].lower() != ENGINE:
        raise BadLibrary(f"Engine '{echoed(engine[2:].encode('latin-1'))}' not found")
    return name.encode("latin-1"), b"\n" + body
