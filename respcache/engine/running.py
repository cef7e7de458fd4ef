"""Scripts, and SORT, run on the data of this node, alone or as part of a transaction; undone if they leave it."""

from collections.abc import Callable, Sequence
from typing import Final

from respcache.cluster.ownership.slots import partition_of, partitions_of
from respcache.commands.registry import Command
from respcache.commands.stage import Declared, Scripts, Wandered
from respcache.engine.acting import act, unclean
from respcache.engine.grounds import Lease, OnData, Undo
from respcache.errors import CommandError, Uncertain
from respcache.monitors import Monitors
from respcache.reply import Reply
from respcache.resp.encode import encode, error
from respcache.stats import Stats
from respcache.store.keyspace import Keyspace, Store
from respcache.store.partition import Argv, Log
from respcache.strand import Hold
from respcache.transactions.unit import Call


class Runner:
    """Runs the scripts of one node. See `reach` for what becomes of one that names keys of other nodes."""

    def __init__(
        self,
        scripts: Scripts,
        store: Store,
        lease: Lease,
        *,
        hold: Hold,
        owns_all: Callable[[], bool],
        stats: Stats,
    ) -> None:
        """`hold` has what is locked for a script that rests; `owns_all` tells whether this node has all keys."""
        self._scripts: Final = scripts
        self._store: Final = store
        self._lease: Final = lease
        self._hold: Final = hold
        self._owns_all: Final = owns_all
        self._stats: Final = stats
        self.declared: Declared | None = None
        """Told when the next script reads and writes."""
        self.monitors: Monitors | None = None
        """Whoever is shown what scripts call, if anybody may be."""

    def run(self, row: Command, argv: Argv, keyspace: Keyspace, partitions: tuple[int, ...]) -> tuple[Reply, list[Log]]:
        """Run a script whose keys have these partitions. Raises CommandError; or Wandered, and nothing is done."""
        undo = self.undo([(row, argv)])
        ground = self.ground(keyspace, set(partitions), undo)
        ground.declared, self.declared = self.declared, None
        try:
            reply, logs = self.part(row, argv, ground)
        except Wandered:
            if undo is not None:
                undo.back()
                if undo.wandered:
                    self._scripts.habit(row, argv).wanders = True
            raise
        if undo is not None:
            habit = self._scripts.habit(row, argv)
            habit.wanders = habit.wanders or undo.wandered
            habit.homely = habit.homely or not undo.strayed
        ground.ended()
        self._check_copies(ground.written)
        return reply, logs

    def unit(self, calls: Sequence[Call], partitions: tuple[int, ...]) -> tuple[list[bytes], list[Log]]:
        """Run the commands of a transaction with these partitions; give their replies, refusals too.

        Raises Uncertain; or Wandered, and nothing is done.
        """
        undo = self.undo([(call.row, call.argv) for call in calls])
        try:
            return self._unit(calls, partitions, undo)
        except Wandered:
            if undo is not None:
                undo.back()
            raise

    def _unit(
        self, calls: Sequence[Call], partitions: tuple[int, ...], undo: Undo | None
    ) -> tuple[list[bytes], list[Log]]:
        wires: list[bytes] = []
        logs: list[Log] = []
        reached = set(partitions)
        written: set[int] = set()
        grounds: list[OnData] = []
        for call in calls:
            row, argv = call.row, call.argv
            keyspace, own = self._store.keyspace(call.database), partitions
            awaited: list[Log] = []
            if not row.key_at and not call.spans_database:
                own = partitions_of(row.keys.of(argv))
            try:
                if row.on_script is not None:
                    ground = self.ground(keyspace, reached, undo)
                    grounds.append(ground)
                    reply, awaited = self.part(row, argv, ground)
                else:
                    if undo is not None and row.writes:
                        undo.note(row, argv, call.database)
                    own = with_beyond(row, argv, keyspace, own)
                    reply, awaited = act(row, argv, keyspace, own)
                    if row.writes:
                        written.update(own)
            except CommandError as refusal:
                wires.append(error(refusal))
                awaited = unclean(keyspace, own)
            else:
                wires.append(encode(reply, call.protocol))
            logs += awaited
        for ground in grounds:
            ground.ended()
            written |= ground.written
        if grounds:
            self._check_copies(written)
        return wires, logs

    def _check_copies(self, written: set[int]) -> None:
        """See to it that what was written to still has the copies that it had before that. Raises Uncertain.

        They may have been lost while a script rested, before they were told of what it wrote.
        """
        if written and self._hold.lacks_copies(written):
            raise Uncertain("Copies were lost while the script ran: too few have what it wrote")

    def ground(self, keyspace: Keyspace, reached: set[int], undo: Undo | None) -> OnData:
        """Make what a script of a transaction works on; see `OnData`."""
        return OnData(
            self._lease,
            keyspace,
            reached,
            hold=self._hold,
            whole=self._owns_all,
            undo=undo,
            monitors=self.monitors,
            stats=self._stats,
        )

    def part(self, row: Command, argv: Argv, ground: OnData) -> tuple[Reply, list[Log]]:
        """Run a script that is a part of something. Raises CommandError or Wandered."""
        assert row.on_script is not None
        return row.on_script(self._scripts, ground, argv), ground.logs

    def undo(self, calls: Sequence[tuple[Command, Argv]]) -> Undo | None:
        """Make an undo if any of these may come to keys of other nodes. Raises Wandered if one does.

        What is wrong with scripts is said when they are run.
        """
        if self._owns_all():
            return None
        wanderers = [(row, argv) for row, argv in calls if _may_wander(row)]
        if not wanderers:
            return None
        homely = True
        for row, argv in wanderers:
            if row.on_script is None:
                homely = False
                continue
            try:
                habit = self._scripts.habit(row, argv)
            except CommandError:
                continue
            if habit.wanders:
                raise Wandered
            homely = homely and habit.homely
        return Undo(self._store, homely=homely)


def _may_wander(row: Command) -> bool:
    return row.beyond is not None or (row.on_script is not None and row.keys.names_keys)


def with_beyond(row: Command, argv: Argv, keyspace: Keyspace, partitions: tuple[int, ...]) -> tuple[int, ...]:
    """Add the partitions of what a command reads besides what it names. Raises Wandered if this node lacks one."""
    if row.beyond is None:
        return partitions
    more = {partition_of(key) for key in row.beyond(keyspace, argv)}.difference(partitions)
    if any(not keyspace.partitions[number].serving for number in more):
        raise Wandered
    return tuple(sorted(more.union(partitions)))
