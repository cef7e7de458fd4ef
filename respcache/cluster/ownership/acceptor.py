"""One voter's memory: what it has promised, and what it has accepted. The other half of CASPaxos is `proposer`.

CASPaxos (Rystsov, "CASPaxos: Replicated State Machines without logs", 2018) agrees on one value that is
changed by functions, with no log. Here the value is the control record, and its version says in
which term and as which change of that term it was made, so versions order what was accepted as
ballots do elsewhere.

The memory is RAM alone. A voter that restarts has forgotten its promises, and is therefore not the
voter that it was: the record names lives, and the new life has to be enrolled.
"""

from respcache.cluster.ownership.record import NOTHING, Record, Version


class Acceptor:
    """Promises and acceptances of one life of a node. They are kept, whether or not it is a voter at the moment."""

    __slots__ = ("accepted", "promised")

    def __init__(self) -> None:
        self.promised = 0
        """Nothing of an earlier term will be accepted."""
        self.accepted: Record | None = None

    @property
    def version(self) -> Version:
        """The version of what was accepted."""
        return NOTHING if self.accepted is None else self.accepted.version

    def promise(self, term: int) -> bool:
        """Bind this voter to a term. A term belongs to one proposer, so its repetition is no other's."""
        if term < self.promised:
            return False
        self.promised = term
        return True

    def accept(self, record: Record) -> bool:
        """Take a record in, unless a later term was promised."""
        if record.version[0] < self.promised or record.version < self.version:
            return False
        self.promised, self.accepted = record.version[0], record
        return True

    def learn(self, record: Record) -> None:
        """Hold what was chosen. That is no vote: it adds a copy of what a majority holds already.

        What had been accepted of the same version or an earlier one was not chosen, or led to this.
        """
        if record.version >= self.version:
            self.accepted = record
        self.promised = max(self.promised, record.version[0])
