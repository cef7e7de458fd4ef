"""The scripts that a node knows, by text and by digest, up to a size. Pure."""

import enum
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Final

from respcache.commands.stage import Habit
from respcache.errors import CommandError, echoed

SCRIPT_BYTES: Final = 1024
"""What is counted for a script besides its text: what it is compiled to."""
SHEBANG: Final = b"#!"
FLAGS: Final = b"flags="


class Trait(enum.Flag):
    """What a script says of itself, in its first line: `#!lua flags=no-writes,allow-stale`."""

    NONE = 0
    NO_WRITES = enum.auto()
    ALLOW_OOM = enum.auto()
    ALLOW_STALE = enum.auto()
    NO_CLUSTER = enum.auto()
    ALLOW_CROSS_SLOT_KEYS = enum.auto()


TRAITS: Final = {str(trait.name).lower().replace("_", "-").encode(): trait for trait in Trait if trait}


class BadScript(CommandError):
    """The first line of a script says something that is not understood; nothing was run."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What Lua has made of a text."""

    chunk: Any
    """A function of Lua."""
    is_straight: bool
    """Whether it has no loops; see `bytecode`."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, ready to run."""

    text: bytes
    digest: bytes
    """SHA-1 of the text, 40 hexadecimal digits in small letters."""
    compiled: Compiled
    """What Lua has made of the text."""
    traits: Trait | None
    """None where the text does not begin with `#!`: such scripts may do what any script may do."""
    habit: Habit

    @property
    def size_bytes(self) -> int:
        """What it counts for."""
        return SCRIPT_BYTES + len(self.text)


class Library:
    """Scripts, of which those that were not used for longest go when there is no room."""

    def __init__(self, compile_: Callable[[bytes], Compiled], *, size_max_bytes: int) -> None:
        """`compile_` makes of a text what Lua can run, or raises CommandError."""
        self._compile: Final = compile_
        self._by_text: Final[OrderedDict[bytes, Script]] = OrderedDict()
        self._by_digest: Final[dict[bytes, Script]] = {}
        self._latest: Script | None = None
        """The one that was used last, which most often is used again."""
        self.size_max_bytes = size_max_bytes
        self.size_bytes = 0
        self.evicted = 0
        """Scripts that went because there was no room."""

    def __len__(self) -> int:
        """Count the scripts."""
        return len(self._by_text)

    def of_text(self, text: bytes) -> Script:
        """Find a script, or take it in. Raises CommandError if it is none."""
        latest = self._latest
        if latest is not None and latest.text == text:
            return latest
        script = self._by_text.get(text)
        if script is None:
            script = self._add(text)
        else:
            self._by_text.move_to_end(text)
        self._latest = script
        return script

    def of_digest(self, digest: bytes) -> Script | None:
        """Find a script by its digest, in capitals or small letters."""
        script = self._by_digest.get(digest) or self._by_digest.get(digest.lower())
        if script is not None and script is not self._latest:
            self._by_text.move_to_end(script.text)
            self._latest = script
        return script

    def clear(self) -> None:
        """Forget all."""
        self._by_text.clear()
        self._by_digest.clear()
        self._latest = None
        self.size_bytes = 0

    def _add(self, text: bytes) -> Script:
        traits, body = parted(text)
        digest = sha1(text, usedforsecurity=False).hexdigest().encode()
        script = Script(text, digest, self._compile(body), traits, Habit())
        self._by_text[text] = self._by_digest[digest] = script
        self.size_bytes += script.size_bytes
        while self.size_bytes > self.size_max_bytes and len(self._by_text) > 1:
            _, oldest = self._by_text.popitem(last=False)
            del self._by_digest[oldest.digest]
            self.size_bytes -= oldest.size_bytes
            self.evicted += 1
        return script


def parted(text: bytes) -> tuple[Trait | None, bytes]:
    """Read the first line of a script, if it begins with `#!`; give the Lua, in which lines count as in the text.

    Raises BadScript.
    """
    if not text.startswith(SHEBANG):
        return None, text
    line, newline, body = text.partition(b"\n")
    if not newline:
        raise BadScript("Invalid script shebang")
    engine, *options = line.split()
    if engine != SHEBANG + b"lua":
        raise BadScript(f"Unexpected engine in script shebang: {echoed(engine)}")
    traits = Trait.NONE
    for option in options:
        if not option.startswith(FLAGS):
            raise BadScript(f"Unknown lua shebang option: {echoed(option)}")
        named = option.removeprefix(FLAGS)
        for flag in named.split(b",") if named else ():
            if flag not in TRAITS:
                raise BadScript(f"Unexpected flag in script shebang: {echoed(flag)}")
            traits |= TRAITS[flag]
    return traits, b"\n" + body
