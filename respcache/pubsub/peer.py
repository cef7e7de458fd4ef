"""What this node and one other have told each other, and what they wait for."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from respcache.errors import ProtocolError
from respcache.pubsub.audience import Kind, size_of
from respcache.pubsub.gathering import Gathering
from respcache.pubsub.wire import (
    ITEMS_BYTES,
    ITEMS_MAX,
    NAMES_MAX,
    Asked,
    Choice,
    Counted,
    Heard,
    Message,
    Name,
    Published,
    Told,
)

TOLD_MAX_BYTES: Final = 2 * 1024 * 1024 * 1024
"""What a peer's names may take here. Its own limit (`pubsub-memory-max`) keeps it well below."""

Take = Callable[[Sequence[int]], None]
"""Takes the counts of an answer; none if the answer does not come."""


class OutOfStep(ProtocolError):
    """A peer's messages do not follow each other. Nothing was changed; a new link starts anew."""


@dataclass(slots=True)
class _Waiting:
    """Somebody who waits for an answer."""

    number: int
    width: int
    """How many counts the answer has."""
    take: Take
    deadline_s: float = math.inf
    """Set by the first sweep that finds it."""


class Peer:
    """One other node. Between two links nothing is known of it.

    Either side tells the other which names have listeners, and begins anew with every link:

        apart --connect: a new epoch--> tells all (0, 1 ...) --names come and go: the next number--.
          ^-------------------------------- disconnect --------------------------------------------'

        knows nothing --0 of a newer epoch--> knows --the next number--> knows
                                                `-- a gap, a repetition: OutOfStep, the link is cut

    So whatever is late from an earlier link, or from an earlier run of the peer, is told by its epoch.
    """

    def __init__(self) -> None:
        self.names: Final[set[Name]] = set()
        """What it has told: names with listeners there."""
        self.connected = False
        self._names_bytes = 0
        self._heard = (-1, 0)
        """Epoch and number of the last Told from it."""
        self._owes_heard = False
        self._epoch = 0
        self._number = -1
        """Of the last Told to it."""
        self._choices: tuple[Choice, ...] | None = None
        """Which settings hold for all nodes; None if it has been told."""
        self._changes: list[tuple[bool, Name]] = []
        """What it is to be told next: whether there are listeners now."""
        self._untold: list[Take] = []
        """Who waits until it has heard `_changes`."""
        self._unheard: deque[_Waiting] = deque()
        """Who waits until it has heard what was told."""
        self._asked = 0
        self._items: list[tuple[Kind, bytes, bytes]] = []
        self._items_bytes = 0
        self._gatherings: list[Gathering] = []
        """Whoever waits for the counts of `_items`."""
        self._unanswered: dict[int, _Waiting] = {}
        self._out: list[Message] = []

    # -- links ----------------------------------------------------------------------------

    def connect(self, epoch: int, names: Iterable[Name]) -> None:
        """Begin a link: tell all names. The epoch is greater than any before."""
        self.connected = True
        self._epoch, self._number = epoch, -1
        self._changes = [(True, name) for name in names]

    def disconnect(self) -> None:
        """End a link: whoever waits goes without."""
        self.connected = False
        self._changes, self._out, self._owes_heard = [], [], False
        items, self._items, self._items_bytes = self._gatherings, [], 0
        untold, self._untold = self._untold, []
        waiting = [*self._unheard, *self._unanswered.values()]
        self._unheard.clear()
        self._unanswered.clear()
        self._gatherings = []
        for entry in waiting:
            entry.take(())
        _share(items, ())
        for take in untold:
            take(())

    # -- what it is told and asked ----------------------------------------------------------

    def tell(self, name: Name, *, joined: bool) -> None:
        """Tell it that a name has got listeners here, or has none any more."""
        self._changes.append((joined, name))

    def tell_choices(self, choices: tuple[Choice, ...]) -> None:
        """Tell it which settings hold for all nodes."""
        self._choices = choices

    @property
    def settled(self) -> bool:
        """Whether it has heard all that there is to tell."""
        return not self._changes and self._choices is None and not self._unheard

    def when_settled(self, take: Take) -> None:
        """Call back once it has heard all that there is to tell now; it has not yet."""
        if self._changes or self._choices is not None:
            self._untold.append(take)
        else:
            self._unheard.append(_Waiting(self._number, 0, take))

    def publish(self, kind: Kind, channel: bytes, payload: bytes, gathering: Gathering) -> None:
        """Have something published there; the gathering gets the number of receivers."""
        self._items.append((kind, channel, payload))
        self._gatherings.append(gathering)
        self._items_bytes += len(channel) + len(payload)
        if len(self._items) == ITEMS_MAX or self._items_bytes > ITEMS_BYTES:
            self._seal()

    def ask(self, kind: Kind, names: list[bytes], gathering: Gathering) -> None:
        """Have listeners counted there; the gathering gets a count for each name."""
        self._seal()
        self._out.append(Asked(self._wait(len(names), gathering.arrived), kind, names))

    def answer(self, number: int, counts: list[int]) -> None:
        """Answer what it has asked."""
        self._out.append(Counted(number, counts))

    def take_out(self) -> list[Message]:
        """Give all that is to be sent, in order."""
        told = list(self._tell_changes())
        if told:
            self._unheard.extend(_Waiting(self._number, 0, take) for take in self._untold or [_nobody])
            self._untold = []
        if self._owes_heard:
            self._owes_heard = False
            told.append(Heard(*self._heard))
        self._seal()
        out, self._out = self._out, []
        return told + out

    # -- what it tells and answers ------------------------------------------------------------

    def begins_anew(self, told: Told) -> bool:
        """Tell whether what it told before does not hold any more."""
        return told.number == 0 and told.epoch > self._heard[0]

    def forget(self) -> None:
        """Forget what it told."""
        self.names.clear()
        self._names_bytes = 0

    def hear(self, told: Told) -> tuple[list[Name], list[Name]]:
        """Take in which names it has listeners for; return those that are new, and those that are gone.

        If it `begins_anew`, what it told before must have been forgotten. Raises OutOfStep.
        """
        epoch, number = self._heard
        if told.epoch < epoch:
            return [], []
        if (told.epoch, told.number) != (epoch, number + 1) and not self.begins_anew(told):
            raise OutOfStep(f"{told.epoch}.{told.number} follows {epoch}.{number}")
        self._heard = (told.epoch, told.number)
        self._owes_heard = True
        joined = [name for name in told.joined if name not in self.names]
        self.names.update(joined)
        gone = [name for name in told.quit if name in self.names]
        self.names.difference_update(gone)
        self._names_bytes += sum(size_of(*name) for name in joined)
        self._names_bytes -= sum(size_of(*name) for name in gone)
        if self._names_bytes > TOLD_MAX_BYTES:
            raise ProtocolError("the names with listeners there take more than they may")
        return joined, gone

    def heard(self, heard: Heard) -> None:
        """Note what it has heard; those who wait for that go on."""
        if heard.epoch != self._epoch:
            return
        while self._unheard and self._unheard[0].number <= heard.number:
            self._unheard.popleft().take(())

    def counted(self, counted: Counted) -> None:
        """Take an answer; one that nobody waits for any more is ignored. Raises ProtocolError if it is no answer."""
        waiting = self._unanswered.get(counted.number)
        if waiting is None:
            return
        if len(counted.counts) != waiting.width:
            raise ProtocolError(f"{len(counted.counts)} counts for {waiting.width}")
        del self._unanswered[counted.number]
        waiting.take(counted.counts)

    def sweep(self, now: float, patience_s: float) -> None:
        """Let those go without who have waited for too long."""
        late: list[Take] = []
        for waiting in (*self._unheard, *self._unanswered.values()):
            if waiting.deadline_s == math.inf:
                waiting.deadline_s = now + patience_s
            elif waiting.deadline_s <= now:
                late.append(waiting.take)
                waiting.take = _nobody
        self._unanswered = {number: entry for number, entry in self._unanswered.items() if entry.take is not _nobody}
        for take in late:
            take(())

    # -- inside -------------------------------------------------------------------------------

    def _tell_changes(self) -> Iterator[Message]:
        """Put the changes into messages of limited size, each name at most once: its last state counts."""
        changes, self._changes = {name: joined for joined, name in self._changes}, []
        batch: tuple[list[Name], list[Name]] = ([], [])
        size_bytes = 0
        for name, joined in changes.items():
            batch[not joined].append(name)
            size_bytes += len(name[1])
            if len(batch[0]) + len(batch[1]) == NAMES_MAX or size_bytes > ITEMS_BYTES:
                yield self._next(*batch)
                batch, size_bytes = ([], []), 0
        if batch[0] or batch[1] or self._choices is not None or self._number < 0:
            yield self._next(*batch)

    def _next(self, joined: list[Name], gone: list[Name]) -> Told:
        self._number += 1
        choices, self._choices = self._choices, None
        return Told(self._epoch, self._number, joined, gone, choices or ())

    def _seal(self) -> None:
        """Close the batch of publications."""
        if self._items:
            number = self._wait(len(self._items), partial(_share, self._gatherings))
            self._out.append(Published(number, self._items))
            self._items, self._items_bytes, self._gatherings = [], 0, []

    def _wait(self, width: int, take: Take) -> int:
        self._asked += 1
        self._unanswered[self._asked] = _Waiting(self._asked, width, take)
        return self._asked


def _share(gatherings: list[Gathering], counts: Sequence[int]) -> None:
    """Give each its count, the last one first: the first in a client's queue then takes all of them along."""
    for place in range(len(gatherings) - 1, -1, -1):
        gatherings[place].arrived(counts[place : place + 1])


def _nobody(_counts: Sequence[int]) -> None:
    """Wait for an answer on nobody's behalf."""
