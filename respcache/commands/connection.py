"""Commands on the client's own connection: hello, password, database, farewell."""

from hmac import compare_digest
from typing import Final

from respcache.commands.arguments import INT32_MAX, INT32_MIN, integer, option
from respcache.commands.registry import Answer, Flags, command
from respcache.commands.session import Session
from respcache.errors import CommandError, NotAnInteger, SyntaxRefused, WrongArity, echoed
from respcache.pending import Pending
from respcache.reply import OK, PONG, Reply, Status
from respcache.resp.encode import encode
from respcache.store.partition import Argv
from respcache.version import REDIS_VERSION

DEFAULT_USER: Final = b"default"
"""The one user there is."""
RESET: Final = Status(b"RESET")

_OPENING: Final = Flags.NOSCRIPT | Flags.LOADING | Flags.STALE | Flags.FAST | Flags.NO_AUTH | Flags.ALLOW_BUSY
_ANYTIME: Final = Flags.LOADING | Flags.STALE | Flags.FAST


class WrongPass(CommandError):
    """There is no such user, or the password is another; who the client was, it remains."""

    code = "WRONGPASS"

    def __init__(self) -> None:
        super().__init__("invalid username-password pair or user is disabled.")


class NoProtocol(CommandError):
    """HELLO asked for a RESP version that nobody speaks here; the former one stays."""

    code = "NOPROTO"

    def __init__(self) -> None:
        super().__init__("unsupported protocol version")


class HelloTooEarly(CommandError):
    """HELLO needs a password."""

    code = "NOAUTH"

    def __init__(self) -> None:
        super().__init__(
            "HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> "
            "<pass> option can be used to authenticate the client and select the RESP protocol version at the "
            "same time"
        )


@command("PING", arity=-1, flags=Flags.FAST, since="1.0.0")
def ping(session: Session, argv: Argv) -> Reply:
    """Answer PONG, or the message."""
    if len(argv) > 2:
        raise WrongArity("ping")
    if session.listens_only:
        return [b"pong", argv[1] if len(argv) == 2 else b""]
    return argv[1] if len(argv) == 2 else PONG


@command("ECHO", arity=2, flags=_ANYTIME, since="1.0.0")
def echo(session: Session, argv: Argv) -> Reply:
    """Answer the message."""
    del session
    return argv[1]


@command("HELLO", arity=-1, flags=_OPENING | Flags.CONNECTION, since="6.0.0")
def hello(session: Session, argv: Argv) -> Answer:
    """Agree on the RESP version, give the password and a name, and learn who the server is."""
    protocol, credentials, name = hello_words(session, argv)
    if credentials is not None:
        authenticate(session, *credentials)
    if not session.authenticated:
        raise HelloTooEarly
    if name is not None:
        session.name = name
    before = session.host.exchange.take(session)
    session.protocol = protocol
    session.restrict()
    return behind(
        before,
        session,
        {
            b"server": b"redis",
            b"version": REDIS_VERSION,
            b"proto": protocol,
            b"id": session.client_id,
            b"mode": b"cluster",
            b"role": b"master",
            b"modules": [],
        },
    )


def hello_words(session: Session, argv: Argv) -> tuple[int, tuple[bytes, bytes] | None, bytes | None]:
    """Read what HELLO asks for: a RESP version, credentials and a name. Raises CommandError."""
    protocol = _protocol(argv[1]) if len(argv) > 1 else session.protocol
    return protocol, *_hello_options(argv)


@command("AUTH", arity=-2, flags=_OPENING | Flags.CONNECTION, since="1.0.0")
def auth(session: Session, argv: Argv) -> Reply:
    """Give the password, with or without the name of the user."""
    if len(argv) > 3:
        raise SyntaxRefused
    if len(argv) == 2 and not session.host.config.server.requirepass:
        raise CommandError(
            "AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?"
        )
    authenticate(session, argv[1] if len(argv) == 3 else DEFAULT_USER, argv[-1])
    return OK


@command("SELECT", arity=2, flags=_ANYTIME | Flags.CONNECTION, since="1.0.0")
def select(session: Session, argv: Argv) -> Reply:
    """Change to another database."""
    session.database = selected(argv, len(session.host.store))
    return OK


def selected(argv: Argv, databases: int) -> int:
    """Read which of so many databases SELECT asks for. Raises CommandError."""
    number = integer(argv[1])
    if not INT32_MIN <= number <= INT32_MAX:
        raise CommandError(f"value is out of range, value must between {INT32_MIN} and {INT32_MAX}")
    if not 0 <= number < databases:
        raise CommandError("DB index is out of range")
    return number


@command("QUIT", arity=-1, flags=_OPENING | Flags.CONNECTION, since="1.0.0")
def quit_(session: Session, argv: Argv) -> Reply:
    """Say OK and close the connection."""
    del argv
    session.closing = True
    return OK


@command("RESET", arity=1, flags=_OPENING | Flags.CONNECTION, since="6.2.0")
def reset(session: Session, argv: Argv) -> Answer:
    """Bring the connection back to the state of a new one."""
    del argv
    exchange = session.host.exchange
    before = exchange.take(session)
    exchange.forget(session)
    session.subscribed = 0
    session.host.tracking.disable(session)
    session.host.monitors.leave(session)
    session.monitors = False
    session.renew()
    return behind(before, session, RESET)


def behind(before: bytes, session: Session, reply: Reply) -> Answer:
    """Put a reply behind messages that the client gets before it."""
    if not before:
        return reply
    together = Pending()
    together.resolve(before + encode(reply, session.protocol))
    return together


def authenticate(session: Session, user: bytes, password: bytes) -> None:
    """Let a client in, or not. Raises WrongPass; then it counts as a failed attempt."""
    expected = session.host.config.server.requirepass.encode("utf-8", "surrogateescape")
    if user != DEFAULT_USER or (expected and not compare_digest(password, expected)):
        session.host.stats.auth_failures += 1
        raise WrongPass
    session.authenticated = True
    session.restrict()


def checked_attribute(what: str, text: bytes) -> bytes:
    """Let names pass that can stand in a line of CLIENT LIST. Raises CommandError."""
    if any(not ord("!") <= byte <= ord("~") for byte in text):
        raise CommandError(f"{what} cannot contain spaces, newlines or special characters.")
    return text


def _protocol(text: bytes) -> int:
    try:
        version = integer(text)
    except NotAnInteger:
        raise CommandError("Protocol version is not an integer or out of range") from None
    if version not in {2, 3}:
        raise NoProtocol
    return version


def _hello_options(argv: Argv) -> tuple[tuple[bytes, bytes] | None, bytes | None]:
    """Read `AUTH user password` and `SETNAME name`; the last of each counts. Raises CommandError."""
    credentials, name = None, None
    position = 2
    while position < len(argv):
        word, following = option(argv[position]), len(argv) - position - 1
        if word == b"AUTH" and following >= 2:
            credentials = argv[position + 1], argv[position + 2]
            position += 3
        elif word == b"SETNAME" and following >= 1:
            name = checked_attribute("Client names", argv[position + 1])
            position += 2
        else:
            raise CommandError(f"Syntax error in HELLO option '{echoed(argv[position])}'")
    return credentials, name
