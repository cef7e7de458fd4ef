"""Asking a member for a sign of life: one probe, and the order in which members have their turn."""

import enum
import random
from collections.abc import Collection, Sequence


class Step(enum.Enum):
    """What a probe asks for when its deadline passes."""

    ASK_HELPERS = enum.auto()
    GIVE_UP = enum.auto()


class Probe:
    """One member is pinged, then helpers are asked, then it is given up.

    direct --tick--> ASK_HELPERS, indirect --tick--> GIVE_UP
       `------------------ack------------------> (dropped by the owner)

    The owner sends the first ping as it makes the probe, and drops the probe
    when an ack arrives. A late tick delays the verdict and never skips the
    helpers: our own delay is no evidence against a peer.
    """

    __slots__ = ("_asked", "_rtt_s", "deadline", "gives_up_at", "helpers", "nacks", "round_no", "started_at", "target")

    def __init__(
        self, now: float, *, round_no: int, target: str, helpers: Sequence[str], rtt_s: float, period_s: float
    ) -> None:
        self.round_no, self.target, self.helpers = round_no, target, tuple(helpers)
        self.nacks: set[str] = set()
        """Helpers that said they got no answer either, and thereby that our own link works."""
        self.started_at = now
        self.gives_up_at = now + period_s
        self.deadline = now + rtt_s
        self._rtt_s = rtt_s
        self._asked = False

    @property
    def direct(self) -> bool:
        """Whether an ack would still be the answer to the direct ping."""
        return not self._asked

    @property
    def nacks_missing(self) -> int:
        """Helpers that said nothing at all: a hint that it is this node that hears badly."""
        return len(self.helpers) - len(self.nacks)

    def tick(self, now: float) -> Step | None:
        """Advance to `now`; None before the deadline."""
        if now < self.deadline:
            return None
        if self._asked:
            return Step.GIVE_UP
        self._asked = True
        self.deadline = max(self.gives_up_at, now + self._rtt_s)
        return Step.ASK_HELPERS


class ProbeOrder:
    """A random permutation of the members, drawn anew when it is used up.

    Thereby each member is probed by each other one at least every 2n - 1
    rounds, and the time to the first suspicion does not grow with n (SWIM,
    Das et al., 2002). Those in a hurry go first. Each turn draws its member
    from those that wait, which is a permutation without ever shuffling one.
    """

    __slots__ = ("_hurried", "_rng", "_waiting")

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._waiting: list[str] = []
        self._hurried: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Let a new member have its turn within the running permutation."""
        self._waiting.append(name)

    def hurry(self, name: str) -> None:
        """Let a member have the next turn."""
        self._hurried[name] = None

    def next(self, peers: Collection[str], *, busy: Collection[str] = ()) -> str | None:
        """Name the next of `peers` to probe, passing over those that are `busy`; None when nobody is left."""
        while self._hurried:
            name = next(iter(self._hurried))
            del self._hurried[name]
            if name in peers and name not in busy:
                return name
        for _ in range(2):
            while self._waiting:
                name = self._draw()
                if name in peers and name not in busy:
                    return name
            self._waiting = list(peers)
        return None

    def _draw(self) -> str:
        waiting = self._waiting
        place = self._rng.randrange(len(waiting))
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
        return waiting.pop()
