"""Commands on one key that peers ask for, run like a client's batch: one after the other, with no object for each."""

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Final

from respcache.commands.registry import TABLE, Command
from respcache.engine.acting import on_key
from respcache.engine.routes import Request
from respcache.engine.slow import SlowCommands
from respcache.errors import CommandError
from respcache.resp.encode import encode, error
from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Log


class Relayed:
    """Runs them on the store of one node."""

    def __init__(self, store: Store, slow: SlowCommands, *, set_out: Callable[[], None]) -> None:
        """`set_out` takes note of the time, and makes room, before commands are run."""
        self._store: Final = store
        self._ledger: Final = store.ledger
        self._slow: Final = slow
        self._set_out: Final = set_out

    def run(
        self,
        requests: Sequence[Request],
        start: int,
        database: int,
        protocol: int,
        done: list[tuple[int, bytes]],
        held: list[tuple[int, bytes, bool]],
        logs: list[Log],
        room: int,
    ) -> tuple[int, int]:
        """Run what a peer asks for from `start` on, while it is commands on one key served here, and there is room.

        Returns the place of the first that was not run, and what is left of `room`, in bytes. Number and reply
        go to `done`, or, where effects have to be safe first, to `held`, with whether it writes, and their logs to
        `logs`.
        """
        self._set_out()
        if self._ledger.full:
            return start, room
        keyspace = self._store.keyspace(database)
        run: Command | None = None
        last: Argv = []
        at, end, count, started = start, len(requests), 0, 0
        while at < end and room > 0:
            number, _, argv = requests[at]
            row = TABLE.get(argv[0])
            if row is None or row.key_at == 0 or not row.argc_min <= len(argv) <= row.argc_max:
                break
            partition = keyspace.at(argv[row.key_at])
            if not partition.serving:
                break
            if row is not run:  # a run of one command is timed as one, as in `Executor.batch`
                if run is not None:
                    self._slow.relayed(run, last, started, count=count)
                run, count, started = row, 0, perf_counter_ns()
            last, count, at = argv, count + 1, at + 1
            try:
                reply, log = on_key(row, argv, partition)
                wire = encode(reply, protocol)
            except CommandError as refusal:
                wire, log = error(refusal), partition.awaits()
            if log is None:
                done.append((number, wire))
            else:
                held.append((number, wire, row.writes))
                logs.append(log)
            room -= len(wire)
        if run is not None:
            self._slow.relayed(run, last, started, count=count)
        return at, room
