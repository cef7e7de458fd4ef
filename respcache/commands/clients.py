"""CLIENT: what a client says of itself, and what it may know of and do to the others."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from respcache.commands.arguments import INT64_MAX, integer, option
from respcache.commands.connection import DEFAULT_USER, checked_attribute
from respcache.commands.registry import Flags, command, family
from respcache.commands.session import Session, Silence
from respcache.errors import CommandError, NotAnInteger, SyntaxRefused, echoed
from respcache.pubsub.audience import Kind
from respcache.reply import OK, Reply, Verbatim
from respcache.resp.encode import request
from respcache.store.partition import Argv

OWN: Final = Flags.NOSCRIPT | Flags.LOADING | Flags.STALE
_OTHERS: Final = Flags.ADMIN | OWN

KINDS: Final = frozenset({b"MASTER", b"NORMAL", b"PUBSUB", b"REPLICA", b"SLAVE"})
"""The types of clients that Redis tells apart; here they are normal, or pubsub: subscribed."""
SWITCH: Final = {b"ON": True, b"OFF": False}

family("CLIENT", since="2.4.0", group="connection", help_since="5.0.0")


@command("CLIENT|ID", arity=2, flags=OWN, since="5.0.0")
def client_id(session: Session, argv: Argv) -> Reply:
    """Return the number of the connection."""
    del argv
    return session.client_id


@command("CLIENT|GETNAME", arity=2, flags=OWN, since="2.6.9")
def client_getname(session: Session, argv: Argv) -> Reply:
    """Return the name of the connection, or null."""
    del argv
    return session.name or None


@command("CLIENT|SETNAME", arity=3, flags=OWN | Flags.CONNECTION, since="2.6.9")
def client_setname(session: Session, argv: Argv) -> Reply:
    """Name the connection; an empty name is none."""
    session.name = checked_attribute("Client names", argv[2])
    return OK


@command("CLIENT|SETINFO", arity=4, flags=OWN | Flags.CONNECTION, since="7.2.0")
def client_setinfo(session: Session, argv: Argv) -> Reply:
    """Say which library the client uses (LIB-NAME) and its version (LIB-VER)."""
    match option(argv[2]):
        case b"LIB-NAME":
            session.library = checked_attribute(echoed(argv[2]), argv[3])
        case b"LIB-VER":
            session.library_version = checked_attribute(echoed(argv[2]), argv[3])
        case _:
            raise CommandError(f"Unrecognized option '{echoed(argv[2])}'")
    return OK


@command("CLIENT|NO-EVICT", arity=3, flags=_OTHERS | Flags.CONNECTION, since="7.0.0")
def client_no_evict(session: Session, argv: Argv) -> Reply:
    """Say whether the connection may be closed to save memory."""
    session.no_evict = _switch(argv[2])
    return OK


@command("CLIENT|NO-TOUCH", arity=3, flags=OWN | Flags.CONNECTION, since="7.2.0")
def client_no_touch(session: Session, argv: Argv) -> Reply:
    """Say whether reading a key counts as using it."""
    session.no_touch = _switch(argv[2])
    return OK


@command("CLIENT|REPLY", arity=3, flags=OWN | Flags.CONNECTION, since="3.2.0")
def client_reply(session: Session, argv: Argv) -> Reply:
    """Say which replies the connection wants: all (ON), none (OFF), or none to the next command (SKIP)."""
    match option(argv[2]):
        case b"ON":
            session.silence = Silence.NONE
        case b"OFF":
            session.silence = Silence.FOR_GOOD
        case b"SKIP":
            if session.silence is not Silence.FOR_GOOD:
                session.silence = Silence.NEXT
        case _:
            raise SyntaxRefused
    session.restrict()
    return OK


@command("CLIENT|PAUSE", arity=-3, flags=_OTHERS, since="2.9.50")
def client_pause(session: Session, argv: Argv) -> Reply:
    """Hold up the commands of this node's clients for so many milliseconds: all, or (WRITE) those that write."""
    if len(argv) > 4:
        raise CommandError("unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.")
    mode = option(argv[3]) if len(argv) == 4 else b"ALL"
    if mode not in {b"ALL", b"WRITE"}:
        raise CommandError("CLIENT PAUSE mode must be WRITE or ALL")
    try:
        duration_ms = integer(argv[2])
    except NotAnInteger:
        raise CommandError("timeout is not an integer or out of range") from None
    if duration_ms < 0:
        raise CommandError("timeout is negative")
    if session.host.now_unix_us() // 1000 + duration_ms <= INT64_MAX:  # in Redis its end would be in the past
        session.host.pause.begin(duration_ms, writes_only=mode == b"WRITE")
    return OK


