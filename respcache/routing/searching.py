"""Scripts that another node knows: looked for when a digest is unknown here, and taken in.

So a script that was run on one node can be run by its digest on any, as on one Redis; and a
node that has joined needs no list of them.

    EVALSHA --unknown here--> all owners are asked --> found: taken in --> run
                                                   `-> not found --------> run, which answers NOSCRIPT
"""

from collections.abc import Callable
from typing import Final, Protocol

from respcache.cluster.ownership.slots import EVERYWHERE
from respcache.commands.registry import Command, lookup
from respcache.commands.stage import Scripts
from respcache.commands.traits import BY_DIGEST
from respcache.errors import CommandError
from respcache.resp.encode import NULL_2, bulk
from respcache.routing.internal import SCRIPT, UNITS
from respcache.routing.order import Order
from respcache.store.partition import Argv

SPELT: Final = frozenset(name.encode() for name in BY_DIGEST)


class Orders(Protocol):
    """Has a command run wherever its partitions are."""

    def __call__(self, row: Command, argv: Argv, partitions: tuple[int, ...], /) -> Order:
        """Give the order, under way."""


class Search:
    """Finds the scripts that orders name, before they are run."""

    def __init__(self, scripts: Scripts, *, order: Orders, again: Callable[[Order], None]) -> None:
        """`again` takes the order back once the others have answered."""
        self._scripts: Final = scripts
        self._order: Final = order
        self._again: Final = again

    def carried(self, row: Command, argv: Argv) -> tuple[Command, Argv] | None:
        """Give a command as its owner can run it in one step, if it can: a script by its text, which has to confine it.

        Then no later command of its client can overtake it, neither there nor elsewhere.
        """
        if row.on_script is None:
            return (row, argv) if row.beyond is None else None
        text = self._scripts.confined(row, argv)
        if text is None or not row.by_digest:
            return None if text is None else (row, argv)
        plain = lookup(row.name.replace("SHA", "").encode())
        assert plain is not None
        return plain, [plain.name.encode(), text, *argv[2:]]

    def begun(self, order: Order) -> bool:
        """Ask the other nodes for the scripts that an order needs and that are not known here, if there are any."""
        row = order.row
        if order.searched or not (row.by_digest or row in UNITS):
            return False
        wanted = self._wanted(order)
        order.searched = True
        if not wanted:
            return False
        asked = [self._order(SCRIPT, [SCRIPT.name.encode(), digest], EVERYWHERE) for digest in wanted]
        missing = len(asked)

        def answered() -> None:
            nonlocal missing
            missing -= 1
            if not missing:
                self._end(order, asked)

        for ask in asked:
            ask.then(answered)
        return True

    def answer(self, order: Order) -> None:
        """Run `SCRIPT digest`: answer with the text of a script, or null."""
        text = self._scripts.text(order.argv[1]) if len(order.argv) == 2 else None
        order.resolve(NULL_2 if text is None else bulk(text))

    def _wanted(self, order: Order) -> list[bytes]:
        """List the digests of scripts that are not known here.

        In a unit that came from another node a value may be taken for a command; then one search is in vain.
        """
        argv, places = order.argv, [0]
        if order.unit is not None:
            digests = [call.argv[1] for call in order.unit.calls if call.row.by_digest]
        else:
            if order.row in UNITS:
                places = [at for at, word in enumerate(argv[:-1]) if word.upper() in SPELT]
            digests = [argv[at + 1] for at in places]
        return [digest for digest in dict.fromkeys(digests) if self._scripts.text(digest) is None]

    def _end(self, order: Order, asked: list[Order]) -> None:
        for ask in asked:
            wire = ask.wire or b""
            if not wire.startswith(b"$") or wire == NULL_2:
                continue
            try:
                self._scripts.load(wire[wire.index(b"\n") + 1 : -2])
            except CommandError as refusal:
                order.fail(refusal)
                return
        self._again(order)
