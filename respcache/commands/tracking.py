"""CLIENT TRACKING and what belongs to it: clients that cache what they read, and hear when it changes.

Who is told of what is the business of `tracking`.
"""

from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.clients import OWN
from respcache.commands.registry import Answer, Flags, command
from respcache.commands.session import Session
from respcache.commands.tracker import Tracker
from respcache.errors import CommandError, SyntaxRefused, echoed
from respcache.reply import OK, Members, Reply
from respcache.store.partition import Argv

SWITCHES: Final = (b"BCAST", b"OPTIN", b"OPTOUT", b"NOLOOP")


@command("CLIENT|TRACKING", arity=-3, flags=OWN | Flags.CONNECTION, since="6.0.0")
def client_tracking(session: Session, argv: Argv) -> Answer:
    """Hear of changes to the keys that the connection reads, or (BCAST) to all with a prefix; or (OFF) no more."""
    wanted, given = _wanted(session, argv)
    match option(argv[2]):
        case b"ON":
            if session.transmit is None:  # its client has hung up before this was run, as the last of a transaction
                raise CommandError("there is no connection to tell of changes")
            _check(session.tracker, wanted, given)
            if wanted.bcast:
                wanted = _with_former(session.tracker, wanted)
            return session.host.tracking.enable(session, wanted)
        case b"OFF":
            session.host.tracking.disable(session)
            return OK
        case _:
            raise SyntaxRefused


@command("CLIENT|CACHING", arity=3, flags=OWN | Flags.CONNECTION, since="6.0.0")
def client_caching(session: Session, argv: Argv) -> Reply:
    """Say whether what the next command reads is cached: YES where that has to be said, NO where it goes without."""
    tracker = session.tracker
    if tracker is None:
        raise CommandError(
            "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
        )
    match option(argv[2]):
        case b"YES":
            if not tracker.optin:
                raise CommandError("CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
        case b"NO":
            if not tracker.optout:
                raise CommandError("CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
        case _:
            raise SyntaxRefused
    tracker.caching = True
    return OK


@command("CLIENT|GETREDIR", arity=2, flags=OWN, since="6.0.0")
def client_getredir(session: Session, argv: Argv) -> Reply:
    """Return the number of the connection that hears of changed keys for this one; 0 for itself, -1 for none."""
    del argv
    return -1 if session.tracker is None else session.tracker.redirect


@command("CLIENT|TRACKINGINFO", arity=2, flags=OWN, since="6.2.0")
def client_trackinginfo(session: Session, argv: Argv) -> Reply:
    """Tell whether, and how, the connection hears of changed keys."""
    del argv
    tracker = session.tracker
    if tracker is None:
        return {b"flags": Members([b"off"]), b"redirect": -1, b"prefixes": []}
    flags = (
        (b"on", True),
        (b"bcast", tracker.bcast),
        (b"optin", tracker.optin),
        (b"caching-yes", tracker.optin and tracker.caching),
        (b"optout", tracker.optout),
        (b"caching-no", tracker.optout and tracker.caching),
        (b"noloop", tracker.noloop),
        (b"broken_redirect", tracker.broken),
    )
    return {
        b"flags": Members([flag for flag, is_set in flags if is_set]),
        b"redirect": tracker.redirect,
        b"prefixes": list[Reply](sorted(tracker.prefixes)),
    }


def _wanted(session: Session, argv: Argv) -> tuple[Tracker, list[bytes]]:
    """Read the options, and the prefixes as they were given. Raises CommandError."""
    switches: set[bytes] = set()
    prefixes: list[bytes] = []
    redirect, target = 0, None
    position = 3
    while position < len(argv):
        word = option(argv[position])
        if word in SWITCHES:
            switches.add(word)
        elif word in {b"REDIRECT", b"PREFIX"} and position + 1 < len(argv):
            position += 1
            if word == b"PREFIX":
                prefixes.append(argv[position])
            else:
                if redirect:
                    raise CommandError("A client can only redirect to a single other client")
                redirect = integer(argv[position])
                target = next((other for other in session.host.sessions() if other.client_id == redirect), None)
                if target is None:
                    raise CommandError("The client ID you want redirect to does not exist")
        else:
            raise SyntaxRefused
        position += 1
    bcast = b"BCAST" in switches
    tracker = Tracker(
        bcast=bcast,
        optin=b"OPTIN" in switches,
        optout=b"OPTOUT" in switches,
        noloop=b"NOLOOP" in switches,
        redirect=redirect,
        target=target,
        prefixes=frozenset(prefixes or [b""]) if bcast else frozenset(),
    )
    return tracker, prefixes


def _check(former: Tracker | None, wanted: Tracker, prefixes: list[bytes]) -> None:
    """Refuse what does not go together, or with how the client is tracked now. Raises CommandError."""
    again = "before disabling tracking for this client, and then re-enabling it with a different mode."
    if prefixes and not wanted.bcast:
        raise CommandError("PREFIX option requires BCAST mode to be enabled")
    if former is not None and former.bcast != wanted.bcast:
        raise CommandError(f"You can't switch BCAST mode on/off {again}")
    if wanted.bcast and (wanted.optin or wanted.optout):
        raise CommandError("OPTIN and OPTOUT are not compatible with BCAST")
    if wanted.optin and wanted.optout:
        raise CommandError("You can't specify both OPTIN mode and OPTOUT mode")
    if former is not None and ((wanted.optin and former.optout) or (wanted.optout and former.optin)):
        raise CommandError(f"You can't switch OPTIN/OPTOUT mode {again}")
    _check_prefixes(frozenset() if former is None else former.prefixes, prefixes)


def _check_prefixes(former: frozenset[bytes], prefixes: list[bytes]) -> None:
    """Refuse prefixes one of which begins with another: a key would be told twice. Raises CommandError."""
    for place, prefix in enumerate(prefixes):
        known = next((known for known in sorted(former) if _overlap(prefix, known)), None)
        if known is not None:
            raise _overlapping(prefix, "an existing prefix", known)
        other = next((other for other in prefixes[place + 1 :] if _overlap(prefix, other)), None)
        if other is not None:
            raise _overlapping(prefix, "another provided prefix", other)


def _overlap(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def _overlapping(prefix: bytes, what: str, other: bytes) -> CommandError:
    return CommandError(
        f"Prefix '{echoed(prefix)}' overlaps with {what} '{echoed(other)}'. "
        "Prefixes for a single client must not overlap."
    )


def _with_former(former: Tracker | None, wanted: Tracker) -> Tracker:
    """Add the prefixes that the client has already: those are never taken away but by OFF."""
    if former is None:
        return wanted
    return Tracker(
        bcast=True,
        noloop=wanted.noloop,
        redirect=wanted.redirect,
        target=wanted.target,
        prefixes=former.prefixes | wanted.prefixes,
    )
