"""Publish and subscribe, over the whole cluster and through any node.

Names that a client is subscribed to are known to the exchange (`pubsub.exchange`), which
tells the other nodes of them. A command with several names has as many replies, in RESP3
pushes; so they are put together here, as wire, behind the messages that the client gets
before them.
"""

from typing import Final

from respcache.cluster.ownership.slots import slot_of
from respcache.commands.registry import ALL, FIRST, Answer, Flags, command, family
from respcache.commands.session import Session
from respcache.errors import CommandError, CrossSlot, echoed
from respcache.glob import matcher
from respcache.pending import Pending
from respcache.pubsub.audience import Kind
from respcache.reply import Push, Reply
from respcache.resp.encode import encode
from respcache.store.partition import Argv

_PUBLISHER: Final = Flags.PUBSUB | Flags.LOADING | Flags.STALE | Flags.FAST
_SUBSCRIBER: Final = Flags.PUBSUB | Flags.NOSCRIPT | Flags.LOADING | Flags.STALE | Flags.CONNECTION
_OBSERVER: Final = Flags.PUBSUB | Flags.LOADING | Flags.STALE


class NoConnection(CommandError):
    """Whoever asks cannot be sent anything that is no reply."""

    def __init__(self) -> None:
        super().__init__("subscribing takes a connection")


@command("PUBLISH", arity=3, flags=_PUBLISHER, since="2.0.0")
def publish(session: Session, argv: Argv) -> Answer:
    """Send a message to all who listen to a channel, on any node, and return how many they are."""
    return session.host.exchange.publish(session, Kind.CHANNEL, argv[1], argv[2])


@command("SPUBLISH", arity=3, flags=_PUBLISHER, since="7.0.0", slots=FIRST)
def spublish(session: Session, argv: Argv) -> Answer:
    """Send a message to all who listen to a sharded channel, and return how many they are."""
    _stay(session, argv[1:2])
    return session.host.exchange.publish(session, Kind.SHARD, argv[1], argv[2])


@command("SUBSCRIBE", arity=-2, flags=_SUBSCRIBER, since="2.0.0")
def subscribe(session: Session, argv: Argv) -> Pending:
    """Listen to channels."""
    return _subscribe(session, argv, Kind.CHANNEL)


@command("PSUBSCRIBE", arity=-2, flags=_SUBSCRIBER, since="2.0.0")
def psubscribe(session: Session, argv: Argv) -> Pending:
    """Listen to all channels that match one of the patterns."""
    return _subscribe(session, argv, Kind.PATTERN)


@command("SSUBSCRIBE", arity=-2, flags=_SUBSCRIBER, since="7.0.0", slots=ALL)
def ssubscribe(session: Session, argv: Argv) -> Pending:
    """Listen to sharded channels."""
    _stay(session, argv[1:])
    return _subscribe(session, argv, Kind.SHARD)


@command("UNSUBSCRIBE", arity=-1, flags=_SUBSCRIBER, since="2.0.0")
def unsubscribe(session: Session, argv: Argv) -> Pending:
    """Listen no more to these channels, or to any."""
    return _unsubscribe(session, argv, Kind.CHANNEL)


@command("PUNSUBSCRIBE", arity=-1, flags=_SUBSCRIBER, since="2.0.0")
def punsubscribe(session: Session, argv: Argv) -> Pending:
    """Listen no more by these patterns, or by any."""
    return _unsubscribe(session, argv, Kind.PATTERN)


@command("SUNSUBSCRIBE", arity=-1, flags=_SUBSCRIBER, since="7.0.0", slots=ALL)
def sunsubscribe(session: Session, argv: Argv) -> Pending:
    """Listen no more to these sharded channels, or to any."""
    return _unsubscribe(session, argv, Kind.SHARD)


family("PUBSUB", since="2.8.0", group="pubsub", help_since="6.2.0")


@command("PUBSUB|CHANNELS", arity=-2, flags=_OBSERVER, since="2.8.0")
def pubsub_channels(session: Session, argv: Argv) -> Pending:
    """List the channels that anybody in the cluster listens to, all or those that match a pattern."""
    return _names(session, argv, Kind.CHANNEL)


