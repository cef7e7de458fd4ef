"""Runs the scripts of a node, one at a time: what a script may do, and what becomes of its errors."""

import logging
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Final

from respcache.commands.registry import Command, Flags, lookup
from respcache.commands.session import Session
from respcache.commands.stage import Ground, Habit, Wandered
from respcache.errors import CommandError, OutOfMemory, UnknownSubcommand
from respcache.pending import Pending
from respcache.pubsub.audience import Kind
from respcache.reply import Reply
from respcache.scripting.conversion import ScriptError
from respcache.scripting.functions import Functions
from respcache.scripting.library import Library, Script, Trait
from respcache.scripting.machine import WANDERED, Ended, Failed, Machine, NotCompiled
from respcache.stats import Stats
from respcache.store.partition import Argv

log: Final = logging.getLogger(__name__)

LEVELS: Final = (logging.DEBUG, logging.DEBUG, logging.INFO, logging.WARNING)
"""By the number that redis.log takes: debug, verbose, notice, warning."""
NS_PER_MS: Final = 1_000_000
GUESSING_MS: Final = 100
"""How long a script may go on without some of its keys, to show which others it names."""
LOAD_TIME_MS: Final = 500
"""How long a library may take to register its functions, as in Redis."""
PUBLISHING: Final = frozenset({"PUBLISH", "SPUBLISH"})
"""These cannot be undone, and are not waited for: a script is told how many clients of its own node they reach."""


class NoScript(CommandError):
    """No script with this digest has been loaded or run, or it is forgotten; nothing was run."""

    code = "NOSCRIPT"

    def __init__(self) -> None:
        super().__init__("No matching script. Please use EVAL.")


