"""From when on clients are sent to a node."""

from dataclasses import replace
from typing import Final

import pytest

from respcache.cluster.stats import KeeperFigures
from respcache.metrics.readiness import CUT_OFF, SENTENCES, Preparation, Readiness
from unit.test_metrics import FIGURES

READY: Final = Readiness(ready=True, reason="The node serves clients.")


class Node:
    """A node whose state and figures the test sets."""

    def __init__(self) -> None:
        self.state = "serving"
        self.figures = replace(FIGURES, copies_lacking=None, lease_held=False)
        self.asked = 0
        self.preparation: Final = Preparation(lambda: self.state, self._tell, leased=lambda: self.figures.lease_held)

    def _tell(self) -> KeeperFigures:
        self.asked += 1
        return self.figures


def test_a_node_is_ready_once_it_has_its_copies_and_its_lease() -> None:
    """The sentence says what is in the way until then."""
    node = Node()
    assert node.preparation.verdict() == Readiness(
        ready=False, reason="The node has joined, and finds out what it is to have copies of."
    )
    node.figures = replace(node.figures, copies_lacking=120)
    assert node.preparation.verdict() == Readiness(ready=False, reason="Copies of 120 partitions are being made here.")
    node.figures = replace(node.figures, copies_lacking=0)
    assert node.preparation.verdict() == Readiness(
        ready=False, reason="The node waits for a lease: it does not hear from most of the nodes that vote."
    )
    node.figures = replace(node.figures, lease_held=True)
    assert node.preparation.verdict() == READY


def test_a_node_stays_ready_whatever_else_it_is_given_to_copy() -> None:
    """Nor is it asked again what it lacks: any node answers for all keys."""
    node = Node()
    node.figures = replace(node.figures, copies_lacking=0, lease_held=True)
    node.preparation.review()
    node.figures = replace(node.figures, copies_lacking=500)
    node.preparation.review()
    assert (node.preparation.verdict(), node.asked) == (READY, 1)


def test_a_node_without_a_lease_is_not_ready_however_often_it_was() -> None:
    """It serves nothing, and says what an operator can do; with a lease again it is ready, whatever it has to copy."""
    node = Node()
    node.figures = replace(node.figures, copies_lacking=0, lease_held=True)
    assert node.preparation.verdict() == READY
    node.figures = replace(node.figures, copies_lacking=500, lease_held=False)
    node.preparation.review()
    assert node.preparation.verdict() == Readiness(ready=False, reason=CUT_OFF)
    node.figures = replace(node.figures, lease_held=True)
    assert node.preparation.verdict() == READY


@pytest.mark.parametrize("state", ["starting", "joining", "draining", "left"])
def test_only_a_serving_node_is_ready(state: str) -> None:
    """Whatever it has copies of, and was before."""
    node = Node()
    node.figures = replace(node.figures, copies_lacking=0, lease_held=True)
    node.preparation.review()
    node.state = state
    node.preparation.review()
    assert node.preparation.verdict() == Readiness(ready=False, reason=SENTENCES[state])
