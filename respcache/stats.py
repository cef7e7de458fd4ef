"""Plain integers of one node. The hot path adds to them; metrics and INFO read them."""

from typing import Final

from respcache.garbage import Garbage

DURATION_BUCKETS: Final = 32
"""Buckets of a duration histogram: bucket i counts durations below 2**i microseconds."""


class Stats:
    """Counters and fixed histograms. One per node, written by its event loop only."""

    def __init__(self, commands: int) -> None:
        self.calls: Final = [0] * commands
        """Calls by Command.index, refused ones included."""
        self.duration_ns: Final = [0] * commands
        """Time spent by Command.index."""
        self.durations: Final = [[0] * DURATION_BUCKETS for _ in range(commands)]
        """Histogram by Command.index."""
        self.rejected: Final = [0] * commands
        """Calls refused before the handler ran."""
        self.failed: Final = [0] * commands
        """Calls that the handler answered with an error."""
        self.errors: Final[dict[str, int]] = {}
        """Error replies by prefix (ERR, WRONGTYPE ...), a fixed set."""
        self.unknown_calls = 0
        """Requests that named no command, or a wrong number of arguments."""
        self.batches = 0
        self.slow_commands = 0
        self.input_bytes = 0
        self.output_bytes = 0
        self.connections_accepted = 0
        self.connections_rejected: Final[dict[str, int]] = {"maxclients": 0, "protected": 0, "tls": 0, "draining": 0}
        self.disconnects: Final[dict[str, int]] = {
            "client": 0,
            "idle": 0,
            "output_limit": 0,
            "protocol": 0,
            "killed": 0,
            "drain": 0,
        }
        self.protocol_errors = 0
        self.auth_failures = 0
        self.writes_rejected: Final[dict[str, int]] = {"oom": 0, "quorum": 0, "unacked": 0}
        """Writes refused because memory is short, because too few copies would have had them, or because copies had
        yet to confirm too many others."""
        self.forwards = 0
        self.forward_errors: Final[dict[str, int]] = {"timeout": 0, "refused": 0, "hops": 0, "remote": 0}
        self.redirects = 0
        self.garbage: Final = Garbage()

    def count_error(self, code: str) -> None:
        """Count one error reply."""
        self.errors[code] = self.errors.get(code, 0) + 1