@command("PUBSUB|SHARDCHANNELS", arity=-2, flags=_OBSERVER, since="7.0.0")
def pubsub_shardchannels(session: Session, argv: Argv) -> Pending:
    """List the sharded channels that anybody in the cluster listens to, all or those that match a pattern."""
    return _names(session, argv, Kind.SHARD)


@command("PUBSUB|NUMSUB", arity=-2, flags=_OBSERVER, since="2.8.0")
def pubsub_numsub(session: Session, argv: Argv) -> Pending:
    """Count the clients in the cluster that listen to each channel."""
    return _counts(session, argv, Kind.CHANNEL)


@command("PUBSUB|SHARDNUMSUB", arity=-2, flags=_OBSERVER, since="7.0.0")
def pubsub_shardnumsub(session: Session, argv: Argv) -> Pending:
    """Count the clients in the cluster that listen to each sharded channel."""
    return _counts(session, argv, Kind.SHARD)


@command("PUBSUB|NUMPAT", arity=2, flags=_OBSERVER, since="2.8.0")
def pubsub_numpat(session: Session, argv: Argv) -> Pending:
    """Count the different patterns that anybody in the cluster listens by."""
    del argv
    exchange = session.host.exchange
    patterns = exchange.audiences.tables[Kind.PATTERN]
    return exchange.count(Kind.PATTERN, [], lambda _: encode(len(patterns), session.protocol))


def _subscribe(session: Session, argv: Argv, kind: Kind) -> Pending:
    """Add subscriptions; they are confirmed when the other nodes know of them."""
    exchange = session.host.exchange
    if session.transmit is None:
        raise NoConnection
    exchange.check_room(session, kind, argv[1:])
    before = exchange.take(session)
    confirmations: list[bytes] = []
    for name in argv[1:]:
        session.subscribed += exchange.subscribe(session, kind, name)
        confirmations.append(_confirmation(session, argv, kind, name))
    session.restrict()
    return exchange.when_known(before + b"".join(confirmations))


def _unsubscribe(session: Session, argv: Argv, kind: Kind) -> Pending:
    """End subscriptions, those named or all of a kind; one without any is told so once."""
    exchange = session.host.exchange
    confirmations = [exchange.take(session)]
    names: list[bytes] = argv[1:] or list(exchange.names_of(session, kind))
    for name in names:
        session.subscribed -= exchange.unsubscribe(session, kind, name)
        confirmations.append(_confirmation(session, argv, kind, name))
    if not names:
        confirmations.append(_confirmation(session, argv, kind, None))
    session.restrict()
    done = Pending()
    done.resolve(b"".join(confirmations))
    return done


def _confirmation(session: Session, argv: Argv, kind: Kind, name: bytes | None) -> bytes:
    """Tell what was done, and how many subscriptions there are now: channels and patterns together, or sharded."""
    exchange = session.host.exchange
    sharded = len(exchange.names_of(session, Kind.SHARD))
    count = sharded if kind is Kind.SHARD else session.subscribed - sharded
    return encode(Push([argv[0].lower(), name, count]), session.protocol)


def _names(session: Session, argv: Argv, kind: Kind) -> Pending:
    if len(argv) > 3:
        raise CommandError(f"unknown subcommand or wrong number of arguments for '{echoed(argv[1])}'. Try PUBSUB HELP.")
    exchange = session.host.exchange
    fits = matcher(argv[2]) if len(argv) == 3 else None
    names = exchange.audiences.tables[kind]

    def listed(_counts: list[int]) -> bytes:
        return encode([name for name in names if fits is None or fits(name)], session.protocol)

    return exchange.count(kind, [], listed)


def _counts(session: Session, argv: Argv, kind: Kind) -> Pending:
    names = argv[2:]

    def paired(counts: list[int]) -> bytes:
        pairs: list[Reply] = [part for pair in zip(names, counts, strict=True) for part in pair]
        return encode(pairs, session.protocol)

    return session.host.exchange.count(kind, names, paired)


def _stay(session: Session, channels: list[bytes]) -> None:
    """Send a client that knows the slots to the owner of sharded channels. Raises Moved or CrossSlot.

    Other clients may stay on any node: messages find them.
    """
    moves = [session.host.redirection(session, channel) for channel in channels]
    moved = next((move for move in moves if move is not None), None)
    if moved is not None:
        raise moved if len({slot_of(channel) for channel in channels}) == 1 else CrossSlot
