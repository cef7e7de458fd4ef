"""Places, their scores and their texts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store.geohash import (
    EARTH_RADIUS_M,
    LATITUDE_MAX,
    LONGITUDE_MAX,
    STEPS,
    Place,
    box_of,
    distance_m,
    interleave,
    place_of,
    score_of,
    separate,
    text_of,
)

PLACES = st.builds(Place, st.floats(-LONGITUDE_MAX, 179.999), st.floats(-LATITUDE_MAX, 85.05))
PALERMO = Place(13.361389, 38.115556)
CATANIA = Place(15.087269, 37.502669)
UINT32S = st.integers(0, 2**32 - 1)


def test_the_examples_of_the_documentation_of_redis_hold() -> None:
    """Score, text and distance of two Sicilian towns are those that Redis' manual prints."""
    palermo, catania = place_of(score_of(PALERMO)), place_of(score_of(CATANIA))

    assert score_of(PALERMO) == 3479099956230698
    assert text_of(palermo) == b"sqc8b49rny0"
    assert text_of(catania) == b"sqdtr74hyu0"
    assert f"{distance_m(palermo, catania):.4f}" == "166274.1516"


@given(PLACES)
def test_a_score_leads_back_to_the_place(place: Place) -> None:
    """To within half of the smallest box, some 30 centimetres."""
    found = place_of(score_of(place))

    assert abs(found.longitude - place.longitude) <= 180 / 2**STEPS + 1e-12
    assert abs(found.latitude - place.latitude) <= LATITUDE_MAX / 2**STEPS + 1e-12


@given(PLACES, st.integers(1, STEPS))
def test_a_place_is_in_its_boxes(place: Place, steps: int) -> None:
    """However large they are, by degrees and by score."""
    box = box_of(place, steps)
    least, end = box.scores

    assert box.west - 1e-12 <= place.longitude <= box.east + 1e-12
    assert box.south - 1e-12 <= place.latitude <= box.north + 1e-12
    assert least <= score_of(place) < end


@given(PLACES, st.integers(1, STEPS), st.integers(-1, 1), st.integers(-1, 1))
def test_a_neighbour_is_next_to_its_neighbour(place: Place, steps: int, east: int, north: int) -> None:
    """Going there and back leads to the same box."""
    box = box_of(place, steps)

    assert box.neighbour(east, north).neighbour(-east, -north) == box


@given(UINT32S, UINT32S)
def test_what_is_interleaved_is_separated_again(even: int, odd: int) -> None:
    """For all numbers of 32 bits."""
    assert separate(interleave(even, odd)) == (even, odd)


@given(PLACES, PLACES)
def test_a_distance_is_the_same_there_and_back(one: Place, other: Place) -> None:
    """No distance is longer than half the way round."""
    there = distance_m(one, other)

    assert there == pytest.approx(distance_m(other, one))
    assert 0 <= there <= math.pi * EARTH_RADIUS_M


@given(st.floats(allow_nan=False))
def test_every_score_is_a_place_on_the_earth(score: float) -> None:
    """A member need not have been added as a place."""
    place = place_of(score)

    assert abs(place.longitude) <= LONGITUDE_MAX
    assert abs(place.latitude) <= LATITUDE_MAX
