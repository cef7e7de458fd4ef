"""Copies of which this node has said that they are in sync, until that is decided."""

from respcache.cluster.ownership.record import Life


class Vouched:
    """Which they are, by partition and life. Until all that was said of one is decided, it may be the primary next.

    It may be said again before an answer is there, of a newer revision: the answer to the former is none to that.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[int, Life], set[int]] = {}
        """The revisions that it was said of."""

    def say(self, partition: int, life: Life, revision: int) -> None:
        """Say that a copy is in sync, as of a revision of its partition's entry."""
        self._said.setdefault((partition, life), set()).add(revision)

    def decided(self, partition: int, life: Life, revision: int) -> None:
        """What was said as of a revision has been decided, one way or the other."""
        said = self._said.get((partition, life), set())
        said.discard(revision)
        if not said:
            self._said.pop((partition, life), None)

    def __contains__(self, copy: tuple[int, Life]) -> bool:
        """Whether a copy may count by now."""
        return copy in self._said
