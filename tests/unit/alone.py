"""An executor on a real store, with a router that notes what it is given and answers nothing by itself."""

from collections.abc import Collection, Sequence
from typing import Final

from respcache.commands.registry import Command
from respcache.commands.session import Session
from respcache.config import Config
from respcache.engine.executor import Executor, Out
from respcache.engine.memory import Memory
from respcache.engine.routes import Runs
from respcache.pending import Pending
from respcache.resp.decode import Decoder
from respcache.resp.encode import request
from respcache.store.partition import Argv, Log, Partition
from unit.commands.front import Front


class NotedLog:
    """A partition's log with one other copy, which acks when the test says so."""

    streams: Sequence[object] = ("copy",)

    def __init__(self) -> None:
        self.effects: list[tuple[int, Argv]] = []
        """(database, argv), in order."""
        self.clean = True

    def append(self, database: int, argv: Argv) -> None:
        """Take an effect."""
        self.effects.append((database, argv))
        self.clean = False


class Unheld:
    """Nothing stands still for scripts."""

    is_intact = True
    untold_bytes = 0
    untold_max_bytes = 1024

    def has(self, _number: int) -> bool:
        """Lock nothing."""
        return False

    def lacks_copies(self, _numbers: Collection[int]) -> bool:
        """Lose none."""
        return False

    def begin(self) -> None:
        """Go on."""

    def resume(self) -> None:
        """Go on."""

    def pause(self) -> None:
        """Go on."""

    def end(self) -> None:
        """Go on."""


class Away:
    """Where commands go that cannot run at once; their replies come when the test gives them."""

    def __init__(self) -> None:
        self.waiting: Final[list[Pending]] = []
        self.asked: Final[list[Argv]] = []
        self.held: Final[list[tuple[list[Log], list[bytes | Pending]]]] = []
        """(logs, replies that wait for them)."""
        self.runs: Final[list[Runs]] = []
        """What the replies of batches among these are of."""
        self.wrote: Final[list[bool]] = []
        """Whether the others among them are of writes."""
        self.lapses = 0
        self.barriers: Final[set[bytes]] = set()
        """Commands on several keys that those behind them wait for."""
        self.alone: Final = Unheld()

    def relay(self, session: Session, row: Command, argv: Argv, partition: Partition) -> bytes | Pending:
        """Do the same for a command of a batch."""
        return self.elsewhere(session, row, argv, partition)

    def elsewhere(self, session: Session, row: Command, argv: Argv, partition: Partition) -> bytes | Pending:
        """Note a command on one key."""
        del session, row, partition
        return self._wait(argv)

    def several(self, session: Session, row: Command, argv: Argv) -> bytes | Pending:
        """Note a command on several keys."""
        reply = self._wait(argv)
        if row.name.encode() in self.barriers:
            session.barrier = reply
        return reply

    def owns_all(self) -> bool:
        """It is a node of its own."""
        return True

    def lapsed(self) -> None:
        """Note that the lease has ended."""
        self.lapses += 1

    def hold(self, wire: bytes, logs: list[Log], *, writes: bool) -> bytes | Pending:
        """Note a reply, and let it go."""
        self.wrote.append(writes)
        self.held.append((logs, [wire]))
        return wire

    def hold_all(self, replies: Out, logs: list[Log], runs: Runs) -> None:
        """Note replies, and let them go."""
        self.held.append((logs, list(replies)))
        self.runs.append(runs)

    def _wait(self, argv: Argv) -> Pending:
        self.asked.append(argv)
        self.waiting.append(Pending())
        return self.waiting[-1]


class Alone:
    """A node of its own, and its clients."""

    def __init__(self, config: Config | None = None) -> None:
        self.front: Final = Front(config)
        self.host: Final = self.front.host
        self.store: Final = self.host.store
        self.stats: Final = self.host.stats
        self.away: Final = Away()
        self.memory: Final = Memory(self.store, deleted=lambda: None, soon=lambda _again: None)
        self.memory.configure(self.host.config.server)
        self.executor: Final = Executor(self.store, self.stats, self.away, self.front.scripts, self.memory)

    def lose(self, key: bytes) -> None:
        """Have a key's partition belong to somebody else."""
        self.store.keyspace(0).at(key).serving = False

    def batch(self, session: Session, *requests: Argv) -> Out:
        """Run requests that come in together."""
        out: Out = []
        self.executor.batch(session, received(*requests), out)
        return out

    def run(self, session: Session, *lines: bytes) -> Out:
        """Run requests of words without blanks."""
        return self.batch(session, *[line.split() for line in lines])


def received(*requests: Argv) -> Decoder:
    """Make the parser of a client that has sent requests."""
    decoder = Decoder()
    decoder.feed(b"".join(request(argv) for argv in requests))
    return decoder
