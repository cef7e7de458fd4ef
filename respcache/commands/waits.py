"""WAIT and WAITAOF: how many copies have what a client wrote."""

from respcache.commands.arguments import integer
from respcache.commands.registry import Answer, Flags, command
from respcache.commands.session import Session
from respcache.errors import CommandError, NotAnInteger
from respcache.reply import Reply
from respcache.store.partition import Argv


@command("WAIT", arity=3, flags=Flags.NOSCRIPT, since="3.0.0")
def wait(session: Session, argv: Argv) -> Answer:
    """Wait until so many copies have all that was written, or so many milliseconds, and return how many have.

    0 milliseconds is for ever. With synchronous replication the copies have it as soon as the client knows.
    """
    copies = integer(argv[1])
    return session.host.wait(session, copies, _timeout_ms(argv[2]) / 1000)


@command("WAITAOF", arity=4, flags=Flags.NOSCRIPT, since="7.2.0")
def waitaof(session: Session, argv: Argv) -> Reply:
    """Return how many nodes have on disk what was written, this one and others: none, at once, for nothing is."""
    del session
    local, copies = integer(argv[1]), integer(argv[2])
    if not 0 <= local <= 1:
        raise CommandError("value is out of range, value must between 0 and 1")
    if copies < 0:
        raise CommandError("value is out of range, must be positive")
    _timeout_ms(argv[3])
    if local:
        raise CommandError("WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
    return [0, 0]


def _timeout_ms(text: bytes) -> int:
    try:
        timeout = integer(text)
    except NotAnInteger:
        raise CommandError("timeout is not an integer or out of range") from None
    if timeout < 0:
        raise CommandError("timeout is negative")
    return timeout
