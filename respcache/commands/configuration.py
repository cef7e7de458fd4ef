"""CONFIG: read and change the settings of the running node."""

from typing import Final

from respcache.commands.registry import Answer, Flags, command, family
from respcache.commands.session import Session
from respcache.errors import CommandError, SyntaxRefused
from respcache.glob import matcher
from respcache.reply import OK, Reply
from respcache.settings import Refused, is_shared
from respcache.stats import Stats
from respcache.store.partition import Argv

_OPERATOR: Final = Flags.ADMIN | Flags.NOSCRIPT | Flags.LOADING | Flags.STALE

GLOB: Final = frozenset(b"[*?")
"""Bytes that make a name a pattern."""

family("CONFIG", since="2.0.0", group="server", help_since="5.0.0")


@command("CONFIG|GET", arity=-3, flags=_OPERATOR, since="2.0.0")
def config_get(session: Session, argv: Argv) -> Reply:
    """Return the settings whose names fit one of the patterns; a plain name comes back as it was written."""
    settings = session.host.settings
    names = settings.names()
    found: dict[str, bytes] = {}
    for pattern in argv[2:]:
        fits = matcher(pattern, ignore_case=True)
        is_plain = not GLOB.intersection(pattern)
        for name in names:
            if name not in found and fits(name.encode()):
                found[name] = pattern if is_plain else name.encode()
    return {shown: settings.get(name).encode("utf-8", "surrogateescape") for name, shown in found.items()}


@command("CONFIG|SET", arity=-4, flags=_OPERATOR, since="2.0.0")
def config_set(session: Session, argv: Argv) -> Answer:
    """Change settings, all of them or none; those of how data is kept and of keyspace events on all nodes."""
    if len(argv) % 2:
        raise SyntaxRefused
    changes: dict[str, str] = {}
    for word, value in zip(argv[2::2], argv[3::2], strict=True):
        name = word.decode("utf-8", "surrogateescape").lower()
        if name in changes:
            raise Refused(name, "duplicate parameter")
        changes[name] = value.decode("utf-8", "surrogateescape")
    session.host.settings.set(changes)
    return session.host.exchange.when_known(OK.wire) if any(map(is_shared, changes)) else OK


@command("CONFIG|RESETSTAT", arity=2, flags=_OPERATOR, since="2.0.0")
def config_resetstat(session: Session, argv: Argv) -> Reply:
    """Begin all counts of this node anew."""
    del argv
    _begin_anew(session.host.stats)
    ledger = session.host.store.ledger
    ledger.lookups = ledger.misses = ledger.evicted = 0
    ledger.expired_lazy = ledger.expired_active = ledger.expired_fields = 0
    return OK


@command("CONFIG|REWRITE", arity=2, flags=_OPERATOR, since="2.8.0")
def config_rewrite(session: Session, argv: Argv) -> Reply:
    """Refuse: a node does not write to the file that it was configured by."""
    del session, argv
    raise CommandError("The server is running without a config file")


def _begin_anew(stats: Stats) -> None:
    """Set all counts to what they are at the start; lists and dicts stay the objects that others hold."""
    fresh = Stats(len(stats.calls))
    for name in dir(fresh):
        initial = None if name.startswith("_") else getattr(fresh, name)
        match initial:
            case int():
                setattr(stats, name, initial)
            case list():
                getattr(stats, name)[:] = initial
            case dict():
                counts = getattr(stats, name)
                counts.clear()
                counts.update(initial)
