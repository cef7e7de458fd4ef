"""Copies of which this node has said that they are in sync, until that is decided."""


class Vouched:
    """Which they are. Until all that was said of one is decided, it may count by now, and be the primary next.

    It may be said again before an answer is there, of a newer revision: the answer to the former is none to that.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[int, str], set[int]] = {}
        """The revisions that it was said of, by partition and name."""

    def say(self, partition: int, name: str, revision: int) -> None:
        """Say that a copy is in sync, as of a revision of its partition's entry."""
        self._said.setdefault((partition, name), set()).add(revision)

    def decided(self, partition: int, name: str, revision: int) -> None:
        """What was said as of a revision has been decided, one way or the other."""
        said = self._said.get((partition, name), set())
        said.discard(revision)
        if not said:
            self._said.pop((partition, name), None)

    def __contains__(self, copy: tuple[int, str]) -> bool:
        """Whether a copy, by partition and name, may count by now."""
        return copy in self._said
