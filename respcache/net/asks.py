"""What one peer has asked and this node has not run yet, because the peer has to read the answers to the rest first."""

from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from respcache.net.messages import Ask

Run = Callable[[Ask], int]
"""Runs the requests of a message, or the first of them; returns how many."""


class Asks:
    """The commands that came in over one link, run as fast as their answers are read.

    idle --take--> running --answers get large--> waiting for the next turn of the loop --go on--> running
                      `--- link is full ----> waiting for it --resume--> running

    One client can ask for gigabytes with a few kilobytes of requests. At a node that is the owner of the keys its batch
    ends early, and goes on when it has read. What is relayed was run at once, however much it was: 3,000 GETs of a
    megabyte took 2.4 GB at the owner, and the link was cut for what was left unread on it, to the harm of all clients.

    Nothing else that comes in over the link waits meanwhile: effects, acks and what the nodes agree on. So there is no
    circle of nodes that wait for each other to read.
    """

    def __init__(self, run: Run, soon: Callable[[Callable[[], None]], object]) -> None:
        """`soon` calls a function in the next turn of the event loop, behind what is written at the end of this one."""
        self._run: Final = run
        self._soon: Final = soon
        self._waiting: Final[deque[Ask]] = deque()
        self._full = False

    def __len__(self) -> int:
        """Count the messages of which something is still to be run."""
        return len(self._waiting)

    def take(self, ask: Ask) -> None:
        """Run what has come in, behind what waits."""
        self._waiting.append(ask)
        if len(self._waiting) == 1:
            self._go_on()

    def pause(self) -> None:
        """Run nothing more: the link holds as much as it may."""
        self._full = True

    def resume(self) -> None:
        """Go on."""
        self._full = False
        self._go_on()

    def clear(self) -> None:
        """Forget what waits: nobody is there any more who wants the answers."""
        self._waiting.clear()

    def _go_on(self) -> None:
        waiting = self._waiting
        while waiting and not self._full:
            ask = waiting[0]
            ran = self._run(ask)
            if not waiting:
                return  # the link was lost with it
            if ran < len(ask.requests):
                waiting[0] = replace(ask, requests=ask.requests[ran:])
                self._soon(self._go_on)
                return
            waiting.popleft()
