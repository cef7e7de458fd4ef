"""What clients may do to the functions and scripts of all nodes, and what becomes of one that runs for long."""

from collections.abc import Sequence
from typing import Final

from respcache.commands.registry import Command
from respcache.commands.stage import LibraryView, Policy, Running, ScriptFigures
from respcache.errors import Busy, CommandError
from respcache.pending import Pending
from respcache.reply import OK
from respcache.resp.encode import bulk
from respcache.scripting.functions import BadLibrary, Loaded, TooMuch
from respcache.scripting.interpreter import Interpreter
from respcache.scripting.payload import dumped, loaded
from respcache.scripting.sharing import Sharing
from respcache.store.partition import Argv


class Catalogue:
    """Implements `commands.stage.Catalogue`."""

    def __init__(self, scripts: Interpreter, sharing: Sharing) -> None:
        self._scripts: Final = scripts
        self._functions: Final = scripts.functions
        self._sharing: Final = sharing

    def load(self, code: bytes, *, replace: bool) -> Pending:
        """Take a library in, and reply with its name. Raises CommandError."""

        def change() -> Pending:
            library = self._functions.load(code, replace=replace)
            return self._sharing.put([library], bulk(library.name))

        return self._sharing.when_idle(change)

    def delete(self, name: bytes) -> Pending:
        """Forget a library. Raises CommandError if there is none of that name."""

        def change() -> Pending:
            if name not in self._functions.libraries:
                raise CommandError("Library not found")
            return self._sharing.delete(name, OK.wire)

        return self._sharing.when_idle(change)

    def flush(self) -> Pending:
        """Forget all libraries."""
        return self._sharing.when_idle(lambda: self._sharing.replace([], OK.wire))

    def libraries(self) -> Sequence[LibraryView]:
        """List the libraries, in the order in which they were loaded."""
        return list(self._functions.libraries.values())

    def dump(self) -> bytes:
        """Write all libraries down."""
        return dumped([library.code for library in self._functions.libraries.values()])

    def restore(self, payload: bytes, policy: Policy) -> Pending:
        """Take in what `dump` has written. Raises CommandError, and then nothing is changed."""
        if len(payload) > self._functions.size_max_bytes:  # before it is gone through byte by byte
            raise TooMuch
        return self._sharing.when_idle(lambda: self._restore(payload, policy))

    def _restore(self, payload: bytes, policy: Policy) -> Pending:
        news: dict[bytes, Loaded] = {}
        for code in loaded(payload):
            library = self._functions.made(code)
            if library.name in news:
                raise BadLibrary(f"Library '{library.name.decode()}' already exists")
            news[library.name] = library
            self._functions.check(news, instead=True)
        if policy is Policy.FLUSH:
            return self._sharing.replace(news.values(), OK.wire)
        there = [name for name in news if name in self._functions.libraries]
        if there and policy is Policy.APPEND:
            raise BadLibrary(f"Library {there[0].decode()} already exists")
        self._functions.check(news)
        return self._sharing.put(news.values(), OK.wire)

    def flush_scripts(self) -> Pending:
        """Forget all scripts."""
        return self._sharing.when_idle(lambda: self._sharing.flush_scripts(OK.wire))

    def figures(self) -> ScriptFigures:
        """Count."""
        library, functions = self._scripts.library, self._functions
        return ScriptFigures(
            scripts=len(library),
            scripts_bytes=library.size_bytes,
            libraries=len(functions.libraries),
            functions=len(functions),
            libraries_bytes=functions.size_bytes,
            script_memory_bytes=self._scripts.memory_bytes,
            function_memory_bytes=self._scripts.functions_memory_bytes,
        )

    def only_reads(self, row: Command, argv: Argv) -> bool:
        """Tell whether a command runs a script, or a function, that says of itself that it does not write."""
        return self._scripts.only_reads(row, argv)

    def running_function(self) -> Running | None:
        """Give the function that is running on this node, if one is. Raises Busy if it is a script."""
        return self._scripts.running()

    def busy(self) -> Busy | None:
        """Give the refusal of what a script of this node stands in the way of that has been running for long."""
        return self._scripts.busy()

    def hurry(self) -> None:
        """Have scripts of this node that run for long end by themselves from now on, unless they have written."""
        self._scripts.hurry()

    def kill(self, *, function: bool) -> Pending:
        """End the script that is running on any node, or the function. Raises CommandError."""
        return self._sharing.kill(function=function)
