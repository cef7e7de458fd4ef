"""Which commands were slow, in the opinion of the slow log and of the latency monitor."""

from time import perf_counter_ns, time
from typing import Final

from respcache.commands.registry import Command, Flags
from respcache.commands.session import Session
from respcache.config import ServerConfig
from respcache.latency import COMMAND, FAST_COMMAND, LatencyMonitor
from respcache.slowlog import SlowLog
from respcache.stats import Stats
from respcache.store.partition import Argv

RELAYED: Final = "relayed"
"""In place of the address of a client that another node has."""


class SlowCommands:
    """One per node. Whoever runs commands compares with `bound_us`, and tells only of those beyond it."""

    __slots__ = ("_keep", "_latency", "_logged_us", "_slowlog", "_stats", "bound_us")

    def __init__(self, stats: Stats) -> None:
        self._stats: Final = stats
        self.bound_us = -1
        """Commands that last so long are to be noted, by either; negative for none."""
        self._logged_us = -1
        """The same for the slow log alone."""
        self._latency = LatencyMonitor()
        self._slowlog = SlowLog()
        self._keep = 0

    def configure(self, server: ServerConfig, latency: LatencyMonitor, slowlog: SlowLog) -> None:
        """Take up what is slow from now on, and who is to be told."""
        self._latency, self._slowlog, self._keep = latency, slowlog, server.slowlog_max_len
        latency.threshold_ms = server.latency_monitor_threshold_ms
        self._logged_us = server.slowlog_log_slower_than_us
        self.bound_us = min([bound for bound in (self._logged_us, latency.threshold_us) if bound >= 0], default=-1)

    def note(self, session: Session, row: Command, last: Argv, count: int, each_us: int, at_unix_s: int) -> None:
        """Take note of `count` calls of a command, the last of them with this request, each of which took so long."""
        self._record(row, last, count, each_us, at_unix_s, address=session.address, name=session.name)

    def relayed(self, row: Command, last: Argv, started_ns: int, *, count: int = 1) -> None:
        """Like `note`, if they were slow, of calls for clients of other nodes, of whom nothing is known here.

        They are over, and began at `started_ns`, on the clock of `perf_counter_ns`.
        """
        each_us = (perf_counter_ns() - started_ns) // (1000 * count)
        if each_us >= self.bound_us >= 0:
            self._record(row, last, count, each_us, int(time()), address=RELAYED, name=b"")

    def _record(
        self, row: Command, last: Argv, count: int, each_us: int, at_unix_s: int, *, address: str, name: bytes
    ) -> None:
        self._latency.record(FAST_COMMAND if Flags.FAST in row.flags else COMMAND, each_us, at_unix_s)
        if not each_us >= self._logged_us >= 0:
            return
        self._stats.slow_commands += count
        if Flags.SKIP_SLOWLOG in row.flags:
            return
        self._slowlog.record(
            last, duration_us=each_us, at_unix_s=at_unix_s, address=address, name=name, keep=self._keep
        )
