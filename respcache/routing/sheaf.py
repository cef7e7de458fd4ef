"""The commands of one batch of a client that one other node runs."""

from bisect import bisect_left
from operator import itemgetter
from typing import Final, TypeAlias

from respcache.commands.session import Turns
from respcache.pending import Pending
from respcache.store.partition import Argv

Sent: TypeAlias = tuple[int, tuple[int, ...], Argv]
"""What is asked of another node: the number that the answer will have, the partitions, argv."""
NUMBER: Final = itemgetter(0)


class Sheaf(Pending):
    """Commands that go to one node, each asked and answered by itself, and one object for all of them.

    In the client's queue of replies it stands in the place of each command. `wire` is the reply to the first of them
    that has not been taken, and None while that is not there, be others there or not:

        waiting --come, the next one--> its reply in `wire` --take--> waiting, or that of the one behind it
    """

    __slots__ = ("_abandoned", "_at", "_wires", "database", "deadline_s", "protocol", "requests", "turns", "version")

    def __init__(
        self, turns: Turns, *, database: int, protocol: int, version: tuple[int, int], deadline_s: float
    ) -> None:
        """`turns` is the client, `version` that of the record by which the node was found, the deadline monotonic."""
        super().__init__()
        self.turns: Final = turns
        self.database: Final = database
        self.protocol: Final = protocol
        self.version: Final = version
        self.deadline_s: Final = deadline_s
        self.requests: Final[list[Sent]] = []
        """All of them, in the client's order; their numbers rise."""
        self._at = 0
        """How many replies have been taken."""
        self._wires: Final[dict[int, bytes]] = {}
        """The replies that have come and were not taken, by number."""
        self._abandoned = False
        """Whether nobody takes any more."""

    def sent(self, request: Sent) -> None:
        """Take note of one more command that is on its way."""
        self.requests.append(request)
        turns = self.turns
        turns.under_way += 1
        turns.sent += 1

    @property
    def partitions(self) -> set[int]:
        """The partitions of all commands whose replies were not taken yet."""
        return {number for _, partitions, _ in self.requests[self._at :] for number in partitions}

    @property
    def argv(self) -> Argv:
        """The command whose reply is the next to be taken."""
        return self.requests[self._at][2]

    def request(self, number: int) -> Sent:
        """Find what was asked under a number."""
        return self.requests[bisect_left(self.requests, number, key=NUMBER)]

    def come(self, number: int, wire: bytes) -> None:
        """Give the reply to one of them."""
        if self._abandoned:
            return
        self._wires[number] = wire
        if self.requests[self._at][0] == number:
            self.resolve(wire)

    def take(self) -> None:
        """Go on to the next reply: the one in `wire` is on its way to the client."""
        requests, at = self.requests, self._at
        del self._wires[requests[at][0]]
        self._at = at = at + 1
        self.wire = self._wires.get(requests[at][0]) if at < len(requests) else None

    def held_bytes(self) -> int:
        """Tell how much is here for the client that it has not been sent: all that has come and was not taken."""
        return sum(map(len, self._wires.values()))

    def abandon(self) -> None:
        """Forget who waits, and the replies: the client is gone."""
        super().abandon()
        self._abandoned, self.wire = True, None
        self._wires.clear()
