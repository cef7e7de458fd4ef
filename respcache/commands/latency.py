"""SLOWLOG and LATENCY: which commands took long."""

from typing import Final

from respcache.commands.arguments import integer
from respcache.commands.documentation import named
from respcache.commands.registry import ROWS, Command, Flags, command, family
from respcache.commands.session import Session
from respcache.errors import CommandError, NotAnInteger, echoed
from respcache.reply import OK, Reply, Verbatim
from respcache.store.partition import Argv

_SLOWLOG: Final = Flags.ADMIN | Flags.LOADING | Flags.STALE
_LATENCY: Final = Flags.ADMIN | Flags.NOSCRIPT | Flags.LOADING | Flags.STALE
SHOWN: Final = 10
"""Entries that SLOWLOG GET gives if it is not told how many."""

family("SLOWLOG", since="2.2.12", group="server", help_since="6.2.0")


@command("SLOWLOG|GET", arity=-2, flags=_SLOWLOG, since="2.2.12")
def slowlog_get(session: Session, argv: Argv) -> Reply:
    """Return the newest slow commands: 10 of them, or so many, or with -1 all."""
    if len(argv) > 3:
        raise CommandError(
            f"unknown subcommand or wrong number of arguments for '{echoed(argv[1])}'. Try SLOWLOG HELP."
        )
    count = _count(argv[2]) if len(argv) == 3 else SHOWN
    return [
        [
            entry.number,
            entry.at_unix_s,
            entry.duration_us,
            list(entry.argv),
            entry.address.encode(),
            entry.name,
        ]
        for entry in session.host.slowlog.newest(None if count < 0 else count)
    ]


@command("SLOWLOG|LEN", arity=2, flags=_SLOWLOG, since="2.2.12")
def slowlog_len(session: Session, argv: Argv) -> Reply:
    """Count the slow commands that are remembered."""
    del argv
    return len(session.host.slowlog)


@command("SLOWLOG|RESET", arity=2, flags=_SLOWLOG, since="2.2.12")
def slowlog_reset(session: Session, argv: Argv) -> Reply:
    """Forget the slow commands."""
    del argv
    session.host.slowlog.clear()
    return OK


family("LATENCY", since="2.8.13", group="server", help_since="2.8.13")


@command("LATENCY|HISTOGRAM", arity=-2, flags=_LATENCY, since="7.0.0")
def latency_histogram(session: Session, argv: Argv) -> Reply:
    """Return how many calls of each command, or of the named ones, took up to so many microseconds."""
    rows = ROWS if len(argv) == 2 else [row for name in argv[2:] for row in _with_members(name)]
    durations = session.host.stats.durations
    return {row.name.lower().encode(): _cumulative(durations[row.index]) for row in rows if any(durations[row.index])}


@command("LATENCY|LATEST", arity=2, flags=_LATENCY, since="2.8.13")
def latency_latest(session: Session, argv: Argv) -> Reply:
    """List nothing: single events are not watched, only commands are."""
    del session, argv
    return []


@command("LATENCY|HISTORY", arity=3, flags=_LATENCY, since="2.8.13")
def latency_history(session: Session, argv: Argv) -> Reply:
    """List nothing: single events are not watched, only commands are."""
    del session, argv
    return []


@command("LATENCY|RESET", arity=-2, flags=_LATENCY, since="2.8.13")
def latency_reset(session: Session, argv: Argv) -> Reply:
    """Return 0: there are no watched events to forget."""
    del session, argv
    return 0


@command("LATENCY|GRAPH", arity=3, flags=_LATENCY, since="2.8.13")
def latency_graph(session: Session, argv: Argv) -> Reply:
    """Refuse: single events are not watched, only commands are."""
    del session
    raise CommandError(f"No samples available for event '{echoed(argv[2])}'")


@command("LATENCY|DOCTOR", arity=2, flags=_LATENCY, since="2.8.13")
def latency_doctor(session: Session, argv: Argv) -> Reply:
    """Say where to look instead."""
    del session, argv
    return Verbatim(b"Single events are not watched; see LATENCY HISTOGRAM, SLOWLOG GET and the metrics over HTTP.\n")


def _count(text: bytes) -> int:
    try:
        count = integer(text)
    except NotAnInteger:
        count = -2
    if count < -1:
        raise CommandError("count should be greater than or equal to -1")
    return count


def _with_members(name: bytes) -> list[Command]:
    row = named(name)
    return [] if row is None else [row, *row.subcommands.values()]


def _cumulative(histogram: list[int]) -> Reply:
    """Give the non-empty buckets by their upper bounds, each with the calls up to it."""
    so_far = 0
    bounds: dict[Reply, Reply] = {}
    for bucket, count in enumerate(histogram):
        so_far += count
        if count:
            bounds[1 << bucket] = so_far
    return {b"calls": so_far, b"histogram_usec": bounds}
