"""Who should vote on the record: as many members as make it safe, and no more than make it slow."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from respcache.cluster.ownership.changes import Change, Dismiss, Enrol
from respcache.cluster.ownership.record import (
    PAIR,
    SEATS,
    VOTERS_MAX,
    Life,
    Node,
    Record,
    Standing,
    Voter,
    majority,
    next_term,
)

FORCED_SEATS: Final = 2**14
"""Where a record goes on without a majority, seats are numbered from a random place in so many, so that the
two sides of a split do not give the same ones."""
FORCED_ROUNDS: Final = 2**16
"""So many terms at least, and less than twice as many, are left out where a record goes on without a majority: more
than the other side begins until the split heals. So which side's record is the newer one stays as it is: who has given
up what it had for that side's truth must not be made to go on from its own, by what was yet to be decided there."""


def wanted(members: int) -> int:
    """Return how many of so many members should vote: an odd number, but two of two.

    An even number outlives no more deaths than the odd one below it, and needs one more vote.
    """
    return members if members <= PAIR else min(VOTERS_MAX, members - (members + 1) % 2)


def next_voter_change(record: Record, present: Mapping[str, int], heard: Collection[str]) -> Change | None:
    """Return the one change of the voters to make now; None if all is well, or if no majority would be heard of then.

    `present` gives the run epoch of members that are not dead, `heard` names those of them that have just been heard
    of, the leader itself included.
    """
    change = _wish(record, present, heard)
    if change is None:
        return None
    voters = change.apply(record).voters
    able = sum(voter.name in heard and present.get(voter.name) == voter.run for voter in voters)
    return change if able >= majority(len(voters)) else None


def _wish(record: Record, present: Mapping[str, int], heard: Collection[str]) -> Change | None:
    """Choose a change: the dead go first, then those that leave, then others come."""
    for voter in record.voters:
        if present.get(voter.name) != voter.run:
            return Dismiss(voter.life)
    members = [node for node in record.nodes.values() if node.standing is Standing.MEMBER]
    lives = {node.life for node in members}
    for voter in record.voters:
        if voter.life not in lives and len(record.voters) > 1:
            return Dismiss(voter.life)
    seats = max(1, wanted(sum(present.get(node.name) == node.run for node in members)))
    if len(record.voters) > seats:
        return Dismiss(max(voter.life[::-1] for voter in record.voters)[::-1])
    names = {voter.name for voter in record.voters}
    staying = sum(voter.life in lives for voter in record.voters)  # the only voter may be on its way out
    eligible = [node for node in members if node.name in heard and node.name not in names]
    return Enrol(_first(record, eligible).life) if eligible and staying < seats else None


def _first(record: Record, eligible: list[Node]) -> Node:
    """Return the oldest of some members, of the zones with the fewest voters."""
    zones = Counter(record.nodes[voter.name].zone for voter in record.voters if voter.name in record.nodes)
    return min(eligible, key=lambda node: (zones[node.zone] if node.zone else 0, node.run, node.name))


def forced(record: Record, lives: Sequence[Life], promised: int, rng: Random) -> Record:
    """Return the record with the first of some lives as its only voters, in a term after the one `promised`."""
    seats = record.seats + rng.randrange(1, FORCED_SEATS)
    voters = tuple(Voter(*life, (seats + index) % SEATS) for index, life in enumerate(lives[:VOTERS_MAX]))
    rounds = rng.randrange(FORCED_ROUNDS, 2 * FORCED_ROUNDS)
    term = next_term(max(promised, record.version[0]) + rounds * SEATS, voters[0].seat)
    return replace(
        record,
        version=(term, record.version[1] + 1),
        parent=record.version,
        voters=voters,
        electors=voters,
        seats=seats + len(voters),
    )