@command("CLIENT|UNPAUSE", arity=2, flags=_OTHERS, since="6.2.0")
def client_unpause(session: Session, argv: Argv) -> Reply:
    """Go on with the commands that CLIENT PAUSE has held up."""
    del argv
    session.host.pause.end()
    return OK


@command("CLIENT|INFO", arity=2, flags=OWN, since="6.2.0")
def client_info(session: Session, argv: Argv) -> Reply:
    """Describe this connection in a line."""
    return Verbatim(describe([session], _now_unix_s(session), asking=session, argv=argv))


@command("CLIENT|LIST", arity=-2, flags=_OTHERS, since="2.4.0")
def client_list(session: Session, argv: Argv) -> Reply:
    """Describe all connections to this node, or some: TYPE type, or ID id ..., a line each."""
    listed = session.host.sessions()
    if len(argv) > 2:
        match option(argv[2]), argv[3:]:
            case b"TYPE", [kind]:
                wanted_kind = _kind(kind)
                listed = [other for other in listed if _kind_of(other) == wanted_kind]
            case b"ID", [_, *_]:
                wanted = {_positive(text, "Invalid client ID") for text in argv[3:]}
                listed = [other for other in listed if other.client_id in wanted]
            case _:
                raise SyntaxRefused
    return Verbatim(describe(listed, _now_unix_s(session), asking=session, argv=argv))


@command("CLIENT|KILL", arity=-3, flags=_OTHERS, since="2.4.0")
def client_kill(session: Session, argv: Argv) -> Reply:
    """Close connections to this node: that from an address, or all that every `filter value` fits."""
    if len(argv) == 3:
        if not _kill(session, _Filter(address=argv[2].decode("utf-8", "replace"), spared=None)):
            raise CommandError("No such client")
        return OK
    if len(argv) % 2:
        raise SyntaxRefused
    return _kill(session, _filter(session, argv))


