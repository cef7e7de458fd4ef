"""Plain integers of one node. The hot path adds to them; metrics and INFO read them."""

from typing import Final

from respcache.garbage import Garbage

REJECTIONS: Final = frozenset(
    {"BUSY", "CLUSTERDOWN", "CROSSSLOT", "LOADING", "MOVED", "NOAUTH", "NOREPLICAS", "OOM", "TRYAGAIN"}
)
"""Codes of errors that say that nothing of the command was run."""
CODE_MAX: Final = 31
"""Characters of a code; Redis' own limit. A longer first word of an error is taken for a part of its text."""
CODES_MAX: Final = 128
"""Different codes that are counted each for itself: scripts make up their own."""
OTHER: Final = "OTHER"
"""Stands for all codes beyond those."""
_UNFIT: Final = str.maketrans("#:\r\n", "____")
"""Characters that would end a line of INFO, or a name in it, and what Redis shows instead."""

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
        """Calls of which nothing was run."""
        self.failed: Final = [0] * commands
        """Calls that the handler answered with an error."""
        self.errors: Final[dict[str, int]] = {}
        """Error replies by code (ERR, WRONGTYPE ...), of which scripts may make up some; see CODES_MAX."""
        self.unknown_calls = 0
        """Requests that named no command."""
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
            "evicted": 0,
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
        count = self.errors.get(code)
        if count is None and len(self.errors) >= CODES_MAX:
            code = OTHER
            count = self.errors.get(code)
        self.errors[code] = (count or 0) + 1

    def blame(self, index: int, code: str, *, admitted: bool = True) -> bool:
        """Count under a command, by Command.index, that a call has ended in an error; whether nothing of it was run.

        It is for the caller to count the call itself, and the error.
        """
        is_rejected = not admitted or code in REJECTIONS
        (self.rejected if is_rejected else self.failed)[index] += 1
        return is_rejected

    def told(self, index: int, wire: bytes) -> bytes:
        """Count what a client is told of a command if that is an error; give it back."""
        if wire.startswith(b"-"):
            code = code_of(wire[1:])
            self.count_error(code)
            self.blame(index, code)
        return wire


def code_of(line: bytes) -> str:
    """Read the code with which an error begins, its dash taken off: the first word, if it is short, else ERR."""
    word, blank, _ = line[: CODE_MAX + 1].partition(b" ")
    return word.decode("utf-8", "replace").translate(_UNFIT) if blank else "ERR"
