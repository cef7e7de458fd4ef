"""SLOWLOG and LATENCY: which commands took long, and what else did."""

from typing import Final

from respcache.commands.arguments import integer
from respcache.commands.documentation import named
from respcache.commands.latency_reports import diagnosis, graph
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
    """List what held the node up: kind of work, when it last took long, how many milliseconds, and the longest ever."""
    del argv
    return [
        [event.encode(), history.spikes[-1].at_unix_s, history.spikes[-1].duration_ms, history.longest_ms]
        for event, history in session.host.latency.histories().items()
    ]


@command("LATENCY|HISTORY", arity=3, flags=_LATENCY, since="2.8.13")
def latency_history(session: Session, argv: Argv) -> Reply:
    """List the last seconds in which work of a kind took long, and how many milliseconds."""
    history = session.host.latency.histories().get(_event(argv[2]))
    return [] if history is None else [[spike.at_unix_s, spike.duration_ms] for spike in history.spikes]


@command("LATENCY|RESET", arity=-2, flags=_LATENCY, since="2.8.13")
def latency_reset(session: Session, argv: Argv) -> Reply:
    """Forget what held the node up, all of it or some kinds of work; return of how many kinds there was any."""
    return session.host.latency.forget([_event(name) for name in argv[2:]] or None)


@command("LATENCY|GRAPH", arity=3, flags=_LATENCY, since="2.8.13")
def latency_graph(session: Session, argv: Argv) -> Reply:
    """Draw the last seconds in which work of a kind took long."""
    event = _event(argv[2])
    history = session.host.latency.histories().get(event)
    if history is None:
        raise CommandError(f"No samples available for event '{echoed(argv[2])}'")
    return Verbatim(graph(event, history, session.host.store.ledger.now_unix_ms // 1000).encode())


@command("LATENCY|DOCTOR", arity=2, flags=_LATENCY, since="2.8.13")
def latency_doctor(session: Session, argv: Argv) -> Reply:
    """Say how often work took long, and what to do about it."""
    del argv
    latency = session.host.latency
    return Verbatim(diagnosis(latency.threshold_ms, latency.histories()).encode())


def _event(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


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