@command("CLIENT|UNBLOCK", arity=-3, flags=_OTHERS, since="5.0.0")
def client_unblock(session: Session, argv: Argv) -> Reply:
    """End the wait of a client of this node, as if its time were over, or (ERROR) with an error; return how many."""
    if len(argv) > 4:
        raise CommandError("unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.")
    reason = option(argv[3]) if len(argv) == 4 else b"TIMEOUT"
    if reason not in {b"TIMEOUT", b"ERROR"}:
        raise CommandError("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    number = integer(argv[2])
    for other in session.host.sessions():
        if other.client_id == number and other.blocked is not None:
            return int(other.blocked.unblock(refused=reason == b"ERROR"))
    return 0


@dataclass(slots=True)
class _Filter:
    """Which clients CLIENT KILL means; None stands for any."""

    spared: Session | None
    number: int | None = None
    address: str | None = None
    local_address: str | None = None
    kind: bytes | None = None
    has_user: bool = False
    connected_until_unix_s: int | None = None

    def fits(self, other: Session) -> bool:
        return (
            other is not self.spared
            and self.number in {None, other.client_id}
            and self.address in {None, other.address}
            and self.local_address in {None, other.local_address}
            and self.kind in {None, _kind_of(other)}
            and (other.authenticated or not self.has_user)
            and (self.connected_until_unix_s is None or other.connected_unix_s <= self.connected_until_unix_s)
        )


def describe(sessions: Iterable[Session], now_unix_s: int, *, asking: Session, argv: Argv) -> bytes:
    """Write a line for each client, with Redis' fields as far as they mean something here.

    The client that is `asking` has its request in its buffer; those of the others are run when they are complete.
    """
    asked_bytes = len(request(argv))
    return b"".join(_line(session, now_unix_s, asked_bytes if session is asking else 0) for session in sessions)


def _line(session: Session, now_unix_s: int, buffered_bytes: int) -> bytes:
    tracker = session.tracker
    marks = (
        ("O", session.monitors),
        ("P", session.subscribed),
        ("x", session.queue is not None),
        ("b", session.is_blocked),
        ("t", tracker is not None),
        ("R", tracker is not None and tracker.broken),
        ("B", tracker is not None and tracker.bcast),
        ("e", session.no_evict),
        ("T", session.no_touch),
        ("r", session.cluster_aware),
    )
    channels, patterns, sharded = (len(session.host.exchange.names_of(session, kind)) for kind in Kind)
    fields = {
        "id": session.client_id,
        "addr": session.address,
        "laddr": session.local_address,
        "fd": -1,
        "name": session.name.decode(),
        "age": max(0, now_unix_s - session.connected_unix_s),
        "idle": max(0, now_unix_s - session.last_active_unix_s),
        "flags": "".join(mark for mark, is_set in marks if is_set) or "N",
        "db": session.database,
        "sub": channels,
        "psub": patterns,
        "ssub": sharded,
        "multi": -1 if session.queue is None else len(session.queue.calls),
        "qbuf": buffered_bytes,
        "qbuf-free": 0,
        "argv-mem": 0,
        "multi-mem": 0,
        "rbs": 0,
        "rbp": 0,
        "obl": 0,
        "oll": 0,
        "omem": session.unread_bytes,
        "tot-mem": session.unread_bytes,
        "events": "r",
        "cmd": session.last_command,
        "user": DEFAULT_USER.decode() if session.authenticated else "(superuser)",
        "redir": -1 if tracker is None else tracker.redirect,
        "resp": session.protocol,
        "lib-name": session.library.decode(),
        "lib-ver": session.library_version.decode(),
    }
    return " ".join(f"{name}={value}" for name, value in fields.items()).encode() + b"\n"


def _kill(session: Session, wanted: _Filter) -> int:
    """Close the connections that fit, the own one only behind the reply, and count them."""
    doomed = [other for other in session.host.sessions() if wanted.fits(other) and not other.killed]
    for other in doomed:
        if other is session:
            session.closing = True
        else:
            other.killed = True
    return len(doomed)


def _filter(session: Session, argv: Argv) -> _Filter:
    """Read pairs of filter and value; the last of a kind counts. Raises CommandError."""
    wanted = _Filter(spared=session)
    for word, value in zip(argv[2::2], argv[3::2], strict=True):
        text = value.decode("utf-8", "replace")
        match option(word), option(value):
            case b"ID", _:
                wanted.number = _positive(value, "client-id should be greater than 0")
            case b"ADDR", _:
                wanted.address = text
            case b"LADDR", _:
                wanted.local_address = text
            case b"TYPE", _:
                wanted.kind = _kind(value)
            case b"USER", _:
                if value != DEFAULT_USER:
                    raise CommandError(f"No such user '{echoed(value)}'")
                wanted.has_user = True
            case b"MAXAGE", _:
                wanted.connected_until_unix_s = _now_unix_s(session) - _max_age_s(value)
            case b"SKIPME", (b"YES" | b"NO") as answer:
                wanted.spared = session if answer == b"YES" else None
            case _:
                raise SyntaxRefused
    return wanted


def _positive(text: bytes, refusal: str) -> int:
    try:
        number = integer(text)
    except NotAnInteger:
        number = 0
    if number <= 0:
        raise CommandError(refusal)
    return number


def _max_age_s(text: bytes) -> int:
    try:
        age_s = integer(text)
    except NotAnInteger:
        raise CommandError("maxage is not an integer or out of range") from None
    if age_s <= 0:
        raise CommandError("maxage should be greater than 0")
    return age_s


def _kind(text: bytes) -> bytes:
    """Read a type of clients. Raises CommandError for an unknown one."""
    kind = option(text)
    if kind not in KINDS:
        raise CommandError(f"Unknown client type '{echoed(text)}'")
    return kind


def _kind_of(session: Session) -> bytes:
    return b"PUBSUB" if session.subscribed else b"NORMAL"


def _switch(text: bytes) -> bool:
    wanted = SWITCH.get(option(text))
    if wanted is None:
        raise SyntaxRefused
    return wanted


def _now_unix_s(session: Session) -> int:
    return session.host.now_unix_us() // 1_000_000
