"""Runs the scripts of a node, one at a time: what a script may do, and what becomes of its errors."""

import logging
from collections.abc import Callable, Sequence
from time import perf_counter_ns, thread_time_ns
from typing import Final

from respcache.commands.registry import Command, Flags
from respcache.commands.session import Session
from respcache.commands.stage import Ground, Habit, Running, Wandered
from respcache.errors import Busy, ClusterDown, CommandError, OutOfMemory
from respcache.pending import Pending
from respcache.pubsub.audience import Kind
from respcache.reply import Reply
from respcache.scripting.confined import is_confined
from respcache.scripting.conversion import ScriptError
from respcache.scripting.functions import Function, Functions
from respcache.scripting.library import Compiled, Library, Script, Trait
from respcache.scripting.machine import REPLY, WANDERED, Ended, Failed, Machine, NoRoom, NotCompiled
from respcache.scripting.naming import check_allowed, is_known, named
from respcache.scripting.refusals import NoScript, NotBusy, Unkillable
from respcache.stats import Stats, code_of
from respcache.store.partition import Argv
from respcache.strand import Strand

log: Final = logging.getLogger(__name__)

LEVELS: Final = (logging.DEBUG, logging.DEBUG, logging.INFO, logging.WARNING)
"""By the number that redis.log takes: debug, verbose, notice, warning."""
LOG_MAX_BYTES: Final = 1024
"""How much of what a script logs at a time is written down (Redis' LOG_MAX_LEN, for its own words)."""
NS_PER_MS: Final = 1_000_000
NEVER_NS: Final = 2**62
TIME: Final = b"time"
KILLED: Final = b"killed"
LOST: Final = b"lost"
"""Why scripts are ended."""
GONE: Final = b"CLUSTERDOWN Its keys went to another node while the script ran; it had written nothing"
GONE_IN_DOUBT: Final = b"UNCERTAIN Its keys went to another node while the script ran; what it wrote may be lost"
"""What is said then of a script that was LOST."""
SLICE_NS: Final = 5 * NS_PER_MS
"""How long a script runs before others have a turn: the longest that a short command waits for a long script."""
GUESSING_MS: Final = 100
"""How long a script may go on without some of its keys, to show which others it names."""
LOAD_TIME_MS: Final = 500
"""CPU time that a library may take to register its functions; in Redis it is time on the wall."""
MESSAGE_BYTES: Final = 200
"""What a message takes besides its channel and its text while it waits for the end of its script."""
PUBLISHING: Final = frozenset({"PUBLISH", "SPUBLISH"})
"""These cannot be undone, and are not waited for: a script is told how many clients of its own node they reach."""


