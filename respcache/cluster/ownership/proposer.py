"""The proposing half of CASPaxos: make the voters promise a term, then have them accept one version after the other.

    idle --prepare--> preparing --a majority has promised--> leading --begin--> round --a majority has accepted--.
     ^                    |                                   ^  |                                               |
     `---- step down -----'---------- step down --------------|--'                                               |
                                                              `------------------- chosen -----------------------'

Within a term the promises hold for every version, so a change is one round trip. What a
new term begins with is the newest record that any of a majority has accepted: it may
have been chosen, so it is accepted again before, or together with, anything new.

Which majority. A version is chosen by a majority of its electors: the voters of the chosen record that
it was edited from. One edit adds or removes at most one voter, so majorities before and after meet. Whoever prepares
looks at the newest record R that is shown to it. What it must not miss is a record chosen in R's place, by
R's electors, or as R's successor, by R's voters. So it needs promises from enough of either
to meet every majority of them. R itself may or may not have been chosen; it is proposed again to
its own electors, with changes of anything but the voters.
"""

from dataclasses import dataclass, field

from respcache.cluster.ownership.acceptor import Acceptor
from respcache.cluster.ownership.record import Life, Record, Version, blocking, majority


@dataclass(slots=True)
class Preparation:
    """A term that is being promised."""

    term: int
    newest: Record
    promised: dict[Life, Version]
    """By voter that has promised: the version that it has accepted."""
    asked: set[Life] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether enough have promised."""
        newest, promised = self.newest, self.promised
        return all(
            sum(voter.life in promised for voter in voters) >= blocking(len(voters))
            for voters in (newest.electors, newest.voters)
        )

    @property
    def electorate(self) -> dict[Life, str]:
        """Whom to ask: lives and their names."""
        return {voter.life: voter.name for voter in (*self.newest.electors, *self.newest.voters)}


@dataclass(slots=True)
class Round:
    """One version that is being accepted."""

    record: Record
    accepted: set[Life]
    proposers: list[tuple[str, int]]
    """Who has to be told, and by which number, that a change of theirs is decided."""

    @property
    def chosen(self) -> bool:
        """Whether a majority has accepted."""
        electors = self.record.electors
        return sum(voter.life in self.accepted for voter in electors) >= majority(len(electors))

    @property
    def audience(self) -> dict[Life, str]:
        """Who should accept: lives and their names. Those that do not elect are to know what they will vote on."""
        return {voter.life: voter.name for voter in (*self.record.electors, *self.record.voters)}


class Proposer:
    """What one node knows of the term that it proposes in."""

    __slots__ = ("holds", "me", "preparation", "round", "term")

    def __init__(self, me: Life) -> None:
        self.me = me
        self.term: int | None = None
        """The term in which this node leads."""
        self.preparation: Preparation | None = None
        self.round: Round | None = None
        self.holds: dict[Life, Version] = {}
        """The version that each voter is known to have accepted last, as far as this term knows."""

    @property
    def idle(self) -> bool:
        """Whether this node neither leads nor tries to."""
        return self.term is None and self.preparation is None

    def prepare(self, term: int, acceptor: Acceptor, known: Record) -> None:
        """Begin a term with this node's own promise."""
        assert acceptor.promise(term)
        held = acceptor.accepted
        newest = known if held is None or held.version < known.version else held
        self.step_down()
        self.preparation = Preparation(term, newest, {self.me: newest.version})

    def promised(self, life: Life, version: Version, record: Record | None) -> None:
        """Count a promise, and what came with it."""
        preparation = self.preparation
        assert preparation is not None
        preparation.promised[life] = version
        if record is not None and record.version > preparation.newest.version:
            preparation.newest = record

    def learn(self, record: Record) -> None:
        """Go on from what was chosen meanwhile: voters do not show what this node says it has."""
        if self.preparation is not None and record.version > self.preparation.newest.version:
            self.preparation.newest = record

    def lead(self) -> Record:
        """Begin to lead; return the record to go on from."""
        preparation = self.preparation
        assert preparation is not None
        self.preparation, self.term, self.holds = None, preparation.term, preparation.promised
        return preparation.newest

    def begin(self, record: Record, proposers: list[tuple[str, int]]) -> Round:
        """Begin to have a version accepted."""
        assert self.round is None
        self.round = Round(record, set(), proposers)
        return self.round

    def accepted(self, life: Life, version: Version) -> None:
        """Count an acceptance."""
        self.holds[life] = version
        if self.round is not None and self.round.record.version == version:
            self.round.accepted.add(life)

    def step_down(self) -> None:
        """Propose no more in this term. What was begun may still come to be chosen, by somebody else's doing."""
        self.term = self.preparation = self.round = None
        self.holds = {}
