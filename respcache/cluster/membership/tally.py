"""Counts how often members changed their state, as this node saw it."""

from typing import Final

from respcache.cluster.membership.effects import Died, Event, Joined, Left, Recovered, Suspected

DEATHS_REMEMBERED_MAX: Final = 1_024
"""Dead members whose return would be noticed; of more, the latest."""

_BECAME: Final[dict[type[Event], str]] = {
    Joined: "alive",
    Recovered: "alive",
    Suspected: "suspect",
    Died: "dead",
    Left: "left",
}


class Tally:
    """Transitions by the new state, and flaps: members held dead that turned out to be alive all the time."""

    def __init__(self) -> None:
        self.transitions: Final = dict.fromkeys(("alive", "suspect", "dead", "left"), 0)
        self.flaps = 0
        self._dead: Final[dict[str, int]] = {}
        """Run epochs of the dead, by name; the latest death last."""

    def count(self, event: Event) -> None:
        """Take an event into account."""
        became = _BECAME.get(type(event))
        if became is not None:
            self.transitions[became] += 1
        match event:
            case Died(member):
                self._dead.pop(member.name, None)
                self._dead[member.name] = member.epoch_unix_ms
                if len(self._dead) > DEATHS_REMEMBERED_MAX:
                    del self._dead[next(iter(self._dead))]
            case Joined(member):
                self.flaps += self._dead.pop(member.name, None) == member.epoch_unix_ms
            case _:
                pass