class Interpreter:
    """Implements `commands.stage.Scripts`. Lua is started with the first script, or by `prepare`."""

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
        self.strand: Final = Strand()
        """What scripts with loops are to be run in, to rest there. Outside they are ended after `time_limit_ms`."""
        self._session: Final = session
        self._stats: Final = stats
        self._memory_max_bytes: Final = memory_max_bytes
        self._seed: Final = seed
        self._machine: Machine | None = None
        self.time_limit_ms = time_limit_ms
        """Others are refused (BUSY) while a script runs that has been running for longer."""
        self.library: Final = Library(self._compiled, size_max_bytes=library_max_bytes)
        self._function_machine: Machine | None = None
        self.functions: Final = Functions(
            self._begin_load, forget=self._forget_functions, size_max_bytes=library_max_bytes
        )
        self.ended: Final = {"killed": 0, "memory": 0, "reply": 0, "time": 0}
        """Scripts that were ended, by the reason."""
        self._look_ns = 0
        """When the running script is to rest, or to end, on the clock of `perf_counter_ns`."""
        self._load_ends_ns = 0
        """When a library that is loaded has taken too long, on the clock of `thread_time_ns`."""
        self._run: _Run | None = None
        self._hurries = False
        """Whether a script that has been running for long, and has not written, is ended by itself."""

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
        return self._called(row, argv).habit

    def confined(self, row: Command, argv: Argv) -> bytes | None:
        """Give the text of a known script that certainly comes to no keys but those that it declares; else None."""
        try:
            script = self._called(row, argv)
        except CommandError:
            return None
        if isinstance(script, Function):
            return None
        if script.habit.confined is None:
            script.habit.confined = is_confined(script.text)
        return script.text if script.habit.confined else None

    def only_reads(self, row: Command, argv: Argv) -> bool:
        """Tell whether a command runs a script, or a function, that says of itself that it does not write."""
        try:
            traits = self._called(row, argv).traits
        except CommandError:
            return False
        return traits is not None and Trait.NO_WRITES in traits

    def _called(self, row: Command, argv: Argv) -> Script | Function:
        if row.name.startswith("FCALL"):
            return self.functions.find(argv[1])
        script = self.library.of_digest(argv[1]) if row.by_digest else self.library.of_text(argv[1])
        if script is None:
            raise NoScript
        return script

    def is_straight(self, row: Command, argv: Argv) -> bool:
        """Tell whether a command runs a script without loops: it is over soon, and need not be run in the strand.

        The way into the strand and back is a fifth of a short script. What cannot be run at all ends at once.
        """
        if not row.keys.names_keys:  # it runs none
            return True
        try:
            called = self._called(row, argv)
        except CommandError:
            return True
        return called.is_straight if isinstance(called, Function) else called.compiled.is_straight

    def require(self, function: bytes) -> None:
        """See to it that there is a function of this name. Raises NoFunction."""
        self.functions.find(function)

    def call(
        self, argv: Argv, ground: Ground, keys: Sequence[bytes], arguments: Sequence[bytes], *, reads: bool
    ) -> Reply:
        """Run the function that a command calls, like `evaluate`. Raises NoFunction."""
        found = self.functions.find(argv[1])
        machine = self._function_lua()
        run = _Run(found.name, keys, arguments, ground, is_straight=found.is_straight, call=argv)
        return self._evaluate(machine, found.body, found.traits, run, reads=reads)

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
        row: Command | None = None
        try:
            row = named(argv)
            check_allowed(row, argv)
            if run.reads and (row.writes or Flags.PUBSUB in row.flags):  # as Redis, which might replicate them
                raise CommandError("Write commands are not allowed from read-only scripts.")  # noqa: TRY301 # one of several
            if run.full and row.denies_oom and not run.wrote:  # once it has written it cannot stop half-way
                raise OutOfMemory
        except CommandError as refusal:
            self._note(run, refusal)
            if row is not None:
                self._stats.calls[row.index] += 1
                self._stats.blame(row.index, refusal.code, admitted=False)
            raise
        started = perf_counter_ns()
        if started >= self._look_ns and (reason := self._late(started)) is not None:
            raise Ended(reason.decode())
        try:
            if row.on_session is not None:
                return self._on_session(run, row, argv)
            reply = run.ground.run(row, argv, run.session.database if run.session else run.database)
        except CommandError as refusal:
            self._stats.blame(row.index, refusal.code)
            # Nothing of this command was done, but of the script.
            told = ScriptError(GONE_IN_DOUBT) if run.wrote and isinstance(refusal, ClusterDown) else refusal
            self._note(run, told)
            raise told from None
        finally:
            self._stats.calls[row.index] += 1
            self._stats.duration_ns[row.index] += perf_counter_ns() - started
        run.wrote = run.wrote or row.writes
        if run.ground.is_astray and not run.guesses:
            run.guesses = True
            run.guesses_until_ns = perf_counter_ns() + GUESSING_MS * NS_PER_MS
        return reply

    def _note(self, run: "_Run", refusal: CommandError | None, ended: Reply = None) -> None:
        """Count the last error that a script was told, unless it has `ended` in that one, which is then its reply."""
        last, run.refusal = run.refusal, refusal
        if last is None:
            return
        line = last.line()
        if not (isinstance(ended, ScriptError) and ended.line().startswith(line)):
            self._stats.count_error(last.code or code_of(line))

    def knows(self, argv: Argv) -> bool:
        """Tell whether there is such a command, or subcommand."""
        return is_known(argv)

    def log(self, level: int, text: bytes) -> None:
        """Write to the log of the node, in one line, and no more than its beginning."""
        line = text[:LOG_MAX_BYTES].decode("utf-8", "backslashreplace").replace("\r", "\\r").replace("\n", "\\n")
        log.log(LEVELS[level], "script: %s", line)

    def look(self) -> bytes | None:
        """Let others have their turn, if it is time for that; tell why the script has to end, if it has."""
        now_ns = perf_counter_ns()
        return None if now_ns < self._look_ns else self._late(now_ns)

    def _late(self, now_ns: int) -> bytes | None:
        run = self._run
        if run is None:  # a library that is loaded
            left_ns = self._load_ends_ns - thread_time_ns()
            self._look_ns = now_ns + left_ns
            return TIME if left_ns <= 0 else None
        if now_ns >= run.guesses_until_ns:  # just to find out about keys
            return TIME
        if not self.strand.rest():
            ends_ns = run.started_ns + self.time_limit_ms * NS_PER_MS
            self._look_ns = max(ends_ns, now_ns + SLICE_NS)
            return TIME if now_ns >= ends_ns and not (run.is_straight and run.wrote) else None
        self._look_ns = perf_counter_ns() + SLICE_NS
        if run.ground.is_lost:
            return LOST
        return KILLED if self._hurries and not run.wrote and self.busy() is not None else run.stop

    # -- while a script rests ------------------------------------------------------------------

    def busy(self) -> Busy | None:
        """Give the refusal of what a script stands in the way of that has been running for long."""
        run = self._run
        if run is None or perf_counter_ns() - run.started_ns < self.time_limit_ms * NS_PER_MS:
            return None
        return Busy(function=run.is_function)

    def hurry(self) -> None:
        """Let no script stand in the way for longer than `time_limit_ms` any more, unless it has written."""
        self._hurries = True

    def running(self) -> Running | None:
        """Give the function that rests, if one does. Raises Busy if it is a script."""
        run = self._run
        if run is None or not self.strand.is_resting:
            return None
        if run.call is None:
            raise Busy(function=False)
        return Running(run.name, run.call, (perf_counter_ns() - run.started_ns) // NS_PER_MS)

    def kill(self, *, function: bool) -> None:
        """End the script that rests, or the function. Raises NotBusy, Unkillable, or Busy if it is the other."""
        run = self._run
        if run is None or not self.strand.is_resting:
            raise NotBusy
        if run.wrote:
            raise Unkillable
        if function != run.is_function:
            raise Busy(function=run.is_function)
        run.stop = KILLED

    def close(self) -> None:
        """End what runs, whatever it is."""
        if self._run is not None and self.strand.is_resting:
            self._run.stop = KILLED
            self.strand.finish()

    # -- running ---------------------------------------------------------------------------

    def _evaluate_script(
        self, script: Script, ground: Ground, keys: Sequence[bytes], arguments: Sequence[bytes], *, reads: bool
    ) -> Reply:
        found = script.compiled
        run = _Run(script.digest, keys, arguments, ground, is_straight=found.is_straight)
        return self._evaluate(self._lua(), found.chunk, script.traits, run, reads=reads)

    def _evaluate(self, machine: Machine, chunk: object, traits: Trait | None, run: "_Run", *, reads: bool) -> Reply:
        if reads and traits is not None and Trait.NO_WRITES not in traits:
            raise CommandError("Can not execute a script with write flag using *_ro command.")
        run.reads = reads = reads or (traits is not None and Trait.NO_WRITES in traits)
        may_grow = traits is not None and (Trait.ALLOW_OOM in traits or reads)
        is_full = run.ground.full
        if is_full and traits is not None and not may_grow:
            raise OutOfMemory
        run.full = is_full and not may_grow
        self._run = run
        self._look_ns = run.started_ns + SLICE_NS
        reply: Reply = None
        try:
            reply = machine.run(chunk, run.keys, run.arguments, is_straight=run.is_straight)
        except Failed as failure:
            where = b", on %b:%d." % (failure.source, failure.line)
            reply = ScriptError(b"%b script: %b%b" % (failure.text, run.name, where if failure.source else b""))
        except Ended as end:
            if run.guesses or end.reason == WANDERED.decode():
                raise Wandered from None
            reply = self._cut_off(end, run.name, wrote=run.wrote)
        finally:
            self._run = None
            self._note(run, None, reply)
            if machine.fault is not None:
                raise machine.fault
        return reply

    def _cut_off(self, end: Ended, name: bytes, *, wrote: bool) -> ScriptError:
        reason = end.reason
        if reason == LOST.decode():
            return ScriptError(GONE_IN_DOUBT if wrote else GONE)
        self.ended[reason] += 1
        if reason == KILLED.decode():
            where = b", on %b:%d." % (end.source, end.line) if end.source else b""
            return ScriptError(b"ERR Script killed by user with SCRIPT KILL... script: %b%b" % (name, where))
        limit = f"{self.time_limit_ms} ms (lua-time-limit)"
        if reason == "memory":
            limit = f"{self._memory_max_bytes} bytes (lua-memory-max)"
        if reason == REPLY.decode():
            limit = f"{self._memory_max_bytes} bytes (lua-memory-max) for its reply"
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
        """Publish when the script has ended; give the number of clients of this node that it will reach.

        Raises NoRoom if what waits for the end would take more than a script may.
        """
        publish = row.on_session
        assert publish is not None
        run.unsaid_bytes += MESSAGE_BYTES + len(argv[1]) + len(argv[2])
        if run.unsaid_bytes > self._memory_max_bytes:
            raise NoRoom
        run.ground.afterwards(lambda: publish(session, argv))
        kind = Kind.CHANNEL if row.name == "PUBLISH" else Kind.SHARD
        return session.host.exchange.reach(kind, argv[1])

    def _compiled(self, text: bytes) -> Compiled:
        try:
            return self._lua().compile(text)
        except NotCompiled as reason:
            raise CommandError(f"Error compiling script (new function): {reason}") from None

    def _begin_load(self) -> Machine:
        """Give the Lua for functions, with the time that a library may take to load beginning now."""
        self._look_ns = perf_counter_ns() + LOAD_TIME_MS * NS_PER_MS
        self._load_ends_ns = thread_time_ns() + LOAD_TIME_MS * NS_PER_MS
        return self._function_lua()

    def _forget_functions(self) -> None:
        self._function_machine = None

    def _function_lua(self) -> Machine:
        if self._function_machine is None:
            self._function_machine = Machine(
                self, memory_max_bytes=self._memory_max_bytes, seed=self._seed, functions=True
            )
        return self._function_machine

    def prepare(self) -> None:
        """Start Lua, which takes 5 ms, before there is a script that has to wait for it. Raises NoLua."""
        self._lua()

    def _lua(self) -> Machine:
        if self._machine is None:
            self._machine = Machine(self, memory_max_bytes=self._memory_max_bytes, seed=self._seed)
        return self._machine


class _Run:
    """A script under way."""

    __slots__ = (
        "arguments",
        "call",
        "database",
        "full",
        "ground",
        "guesses",
        "guesses_until_ns",
        "is_straight",
        "keys",
        "name",
        "reads",
        "refusal",
        "session",
        "started_ns",
        "stop",
        "unsaid_bytes",
        "wrote",
    )

    def __init__(
        self,
        name: bytes,
        keys: Sequence[bytes],
        arguments: Sequence[bytes],
        ground: Ground,
        *,
        is_straight: bool,
        call: Argv | None = None,
    ) -> None:
        """`call` is the command that calls a function, as it was written."""
        self.name: Final = name
        """Of the function; the digest of a script."""
        self.keys: Final = keys
        self.arguments: Final = arguments
        self.started_ns: Final = perf_counter_ns()
        self.stop: bytes | None = None
        """Why it has to end, at its next turn."""
        self.call: Final = call
        self.is_straight: Final = is_straight
        """Whether it has no loops, and is not to be ended half-way."""
        self.ground: Final = ground
        self.database: Final = ground.database
        self.unsaid_bytes = 0
        """What it has published, which is kept until it has ended."""
        self.reads = False
        self.full = False
        """Whether commands that may take memory are refused before anything was written."""
        self.guesses = False
        """Whether it goes on without some of its keys."""
        self.guesses_until_ns = NEVER_NS
        """When it has gone on so for long enough."""
        self.wrote = False
        """Whether a command that may write has been run."""
        self.refusal: CommandError | None = None
        """The last error that it was told, which is not counted yet."""
        self.session: Session | None = None
        """For commands that concern no key; SELECT leaves the database in it."""

    @property
    def is_function(self) -> bool:
        """Whether it is a function, and no script."""
        return self.call is not None
