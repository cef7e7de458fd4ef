"""Searches against a look at every member."""

from random import Random

import pytest

from respcache.store.geohash import Place, place_of, score_of
from respcache.store.geosearch import Circle, Rectangle, Shape, search
from respcache.store.ranking import RUN
from respcache.store.sorted_sets import SortedSet

SEEDS = range(40)


def _around(rng: Random, middle: Place, spread: float) -> Place:
    longitude, latitude = rng.gauss(middle.longitude, spread), rng.gauss(middle.latitude, spread)
    return Place(min(max(longitude, -180.0), 179.9), min(max(latitude, -80.0), 80.0))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_search_finds_all_that_is_within_the_shape_and_nothing_twice(seed: int) -> None:
    """Up to a tenth of the world and away from its edges, nine boxes miss nothing."""
    rng = Random(seed)
    middle, spread = Place(rng.uniform(-120, 120), rng.uniform(-60, 60)), 10 ** rng.uniform(-3, 0.5)
    members = SortedSet()
    for number in range(RUN + 100):
        members.set(b"%d" % number, float(score_of(_around(rng, middle, spread))))
    size_m = spread * 111_000 * rng.uniform(0.1, 3)
    shape: Shape = rng.choice((Circle(size_m), Rectangle(size_m, size_m * rng.uniform(0.3, 3))))

    found = search(members, middle, shape)
    expected = {
        member for member, score in members.table.items() if shape.distance_m(middle, place_of(score)) is not None
    }

    assert len(found) == len(expected), f"seed {seed}"
    assert {each.member for each in found} == expected, f"seed {seed}"


@pytest.mark.parametrize("most", [1, 5, 10_000])
def test_a_search_ends_when_it_has_enough(most: int) -> None:
    """It gives the first ones that it would have given."""
    rng, middle, members = Random(7), Place(10.0, 50.0), SortedSet()
    for number in range(2000):
        members.set(b"%d" % number, float(score_of(_around(rng, middle, 1.0))))

    everything = search(members, middle, Circle(100_000.0))

    assert len(everything) > 100
    assert search(members, middle, Circle(100_000.0), most=most) == everything[:most]


@pytest.mark.parametrize(
    "shape", [Circle(0.0), Circle(float("inf")), Rectangle(float("inf"), 0.0), Rectangle(1e308, 1e308)]
)
def test_no_shape_is_too_small_or_too_large(shape: Shape) -> None:
    """The middle itself is found in each."""
    members = SortedSet()
    score = float(score_of(Place(10.0, 50.0)))
    members.set(b"a", score)

    assert [each.member for each in search(members, place_of(score), shape)] == [b"a"]
