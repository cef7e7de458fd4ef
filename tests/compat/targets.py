"""What is compared with Redis: the commands alone, or nodes behind their sockets."""

from typing import Final, Protocol

from compat.wire import Frame, parse
from respcache.commands import families  # noqa: F401 # it fills the table
from respcache.commands.resolving import resolve
from respcache.errors import CommandError
from respcache.reply import NULL_ARRAY, Waits
from respcache.resp.encode import encode
from respcache.store.keyspace import Store
from respcache.store.partition import Argv


class Target(Protocol):
    """Whoever answers calls."""

    def run(self, calls: list[Argv]) -> list[Frame]:
        """Make calls in order, and give a reply for each."""
        ...


class Direct:
    """Table, handlers and encoder without a server around them."""

    def __init__(self, *, protocol: int = 2, now_unix_ms: int) -> None:
        self._store: Final = Store()
        self._store.ledger.now_unix_ms = now_unix_ms
        self._protocol: Final = protocol
        self._space = self._store.keyspace(0)

    def run(self, calls: list[Argv]) -> list[Frame]:
        """Make calls in order, and give a reply for each."""
        frames = [parse(self._wire(argv), 0) for argv in calls]
        return [frame for frame in frames if frame is not None]

    def _wire(self, argv: Argv) -> bytes:
        if argv[0] == b"SELECT":
            self._space = self._store.keyspace(int(argv[1]))
            return b"+OK\r\n"
        try:
            row = resolve(argv)
            if row.key_at:
                return encode(row.on_key(self._space.at(argv[row.key_at]), argv), self._protocol)
            assert row.on_keys is not None, f"{row.name} needs a session"
            reply = row.on_keys(self._space, argv)
            return encode(NULL_ARRAY if isinstance(reply, Waits) else reply, self._protocol)  # its time is over at once
        except CommandError as refusal:
            return encode(refusal, self._protocol)