class Interpreter:
    """Implements `commands.stage.Scripts`. Lua is started with the first script."""

    def __init__(
        self,
        session: Callable[[], Session],
        stats: Stats,
        *,
        memory_max_bytes: int,
        time_limit_ms: int,
        library_max_bytes: int,
        seed: int,
    ) -> None:
        """`session` makes a session for commands that concern no key."""
        self._session: Final = session
        self._stats: Final = stats
        self._memory_max_bytes: Final = memory_max_bytes
        self._seed: Final = seed
        self._machine: Machine | None = None
        self.time_limit_ms = time_limit_ms
        """A script that runs longer is ended."""
        self.library: Final = Library(self._compiled, size_max_bytes=library_max_bytes)
        self._function_machine: Machine | None = None
        self.functions: Final = Functions(
            self._begin_load, forget=self._forget_functions, size_max_bytes=library_max_bytes
        )
        self.ended: Final = {"time": 0, "memory": 0}
        """Scripts that were ended, by what they took too much of."""
        self._ends_ns = 0
        self._run: _Run | None = None

    @property
    def size_max_bytes(self) -> int:
        """What the texts of scripts may take, and those of libraries."""
        return self.library.size_max_bytes

    @size_max_bytes.setter
    def size_max_bytes(self, size_bytes: int) -> None:
        self.library.size_max_bytes = self.functions.size_max_bytes = size_bytes

    @property
    def memory_bytes(self) -> int:
        """What Lua has allocated for scripts; 0 before the first one."""
        return 0 if self._machine is None else self._machine.memory_bytes

    @property
    def functions_memory_bytes(self) -> int:
        """What Lua has allocated for functions; 0 before the first library."""
        return 0 if self._function_machine is None else self._function_machine.memory_bytes

    # -- for commands --------------------------------------------------------------------

    def evaluate(
        self, text: bytes, ground: Ground, keys: Sequence[bytes], arguments: Sequence[bytes], *, reads: bool
    ) -> Reply:
        """Run a script; with `reads` it may not write. Raises CommandError if nothing was run."""
        return self._evaluate_script(self.library.of_text(text), ground, keys, arguments, reads=reads)

    def evaluate_known(
        self, digest: bytes, ground: Ground, keys: Sequence[bytes], arguments: Sequence[bytes], *, reads: bool
    ) -> Reply:
        """Run a script that has been run or loaded before, like `evaluate`. Raises NoScript."""
        script = self.library.of_digest(digest)
        if script is None:
            raise NoScript
        return self._evaluate_script(script, ground, keys, arguments, reads=reads)

    def habit(self, row: Command, argv: Argv) -> Habit:
        """Give what is known of the script, or of the function, that a command runs. Raises CommandError."""
        if row.name.startswith("FCALL"):
            return self.functions.find(argv[1]).habit
        script = self.library.of_digest(argv[1]) if row.by_digest else self.library.of_text(argv[1])
        if script is None:
            raise NoScript
        return script.habit

    def require(self, function: bytes) -> None:
        """See to it that there is a function of this name. Raises NoFunction."""
        self.functions.find(function)

    def call(
        self, function: bytes, ground: Ground, keys: Sequence[bytes], arguments: Sequence[bytes], *, reads: bool
    ) -> Reply:
        """Run a function, like `evaluate`. Raises NoFunction."""
        found = self.functions.find(function)
        machine = self._function_lua()
        return self._evaluate(machine, found.body, found.name, found.traits, ground, keys, arguments, reads=reads)

    def load(self, text: bytes) -> bytes:
        """Take a script in, and give its digest. Raises CommandError."""
        return self.library.of_text(text).digest

    def text(self, digest: bytes) -> bytes | None:
        """Give the text of a script, if it is known."""
        script = self.library.of_digest(digest)
        return None if script is None else script.text

    def flush(self) -> None:
        """Forget all scripts, and what Lua keeps for them."""
        self.library.clear()
        self._machine = None

    # -- for the machine -----------------------------------------------------------------

    def perform(self, argv: Argv) -> Reply:
        """Run a command for the script. Raises CommandError."""
        run = self._run
        assert run is not None
        row = _row(argv)
        if row.no_script:
            raise CommandError("This Redis command is not allowed from script")
        if run.reads and (row.writes or Flags.PUBSUB in row.flags):  # as Redis, which might replicate them
            raise CommandError("Write commands are not allowed from read-only scripts.")
        if run.full and row.denies_oom and not run.wrote:  # once it has written it cannot stop half-way
            raise OutOfMemory
        started = perf_counter_ns()
        try:
            if row.on_session is not None:
                return self._on_session(run, row, argv)
            reply = run.ground.run(row, argv, run.session.database if run.session else run.ground.database)
        except CommandError as refusal:
            self._stats.failed[row.index] += 1
            self._stats.count_error(refusal.code)
            raise
        finally:
            self._stats.calls[row.index] += 1
            self._stats.duration_ns[row.index] += perf_counter_ns() - started
        run.wrote = run.wrote or row.writes
        if run.ground.is_astray and not run.guesses:
            run.guesses = True
            self._ends_ns = min(self._ends_ns, perf_counter_ns() + GUESSING_MS * NS_PER_MS)
        return reply

    def knows(self, argv: Argv) -> bool:
        """Tell whether there is such a command, or subcommand."""
        row = lookup(argv[0])
        if row is None or not row.subcommands or len(argv) == 1:
            return row is not None
        return argv[1].upper() in row.subcommands

    def log(self, level: int, text: bytes) -> None:
        """Write to the log of the node."""
        log.log(LEVELS[level], "script: %s", text.decode("utf-8", "backslashreplace"))

    def out_of_time(self) -> bool:
        """Tell whether the running script has taken all its time."""
        return perf_counter_ns() >= self._ends_ns

    # -- running ---------------------------------------------------------------------------

    def _evaluate_script(
        self, script: Script, ground: Ground, keys: Sequence[bytes], arguments: Sequence[bytes], *, reads: bool
    ) -> Reply:
        machine = self._lua()
        return self._evaluate(machine, script.chunk, script.digest, script.traits, ground, keys, arguments, reads=reads)

    def _evaluate(
        self,
        machine: Machine,
        chunk: object,
        name: bytes,
        traits: Trait | None,
        ground: Ground,
        keys: Sequence[bytes],
        arguments: Sequence[bytes],
        *,
        reads: bool,
    ) -> Reply:
        if reads and traits is not None and Trait.NO_WRITES not in traits:
            raise CommandError("Can not execute a script with write flag using *_ro command.")
        reads = reads or (traits is not None and Trait.NO_WRITES in traits)
        may_grow = traits is not None and (Trait.ALLOW_OOM in traits or reads)
        if ground.full and traits is not None and not may_grow:
            raise OutOfMemory
        self._run = run = _Run(ground, reads=reads, full=ground.full and not may_grow)
        self._ends_ns = perf_counter_ns() + self.time_limit_ms * NS_PER_MS
        try:
            return machine.run(chunk, keys, arguments)
        except Failed as failure:
            where = b", on %b:%d." % (failure.source, failure.line)
            return ScriptError(b"%b script: %b%b" % (failure.text, name, where if failure.source else b""))
        except Ended as end:
            if run.guesses or end.reason == WANDERED.decode():
                raise Wandered from None
            return self._cut_off(end.reason, wrote=run.wrote)
        finally:
            self._run = None
            if machine.fault is not None:
                raise machine.fault

    def _cut_off(self, reason: str, *, wrote: bool) -> ScriptError:
        self.ended[reason] += 1
        limit = f"{self.time_limit_ms} ms (lua-time-limit)"
        if reason == "memory":
            limit = f"{self._memory_max_bytes} bytes (lua-memory-max)"
        state = "what it wrote before stays" if wrote else "it had written nothing"
        return ScriptError(f"ERR Script ended: it took more than {limit}; {state}".encode())

    def _on_session(self, run: "_Run", row: Command, argv: Argv) -> Reply:
        if run.session is None:
            run.session = self._session()
            run.session.database = run.ground.database
        assert row.on_session is not None
        if row.name in PUBLISHING:
            return self._publish(run, run.session, row, argv)
        reply = row.on_session(run.session, argv)
        if isinstance(reply, Pending):
            raise CommandError("This Redis command is not allowed from script")
        return reply

    def _publish(self, run: "_Run", session: Session, row: Command, argv: Argv) -> Reply:
        """Publish when the script has ended; give the number of clients of this node that it will reach."""
        publish = row.on_session
        assert publish is not None
        run.ground.afterwards(lambda: publish(session, argv))
        kind = Kind.CHANNEL if row.name == "PUBLISH" else Kind.SHARD
        return session.host.exchange.reach(kind, argv[1])

    def _compiled(self, text: bytes) -> object:
        try:
            return self._lua().compile(text)
        except NotCompiled as reason:
            raise CommandError(f"Error compiling script (new function): {reason}") from None

    def _begin_load(self) -> Machine:
        """Give the Lua for functions, with the time that a library may take to load beginning now."""
        self._ends_ns = perf_counter_ns() + LOAD_TIME_MS * NS_PER_MS
        return self._function_lua()

    def _forget_functions(self) -> None:
        self._function_machine = None

    def _function_lua(self) -> Machine:
        if self._function_machine is None:
            self._function_machine = Machine(
                self, memory_max_bytes=self._memory_max_bytes, seed=self._seed, functions=True
            )
        return self._function_machine

    def _lua(self) -> Machine:
        if self._machine is None:
            self._machine = Machine(self, memory_max_bytes=self._memory_max_bytes, seed=self._seed)
        return self._machine


class _Run:
    """A script under way."""

    __slots__ = ("full", "ground", "guesses", "reads", "session", "wrote")

    def __init__(self, ground: Ground, *, reads: bool, full: bool) -> None:
        self.ground: Final = ground
        self.reads: Final = reads
        self.full: Final = full
        """Whether commands that may take memory are refused before anything was written."""
        self.guesses = False
        """Whether it goes on without some of its keys."""
        self.wrote = False
        """Whether a command that may write has been run."""
        self.session: Session | None = None
        """For commands that concern no key; SELECT leaves the database in it."""


def _row(argv: Argv) -> Command:
    """Find the command that a script names. Raises CommandError in Redis' words for scripts."""
    row = lookup(argv[0])
    if row is None:
        raise CommandError("Unknown Redis command called from script")
    if row.subcommands and len(argv) > 1:
        try:
            row = row.member(argv)
        except UnknownSubcommand:
            raise CommandError("Unknown Redis command called from script") from None
    if not row.argc_min <= len(argv) <= row.argc_max:
        raise CommandError("Wrong number of args calling Redis command from script")
    return row
