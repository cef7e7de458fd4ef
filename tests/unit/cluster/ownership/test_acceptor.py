"""A voter keeps its promises."""

from dataclasses import replace

from respcache.cluster.ownership.acceptor import Acceptor
from respcache.cluster.ownership.record import NOTHING, Node, Record, Version, found


def at(version: Version) -> Record:
    """Return a record of a version."""
    return replace(found("cluster", Node("a", 1), 2), version=version)


def test_what_is_promised_is_kept() -> None:
    """Nothing of an earlier term is accepted, nor promised."""
    acceptor = Acceptor()
    assert acceptor.version == NOTHING
    assert acceptor.promise(5)
    assert acceptor.promise(5)
    assert not acceptor.promise(4)
    assert not acceptor.accept(at((4, 9)))
    assert acceptor.accept(at((5, 1)))
    assert acceptor.version == (5, 1)


def test_accepting_binds_as_a_promise_does() -> None:
    """A later term may come without having been promised here."""
    acceptor = Acceptor()
    assert acceptor.accept(at((7, 3)))
    assert not acceptor.promise(6)
    assert not acceptor.accept(at((7, 2)))


def test_what_was_chosen_is_held_whatever_was_promised() -> None:
    """It adds a copy; what was accepted beyond it stays."""
    acceptor = Acceptor()
    acceptor.promise(9)
    acceptor.learn(at((8, 4)))
    assert (acceptor.version, acceptor.promised) == ((8, 4), 9)
    acceptor.learn(at((8, 3)))
    assert acceptor.version == (8, 4)
